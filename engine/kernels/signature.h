// One number for everything that a table of kernels computes, on inputs made from a fixed seed.
#pragma once
#include <cstdint>

#include "engine/kernels/kernels.h"

namespace strata {

// FNV-1a over the bits of all results. The same for every backend: "one arithmetic".
uint32_t signature_of(const Kernels& kernels);

// The same for the products of the other quantised weights: all types but F32, F16, BF16, Q8_0, Q4_0, Q6_K.
uint32_t weights_signature_of(const Kernels& kernels);

}  // namespace strata
