// An immutable snapshot of weights, packed for the kernels, and the list of tensors that it is made of.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "../kernels/gemm.h"
#include "../kernels/rope.h"
#include "shape.h"

namespace espalier {

/// One tensor of a checkpoint: Hugging Face name, row-major [rows][columns]; a gain or a bias has one row.
struct TensorSpec {
  enum class Kind { embedding, gain, bias, matrix, head };
  std::string name;
  int rows;
  int columns;
  Kind kind;
  size_t size() const { return static_cast<size_t>(rows) * columns; }
};

/// All tensors of a shape in one fixed order: embedding, layers ascending, final norm, head (untied only). Within a
/// layer: input_layernorm, q, k, v, [their biases], [q_norm, k_norm], o, [its bias], post_attention_layernorm, gate, up,
/// down.
std::vector<TensorSpec> tensorSpecs(const Shape& shape);

struct LayerWeights {
  AlignedFloats inputGain;      // [hidden]
  AlignedFloats queryGain;      // [headDim], only with qkNorm
  AlignedFloats keyGain;        // [headDim], only with qkNorm
  AlignedFloats postGain;       // [hidden]
  AlignedFloats qkvBias;        // [qkvWidth], only with qkvBias
  AlignedFloats outputBias;     // [hidden], only with outputBias
  PackedMatrix qkv;             // rows q, k, v: [qkvWidth][hidden]
  PackedMatrix output;          // [hidden][queryWidth]
  PackedMatrix gateUp;          // rows gate, up: [2 * intermediate][hidden]
  PackedMatrix down;            // [hidden][intermediate]
};

struct Weights {
  Shape shape;
  AlignedFloats embedding;      // row-major [vocab][hidden], for look-ups
  std::vector<LayerWeights> layers;
  AlignedFloats finalGain;      // [hidden]
  PackedMatrix head;            // [vocab][hidden]; the embedding again when tied
  std::shared_ptr<const RopeTable> rope;
};

/// `read(index)` gives tensor `index` of tensorSpecs, row-major. `rope` may be shared from an earlier snapshot.
std::shared_ptr<const Weights> packWeights(const Shape& shape, const std::function<const float*(size_t)>& read,
                                           std::shared_ptr<const RopeTable> rope = nullptr);

/// Tensor `index` of tensorSpecs, row-major, into `to`.
void unpackTensor(const Weights& weights, size_t index, float* to);

}  // namespace espalier
