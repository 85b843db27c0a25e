#include "backward_norm.h"

#include "isa.h"

#if ESPALIER_X86
namespace espalier::avx2 {
#include "lanes_avx2.inc"
#include "backward_norm.inc"
}
namespace espalier::avx512 {
#include "lanes_avx512.inc"
#include "backward_norm.inc"
}
#endif
namespace espalier::portable {
#include "lanes_portable.inc"
#include "backward_norm.inc"
}

namespace espalier {

void rmsNormBackward(const float* dy, ptrdiff_t lddy, const float* x, ptrdiff_t ldx, const float* gain,
                     const float* inverse, ptrdiff_t ldi, int rows, int width, float* dx, ptrdiff_t lddx, Store store,
                     float* gainGradient) {
  ESPALIER_DISPATCH(rmsNormBackward(dy, lddy, x, ldx, gain, inverse, ldi, rows, width, dx, lddx, store, gainGradient));
}

}  // namespace espalier
