#include "engine/kernels/kernels.h"

namespace strata {

extern const Kernels kWasm128Kernels, kScalarKernels;

std::span<const Kernels* const> available_kernels() {
    static constexpr const Kernels* kAll[] = {&kWasm128Kernels, &kScalarKernels};
    return kAll;
}

}  // namespace strata
