#include "engine/simd/wasm128.h"

#include "engine/kernels/kernels.inl.h"

namespace strata {

extern const Kernels kWasm128Kernels;
const Kernels kWasm128Kernels = KernelsFor<Wasm128>::table();

}  // namespace strata
