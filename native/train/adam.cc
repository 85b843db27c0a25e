#include "adam.h"

#include "../kernels/isa.h"

#if ESPALIER_X86
namespace espalier::avx2 {
#include "../kernels/lanes_avx2.inc"
#include "adam.inc"
}
namespace espalier::avx512 {
#include "../kernels/lanes_avx512.inc"
#include "adam.inc"
}
#endif
namespace espalier::portable {
#include "../kernels/lanes_portable.inc"
#include "adam.inc"
}

namespace espalier {

void adamStep(const AdamStep& step, const float* gradient, float* weights, float* first, float* second, size_t count) {
  ESPALIER_DISPATCH(adamStep(step, gradient, weights, first, second, count));
}

double squareSum(const float* values, size_t count) {
  double lanes[kLanes] = {};
  for (size_t i = 0; i < count; i++) lanes[i % kLanes] += static_cast<double>(values[i]) * values[i];
  for (int width = kLanes / 2; width > 0; width /= 2) {
    for (int lane = 0; lane < width; lane++) lanes[lane] += lanes[lane + width];
  }
  return lanes[0];
}

}  // namespace espalier
