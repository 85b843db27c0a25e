#include "weights.h"

#include <cstring>

#include "../kernels/pool.h"

namespace espalier {
namespace {

using Kind = TensorSpec::Kind;

/// Where one tensor of tensorSpecs lives: floats of a plain array, or rows of a packed matrix.
struct Place {
  AlignedFloats* plain = nullptr;
  PackedMatrix* packed = nullptr;
  int first = 0;  // float or row
};

/// Floats of all weights of a shape, in the order in which a forward reads them.
size_t slabFloats(const Shape& shape) {
  const auto gain = [](int width) { return Slab::rounded(static_cast<size_t>(width)); };
  const int hidden = shape.hiddenSize, inner = shape.intermediateSize;
  size_t layer = 2 * gain(hidden) + PackedMatrix::floats(shape.qkvWidth(), hidden) +
                 PackedMatrix::floats(hidden, shape.queryWidth()) + PackedMatrix::floats(2 * inner, hidden) +
                 PackedMatrix::floats(hidden, inner);
  if (shape.qkNorm) layer += 2 * gain(shape.headDim);
  if (shape.qkvBias) layer += gain(shape.qkvWidth());
  if (shape.outputBias) layer += gain(hidden);
  return Slab::rounded(static_cast<size_t>(shape.vocabSize) * hidden) + layer * static_cast<size_t>(shape.layerCount) +
         gain(hidden) + PackedMatrix::floats(shape.vocabSize, hidden);
}

/// The places of all tensors, in the order of tensorSpecs; allocates what is not there yet.
std::vector<Place> placesOf(Weights& weights, const std::shared_ptr<Slab>& slab) {
  const Shape& shape = weights.shape;
  std::vector<Place> places;
  const auto plain = [&](AlignedFloats& values, size_t count, int first = 0) {
    if (values.size() == 0) values = AlignedFloats(count, slab);
    places.push_back({&values, nullptr, first});
  };
  const auto packed = [&](PackedMatrix& matrix, int outputs, int inputs, int firstRow) {
    if (matrix.outputs == 0) matrix = PackedMatrix(outputs, inputs, slab);
    places.push_back({nullptr, &matrix, firstRow});
  };
  const int hidden = shape.hiddenSize, inner = shape.intermediateSize;
  plain(weights.embedding, static_cast<size_t>(shape.vocabSize) * hidden);
  weights.layers.resize(static_cast<size_t>(shape.layerCount));
  for (LayerWeights& layer : weights.layers) {
    plain(layer.inputGain, static_cast<size_t>(hidden));
    packed(layer.qkv, shape.qkvWidth(), hidden, 0);
    packed(layer.qkv, shape.qkvWidth(), hidden, shape.queryWidth());
    packed(layer.qkv, shape.qkvWidth(), hidden, shape.queryWidth() + shape.kvWidth());
    if (shape.qkvBias) {
      for (const int first : {0, shape.queryWidth(), shape.queryWidth() + shape.kvWidth()}) {
        plain(layer.qkvBias, static_cast<size_t>(shape.qkvWidth()), first);
      }
    }
    if (shape.qkNorm) {
      plain(layer.queryGain, static_cast<size_t>(shape.headDim));
      plain(layer.keyGain, static_cast<size_t>(shape.headDim));
    }
    packed(layer.output, hidden, shape.queryWidth(), 0);
    if (shape.outputBias) plain(layer.outputBias, static_cast<size_t>(hidden));
    plain(layer.postGain, static_cast<size_t>(hidden));
    packed(layer.gateUp, 2 * inner, hidden, 0);
    packed(layer.gateUp, 2 * inner, hidden, inner);
    packed(layer.down, hidden, inner, 0);
  }
  plain(weights.finalGain, static_cast<size_t>(hidden));
  if (!shape.tiedEmbeddings) packed(weights.head, shape.vocabSize, hidden, 0);
  return places;
}

}  // namespace

std::vector<TensorSpec> tensorSpecs(const Shape& shape) {
  std::vector<TensorSpec> specs;
  const int hidden = shape.hiddenSize, inner = shape.intermediateSize;
  specs.push_back({"model.embed_tokens.weight", shape.vocabSize, hidden, Kind::embedding});
  for (int layer = 0; layer < shape.layerCount; layer++) {
    const std::string at = "model.layers." + std::to_string(layer) + ".";
    specs.push_back({at + "input_layernorm.weight", 1, hidden, Kind::gain});
    specs.push_back({at + "self_attn.q_proj.weight", shape.queryWidth(), hidden, Kind::matrix});
    specs.push_back({at + "self_attn.k_proj.weight", shape.kvWidth(), hidden, Kind::matrix});
    specs.push_back({at + "self_attn.v_proj.weight", shape.kvWidth(), hidden, Kind::matrix});
    if (shape.qkvBias) {
      specs.push_back({at + "self_attn.q_proj.bias", 1, shape.queryWidth(), Kind::bias});
      specs.push_back({at + "self_attn.k_proj.bias", 1, shape.kvWidth(), Kind::bias});
      specs.push_back({at + "self_attn.v_proj.bias", 1, shape.kvWidth(), Kind::bias});
    }
    if (shape.qkNorm) {
      specs.push_back({at + "self_attn.q_norm.weight", 1, shape.headDim, Kind::gain});
      specs.push_back({at + "self_attn.k_norm.weight", 1, shape.headDim, Kind::gain});
    }
    specs.push_back({at + "self_attn.o_proj.weight", hidden, shape.queryWidth(), Kind::matrix});
    if (shape.outputBias) specs.push_back({at + "self_attn.o_proj.bias", 1, hidden, Kind::bias});
    specs.push_back({at + "post_attention_layernorm.weight", 1, hidden, Kind::gain});
    specs.push_back({at + "mlp.gate_proj.weight", inner, hidden, Kind::matrix});
    specs.push_back({at + "mlp.up_proj.weight", inner, hidden, Kind::matrix});
    specs.push_back({at + "mlp.down_proj.weight", hidden, inner, Kind::matrix});
  }
  specs.push_back({"model.norm.weight", 1, hidden, Kind::gain});
  if (!shape.tiedEmbeddings) specs.push_back({"lm_head.weight", shape.vocabSize, hidden, Kind::head});
  return specs;
}

std::shared_ptr<const Weights> packWeights(const Shape& shape, const std::function<const float*(size_t)>& read,
                                           std::shared_ptr<const RopeTable> rope) {
  const FloatMode mode;
  const auto slab = std::make_shared<Slab>(slabFloats(shape));
  auto weights = std::make_shared<Weights>();
  weights->shape = shape;
  weights->rope = rope ? std::move(rope)
                       : std::make_shared<const RopeTable>(shape.contextLength, shape.headDim, shape.ropeTheta,
                                                           shape.ropeScaling);
  const std::vector<TensorSpec> specs = tensorSpecs(shape);
  const std::vector<Place> places = placesOf(*weights, slab);
  for (size_t i = 0; i < specs.size(); i++) {
    if (places[i].plain != nullptr) {
      std::memcpy(places[i].plain->data() + places[i].first, read(i), specs[i].size() * sizeof(float));
    } else {
      places[i].packed->packRows(read(i), places[i].first, specs[i].rows);
    }
  }
  if (shape.tiedEmbeddings) {
    weights->head = PackedMatrix(shape.vocabSize, shape.hiddenSize, slab);
    weights->head.packRows(weights->embedding.data(), 0, shape.vocabSize);
  }
  return weights;
}

void unpackTensor(const Weights& weights, size_t index, float* to) {
  // Every place is allocated, so looking them up changes nothing.
  const Place place = placesOf(const_cast<Weights&>(weights), nullptr)[index];
  const TensorSpec spec = tensorSpecs(weights.shape)[index];
  if (place.plain != nullptr) {
    std::memcpy(to, place.plain->data() + place.first, spec.size() * sizeof(float));
  } else {
    place.packed->unpackRows(to, place.first, spec.rows);
  }
}

}  // namespace espalier
