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
  // A few rows at a time: they are read as so many streams, where single columns of all rows would be as many pages.
  const int together = 8;
  for (int from = 0; from < rows; from += together) {
    const int end = from + together < rows ? from + together : rows;
    for (int first = 0; first < width; first += kLanes) {
      float* panel = panels + static_cast<size_t>(first) * capacity + static_cast<size_t>(firstRow) * kLanes;
      const int count = width - first < kLanes ? width - first : kLanes;
      for (int row = from; row < end; row++) {
        const float* source = x + static_cast<size_t>(row) * width + first;
        float* to = panel + static_cast<size_t>(row) * kLanes;
        if (count == kLanes) {
          __builtin_memcpy(to, source, kLanes * sizeof(float));
        } else {
          for (int lane = 0; lane < kLanes; lane++) to[lane] = lane < count ? source[lane] : 0.0f;
        }
      }
    }
  }
}

}  // namespace espalier
