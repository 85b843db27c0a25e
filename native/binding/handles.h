// Handles, shapes and tensors as they cross the boundary. Wrong kinds and sizes throw one clear line; nothing else is
// checked here.
#pragma once

#include <napi.h>

#include <memory>
#include <string>
#include <vector>

#include "../model/cache.h"
#include "../model/weights.h"

namespace espalier::binding {

enum class HandleKind : uint32_t { weights = 0x65737731, cache = 0x65736331, trainer = 0x65737431 };

struct HandleBase {
  HandleKind kind;
  size_t bytes;
};

template <class T>
struct Handle : HandleBase {
  std::shared_ptr<T> value;
};

/// An External that shares `value` until it is collected; `bytes` is told to the garbage collector.
template <class T>
Napi::Value wrapHandle(Napi::Env env, HandleKind kind, std::shared_ptr<T> value, size_t bytes) {
  auto* handle = new Handle<T>{{kind, bytes}, std::move(value)};
  Napi::MemoryManagement::AdjustExternalMemory(env, static_cast<int64_t>(bytes));
  return Napi::External<HandleBase>::New(env, handle, [](Napi::BasicEnv owner, HandleBase* base) {
    Napi::MemoryManagement::AdjustExternalMemory(owner, -static_cast<int64_t>(base->bytes));
    delete static_cast<Handle<T>*>(base);
  });
}

/// Throws a TypeError "expected a ... handle" when `value` is not of that kind.
template <class T>
std::shared_ptr<T> unwrapHandle(const Napi::Value& value, HandleKind kind, const char* name) {
  if (value.IsExternal()) {
    auto* base = value.As<Napi::External<HandleBase>>().Data();
    if (base->kind == kind) return static_cast<Handle<T>*>(base)->value;
  }
  throw Napi::TypeError::New(value.Env(), std::string("expected a ") + name + " handle");
}

Napi::Value wrapWeights(Napi::Env env, std::shared_ptr<const Weights> weights);
std::shared_ptr<const Weights> unwrapWeights(const Napi::Value& value);

Shape readShape(const Napi::Value& value);

/// Tensors { names, data }: views of JavaScript memory, valid until the call returns. In the order of `specs`; throws
/// when one is missing or of another size. Names that `specs` lacks are ignored.
std::vector<const float*> readTensors(const Napi::Value& value, const std::vector<TensorSpec>& specs);

/// New tensors in the order of `specs`; `fill(index, to)` writes each.
Napi::Value makeTensors(Napi::Env env, const std::vector<TensorSpec>& specs,
                        const std::function<void(size_t, float*)>& fill);

/// A copy as Float32Array.
Napi::Float32Array floatArray(Napi::Env env, const std::vector<float>& values);
Napi::Int32Array intArray(Napi::Env env, const std::vector<int32_t>& values);

}  // namespace espalier::binding
