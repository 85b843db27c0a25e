// The one reading of a row of logits (rule 5): sampler, score and loss take their numbers from here.
#pragma once

#include <cstddef>
#include <cstdint>

namespace espalier {

struct LogitsRow {
  float maximum;
  float sum;     // of exp(x - maximum), in 16 lanes
  float logSum;  // own log of it
  float entropy; // nats
  /// Log-probability at temperature 1 of the token with this logit.
  float logprob(float logit) const { return (logit - maximum) - logSum; }
};

/// logits: [vocab], finite.
LogitsRow logprobRow(const float* logits, int vocab);

/// y[i] = exp(x[i] - maximum) / sum: softmax of the row that `row` was read from.
void probabilities(const float* logits, int vocab, const LogitsRow& row, float* y);

/// Temperature 0: the largest logit, the lowest id among equals. Else the inverse CDF of softmax(logits / temperature)
/// in id order at u = hash(seed, position). scratch: drawScratch(vocab) floats.
size_t drawScratch(int vocab);
int32_t drawToken(const float* logits, int vocab, const LogitsRow& row, float temperature, uint64_t seed,
                  uint64_t position, float* scratch);

/// In [0, 1), 53 bits: splitmix64 of seed and position.
double uniformAt(uint64_t seed, uint64_t position);

}  // namespace espalier
