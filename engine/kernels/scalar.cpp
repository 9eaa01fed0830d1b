#include "engine/simd/scalar.h"

#include "engine/kernels/kernels.inl.h"

namespace strata {

extern const Kernels kScalarKernels;
const Kernels kScalarKernels = KernelsFor<Scalar>::table();

}  // namespace strata
