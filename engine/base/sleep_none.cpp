// The build without threads: a pool of one never sleeps.
#include "engine/base/thread_pool.h"

namespace strata {

void sleep_while_equal(std::atomic<uint32_t>*, uint32_t) { CHECK(!"a build without threads went to sleep"); }
void wake_all(std::atomic<uint32_t>*) {}
void pause_briefly() {}

}  // namespace strata
