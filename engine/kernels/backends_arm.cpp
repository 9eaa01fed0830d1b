// Linux and Android.
#include <asm/hwcap.h>
#include <sys/auxv.h>

#include "engine/kernels/kernels.h"

namespace strata {

extern const Kernels kNeonI8mmKernels, kNeonDotprodKernels, kNeonKernels, kScalarKernels;

std::span<const Kernels* const> available_kernels() {
    static constexpr const Kernels* kAll[] = {&kNeonI8mmKernels, &kNeonDotprodKernels, &kNeonKernels, &kScalarKernels};
    static const bool has_dotprod = (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
    static const bool has_i8mm = has_dotprod && (getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0;
    return std::span(kAll).subspan(has_i8mm ? 0 : has_dotprod ? 1 : 2);
}

}  // namespace strata
