#include "engine/simd/neon_dotprod.h"

#include "engine/kernels/kernels.inl.h"

namespace strata {

extern const Kernels kNeonDotprodKernels;
const Kernels kNeonDotprodKernels = KernelsFor<NeonDotprod>::table();

}  // namespace strata
