// What a plan must satisfy before anything is computed; see schedule.h.
#include <cmath>
#include <stdexcept>
#include <string>

#include "schedule.h"

namespace espalier {
namespace {

std::string text(double value) {
  const bool whole = value == std::floor(value) && std::fabs(value) < 1e15;
  return whole ? std::to_string(static_cast<long long>(value)) : std::to_string(value);
}

void require(bool holds, const char* what, double at, double value) {
  if (!holds) throw std::invalid_argument(std::string(what) + ", but [" + text(at) + "] is " + text(value));
}

void checkSpans(const TrainPlan& plan, int contextLength) {
  const int spans = plan.spanCount();
  if (spans < 1) throw std::invalid_argument("a batch needs at least one span");
  if (static_cast<int>(plan.spanStart.size()) != spans + 1 || plan.spanStart[0] != 0 ||
      plan.spanStart[spans] != plan.tokenCount()) {
    throw std::invalid_argument("spanStart must run from 0 to the token count, one longer than spanParent");
  }
  std::vector<int32_t> end(spans), path;
  for (int s = 0; s < spans; s++) {
    require(plan.spanStart[s + 1] > plan.spanStart[s], "spans must hold tokens: spanStart must ascend", s + 1,
            plan.spanStart[s + 1]);
    const int parent = plan.spanParent[s];
    while (!path.empty() && path.back() != parent) path.pop_back();
    require(parent == -1 || !path.empty(), "spanParent must follow depth-first order", s, parent);
    path.push_back(s);
    end[s] = (parent < 0 ? 0 : end[parent]) + plan.spanStart[s + 1] - plan.spanStart[s];
    require(end[s] <= contextLength, "paths must fit the context length: tokens from the root", s, end[s]);
  }
}

void checkTerms(const TrainPlan& plan, int vocab) {
  const size_t terms = plan.termNode.size();
  if (plan.termTarget.size() != terms || plan.termBehaviorLogprob.size() != terms || plan.termAPos.size() != terms ||
      plan.termANeg.size() != terms || plan.termCount.size() != terms) {
    throw std::invalid_argument("the term arrays must be of one length, that of termNode: " + std::to_string(terms));
  }
  for (size_t t = 0; t < terms; t++) {
    require(plan.termNode[t] >= (t == 0 ? 0 : plan.termNode[t - 1]) && plan.termNode[t] < plan.tokenCount(),
            "termNode must ascend within the tokens", t, plan.termNode[t]);
    require(plan.termTarget[t] >= 0 && plan.termTarget[t] < vocab, "termTarget must be in the vocabulary", t,
            plan.termTarget[t]);
    const double sum = double(plan.termBehaviorLogprob[t]) + plan.termAPos[t] + plan.termANeg[t] + plan.termCount[t];
    require(std::isfinite(sum), "term numbers must be finite", t, sum);
  }
}

void checkNumber(const char* name, double value, bool holds, const char* must) {
  if (!holds) throw std::invalid_argument(std::string(name) + " must be " + must + ", not " + text(value));
}

void checkOptimizer(const TrainPlan& plan) {
  const auto size = [](const char* name, double value) {
    checkNumber(name, value, value >= 0 && std::isfinite(value), "finite and not negative");
  };
  const auto share = [](const char* name, double value) {
    checkNumber(name, value, value >= 0 && value < 1, "at least 0 and below 1");
  };
  size("learningRate", plan.learningRate);
  size("muonLearningRate", plan.muonLearningRate);
  size("weightDecay", plan.weightDecay);
  size("clipLow", plan.clipLow);
  size("clipHigh", plan.clipHigh);
  share("muonMomentum", plan.muonMomentum);
  share("beta1", plan.beta1);
  share("beta2", plan.beta2);
  checkNumber("epsilon", plan.epsilon, plan.epsilon > 0 && std::isfinite(plan.epsilon), "positive");
  checkNumber("gradientClip", plan.gradientClip, plan.gradientClip > 0, "positive (Infinity is none)");
  checkNumber("normalizer", plan.normalizer, plan.normalizer > 0 && std::isfinite(plan.normalizer), "positive");
}

}  // namespace

void checkPlan(const TrainPlan& plan, int vocab, int contextLength) {
  checkSpans(plan, contextLength);
  for (int t = 0; t < plan.tokenCount(); t++) {
    require(plan.tokens[t] >= 0 && plan.tokens[t] < vocab, "tokens must be in the vocabulary", t, plan.tokens[t]);
  }
  checkTerms(plan, vocab);
  checkOptimizer(plan);
}

}  // namespace espalier
