#include "aligned.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace espalier {
namespace {

constexpr size_t kLine = 64;
constexpr size_t kHugePage = size_t{2} << 20;

}  // namespace

Slab::Slab(size_t count) : values_(nullptr), count_(rounded(count)) {
  const size_t bytes = std::max<size_t>(count_ * sizeof(float), kLine);
#if defined(__linux__)
  if (bytes >= kHugePage / 2) {
    // Fresh pages are zero and cost nothing until they are touched. Room for a huge page's border.
    mappedBytes_ = (bytes + kHugePage - 1) / kHugePage * kHugePage + kHugePage;
    mapped_ = mmap(nullptr, mappedBytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped_ == MAP_FAILED) throw std::bad_alloc();
    const uintptr_t first = (reinterpret_cast<uintptr_t>(mapped_) + kHugePage - 1) / kHugePage * kHugePage;
    values_ = reinterpret_cast<float*>(first);
    // Advice: without huge pages everything works, slower.
    madvise(values_, mappedBytes_ - kHugePage, MADV_HUGEPAGE);
    return;
  }
#endif
  values_ = static_cast<float*>(std::aligned_alloc(kLine, bytes));
  if (values_ == nullptr) throw std::bad_alloc();
  std::memset(values_, 0, bytes);
}

Slab::~Slab() {
#if defined(__linux__)
  if (mapped_ != nullptr) {
    munmap(mapped_, mappedBytes_);
    return;
  }
#endif
  std::free(values_);
}

float* Slab::take(size_t count) {
  if (count_ - taken_ < rounded(count)) return nullptr;
  float* from = values_ + taken_;
  taken_ += rounded(count);
  return from;
}

AlignedFloats::AlignedFloats(size_t count, const std::shared_ptr<Slab>& slab) : slab_(slab), count_(count) {
  if (count == 0) return;
  if (slab_) values_ = slab_->take(count);
  if (values_ != nullptr) return;
  slab_ = std::make_shared<Slab>(count);
  values_ = slab_->take(count);
}

}  // namespace espalier
