// A stack of floats: activations of the live path are pushed and popped in depth-first order. Memory is kept for reuse.
#pragma once

#include <algorithm>
#include <vector>

#include "../kernels/aligned.h"

namespace espalier {

class Arena {
 public:
  struct Mark {
    size_t chunk = 0;
    size_t used = 0;
  };

  Mark mark() const { return at_; }
  void release(Mark mark) { at_ = mark; }

  /// Uninitialized, on a cache line; padded so that kernels may read one vector past the end.
  float* take(size_t count) {
    const size_t wanted = (count + 31) / 16 * 16;
    while (at_.chunk < chunks_.size() && chunks_[at_.chunk].size() - at_.used < wanted) at_ = {at_.chunk + 1, 0};
    if (at_.chunk == chunks_.size()) chunks_.emplace_back(std::max(wanted, kChunkFloats));
    float* taken = chunks_[at_.chunk].data() + at_.used;
    at_.used += wanted;
    return taken;
  }

 private:
  static constexpr size_t kChunkFloats = 1 << 20;
  std::vector<AlignedFloats> chunks_;
  Mark at_;
};

}  // namespace espalier
