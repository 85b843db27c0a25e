#include "shape.h"

#include <cmath>

namespace espalier {

// Division and square root are exactly rounded everywhere.
float Shape::attentionScale() const { return static_cast<float>(1.0 / std::sqrt(static_cast<double>(headDim))); }

}  // namespace espalier
