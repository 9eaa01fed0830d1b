#include "engine/simd/neon_i8mm.h"

#include "engine/kernels/kernels.inl.h"

namespace strata {

extern const Kernels kNeonI8mmKernels;
const Kernels kNeonI8mmKernels = KernelsFor<NeonI8mm>::table();

}  // namespace strata
