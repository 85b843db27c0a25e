// Element-wise optimizer steps. Each element is a function of its own numbers, so threads may take any range.
#pragma once

#include <cstddef>

namespace espalier {

struct AdamStep {
  float gradientScale;  // global-norm clip
  float beta1, beta2, epsilon;
  float shrink;      // 1 - learningRate * weightDecay; 1 where nothing decays
  float stepSize;    // learningRate / (1 - beta1^step)
  float secondRoot;  // sqrt(1 - beta2^step)
};

/// AdamW (Loshchilov & Hutter 2019, decoupled decay) as PyTorch orders it:
/// w = w * shrink - stepSize * m / (sqrt(v) / secondRoot + epsilon).
void adamStep(const AdamStep& step, const float* gradient, float* weights, float* first, float* second, size_t count);

/// Sum of squares in double, 16 lanes by index, one fold.
double squareSum(const float* values, size_t count);

}  // namespace espalier
