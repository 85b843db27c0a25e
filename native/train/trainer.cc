#include "trainer.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "../kernels/pool.h"

namespace espalier {
namespace {

/// Part of the numerics version, like the order of any sum: lanes keep a small model's threads apart, at the price of a
/// gradient each.
int laneCount(const Layout& layout) { return layout.total <= (16u << 20) ? 4 : 2; }

bool idle(const Schedule& schedule, int lane) {
  if (!schedule.lanes[lane].empty()) return false;
  for (int owner : schedule.trunkLane) {
    if (owner == lane) return false;
  }
  return true;
}

}  // namespace

Trainer::Trainer(std::shared_ptr<const Weights> weights)
    : shape_(weights->shape),
      layout_(shape_),
      weights_(std::move(weights)),
      masters_(layout_.total + kLanes),
      gradient_(layout_.total + kLanes),
      transposed_(shape_),
      optimizer_(layout_) {
  for (size_t i = 0; i < layout_.specs.size(); i++) unpackTensor(*weights_, i, masters_.data() + layout_.offsets[i]);
  transposed_.pack(shape_, layout_, masters_.data());
  for (int lane = 0; lane < laneCount(layout_); lane++) {
    lanes_.push_back(std::make_unique<Lane>(shape_, layout_, lane));
  }
}

TrainOutcome Trainer::addGradient(const TrainPlan& plan) {
  // A call that fails drops what was pending too.
  const bool adds = std::exchange(pending_, false);
  checkPlan(plan, shape_.vocabSize, shape_.contextLength);
  const int lanes = static_cast<int>(lanes_.size());
  const Schedule schedule = makeSchedule(plan, lanes);
  const size_t terms = plan.termNode.size();
  Step step{&plan, &schedule, weights_.get(), &transposed_, &layout_, {}, {}, {}, {}, {}};
  step.tapes.resize(schedule.pieces.size());
  step.logprobs.resize(terms);
  step.losses.resize(terms);
  step.slopes.resize(terms);
  step.cut.resize(terms);
  parallelFor(lanes, [&](int lane) {
    if (idle(schedule, lane)) {
      lanes_[lane]->rest();
    } else {
      lanes_[lane]->begin(step);
    }
  });
  parallelFor(lanes, [&](int lane) { lanes_[lane]->runTrunkForward(); });
  parallelFor(lanes, [&](int lane) { lanes_[lane]->runUnits(); });
  parallelFor(lanes, [&](int lane) { lanes_[lane]->runTrunkBackward(lanes_); });
  foldLanes(schedule, adds);

  TrainOutcome outcome;
  for (const auto& lane : lanes_) outcome.forwardTokens += lane->forwardTokens();
  outcome.pieces = static_cast<int64_t>(schedule.pieces.size());
  size_t cut = 0;
  for (size_t term = 0; term < terms; term++) {
    outcome.loss += step.losses[term];
    cut += step.cut[term];
  }
  outcome.clipFraction = terms == 0 ? 0 : static_cast<double>(cut) / static_cast<double>(terms);
  outcome.termLogprobs = std::move(step.logprobs);
  outcome.gradientNorm = Optimizer::norm(gradient_.data(), layout_.total);
  if (!std::isfinite(outcome.gradientNorm) || !std::isfinite(outcome.loss)) {
    throw std::runtime_error("the gradient is not finite (loss " + std::to_string(outcome.loss) +
                             "): the step was refused and weights are unchanged; lower the learning rate");
  }
  pending_ = true;
  return outcome;
}

/// gradient = (itself, when it `adds`) + (lane 0 + lane 1 + ...), idle lanes left out.
void Trainer::foldLanes(const Schedule& schedule, bool adds) {
  std::vector<const float*> parts;
  for (size_t lane = 0; lane < lanes_.size(); lane++) {
    if (!idle(schedule, static_cast<int>(lane))) parts.push_back(lanes_[lane]->gradient());
  }
  constexpr size_t kChunkFloats = 1 << 12;
  const size_t total = layout_.total;
  parallelFor(static_cast<int>((total + kChunkFloats - 1) / kChunkFloats), [&](int chunk) {
    const size_t from = chunk * kChunkFloats, count = std::min(kChunkFloats, total - from);
    float sum[kChunkFloats];
    std::copy_n(parts[0] + from, count, sum);
    for (size_t part = 1; part < parts.size(); part++) {
      for (size_t i = 0; i < count; i++) sum[i] += parts[part][from + i];
    }
    float* to = gradient_.data() + from;
    if (adds) {
      for (size_t i = 0; i < count; i++) to[i] += sum[i];
    } else {
      std::copy_n(sum, count, to);
    }
  });
}

TrainOutcome Trainer::accumulate(const TrainPlan& plan) {
  const std::lock_guard<std::mutex> lock(busy_);
  return addGradient(plan);
}

TrainOutcome Trainer::train(const TrainPlan& plan) {
  const std::lock_guard<std::mutex> lock(busy_);
  TrainOutcome outcome = addGradient(plan);
  pending_ = false;
  optimizer_.update(plan, gradient_.data(), outcome.gradientNorm, masters_.data());
  const auto read = [&](size_t index) { return masters_.data() + layout_.offsets[index]; };
  weights_ = packWeights(shape_, read, weights_->rope);
  transposed_.pack(shape_, layout_, masters_.data());
  return outcome;
}

std::vector<float> Trainer::gradients(const TrainPlan& plan) {
  const std::lock_guard<std::mutex> lock(busy_);
  addGradient(plan);
  pending_ = false;
  return {gradient_.data(), gradient_.data() + layout_.total};
}

std::shared_ptr<const Weights> Trainer::weights() {
  const std::lock_guard<std::mutex> lock(busy_);
  return weights_;
}

std::vector<std::vector<float>> Trainer::exportState() {
  const std::lock_guard<std::mutex> lock(busy_);
  std::vector<std::vector<float>> state;
  for (size_t i = 0; i < stateSpecs().size(); i++) {
    state.emplace_back(stateSpecs()[i].size());
    optimizer_.exportState(i, state.back().data());
  }
  return state;
}

void Trainer::importState(const std::vector<const float*>& tensors) {
  const std::lock_guard<std::mutex> lock(busy_);
  for (size_t i = 0; i < tensors.size(); i++) optimizer_.importState(i, tensors[i]);
}

}  // namespace espalier
