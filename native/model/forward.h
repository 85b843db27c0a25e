// One step of continuous batching, and the flat forward of one sequence for scores and parity checks.
//
// Invariants:
// 1. What a token gets depends on weights and visible ids alone: not on the other sequences of the step, on chunks,
//    on block numbers or on threads. Callers' threads have FloatMode set, as the pool's and the background's do.
// 2. Sequences are split into one slice a thread, balanced by tokens; a slice runs all layers without a barrier.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "layer.h"

namespace espalier {

/// ForwardPlan of src/native/native.ts.
struct ForwardPlan {
  std::vector<int32_t> tokens, tokenStart, firstPosition, blockStart, blocks;
  std::vector<uint8_t> draw;
  std::vector<float> temperature;
  std::vector<int32_t> topK;
  std::vector<float> topP, minP;
  std::vector<uint64_t> seed;
  int sequences() const { return static_cast<int>(firstPosition.size()); }
};

struct ForwardResult {
  std::vector<int32_t> ids;
  std::vector<float> logprobs, entropies;
};

/// One line that says what is out of range, or empty: what follows then touches only memory of the cache and tables.
std::string planFault(const Shape& shape, const Cache& cache, const ForwardPlan& plan);

ForwardResult forward(const Weights& weights, Cache& cache, const ForwardPlan& plan);

/// One line that says what is out of range, or empty.
std::string idsFault(const Shape& shape, const std::vector<int32_t>& ids);

/// Log-probability of each id after the first: [length - 1]. A fresh cache, the calling thread only.
std::vector<float> score(const Weights& weights, const std::vector<int32_t>& ids);

/// [length][vocab].
std::vector<float> logits(const Weights& weights, const std::vector<int32_t>& ids);

}  // namespace espalier
