#include "background.h"

#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "../kernels/pool.h"

namespace espalier::binding {
namespace {

/// Calls that may be computed at once; each may use the kernels' pool besides.
constexpr size_t kMostThreads = 4;

struct Job {
  explicit Job(Napi::Env env) : deferred(Napi::Promise::Deferred::New(env)) {}
  Napi::Promise::Deferred deferred;
  std::function<Finish()> work;
  Finish finish;
  std::string failure;
};

class Background {
 public:
  explicit Background(Napi::Env env)
      : settle_(Napi::ThreadSafeFunction::New(env, Napi::Function::New(env, [](const Napi::CallbackInfo&) {}),
                                              "espalier", 0, 1)) {
    settle_.Unref(env);
  }

  Napi::Value start(Napi::Env env, std::function<Finish()> work) {
    auto job = std::make_unique<Job>(env);
    job->work = std::move(work);
    const Napi::Promise promise = job->deferred.Promise();
    if (pending_++ == 0) settle_.Ref(env);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      queue_.push_back(std::move(job));
      if (idle_ < queue_.size() && threads_.size() < kMostThreads) threads_.emplace_back([this] { serve(); });
    }
    wake_.notify_one();
    return promise;
  }

  void stop() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    settle_.Abort();
  }

 private:
  void serve() {
    const FloatMode mode;
    std::unique_lock<std::mutex> lock(mutex_);
    while (true) {
      idle_++;
      wake_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
      idle_--;
      if (stopping_) return;
      std::unique_ptr<Job> job = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      run(std::move(job));
      lock.lock();
    }
  }

  void run(std::unique_ptr<Job> job) {
    try {
      job->finish = job->work();
    } catch (const std::exception& thrown) {
      job->failure = thrown.what();
    } catch (...) {
      job->failure = "native work failed";
    }
    job->work = nullptr;
    Job* raw = job.release();
    // Refused only while the environment ends: then nobody waits for the promise.
    settle_.NonBlockingCall(raw, [this](Napi::Env env, Napi::Function, Job* done) { finish(env, done); });
  }

  void finish(Napi::Env env, Job* raw) {
    const std::unique_ptr<Job> job(raw);
    if (--pending_ == 0) settle_.Unref(env);
    try {
      settle(env, *job);
    } catch (const Napi::Error&) {
      // A worker thread is being terminated: every call into JavaScript fails, and nobody waits for the promise.
    }
  }

  static void settle(Napi::Env env, Job& job) {
    if (!job.finish) {
      job.deferred.Reject(Napi::Error::New(env, job.failure).Value());
      return;
    }
    try {
      job.deferred.Resolve(job.finish(env));
    } catch (const Napi::Error& thrown) {
      job.deferred.Reject(thrown.Value());
    } catch (const std::exception& thrown) {
      job.deferred.Reject(Napi::Error::New(env, thrown.what()).Value());
    }
  }

  Napi::ThreadSafeFunction settle_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::unique_ptr<Job>> queue_;
  std::vector<std::thread> threads_;
  size_t idle_ = 0;
  size_t pending_ = 0;  // JavaScript thread only
  bool stopping_ = false;
};

}  // namespace

void startBackground(Napi::Env env) {
  auto* background = new Background(env);
  env.SetInstanceData(background);
  // Added after the thread-safe function's own hook, so it runs before it.
  env.AddCleanupHook([](Background* ending) { ending->stop(); }, background);
}

Napi::Value inBackground(Napi::Env env, std::function<Finish()> work) {
  return env.GetInstanceData<Background>()->start(env, std::move(work));
}

}  // namespace espalier::binding
