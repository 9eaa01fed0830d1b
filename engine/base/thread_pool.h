// A fork-join pool: the caller takes part, the others spin briefly and then sleep. A pool of one starts no thread.
// Nothing is allocated per job, and a job is one indirect call per chunk of rows. A job is done when its rows are: it
// waits for no thread that has taken none, because one that sleeps, or that the system has put aside, comes late.
#pragma once
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "engine/base/check.h"

namespace strata {

class ThreadPool {
public:
    explicit ThreadPool(int threads);
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    int threads() const { return int(others_.size()) + 1; }

    // Calls fn(begin, end, thread) for disjoint ranges that cover [0, count), on all threads of the pool, and returns
    // when all are done. Ranges begin at multiples of `grain`. Which thread gets which range is left open, so the work
    // on a row must not depend on it; `thread` (0 to threads()-1) is for scratch memory.
    template <class Fn>
    void for_rows(int64_t count, int64_t grain, Fn&& fn) {
        run({count, grain, const_cast<void*>(static_cast<const void*>(&fn)),
             [](void* context, int64_t begin, int64_t end, int thread) {
                 (*static_cast<std::remove_reference_t<Fn>*>(context))(begin, end, thread);
             }});
    }

private:
    struct Job {
        int64_t count = 0, grain = 1;
        void* context = nullptr;
        void (*call)(void* context, int64_t begin, int64_t end, int thread) = nullptr;
    };
    // The job of a generation, how many chunks it has, and the next one that nobody has taken. In one word, so that
    // whoever takes a chunk knows that it is one, and of which job: that job stays until the chunk is done.
    struct Ticket {
        uint32_t generation;
        uint16_t chunks, next;
    };
    static uint64_t packed(Ticket t) { return uint64_t(t.generation) << 32 | uint64_t(t.chunks) << 16 | t.next; }
    static Ticket unpacked(uint64_t t) { return {uint32_t(t >> 32), uint16_t(t >> 16), uint16_t(t)}; }

    void run(const Job& job);
    void cut(const Job& job);
    uint32_t work(int thread);
    void serve(int thread);
    void wait_for_job(uint32_t seen);
    void wait_until_done();

    Job job_;
    std::vector<int64_t> ends_;  // of the job's chunks
    std::vector<std::thread> others_;
    alignas(64) std::atomic<uint64_t> ticket_{0};
    alignas(64) std::atomic<uint32_t> left_{0};        // chunks that are not done
    std::atomic<bool> caller_sleeps_{false};           // until none is left
    alignas(64) std::atomic<uint32_t> generation_{0};  // of the ticket: what the others sleep on
    std::atomic<int> asleep_{0};
    std::atomic<bool> stop_{false};
};

// Sleep until `*word` may differ from `seen`, and wake all who sleep on it. One file per platform; CMake chooses.
void sleep_while_equal(std::atomic<uint32_t>* word, uint32_t seen);
void wake_all(std::atomic<uint32_t>* word);
// Some tens of nanoseconds in which a waiting thread leaves a core's units to the thread that it may share them with.
void pause_briefly();

}  // namespace strata
