#include "optimizer.h"

#include <algorithm>
#include <cmath>

#include "../kernels/math.h"
#include "../kernels/pool.h"
#include "adam.h"
#include "muon.h"

namespace espalier {
namespace {

/// Elements that a thread takes at a time; also the chunks of the norm's sum, so part of the numerics version.
constexpr size_t kChunkFloats = 1 << 15;

double power(double base, double exponent) { return base > 0 ? expExact(exponent * logExact(base)) : 0; }

}  // namespace

Optimizer::Optimizer(const Layout& layout)
    : layout_(layout), first_(layout.total), second_(layout.total), momentum_(layout.total) {
  stateSpecs_.push_back({"step", 1, 1, TensorSpec::Kind::gain});
  places_.push_back(&step_);
  for (size_t i = 0; i < layout.specs.size(); i++) {
    const TensorSpec& spec = layout.specs[i];
    const auto add = [&](const char* suffix, AlignedFloats& values) {
      stateSpecs_.push_back({spec.name + suffix, spec.rows, spec.columns, spec.kind});
      places_.push_back(values.data() + layout.offsets[i]);
    };
    add(".m", first_);
    add(".v", second_);
    if (spec.kind == TensorSpec::Kind::matrix) add(".momentum", momentum_);
  }
}

void Optimizer::exportState(size_t index, float* to) const {
  std::copy_n(places_[index], stateSpecs_[index].size(), to);
}

void Optimizer::importState(size_t index, const float* from) {
  std::copy_n(from, stateSpecs_[index].size(), places_[index]);
}

double Optimizer::norm(const float* gradient, size_t total) {
  const int chunks = static_cast<int>((total + kChunkFloats - 1) / kChunkFloats);
  std::vector<double> sums(chunks);
  parallelFor(chunks, [&](int chunk) {
    const size_t from = chunk * kChunkFloats;
    sums[chunk] = squareSum(gradient + from, std::min(kChunkFloats, total - from));
  });
  double sum = 0;
  for (double part : sums) sum += part;
  return std::sqrt(sum);
}

void Optimizer::update(const TrainPlan& plan, const float* gradient, double norm, float* weights) {
  step_ += 1;
  // The small addend keeps a zero gradient from dividing by zero, as in PyTorch's clip_grad_norm_.
  const float scale = static_cast<float>(std::min(1.0, plan.gradientClip / (norm + 1e-6)));
  AdamStep adam{};
  adam.gradientScale = scale;
  adam.beta1 = static_cast<float>(plan.beta1);
  adam.beta2 = static_cast<float>(plan.beta2);
  adam.epsilon = static_cast<float>(plan.epsilon);
  adam.stepSize = static_cast<float>(plan.learningRate / (1 - power(plan.beta1, step_)));
  adam.secondRoot = static_cast<float>(std::sqrt(1 - power(plan.beta2, step_)));
  const MuonStep muon{scale, static_cast<float>(plan.muonMomentum),
                      static_cast<float>(1 - plan.muonLearningRate * plan.weightDecay),
                      static_cast<float>(plan.muonLearningRate)};

  struct Job {
    size_t spec, from, count;
  };
  std::vector<Job> jobs;
  for (size_t i = 0; i < layout_.specs.size(); i++) {
    const TensorSpec& spec = layout_.specs[i];
    const bool whole = plan.muon && spec.kind == TensorSpec::Kind::matrix;
    const size_t most = whole ? spec.size() : kChunkFloats;
    for (size_t from = 0; from < spec.size(); from += most) {
      jobs.push_back({i, from, std::min(most, spec.size() - from)});
    }
  }
  parallelFor(static_cast<int>(jobs.size()), [&](int index) {
    const Job& job = jobs[index];
    const TensorSpec& spec = layout_.specs[job.spec];
    const size_t at = layout_.offsets[job.spec] + job.from;
    if (plan.muon && spec.kind == TensorSpec::Kind::matrix) {
      muonStep(muon, gradient + at, weights + at, momentum_.data() + at, spec.rows, spec.columns);
      return;
    }
    AdamStep mine = adam;
    const bool decays = spec.kind != TensorSpec::Kind::gain && spec.kind != TensorSpec::Kind::bias;
    mine.shrink = decays ? static_cast<float>(1 - plan.learningRate * plan.weightDecay) : 1.0f;
    adamStep(mine, gradient + at, weights + at, first_.data() + at, second_.data() + at, job.count);
  });
}

}  // namespace espalier
