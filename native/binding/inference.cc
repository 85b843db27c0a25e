#include <stdexcept>

#include "../model/forward.h"
#include "background.h"
#include "handles.h"
#include "plan_reader.h"
#include "table.h"

namespace espalier::binding {
namespace {

std::shared_ptr<Cache> unwrapCache(const Napi::Value& value) {
  return unwrapHandle<Cache>(value, HandleKind::cache, "cache");
}

int readIndex(const Napi::CallbackInfo& info, size_t argument, int64_t below, const char* name) {
  const double value = info[argument].IsNumber() ? info[argument].As<Napi::Number>().DoubleValue() : -1;
  if (!(value >= 0 && value < static_cast<double>(below))) {
    throw Napi::RangeError::New(info.Env(), std::string(name) + " must be from 0 to " + std::to_string(below - 1));
  }
  return static_cast<int>(value);
}

template <class Array, class Element>
std::vector<Element> readArray(const Napi::Object& from, const char* name, napi_typedarray_type type,
                               const char* typeName) {
  const Napi::Value value = from.Get(name);
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type) {
    throw Napi::TypeError::New(from.Env(), std::string("plan.") + name + " is not a " + typeName);
  }
  const auto array = value.As<Array>();
  return std::vector<Element>(array.Data(), array.Data() + array.ElementLength());
}

ForwardPlan readForwardPlan(const Napi::Value& value) {
  if (!value.IsObject()) throw Napi::TypeError::New(value.Env(), "expected a forward plan");
  const auto from = value.As<Napi::Object>();
  ForwardPlan plan;
  plan.tokens = readInts(from, "tokens");
  plan.tokenStart = readInts(from, "tokenStart");
  plan.firstPosition = readInts(from, "firstPosition");
  plan.blockStart = readInts(from, "blockStart");
  plan.blocks = readInts(from, "blocks");
  plan.draw = readArray<Napi::Uint8Array, uint8_t>(from, "draw", napi_uint8_array, "Uint8Array");
  plan.temperature = readFloats(from, "temperature");
  plan.topK = readInts(from, "topK");
  plan.topP = readFloats(from, "topP");
  plan.minP = readFloats(from, "minP");
  plan.seed = readArray<Napi::BigUint64Array, uint64_t>(from, "seed", napi_biguint64_array, "BigUint64Array");
  return plan;
}

std::vector<int32_t> readIds(const Napi::Value& value, const Shape& shape) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_int32_array) {
    throw Napi::TypeError::New(value.Env(), "ids is not an Int32Array");
  }
  const auto array = value.As<Napi::Int32Array>();
  std::vector<int32_t> ids(array.Data(), array.Data() + array.ElementLength());
  const std::string fault = idsFault(shape, ids);
  if (!fault.empty()) throw Napi::RangeError::New(value.Env(), fault);
  return ids;
}

/// A fault of the arguments rejects, as a fault of the work does.
Napi::Value rejected(Napi::Env env, const Napi::Error& error) {
  auto deferred = Napi::Promise::Deferred::New(env);
  deferred.Reject(error.Value());
  return deferred.Promise();
}

}  // namespace

Napi::Value cacheBlockTokens(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), kBlockTokens); }

Napi::Value cacheBlockBytes(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(Cache::blockBytes(readShape(info[0]))));
}

Napi::Value createWeights(const Napi::CallbackInfo& info) {
  const Shape shape = readShape(info[0]);
  const std::vector<const float*> tensors = readTensors(info[1], tensorSpecs(shape));
  return wrapWeights(info.Env(), packWeights(shape, [&](size_t index) { return tensors[index]; }));
}

Napi::Value exportWeights(const Napi::CallbackInfo& info) {
  const auto weights = unwrapWeights(info[0]);
  return makeTensors(info.Env(), tensorSpecs(weights->shape),
                     [&](size_t index, float* to) { unpackTensor(*weights, index, to); });
}

Napi::Value createCache(const Napi::CallbackInfo& info) {
  const Shape shape = readShape(info[0]);
  const int blocks = readIndex(info, 1, int64_t{1} << 24, "block count");
  const size_t bytes = Cache::blockBytes(shape) * static_cast<size_t>(blocks);
  try {
    return wrapHandle(info.Env(), HandleKind::cache, std::make_shared<Cache>(shape, blocks), bytes);
  } catch (const std::bad_alloc&) {
    throw Napi::Error::New(info.Env(), "no memory for a cache of " + std::to_string(blocks) + " blocks (" +
                                           std::to_string(bytes) + " bytes): ask for fewer");
  }
}

Napi::Value copyBlock(const Napi::CallbackInfo& info) {
  const auto cache = unwrapCache(info[0]);
  const int from = readIndex(info, 1, cache->blockCount(), "block");
  const int to = readIndex(info, 2, cache->blockCount(), "block");
  const int count = readIndex(info, 3, kBlockTokens + 1, "token count");
  if (from != to) cache->copyBlock(from, to, count);
  return info.Env().Undefined();
}

Napi::Value forward(const Napi::CallbackInfo& info) {
  try {
    const auto weights = unwrapWeights(info[0]);
    const auto cache = unwrapCache(info[1]);
    auto plan = std::make_shared<ForwardPlan>(readForwardPlan(info[2]));
    const std::string fault = planFault(weights->shape, *cache, *plan);
    if (!fault.empty()) throw Napi::RangeError::New(info.Env(), fault);
    return inBackground(info.Env(), [weights, cache, plan]() -> Finish {
      auto result = std::make_shared<ForwardResult>(espalier::forward(*weights, *cache, *plan));
      return [result](Napi::Env env) -> Napi::Value {
        auto object = Napi::Object::New(env);
        object.Set("ids", intArray(env, result->ids));
        object.Set("logprobs", floatArray(env, result->logprobs));
        object.Set("entropies", floatArray(env, result->entropies));
        return object;
      };
    });
  } catch (const Napi::Error& error) {
    return rejected(info.Env(), error);
  }
}

namespace {

Napi::Value flatInBackground(const Napi::CallbackInfo& info,
                             std::vector<float> (*compute)(const Weights&, const std::vector<int32_t>&)) {
  try {
    const auto weights = unwrapWeights(info[0]);
    const std::vector<int32_t> ids = readIds(info[1], weights->shape);
    return inBackground(info.Env(), [weights, ids, compute]() -> Finish {
      auto values = std::make_shared<std::vector<float>>(compute(*weights, ids));
      return [values](Napi::Env env) -> Napi::Value { return floatArray(env, *values); };
    });
  } catch (const Napi::Error& error) {
    return rejected(info.Env(), error);
  }
}

}  // namespace

Napi::Value score(const Napi::CallbackInfo& info) { return flatInBackground(info, espalier::score); }

Napi::Value logits(const Napi::CallbackInfo& info) { return flatInBackground(info, espalier::logits); }

}  // namespace espalier::binding
