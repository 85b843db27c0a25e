#include "peak.h"

#include <cmath>

#if defined(__x86_64__) || defined(__i386__)
#define ESPALIER_PEAK_X86 1
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

namespace espalier::bench {
namespace {

constexpr int kChains = 12;

// Values tend to 1: neither overflow nor subnormals. Read through a volatile, so that nothing is known when compiling.
volatile float gFactor = 0.5f;
volatile float gAddend = 0.5f;

#ifdef ESPALIER_PEAK_X86
__attribute__((target("avx512f"))) float run512(int64_t steps) {
  const __m512 factor = _mm512_set1_ps(gFactor), addend = _mm512_set1_ps(gAddend);
  __m512 chain[kChains];
#pragma GCC unroll 12
  for (int i = 0; i < kChains; i++) chain[i] = _mm512_set1_ps(float(i));
  for (int64_t step = 0; step < steps; step++) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; i++) chain[i] = _mm512_fmadd_ps(chain[i], factor, addend);
  }
#pragma GCC unroll 12
  for (int i = 1; i < kChains; i++) chain[0] = _mm512_add_ps(chain[0], chain[i]);
  float lanes[16];
  _mm512_storeu_ps(lanes, chain[0]);
  return lanes[0];
}

__attribute__((target("avx2,fma"))) float run256(int64_t steps) {
  const __m256 factor = _mm256_set1_ps(gFactor), addend = _mm256_set1_ps(gAddend);
  __m256 chain[kChains];
#pragma GCC unroll 12
  for (int i = 0; i < kChains; i++) chain[i] = _mm256_set1_ps(float(i));
  for (int64_t step = 0; step < steps; step++) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; i++) chain[i] = _mm256_fmadd_ps(chain[i], factor, addend);
  }
  float sum = 0;
#pragma GCC unroll 12
  for (int i = 0; i < kChains; i++) sum += _mm256_cvtss_f32(chain[i]);
  return sum;
}
#elif defined(__ARM_NEON)
float run128(int64_t steps) {
  const float32x4_t factor = vdupq_n_f32(gFactor), addend = vdupq_n_f32(gAddend);
  float32x4_t chain[kChains];
#pragma GCC unroll 12
  for (int i = 0; i < kChains; i++) chain[i] = vdupq_n_f32(float(i));
  for (int64_t step = 0; step < steps; step++) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; i++) chain[i] = vfmaq_f32(addend, chain[i], factor);
  }
  float sum = 0;
#pragma GCC unroll 12
  for (int i = 0; i < kChains; i++) sum += vgetq_lane_f32(chain[i], 0);
  return sum;
}
#endif

float runScalar(int64_t steps) {
  const float factor = gFactor, addend = gAddend;
  float chain[kChains];
#pragma GCC unroll 12
  for (int i = 0; i < kChains; i++) chain[i] = float(i);
  for (int64_t step = 0; step < steps; step++) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; i++) chain[i] = std::fmaf(chain[i], factor, addend);
  }
  float sum = 0;
#pragma GCC unroll 12
  for (int i = 0; i < kChains; i++) sum += chain[i];
  return sum;
}

std::vector<PeakWidth> probe() {
  std::vector<PeakWidth> widths;
#ifdef ESPALIER_PEAK_X86
  if (__builtin_cpu_supports("avx512f")) widths.push_back({"512 bit", 2 * 16 * kChains, run512});
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    widths.push_back({"256 bit", 2 * 8 * kChains, run256});
  }
#elif defined(__ARM_NEON)
  widths.push_back({"128 bit", 2 * 4 * kChains, run128});
#endif
  if (widths.empty()) widths.push_back({"scalar", 2 * kChains, runScalar});
  return widths;
}

}  // namespace

const std::vector<PeakWidth>& peakWidths() {
  static const std::vector<PeakWidth> widths = probe();
  return widths;
}

}  // namespace espalier::bench
