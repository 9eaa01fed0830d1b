// Has a processor bring a cache line nearer, without waiting for it.
#pragma once

namespace strata {

constexpr int kLineBytes = 64;  // what a processor fetches at a time

inline void prefetch(const void* p) {
    __builtin_prefetch(p);
    asm volatile("");  // or GCC takes a function that only prefetches for one without effect, and leaves out its calls
}

}  // namespace strata
