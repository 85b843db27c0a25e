// The twin for tests, as an addon of its own (native/build/espalier-test.node): the engine's addon carries no test
// code.
#include <napi.h>

#include "../binding/plan_reader.h"
#include "twin.h"

namespace {

using espalier::TrainPlan;
using espalier::binding::readNumber;
namespace twin = espalier::twin;

twin::Shape readShape(const Napi::Object& from) {
  const auto integer = [&](const char* name) { return int(readNumber(from, name)); };
  const Napi::Value bias = from.Get("attentionBias"), scaling = from.Get("ropeScaling");
  std::vector<float> scalingNumbers;
  if (scaling.IsObject()) {
    for (const char* name : {"factor", "lowFrequencyFactor", "highFrequencyFactor", "originalContextLength"})
      scalingNumbers.push_back(float(readNumber(scaling.As<Napi::Object>(), name)));
  }
  return {integer("vocabSize"),
          integer("hiddenSize"),
          integer("intermediateSize"),
          integer("layerCount"),
          integer("headCount"),
          integer("kvHeadCount"),
          integer("headDim"),
          readNumber(from, "ropeTheta"),
          readNumber(from, "normEpsilon"),
          from.Get("tiedEmbeddings").ToBoolean().Value(),
          from.Get("qkNorm").ToBoolean().Value(),
          bias.IsString(),
          bias.IsString() && bias.As<Napi::String>().Utf8Value() == "qkvo",
          scalingNumbers};
}

template <typename T>
Napi::Value run(Napi::Env env, const twin::Shape& shape, const Napi::Object& tensors, const TrainPlan& plan,
                bool withGradients) {
  twin::Parameters<T> parameters;
  const auto names = tensors.Get("names").As<Napi::Array>();
  const auto data = tensors.Get("data").As<Napi::Array>();
  for (uint32_t i = 0; i < names.Length(); ++i) {
    const auto values = data.Get(i).As<Napi::Float64Array>();
    auto& parameter = parameters[names.Get(i).As<Napi::String>().Utf8Value()];
    parameter.assign(values.Data(), values.Data() + values.ElementLength());
  }
  const auto outcome = twin::Model<T>(shape, parameters).run(plan, withGradients);
  const auto array = [&](const std::vector<T>& values) {
    auto copy = Napi::Float64Array::New(env, values.size());
    for (size_t i = 0; i < values.size(); ++i) copy[i] = double(values[i]);
    return copy;
  };
  auto gradientNames = Napi::Array::New(env);
  auto gradientData = Napi::Array::New(env);
  uint32_t count = 0;
  for (const auto& [name, values] : outcome.gradients) {
    gradientNames.Set(count, name);
    gradientData.Set(count++, array(values));
  }
  auto result = Napi::Object::New(env);
  result.Set("loss", outcome.loss);
  result.Set("termLogprobs", array(outcome.termLogprobs));
  result.Set("names", gradientNames);
  result.Set("data", gradientData);
  return result;
}

// twin(shape, tensors of Float64Array, plan, 'double' | 'float', withGradients)
Napi::Value twinRun(const Napi::CallbackInfo& info) {
  const auto shape = readShape(info[0].As<Napi::Object>());
  const auto tensors = info[1].As<Napi::Object>();
  const auto plan = espalier::binding::readPlan(info[2].As<Napi::Object>());
  const bool withGradients = info[4].ToBoolean();
  const bool single = info[3].As<Napi::String>().Utf8Value() == "float";
  return single ? run<float>(info.Env(), shape, tensors, plan, withGradients)
                : run<double>(info.Env(), shape, tensors, plan, withGradients);
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("twin", Napi::Function::New(env, twinRun));
  return exports;
}

}  // namespace

NODE_API_MODULE(espalier_test, init)
