// The shape of a Llama, Qwen2 or Qwen3 model, as in src/native/native.ts.
#pragma once

#include <optional>

#include "../kernels/attention.h"
#include "../kernels/rope.h"

namespace espalier {

struct Shape {
  int vocabSize = 0;
  int hiddenSize = 0;
  int intermediateSize = 0;
  int layerCount = 0;
  int headCount = 0;
  int kvHeadCount = 0;
  int headDim = 0;
  double ropeTheta = 0;
  std::optional<Llama3Scaling> ropeScaling;
  float normEpsilon = 0;
  bool tiedEmbeddings = false;
  bool qkNorm = false;
  bool qkvBias = false;     // q_proj, k_proj and v_proj add one
  bool outputBias = false;  // o_proj adds one
  int contextLength = 0;

  int queryWidth() const { return headCount * headDim; }
  int kvWidth() const { return kvHeadCount * headDim; }
  /// Width of a row of [q | k | v].
  int qkvWidth() const { return queryWidth() + 2 * kvWidth(); }
  BlockLayout block() const { return {kvHeadCount, headDim}; }
  float attentionScale() const;
};

}  // namespace espalier
