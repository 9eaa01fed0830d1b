#include <commit.h>  // made by cmake/commit.cmake
#include "engine/engine.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/signature.h"

namespace strata {

BuildInfo build_info() { return {STRATA_COMMIT, STRATA_COMPILER, best_kernels().name}; }

uint32_t kernel_signature() { return signature_of(best_kernels()); }
uint32_t weights_signature() { return weights_signature_of(best_kernels()); }

}  // namespace strata
