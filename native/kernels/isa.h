// Which instruction set the kernels run on. Results never depend on it: every kernel body is compiled once a set from
// one source (`*.inc`), over `Lanes`, sixteen float lanes.
//
// How a kernel is written: `name.h` declares, `name.inc` holds the body (functions marked KERNEL, no lambdas, no
// standard-library calls but __builtin_ ones), `name.cc` includes the body in each set's namespace and dispatches:
//
//   #include "name.h"
//   #include "isa.h"
//   #if ESPALIER_X86
//   namespace espalier::avx2 {
//   #include "lanes_avx2.inc"
//   #include "name.inc"
//   }
//   namespace espalier::avx512 {
//   #include "lanes_avx512.inc"
//   #include "name.inc"
//   }
//   #endif
//   namespace espalier::portable {
//   #include "lanes_portable.inc"
//   #include "name.inc"
//   }
//   void espalier::name(...) { ESPALIER_DISPATCH(name(...)); }
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__) || defined(__i386__)
#define ESPALIER_X86 1
#include <immintrin.h>
#else
#define ESPALIER_X86 0
#endif

#define ESPALIER_INLINE inline __attribute__((always_inline))

namespace espalier {

/// Lanes of every layout: outputs of a weight panel, keys of a cache panel, lanes of a row reduction.
inline constexpr int kLanes = 16;
/// A dot product's chain restarts every so many elements (rule 1).
inline constexpr int kChain = 256;

inline constexpr int panelsOf(int count) { return (count + kLanes - 1) / kLanes; }
inline constexpr int padToLanes(int count) { return panelsOf(count) * kLanes; }

enum class Isa : int { portable = 0, avx2 = 1, avx512 = 2 };

/// The set in use: the one that ESPALIER_ISA names if it is there, or else the best that processor and operating system
/// have. loadNative refuses to start when ESPALIER_ISA names another.
Isa currentIsa();
/// `portable`, `avx2`, `avx512`.
const char* isaName(Isa isa);
/// For tests and benchmarks. False (and no change) when the machine lacks it.
bool useIsa(Isa isa);
bool useIsa(const char* name);

}  // namespace espalier

#if ESPALIER_X86
#define ESPALIER_DISPATCH(call)                                      \
  switch (::espalier::currentIsa()) {                                \
    case ::espalier::Isa::avx512: return ::espalier::avx512::call;   \
    case ::espalier::Isa::avx2: return ::espalier::avx2::call;       \
    default: return ::espalier::portable::call;                      \
  }
#else
#define ESPALIER_DISPATCH(call) return ::espalier::portable::call
#endif
