// Every Apple processor for computers has the dot product instructions.
#include "engine/kernels/kernels.h"

namespace strata {

extern const Kernels kNeonDotprodKernels, kNeonKernels, kScalarKernels;

std::span<const Kernels* const> available_kernels() {
    static constexpr const Kernels* kAll[] = {&kNeonDotprodKernels, &kNeonKernels, &kScalarKernels};
    return kAll;
}

}  // namespace strata
