// Key/value blocks of all layers. A sequence is a list of block numbers in position order; a trainer's live path is a
// Cache with the list 0, 1, 2, ...
#pragma once

#include "shape.h"

#include "../kernels/aligned.h"

namespace espalier {

class Cache {
 public:
  Cache(const Shape& shape, int blockCount);
  /// Of one block in all layers, padding included.
  static size_t blockBytes(const Shape& shape) {
    return shape.block().blockFloats() * sizeof(float) * static_cast<size_t>(shape.layerCount);
  }
  int blockCount() const { return blockCount_; }
  const BlockLayout& layout() const { return layout_; }
  BlockTable table(int layer, const int32_t* blocks) {
    return {values_.data() + static_cast<size_t>(layer) * blockCount_ * layout_.blockFloats(), blocks};
  }
  /// Copies the first `tokenCount` positions of a block, in every layer.
  void copyBlock(int from, int to, int tokenCount);
  bool fits(const Shape& shape) const;

 private:
  int layers_;
  int blockCount_;
  BlockLayout layout_;
  AlignedFloats values_;
};

}  // namespace espalier
