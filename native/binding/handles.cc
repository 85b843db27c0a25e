#include "handles.h"

#include <cstring>
#include <unordered_map>

#include "plan_reader.h"

namespace espalier::binding {
namespace {

/// A shape's sizes multiply to allocations: whole numbers within these bounds keep the products in range.
int readSize(const Napi::Object& from, const char* name, int most) {
  const double value = readNumber(from, name);
  if (!(value >= 1 && value <= most) || value != static_cast<int>(value)) {
    throw Napi::RangeError::New(from.Env(), std::string("shape.") + name + " must be a whole number from 1 to " +
                                                std::to_string(most));
  }
  return static_cast<int>(value);
}

/// What a shape leaves out when the model has none.
void readOptional(const Napi::Object& from, Shape& shape) {
  if (const Napi::Value bias = from.Get("attentionBias"); !bias.IsUndefined()) {
    const std::string name = bias.IsString() ? bias.As<Napi::String>().Utf8Value() : "";
    if (name != "qkv" && name != "qkvo") {
      throw Napi::RangeError::New(from.Env(), "shape.attentionBias must be 'qkv' or 'qkvo' when it is given");
    }
    shape.qkvBias = true;
    shape.outputBias = name == "qkvo";
  }
  if (const Napi::Value value = from.Get("ropeScaling"); !value.IsUndefined()) {
    if (!value.IsObject()) throw Napi::TypeError::New(from.Env(), "shape.ropeScaling must be an object when it is given");
    const auto scaling = value.As<Napi::Object>();
    const auto read = [&](const char* name) {
      const float number = static_cast<float>(readNumber(scaling, name));
      if (number > 0 && number < 1e30f) return number;
      throw Napi::RangeError::New(from.Env(), std::string("shape.ropeScaling.") + name + " must be a number above 0");
    };
    shape.ropeScaling = Llama3Scaling{read("factor"), read("lowFrequencyFactor"), read("highFrequencyFactor"),
                                      read("originalContextLength")};
  }
}

}  // namespace

Shape readShape(const Napi::Value& value) {
  if (!value.IsObject()) throw Napi::TypeError::New(value.Env(), "expected a model shape");
  const auto from = value.As<Napi::Object>();
  Shape shape;
  shape.vocabSize = readSize(from, "vocabSize", 1 << 22);
  shape.hiddenSize = readSize(from, "hiddenSize", 1 << 17);
  shape.intermediateSize = readSize(from, "intermediateSize", 1 << 19);
  shape.layerCount = readSize(from, "layerCount", 1 << 12);
  shape.headCount = readSize(from, "headCount", 1 << 12);
  shape.kvHeadCount = readSize(from, "kvHeadCount", 1 << 12);
  shape.headDim = readSize(from, "headDim", 1 << 12);
  shape.contextLength = readSize(from, "contextLength", 1 << 22);
  shape.ropeTheta = readNumber(from, "ropeTheta");
  shape.normEpsilon = static_cast<float>(readNumber(from, "normEpsilon"));
  shape.tiedEmbeddings = from.Get("tiedEmbeddings").ToBoolean().Value();
  shape.qkNorm = from.Get("qkNorm").ToBoolean().Value();
  readOptional(from, shape);
  if (shape.headCount % shape.kvHeadCount != 0) {
    throw Napi::RangeError::New(from.Env(), "shape.headCount must be a multiple of shape.kvHeadCount");
  }
  if (shape.headDim % 2 != 0) throw Napi::RangeError::New(from.Env(), "shape.headDim must be even");
  if (!(shape.ropeTheta >= 1 && shape.ropeTheta <= 1e300)) {
    throw Napi::RangeError::New(from.Env(), "shape.ropeTheta must be a number from 1 to 1e300");
  }
  return shape;
}

Napi::Value wrapWeights(Napi::Env env, std::shared_ptr<const Weights> weights) {
  size_t bytes = 0;
  for (const TensorSpec& spec : tensorSpecs(weights->shape)) bytes += spec.size() * sizeof(float);
  return wrapHandle<const Weights>(env, HandleKind::weights, std::move(weights), bytes);
}

std::shared_ptr<const Weights> unwrapWeights(const Napi::Value& value) {
  return unwrapHandle<const Weights>(value, HandleKind::weights, "weights");
}

std::vector<const float*> readTensors(const Napi::Value& value, const std::vector<TensorSpec>& specs) {
  const Napi::Env env = value.Env();
  if (!value.IsObject()) throw Napi::TypeError::New(env, "expected tensors { names, data }");
  const auto object = value.As<Napi::Object>();
  const Napi::Value names = object.Get("names"), data = object.Get("data");
  if (!names.IsArray() || !data.IsArray() || names.As<Napi::Array>().Length() != data.As<Napi::Array>().Length()) {
    throw Napi::TypeError::New(env, "tensors.names and tensors.data must be arrays of one length");
  }
  std::unordered_map<std::string, Napi::Value> given;
  for (uint32_t i = 0; i < names.As<Napi::Array>().Length(); i++) {
    given[names.As<Napi::Array>().Get(i).ToString().Utf8Value()] = data.As<Napi::Array>().Get(i);
  }
  std::vector<const float*> found;
  for (const TensorSpec& spec : specs) {
    const auto at = given.find(spec.name);
    if (at == given.end()) throw Napi::RangeError::New(env, "tensor " + spec.name + " is missing");
    if (!at->second.IsTypedArray() ||
        at->second.As<Napi::TypedArray>().TypedArrayType() != napi_float32_array) {
      throw Napi::TypeError::New(env, "tensor " + spec.name + " is not a Float32Array");
    }
    const auto array = at->second.As<Napi::Float32Array>();
    if (array.ElementLength() != spec.size()) {
      throw Napi::RangeError::New(env, "tensor " + spec.name + " has " + std::to_string(array.ElementLength()) +
                                           " elements, the shape asks for " + std::to_string(spec.rows) + " x " +
                                           std::to_string(spec.columns));
    }
    found.push_back(array.Data());
  }
  return found;
}

Napi::Value makeTensors(Napi::Env env, const std::vector<TensorSpec>& specs,
                        const std::function<void(size_t, float*)>& fill) {
  auto names = Napi::Array::New(env, specs.size());
  auto data = Napi::Array::New(env, specs.size());
  for (size_t i = 0; i < specs.size(); i++) {
    auto values = Napi::Float32Array::New(env, specs[i].size());
    fill(i, values.Data());
    names.Set(static_cast<uint32_t>(i), specs[i].name);
    data.Set(static_cast<uint32_t>(i), values);
  }
  auto tensors = Napi::Object::New(env);
  tensors.Set("names", names);
  tensors.Set("data", data);
  return tensors;
}

Napi::Float32Array floatArray(Napi::Env env, const std::vector<float>& values) {
  auto array = Napi::Float32Array::New(env, values.size());
  if (!values.empty()) std::memcpy(array.Data(), values.data(), values.size() * sizeof(float));
  return array;
}

Napi::Int32Array intArray(Napi::Env env, const std::vector<int32_t>& values) {
  auto array = Napi::Int32Array::New(env, values.size());
  if (!values.empty()) std::memcpy(array.Data(), values.data(), values.size() * sizeof(int32_t));
  return array;
}

}  // namespace espalier::binding
