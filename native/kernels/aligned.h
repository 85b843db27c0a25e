// Zeroed float arrays on cache-line boundaries, in huge pages where they are large: a small model is read whole for
// every token, and page borders stop the processor's prefetching.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

namespace espalier {

/// One allocation that several arrays lie in, in the order in which they are made. Freed with the last of them.
class Slab {
 public:
  explicit Slab(size_t count);
  ~Slab();
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;
  /// The next `count` floats, from a cache-line boundary; null when they do not fit.
  float* take(size_t count);
  /// What `take` uses of a slab.
  static size_t rounded(size_t count) { return (count + 15) / 16 * 16; }

 private:
  float* values_;
  size_t count_;
  size_t taken_ = 0;
  void* mapped_ = nullptr;  // the mapping that holds a large slab
  size_t mappedBytes_ = 0;
};

/// Move only.
class AlignedFloats {
 public:
  AlignedFloats() = default;
  explicit AlignedFloats(size_t count) : AlignedFloats(count, nullptr) {}
  /// Takes its memory from `slab` while that has room.
  AlignedFloats(size_t count, const std::shared_ptr<Slab>& slab);
  AlignedFloats(AlignedFloats&& other) noexcept { *this = std::move(other); }
  AlignedFloats& operator=(AlignedFloats&& other) noexcept {
    slab_ = std::move(other.slab_);
    values_ = std::exchange(other.values_, nullptr);
    count_ = std::exchange(other.count_, 0);
    return *this;
  }

  float* data() { return values_; }
  const float* data() const { return values_; }
  size_t size() const { return count_; }
  float& operator[](size_t i) { return values_[i]; }
  float operator[](size_t i) const { return values_[i]; }

 private:
  std::shared_ptr<Slab> slab_;
  float* values_ = nullptr;
  size_t count_ = 0;
};

}  // namespace espalier
