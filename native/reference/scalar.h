// The scalar twins of the forward kernels: the five rules written down as plain loops over single floats, for tests to
// compare bits with. Slow on purpose; nothing of the engine calls them, and they call no kernel.
#pragma once

#include <cstdint>

namespace espalier::scalar {

float exp(float x);

/// c[m][n] = (add ? c : 0) + sum over k of a[m][k] * w[n][k]; all row-major and dense.
void gemm(const float* a, const float* w, float* c, int m, int n, int k, bool add);

/// c[row][i] += bias[i]
void addBias(const float* bias, float* c, int rows, int width);

/// gradient[i] += sum over rows of dy[row][i]
void addRowSums(const float* dy, float* gradient, int rows, int width);

/// gradient[o][i] += sum over rows of dy[row][o] * x[row][i]
void addOuterProducts(const float* dy, const float* x, float* gradient, int rows, int outputs, int inputs);

/// cosines, sines: [positions][headDim / 2]. scaling: factor, low and high frequency factor, original context; or null.
void ropeTable(int positions, int headDim, double theta, const float* scaling, float* cosines, float* sines);

void rmsNorm(const float* x, const float* gain, int rows, int width, float epsilon, float* y, float* inverse);

void rope(const float* x, const float* cosines, const float* sines, int heads, int headDim, float sign, float* y);

void swiglu(const float* gateUp, int rows, int width, float* y);

/// keys, values: [positions][kvHeads * headDim]; q, out: [rows][heads * headDim]; maxima, sums: [rows][heads].
void attention(const float* q, const float* keys, const float* values, int rows, int firstPosition, int heads,
               int kvHeads, int headDim, float scale, float* out, float* maxima, float* sums);

struct Row {
  float maximum, sum, logSum, entropy;
};
Row logprobRow(const float* logits, int vocab);

int32_t drawToken(const float* logits, int vocab, float temperature, double uniform);

/// With filters, at a temperature above 0: by sorting the whole vocabulary.
int32_t drawTruncated(const float* logits, int vocab, float temperature, int topK, float topP, float minP,
                      double uniform);

}  // namespace espalier::scalar
