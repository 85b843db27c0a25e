#include "backward_attention.h"

#include "isa.h"

namespace espalier {
namespace {
/// Query rows whose probabilities and slopes are held at a time.
constexpr int kQueryTile = 96;
}  // namespace
}  // namespace espalier

#if ESPALIER_X86
namespace espalier::avx2 {
#include "lanes_avx2.inc"
#include "backward_attention.inc"
}
namespace espalier::avx512 {
#include "lanes_avx512.inc"
#include "backward_attention.inc"
}
#endif
namespace espalier::portable {
#include "lanes_portable.inc"
#include "backward_attention.inc"
}

namespace espalier {

size_t attentionBackwardScratch(const BlockLayout& layout, int heads, int rows) {
  const int count = rows * (heads / layout.kvHeads);
  return 3 * static_cast<size_t>(count) * layout.valueStride() + 3 * static_cast<size_t>(padToLanes(count)) +
         2 * kQueryTile * kBlockTokens + layout.valueStride();
}

void attentionBackward(const AttentionBackward& of) { ESPALIER_DISPATCH(attentionBackward(of)); }

}  // namespace espalier
