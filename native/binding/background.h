// Work off the JavaScript thread: own threads, parked when idle (never libuv's), one promise a call.
//
// Invariants:
// 1. The promise settles exactly once, on the JavaScript thread; an exception of the work rejects it with its message.
// 2. Pending work keeps the process alive; idle threads do not.
// 3. When the environment ends, work that has begun is waited for and the rest is dropped.
#pragma once

#include <napi.h>

#include <functional>

namespace espalier::binding {

/// Makes the result, on the JavaScript thread.
using Finish = std::function<Napi::Value(Napi::Env)>;

/// Must be called once an environment, when the addon is loaded.
void startBackground(Napi::Env env);

/// `work` runs on another thread with FloatMode set and touches no JavaScript value; it holds what it uses.
Napi::Value inBackground(Napi::Env env, std::function<Finish()> work);

}  // namespace espalier::binding
