// Weight gradients in batches: rows of dY and X of one matrix are kept until up to 128 make one product, since spans of
// a few tokens would pass over the gradient of every weight for little work.
#pragma once

#include "../kernels/aligned.h"
#include "../kernels/backward_matrix.h"

namespace espalier {

class RowBatch {
 public:
  RowBatch(int outputs, int inputs, int capacity)
      : outputs_(outputs),
        inputs_(inputs),
        capacity_(capacity),
        // Never a multiple of a page: rows of one column would share cache sets.
        stride_(padToLanes(outputs) + kLanes),
        dy_(static_cast<size_t>(capacity) * stride_ + kLanes),
        x_(static_cast<size_t>(padToLanes(inputs)) * capacity) {}

  int capacity() const { return capacity_; }
  ptrdiff_t stride() const { return stride_; }

  /// Room for `rows` <= capacity rows of dY, stride(); the caller fills it, then gives X to `commit`.
  float* reserve(int rows, float* gradient) {
    if (used_ + rows > capacity_) flush(gradient);
    return dy_.data() + static_cast<size_t>(used_) * stride_;
  }
  void commit(const float* x, int rows) {
    packColumns(x, rows, inputs_, x_.data(), capacity_, used_);
    used_ += rows;
  }
  void flush(float* gradient) {
    if (used_ > 0) addOuterProducts(dy_.data(), stride_, x_.data(), capacity_, used_, outputs_, inputs_, gradient);
    used_ = 0;
  }

 private:
  int outputs_, inputs_, capacity_;
  ptrdiff_t stride_;
  int used_ = 0;
  AlignedFloats dy_, x_;
};

}  // namespace espalier
