// Keys and values of one lane's live path, and the gradients that flow back to them. Positions are a stack.
#pragma once

#include <cstring>
#include <numeric>
#include <vector>

#include "../model/cache.h"

namespace espalier {

class Path {
 public:
  Path(const Shape& shape, int positions)
      : blockCount_((positions + kBlockTokens - 1) / kBlockTokens),
        layers_(shape.layerCount),
        layout_(shape.block()),
        blocks_(static_cast<size_t>(blockCount_)),
        keys_(shape, blockCount_),
        mirror_(shape, blockCount_),
        dKeys_(static_cast<size_t>(layers_) * layerFloats()),
        dValues_(static_cast<size_t>(layers_) * layerFloats()) {
    std::iota(blocks_.begin(), blocks_.end(), 0);
  }

  int positions() const { return blockCount_ * kBlockTokens; }
  const int32_t* blocks() const { return blocks_.data(); }
  Cache& cache() { return keys_; }
  BlockTable keys(int layer) { return keys_.table(layer, blocks_.data()); }
  /// The same rows with keys and values swapped: value panels, key rows.
  BlockTable mirror(int layer) { return mirror_.table(layer, blocks_.data()); }
  /// [kvHeads][positions][valueStride]
  float* dKeys(int layer) { return dKeys_.data() + static_cast<size_t>(layer) * layerFloats(); }
  float* dValues(int layer) { return dValues_.data() + static_cast<size_t>(layer) * layerFloats(); }
  ptrdiff_t headStride() const { return static_cast<ptrdiff_t>(positions()) * layout_.valueStride(); }

  /// Gradients of positions [first, first + rows), out or in: [layers][dKeys, dValues][kvHeads][rows][valueStride].
  size_t gradientFloats(int rows) const {
    return static_cast<size_t>(layers_) * 2 * layout_.kvHeads * rows * layout_.valueStride();
  }
  void clearGradients(int first, int rows) {
    for (int layer = 0; layer < layers_; layer++) clearGradients(layer, first, rows);
  }
  void clearGradients(int layer, int first, int rows) {
    each(layer, first, rows, [](float* at, size_t count) { std::memset(at, 0, count * sizeof(float)); });
  }
  void addGradientsTo(int first, int rows, float* to) {
    each(first, rows, [&](const float* at, size_t count) {
      for (size_t i = 0; i < count; i++) to[i] += at[i];
      to += count;
    });
  }
  void addGradientsFrom(int first, int rows, const float* from) {
    each(first, rows, [&](float* at, size_t count) {
      for (size_t i = 0; i < count; i++) at[i] += from[i];
      from += count;
    });
  }

 private:
  size_t layerFloats() const { return static_cast<size_t>(layout_.kvHeads) * headStride(); }

  template <typename Visit>
  void each(int first, int rows, const Visit& visit) {
    for (int layer = 0; layer < layers_; layer++) each(layer, first, rows, visit);
  }
  template <typename Visit>
  void each(int layer, int first, int rows, const Visit& visit) {
    const size_t stride = static_cast<size_t>(layout_.valueStride());
    for (float* base : {dKeys(layer), dValues(layer)}) {
      for (int head = 0; head < layout_.kvHeads; head++) {
        visit(base + head * headStride() + first * stride, rows * stride);
      }
    }
  }

  int blockCount_, layers_;
  BlockLayout layout_;
  std::vector<int32_t> blocks_;
  Cache keys_, mirror_;
  AlignedFloats dKeys_, dValues_;
};

}  // namespace espalier
