#include "engine/kernels/kernels.h"

namespace strata {

extern const Kernels kWasmRelaxedKernels;

std::span<const Kernels* const> available_kernels() {
    static constexpr const Kernels* kAll[] = {&kWasmRelaxedKernels};
    return kAll;
}

}  // namespace strata
