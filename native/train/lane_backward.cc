// A piece's backward: head and loss terms, then the layers from the last to the first, then the embedding.
#include <cstring>

#include "../kernels/backward_attention.h"
#include "../kernels/backward_norm.h"
#include "../kernels/backward_swiglu.h"
#include "../kernels/bias.h"
#include "../kernels/logprob.h"
#include "lane.h"

namespace espalier {

void Lane::backwardHead(const Piece& piece, const Tape& tape, float* dx) {
  const TrainPlan& plan = *step_->plan;
  const int hidden = shape_.hiddenSize;
  std::memset(dx, 0, static_cast<size_t>(piece.rows) * hidden * sizeof(float));
  float* x = headRows_.data();
  float* normed = x + static_cast<size_t>(kPieceRows) * hidden;
  float* dNormed = normed + static_cast<size_t>(kPieceRows) * hidden;
  float* inverse = dNormed + static_cast<size_t>(kPieceRows) * hidden;
  for (int term = piece.firstTerm; term < piece.endTerm;) {
    int rowOf[kPieceRows], firstTermOf[kPieceRows + 1], rows = 0;
    while (term < piece.endTerm && rows < headBatch_.capacity()) {
      rowOf[rows] = plan.termNode[term] - piece.firstToken;
      firstTermOf[rows] = term;
      std::memcpy(x + static_cast<size_t>(rows) * hidden, tape.last + static_cast<size_t>(rowOf[rows]) * hidden,
                  hidden * sizeof(float));
      while (term < piece.endTerm && plan.termNode[term] - piece.firstToken == rowOf[rows]) term++;
      rows++;
    }
    firstTermOf[rows] = term;
    finalNorm(*step_->weights, x, rows, normed, inverse);
    float* gradient = gradient_.data() + layout_.head;
    float* logits = headBatch_.reserve(rows, gradient);
    gemm(normed, hidden, rows, step_->weights->head, logits, headBatch_.stride());
    for (int row = 0; row < rows; row++) {
      termSlopes(firstTermOf[row], firstTermOf[row + 1], logits + row * headBatch_.stride());
    }
    gemm(logits, headBatch_.stride(), rows, step_->transposed->head, dNormed, hidden);
    headBatch_.commit(normed, rows);
    for (int row = 0; row < rows; row++) {
      const size_t at = static_cast<size_t>(row) * hidden;
      float* to = dx + static_cast<size_t>(rowOf[row]) * hidden;
      rmsNormBackward(dNormed + at, hidden, x + at, hidden, step_->weights->finalGain.data(), inverse + row, 1, 1,
                      hidden, to, hidden, Store::overwrite, gradient_.data() + layout_.finalGain);
    }
  }
}

void Lane::termSlopes(int firstTerm, int endTerm, float* logits) {
  const TrainPlan& plan = *step_->plan;
  const int vocab = shape_.vocabSize;
  const LogitsRow row = logprobRow(logits, vocab);
  double total = 0;
  for (int term = firstTerm; term < endTerm; term++) {
    const float logprob = row.logprob(logits[plan.termTarget[term]]);
    const TermLoss loss = termLoss(plan, term, logprob);
    step_->logprobs[term] = logprob;
    step_->losses[term] = loss.loss;
    step_->slopes[term] = loss.slope;
    step_->cut[term] = loss.cut;
    total += loss.slope;
  }
  // d logprob(target) / d logit[v] = [v == target] - p[v], summed over the row's terms.
  probabilities(logits, vocab, row, logits);
  const float pull = static_cast<float>(-total);
  for (int v = 0; v < vocab; v++) logits[v] *= pull;
  for (int term = firstTerm; term < endTerm; term++) {
    logits[plan.termTarget[term]] += static_cast<float>(step_->slopes[term]);
  }
}

void Lane::backwardMlp(int layer, int rows, const LayerRows& kept) {
  const TransposedLayer& weights = step_->transposed->layers[layer];
  const LayerOffsets& at = layout_.layers[layer];
  LayerBatches& batch = batches_[layer];
  const int hidden = shape_.hiddenSize, inner = shape_.intermediateSize;
  copyRows(batch.down, rows, gradient_.data() + at.down);
  batch.down.commit(kept.activation, rows);
  gemm(dx_.data(), hidden, rows, weights.down, wide_.data(), inner);
  float* dGateUp = batch.gateUp.reserve(rows, gradient_.data() + at.gateUp);
  swigluBackward(kept.gateUp, wide_.data(), rows, inner, dGateUp, batch.gateUp.stride());
  gemm(dGateUp, batch.gateUp.stride(), rows, weights.gateUp, narrow_.data(), hidden);
  batch.gateUp.commit(kept.postNormed, rows);
  rmsNormBackward(narrow_.data(), hidden, kept.middle, hidden, step_->weights->layers[layer].postGain.data(),
                  kept.postInverse, 1, rows, hidden, dx_.data(), hidden, Store::add, gradient_.data() + at.postGain);
}

/// dQkv: the piece's rows, [rows][stride]; those of the branch are written.
void Lane::backwardBranch(int layer, const Piece& piece, const Branch& branch, const LayerRows& kept, float* dQkv,
                          ptrdiff_t stride) {
  const int heads = shape_.headCount, kvHeads = shape_.kvHeadCount, dim = shape_.headDim;
  const int queries = shape_.queryWidth(), keys = shape_.kvWidth(), first = piece.firstPosition;
  if (piece.shared()) {
    loadRows(path_->keys(layer), false, first, branch, kept);
    loadRows(path_->mirror(layer), true, first, branch, kept);
    path_->clearGradients(layer, first, branch.rows);
  }
  const ptrdiff_t from = branch.firstRow;
  attentionBackward({branch.rows, first, heads, shape_.attentionScale(), shape_.block(), path_->keys(layer),
                     path_->mirror(layer), kept.rotated + from * (queries + keys), queries + keys,
                     kept.attention + from * queries, wide_.data() + from * queries, kept.maxima + from * heads,
                     kept.sums + from * heads, dQkv + from * stride, stride, path_->dKeys(layer),
                     path_->dValues(layer), path_->headStride(), backwardScratch_.data()});
  const size_t padded = static_cast<size_t>(shape_.block().valueStride());
  const RopeTable& rotation = *step_->weights->rope;
  for (int i = 0; i < branch.rows; i++) {
    float* to = dQkv + (from + i) * stride;
    const int position = first + i;
    for (int head = 0; head < kvHeads; head++) {
      const size_t at = head * path_->headStride() + position * padded;
      std::memcpy(to + queries + head * dim, path_->dKeys(layer) + at, dim * sizeof(float));
      std::memcpy(to + queries + keys + head * dim, path_->dValues(layer) + at, dim * sizeof(float));
    }
    rope(to, rotation.cosines(position), rotation.sines(position), heads + kvHeads, dim, -1.0f, to);
  }
}

void Lane::backwardAttention(int layer, const Piece& piece, const LayerRows& kept) {
  const TransposedLayer& weights = step_->transposed->layers[layer];
  const LayerWeights& forwardWeights = step_->weights->layers[layer];
  const LayerOffsets& at = layout_.layers[layer];
  LayerBatches& batch = batches_[layer];
  const int rows = piece.rows, hidden = shape_.hiddenSize, dim = shape_.headDim;
  const int heads = shape_.headCount, kvHeads = shape_.kvHeadCount;
  const int queries = shape_.queryWidth();
  copyRows(batch.output, rows, gradient_.data() + at.output);
  batch.output.commit(kept.attention, rows);
  if (shape_.outputBias) addRowSums(dx_.data(), hidden, rows, hidden, gradient_.data() + at.outputBias);
  gemm(dx_.data(), hidden, rows, weights.output, wide_.data(), queries);

  float* dQkv = batch.qkv.reserve(rows, gradient_.data() + at.qkv);
  const ptrdiff_t stride = batch.qkv.stride();
  for (int b = piece.firstBranch; b < piece.endBranch; b++) {
    backwardBranch(layer, piece, step_->schedule->branches[b], kept, dQkv, stride);
  }
  if (shape_.qkNorm) {
    const int width = shape_.qkvWidth();
    for (int head = 0; head < heads + kvHeads; head++) {
      const bool query = head < heads;
      const float* gain = query ? forwardWeights.queryGain.data() : forwardWeights.keyGain.data();
      float* gainGradient = gradient_.data() + (query ? at.queryGain : at.keyGain);
      rmsNormBackward(dQkv + head * dim, stride, kept.qkv + head * dim, width, gain, kept.headInverse + head,
                      heads + kvHeads, rows, dim, dQkv + head * dim, stride, Store::overwrite, gainGradient);
    }
  }
  if (shape_.qkvBias) addRowSums(dQkv, stride, rows, shape_.qkvWidth(), gradient_.data() + at.qkvBias);
  gemm(dQkv, stride, rows, weights.qkv, narrow_.data(), hidden);
  batch.qkv.commit(kept.normed, rows);
  rmsNormBackward(narrow_.data(), hidden, kept.residual, hidden, forwardWeights.inputGain.data(), kept.normedInverse, 1,
                  rows, hidden, dx_.data(), hidden, Store::add, gradient_.data() + at.inputGain);
}

/// The residual stream's gradient as the next rows of a batch.
void Lane::copyRows(RowBatch& batch, int rows, float* gradient) {
  const size_t hidden = shape_.hiddenSize;
  float* to = batch.reserve(rows, gradient);
  for (int row = 0; row < rows; row++) {
    std::memcpy(to + row * batch.stride(), dx_.data() + row * hidden, hidden * sizeof(float));
  }
}

void Lane::backward(int index) {
  const Piece& piece = step_->schedule->pieces[index];
  const Tape& tape = step_->tapes[index];
  backwardHead(piece, tape, dx_.data());
  for (int layer = shape_.layerCount - 1; layer >= 0; layer--) {
    backwardMlp(layer, piece.rows, tape.layers[layer]);
    backwardAttention(layer, piece, tape.layers[layer]);
  }
  for (int row = 0; row < piece.rows; row++) {
    const float* dx = dx_.data() + static_cast<size_t>(row) * shape_.hiddenSize;
    float* to = gradient_.data() + layout_.embedding +
                static_cast<size_t>(step_->plan->tokens[piece.firstToken + row]) * shape_.hiddenSize;
    for (int i = 0; i < shape_.hiddenSize; i++) to[i] += dx[i];
  }
}

void Lane::flush() {
  float* gradient = gradient_.data();
  headBatch_.flush(gradient + layout_.head);
  for (int layer = 0; layer < shape_.layerCount; layer++) {
    const LayerOffsets& at = layout_.layers[layer];
    batches_[layer].qkv.flush(gradient + at.qkv);
    batches_[layer].output.flush(gradient + at.output);
    batches_[layer].gateUp.flush(gradient + at.gateUp);
    batches_[layer].down.flush(gradient + at.down);
  }
}

}  // namespace espalier
