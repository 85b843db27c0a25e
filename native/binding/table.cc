#include "table.h"

#include "background.h"

namespace espalier::binding {

void registerTable(Napi::Env env, Napi::Object exports) {
  startBackground(env);
  const auto add = [&](const char* name, Napi::Value (*function)(const Napi::CallbackInfo&)) {
    exports.Set(name, Napi::Function::New(env, function, name));
  };
  add("instructionSet", instructionSet);
  add("setThreads", setThreads);
  add("cacheBlockTokens", cacheBlockTokens);
  add("cacheBlockBytes", cacheBlockBytes);
  add("createWeights", createWeights);
  add("exportWeights", exportWeights);
  add("createCache", createCache);
  add("copyBlock", copyBlock);
  add("forward", forward);
  add("score", score);
  add("logits", logits);
  add("createTrainer", createTrainer);
  add("accumulate", accumulate);
  add("train", train);
  add("gradients", gradients);
  add("trainedWeights", trainedWeights);
  add("exportOptimizer", exportOptimizer);
  add("importOptimizer", importOptimizer);
}

}  // namespace espalier::binding
