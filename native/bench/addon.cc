// What `espalier bench` times below the engine's own table: kernels one by one and the processor's peak, on chosen
// instruction sets and threads. src/bench/native-bench.ts has the same names in the same order.
//
// Not part of the engine, and not thread safe: one caller, who waits. Clocks run around all threads of a measurement,
// so a time is that of the slowest.
#include <napi.h>

#include <chrono>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "../kernels/isa.h"
#include "../kernels/pool.h"
#include "cases.h"
#include "peak.h"

namespace {

using namespace espalier;
using Info = Napi::CallbackInfo;

/// What a build may have, best first; names, since a build without a set has no value for it.
constexpr const char* kNames[] = {"avx512", "avx2", "portable"};

/// False when build or processor lack it.
bool useNamed(const std::string& name) {
  for (int value = 0; value < static_cast<int>(std::size(kNames)); value++) {
    const auto isa = static_cast<Isa>(value);
    if (name == isaName(isa)) return useIsa(isa);
  }
  return false;
}

double number(const Info& info, size_t at) { return info[at].As<Napi::Number>().DoubleValue(); }

double secondsOf(int jobs, const std::function<void(int)>& job) {
  const FloatMode mode;
  const auto begun = std::chrono::steady_clock::now();
  parallelFor(jobs, job);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
}

// instructionSets() -> names of those that the kernels have here, best first
Napi::Value instructionSets(const Info& info) {
  auto names = Napi::Array::New(info.Env());
  const Isa before = currentIsa();
  for (const char* name : kNames) {
    if (useNamed(name)) names.Set(names.Length(), name);
  }
  useIsa(before);
  return names;
}

// useInstructionSet(name), of this addon's kernels
Napi::Value useInstructionSet(const Info& info) {
  const std::string name = info[0].ToString().Utf8Value();
  if (useNamed(name)) return info.Env().Undefined();
  throw Napi::RangeError::New(info.Env(), "this processor has no instruction set called " + name);
}

// setThreads(count), of this addon's pool
Napi::Value setThreads(const Info& info) {
  espalier::setThreads(static_cast<int>(number(info, 0)));
  return info.Env().Undefined();
}

// peakWidths() -> names, widest first
Napi::Value peakWidths(const Info& info) {
  auto names = Napi::Array::New(info.Env());
  for (const auto& width : bench::peakWidths()) names.Set(names.Length(), width.name);
  return names;
}

// peak(width, steps) -> floating-point operations a second of all threads together
Napi::Value peak(const Info& info) {
  const auto& width = bench::peakWidths().at(static_cast<size_t>(number(info, 0)));
  const auto steps = static_cast<int64_t>(number(info, 1));
  std::vector<float> results(threads());
  const double seconds = secondsOf(threads(), [&](int thread) { results[thread] = width.run(steps); });
  return Napi::Number::New(info.Env(), threads() * width.operations * static_cast<double>(steps) / seconds);
}

// prepare(kernel, sizes) -> case for the present number of threads
Napi::Value prepare(const Info& info) {
  const auto sizes = info[1].As<Napi::Int32Array>();
  try {
    const bench::Case make = bench::makeCase(info[0].ToString().Utf8Value(),
                                             {sizes.Data(), sizes.Data() + sizes.ElementLength()});
    auto calls = std::make_unique<std::vector<bench::Call>>();
    for (int thread = 0; thread < threads(); thread++) calls->push_back(make());
    return Napi::External<std::vector<bench::Call>>::New(
        info.Env(), calls.release(), [](Napi::BasicEnv, std::vector<bench::Call>* gone) { delete gone; });
  } catch (const std::invalid_argument& fault) {
    throw Napi::RangeError::New(info.Env(), fault.what());
  }
}

// run(case, count) -> seconds that `count` calls in each thread took
Napi::Value run(const Info& info) {
  const auto& calls = *info[0].As<Napi::External<std::vector<bench::Call>>>().Data();
  const int count = static_cast<int>(number(info, 1));
  const double seconds = secondsOf(static_cast<int>(calls.size()), [&](int thread) {
    for (int call = 0; call < count; call++) calls[thread]();
  });
  return Napi::Number::New(info.Env(), seconds);
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  const auto add = [&](const char* name, Napi::Value (*function)(const Info&)) {
    exports.Set(name, Napi::Function::New(env, function, name));
  };
  add("instructionSets", instructionSets);
  add("useInstructionSet", useInstructionSet);
  add("setThreads", setThreads);
  add("peakWidths", peakWidths);
  add("peak", peak);
  add("prepare", prepare);
  add("run", run);
  return exports;
}

}  // namespace

NODE_API_MODULE(espalier_kernel_bench, init)
