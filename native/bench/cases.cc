#include "cases.h"

#include <cmath>
#include <memory>
#include <numeric>
#include <random>
#include <stdexcept>

#include "../kernels/aligned.h"
#include "../kernels/attention.h"
#include "../kernels/backward_attention.h"
#include "../kernels/backward_matrix.h"
#include "../kernels/backward_norm.h"
#include "../kernels/backward_swiglu.h"
#include "../kernels/gemm.h"
#include "../kernels/logprob.h"
#include "../kernels/norm.h"
#include "../kernels/rope.h"
#include "../kernels/swiglu.h"

namespace espalier::bench {
namespace {

using Sizes = std::vector<int>;
using Floats = std::shared_ptr<AlignedFloats>;

Floats filled(size_t count, float low = -1, float high = 1) {
  auto values = std::make_shared<AlignedFloats>(count + kLanes);
  std::minstd_rand generator(static_cast<unsigned>(count));
  std::uniform_real_distribution<float> uniform(low, high);
  for (size_t i = 0; i < count; i++) (*values)[i] = uniform(generator);
  return values;
}

size_t area(int rows, int width) { return static_cast<size_t>(rows) * width; }

// rows, outputs, inputs: Y = X W^T
Case matrixForward(const Sizes& of) {
  const int m = of[0], n = of[1], k = of[2];
  auto weights = std::make_shared<PackedMatrix>(n, k);
  weights->packRows(filled(area(n, k))->data(), 0, n);
  return [=]() -> Call {
    auto x = filled(area(m, k)), y = filled(area(m, n));
    return [=] { gemm(x->data(), k, m, *weights, y->data(), n); };
  };
}

// rows, outputs, inputs: dX = dY W
Case matrixInput(const Sizes& of) {
  const int m = of[0], n = of[1], k = of[2];
  auto weights = std::make_shared<PackedMatrix>(k, n);
  packTransposed(*weights, filled(area(n, k))->data(), 0, n);
  const int stride = padToLanes(n) + kLanes;
  return [=]() -> Call {
    auto dy = filled(area(m, stride)), dx = filled(area(m, k));
    return [=] { gemm(dy->data(), stride, m, *weights, dx->data(), k); };
  };
}

// rows, outputs, inputs: dW += dY^T X, the packing of X included
Case matrixWeight(const Sizes& of) {
  const int m = of[0], n = of[1], k = of[2];
  const int stride = padToLanes(n) + kLanes;
  return [=]() -> Call {
    auto dy = filled(area(m, stride)), x = filled(area(m, k)), gradient = filled(area(n, k));
    auto panels = filled(area(m, padToLanes(k)));
    return [=] {
      packColumns(x->data(), m, k, panels->data(), m, 0);
      addOuterProducts(dy->data(), stride, panels->data(), m, m, n, k, gradient->data());
    };
  };
}

struct AttentionOperands {
  int rows, first, heads;
  BlockLayout layout;
  float scale;
  std::vector<int32_t> blocks;
  Floats keys, mirror, q, out, maxima, sums, scratch;

  explicit AttentionOperands(const Sizes& of)
      : rows(of[0]), first(of[1]), heads(of[2]), layout{of[3], of[4]}, scale(1 / std::sqrt(float(of[4]))) {
    const int positions = first + rows, width = heads * layout.headDim;
    blocks.resize(positions / kBlockTokens + 1);
    std::iota(blocks.begin(), blocks.end(), 0);
    keys = filled(layout.blockFloats() * blocks.size());
    mirror = filled(layout.blockFloats() * blocks.size());
    q = filled(area(rows, width));
    out = filled(area(rows, width));
    maxima = filled(area(rows, heads));
    sums = filled(area(rows, heads));
    scratch = filled(attentionScratch(positions));
  }
  BlockTable table(const Floats& of) const { return {of->data(), blocks.data()}; }
  void forward() const {
    const int width = heads * layout.headDim;
    attention(q->data(), width, rows, first, heads, scale, table(keys), layout, out->data(), width, maxima->data(),
              sums->data(), scratch->data());
  }
};

// rows, firstPosition, heads, kvHeads, headDim
Case attentionForward(const Sizes& of) {
  return [=]() -> Call {
    auto operands = std::make_shared<AttentionOperands>(of);
    return [=] { operands->forward(); };
  };
}

// rows, firstPosition, heads, kvHeads, headDim
Case attentionGradient(const Sizes& of) {
  return [=]() -> Call {
    auto operands = std::make_shared<AttentionOperands>(of);
    operands->forward();
    const AttentionOperands& o = *operands;
    const int width = o.heads * o.layout.headDim;
    const ptrdiff_t headStride = static_cast<ptrdiff_t>(o.blocks.size()) * kBlockTokens * o.layout.valueStride();
    auto dOut = filled(area(o.rows, width)), dq = filled(area(o.rows, width));
    auto dKeys = filled(headStride * o.layout.kvHeads), dValues = filled(headStride * o.layout.kvHeads);
    auto scratch = filled(attentionBackwardScratch(o.layout, o.heads, o.rows));
    return [=] {
      const AttentionOperands& to = *operands;
      attentionBackward({to.rows, to.first, to.heads, to.scale, to.layout, to.table(to.keys), to.table(to.mirror),
                         to.q->data(), width, to.out->data(), dOut->data(), to.maxima->data(), to.sums->data(),
                         dq->data(), width, dKeys->data(), dValues->data(), headStride, scratch->data()});
    };
  };
}

// rows, width
Case normForward(const Sizes& of) {
  const int rows = of[0], width = of[1];
  return [=]() -> Call {
    auto x = filled(area(rows, width)), gain = filled(width), y = filled(area(rows, width)), inverse = filled(rows);
    return [=] {
      rmsNorm(x->data(), width, gain->data(), rows, width, 1e-6f, y->data(), width, inverse->data());
    };
  };
}

// rows, width
Case normGradient(const Sizes& of) {
  const int rows = of[0], width = of[1];
  return [=]() -> Call {
    auto dy = filled(area(rows, width)), x = filled(area(rows, width)), gain = filled(width);
    auto inverse = filled(rows, 0.5f, 1.5f), dx = filled(area(rows, width)), gradient = filled(width);
    return [=] {
      rmsNormBackward(dy->data(), width, x->data(), width, gain->data(), inverse->data(), 1, rows, width, dx->data(),
                      width, Store::overwrite, gradient->data());
    };
  };
}

// rows, heads, headDim
Case rotation(const Sizes& of) {
  const int rows = of[0], heads = of[1], dim = of[2];
  auto table = std::make_shared<RopeTable>(rows, dim, 10000.0, std::nullopt);
  return [=]() -> Call {
    auto x = filled(area(rows, heads * dim)), y = filled(area(rows, heads * dim));
    return [=] {
      for (int row = 0; row < rows; row++) {
        const size_t at = area(row, heads * dim);
        rope(x->data() + at, table->cosines(row), table->sines(row), heads, dim, 1.0f, y->data() + at);
      }
    };
  };
}

// rows, width
Case swigluForward(const Sizes& of) {
  const int rows = of[0], width = of[1];
  return [=]() -> Call {
    auto gateUp = filled(area(rows, 2 * width)), y = filled(area(rows, width));
    return [=] { swiglu(gateUp->data(), rows, width, y->data()); };
  };
}

// rows, width
Case swigluGradient(const Sizes& of) {
  const int rows = of[0], width = of[1];
  return [=]() -> Call {
    auto gateUp = filled(area(rows, 2 * width)), dy = filled(area(rows, width));
    auto gradient = filled(area(rows, 2 * width));
    return [=] { swigluBackward(gateUp->data(), dy->data(), rows, width, gradient->data(), 2 * width); };
  };
}

// rows, vocab
Case logprobRows(const Sizes& of) {
  const int rows = of[0], vocab = of[1];
  return [=]() -> Call {
    auto logits = filled(area(rows, vocab), -8, 8);
    auto sums = filled(rows);
    return [=] {
      for (int row = 0; row < rows; row++) (*sums)[row] = logprobRow(logits->data() + area(row, vocab), vocab).logSum;
    };
  };
}

struct Kernel {
  const char* name;
  size_t sizes;
  Case (*make)(const Sizes&);
};

constexpr Kernel kKernels[] = {
    {"matrix forward", 3, matrixForward},
    {"matrix dX", 3, matrixInput},
    {"matrix dW", 3, matrixWeight},
    {"attention forward", 5, attentionForward},
    {"attention backward", 5, attentionGradient},
    {"norm forward", 2, normForward},
    {"norm backward", 2, normGradient},
    {"rope", 3, rotation},
    {"swiglu forward", 2, swigluForward},
    {"swiglu backward", 2, swigluGradient},
    {"log-prob", 2, logprobRows},
};

}  // namespace

Case makeCase(const std::string& name, const std::vector<int>& sizes) {
  for (const Kernel& kernel : kKernels) {
    if (name != kernel.name) continue;
    bool fits = sizes.size() == kernel.sizes;
    for (int size : sizes) fits = fits && size >= 0;
    if (!fits) throw std::invalid_argument(name + " takes " + std::to_string(kernel.sizes) + " sizes from 0");
    return kernel.make(sizes);
  }
  throw std::invalid_argument("no kernel is called " + name);
}

}  // namespace espalier::bench
