#include "norm.h"

#include "isa.h"

#if ESPALIER_X86
namespace espalier::avx2 {
#include "lanes_avx2.inc"
#include "norm.inc"
}
namespace espalier::avx512 {
#include "lanes_avx512.inc"
#include "norm.inc"
}
#endif
namespace espalier::portable {
#include "lanes_portable.inc"
#include "norm.inc"
}

namespace espalier {

void rmsNorm(const float* x, ptrdiff_t ldx, const float* gain, int rows, int width, float epsilon, float* y,
             ptrdiff_t ldy, float* inverse) {
  ESPALIER_DISPATCH(rmsNorm(x, ldx, gain, rows, width, epsilon, y, ldy, inverse));
}

}  // namespace espalier
