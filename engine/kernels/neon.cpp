#include "engine/simd/neon.h"

#include "engine/kernels/kernels.inl.h"

namespace strata {

extern const Kernels kNeonKernels;
const Kernels kNeonKernels = KernelsFor<Neon>::table();

}  // namespace strata
