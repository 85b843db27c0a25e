// Weight gradients: G[o][i] += sum over t of dY[t][o] * X[t][i].
//
// Invariants:
// 1. An element's sum over the rows given is one fma chain, t ascending, added to G once. So a gradient depends on the
//    order of tokens and on where batches of rows end, never on threads or the instruction set.
// 2. Lanes are inputs i, never t.
#pragma once

#include <cstddef>

#include "isa.h"

namespace espalier {

/// X as panels of 16 columns: [ceil(width / 16)][capacity][16]. Puts rows [firstRow, firstRow + rows) in place from
/// row-major x [rows][width]; a last narrow panel is zero padded.
void packColumns(const float* x, int rows, int width, float* panels, int capacity, int firstRow);

/// dy: [rows][outputs] stride lddy; panels: X as above; gradient: [outputs][inputs].
void addOuterProducts(const float* dy, ptrdiff_t lddy, const float* panels, int capacity, int rows, int outputs,
                      int inputs, float* gradient);

}  // namespace espalier
