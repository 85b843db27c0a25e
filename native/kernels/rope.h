// Rotary position embedding, Hugging Face's `rotate_half` pairing (i, i + headDim / 2).
#pragma once

#include <cstddef>

#include <optional>

#include "aligned.h"

namespace espalier {

/// `rope_type` llama3: a frequency whose wavelength is over originalContext / lowFactor is divided by `factor`, one
/// under originalContext / highFactor stays, those between go over smoothly.
struct Llama3Scaling {
  float factor, lowFactor, highFactor, originalContext;
};

/// cos and sin, [positions][headDim / 2]. Computed once, in double, by own functions. Frequencies and angles are
/// rounded to float first, as Hugging Face does: models were trained on those angles.
class RopeTable {
 public:
  RopeTable() = default;
  RopeTable(int positions, int headDim, double theta, const std::optional<Llama3Scaling>& scaling);
  const float* cosines(int position) const { return cos_.data() + static_cast<size_t>(position) * half_; }
  const float* sines(int position) const { return sin_.data() + static_cast<size_t>(position) * half_; }
  int positions() const { return positions_; }

 private:
  int positions_ = 0;
  int half_ = 0;
  AlignedFloats cos_, sin_;
};

/// Each of `heads` rows of x [heads][headDim]: y[i] = x[i] cos - x[i + h] sin, y[i + h] = x[i + h] cos + x[i] sin
/// (product with cos first, then one fma). y may be x. With `sineSign` -1 the rotation is undone (backward).
void rope(const float* x, const float* cosines, const float* sines, int heads, int headDim, float sineSign, float* y);

}  // namespace espalier
