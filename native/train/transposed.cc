#include "transposed.h"

#include "../kernels/pool.h"

namespace espalier {

Transposed::Transposed(const Shape& shape) : head(shape.hiddenSize, shape.vocabSize) {
  for (int layer = 0; layer < shape.layerCount; layer++) {
    layers.push_back({PackedMatrix(shape.hiddenSize, shape.qkvWidth()),
                      PackedMatrix(shape.queryWidth(), shape.hiddenSize),
                      PackedMatrix(shape.hiddenSize, 2 * shape.intermediateSize),
                      PackedMatrix(shape.intermediateSize, shape.hiddenSize)});
  }
}

void Transposed::pack(const Shape& shape, const Layout& layout, const float* masters) {
  parallelFor(shape.layerCount + 1, [&](int index) {
    if (index == shape.layerCount) {
      packTransposed(head, masters + layout.head, 0, shape.vocabSize);
      return;
    }
    TransposedLayer& layer = layers[index];
    const LayerOffsets& at = layout.layers[index];
    packTransposed(layer.qkv, masters + at.qkv, 0, shape.qkvWidth());
    packTransposed(layer.output, masters + at.output, 0, shape.hiddenSize);
    packTransposed(layer.gateUp, masters + at.gateUp, 0, 2 * shape.intermediateSize);
    packTransposed(layer.down, masters + at.down, 0, shape.hiddenSize);
  });
}

}  // namespace espalier
