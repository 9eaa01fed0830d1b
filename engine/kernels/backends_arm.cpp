#include "engine/kernels/kernels.h"

namespace strata {

extern const Kernels kNeonKernels, kScalarKernels;

std::span<const Kernels* const> available_kernels() {
    static constexpr const Kernels* kAll[] = {&kNeonKernels, &kScalarKernels};
    return kAll;
}

}  // namespace strata
