// RMSNorm of rows: y = (x * inverse) * gain, inverse = 1 / sqrt(mean(x^2) + epsilon), as Hugging Face's.
// The sum of squares runs in 16 lanes, element i in lane i mod 16, with one fold (rule 2).
#pragma once

#include <cstddef>

namespace espalier {

/// x: [rows][width] stride ldx; y stride ldy (may be x); inverse: [rows], or null when not wanted.
void rmsNorm(const float* x, ptrdiff_t ldx, const float* gain, int rows, int width, float epsilon, float* y,
             ptrdiff_t ldy, float* inverse);

}  // namespace espalier
