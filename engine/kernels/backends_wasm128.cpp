#include "engine/kernels/kernels.h"

namespace strata {

extern const Kernels kWasm128Kernels;

std::span<const Kernels* const> available_kernels() {
    static constexpr const Kernels* kAll[] = {&kWasm128Kernels};
    return kAll;
}

}  // namespace strata
