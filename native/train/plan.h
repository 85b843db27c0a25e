// One optimizer step's work: the flat form of TrieBatch + Objective + OptimizerStep (src/engine/engine.ts has the
// meaning of the fields, src/native/native.ts the flat form).
//
// Not here: any check. `checkPlan` (schedule.h) refuses a plan that breaks the layout before anything is computed.
#pragma once
#include <cstdint>
#include <vector>

namespace espalier {

struct TrainPlan {
  std::vector<int32_t> tokens;      // [N], depth-first (pre-order)
  std::vector<int32_t> spanStart;    // [S + 1]
  std::vector<int32_t> spanParent;  // [S], -1 for a root
  std::vector<int32_t> termNode;    // [terms], ascending
  std::vector<int32_t> termTarget;
  std::vector<float> termBehaviorLogprob;
  std::vector<float> termAPos;
  std::vector<float> termANeg;
  std::vector<float> termCount;
  bool clipped = false;
  double normalizer = 1;
  double clipLow = 0;
  double clipHigh = 0;
  bool muon = false;
  double learningRate = 0;
  double muonLearningRate = 0;
  double muonMomentum = 0;
  double beta1 = 0;
  double beta2 = 0;
  double epsilon = 0;
  double weightDecay = 0;
  double gradientClip = 0;  // infinity is none

  int32_t spanCount() const { return static_cast<int32_t>(spanParent.size()); }
  int32_t tokenCount() const { return static_cast<int32_t>(tokens.size()); }
  int32_t terms() const { return static_cast<int32_t>(termNode.size()); }
};

struct TrainOutcome {
  double loss = 0;
  double gradientNorm = 0;
  double clipFraction = 0;
  /// Tokens whose forward ran: the trie's, as nothing is computed twice.
  int64_t forwardTokens = 0;
  /// Matrix calls a layer: pieces of at most 128 tokens (schedule.h).
  int64_t pieces = 0;
  std::vector<float> termLogprobs;
};

}  // namespace espalier
