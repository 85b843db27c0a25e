#include "isa.h"

#include <atomic>
#include <cstdlib>

namespace espalier {
namespace {

constexpr Isa kBestFirst[] = {Isa::avx512, Isa::avx2, Isa::portable};

/// The compiler's runtime asks the operating system too: a set whose registers are not saved counts as missing.
bool supported(Isa isa) {
  if (isa == Isa::portable) return true;
#if ESPALIER_X86
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (isa == Isa::avx2) return avx2;
  return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
#else
  return false;
#endif
}

Isa initialIsa() {
  const char* forced = std::getenv("ESPALIER_ISA");
  Isa best = Isa::portable;
  for (const Isa isa : kBestFirst) {
    if (!supported(isa)) continue;
    if (forced != nullptr && std::strcmp(forced, isaName(isa)) == 0) return isa;
    if (best == Isa::portable) best = isa;
  }
  return best;
}

std::atomic<Isa>& current() {
  static std::atomic<Isa> isa{initialIsa()};
  return isa;
}

}  // namespace

Isa currentIsa() { return current().load(std::memory_order_relaxed); }

const char* isaName(Isa isa) { return isa == Isa::avx512 ? "avx512" : isa == Isa::avx2 ? "avx2" : "portable"; }

bool useIsa(Isa isa) {
  if (!supported(isa)) return false;
  current().store(isa, std::memory_order_relaxed);
  return true;
}

bool useIsa(const char* name) {
  for (const Isa isa : kBestFirst) {
    if (std::strcmp(name, isaName(isa)) == 0) return useIsa(isa);
  }
  return false;
}

}  // namespace espalier
