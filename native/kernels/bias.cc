#include "bias.h"

#include "isa.h"

#if ESPALIER_X86
namespace espalier::avx2 {
#include "lanes_avx2.inc"
#include "bias.inc"
}
namespace espalier::avx512 {
#include "lanes_avx512.inc"
#include "bias.inc"
}
#endif
namespace espalier::portable {
#include "lanes_portable.inc"
#include "bias.inc"
}

namespace espalier {

void addBias(const float* bias, int rows, int width, float* c, ptrdiff_t ldc) {
  ESPALIER_DISPATCH(addBias(bias, rows, width, c, ldc));
}

void addRowSums(const float* dy, ptrdiff_t lddy, int rows, int width, float* gradient) {
  ESPALIER_DISPATCH(addRowSums(dy, lddy, rows, width, gradient));
}

}  // namespace espalier
