#include "engine/kernels/kernels.h"

namespace strata {

extern const Kernels kAvx512Kernels, kAvx2Kernels, kScalarKernels;

std::span<const Kernels* const> available_kernels() {
    static constexpr const Kernels* kAll[] = {&kAvx512Kernels, &kAvx2Kernels, &kScalarKernels};
    static const bool has_avx2 = __builtin_cpu_supports("avx2");  // every such machine has F16C too
    static const bool has_avx512 = has_avx2 && __builtin_cpu_supports("avx512bw") &&
                                   __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                                   __builtin_cpu_supports("avx512vnni");
    return std::span(kAll).subspan(has_avx512 ? 0 : has_avx2 ? 1 : 2);
}

}  // namespace strata
