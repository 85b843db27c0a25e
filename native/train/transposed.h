// Weights packed for dX = dY * W: outputs are the inputs of the forward pass.
#pragma once

#include <vector>

#include "../kernels/gemm.h"
#include "layout.h"

namespace espalier {

struct TransposedLayer {
  PackedMatrix qkv, output, gateUp, down;
};

struct Transposed {
  std::vector<TransposedLayer> layers;
  PackedMatrix head;

  explicit Transposed(const Shape& shape);
  /// From the flat masters. On the pool's threads.
  void pack(const Shape& shape, const Layout& layout, const float* masters);
};

}  // namespace espalier
