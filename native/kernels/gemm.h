// Matrix product with packed weights: C[m][n] = sum over k of A[m][k] * W[n][k].
//
// Invariants:
// 1. An element is one fma chain, k ascending, restarted every 256, partial sums added in ascending order, whatever M,
//    the rows beside it, the panels asked for, and the instruction set.
// 2. Lanes are outputs, never k. The last panel is zero padded; padding is never stored.
#pragma once

#include <cstddef>
#include <memory>

#include "aligned.h"
#include "isa.h"

namespace espalier {

/// W as panels of 16 outputs: [ceil(N / 16)][K][16].
struct PackedMatrix {
  int outputs = 0;  // N
  int inputs = 0;   // K
  AlignedFloats panels;

  PackedMatrix() = default;
  PackedMatrix(int outputs, int inputs, const std::shared_ptr<Slab>& slab = nullptr)
      : outputs(outputs), inputs(inputs), panels(floats(outputs, inputs), slab) {}

  static size_t floats(int outputs, int inputs) { return static_cast<size_t>(padToLanes(outputs)) * inputs; }

  int panelCount() const { return panelsOf(outputs); }
  const float* panel(int index) const { return panels.data() + static_cast<size_t>(index) * inputs * kLanes; }

  /// Puts W's rows [firstOutput, firstOutput + rows) in place from row-major [rows][K].
  void packRows(const float* weight, int firstOutput, int rows);
  /// The reverse of packRows.
  void unpackRows(float* weight, int firstOutput, int rows) const;
};

/// For dX = dY * W: packs row-major W [N][K] so that outputs are k and the chain runs over n. `packed` is (K, N).
/// Rows [firstInput, firstInput + rows) of the chain come from `weight` [rows][K].
void packTransposed(PackedMatrix& packed, const float* weight, int firstInput, int rows);

enum class Store {
  overwrite,  // C = A W^T
  add,        // C = C + A W^T: the product is rounded first, then added once
};

/// A: [M][K], stride lda; C: [M][N], stride ldc. Computes the panels [firstPanel, endPanel) only.
void gemm(const float* a, ptrdiff_t lda, int m, const PackedMatrix& w, float* c, ptrdiff_t ldc, Store store,
          int firstPanel, int endPanel);

inline void gemm(const float* a, ptrdiff_t lda, int m, const PackedMatrix& w, float* c, ptrdiff_t ldc,
                 Store store = Store::overwrite) {
  gemm(a, lda, m, w, c, ldc, store, 0, w.panelCount());
}

}  // namespace espalier
