#include "lane.h"

#include <algorithm>
#include <cstring>

#include "../kernels/backward_attention.h"

namespace espalier {
namespace {

/// Rows of logits held at a time: about 16 MiB at most, down to 16 rows for the widest vocabularies.
int headCapacity(const Shape& shape) { return std::clamp((1 << 22) / shape.vocabSize, 16, kPieceRows); }

AlignedFloats rowsOf(size_t width) { return AlignedFloats(width * kPieceRows + kLanes); }

}  // namespace

Lane::Lane(const Shape& shape, const Layout& layout, int index)
    : shape_(shape),
      layout_(layout),
      index_(index),
      gradient_(layout.total + kLanes),
      headBatch_(shape.vocabSize, shape.hiddenSize, headCapacity(shape)),
      dx_(rowsOf(shape.hiddenSize)),
      wide_(rowsOf(std::max(shape.intermediateSize, shape.queryWidth()))),
      narrow_(rowsOf(shape.hiddenSize)),
      headRows_(rowsOf(3 * static_cast<size_t>(shape.hiddenSize) + 1)),
      backwardScratch_(attentionBackwardScratch(shape.block(), shape.headCount, kPieceRows) + kLanes) {
  for (int layer = 0; layer < shape.layerCount; layer++) {
    batches_.push_back({RowBatch(shape.qkvWidth(), shape.hiddenSize, kPieceRows),
                        RowBatch(shape.hiddenSize, shape.queryWidth(), kPieceRows),
                        RowBatch(2 * shape.intermediateSize, shape.hiddenSize, kPieceRows),
                        RowBatch(shape.hiddenSize, shape.intermediateSize, kPieceRows)});
  }
}

void Lane::begin(Step& step) {
  step_ = &step;
  forwardTokens_ = 0;
  loaded_.clear();
  marks_.clear();
  trunkGradients_.clear();
  arena_.release({});
  std::memset(gradient_.data(), 0, gradient_.size() * sizeof(float));
  if (!path_ || path_->positions() < step.schedule->longestPath) {
    path_ = std::make_unique<Path>(shape_, step.schedule->longestPath);
    attentionScratch_ = AlignedFloats(attentionScratch(path_->positions()) + kLanes);
  }
}

void Lane::rest() {
  step_ = nullptr;
  forwardTokens_ = 0;
  trunkGradients_.clear();
}

Tape Lane::allocateTape(int rows) {
  const size_t count = static_cast<size_t>(rows);
  const size_t hidden = shape_.hiddenSize, heads = shape_.headCount, inner = shape_.intermediateSize;
  const auto take = [&](size_t width) { return arena_.take(count * width); };
  Tape tape;
  float* residual = take(hidden);
  for (int layer = 0; layer < shape_.layerCount; layer++) {
    LayerRows to{};
    to.residual = residual;
    to.normed = take(hidden);
    to.normedInverse = take(1);
    to.qkv = take(shape_.qkvWidth());
    to.headInverse = take(heads + shape_.kvHeadCount);
    to.rotated = take(shape_.queryWidth() + shape_.kvWidth());
    to.attention = take(shape_.queryWidth());
    to.maxima = take(heads);
    to.sums = take(heads);
    to.middle = take(hidden);
    to.postNormed = take(hidden);
    to.postInverse = take(1);
    to.gateUp = take(2 * inner);
    to.activation = take(inner);
    residual = to.next = take(hidden);
    to.scratch = attentionScratch_.data();
    tape.layers.push_back(to);
  }
  tape.last = residual;
  return tape;
}

void Lane::forward(int index) {
  const Piece& piece = step_->schedule->pieces[index];
  Tape& tape = step_->tapes[index];
  tape = allocateTape(piece.rows);
  embedRows(*step_->weights, step_->plan->tokens.data() + piece.firstToken, piece.rows,
            const_cast<float*>(tape.layers[0].residual));
  std::vector<RowSpan> spans;
  for (int b = piece.firstBranch; b < piece.endBranch; b++) {
    const Branch& branch = step_->schedule->branches[b];
    spans.push_back({branch.firstRow, branch.rows, piece.firstPosition, path_->blocks()});
  }
  for (int layer = 0; layer < shape_.layerCount; layer++) {
    forwardLayer(*step_->weights, layer, path_->cache(), spans.data(), static_cast<int>(spans.size()), piece.rows,
                 tape.layers[layer]);
  }
  forwardTokens_ += piece.rows;
  loaded_.push_back(index);
  if (!piece.shared()) loadMirror(piece, tape);
}

/// Writes a branch's keys and values (the other way round when `swapped`) into their places on the path.
void Lane::loadRows(const BlockTable& to, bool swapped, int firstPosition, const Branch& branch,
                    const LayerRows& kept) {
  const int queries = shape_.queryWidth(), keys = shape_.kvWidth();
  for (int i = 0; i < branch.rows; i++) {
    const size_t row = static_cast<size_t>(branch.firstRow + i);
    const float* key = kept.rotated + row * (queries + keys) + queries;
    const float* value = kept.qkv + row * shape_.qkvWidth() + queries + keys;
    storeKeyValue(to, shape_.block(), firstPosition + i, swapped ? value : key, swapped ? key : value);
  }
}

void Lane::loadMirror(const Piece& piece, const Tape& tape) {
  const Branch all{0, piece.rows};
  for (int layer = 0; layer < shape_.layerCount; layer++) {
    loadRows(path_->mirror(layer), true, piece.firstPosition, all, tape.layers[layer]);
  }
  path_->clearGradients(piece.firstPosition, piece.rows);
}

void Lane::loadFromTape(int index) {
  const Piece& piece = step_->schedule->pieces[index];
  const Tape& tape = step_->tapes[index];
  const Branch all{0, piece.rows};
  for (int layer = 0; layer < shape_.layerCount; layer++) {
    loadRows(path_->keys(layer), false, piece.firstPosition, all, tape.layers[layer]);
  }
  loaded_.push_back(index);
  loadMirror(piece, tape);
}

void Lane::leaveTop() {
  const int index = loaded_.back();
  loaded_.pop_back();
  if (step_->schedule->trunkLane[index] < 0) {
    arena_.release(marks_.back());
    marks_.pop_back();
    return;
  }
  const Piece& piece = step_->schedule->pieces[index];
  std::vector<float>& sum = trunkGradients_[index];
  sum.resize(path_->gradientFloats(piece.rows), 0.0f);
  path_->addGradientsTo(piece.firstPosition, piece.rows, sum.data());
}

void Lane::enter(int index) {
  std::vector<int> chain;
  for (int at = index; at >= 0; at = step_->schedule->pieces[at].parent) chain.push_back(at);
  std::reverse(chain.begin(), chain.end());
  size_t common = 0;
  while (common < loaded_.size() && common < chain.size() && loaded_[common] == chain[common]) common++;
  while (loaded_.size() > common) leaveTop();
  for (size_t i = common; i < chain.size(); i++) loadFromTape(chain[i]);
}

void Lane::runTrunkForward() {
  if (step_ == nullptr) return;
  const Schedule& schedule = *step_->schedule;
  for (size_t p = 0; p < schedule.pieces.size(); p++) {
    if (schedule.trunkLane[p] != index_) continue;
    enter(schedule.pieces[p].parent);
    forward(static_cast<int>(p));
  }
}

void Lane::runUnits() {
  if (step_ == nullptr) return;
  const std::vector<Piece>& pieces = step_->schedule->pieces;
  for (const Unit& unit : step_->schedule->lanes[index_]) {
    enter(pieces[unit.first].parent);
    const size_t base = loaded_.size();
    for (int p = unit.first; p < unit.end; p++) {
      while (loaded_.size() > base && loaded_.back() != pieces[p].parent) finishTop();
      marks_.push_back(arena_.mark());
      forward(p);
    }
    while (loaded_.size() > base) finishTop();
  }
  enter(-1);
}

void Lane::finishTop() {
  backward(loaded_.back());
  leaveTop();
}

void Lane::runTrunkBackward(const std::vector<std::unique_ptr<Lane>>& lanes) {
  if (step_ == nullptr) return;
  const Schedule& schedule = *step_->schedule;
  for (int p = static_cast<int>(schedule.pieces.size()) - 1; p >= 0; p--) {
    if (schedule.trunkLane[p] != index_) continue;
    enter(schedule.pieces[p].parent);
    loadFromTape(p);
    const Piece& piece = schedule.pieces[p];
    for (const auto& lane : lanes) {
      const auto sent = lane->trunkGradients_.find(p);
      if (sent != lane->trunkGradients_.end()) {
        path_->addGradientsFrom(piece.firstPosition, piece.rows, sent->second.data());
      }
    }
    backward(p);
    loaded_.pop_back();
  }
  loaded_.clear();
  flush();
}

}  // namespace espalier
