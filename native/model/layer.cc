#include "layer.h"

#include <cstring>

#include "../kernels/bias.h"
#include "../kernels/norm.h"
#include "../kernels/swiglu.h"

namespace espalier {
namespace {

/// QK-norm (where the model has it) and rotation of one row's queries and keys.
void rotateRow(const Weights& weights, const LayerWeights& layer, int position, const float* qkv, float* rotated,
               float* inverse) {
  const Shape& shape = weights.shape;
  const int dim = shape.headDim, heads = shape.headCount, kvHeads = shape.kvHeadCount;
  const float* from = qkv;
  if (shape.qkNorm) {
    const int queries = shape.queryWidth();
    rmsNorm(qkv, dim, layer.queryGain.data(), heads, dim, shape.normEpsilon, rotated, dim, inverse);
    rmsNorm(qkv + queries, dim, layer.keyGain.data(), kvHeads, dim, shape.normEpsilon, rotated + queries, dim,
            inverse == nullptr ? nullptr : inverse + heads);
    from = rotated;
  }
  rope(from, weights.rope->cosines(position), weights.rope->sines(position), heads + kvHeads, dim, 1.0f, rotated);
}

}  // namespace

void embedRows(const Weights& weights, const int32_t* tokens, int rows, float* x) {
  const size_t hidden = static_cast<size_t>(weights.shape.hiddenSize);
  for (int row = 0; row < rows; row++) {
    std::memcpy(x + row * hidden, weights.embedding.data() + static_cast<size_t>(tokens[row]) * hidden,
                hidden * sizeof(float));
  }
}

void forwardLayer(const Weights& weights, int index, Cache& cache, const RowSpan* spans, int spanCount, int rows,
                  const LayerRows& to) {
  const Shape& shape = weights.shape;
  const LayerWeights& layer = weights.layers[static_cast<size_t>(index)];
  const int hidden = shape.hiddenSize, queries = shape.queryWidth(), keys = shape.kvWidth(), wide = shape.qkvWidth();
  const int rotatedWidth = queries + keys, heads = shape.headCount;

  rmsNorm(to.residual, hidden, layer.inputGain.data(), rows, hidden, shape.normEpsilon, to.normed, hidden,
          to.normedInverse);
  gemm(to.normed, hidden, rows, layer.qkv, to.qkv, wide);
  if (shape.qkvBias) addBias(layer.qkvBias.data(), rows, wide, to.qkv, wide);

  for (int s = 0; s < spanCount; s++) {
    const RowSpan& span = spans[s];
    const BlockTable table = cache.table(index, span.blocks);
    for (int i = 0; i < span.rowCount; i++) {
      const ptrdiff_t row = span.firstRow + i;
      float* rotated = to.rotated + row * rotatedWidth;
      rotateRow(weights, layer, span.firstPosition + i, to.qkv + row * wide, rotated,
                to.headInverse == nullptr ? nullptr : to.headInverse + row * (heads + shape.kvHeadCount));
      storeKeyValue(table, cache.layout(), span.firstPosition + i, rotated + queries,
                    to.qkv + row * wide + rotatedWidth);
    }
    const ptrdiff_t row = span.firstRow;
    attention(to.rotated + row * rotatedWidth, rotatedWidth, span.rowCount, span.firstPosition, heads,
              shape.attentionScale(), table, cache.layout(), to.attention + row * queries,
              queries, to.maxima == nullptr ? nullptr : to.maxima + row * heads,
              to.sums == nullptr ? nullptr : to.sums + row * heads, to.scratch);
  }

  const size_t residualBytes = static_cast<size_t>(rows) * hidden * sizeof(float);
  if (to.middle != to.residual) std::memcpy(to.middle, to.residual, residualBytes);
  gemm(to.attention, queries, rows, layer.output, to.middle, hidden, Store::add);
  if (shape.outputBias) addBias(layer.outputBias.data(), rows, hidden, to.middle, hidden);

  rmsNorm(to.middle, hidden, layer.postGain.data(), rows, hidden, shape.normEpsilon, to.postNormed, hidden,
          to.postInverse);
  gemm(to.postNormed, hidden, rows, layer.gateUp, to.gateUp, 2 * shape.intermediateSize);
  swiglu(to.gateUp, rows, shape.intermediateSize, to.activation);
  if (to.next != to.middle) std::memcpy(to.next, to.middle, residualBytes);
  gemm(to.activation, shape.intermediateSize, rows, layer.down, to.next, hidden, Store::add);
}

void finalNorm(const Weights& weights, const float* x, int rows, float* normed, float* inverse) {
  const int hidden = weights.shape.hiddenSize;
  rmsNorm(x, hidden, weights.finalGain.data(), rows, hidden, weights.shape.normEpsilon, normed, hidden, inverse);
}

void headLogits(const Weights& weights, const float* normed, int rows, float* logits) {
  gemm(normed, weights.shape.hiddenSize, rows, weights.head, logits, weights.shape.vocabSize);
}

}  // namespace espalier
