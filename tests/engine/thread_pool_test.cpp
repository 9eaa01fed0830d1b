#include "engine/base/thread_pool.h"

#include <gtest/gtest.h>

#include <chrono>
#include <numeric>

namespace strata {
namespace {

TEST(ThreadPool, EveryRowIsTakenOnceWhateverTheThreads) {
    for (const int threads : {1, 2, 3, 8}) {
        ThreadPool pool(threads);
        EXPECT_EQ(pool.threads(), threads);
        for (const int64_t count : {0, 1, 5, 16, 17, 1000}) {
            std::vector<int> taken(size_t(count), 0);
            pool.for_rows(count, 16, [&](int64_t begin, int64_t end, int thread) {
                EXPECT_EQ(begin % 16, 0);
                EXPECT_LT(thread, threads);
                for (int64_t i = begin; i < end; ++i) ++taken[size_t(i)];
            });
            EXPECT_EQ(std::accumulate(taken.begin(), taken.end(), 0), count);
            for (const int times : taken) EXPECT_EQ(times, 1);
        }
    }
}

TEST(ThreadPool, WorksAfterItsThreadsHaveGoneToSleep) {
    ThreadPool pool(3);
    for (int round = 0; round < 20; ++round) {
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        std::atomic<int64_t> sum{0};
        pool.for_rows(100, 1, [&](int64_t begin, int64_t end, int) {
            for (int64_t i = begin; i < end; ++i) sum += i;
        });
        EXPECT_EQ(sum, 4950);
    }
}

// More threads than most machines have cores: some of them come late to jobs that have ended meanwhile.
TEST(ThreadPool, ManySmallJobsInARowLoseNothing) {
    for (const int threads : {2, 6}) {
        ThreadPool pool(threads);
        std::vector<int> last_job(100, 0);
        for (int job = 1; job <= 20000; ++job) {
            const int64_t count = 2 + job % 98;
            pool.for_rows(count, 1, [&](int64_t begin, int64_t end, int) {
                for (int64_t i = begin; i < end; ++i) last_job[size_t(i)] += job - last_job[size_t(i)];
            });
            for (int64_t i = 0; i < count; ++i) ASSERT_EQ(last_job[size_t(i)], job) << "row " << i;
        }
    }
}

TEST(ThreadPool, ChunksAreFewAndSmallAtTheEnd) {
    constexpr int64_t kCount = 9600;
    ThreadPool pool(2);
    std::atomic<int> chunks{0};
    std::atomic<int64_t> largest{0}, last{0};
    pool.for_rows(kCount, 16, [&](int64_t begin, int64_t end, int) {
        ++chunks;
        if (begin == 0) largest = end;
        if (end == kCount) last = end - begin;
    });
    EXPECT_EQ(largest, kCount / 4);
    EXPECT_LE(last, kCount / 32);
    EXPECT_LE(chunks, 32);
}

}  // namespace
}  // namespace strata
