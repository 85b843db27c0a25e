// The engine's table once more, and beside it what only tests need: the choice of instruction set, each kernel and its
// scalar twin by themselves (same arguments, so that a test compares them in a loop), and the floating-point mode.
// Arguments are trusted.
#include <napi.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <thread>
#include <vector>

#include "../binding/table.h"
#include "../kernels/attention.h"
#include "../kernels/backward_matrix.h"
#include "../kernels/bias.h"
#include "../kernels/draw.h"
#include "../kernels/gemm.h"
#include "../kernels/isa.h"
#include "../kernels/logprob.h"
#include "../kernels/math.h"
#include "../kernels/norm.h"
#include "../kernels/pool.h"
#include "../kernels/rope.h"
#include "../kernels/swiglu.h"
#include "../reference/scalar.h"

namespace {

using namespace espalier;
using Info = Napi::CallbackInfo;

float* floats(const Info& info, size_t at) { return info[at].As<Napi::Float32Array>().Data(); }
int length(const Info& info, size_t at) { return static_cast<int>(info[at].As<Napi::TypedArray>().ElementLength()); }
int integer(const Info& info, size_t at) { return info[at].As<Napi::Number>().Int32Value(); }
float single(const Info& info, size_t at) { return info[at].As<Napi::Number>().FloatValue(); }
bool flag(const Info& info, size_t at) { return info[at].ToBoolean().Value(); }
/// Every twin pair's last argument: true takes the scalar one.
bool wantsScalar(const Info& info) { return flag(info, info.Length() - 1); }

Napi::Value useIsaByName(const Info& info) {
  return Napi::Boolean::New(info.Env(), useIsa(info[0].ToString().Utf8Value().c_str()));
}

// exp(x, scalar) -> y
Napi::Value expArray(const Info& info) {
  auto y = Napi::Float32Array::New(info.Env(), length(info, 0));
  if (wantsScalar(info)) {
    for (int i = 0; i < length(info, 0); i++) y[i] = scalar::exp(floats(info, 0)[i]);
  } else {
    expRow(floats(info, 0), length(info, 0), y.Data());
  }
  return y;
}

// gemm(a, w, c, m, n, k, add, transposed, scalar): c in place; transposed packs w [k][n] the other way round
Napi::Value gemmArrays(const Info& info) {
  const int m = integer(info, 3), n = integer(info, 4), k = integer(info, 5);
  const float* w = floats(info, 1);
  if (wantsScalar(info)) {
    std::vector<float> turned(w, w + static_cast<size_t>(n) * k);
    if (flag(info, 7)) {
      for (int i = 0; i < k; i++) {
        for (int j = 0; j < n; j++) turned[j * k + i] = w[i * n + j];
      }
    }
    scalar::gemm(floats(info, 0), turned.data(), floats(info, 2), m, n, k, flag(info, 6));
    return info.Env().Undefined();
  }
  PackedMatrix packed(n, k);
  if (flag(info, 7)) {
    packTransposed(packed, w, 0, k);
  } else {
    packed.packRows(w, 0, n);
  }
  // In two parts, as threads would.
  const Store store = flag(info, 6) ? Store::add : Store::overwrite;
  const int middle = packed.panelCount() / 3;
  gemm(floats(info, 0), k, m, packed, floats(info, 2), n, store, 0, middle);
  gemm(floats(info, 0), k, m, packed, floats(info, 2), n, store, middle, packed.panelCount());
  return info.Env().Undefined();
}

// addBias(bias, rows, width, c, scalar): c in place
Napi::Value addBiasArrays(const Info& info) {
  const int rows = integer(info, 1), width = integer(info, 2);
  if (wantsScalar(info)) {
    scalar::addBias(floats(info, 0), floats(info, 3), rows, width);
  } else {
    addBias(floats(info, 0), rows, width, floats(info, 3), width);
  }
  return info.Env().Undefined();
}

// addRowSums(dy, rows, width, gradient, scalar): gradient in place
Napi::Value addRowSumsArrays(const Info& info) {
  const int rows = integer(info, 1), width = integer(info, 2);
  if (wantsScalar(info)) {
    scalar::addRowSums(floats(info, 0), floats(info, 3), rows, width);
  } else {
    addRowSums(floats(info, 0), width, rows, width, floats(info, 3));
  }
  return info.Env().Undefined();
}

// addOuterProducts(dy, x, rows, outputs, inputs, gradient, scalar): gradient in place
Napi::Value addOuterProductsArrays(const Info& info) {
  const int rows = integer(info, 2), outputs = integer(info, 3), inputs = integer(info, 4);
  if (wantsScalar(info)) {
    scalar::addOuterProducts(floats(info, 0), floats(info, 1), floats(info, 5), rows, outputs, inputs);
    return info.Env().Undefined();
  }
  const int capacity = rows + 3;
  AlignedFloats panels(static_cast<size_t>(padToLanes(inputs)) * capacity);
  packColumns(floats(info, 1), rows, inputs, panels.data(), capacity, 0);
  addOuterProducts(floats(info, 0), outputs, panels.data(), capacity, rows, outputs, inputs, floats(info, 5));
  return info.Env().Undefined();
}

// rmsNorm(x, gain, rows, width, epsilon, y, inverse, scalar)
Napi::Value rmsNormArrays(const Info& info) {
  const int rows = integer(info, 2), width = integer(info, 3);
  if (wantsScalar(info)) {
    scalar::rmsNorm(floats(info, 0), floats(info, 1), rows, width, single(info, 4), floats(info, 5), floats(info, 6));
  } else {
    rmsNorm(floats(info, 0), width, floats(info, 1), rows, width, single(info, 4), floats(info, 5), width,
            floats(info, 6));
  }
  return info.Env().Undefined();
}

// ropeTable(positions, headDim, theta, scaling of four numbers or none, scalar) -> [cosines | sines], each
// [positions][headDim / 2]
Napi::Value ropeTableArrays(const Info& info) {
  const int positions = integer(info, 0), dim = integer(info, 1), half = dim / 2;
  const double theta = info[2].As<Napi::Number>().DoubleValue();
  const float* four = length(info, 3) == 4 ? floats(info, 3) : nullptr;
  auto both = Napi::Float32Array::New(info.Env(), static_cast<size_t>(positions) * half * 2);
  if (wantsScalar(info)) {
    scalar::ropeTable(positions, dim, theta, four, both.Data(), both.Data() + positions * half);
    return both;
  }
  std::optional<Llama3Scaling> scaling;
  if (four != nullptr) scaling = Llama3Scaling{four[0], four[1], four[2], four[3]};
  const RopeTable table(positions, dim, theta, scaling);
  for (int position = 0; position < positions; position++) {
    std::copy_n(table.cosines(position), half, both.Data() + position * half);
    std::copy_n(table.sines(position), half, both.Data() + (positions + position) * half);
  }
  return both;
}

// rope(x, cosines, sines, heads, headDim, sign, y, scalar)
Napi::Value ropeArrays(const Info& info) {
  (wantsScalar(info) ? scalar::rope : rope)(floats(info, 0), floats(info, 1), floats(info, 2), integer(info, 3),
                                            integer(info, 4), single(info, 5), floats(info, 6));
  return info.Env().Undefined();
}

// swiglu(gateUp, rows, width, y, scalar)
Napi::Value swigluArrays(const Info& info) {
  (wantsScalar(info) ? scalar::swiglu : swiglu)(floats(info, 0), integer(info, 1), integer(info, 2), floats(info, 3));
  return info.Env().Undefined();
}

// attention(q, keys, values, rows, firstPosition, heads, kvHeads, headDim, scale, out, maxima, sums, scalar)
Napi::Value attentionArrays(const Info& info) {
  const int rows = integer(info, 3), first = integer(info, 4), heads = integer(info, 5), kvHeads = integer(info, 6);
  const int dim = integer(info, 7), positions = first + rows;
  const float scale = single(info, 8);
  if (wantsScalar(info)) {
    scalar::attention(floats(info, 0), floats(info, 1), floats(info, 2), rows, first, heads, kvHeads, dim, scale,
                      floats(info, 9), floats(info, 10), floats(info, 11));
    return info.Env().Undefined();
  }
  // Blocks lie in reverse, and everything that was not stored is NaN.
  const BlockLayout layout{kvHeads, dim};
  const int count = (positions + kBlockTokens - 1) / kBlockTokens;
  AlignedFloats cache(layout.blockFloats() * count);
  std::fill_n(cache.data(), cache.size(), std::numeric_limits<float>::quiet_NaN());
  std::vector<int32_t> blocks(static_cast<size_t>(count));
  for (int i = 0; i < count; i++) blocks[i] = count - 1 - i;
  const BlockTable table{cache.data(), blocks.data()};
  for (int p = 0; p < positions; p++) {
    storeKeyValue(table, layout, p, floats(info, 1) + p * kvHeads * dim, floats(info, 2) + p * kvHeads * dim);
  }
  AlignedFloats scratch(attentionScratch(positions - 1));
  attention(floats(info, 0), heads * dim, rows, first, heads, scale, table, layout, floats(info, 9), heads * dim,
            floats(info, 10), floats(info, 11), scratch.data());
  return info.Env().Undefined();
}

// logprobRow(logits, scalar) -> [maximum, sum, logSum, entropy]
Napi::Value logprobRowArray(const Info& info) {
  auto row = Napi::Float32Array::New(info.Env(), 4);
  const auto put = [&](const auto& from) {
    row[0] = from.maximum, row[1] = from.sum, row[2] = from.logSum, row[3] = from.entropy;
  };
  if (wantsScalar(info)) {
    put(scalar::logprobRow(floats(info, 0), length(info, 0)));
  } else {
    put(logprobRow(floats(info, 0), length(info, 0)));
  }
  return row;
}

// draw(logits, temperature, [topK, topP, minP] or none, seed, position, scalar) -> id
Napi::Value drawArray(const Info& info) {
  bool lossless;
  const uint64_t seed = info[3].As<Napi::BigInt>().Uint64Value(&lossless);
  const auto position = static_cast<uint64_t>(integer(info, 4));
  const float* row = floats(info, 0);
  const int vocab = length(info, 0);
  Draw draw{single(info, 1), 0, 1, 0, seed, position};
  if (length(info, 2) == 3) {
    draw.topK = static_cast<int32_t>(floats(info, 2)[0]);
    draw.topP = floats(info, 2)[1];
    draw.minP = floats(info, 2)[2];
  }
  if (!wantsScalar(info)) {
    DrawSpace space(vocab);
    return Napi::Number::New(info.Env(), drawToken(row, vocab, logprobRow(row, vocab), draw, space));
  }
  const double uniform = uniformAt(seed, position);
  return Napi::Number::New(info.Env(), draw.truncates() && draw.temperature > 0
                                           ? scalar::drawTruncated(row, vocab, draw.temperature, draw.topK, draw.topP,
                                                                   draw.minP, uniform)
                                           : scalar::drawToken(row, vocab, draw.temperature, uniform));
}

// exact('log' | 'exp' | 'sin' | 'cos', x) -> double
Napi::Value exact(const Info& info) {
  const std::string name = info[0].ToString().Utf8Value();
  const double x = info[1].As<Napi::Number>().DoubleValue();
  double sine, cosine;
  sinCosExact(x, sine, cosine);
  return Napi::Number::New(
      info.Env(), name == "log" ? logExact(x) : name == "exp" ? expExact(x) : name == "sin" ? sine : cosine);
}

// flushSubnormals(on): the calling thread's mode; threads started later inherit it
Napi::Value flushSubnormals(const Info& info) {
#if ESPALIER_X86
  _mm_setcsr(flag(info, 0) ? 0x1f80 | 0x8040 : 0x1f80);
#endif
  return info.Env().Undefined();
}

// poolHalves() -> [threads]: half the smallest normal float, computed once in every thread of the pool; 0 where flushed
Napi::Value poolHalves(const Info& info) {
  const int count = threads();
  auto halves = Napi::Float32Array::New(info.Env(), static_cast<size_t>(count));
  float* to = halves.Data();
  std::atomic<int> arrived{0};
  const FloatMode mode;
  parallelFor(count, [&](int job) {
    // No thread takes a second job before each has one.
    arrived++;
    while (arrived < count) std::this_thread::yield();
    volatile float smallest = std::numeric_limits<float>::min();
    to[job] = smallest * 0.5f;
  });
  return halves;
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  binding::registerTable(env, exports);
  auto tools = Napi::Object::New(env);
  const auto add = [&](const char* name, Napi::Value (*function)(const Info&)) {
    tools.Set(name, Napi::Function::New(env, function, name));
  };
  add("useIsa", useIsaByName);
  add("exp", expArray);
  add("gemm", gemmArrays);
  add("addBias", addBiasArrays);
  add("addRowSums", addRowSumsArrays);
  add("addOuterProducts", addOuterProductsArrays);
  add("rmsNorm", rmsNormArrays);
  add("ropeTable", ropeTableArrays);
  add("rope", ropeArrays);
  add("swiglu", swigluArrays);
  add("attention", attentionArrays);
  add("logprobRow", logprobRowArray);
  add("draw", drawArray);
  add("exact", exact);
  add("flushSubnormals", flushSubnormals);
  add("poolHalves", poolHalves);
  exports.Set("kernels", tools);
  return exports;
}

}  // namespace

NODE_API_MODULE(espalier_kernel_test, init)
