// Muon for one matrix: Nesterov momentum, orthogonalized by five Newton-Schulz steps.
//
// Source: Keller Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024) and its reference code
// (github.com/KellerJordan/Muon): coefficients 3.4445, -4.7750, 2.0315; update scaled by sqrt(max(1, rows / columns)).
// There it runs in bfloat16, here in float32. Not here: which matrices take it (optimizer.cc).
#pragma once

#include <cstddef>

namespace espalier {

struct MuonStep {
  float gradientScale;  // global-norm clip
  float momentum;
  float shrink;  // 1 - learningRate * weightDecay
  float learningRate;
};

/// gradient, weights, momentum: [rows][columns]. One thread; matrices are independent.
void muonStep(const MuonStep& step, const float* gradient, float* weights, float* momentum, int rows, int columns);

/// x: [rows][columns], overwritten by about U V^T of its singular value decomposition (singular values in 0.7 - 1.2).
void orthogonalize(float* x, int rows, int columns);

}  // namespace espalier
