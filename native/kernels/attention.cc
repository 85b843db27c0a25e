#include "attention.h"

#if ESPALIER_X86
namespace espalier::avx2 {
#include "lanes_avx2.inc"
#include "attention.inc"
}
namespace espalier::avx512 {
#include "lanes_avx512.inc"
#include "attention.inc"
}
#endif
namespace espalier::portable {
#include "lanes_portable.inc"
#include "attention.inc"
}

namespace espalier {

void storeKeyValue(const BlockTable& table, const BlockLayout& layout, int position, const float* keys,
                   const float* values) {
  ESPALIER_DISPATCH(storeKeyValue(table, layout, position, keys, values));
}

size_t attentionScratch(int lastPosition) {
  return static_cast<size_t>(lastPosition / kBlockTokens + 1) * kBlockTokens * 6;
}

void attention(const float* q, ptrdiff_t ldq, int rows, int firstPosition, int heads, float scale,
               const BlockTable& table, const BlockLayout& layout, float* out, ptrdiff_t ldo, float* maxima,
               float* sums, float* scratch) {
  ESPALIER_DISPATCH(attention(q, ldq, rows, firstPosition, heads, scale, table, layout, out, ldo, maxima, sums, scratch));
}

}  // namespace espalier
