// A gradient lane: one live path, its activations, and a gradient buffer of its own. Lanes share nothing they write.
//
// Depth-first execution (invariants):
// 1. A piece's forward runs once, against the path's cached keys and values; its activations stay until its backward.
// 2. A piece's backward runs after all its children's, whose gradients towards its keys and values have been added to
//    the path's buffers by then. Only one path is alive, and the trunk, which lanes read together.
// 3. Branches of a shared piece stand in the same positions of the path, one after the other: each is put there for its
//    attention, forward and backward.
// 4. Logits exist only for rows that carry loss terms, a bounded number of rows at a time.
#pragma once

#include <map>
#include <memory>

#include "arena.h"
#include "loss.h"
#include "path.h"
#include "row_batch.h"
#include "schedule.h"
#include "transposed.h"

#include "../model/layer.h"

namespace espalier {

/// Activations of one piece that its backward needs.
struct Tape {
  std::vector<LayerRows> layers;
  float* last = nullptr;  // [rows][hidden], before the final norm
};

/// What all lanes of one step read, and the term results that each writes for its own pieces.
struct Step {
  const TrainPlan* plan;
  const Schedule* schedule;
  const Weights* weights;
  const Transposed* transposed;
  const Layout* layout;
  std::vector<Tape> tapes;            // [pieces]
  std::vector<float> logprobs;        // [terms]
  std::vector<double> losses;         // [terms]
  std::vector<double> slopes;         // [terms]
  std::vector<char> cut;              // [terms]
};

class Lane {
 public:
  Lane(const Shape& shape, const Layout& layout, int index);

  /// Clears the gradient; `step` must outlive the phases.
  void begin(Step& step);
  /// Phases, each run by all lanes before the next: trunk forward, units, trunk backward.
  void runTrunkForward();
  void runUnits();
  void runTrunkBackward(const std::vector<std::unique_ptr<Lane>>& lanes);

  /// Takes no part in this step: the phases do nothing.
  void rest();
  const float* gradient() const { return gradient_.data(); }
  int64_t forwardTokens() const { return forwardTokens_; }

 private:
  struct LayerBatches {
    RowBatch qkv, output, gateUp, down;
  };

  void forward(int piece);
  void backward(int piece);
  void backwardHead(const Piece& piece, const Tape& tape, float* dx);
  void backwardMlp(int layer, int rows, const LayerRows& rowsOf);
  void backwardAttention(int layer, const Piece& piece, const LayerRows& rowsOf);
  void backwardBranch(int layer, const Piece& piece, const Branch& branch, const LayerRows& rowsOf, float* dQkv,
                      ptrdiff_t stride);
  void termSlopes(int firstTerm, int endTerm, float* logits);
  void copyRows(RowBatch& batch, int rows, float* gradient);
  void flush();
  /// Makes the path hold exactly `piece` (or nothing, for -1) and its ancestors, reloading trunk pieces from tapes.
  void enter(int piece);
  void leaveTop();
  void loadFromTape(int piece);
  void loadMirror(const Piece& piece, const Tape& tape);
  void loadRows(const BlockTable& to, bool swapped, int firstPosition, const Branch& branch, const LayerRows& rowsOf);
  void finishTop();
  Tape allocateTape(int rows);

  Shape shape_;
  const Layout& layout_;
  int index_;
  Step* step_ = nullptr;
  AlignedFloats gradient_;
  Arena arena_;
  std::unique_ptr<Path> path_;
  std::vector<int> loaded_;               // pieces on the path, root first
  std::vector<Arena::Mark> marks_;        // of unit pieces on the path
  std::map<int, std::vector<float>> trunkGradients_;  // by trunk piece: what this lane sent to its keys and values
  std::vector<LayerBatches> batches_;
  RowBatch headBatch_;
  int64_t forwardTokens_ = 0;
  AlignedFloats dx_, wide_, narrow_, headRows_, attentionScratch_, backwardScratch_;
};

}  // namespace espalier
