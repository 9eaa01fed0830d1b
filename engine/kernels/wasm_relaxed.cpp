#include "engine/simd/wasm_relaxed.h"

#include "engine/kernels/kernels.inl.h"

namespace strata {

extern const Kernels kWasmRelaxedKernels;
const Kernels kWasmRelaxedKernels = KernelsFor<WasmRelaxed>::table();

}  // namespace strata
