#include "swiglu.h"

#include "isa.h"

#if ESPALIER_X86
namespace espalier::avx2 {
#include "lanes_avx2.inc"
#include "swiglu.inc"
}
namespace espalier::avx512 {
#include "lanes_avx512.inc"
#include "swiglu.inc"
}
#endif
namespace espalier::portable {
#include "lanes_portable.inc"
#include "swiglu.inc"
}

namespace espalier {

void swiglu(const float* gateUp, int rows, int width, float* y) {
  ESPALIER_DISPATCH(swiglu(gateUp, rows, width, y));
}

}  // namespace espalier
