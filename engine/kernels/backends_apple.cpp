// Every Apple processor for computers has the dot product instructions; those from M2 on have matrix products too.
#include <sys/sysctl.h>

#include "engine/kernels/kernels.h"

namespace strata {

extern const Kernels kNeonI8mmKernels, kNeonDotprodKernels, kNeonKernels, kScalarKernels;

namespace {

// False where the system is too old to know the name.
bool has(const char* feature) {
    int value = 0;
    size_t size = sizeof value;
    return sysctlbyname(feature, &value, &size, nullptr, 0) == 0 && value != 0;
}

}  // namespace

std::span<const Kernels* const> available_kernels() {
    static constexpr const Kernels* kAll[] = {&kNeonI8mmKernels, &kNeonDotprodKernels, &kNeonKernels, &kScalarKernels};
    static const bool has_i8mm = has("hw.optional.arm.FEAT_I8MM");
    return std::span(kAll).subspan(has_i8mm ? 0 : 1);
}

}  // namespace strata
