// The draw of one token from a row of logits: a function of the row, of how it is sampled, of seed and position. Nothing
// else enters, so a token is drawn alike alone and in a batch.
//
// Not here: what is reported of the token. Log-probabilities and entropy are the whole row's at temperature 1
// (logprob.h), however the token was drawn.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "aligned.h"
#include "logprob.h"

namespace espalier {

/// Sampling of src/engine/engine.ts; topK 0, topP 1 and minP 0 truncate nothing.
///
/// Tokens are ordered by logit, larger first, lower id first among equals. Each filter, in this order, keeps a beginning
/// of that order: the first topK; the fewest that hold topP of the tempered probability of what is left; those that are
/// at least minP times as probable as the first. The first is always kept.
struct Draw {
  float temperature;
  int32_t topK;
  float topP, minP;
  uint64_t seed, position;
  bool truncates() const { return topK > 0 || topP < 1 || minP > 0; }
};

/// Buffers of `drawToken`, for one vocabulary.
struct DrawSpace {
  explicit DrawSpace(int vocab);
  AlignedFloats e, blocks;
  std::vector<int32_t> kept;  // ids
};

/// Temperature 0: the largest logit, the lowest id among equals. Else the inverse CDF of softmax(logits / temperature),
/// of what the filters keep of it, in id order at u = hash(seed, position).
int32_t drawToken(const float* logits, int vocab, const LogitsRow& row, const Draw& draw, DrawSpace& space);

/// In [0, 1), 53 bits: splitmix64 of seed and position.
double uniformAt(uint64_t seed, uint64_t position);

}  // namespace espalier
