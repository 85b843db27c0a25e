#include "isa.h"

#include <atomic>
#include <cstdlib>

namespace espalier {
namespace {

bool supported(Isa isa) {
  if (isa == Isa::portable) return true;
#if ESPALIER_X86
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return false;
#endif
}

Isa initialIsa() {
  const char* forced = std::getenv("ESPALIER_ISA");
  if (forced != nullptr && std::strcmp(forced, "portable") == 0) return Isa::portable;
  return supported(Isa::avx2) ? Isa::avx2 : Isa::portable;
}

std::atomic<Isa>& current() {
  static std::atomic<Isa> isa{initialIsa()};
  return isa;
}

}  // namespace

Isa currentIsa() { return current().load(std::memory_order_relaxed); }

const char* isaName(Isa isa) { return isa == Isa::avx2 ? "avx2" : "portable"; }

bool useIsa(Isa isa) {
  if (!supported(isa)) return false;
  current().store(isa, std::memory_order_relaxed);
  return true;
}

}  // namespace espalier
