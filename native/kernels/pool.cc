#include "pool.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "isa.h"

namespace espalier {

#if ESPALIER_X86
FloatMode::FloatMode() : saved_(_mm_getcsr()) { _mm_setcsr(0x1f80); }
FloatMode::~FloatMode() { _mm_setcsr(static_cast<unsigned>(saved_)); }
#elif defined(__aarch64__)
FloatMode::FloatMode() {
  asm volatile("mrs %0, fpcr" : "=r"(saved_));
  asm volatile("msr fpcr, %0" : : "r"(uint64_t{0}));
}
FloatMode::~FloatMode() { asm volatile("msr fpcr, %0" : : "r"(saved_)); }
#else
FloatMode::FloatMode() : saved_(0) {}
FloatMode::~FloatMode() {}
#endif

namespace {

struct Group {
  int jobs;
  const std::function<void(int)>* run;
  int next = 0;      // under the pool's mutex
  int finished = 0;  // under the pool's mutex
  std::exception_ptr failure;
};

class Pool {
 public:
  ~Pool() { resize(1); }

  void resize(int count) {
    const std::lock_guard<std::mutex> one(resizing_);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
    }
    work_.notify_all();
    for (std::thread& worker : workers_) worker.join();
    workers_.clear();
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = false;
    }
    for (int i = 1; i < count; i++) workers_.emplace_back([this] { serve(); });
    size_.store(count);
  }

  int size() const { return size_.load(); }

  void run(Group& group) {
    std::unique_lock<std::mutex> lock(mutex_);
    groups_.push_back(&group);
    work_.notify_all();
    while (group.next < group.jobs) runOne(group, lock);
    done_.wait(lock, [&] { return group.finished == group.jobs; });
  }

 private:
  /// Takes the group's next job, runs it without the lock.
  void runOne(Group& group, std::unique_lock<std::mutex>& lock) {
    const int job = group.next++;
    if (group.next == group.jobs) {
      for (auto at = groups_.begin(); at != groups_.end(); ++at) {
        if (*at == &group) {
          groups_.erase(at);
          break;
        }
      }
    }
    lock.unlock();
    std::exception_ptr failure;
    try {
      (*group.run)(job);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    if (failure && !group.failure) group.failure = failure;
    if (++group.finished == group.jobs) done_.notify_all();
  }

  void serve() {
    const FloatMode mode;
    std::unique_lock<std::mutex> lock(mutex_);
    while (true) {
      work_.wait(lock, [&] { return stopping_ || !groups_.empty(); });
      if (stopping_) return;
      runOne(*groups_.front(), lock);
    }
  }

  std::mutex mutex_, resizing_;
  std::condition_variable work_, done_;
  std::deque<Group*> groups_;  // those with jobs that nobody took
  std::vector<std::thread> workers_;
  std::atomic<int> size_{1};
  bool stopping_ = false;
};

Pool& pool() {
  static Pool shared;
  return shared;
}

}  // namespace

void setThreads(int count) { pool().resize(count < 1 ? 1 : count); }

int threads() { return pool().size(); }

void parallelFor(int jobs, const std::function<void(int)>& fn) {
  if (jobs <= 0) return;
  if (jobs == 1 || threads() == 1) {
    for (int job = 0; job < jobs; job++) fn(job);
    return;
  }
  Group group{jobs, &fn, 0, 0, nullptr};
  pool().run(group);
  if (group.failure) std::rethrow_exception(group.failure);
}

}  // namespace espalier
