// FNV-1a, 64 bits (Fowler, Noll and Vo): tells damage and mix-ups, not attacks. One changed byte always changes the
// hash.
#pragma once
#include <cstdint>
#include <span>

namespace strata {

constexpr uint64_t kFnvStart = 14695981039346656037ull, kFnvPrime = 1099511628211ull;

inline uint64_t fnv1a(std::span<const uint8_t> bytes, uint64_t hash = kFnvStart) {
    for (const uint8_t byte : bytes) hash = (hash ^ byte) * kFnvPrime;
    return hash;
}

}  // namespace strata
