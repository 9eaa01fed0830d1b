// What every table of kernels in every build must compute: native, ARM, WebAssembly.
// Changes only when somebody changes the arithmetic on purpose.
#pragma once
#include <cstdint>

constexpr uint32_t kSignature = 0xe3aab7ed;
