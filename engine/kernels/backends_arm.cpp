// Linux and Android.
#include <asm/hwcap.h>
#include <sys/auxv.h>

#include "engine/kernels/kernels.h"

namespace strata {

extern const Kernels kNeonDotprodKernels, kNeonKernels, kScalarKernels;

std::span<const Kernels* const> available_kernels() {
    static constexpr const Kernels* kAll[] = {&kNeonDotprodKernels, &kNeonKernels, &kScalarKernels};
    static const bool has_dotprod = (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
    return std::span(kAll).subspan(has_dotprod ? 0 : 1);
}

}  // namespace strata
