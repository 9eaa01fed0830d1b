// 100,000 positions in the memory of a 1B-shaped model (16 layers, 8 KV heads of 64), under a budget that binds:
// whether the budget is kept, whether the process takes what stats() says, and whether a step allocates. Rows are
// random and go straight into the cache; then 100 steps write and attend in all layers, as decoding does.
//   long_memory [POSITIONS [BUDGET_MIB]]
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <new>
#include <random>

#include "engine/kv/attention.h"

namespace {

std::atomic<int64_t> allocations{0};

}  // namespace

void* operator new(size_t size) {
    ++allocations;
    if (void* p = std::malloc(size)) return p;
    std::abort();
}
void* operator new(size_t size, const std::nothrow_t&) noexcept {
    ++allocations;
    return std::malloc(size);
}
void* operator new[](size_t size) { return operator new(size); }
void* operator new[](size_t size, const std::nothrow_t& tag) noexcept { return operator new(size, tag); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
void operator delete[](void* p, size_t) noexcept { std::free(p); }

namespace {

using namespace strata;

const KvShape kShape{16, 8, 64};
constexpr int kHeads = 32;
constexpr int kSteps = 100;

uint64_t resident_bytes() {
    uint64_t pages = 0, resident = 0;
    std::ifstream("/proc/self/statm") >> pages >> resident;
    return resident * uint64_t(sysconf(_SC_PAGESIZE));
}

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Normal numbers, of which every row takes others.
class Rows {
public:
    Rows() {
        std::mt19937 rng(1);
        std::normal_distribution<float> normal;
        for (float& v : values_) v = normal(rng);
    }
    const float* next(size_t n) {
        at_ = (at_ + 7919 * 64) % (values_.size() - n);
        return values_.data() + at_;
    }

private:
    std::vector<float> values_ = std::vector<float>(1 << 20);
    size_t at_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
    const int64_t positions = argc > 1 ? std::atoll(argv[1]) : 100000;
    const uint64_t budget = uint64_t(argc > 2 ? std::atoll(argv[2]) : 700) << 20;
    Rows rows;
    ThreadPool pool(2);
    Rope rope({std::vector<double>(32, 0.1), 131072, 0});
    rope.reserve(positions + kSteps);
    const uint64_t before = resident_bytes();
    KvOptions options;
    options.preset = KvPreset::quality;
    options.budget_bytes = budget;
    auto created = KvCache::create(kShape, options);
    if (!created) return std::puts(created.error().message.c_str()), 1;
    KvCache& cache = **created;
    const size_t row = size_t(kShape.n_kv_heads * kShape.head_dim);
    uint64_t most = 0;
    const auto write = [&](int n) {
        for (int layer = 0; layer < kShape.n_layers; ++layer) {
            const float *k = rows.next(row * size_t(n)), *v = rows.next(row * size_t(n));
            for (int head = 0; head < kShape.n_kv_heads; ++head) cache.write(layer, head, n, k, v);
        }
    };
    double start = now();
    while (cache.position() < positions) {
        const int n = int(std::min<int64_t>(64, positions - cache.position()));
        if (const Status room = cache.reserve(n, best_kernels(), pool); !room)
            return std::puts(room.error().message.c_str()), 1;
        write(n);
        cache.advance(n);
        most = std::max(most, cache.stats().bytes);
    }
    std::printf("filled %lld positions in %.1f s; most bytes %.1f MiB of a budget of %.1f MiB\n", (long long)positions,
                now() - start, double(most) / (1 << 20), double(budget) / (1 << 20));
    const uint64_t resident = resident_bytes() - before;
    const KvStats stats = cache.stats();
    std::printf("stats() %.1f MiB, resident %.1f MiB: ratio %.4f\n", double(stats.bytes) / (1 << 20),
                double(resident) / (1 << 20), double(resident) / double(stats.bytes));

    Attention attention(cache, kHeads, 64, best_kernels(), pool);
    attention.reserve(positions + kSteps);
    std::vector<float> queries(kHeads * 64), out(queries.size());
    int64_t in_reserve = 0, in_step = 0;
    start = now();
    for (int step = 0; step < kSteps; ++step) {
        const int64_t at_start = allocations;
        if (const Status room = cache.reserve(1, best_kernels(), pool); !room)
            return std::puts(room.error().message.c_str()), 1;
        const int64_t reserved = allocations;
        write(1);
        std::copy_n(rows.next(queries.size()), queries.size(), queries.begin());
        for (int layer = 0; layer < kShape.n_layers; ++layer)
            attention.attend({layer, &rope}, cache.position(), 1, queries.data(), out.data());
        cache.advance(1);
        in_reserve += reserved - at_start;
        in_step += allocations - reserved;
        most = std::max(most, cache.stats().bytes);
    }
    std::printf("%d steps in %.1f s; allocations: %lld while stepping, %lld when a tile begins\n", kSteps,
                now() - start, (long long)in_step, (long long)in_reserve);
    for (const KvTier& tier : cache.stats().tiers)
        std::printf("  %-6s %8lld positions %9.2f MiB\n", tier.name.c_str(), (long long)tier.positions,
                    double(tier.bytes) / (1 << 20));
    const bool kept = most <= budget && double(resident) <= 1.05 * double(stats.bytes) &&
                      double(resident) >= 0.95 * double(stats.bytes) && in_step == 0;
    std::puts(kept ? "kept" : "NOT KEPT");
    return kept ? 0 : 1;
}
