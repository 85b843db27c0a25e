// The one reading of a row of logits (rule 5): sampler, score and loss take their numbers from here.
#pragma once

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

/// e[i] = exp((x[i] - row's maximum) / temperature), 0 in the padding to lanes; blocks[b] = sum of 256 of them in 16
/// lanes. e: [padToLanes(vocab)]; blocks: one for every 256 ids.
void temperedRow(const float* logits, int vocab, float maximum, float temperature, float* e, float* blocks);

}  // namespace espalier
