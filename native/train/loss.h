// One loss term: its loss and the slope of the loss by the log-probability. Meaning: Objective in src/engine/engine.ts.
#pragma once

#include "plan.h"

namespace espalier {

struct TermLoss {
  double loss;
  double slope;  // d loss / d logprob
  bool cut;      // the ratio lay outside the clip range on the side that clips
};

TermLoss termLoss(const TrainPlan& plan, int term, float logprob);

}  // namespace espalier
