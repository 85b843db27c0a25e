// The kernels as the engine calls them, one by one, on random operands.
//
// Weights are made once and read by all threads; rows and gradients are each thread's own, as those of lanes are.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace espalier::bench {

/// One call of the kernel.
using Call = std::function<void()>;
/// Makes a thread's call with operands of its own.
using Case = std::function<Call()>;

/// Throws std::invalid_argument for a name that is not one, or sizes that do not fit it.
Case makeCase(const std::string& name, const std::vector<int>& sizes);

}  // namespace espalier::bench
