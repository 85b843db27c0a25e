#include "../kernels/isa.h"
#include "../kernels/pool.h"
#include "table.h"

namespace espalier::binding {

Napi::Value instructionSet(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), isaName(currentIsa()));
}

Napi::Value setThreads(const Napi::CallbackInfo& info) {
  const double count = info[0].IsNumber() ? info[0].As<Napi::Number>().DoubleValue() : 0;
  if (!(count >= 1 && count <= 1024)) throw Napi::RangeError::New(info.Env(), "thread count must be from 1 to 1024");
  espalier::setThreads(static_cast<int>(count));
  return info.Env().Undefined();
}

}  // namespace espalier::binding
