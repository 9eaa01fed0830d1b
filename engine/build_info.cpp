#include "engine/engine.h"
#include "engine/kernels/kernels.h"

namespace strata {

BuildInfo build_info() { return {STRATA_COMMIT, STRATA_COMPILER, best_kernels().name}; }

}  // namespace strata
