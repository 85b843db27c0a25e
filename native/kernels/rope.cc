#include "rope.h"

#include "isa.h"
#include "math.h"

#if ESPALIER_X86
namespace espalier::avx2 {
#include "lanes_avx2.inc"
#include "rope.inc"
}
namespace espalier::avx512 {
#include "lanes_avx512.inc"
#include "rope.inc"
}
#endif
namespace espalier::portable {
#include "lanes_portable.inc"
#include "rope.inc"
}

namespace espalier {
namespace {

/// In float and in this order, as Hugging Face's `_compute_llama3_parameters`: models were trained on those bits.
float scaled(float frequency, const Llama3Scaling& by) {
  const float wavelength = 6.283185307179586f / frequency;
  if (wavelength > by.originalContext / by.lowFactor) return frequency / by.factor;
  if (wavelength < by.originalContext / by.highFactor) return frequency;
  const float smooth = (by.originalContext / wavelength - by.lowFactor) / (by.highFactor - by.lowFactor);
  return (1.0f - smooth) * frequency / by.factor + smooth * frequency;
}

}  // namespace

RopeTable::RopeTable(int positions, int headDim, double theta, const std::optional<Llama3Scaling>& scaling)
    : positions_(positions),
      half_(headDim / 2),
      cos_(static_cast<size_t>(positions) * half_),
      sin_(static_cast<size_t>(positions) * half_) {
  const double logTheta = logExact(theta);
  for (int i = 0; i < half_; i++) {
    const float plain = static_cast<float>(expExact(-logTheta * (2.0 * i / headDim)));
    const float frequency = scaling ? scaled(plain, *scaling) : plain;
    for (int position = 0; position < positions; position++) {
      const float angle = static_cast<float>(position) * frequency;
      double sine, cosine;
      sinCosExact(static_cast<double>(angle), sine, cosine);
      cos_[static_cast<size_t>(position) * half_ + i] = static_cast<float>(cosine);
      sin_[static_cast<size_t>(position) * half_ + i] = static_cast<float>(sine);
    }
  }
}

void rope(const float* x, const float* cosines, const float* sines, int heads, int headDim, float sineSign, float* y) {
  ESPALIER_DISPATCH(rope(x, cosines, sines, heads, headDim, sineSign, y));
}

}  // namespace espalier
