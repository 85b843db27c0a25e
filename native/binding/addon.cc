#include "table.h"

namespace {

Napi::Object init(Napi::Env env, Napi::Object exports) {
  espalier::binding::registerTable(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(espalier, init)
