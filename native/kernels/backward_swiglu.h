// SwiGLU's backward. With s = 1 / (1 + exp(-g)): dup = dy * g * s, dgate = dy * up * s * (1 + g * (1 - s)).
#pragma once

#include <cstddef>

namespace espalier {

/// gateUp: [rows][2 * width], gate then up; dy: [rows][width]; dGateUp: like gateUp, stride ldd.
void swigluBackward(const float* gateUp, const float* dy, int rows, int width, float* dGateUp, ptrdiff_t ldd);

}  // namespace espalier
