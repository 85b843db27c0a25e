// The one forward pass of a layer, of the embedding and of the head: sampler, score and trainer all call these, so
// their bits are equal by construction. Callers own every buffer; what they want to keep they give a place of its own.
#pragma once

#include "cache.h"
#include "weights.h"

namespace espalier {

/// Rows [firstRow, firstRow + rowCount) are consecutive positions of one sequence, whose blocks hold (or get) all
/// positions up to the last of them.
struct RowSpan {
  int firstRow;
  int rowCount;
  int firstPosition;
  const int32_t* blocks;
};

/// All row-major. `residual`, `middle` and `next` may be one buffer; no other two may.
struct LayerRows {
  const float* residual;  // [rows][hidden]: the layer's input
  float* normed;          // [rows][hidden]: after input_layernorm
  float* normedInverse;   // [rows] or null
  float* qkv;             // [rows][qkvWidth]: projections with their biases, before norm and rotation
  float* headInverse;     // [rows][heads + kvHeads] or null: QK-norm's inverses
  float* rotated;         // [rows][queryWidth + kvWidth]: q and k after QK-norm and RoPE
  float* attention;       // [rows][queryWidth]
  float* maxima;          // [rows][heads] or null
  float* sums;            // [rows][heads] or null
  float* middle;          // [rows][hidden]: residual + attention's output
  float* postNormed;      // [rows][hidden]: after post_attention_layernorm
  float* postInverse;     // [rows] or null
  float* gateUp;          // [rows][2 * intermediate]
  float* activation;      // [rows][intermediate]
  float* next;            // [rows][hidden]: middle + MLP
  float* scratch;         // attentionScratch floats
};

/// x: [rows][hidden] = embedding rows of the tokens.
void embedRows(const Weights& weights, const int32_t* tokens, int rows, float* x);

/// Runs one layer. Span by span, keys and values go into `cache`, then the span attends: a later span may take the places
/// of an earlier one, as branches of one trunk do.
void forwardLayer(const Weights& weights, int layer, Cache& cache, const RowSpan* spans, int spanCount, int rows,
                  const LayerRows& to);

/// normed: [rows][hidden]; inverse: [rows] or null.
void finalNorm(const Weights& weights, const float* x, int rows, float* normed, float* inverse);

/// logits: [rows][vocab], from finalNorm's rows.
void headLogits(const Weights& weights, const float* normed, int rows, float* logits);

}  // namespace espalier
