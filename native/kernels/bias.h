// The bias of a projection: forward it is added to the product, which was rounded first; backward it gets the sum of
// the projection's gradient rows. Only sums, and lanes are outputs: equal bits on every instruction set.
#pragma once

#include <cstddef>

namespace espalier {

/// c: [rows][width] stride ldc; bias: [width]. c[row][i] = c[row][i] + bias[i].
void addBias(const float* bias, int rows, int width, float* c, ptrdiff_t ldc);

/// dy: [rows][width] stride lddy; gradient: [width]. An element's sum over the rows given is one chain, rows ascending,
/// added to the gradient once: as a weight's (backward_matrix.h), it depends on where batches of rows end.
void addRowSums(const float* dy, ptrdiff_t lddy, int rows, int width, float* gradient);

}  // namespace espalier
