// Weights under training: one step runs the trie, folds the lanes' gradients and updates the masters.
//
// Invariants:
// 1. Results do not depend on threads: lanes are dealt by the schedule, folded in lane order, and threads take whole
//    lanes, elements or matrices.
// 2. A step that fails (a plan that is wrong, a gradient that is not finite) changes no weights, and drops the gradient
//    that was accumulated for it.
// 3. Snapshots are immutable: each step packs a new one.
#pragma once

#include <mutex>

#include "lane.h"
#include "optimizer.h"

namespace espalier {

class Trainer {
 public:
  explicit Trainer(std::shared_ptr<const Weights> weights);

  /// Keeps the plan's gradient for the step that `train` makes; what was kept before is added to it.
  TrainOutcome accumulate(const TrainPlan& plan);
  TrainOutcome train(const TrainPlan& plan);
  /// Loss gradients alone, in the order of tensorSpecs without gaps.
  std::vector<float> gradients(const TrainPlan& plan);
  std::shared_ptr<const Weights> weights();
  const Layout& layout() const { return layout_; }

  const std::vector<TensorSpec>& stateSpecs() const { return optimizer_.stateSpecs(); }
  std::vector<std::vector<float>> exportState();
  void importState(const std::vector<const float*>& tensors);

 private:
  TrainOutcome addGradient(const TrainPlan& plan);
  void foldLanes(const Schedule& schedule, bool adds);

  std::mutex busy_;
  Shape shape_;
  Layout layout_;
  std::shared_ptr<const Weights> weights_;
  AlignedFloats masters_, gradient_;
  bool pending_ = false;  // gradient_ waits for its step
  Transposed transposed_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  Optimizer optimizer_;
};

}  // namespace espalier
