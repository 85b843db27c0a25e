// The twin: the whole model's forward and backward, flat, simple and slow, in any float type.
//
// What it is: the yardstick of the engine's gradients. In double it is checked by finite differences; in float it is
// the flat run that the trie run is compared with. Every root-to-leaf path is a sequence of its own, computed whole.
// What it is not: it shares no code with the engine, keeps no fixed order of sums, and promises no bits.
//
// Invariants:
// 1. A loss term counts once, on the first path (in depth-first order) that holds its node.
// 2. A position is an index in the path, hence the depth in the trie.
// Axes: T tokens of a path, H hidden, D headDim, I intermediate, V vocabulary.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "../train/plan.h"

namespace espalier::twin {

struct Shape {
  int vocab, hidden, intermediate, layers, heads, kvHeads, headDim;
  double ropeTheta, normEpsilon;
  bool tied, qkNorm, qkvBias, outputBias;
  std::vector<float> ropeScaling;  // llama3's factor, low and high frequency factor, original context; or empty
};

template <typename T>
using Vec = std::vector<T>;
template <typename T>
using Parameters = std::map<std::string, Vec<T>>;

template <typename T>
struct Outcome {
  double loss = 0;
  Vec<T> termLogprobs;
  Parameters<T> gradients;
};

// y[t, o] = sum_i x[t, i] w[o, i]
template <typename T>
Vec<T> linear(const Vec<T>& x, const Vec<T>& w, int rows, int in, int out) {
  Vec<T> y(size_t(rows) * out);
  for (int t = 0; t < rows; ++t)
    for (int o = 0; o < out; ++o) {
      T sum = 0;
      for (int i = 0; i < in; ++i) sum += x[size_t(t) * in + i] * w[size_t(o) * in + i];
      y[size_t(t) * out + o] = sum;
    }
  return y;
}

// dx[t, i] += sum_o dy[t, o] w[o, i];  dw[o, i] += sum_t dy[t, o] x[t, i]
template <typename T>
void linearBackward(const Vec<T>& dy, const Vec<T>& x, const Vec<T>& w, Vec<T>& dx, Vec<T>& dw, int rows, int in,
                     int out) {
  for (int t = 0; t < rows; ++t)
    for (int o = 0; o < out; ++o) {
      const T d = dy[size_t(t) * out + o];
      for (int i = 0; i < in; ++i) {
        dx[size_t(t) * in + i] += d * w[size_t(o) * in + i];
        dw[size_t(o) * in + i] += d * x[size_t(t) * in + i];
      }
    }
}

// Rows of `width`: x += bias
template <typename T>
void shift(Vec<T>& x, const Vec<T>& bias) {
  for (size_t i = 0; i < x.size(); ++i) x[i] += bias[i % bias.size()];
}

// dbias += the rows of dx
template <typename T>
void shiftBackward(const Vec<T>& dx, Vec<T>& dbias) {
  for (size_t i = 0; i < dx.size(); ++i) dbias[i % dbias.size()] += dx[i];
}

// Rows of `width`: y = x / sqrt(mean(x^2) + epsilon) * gain
template <typename T>
Vec<T> norm(const Vec<T>& x, const Vec<T>& gain, int width, double epsilon) {
  Vec<T> y(x.size());
  for (size_t r = 0; r * width < x.size(); ++r) {
    T sum = 0;
    for (int i = 0; i < width; ++i) sum += x[r * width + i] * x[r * width + i];
    const T scale = T(1) / std::sqrt(sum / T(width) + T(epsilon));
    for (int i = 0; i < width; ++i) y[r * width + i] = x[r * width + i] * scale * gain[i];
  }
  return y;
}

template <typename T>
void normBackward(const Vec<T>& dy, const Vec<T>& x, const Vec<T>& gain, Vec<T>& dx, Vec<T>& dgain, int width,
                   double epsilon) {
  for (size_t r = 0; r * width < x.size(); ++r) {
    T sum = 0, dot = 0;
    for (int i = 0; i < width; ++i) sum += x[r * width + i] * x[r * width + i];
    const T scale = T(1) / std::sqrt(sum / T(width) + T(epsilon));
    for (int i = 0; i < width; ++i) {
      dot += dy[r * width + i] * gain[i] * x[r * width + i];
      dgain[i] += dy[r * width + i] * x[r * width + i] * scale;
    }
    const T pull = dot * scale * scale * scale / T(width);
    for (int i = 0; i < width; ++i)
      dx[r * width + i] += dy[r * width + i] * gain[i] * scale - x[r * width + i] * pull;
  }
}

// theta^(-2i/D), or what llama3's scaling makes of it; in float as Hugging Face does, whatever T is.
inline float frequency(const Shape& s, int i) {
  const float plain = float(std::pow(s.ropeTheta, -2.0 * i / s.headDim));
  if (s.ropeScaling.empty()) return plain;
  const float factor = s.ropeScaling[0], low = s.ropeScaling[1], high = s.ropeScaling[2], context = s.ropeScaling[3];
  const float wavelength = float(2 * M_PI) / plain;
  if (wavelength < context / high) return plain;
  if (wavelength > context / low) return plain / factor;
  const float smooth = (context / wavelength - low) / (high - low);
  return (1 - smooth) * plain / factor + smooth * plain;
}

// Rotates pairs (i, i + D/2) of every head by sign * position * frequency, the product rounded to float; row t has
// position t.
template <typename T>
void rope(Vec<T>& x, const Shape& s, int heads, int sign) {
  const int dim = s.headDim, half = dim / 2;
  const int rows = int(x.size() / (size_t(heads) * dim));
  for (int t = 0; t < rows; ++t)
    for (int h = 0; h < heads; ++h)
      for (int i = 0; i < half; ++i) {
        const double angle = sign * double(float(t) * frequency(s, i));
        T& a = x[(size_t(t) * heads + h) * dim + i];
        T& b = x[(size_t(t) * heads + h) * dim + i + half];
        const T c = T(std::cos(angle)), s = T(std::sin(angle)), olda = a;
        a = olda * c - b * s;
        b = b * c + olda * s;
      }
}

template <typename T>
struct LayerTape {
  Vec<T> x, xn, q0, k0, q, k, v, probability, mixed, mid, midn, gate, up, act;
};

template <typename T>
class Model {
 public:
  Model(const Shape& shape, const Parameters<T>& parameters) : s_(shape), p_(parameters) {}

  Outcome<T> run(const TrainPlan& plan, bool withGradients) {
    Outcome<T> out;
    out.termLogprobs.assign(plan.termNode.size(), T(0));
    if (withGradients)
      for (const auto& [name, data] : p_) out.gradients[name].assign(data.size(), T(0));
    std::vector<char> counted(plan.termNode.size(), 0), inner(plan.spanParent.size(), 0);
    for (int parent : plan.spanParent)
      if (parent >= 0) inner[parent] = 1;
    for (int leaf = 0; leaf < plan.spanCount(); ++leaf) {
      if (inner[leaf]) continue;
      std::vector<int> chain, nodes;
      for (int span = leaf; span >= 0; span = plan.spanParent[span]) chain.insert(chain.begin(), span);
      for (int span : chain)
        for (int n = plan.spanStart[span]; n < plan.spanStart[span + 1]; ++n) nodes.push_back(n);
      sequence(plan, nodes, counted, out, withGradients);
    }
    return out;
  }

 private:
  const Vec<T>& weight(const std::string& name) const { return p_.at(name); }
  static std::string layer(int l, const char* rest) { return "model.layers." + std::to_string(l) + "." + rest; }
  std::string headName() const { return s_.tied ? "model.embed_tokens.weight" : "lm_head.weight"; }

  void sequence(const TrainPlan& plan, const std::vector<int>& nodes, std::vector<char>& counted, Outcome<T>& out,
                bool withGradients) {
    const int rows = int(nodes.size()), H = s_.hidden, D = s_.headDim, QW = s_.heads * D, KW = s_.kvHeads * D;
    const int group = s_.heads / s_.kvHeads;
    const T scale = T(1) / std::sqrt(T(D));
    std::vector<LayerTape<T>> tape(s_.layers);
    Vec<T> x(size_t(rows) * H);
    const Vec<T>& embed = weight("model.embed_tokens.weight");
    for (int t = 0; t < rows; ++t)
      for (int i = 0; i < H; ++i) x[size_t(t) * H + i] = embed[size_t(plan.tokens[nodes[t]]) * H + i];
    for (int l = 0; l < s_.layers; ++l) {
      LayerTape<T>& a = tape[l];
      a.x = x;
      a.xn = norm(x, weight(layer(l, "input_layernorm.weight")), H, s_.normEpsilon);
      a.q0 = linear(a.xn, weight(layer(l, "self_attn.q_proj.weight")), rows, H, QW);
      a.k0 = linear(a.xn, weight(layer(l, "self_attn.k_proj.weight")), rows, H, KW);
      a.v = linear(a.xn, weight(layer(l, "self_attn.v_proj.weight")), rows, H, KW);
      if (s_.qkvBias) {
        shift(a.q0, weight(layer(l, "self_attn.q_proj.bias")));
        shift(a.k0, weight(layer(l, "self_attn.k_proj.bias")));
        shift(a.v, weight(layer(l, "self_attn.v_proj.bias")));
      }
      a.q = a.q0;
      a.k = a.k0;
      if (s_.qkNorm) {
        a.q = norm(a.q0, weight(layer(l, "self_attn.q_norm.weight")), D, s_.normEpsilon);
        a.k = norm(a.k0, weight(layer(l, "self_attn.k_norm.weight")), D, s_.normEpsilon);
      }
      rope(a.q, s_, s_.heads, 1);
      rope(a.k, s_, s_.kvHeads, 1);
      a.probability.assign(size_t(s_.heads) * rows * rows, T(0));
      a.mixed.assign(size_t(rows) * QW, T(0));
      for (int h = 0; h < s_.heads; ++h)
        for (int t = 0; t < rows; ++t) {
          T* p = &a.probability[(size_t(h) * rows + t) * rows];
          T top = -INFINITY, sum = 0;
          for (int j = 0; j <= t; ++j) {
            T dot = 0;
            const T* q = &a.q[size_t(t) * QW + h * D];
            const T* k = &a.k[size_t(j) * KW + h / group * D];
            for (int i = 0; i < D; ++i) dot += q[i] * k[i];
            p[j] = dot * scale;
            top = std::max(top, p[j]);
          }
          for (int j = 0; j <= t; ++j) sum += p[j] = std::exp(p[j] - top);
          for (int j = 0; j <= t; ++j) {
            p[j] /= sum;
            for (int i = 0; i < D; ++i)
              a.mixed[size_t(t) * QW + h * D + i] += p[j] * a.v[size_t(j) * KW + h / group * D + i];
          }
        }
      Vec<T> o = linear(a.mixed, weight(layer(l, "self_attn.o_proj.weight")), rows, QW, H);
      if (s_.outputBias) shift(o, weight(layer(l, "self_attn.o_proj.bias")));
      for (size_t i = 0; i < x.size(); ++i) x[i] += o[i];
      a.mid = x;
      a.midn = norm(x, weight(layer(l, "post_attention_layernorm.weight")), H, s_.normEpsilon);
      a.gate = linear(a.midn, weight(layer(l, "mlp.gate_proj.weight")), rows, H, s_.intermediate);
      a.up = linear(a.midn, weight(layer(l, "mlp.up_proj.weight")), rows, H, s_.intermediate);
      a.act.resize(a.gate.size());
      for (size_t i = 0; i < a.act.size(); ++i) a.act[i] = a.gate[i] / (T(1) + std::exp(-a.gate[i])) * a.up[i];
      const Vec<T> down = linear(a.act, weight(layer(l, "mlp.down_proj.weight")), rows, s_.intermediate, H);
      for (size_t i = 0; i < x.size(); ++i) x[i] += down[i];
    }
    const Vec<T> last = norm(x, weight("model.norm.weight"), H, s_.normEpsilon);
    Vec<T> dlast(last.size(), T(0));
    loss(plan, nodes, counted, last, dlast, out, withGradients);
    if (withGradients) backward(plan, nodes, tape, x, dlast, out.gradients);
  }

  void loss(const TrainPlan& plan, const std::vector<int>& nodes, std::vector<char>& counted, const Vec<T>& last,
            Vec<T>& dlast, Outcome<T>& out, bool withGradients) {
    const int H = s_.hidden, V = s_.vocab;
    const Vec<T>& head = weight(headName());
    for (size_t term = 0; term < plan.termNode.size(); ++term)
      for (size_t t = 0; t < nodes.size(); ++t) {
        if (counted[term] || plan.termNode[term] != nodes[t]) continue;
        counted[term] = 1;
        const Vec<T> row(last.begin() + t * H, last.begin() + (t + 1) * H);
        Vec<T> p = linear(row, head, 1, H, V);
        const int target = plan.termTarget[term];
        T top = -INFINITY, sum = 0;
        for (T value : p) top = std::max(top, value);
        for (T value : p) sum += std::exp(value - top);
        const T logprob = p[target] - top - std::log(sum);
        for (T& value : p) value = std::exp(value - top) / sum;
        out.termLogprobs[term] = logprob;
        double slope;  // d loss / d logprob
        if (plan.clipped) {
          const double ratio = std::exp(double(logprob) - double(plan.termBehaviorLogprob[term]));
          const double pos = plan.termAPos[term], neg = plan.termANeg[term];
          const double high = 1 + plan.clipHigh, low = 1 - plan.clipLow;
          out.loss -= (pos * std::min(ratio, high) + neg * std::max(ratio, low)) / plan.normalizer;
          slope = -((ratio > high ? 0 : pos) + (ratio < low ? 0 : neg)) * ratio / plan.normalizer;
        } else {
          out.loss -= double(plan.termCount[term]) * double(logprob) / plan.normalizer;
          slope = -double(plan.termCount[term]) / plan.normalizer;
        }
        if (!withGradients) continue;
        for (T& value : p) value *= T(-slope);
        p[target] += T(slope);
        Vec<T> drow(H, T(0));
        linearBackward(p, row, head, drow, out.gradients[headName()], 1, H, V);
        for (int i = 0; i < H; ++i) dlast[t * H + i] += drow[i];
      }
  }

  void backward(const TrainPlan& plan, const std::vector<int>& nodes, const std::vector<LayerTape<T>>& tape,
                const Vec<T>& x, const Vec<T>& dlast, Parameters<T>& g) {
    const int rows = int(nodes.size()), H = s_.hidden, D = s_.headDim, QW = s_.heads * D, KW = s_.kvHeads * D;
    const int group = s_.heads / s_.kvHeads, I = s_.intermediate;
    const T scale = T(1) / std::sqrt(T(D));
    Vec<T> dx(x.size(), T(0));
    normBackward(dlast, x, weight("model.norm.weight"), dx, g["model.norm.weight"], H, s_.normEpsilon);
    for (int l = s_.layers - 1; l >= 0; --l) {
      const LayerTape<T>& a = tape[l];
      const auto w = [&](const char* rest) -> const Vec<T>& { return weight(layer(l, rest)); };
      const auto dw = [&](const char* rest) -> Vec<T>& { return g[layer(l, rest)]; };
      Vec<T> dact(a.act.size(), T(0)), dgate(a.act.size()), dup(a.act.size()), dmidn(dx.size(), T(0));
      linearBackward(dx, a.act, w("mlp.down_proj.weight"), dact, dw("mlp.down_proj.weight"), rows, I, H);
      for (size_t i = 0; i < dact.size(); ++i) {
        const T sigma = T(1) / (T(1) + std::exp(-a.gate[i]));
        dup[i] = dact[i] * a.gate[i] * sigma;
        dgate[i] = dact[i] * a.up[i] * sigma * (T(1) + a.gate[i] * (T(1) - sigma));
      }
      linearBackward(dgate, a.midn, w("mlp.gate_proj.weight"), dmidn, dw("mlp.gate_proj.weight"), rows, H, I);
      linearBackward(dup, a.midn, w("mlp.up_proj.weight"), dmidn, dw("mlp.up_proj.weight"), rows, H, I);
      normBackward(dmidn, a.mid, w("post_attention_layernorm.weight"), dx, dw("post_attention_layernorm.weight"), H,
                    s_.normEpsilon);
      Vec<T> dmixed(a.mixed.size(), T(0)), dq(a.q.size(), T(0)), dk(a.k.size(), T(0)), dv(a.v.size(), T(0));
      linearBackward(dx, a.mixed, w("self_attn.o_proj.weight"), dmixed, dw("self_attn.o_proj.weight"), rows, QW, H);
      if (s_.outputBias) shiftBackward(dx, dw("self_attn.o_proj.bias"));
      for (int h = 0; h < s_.heads; ++h)
        for (int t = 0; t < rows; ++t) {
          const T* p = &a.probability[(size_t(h) * rows + t) * rows];
          const T* dm = &dmixed[size_t(t) * QW + h * D];
          const T* q = &a.q[size_t(t) * QW + h * D];
          Vec<T> dp(t + 1, T(0));
          T dot = 0;
          for (int j = 0; j <= t; ++j) {
            for (int i = 0; i < D; ++i) {
              dp[j] += dm[i] * a.v[size_t(j) * KW + h / group * D + i];
              dv[size_t(j) * KW + h / group * D + i] += p[j] * dm[i];
            }
            dot += dp[j] * p[j];
          }
          for (int j = 0; j <= t; ++j) {
            const T ds = p[j] * (dp[j] - dot) * scale;
            for (int i = 0; i < D; ++i) {
              dq[size_t(t) * QW + h * D + i] += ds * a.k[size_t(j) * KW + h / group * D + i];
              dk[size_t(j) * KW + h / group * D + i] += ds * q[i];
            }
          }
        }
      rope(dq, s_, s_.heads, -1);
      rope(dk, s_, s_.kvHeads, -1);
      if (s_.qkNorm) {
        Vec<T> dq0(dq.size(), T(0)), dk0(dk.size(), T(0));
        normBackward(dq, a.q0, w("self_attn.q_norm.weight"), dq0, dw("self_attn.q_norm.weight"), D, s_.normEpsilon);
        normBackward(dk, a.k0, w("self_attn.k_norm.weight"), dk0, dw("self_attn.k_norm.weight"), D, s_.normEpsilon);
        dq = dq0;
        dk = dk0;
      }
      if (s_.qkvBias) {
        shiftBackward(dq, dw("self_attn.q_proj.bias"));
        shiftBackward(dk, dw("self_attn.k_proj.bias"));
        shiftBackward(dv, dw("self_attn.v_proj.bias"));
      }
      Vec<T> dxn(dx.size(), T(0));
      linearBackward(dq, a.xn, w("self_attn.q_proj.weight"), dxn, dw("self_attn.q_proj.weight"), rows, H, QW);
      linearBackward(dk, a.xn, w("self_attn.k_proj.weight"), dxn, dw("self_attn.k_proj.weight"), rows, H, KW);
      linearBackward(dv, a.xn, w("self_attn.v_proj.weight"), dxn, dw("self_attn.v_proj.weight"), rows, H, KW);
      normBackward(dxn, a.x, w("input_layernorm.weight"), dx, dw("input_layernorm.weight"), H, s_.normEpsilon);
    }
    Vec<T>& dembed = g["model.embed_tokens.weight"];
    for (int t = 0; t < rows; ++t)
      for (int i = 0; i < H; ++i) dembed[size_t(plan.tokens[nodes[t]]) * H + i] += dx[size_t(t) * H + i];
  }

  Shape s_;
  const Parameters<T>& p_;
};

}  // namespace espalier::twin
