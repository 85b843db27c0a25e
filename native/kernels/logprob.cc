#include "logprob.h"

#include "isa.h"
#include "math.h"

#if ESPALIER_X86
namespace espalier::avx2 {
#include "lanes_avx2.inc"
#include "logprob.inc"
}
namespace espalier::avx512 {
#include "lanes_avx512.inc"
#include "logprob.inc"
}
#endif
namespace espalier::portable {
#include "lanes_portable.inc"
#include "logprob.inc"
}

namespace espalier {
namespace {

uint64_t splitmix64(uint64_t x) {
  uint64_t z = x + 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

void rowSums(const float* logits, int vocab, float& maximum, float& sum, float& weighted) {
  ESPALIER_DISPATCH(rowSums(logits, vocab, maximum, sum, weighted));
}

void temperedRow(const float* logits, int vocab, float maximum, float temperature, float* e, float* blocks) {
  ESPALIER_DISPATCH(temperedRow(logits, vocab, maximum, temperature, e, blocks));
}

}  // namespace

void expRow(const float* x, int width, float* y) { ESPALIER_DISPATCH(expRow(x, width, y)); }

LogitsRow logprobRow(const float* logits, int vocab) {
  LogitsRow row;
  float weighted;
  rowSums(logits, vocab, row.maximum, row.sum, weighted);
  row.logSum = logOne(row.sum);
  row.entropy = row.logSum - weighted / row.sum;
  return row;
}

void probabilities(const float* logits, int vocab, const LogitsRow& row, float* y) {
  ESPALIER_DISPATCH(probabilities(logits, vocab, row, y));
}

size_t drawScratch(int vocab) { return static_cast<size_t>(padToLanes(vocab)) + (vocab + kChain - 1) / kChain; }

double uniformAt(uint64_t seed, uint64_t position) {
  return static_cast<double>(splitmix64(seed ^ splitmix64(position)) >> 11) * 0x1p-53;
}

int32_t drawToken(const float* logits, int vocab, const LogitsRow& row, float temperature, uint64_t seed,
                  uint64_t position, float* scratch) {
  if (temperature == 0) {
    for (int i = 0; i < vocab; i++) {
      if (logits[i] == row.maximum) return i;
    }
    return 0;
  }
  float* blocks = scratch + padToLanes(vocab);
  temperedRow(logits, vocab, row.maximum, temperature, scratch, blocks);
  const int blockCount = (vocab + kChain - 1) / kChain;
  double total = 0;
  for (int b = 0; b < blockCount; b++) total += blocks[b];
  const double target = uniformAt(seed, position) * total;
  double before = 0;
  int32_t last = 0;
  for (int b = 0; b < blockCount; b++) {
    const double after = before + blocks[b];
    // Rounding may leave the target at a block's very end: then its last possible token is drawn.
    if (blocks[b] > 0 && (after > target || b == blockCount - 1)) {
      double running = before;
      for (int i = b * kChain; i < (b + 1) * kChain && i < vocab; i++) {
        if (scratch[i] == 0) continue;
        last = i;
        running += scratch[i];
        if (running > target) return i;
      }
      return last;
    }
    before = after;
  }
  // Only when the last block holds nothing: the last possible token before it.
  for (int i = vocab - 1; i >= 0; i--) {
    if (scratch[i] > 0) return i;
  }
  return last;
}

}  // namespace espalier
