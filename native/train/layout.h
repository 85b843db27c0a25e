// Where each tensor lies in a flat array of all parameters (masters, gradients, moments): the order of tensorSpecs,
// without gaps, so that q, k, v, their biases, and gate, up are one each, as the kernels see them.
#pragma once

#include <vector>

#include "../model/weights.h"

namespace espalier {

struct LayerOffsets {
  size_t inputGain, qkv, qkvBias, queryGain, keyGain, output, outputBias, postGain, gateUp, down;
};

struct Layout {
  std::vector<TensorSpec> specs;
  std::vector<size_t> offsets;  // [specs]
  std::vector<LayerOffsets> layers;
  size_t embedding = 0;
  size_t finalGain = 0;
  size_t head = 0;  // the embedding's when tied
  size_t total = 0;

  explicit Layout(const Shape& shape);
};

}  // namespace espalier
