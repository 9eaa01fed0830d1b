// WebAssembly threads: the futex instructions themselves, because libc++ 13 polls where it does not know the platform.
#include "engine/base/thread_pool.h"

namespace strata {

namespace {
constexpr int64_t kForever = -1;  // nanoseconds
}

void sleep_while_equal(std::atomic<uint32_t>* word, uint32_t seen) {
    __builtin_wasm_memory_atomic_wait32(reinterpret_cast<int32_t*>(word), int32_t(seen), kForever);
}
void wake_all(std::atomic<uint32_t>* word) {
    __builtin_wasm_memory_atomic_notify(reinterpret_cast<int32_t*>(word), UINT32_MAX);
}

// There is no instruction for it: divisions that wait for each other take long and little.
void pause_briefly() {
    volatile double unknown = 1;
    double x = unknown;
    for (int i = 0; i < 4; ++i) x = 1 / (x + 1);
    unknown = x;
}

}  // namespace strata
