#include "engine/kernels/kernels.h"

namespace strata {

extern const Kernels kWasmRelaxedKernels, kScalarKernels;

std::span<const Kernels* const> available_kernels() {
    static constexpr const Kernels* kAll[] = {&kWasmRelaxedKernels, &kScalarKernels};
    return kAll;
}

}  // namespace strata
