#include "backward_swiglu.h"

#include "isa.h"

#if ESPALIER_X86
namespace espalier::avx2 {
#include "lanes_avx2.inc"
#include "backward_swiglu.inc"
}
namespace espalier::avx512 {
#include "lanes_avx512.inc"
#include "backward_swiglu.inc"
}
#endif
namespace espalier::portable {
#include "lanes_portable.inc"
#include "backward_swiglu.inc"
}

namespace espalier {

void swigluBackward(const float* gateUp, const float* dy, int rows, int width, float* dGateUp, ptrdiff_t ldd) {
  ESPALIER_DISPATCH(swigluBackward(gateUp, dy, rows, width, dGateUp, ldd));
}

}  // namespace espalier
