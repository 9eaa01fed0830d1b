#include "engine/base/thread_pool.h"

namespace strata {

void sleep_while_equal(std::atomic<uint32_t>* word, uint32_t seen) { word->wait(seen); }
void wake_all(std::atomic<uint32_t>* word) { word->notify_all(); }

}  // namespace strata
