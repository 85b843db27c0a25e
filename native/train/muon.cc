#include "muon.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "../kernels/gemm.h"
#include "adam.h"

namespace espalier {
namespace {

constexpr int kSteps = 5;
constexpr float kA = 3.4445f, kB = -4.7750f, kC = 2.0315f;

std::vector<float> transpose(const float* x, int rows, int columns) {
  std::vector<float> y(static_cast<size_t>(rows) * columns);
  for (int r = 0; r < rows; r++) {
    for (int c = 0; c < columns; c++) y[static_cast<size_t>(c) * rows + r] = x[static_cast<size_t>(r) * columns + c];
  }
  return y;
}

/// x: [rows][columns], rows <= columns: X <- a X + (b A + c A A) X with A = X X^T.
void newtonSchulz(std::vector<float>& x, int rows, int columns) {
  const size_t square = static_cast<size_t>(rows) * rows;
  std::vector<float> a(square), b(square), product(x.size());
  PackedMatrix byRows(rows, columns), squared(rows, rows), byColumns(columns, rows);
  for (int step = 0; step < kSteps; step++) {
    byRows.packRows(x.data(), 0, rows);
    gemm(x.data(), columns, rows, byRows, a.data(), rows);
    squared.packRows(a.data(), 0, rows);  // A is symmetric: its rows are its columns
    gemm(a.data(), rows, rows, squared, b.data(), rows);
    for (size_t i = 0; i < square; i++) b[i] = kB * a[i] + kC * b[i];
    packTransposed(byColumns, x.data(), 0, rows);
    gemm(b.data(), rows, rows, byColumns, product.data(), columns);
    for (size_t i = 0; i < x.size(); i++) x[i] = kA * x[i] + product[i];
  }
}

}  // namespace

void orthogonalize(float* x, int rows, int columns) {
  const size_t count = static_cast<size_t>(rows) * columns;
  const float inverse = 1.0f / (static_cast<float>(std::sqrt(squareSum(x, count))) + 1e-7f);
  const bool tall = rows > columns;
  std::vector<float> wide = tall ? transpose(x, rows, columns) : std::vector<float>(x, x + count);
  for (float& value : wide) value *= inverse;
  newtonSchulz(wide, std::min(rows, columns), std::max(rows, columns));
  if (tall) wide = transpose(wide.data(), columns, rows);
  std::copy(wide.begin(), wide.end(), x);
}

void muonStep(const MuonStep& step, const float* gradient, float* weights, float* momentum, int rows, int columns) {
  const size_t count = static_cast<size_t>(rows) * columns;
  const float keep = step.momentum, take = 1.0f - step.momentum;
  std::vector<float> update(count);
  for (size_t i = 0; i < count; i++) {
    const float slope = gradient[i] * step.gradientScale;
    momentum[i] = momentum[i] * keep + slope * take;
    update[i] = slope * take + momentum[i] * keep;
  }
  orthogonalize(update.data(), rows, columns);
  const float ratio = std::max(1.0f, static_cast<float>(rows) / static_cast<float>(columns));
  const float size = step.learningRate * std::sqrt(ratio);
  for (size_t i = 0; i < count; i++) weights[i] = weights[i] * step.shrink - size * update[i];
}

}  // namespace espalier
