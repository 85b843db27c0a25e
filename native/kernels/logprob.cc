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

void rowSums(const float* logits, int vocab, float& maximum, float& sum, float& weighted) {
  ESPALIER_DISPATCH(rowSums(logits, vocab, maximum, sum, weighted));
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

void temperedRow(const float* logits, int vocab, float maximum, float temperature, float* e, float* blocks) {
  ESPALIER_DISPATCH(temperedRow(logits, vocab, maximum, temperature, e, blocks));
}

}  // namespace espalier
