#include "layout.h"

namespace espalier {

Layout::Layout(const Shape& shape) : specs(tensorSpecs(shape)) {
  for (const TensorSpec& spec : specs) {
    offsets.push_back(total);
    total += spec.size();
  }
  size_t next = 0;
  const auto take = [&](int count) {
    const size_t at = offsets[next];
    next += static_cast<size_t>(count);
    return at;
  };
  embedding = take(1);
  for (int layer = 0; layer < shape.layerCount; layer++) {
    LayerOffsets at{};
    at.inputGain = take(1);
    at.qkv = take(3);
    if (shape.qkvBias) at.qkvBias = take(3);
    if (shape.qkNorm) {
      at.queryGain = take(1);
      at.keyGain = take(1);
    }
    at.output = take(1);
    if (shape.outputBias) at.outputBias = take(1);
    at.postGain = take(1);
    at.gateUp = take(2);
    at.down = take(1);
    layers.push_back(at);
  }
  finalGain = take(1);
  head = shape.tiedEmbeddings ? embedding : take(1);
}

}  // namespace espalier
