// The update: global-norm clip, then AdamW, or Muon for matrices. State is float32 and leaves and enters bit for bit.
//
// Invariants:
// 1. Sums have one order and threads own elements or matrices: results never depend on their number.
// 2. Norm gains and biases are never decayed; Muon takes neither them nor embeddings and the head.
#pragma once

#include "../kernels/aligned.h"
#include "layout.h"
#include "plan.h"

namespace espalier {

class Optimizer {
 public:
  explicit Optimizer(const Layout& layout);

  /// Norm of the whole gradient, [layout.total].
  static double norm(const float* gradient, size_t total);
  /// One step of `weights`, [layout.total]; `norm` is the gradient's.
  void update(const TrainPlan& plan, const float* gradient, double norm, float* weights);

  /// `step` (one element), then for every tensor `NAME.m` and `NAME.v`, and `NAME.momentum` for matrices.
  const std::vector<TensorSpec>& stateSpecs() const { return stateSpecs_; }
  void exportState(size_t index, float* to) const;
  void importState(size_t index, const float* from);

 private:
  const Layout& layout_;
  float step_ = 0;
  AlignedFloats first_, second_, momentum_;
  std::vector<TensorSpec> stateSpecs_;
  std::vector<float*> places_;
};

}  // namespace espalier
