#include "scalar.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

#include "../kernels/math.h"

namespace espalier::scalar {
namespace {

constexpr int kChain = 256;
constexpr int kLanes = 16;

/// Rule 1.
template <class Left, class Right>
float chain(int count, Left left, Right right) {
  float total = 0;
  for (int from = 0; from < count; from += kChain) {
    float part = 0;
    for (int k = from; k < count && k < from + kChain; k++) part = std::fma(left(k), right(k), part);
    total = from == 0 ? part : total + part;
  }
  return total;
}

/// Rule 2: element i was gathered in lane i mod 16.
float fold(const float (&lanes)[kLanes]) {
  float part[kLanes];
  std::memcpy(part, lanes, sizeof(part));
  for (int width = kLanes / 2; width >= 1; width /= 2) {
    for (int i = 0; i < width; i++) part[i] = part[i] + part[i + width];
  }
  return part[0];
}

float highest(const float* x, int count) {
  float most = -std::numeric_limits<float>::infinity();
  for (int i = 0; i < count; i++) most = x[i] > most ? x[i] : most;
  return most;
}

}  // namespace

float exp(float x) {
  if (x < -87.3f) return 0;
  if (x > 88.72283f) return std::numeric_limits<float>::infinity();
  const float n = std::nearbyintf(std::fma(x, 1.44269504088896341f, 0.0f));
  float r = std::fma(-n, 0.693359375f, x);
  r = std::fma(-n, -2.12194440e-4f, r);
  float p = 1.9875691500e-4f;
  for (const float c : {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f}) {
    p = std::fma(p, r, c);
  }
  return std::ldexp(std::fma(p, r * r, r) + 1.0f, static_cast<int>(n));
}

void gemm(const float* a, const float* w, float* c, int m, int n, int k, bool add) {
  for (int row = 0; row < m; row++) {
    for (int output = 0; output < n; output++) {
      const float product = chain(
          k, [&](int i) { return a[row * k + i]; }, [&](int i) { return w[output * k + i]; });
      float& to = c[row * n + output];
      to = add ? to + product : product;
    }
  }
}

void addBias(const float* bias, float* c, int rows, int width) {
  for (int i = 0; i < rows * width; i++) c[i] = c[i] + bias[i % width];
}

void addRowSums(const float* dy, float* gradient, int rows, int width) {
  for (int i = 0; i < width; i++) {
    float sum = 0;
    for (int row = 0; row < rows; row++) sum = sum + dy[row * width + i];
    gradient[i] = gradient[i] + sum;
  }
}

void addOuterProducts(const float* dy, const float* x, float* gradient, int rows, int outputs, int inputs) {
  for (int o = 0; o < outputs; o++) {
    for (int i = 0; i < inputs; i++) {
      float sum = 0;
      for (int row = 0; row < rows; row++) sum = std::fma(dy[row * outputs + o], x[row * inputs + i], sum);
      gradient[o * inputs + i] = gradient[o * inputs + i] + sum;
    }
  }
}

void rmsNorm(const float* x, const float* gain, int rows, int width, float epsilon, float* y, float* inverse) {
  for (int row = 0; row < rows; row++) {
    float lanes[kLanes] = {};
    for (int i = 0; i < width; i++) {
      const float value = x[row * width + i];
      lanes[i % kLanes] = std::fma(value, value, lanes[i % kLanes]);
    }
    inverse[row] = 1.0f / std::sqrt(fold(lanes) / static_cast<float>(width) + epsilon);
    for (int i = 0; i < width; i++) y[row * width + i] = (x[row * width + i] * inverse[row]) * gain[i];
  }
}

void ropeTable(int positions, int headDim, double theta, const float* scaling, float* cosines, float* sines) {
  const int half = headDim / 2;
  for (int at = 0; at < positions * half; at++) {
    float frequency = static_cast<float>(expExact(-logExact(theta) * (2.0 * (at % half) / headDim)));
    if (scaling != nullptr) {
      const float factor = scaling[0], low = scaling[1], high = scaling[2], context = scaling[3];
      const float wavelength = 6.283185307179586f / frequency;
      const float smooth = (context / wavelength - low) / (high - low);
      if (wavelength > context / low) {
        frequency = frequency / factor;
      } else if (wavelength >= context / high) {
        frequency = (1.0f - smooth) * frequency / factor + smooth * frequency;
      }
    }
    double sine, cosine;
    sinCosExact(static_cast<float>(at / half) * frequency, sine, cosine);
    cosines[at] = static_cast<float>(cosine);
    sines[at] = static_cast<float>(sine);
  }
}

void rope(const float* x, const float* cosines, const float* sines, int heads, int headDim, float sign, float* y) {
  const int half = headDim / 2;
  for (int head = 0; head < heads; head++) {
    for (int i = 0; i < half; i++) {
      const float low = x[head * headDim + i], high = x[head * headDim + half + i];
      const float sine = sines[i] * sign;
      y[head * headDim + i] = std::fma(-high, sine, low * cosines[i]);
      y[head * headDim + half + i] = std::fma(low, sine, high * cosines[i]);
    }
  }
}

void swiglu(const float* gateUp, int rows, int width, float* y) {
  for (int row = 0; row < rows; row++) {
    for (int i = 0; i < width; i++) {
      const float gate = gateUp[row * 2 * width + i], up = gateUp[row * 2 * width + width + i];
      y[row * width + i] = gate / (1.0f + exp(0.0f - gate)) * up;
    }
  }
}

void attention(const float* q, const float* keys, const float* values, int rows, int firstPosition, int heads,
               int kvHeads, int headDim, float scale, float* out, float* maxima, float* sums) {
  const int queryWidth = heads * headDim, kvWidth = kvHeads * headDim;
  for (int row = 0; row < rows; row++) {
    const int length = firstPosition + row + 1;
    for (int head = 0; head < heads; head++) {
      const float* query = q + row * queryWidth + head * headDim;
      const int offset = head / (heads / kvHeads) * headDim;
      std::vector<float> weights(static_cast<size_t>(length));
      for (int j = 0; j < length; j++) {
        weights[j] = chain(
                         headDim, [&](int d) { return query[d]; },
                         [&](int d) { return keys[j * kvWidth + offset + d]; }) *
                     scale;
      }
      const float maximum = highest(weights.data(), length);
      float lanes[kLanes] = {};
      for (int j = 0; j < length; j++) {
        weights[j] = exp(weights[j] - maximum);
        lanes[j % kLanes] = lanes[j % kLanes] + weights[j];
      }
      const float sum = fold(lanes);
      for (int d = 0; d < headDim; d++) {
        out[row * queryWidth + head * headDim + d] = chain(
                                                         length, [&](int j) { return weights[j]; },
                                                         [&](int j) { return values[j * kvWidth + offset + d]; }) /
                                                     sum;
      }
      maxima[row * heads + head] = maximum;
      sums[row * heads + head] = sum;
    }
  }
}

Row logprobRow(const float* logits, int vocab) {
  const float maximum = highest(logits, vocab);
  float sums[kLanes] = {}, products[kLanes] = {};
  for (int i = 0; i < vocab; i++) {
    const float below = logits[i] - maximum, e = exp(below);
    sums[i % kLanes] = sums[i % kLanes] + e;
    products[i % kLanes] = std::fma(e, below, products[i % kLanes]);
  }
  const float sum = fold(sums), logSum = logOne(sum);
  return {maximum, sum, logSum, logSum - fold(products) / sum};
}

int32_t drawToken(const float* logits, int vocab, float temperature, double uniform) {
  const float maximum = highest(logits, vocab);
  int32_t last = 0;
  if (temperature == 0) {
    while (logits[last] != maximum) last++;
    return last;
  }
  std::vector<float> e(static_cast<size_t>(vocab));
  for (int i = 0; i < vocab; i++) e[i] = exp((logits[i] - maximum) / temperature);
  // Blocks of 256 are summed in lanes, blocks and the tokens of the hit block in double, in id order.
  std::vector<float> blocks;
  for (int first = 0; first < vocab; first += kChain) {
    float lanes[kLanes] = {};
    for (int i = first; i < vocab && i < first + kChain; i++) lanes[i % kLanes] = lanes[i % kLanes] + e[i];
    blocks.push_back(fold(lanes));
  }
  double total = 0, before = 0;
  for (const float block : blocks) total += block;
  const double target = uniform * total;
  size_t hit = 0;
  while (hit + 1 < blocks.size() && before + blocks[hit] <= target) before += blocks[hit++];
  for (int i = static_cast<int>(hit) * kChain; i < vocab && i < static_cast<int>(hit + 1) * kChain; i++) {
    before += e[i];
    if (e[i] > 0) last = i;
    if (e[i] > 0 && before > target) return i;
  }
  return last;
}

int32_t drawTruncated(const float* logits, int vocab, float temperature, int topK, float topP, float minP,
                      double uniform) {
  const float maximum = highest(logits, vocab);
  std::vector<int32_t> order(static_cast<size_t>(vocab));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return logits[a] > logits[b]; });
  const auto e = [&](int32_t id) { return exp((logits[id] - maximum) / temperature); };
  const auto mass = [&](size_t count) {
    std::vector<int32_t> ids(order.begin(), order.begin() + static_cast<ptrdiff_t>(count));
    std::sort(ids.begin(), ids.end());
    double sum = 0;
    for (const int32_t id : ids) sum += e(id);
    return sum;
  };
  size_t kept = topK > 0 && topK < vocab ? static_cast<size_t>(topK) : order.size();
  if (topP < 1) {
    const double wanted = topP * mass(kept);
    double held = 0;
    size_t taken = 0;
    while (taken < kept && held < wanted) held += e(order[taken++]);
    kept = taken;
  }
  while (kept > 1 && e(order[kept - 1]) < minP) kept--;
  const double total = mass(kept);
  std::sort(order.begin(), order.begin() + static_cast<ptrdiff_t>(kept));
  double running = 0;
  int32_t last = order[0];
  for (size_t i = 0; i < kept; i++) {
    if (e(order[i]) == 0) continue;
    last = order[i];
    running += e(last);
    if (running > uniform * total) return last;
  }
  return last;
}

}  // namespace espalier::scalar
