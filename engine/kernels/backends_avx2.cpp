#include "engine/kernels/kernels.h"

namespace strata {

extern const Kernels kAvx2Kernels, kScalarKernels;

std::span<const Kernels* const> available_kernels() {
    static constexpr const Kernels* kAll[] = {&kAvx2Kernels, &kScalarKernels};
    static const bool has_avx2 = __builtin_cpu_supports("avx2");  // every such machine has F16C too
    return std::span(kAll).subspan(has_avx2 ? 0 : 1);
}

}  // namespace strata
