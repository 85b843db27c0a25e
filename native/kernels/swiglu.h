// SwiGLU: y = silu(gate) * up, silu(g) = g / (1 + exp(-g)).
#pragma once

#include <cstddef>

namespace espalier {

/// gateUp: [rows][2 * width], gate then up; y: [rows][width].
void swiglu(const float* gateUp, int rows, int width, float* y);

}  // namespace espalier
