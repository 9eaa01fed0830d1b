#include "engine/base/thread_pool.h"

#include <algorithm>

namespace strata {

namespace {
// How often a waiting thread looks before it sleeps: a hundred microseconds, longer than the pause between two jobs of
// one token (merging what threads have computed of a long memory is the longest), shorter than anything a person or a
// battery would notice.
constexpr int kSpins = 4000;
// The smallest chunks are such a part of what a thread has to do.
constexpr int kSmallestShare = 32;
constexpr int kMostChunks = 16;  // per thread, by that rule
}  // namespace

ThreadPool::ThreadPool(int threads) {
    CHECK(threads >= 1);
    ends_.reserve(size_t(threads) * kMostChunks);
    for (int i = 1; i < threads; ++i) others_.emplace_back([this, i] { serve(i); });
}

ThreadPool::~ThreadPool() {
    stop_ = true;
    generation_.fetch_add(1);
    wake_all(&generation_);
    for (std::thread& thread : others_) thread.join();
}

// A chunk is a part of what is left, as two chunks for each thread would be: few chunks, and small ones at the end, so
// that threads end together ("guided" scheduling).
void ThreadPool::cut(const Job& job) {
    const int64_t smallest = std::max<int64_t>(1, job.count / (threads() * kSmallestShare) / job.grain);
    ends_.clear();
    for (int64_t end = 0; end < job.count;) {
        const int64_t grains = std::max(smallest, (job.count - end) / (2 * threads()) / job.grain);
        end = std::min(end + grains * job.grain, job.count);
        ends_.push_back(end);
    }
    CHECK(ends_.size() <= size_t(threads() * kMostChunks));
}

void ThreadPool::run(const Job& job) {
    if (job.count <= 0) return;
    if (others_.empty() || job.count <= job.grain) {
        job.call(job.context, 0, job.count, 0);
        return;
    }
    job_ = job;
    cut(job);
    left_.store(uint32_t(ends_.size()), std::memory_order_relaxed);
    const uint32_t generation = generation_.load(std::memory_order_relaxed) + 1;
    ticket_.store(packed({generation, uint16_t(ends_.size()), 0}), std::memory_order_release);
    generation_.store(generation);  // sequentially consistent, as is asleep_: who goes to sleep sees one or the other
    if (asleep_.load() > 0) wake_all(&generation_);
    work(0);
    wait_until_done();
}

// Takes chunks until there are none. Returns the generation of which there are none.
uint32_t ThreadPool::work(int thread) {
    for (;;) {
        const Ticket ticket = unpacked(ticket_.fetch_add(1, std::memory_order_acquire));
        if (ticket.next >= ticket.chunks) return ticket.generation;
        const int64_t begin = ticket.next == 0 ? 0 : ends_[ticket.next - 1u];
        job_.call(job_.context, begin, ends_[ticket.next], thread);
        if (left_.fetch_sub(1) == 1 && caller_sleeps_.load()) wake_all(&left_);
    }
}

void ThreadPool::wait_until_done() {
    for (int spins = 0; left_.load(std::memory_order_acquire) > 0; ++spins) {
        if (spins < kSpins) {
            pause_briefly();
            continue;
        }
        // The system has put a thread aside in the middle of a chunk: to make room for it is all that helps.
        caller_sleeps_.store(true);
        if (const uint32_t left = left_.load(); left > 0) sleep_while_equal(&left_, left);
        caller_sleeps_.store(false);
    }
}

// Until there is a job of another generation, or no more to come.
void ThreadPool::wait_for_job(uint32_t seen) {
    for (int spins = 0; unpacked(ticket_.load(std::memory_order_relaxed)).generation == seen && !stop_; ++spins) {
        if (spins < kSpins) {
            pause_briefly();
            continue;
        }
        asleep_.fetch_add(1);
        sleep_while_equal(&generation_, seen);
        asleep_.fetch_sub(1);
    }
}

void ThreadPool::serve(int thread) {
    for (uint32_t seen = 0; !stop_; seen = work(thread)) wait_for_job(seen);
}

}  // namespace strata
