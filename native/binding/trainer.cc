#include "../train/trainer.h"

#include "background.h"
#include "handles.h"
#include "plan_reader.h"
#include "table.h"

namespace espalier::binding {
namespace {

std::shared_ptr<Trainer> unwrapTrainer(const Napi::Value& value) {
  return unwrapHandle<Trainer>(value, HandleKind::trainer, "trainer");
}

Napi::Value rejected(Napi::Env env, const Napi::Error& error) {
  auto deferred = Napi::Promise::Deferred::New(env);
  deferred.Reject(error.Value());
  return deferred.Promise();
}

std::shared_ptr<TrainPlan> sharedPlan(const Napi::Value& value) {
  if (!value.IsObject()) throw Napi::TypeError::New(value.Env(), "expected a train plan");
  return std::make_shared<TrainPlan>(readPlan(value.As<Napi::Object>()));
}

}  // namespace

Napi::Value createTrainer(const Napi::CallbackInfo& info) {
  const auto weights = unwrapWeights(info[0]);
  auto trainer = std::make_shared<Trainer>(weights);
  // Masters, gradients of the lanes and their sum, two moments and momentum.
  const size_t bytes = trainer->layout().total * sizeof(float) * 9;
  return wrapHandle(info.Env(), HandleKind::trainer, std::move(trainer), bytes);
}

namespace {

Napi::Value outcomeOf(const Napi::CallbackInfo& info, TrainOutcome (Trainer::*compute)(const TrainPlan&)) {
  try {
    const auto trainer = unwrapTrainer(info[0]);
    const auto plan = sharedPlan(info[1]);
    return inBackground(info.Env(), [trainer, plan, compute]() -> Finish {
      auto outcome = std::make_shared<TrainOutcome>((*trainer.*compute)(*plan));
      return [outcome](Napi::Env env) -> Napi::Value {
        auto object = Napi::Object::New(env);
        object.Set("loss", outcome->loss);
        object.Set("gradientNorm", outcome->gradientNorm);
        object.Set("clipFraction", outcome->clipFraction);
        object.Set("forwardTokens", static_cast<double>(outcome->forwardTokens));
        object.Set("pieces", static_cast<double>(outcome->pieces));
        object.Set("termLogprobs", floatArray(env, outcome->termLogprobs));
        return object;
      };
    });
  } catch (const Napi::Error& error) {
    return rejected(info.Env(), error);
  }
}

}  // namespace

Napi::Value accumulate(const Napi::CallbackInfo& info) { return outcomeOf(info, &Trainer::accumulate); }

Napi::Value train(const Napi::CallbackInfo& info) { return outcomeOf(info, &Trainer::train); }

Napi::Value gradients(const Napi::CallbackInfo& info) {
  try {
    const auto trainer = unwrapTrainer(info[0]);
    const auto plan = sharedPlan(info[1]);
    return inBackground(info.Env(), [trainer, plan]() -> Finish {
      auto flat = std::make_shared<std::vector<float>>(trainer->gradients(*plan));
      return [trainer, flat](Napi::Env env) -> Napi::Value {
        const Layout& layout = trainer->layout();
        return makeTensors(env, layout.specs, [&](size_t index, float* to) {
          std::copy_n(flat->data() + layout.offsets[index], layout.specs[index].size(), to);
        });
      };
    });
  } catch (const Napi::Error& error) {
    return rejected(info.Env(), error);
  }
}

Napi::Value trainedWeights(const Napi::CallbackInfo& info) {
  return wrapWeights(info.Env(), unwrapTrainer(info[0])->weights());
}

Napi::Value exportOptimizer(const Napi::CallbackInfo& info) {
  const auto trainer = unwrapTrainer(info[0]);
  const auto state = trainer->exportState();
  return makeTensors(info.Env(), trainer->stateSpecs(),
                     [&](size_t index, float* to) { std::copy(state[index].begin(), state[index].end(), to); });
}

Napi::Value importOptimizer(const Napi::CallbackInfo& info) {
  const auto trainer = unwrapTrainer(info[0]);
  trainer->importState(readTensors(info[1], trainer->stateSpecs()));
  return info.Env().Undefined();
}

}  // namespace espalier::binding
