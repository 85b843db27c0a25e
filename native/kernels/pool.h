// The own thread pool: parked on a condition variable, never spinning, never libuv's.
// Results never depend on its size: jobs own what they write.
#pragma once

#include <cstdint>
#include <functional>

namespace espalier {

/// Sets rounding to nearest, subnormals kept, exceptions masked (rule 4) while it lives.
class FloatMode {
 public:
  FloatMode();
  ~FloatMode();
  FloatMode(const FloatMode&) = delete;
  FloatMode& operator=(const FloatMode&) = delete;

 private:
  uint64_t saved_;
};

/// Threads that take part in a parallelFor, the calling one included. At least 1.
void setThreads(int count);
int threads();

/// Runs fn(0..jobs-1), each once, on the calling thread and the pool's; returns when all are done. Calls from several
/// threads at once share the pool. The first exception of a job is thrown here.
void parallelFor(int jobs, const std::function<void(int)>& fn);

}  // namespace espalier
