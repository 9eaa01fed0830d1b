#include "engine/kernels/kernels.h"

namespace strata {

extern const Kernels kScalarKernels;

std::span<const Kernels* const> available_kernels() {
    static constexpr const Kernels* kAll[] = {&kScalarKernels};
    return kAll;
}

}  // namespace strata
