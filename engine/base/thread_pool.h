// A fork-join pool: the caller takes part, the others spin briefly and then sleep. A pool of one starts no thread.
// Nothing is allocated per job, and a job is one indirect call per chunk of rows.
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

    void run(const Job& job);
    void work(int thread);
    void serve(int thread);

    Job job_;
    int64_t chunk_ = 0;
    std::vector<std::thread> others_;
    std::atomic<int64_t> next_{0};         // first row nobody has taken
    std::atomic<uint32_t> generation_{0};  // counts jobs; the others wait for it to change
    std::atomic<int> running_{0};          // others that have not finished the job
    std::atomic<int> asleep_{0};
    std::atomic<bool> stop_{false};
};

// Sleep until `*word` may differ from `seen`, and wake all who sleep on it. One file per platform; CMake chooses.
void sleep_while_equal(std::atomic<uint32_t>* word, uint32_t seen);
void wake_all(std::atomic<uint32_t>* word);
// Some tens of nanoseconds in which a waiting thread leaves a core's units to the thread that it may share them with.
void pause_briefly();

}  // namespace strata
