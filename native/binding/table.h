// The table of src/native/native.ts: same names, same order. Checks only what keeps memory safe.
#pragma once

#include <napi.h>

namespace espalier::binding {

// runtime.cc
Napi::Value instructionSet(const Napi::CallbackInfo& info);
Napi::Value setThreads(const Napi::CallbackInfo& info);
// inference.cc
Napi::Value cacheBlockTokens(const Napi::CallbackInfo& info);
Napi::Value cacheBlockBytes(const Napi::CallbackInfo& info);
Napi::Value createWeights(const Napi::CallbackInfo& info);
Napi::Value exportWeights(const Napi::CallbackInfo& info);
Napi::Value createCache(const Napi::CallbackInfo& info);
Napi::Value copyBlock(const Napi::CallbackInfo& info);
Napi::Value forward(const Napi::CallbackInfo& info);
Napi::Value score(const Napi::CallbackInfo& info);
Napi::Value logits(const Napi::CallbackInfo& info);
// trainer.cc
Napi::Value createTrainer(const Napi::CallbackInfo& info);
Napi::Value accumulate(const Napi::CallbackInfo& info);
Napi::Value train(const Napi::CallbackInfo& info);
Napi::Value gradients(const Napi::CallbackInfo& info);
Napi::Value trainedWeights(const Napi::CallbackInfo& info);
Napi::Value exportOptimizer(const Napi::CallbackInfo& info);
Napi::Value importOptimizer(const Napi::CallbackInfo& info);

/// Adds all of the above to `exports` and starts the background threads' owner.
void registerTable(Napi::Env env, Napi::Object exports);

}  // namespace espalier::binding
