#include "backward_matrix.h"

#include "isa.h"

#if ESPALIER_X86
namespace espalier::avx2 {
#include "lanes_avx2.inc"
#include "backward_matrix.inc"
}
namespace espalier::avx512 {
#include "lanes_avx512.inc"
#include "backward_matrix.inc"
}
#endif
namespace espalier::portable {
#include "lanes_portable.inc"
#include "backward_matrix.inc"
}

namespace espalier {

void addOuterProducts(const float* dy, ptrdiff_t lddy, const float* panels, int capacity, int rows, int outputs,
                      int inputs, float* gradient) {
  ESPALIER_DISPATCH(addOuterProducts(dy, lddy, panels, capacity, rows, outputs, inputs, gradient));
}

void packColumns(const float* x, int rows, int width, float* panels, int capacity, int firstRow) {
  for (int first = 0; first < width; first += kLanes) {
    float* panel = panels + static_cast<size_t>(first) * capacity + static_cast<size_t>(firstRow) * kLanes;
    const int count = width - first < kLanes ? width - first : kLanes;
    for (int row = 0; row < rows; row++) {
      const float* from = x + static_cast<size_t>(row) * width + first;
      float* to = panel + static_cast<size_t>(row) * kLanes;
      if (count == kLanes) {
        __builtin_memcpy(to, from, kLanes * sizeof(float));
      } else {
        for (int lane = 0; lane < kLanes; lane++) to[lane] = lane < count ? from[lane] : 0.0f;
      }
    }
  }
}

}  // namespace espalier
