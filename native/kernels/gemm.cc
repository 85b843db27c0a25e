#include "gemm.h"

#if ESPALIER_X86
namespace espalier::avx2 {
#include "lanes_avx2.inc"
#include "gemm.inc"
}
namespace espalier::avx512 {
#include "lanes_avx512.inc"
#include "gemm.inc"
}
#endif
namespace espalier::portable {
#include "lanes_portable.inc"
#include "gemm.inc"
}

namespace espalier {

void gemm(const float* a, ptrdiff_t lda, int m, const PackedMatrix& w, float* c, ptrdiff_t ldc, Store store,
          int firstPanel, int endPanel) {
  ESPALIER_DISPATCH(gemm(a, lda, m, w, c, ldc, store, firstPanel, endPanel));
}

void PackedMatrix::packRows(const float* weight, int firstOutput, int rows) {
  for (int row = 0; row < rows; row++) {
    const int output = firstOutput + row;
    float* to = panels.data() + static_cast<size_t>(output / kLanes) * inputs * kLanes + output % kLanes;
    const float* from = weight + static_cast<size_t>(row) * inputs;
    for (int k = 0; k < inputs; k++) to[static_cast<size_t>(k) * kLanes] = from[k];
  }
}

void PackedMatrix::unpackRows(float* weight, int firstOutput, int rows) const {
  for (int row = 0; row < rows; row++) {
    const int output = firstOutput + row;
    const float* from = panel(output / kLanes) + output % kLanes;
    float* to = weight + static_cast<size_t>(row) * inputs;
    for (int k = 0; k < inputs; k++) to[k] = from[static_cast<size_t>(k) * kLanes];
  }
}

void packTransposed(PackedMatrix& packed, const float* weight, int firstInput, int rows) {
  for (int panel = 0; panel < packed.panelCount(); panel++) {
    const int first = panel * kLanes;
    const int width = packed.outputs - first < kLanes ? packed.outputs - first : kLanes;
    for (int row = 0; row < rows; row++) {
      float* to = packed.panels.data() + (static_cast<size_t>(panel) * packed.inputs + firstInput + row) * kLanes;
      const float* from = weight + static_cast<size_t>(row) * packed.outputs + first;
      for (int lane = 0; lane < width; lane++) to[lane] = from[lane];
    }
  }
}

}  // namespace espalier
