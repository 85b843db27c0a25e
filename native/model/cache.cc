#include "cache.h"

#include <cstring>

namespace espalier {

Cache::Cache(const Shape& shape, int blockCount)
    : layers_(shape.layerCount),
      blockCount_(blockCount),
      layout_(shape.block()),
      values_(static_cast<size_t>(shape.layerCount) * static_cast<size_t>(blockCount) * layout_.blockFloats()) {}

bool Cache::fits(const Shape& shape) const {
  return shape.layerCount == layers_ && shape.kvHeadCount == layout_.kvHeads && shape.headDim == layout_.headDim;
}

void Cache::copyBlock(int from, int to, int tokenCount) {
  const int32_t ends[2] = {from, to};
  const int dim = layout_.headDim;
  const int panels = panelsOf(tokenCount);
  for (int layer = 0; layer < layers_; layer++) {
    const BlockTable blocks = table(layer, ends);
    for (int head = 0; head < layout_.kvHeads; head++) {
      const float* source = blocks.head(layout_, 0, head);
      float* target = blocks.head(layout_, 1, head);
      // Whole key panels: what lies past tokenCount is never read before it is written.
      std::memcpy(target, source, static_cast<size_t>(panels) * kLanes * dim * sizeof(float));
      std::memcpy(target + layout_.keyFloats(), source + layout_.keyFloats(),
                  static_cast<size_t>(tokenCount) * layout_.valueStride() * sizeof(float));
    }
  }
}

}  // namespace espalier
