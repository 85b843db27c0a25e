#include "loss.h"

#include <algorithm>

#include "../kernels/math.h"

namespace espalier {

TermLoss termLoss(const TrainPlan& plan, int term, float logprob) {
  const double norm = plan.normalizer;
  if (!plan.clipped) {
    const double count = plan.termCount[term];
    return {-count * logprob / norm, -count / norm, false};
  }
  // Past e^80 a ratio is cut anyway, or the run is lost; expExact takes no more.
  const double difference = static_cast<double>(logprob) - plan.termBehaviorLogprob[term];
  const double ratio = expExact(std::clamp(difference, -80.0, 80.0));
  const double pos = plan.termAPos[term], neg = plan.termANeg[term];
  const double high = 1 + plan.clipHigh, low = 1 - plan.clipLow;
  const bool above = ratio > high, below = ratio < low;
  return {-(pos * std::min(ratio, high) + neg * std::max(ratio, low)) / norm,
          -((above ? 0 : pos) + (below ? 0 : neg)) * ratio / norm, (above && pos > 0) || (below && neg < 0)};
}

}  // namespace espalier
