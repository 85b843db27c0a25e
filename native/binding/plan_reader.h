// TrainPlan (src/native/native.ts) as C++ reads it: the arrays are copied, so JavaScript may reuse them at once.
//
// No defaults, no checks of meaning: `checkPlan` (train/schedule.h) does those.
#pragma once
#include <napi.h>

#include <string>
#include <vector>

#include "../train/plan.h"

namespace espalier::binding {

inline std::vector<int32_t> readInts(const Napi::Object& from, const char* name) {
  const Napi::Value value = from.Get(name);
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_int32_array)
    throw Napi::TypeError::New(from.Env(), std::string("plan.") + name + " is not an Int32Array");
  const auto array = value.As<Napi::Int32Array>();
  return {array.Data(), array.Data() + array.ElementLength()};
}

inline std::vector<float> readFloats(const Napi::Object& from, const char* name) {
  const Napi::Value value = from.Get(name);
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_float32_array)
    throw Napi::TypeError::New(from.Env(), std::string("plan.") + name + " is not a Float32Array");
  const auto array = value.As<Napi::Float32Array>();
  return {array.Data(), array.Data() + array.ElementLength()};
}

inline double readNumber(const Napi::Object& from, const char* name) {
  const Napi::Value value = from.Get(name);
  if (!value.IsNumber()) throw Napi::TypeError::New(from.Env(), std::string("plan.") + name + " is not a number");
  return value.As<Napi::Number>().DoubleValue();
}

inline std::string readString(const Napi::Object& from, const char* name) {
  const Napi::Value value = from.Get(name);
  if (!value.IsString()) throw Napi::TypeError::New(from.Env(), std::string("plan.") + name + " is not a string");
  return value.As<Napi::String>().Utf8Value();
}

inline TrainPlan readPlan(const Napi::Object& from) {
  TrainPlan plan;
  plan.tokens = readInts(from, "tokens");
  plan.spanStart = readInts(from, "spanStart");
  plan.spanParent = readInts(from, "spanParent");
  plan.termNode = readInts(from, "termNode");
  plan.termTarget = readInts(from, "termTarget");
  plan.termBehaviorLogprob = readFloats(from, "termBehaviorLogprob");
  plan.termAPos = readFloats(from, "termAPos");
  plan.termANeg = readFloats(from, "termANeg");
  plan.termCount = readFloats(from, "termCount");
  plan.clipped = readString(from, "objective") == "clipped";
  plan.normalizer = readNumber(from, "normalizer");
  plan.clipLow = readNumber(from, "clipLow");
  plan.clipHigh = readNumber(from, "clipHigh");
  plan.muon = readString(from, "matrices") == "muon";
  plan.learningRate = readNumber(from, "learningRate");
  plan.muonLearningRate = readNumber(from, "muonLearningRate");
  plan.muonMomentum = readNumber(from, "muonMomentum");
  plan.beta1 = readNumber(from, "beta1");
  plan.beta2 = readNumber(from, "beta2");
  plan.epsilon = readNumber(from, "epsilon");
  plan.weightDecay = readNumber(from, "weightDecay");
  plan.gradientClip = readNumber(from, "gradientClip");
  return plan;
}

}  // namespace espalier::binding
