// RMSNorm's backward: y = x * inverse * gain with inverse = 1 / sqrt(mean(x^2) + epsilon) kept from the forward pass.
// The row's dot product runs in 16 lanes with the one fold (rule 2); a gain's gradient is one chain over rows.
#pragma once

#include <cstddef>

#include "gemm.h"

namespace espalier {

/// dy, x: [rows][width], strides lddy, ldx; inverse: one a row, stride ldi; dx: stride lddx, overwritten or added to,
/// may be dy; gainGradient: [width], added to.
void rmsNormBackward(const float* dy, ptrdiff_t lddy, const float* x, ptrdiff_t ldx, const float* gain,
                     const float* inverse, ptrdiff_t ldi, int rows, int width, float* dx, ptrdiff_t lddx, Store store,
                     float* gainGradient);

}  // namespace espalier
