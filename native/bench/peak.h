// The most fused multiply-adds that one thread can do: what the kernels' shares are shares of.
//
// Twelve independent chains in registers, no memory. Own code for each register width, apart from the kernels' lanes,
// so that a share says what the processor leaves unused and not what the lanes could have done.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace espalier::bench {

struct PeakWidth {
  const char* name;
  /// Floating-point operations (a fused multiply-add is two) of a step.
  int operations;
  /// Runs `steps` steps on the calling thread; the result only keeps them from being left out.
  float (*run)(int64_t steps);
};

/// The widths that this processor has, widest first; at least one.
const std::vector<PeakWidth>& peakWidths();

}  // namespace espalier::bench
