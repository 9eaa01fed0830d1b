#include "engine/base/thread_pool.h"

namespace strata {

void sleep_while_equal(std::atomic<uint32_t>* word, uint32_t seen) { word->wait(seen); }
void wake_all(std::atomic<uint32_t>* word) { word->notify_all(); }

void pause_briefly() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("isb");
#endif
}

}  // namespace strata
