#include "engine/simd/avx512.h"

#include "engine/kernels/kernels.inl.h"

namespace strata {

extern const Kernels kAvx512Kernels;
const Kernels kAvx512Kernels = KernelsFor<Avx512>::table();

}  // namespace strata
