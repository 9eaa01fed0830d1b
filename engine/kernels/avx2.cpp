#include "engine/simd/avx2.h"

#include "engine/kernels/kernels.inl.h"

namespace strata {

extern const Kernels kAvx2Kernels;
const Kernels kAvx2Kernels = KernelsFor<Avx2>::table();

}  // namespace strata
