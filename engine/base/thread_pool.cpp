#include "engine/base/thread_pool.h"

#include <algorithm>

namespace strata {

namespace {
// How often a waiting thread looks before it sleeps: some tens of microseconds, longer than the pause between two
// matrix products of one token, shorter than anything a person or a battery would notice.
constexpr int kSpins = 1500;
// Chunks per thread: small enough that a thread that the system interrupts does not hold up the others.
constexpr int64_t kChunksPerThread = 4;
}  // namespace

ThreadPool::ThreadPool(int threads) {
    CHECK(threads >= 1);
    for (int i = 1; i < threads; ++i) others_.emplace_back([this, i] { serve(i); });
}

ThreadPool::~ThreadPool() {
    stop_ = true;
    generation_.fetch_add(1);
    wake_all(&generation_);
    for (std::thread& thread : others_) thread.join();
}

void ThreadPool::run(const Job& job) {
    if (job.count <= 0) return;
    if (others_.empty() || job.count <= job.grain) {
        job.call(job.context, 0, job.count, 0);
        return;
    }
    job_ = job;
    const int64_t share = job.count / (threads() * kChunksPerThread);
    chunk_ = std::max<int64_t>(1, share / job.grain) * job.grain;
    next_.store(0, std::memory_order_relaxed);
    running_.store(int(others_.size()), std::memory_order_relaxed);
    generation_.fetch_add(1);  // sequentially consistent, as is asleep_: a thread going to sleep sees one or the other
    if (asleep_.load() > 0) wake_all(&generation_);
    work(0);
    for (int spins = 0; running_.load(std::memory_order_acquire) > 0; ++spins) {
        if (spins < kSpins)
            pause_briefly();
        else
            std::this_thread::yield();  // more threads than cores: let them finish
    }
}

void ThreadPool::work(int thread) {
    const Job job = job_;
    const int64_t chunk = chunk_;
    for (;;) {
        const int64_t begin = next_.fetch_add(chunk, std::memory_order_relaxed);
        if (begin >= job.count) return;
        job.call(job.context, begin, std::min(begin + chunk, job.count), thread);
    }
}

void ThreadPool::serve(int thread) {
    for (uint32_t seen = 0;;) {
        for (int spins = 0; generation_.load(std::memory_order_acquire) == seen; ++spins) {
            if (spins < kSpins) {
                pause_briefly();
                continue;
            }
            asleep_.fetch_add(1);
            sleep_while_equal(&generation_, seen);
            asleep_.fetch_sub(1);
        }
        ++seen;
        if (stop_) return;
        work(thread);
        running_.fetch_sub(1, std::memory_order_release);
    }
}

}  // namespace strata
