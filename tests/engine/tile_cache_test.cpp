// The promises of the tiered memory, on random rows: what a query sees, what the bytes are, that a budget is kept, that
// a coarser tile is what encoding at fewer bits would have made.
#include "engine/kv/tile_cache.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "engine/kv/attention.h"
#include "tests/engine/allocations.h"
#include "tests/engine/every_backend.h"

namespace strata {
namespace {

constexpr int kHeads = 6;

KvOptions tiled(KvPreset preset, uint64_t budget = 0, std::vector<int> guarded = {}) {
    KvOptions options;
    options.preset = preset;
    options.budget_bytes = budget;
    options.guarded_layers = std::move(guarded);
    return options;
}

std::vector<float> normal_rows(size_t n, unsigned seed) {
    std::mt19937 rng(seed);
    std::normal_distribution<float> normal;
    std::vector<float> rows(n);
    for (float& v : rows) v = normal(rng);
    return rows;
}

// A cache and everything that reads and fills it; rows depend on the position alone.
class Memory {
public:
    Memory(const KvShape& shape, const KvOptions& options, int threads = 1, const Kernels& kernels = best_kernels())
        : shape_(shape),
          kernels_(kernels),
          pool_(threads),
          cache_(open(shape, options)),
          rope_({std::vector<double>(size_t(shape.head_dim / 2), 0.1)}),
          attention_(*cache_, kHeads, 64, kernels_, pool_),
          window_(shape.window_of(shape.n_layers - 1)) {}

    KvCache& cache() { return *cache_; }
    TileCache& tiles() { return *cache_->tiles(); }
    ThreadPool& pool() { return pool_; }
    const Kernels& kernels() const { return kernels_; }
    // What attention sees in the last layer, whatever the cache keeps for it.
    void see(int window) { window_ = window; }

    // Writes up to `end` in batches of `batch`. The outputs of attention in the last layer, of all new positions.
    std::vector<float> grow(int64_t end, int batch) {
        std::vector<float> all;
        while (cache_->position() < end) {
            const int64_t p = cache_->position();
            const int n = int(std::min<int64_t>({batch, 64 - p % 64, end - p}));
            if (const Status room = cache_->reserve(n, kernels_, pool_); !room) {
                error_ = room.error();
                return all;
            }
            for (int layer = 0; layer < shape_.n_layers; ++layer) {
                const auto k = rows(p, n, shape_.n_kv_heads, unsigned(10 + layer)),
                           v = rows(p, n, shape_.n_kv_heads, unsigned(20 + layer));
                for (int head = 0; head < shape_.n_kv_heads; ++head) cache_->write(layer, head, n, k.data(), v.data());
            }
            const auto queries = rows(p, n, kHeads, 5);
            std::vector<float> out(queries.size());
            rope_.reserve(p + n);
            attention_.reserve(p + n);
            attention_.attend({shape_.n_layers - 1, &rope_, window_}, p, n, queries.data(), out.data());
            cache_->advance(n);
            all.insert(all.end(), out.begin(), out.end());
        }
        return all;
    }
    const std::optional<Error>& error() const { return error_; }

private:
    static std::unique_ptr<KvCache> open(const KvShape& shape, const KvOptions& options) {
        auto cache = KvCache::create(shape, options);
        EXPECT_TRUE(cache) << (cache ? "" : cache.error().message);
        return std::move(*cache);
    }
    std::vector<float> rows(int64_t position, int n, int heads, unsigned seed) const {
        std::vector<float> all;
        for (int i = 0; i < n; ++i) {
            const auto row =
                normal_rows(size_t(heads * shape_.head_dim), seed * 100003u + unsigned(position) + unsigned(i));
            all.insert(all.end(), row.begin(), row.end());
        }
        return all;
    }

    KvShape shape_;
    const Kernels& kernels_;
    ThreadPool pool_;
    std::unique_ptr<KvCache> cache_;
    Rope rope_;
    Attention attention_;
    int window_;
    std::optional<Error> error_;
};

std::vector<uint8_t> saved(const TileCache& tiles) {
    ByteWriter out;
    tiles.save(out);
    return out.take();
}

// Where views tell how lines begin, they do.
void expect_line_bytes(Memory& memory, const KvShape& shape) {
    const int64_t newest = (memory.cache().position() - 1) / kTilePositions,
                  page_bytes = tile_page_bytes(shape.head_dim);
    for (int layer = 0; layer < shape.n_layers; ++layer)
        for (int head = 0; head < shape.n_kv_heads; ++head) {
            const int64_t first = oldest_visible(shape.window_of(layer), newest * kTilePositions) / kTilePositions;
            std::vector<TileView> keys(size_t(newest + 1)), values = keys;
            const int n =
                memory.tiles().sealed_views(first, newest + 1, newest, layer, head, keys.data(), values.data());
            for (int t = 0; t < n; ++t)
                for (const TileView* side : {&keys[size_t(t)], &values[size_t(t)]})
                    for (int64_t at = 0; side->line_bytes && at < tile_pages(side->bits) * page_bytes; at += kLineBytes)
                        ASSERT_EQ(side->line_bytes[at / kLineBytes], side->pages[at / page_bytes][at % page_bytes]);
        }
}

const KvShape kShape{2, 2, 64};
const KvShape kWindowed{3, 2, 64, 200, {1, 0, 1}};
constexpr uint64_t kSlab = 2 * 2 * 2 * 64 * 64 * 4;              // exact rows of a tile
constexpr uint64_t kLeast = 6 * kSlab + 2 * 2 * 2 * 4 * 64 * 4;  // about the smallest budget

struct Case {
    const char* name;
    KvShape shape;
    KvOptions options;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }
const std::vector<Case> kCases = [] {
    std::vector<Case> cases;  // one by one: GCC warns of vectors in a list
    const auto add = [&](const char* name, KvShape shape, KvOptions options) {
        cases.push_back({name, std::move(shape), std::move(options)});
    };
    add("exact", kShape, tiled(KvPreset::exact));
    add("quality", kShape, tiled(KvPreset::quality));
    add("balanced", kShape, tiled(KvPreset::balanced));
    add("max", kShape, tiled(KvPreset::max));
    add("quality_budget", kShape, tiled(KvPreset::quality, kLeast + 80000));
    add("exact_budget", kShape, tiled(KvPreset::exact, kLeast + 600000));
    add("guarded", {3, 2, 64}, tiled(KvPreset::balanced, 0, {0, 2}));
    add("guarded_budget", {3, 2, 64}, tiled(KvPreset::quality, 2 * kLeast, {1}));
    add("head_80", {2, 3, 80}, tiled(KvPreset::quality));
    add("head_96", {2, 1, 96}, tiled(KvPreset::balanced));
    add("head_32", {1, 2, 32}, tiled(KvPreset::max));
    add("head_256", {1, 1, 256}, tiled(KvPreset::quality));
    add("windowed", kWindowed, tiled(KvPreset::quality));
    add("windowed_exact", kWindowed, tiled(KvPreset::exact));
    add("windowed_budget", kWindowed, tiled(KvPreset::quality, 2 * kLeast));
    add("windowed_guarded", kWindowed, tiled(KvPreset::balanced, 0, {1, 2}));
    add("windowed_only", {2, 2, 64, 40, {1, 1}}, tiled(KvPreset::quality));
    return cases;
}();

class Tiles : public testing::TestWithParam<Case> {};

TEST_P(Tiles, AttentionDoesNotDependOnBatchesThreadsOrBackend) {
    const auto run = [&](int batch, int threads, const Kernels& kernels) {
        return Memory(GetParam().shape, GetParam().options, threads, kernels).grow(700, batch);
    };
    const auto reference = run(64, 1, *find_kernels("scalar"));
    ASSERT_EQ(reference.size(), size_t(700 * kHeads * GetParam().shape.head_dim));
    EXPECT_EQ(reference, run(1, 1, best_kernels()));
    EXPECT_EQ(reference, run(7, 3, best_kernels()));
    EXPECT_EQ(reference, run(64, 2, best_kernels()));
}

// Whatever happens to tiles, what is stored while they are fetched is what is there.
TEST_P(Tiles, FetchingByStoringChangesNothing) {
    const auto make = [] { return Memory(GetParam().shape, GetParam().options, 2, kSharedKernels); };
    Memory fetching = make(), plain = make();
    const auto compare = [&](int64_t end) {
        ASSERT_EQ(fetching.grow(end, 1), plain.grow(end, 1));
        ASSERT_EQ(saved(fetching.tiles()), saved(plain.tiles()));
        EXPECT_EQ(fetching.cache().stats().bytes, plain.cache().stats().bytes);
        expect_line_bytes(fetching, GetParam().shape);
    };
    compare(250);
    fetching.cache().prepare_for(kSharedKernels);
    expect_line_bytes(fetching, GetParam().shape);
    compare(400);
    for (Memory* m : {&fetching, &plain}) ASSERT_TRUE(m->cache().truncate(m->cache().start_for(390)));
    compare(530);
    for (Memory* m : {&fetching, &plain}) ASSERT_TRUE(m->tiles().set_memory(KvPreset::max, 0, m->kernels(), m->pool()));
    compare(600);
    EXPECT_GT(fetching.tiles().scratch_bytes(), plain.tiles().scratch_bytes());
}

// Against exact attention: the error is that of the tier.
TEST_P(Tiles, AttentionIsCloseToExactAttention) {
    const auto actual = Memory(GetParam().shape, GetParam().options).grow(500, 64);
    const auto exact = Memory(GetParam().shape, tiled(KvPreset::exact)).grow(500, 64);
    double error = 0, size = 0;
    for (size_t i = 0; i < actual.size(); ++i) {
        error += std::pow(double(actual[i]) - double(exact[i]), 2);
        size += std::pow(double(exact[i]), 2);
    }
    EXPECT_LT(error / size, *GetParam().options.preset == KvPreset::max ? 0.2 : 0.06);
}

TEST_P(Tiles, TiersCoverEveryPositionAndEveryByte) {
    Memory memory(GetParam().shape, GetParam().options);
    for (int64_t end = 0; end <= 700; end += 13) {
        memory.grow(end, 64);
        const KvStats stats = memory.cache().stats();
        int64_t positions = 0;
        uint64_t bytes = stats.kept_bytes + stats.spare_bytes;
        for (const KvTier& tier : stats.tiers) {
            EXPECT_EQ(tier.first, positions);
            positions += tier.positions;
            bytes += tier.bytes;
        }
        EXPECT_EQ(positions, end);
        EXPECT_EQ(bytes, stats.bytes) << "at " << end;
        if (stats.budget_bytes > 0) {
            EXPECT_LE(stats.bytes, stats.budget_bytes) << "at " << end;
        }
    }
}

TEST_P(Tiles, ReportedBytesAreAllocatedBytes) {
    Memory empty(GetParam().shape, GetParam().options);  // attention's scratch is not the memory's
    for (const int64_t end : {100, 700, 2048}) {
        const size_t before = allocated_bytes();
        auto cache = KvCache::create(GetParam().shape, GetParam().options);
        ASSERT_TRUE(cache);
        const std::vector<float> rows(size_t(64 * GetParam().shape.n_kv_heads * GetParam().shape.head_dim), 0.5f);
        const size_t others = rows.capacity() * sizeof(float);
        while ((*cache)->position() < end && (*cache)->reserve(64, best_kernels(), empty.pool())) {
            if ((*cache)->position() == 256) {
                (*cache)->tiles()->begin_turn();
                (*cache)->tiles()->begin_answer(900);
            }
            for (int layer = 0; layer < GetParam().shape.n_layers; ++layer)
                for (int head = 0; head < GetParam().shape.n_kv_heads; ++head)
                    (*cache)->write(layer, head, 64, rows.data(), rows.data());
            (*cache)->advance(64);
        }
        const uint64_t counted = allocated_bytes() - before - others - (*cache)->tiles()->scratch_bytes();
        EXPECT_NEAR(double(counted) / double((*cache)->stats().bytes), 1.0, 0.01) << "at " << end;
    }
}

INSTANTIATE_TEST_SUITE_P(Presets, Tiles, testing::ValuesIn(kCases), [](const auto& info) { return info.param.name; });

// ---- tiers

std::vector<float> sealed_values(Memory& memory, TileSide side, int64_t tile) {
    std::vector<float> all(64 * 64);
    decode_tile(side, memory.tiles().sealed_rows(side, tile, 1, 1), 64, all.data());
    return all;
}

TEST(TileCache, DemotedIsWhatEncodingAtFewerBitsMakes) {
    for (const KvPreset coarse : {KvPreset::balanced, KvPreset::max}) {
        Memory demoted(kShape, tiled(KvPreset::quality)), direct(kShape, tiled(coarse));
        demoted.grow(700, 64);
        direct.grow(700, 64);
        ASSERT_TRUE(demoted.tiles().set_memory(coarse, 0, demoted.kernels(), demoted.pool()));
        for (const TileSide side : {TileSide::keys, TileSide::values})
            for (int64_t tile = 0; tile < 8; ++tile)
                EXPECT_EQ(sealed_values(demoted, side, tile), sealed_values(direct, side, tile));
        EXPECT_EQ(demoted.cache().stats().bytes, direct.cache().stats().bytes);
        EXPECT_EQ(demoted.grow(800, 64), direct.grow(800, 64));
    }
}

TEST(TileCache, AllTiersAppearUnderABudgetAndOlderIsCoarser) {
    Memory memory(kShape, tiled(KvPreset::quality, kLeast + 460000));
    memory.grow(2600, 64);
    ASSERT_FALSE(memory.error());
    const KvStats stats = memory.cache().stats();
    std::vector<std::string> names;
    for (const KvTier& tier : stats.tiers) names.push_back(tier.name);
    EXPECT_EQ(names, (std::vector<std::string>{"exact", "K2V2", "K3V2", "K3V3", "K4V3", "K4V4", "exact"}));
}

TEST(TileCache, AFullBudgetPausesAndALargerOneGoesOn) {
    Memory memory(kShape, tiled(KvPreset::max, kLeast + 60000));
    memory.grow(100000, 64);
    ASSERT_TRUE(memory.error());
    EXPECT_EQ(memory.error()->code, ErrorCode::budget_full);
    const int64_t reached = memory.cache().position();
    EXPECT_GT(reached, 500);
    EXPECT_LE(memory.cache().stats().bytes, kLeast + 60000);
    EXPECT_EQ(memory.cache().stats().positions, reached);
    ASSERT_TRUE(memory.tiles().set_memory(KvPreset::max, kLeast + 90000, memory.kernels(), memory.pool()));
    Memory never(kShape, tiled(KvPreset::max));
    never.grow(reached, 64);
    EXPECT_EQ(memory.grow(reached + 100, 64), never.grow(reached + 100, 64));
}

TEST(TileCache, ABudgetThatCannotBeIsRefusedAndNothingChanges) {
    EXPECT_EQ(KvCache::create(kShape, tiled(KvPreset::quality, 1000)).error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(KvCache::create(kShape, {KvType::fp16, KvType::fp16, 0, 0, {}, 1 << 30}).error().code,
              ErrorCode::invalid_argument);
    Memory memory(kShape, tiled(KvPreset::quality));
    memory.grow(1000, 64);
    const KvStats before = memory.cache().stats();
    const auto refused =
        memory.tiles().set_memory(KvPreset::quality, before.least_budget_bytes - 1, memory.kernels(), memory.pool());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
    const auto full =
        memory.tiles().set_memory(KvPreset::quality, before.least_budget_bytes + 1000, memory.kernels(), memory.pool());
    ASSERT_FALSE(full);
    EXPECT_EQ(full.error().code, ErrorCode::budget_full);
    EXPECT_EQ(memory.cache().stats().bytes, before.bytes);
    EXPECT_EQ(memory.cache().stats().policy, before.policy);
    // A budget on the border works.
    ASSERT_TRUE(
        memory.tiles().set_memory(KvPreset::quality, before.bytes + 3 * kSlab, memory.kernels(), memory.pool()));
}

TEST(TileCache, RaisingABudgetRestoresNothing) {
    Memory memory(kShape, tiled(KvPreset::quality, kLeast + 100000));
    memory.grow(1500, 64);
    const KvStats tight = memory.cache().stats();
    ASSERT_TRUE(memory.tiles().set_memory(KvPreset::quality, 0, memory.kernels(), memory.pool()));
    const KvStats loose = memory.cache().stats();
    ASSERT_EQ(tight.tiers.size(), loose.tiers.size());
    for (size_t i = 0; i < tight.tiers.size(); ++i) {
        EXPECT_EQ(tight.tiers[i].name, loose.tiers[i].name);
        EXPECT_EQ(tight.tiers[i].positions, loose.tiers[i].positions);
    }
}

TEST(TileCache, HeadsThatTilesDoNotFitAreKeptExactOrRefused) {
    EXPECT_EQ(KvCache::create({2, 2, 8}, tiled(KvPreset::quality)).error().code, ErrorCode::invalid_argument);
    Memory memory({2, 2, 8}, tiled(KvPreset::exact));
    memory.grow(400, 64);
    EXPECT_EQ(memory.cache().stats().bytes_fp32, 400u * 2 * 2 * 2 * 8 * 4);
    EXPECT_FALSE(memory.tiles().set_memory(KvPreset::max, 0, memory.kernels(), memory.pool()));
}

// ---- going back to where the answer began

// The question ends in the middle of a tile, at its end, and just after it; what follows begins before its tile is
// there.
TEST(TileCache, AnAnswerOfAnyLengthCanBeTakenBackWithoutReadingTheQuestionAgain) {
    for (const KvShape& shape : {kShape, kWindowed})
        for (const KvPreset preset : {KvPreset::exact, KvPreset::quality, KvPreset::max})
            for (const int64_t n : {410, 637, 640, 641, 1400}) {
                Memory memory(shape, tiled(preset));
                memory.grow(400, 64);
                memory.tiles().begin_turn();
                memory.tiles().begin_answer(n);
                memory.grow(n, 50);
                const auto first = memory.grow(n + 500, 64);
                for (int times = 0; times < 2; ++times) {
                    EXPECT_EQ(memory.tiles().start_for(n), n);
                    EXPECT_TRUE(*memory.tiles().truncate(n)) << n;
                    EXPECT_EQ(memory.grow(n + 500, 64), first) << n;
                }
                EXPECT_EQ(memory.tiles().start_for(n + 250),
                          preset == KvPreset::exact && shape.window == 0 ? n + 250 : n);
                EXPECT_EQ(memory.tiles().start_for(400), 400);
                EXPECT_TRUE(*memory.tiles().truncate(400));
                Memory edited(shape, tiled(preset));
                edited.grow(400, 64);
                EXPECT_EQ(memory.grow(900, 64), edited.grow(900, 64)) << n;
            }
}

TEST(TileCache, WhatIsKeptForAnAnswerIsCountedAndLetGoOfWithTheTurn) {
    Memory memory(kShape, tiled(KvPreset::quality));
    const auto kept = [&] { return memory.cache().stats().kept_bytes; };
    memory.grow(400, 64);
    memory.tiles().begin_turn();
    memory.grow(1400, 64);
    EXPECT_EQ(kept(), 3 * kSlab);
    memory.tiles().begin_answer(1400);
    memory.grow(2000, 64);
    EXPECT_EQ(kept(), 6 * kSlab);
    memory.tiles().begin_answer(1400);  // another answer at the same place
    EXPECT_EQ(kept(), 6 * kSlab);
    memory.tiles().begin_answer(2000);  // and at another one
    EXPECT_EQ(kept(), 3 * kSlab);
    memory.grow(2600, 64);
    EXPECT_EQ(kept(), 6 * kSlab);
    memory.tiles().begin_turn();
    memory.grow(3200, 64);
    EXPECT_EQ(kept(), 3 * kSlab);
}

TEST(TileCache, UnderABudgetNothingIsKeptForAnAnswer) {
    const uint64_t budget = kLeast + 460000;
    Memory memory(kShape, tiled(KvPreset::quality, budget)), never(kShape, tiled(KvPreset::quality, budget));
    for (Memory* m : {&memory, &never}) {
        m->grow(400, 64);
        m->tiles().begin_turn();
        if (m == &memory) m->tiles().begin_answer(1400);
        m->grow(2000, 64);
    }
    EXPECT_EQ(memory.cache().stats().bytes, never.cache().stats().bytes);
    EXPECT_EQ(memory.cache().stats().kept_bytes, 3 * kSlab);
    EXPECT_EQ(memory.tiles().start_for(1400), 400);

    Memory later(kShape, tiled(KvPreset::quality));
    later.grow(400, 64);
    later.tiles().begin_turn();
    later.tiles().begin_answer(1400);
    later.grow(2000, 64);
    ASSERT_TRUE(later.tiles().set_memory(KvPreset::quality, budget, later.kernels(), later.pool()));
    EXPECT_EQ(later.cache().stats().kept_bytes, 3 * kSlab);
    EXPECT_LE(later.cache().stats().bytes, budget);
    EXPECT_EQ(later.tiles().start_for(1400), 400);
}

// ---- layers with a window

// Whatever was let go of, attention sees what a cache that keeps everything shows it through the same window.
TEST(WindowedLayers, AttentionIsThatOfACacheThatKeepsEverything) {
    for (const KvPreset preset : {KvPreset::exact, KvPreset::max})
        for (const int window : {1, 40, 64, 65, 66, 130, 300}) {
            Memory whole(kShape, tiled(preset)), windowed({2, 2, 64, window, {0, 1}}, tiled(preset));
            whole.see(window);
            for (const int64_t end : {300, 601, 800}) {
                EXPECT_EQ(whole.grow(end, 64), windowed.grow(end, 64)) << window << " to " << end;
                windowed.tiles().begin_turn();
            }
            const KvStats all = whole.cache().stats(), some = windowed.cache().stats();
            const double held = double(some.bytes - some.spare_bytes);
            EXPECT_TRUE(preset != KvPreset::exact || held < 0.8 * double(all.bytes)) << window;
        }
}

TEST(WindowedLayers, GrowOnlyInTheOthers) {
    Memory memory(kWindowed, tiled(KvPreset::quality)), global({1, 2, 64}, tiled(KvPreset::quality));
    const auto grown = [](Memory& m) {
        m.grow(1024, 64);
        const KvStats before = m.cache().stats();
        m.grow(2048, 64);
        const KvStats after = m.cache().stats();
        EXPECT_EQ(before.windowed_bytes, after.windowed_bytes);
        return after.bytes - after.spare_bytes - (before.bytes - before.spare_bytes);
    };
    EXPECT_NEAR(double(grown(memory)), double(grown(global)), 16 * 100);
    const KvStats stats = memory.cache().stats();
    EXPECT_EQ(stats.windowed_layers, 2);
    EXPECT_EQ(stats.window, 200);
    EXPECT_GE(stats.windowed_bytes, 2u * 2 * 2 * 192 * 64 * 4);  // at least its exact window
    EXPECT_EQ(stats.bytes_fp16, 2u * 2 * 2 * 64 * (2048 + 2 * 200));
}

// What a turn holds is in the budget, and tiers do not show where turns began.
TEST(WindowedLayers, ABudgetIsKeptWhereverTurnsBegin) {
    for (const int window : {40, 200, 700}) {
        const KvShape shape{3, 2, 64, window, {1, 0, 1}};
        const uint64_t budget = Memory(shape, tiled(KvPreset::quality)).cache().stats().least_budget_bytes + 400000;
        for (const int every : {50, 333, 1000}) {
            Memory turns(shape, tiled(KvPreset::quality, budget)), none(shape, tiled(KvPreset::quality, budget));
            for (int64_t end = 50; end <= 2500; end += 50) {
                if (end % every < 50) turns.tiles().begin_turn();
                if (end % every < 50) turns.tiles().begin_answer(end + 20);
                EXPECT_EQ(turns.grow(end, 64), none.grow(end, 64));
                const KvStats a = turns.cache().stats(), b = none.cache().stats();
                ASSERT_LE(a.bytes, budget) << window << ", " << every << ", " << end;
                ASSERT_EQ(a.tiers.size(), b.tiers.size());
                for (size_t i = 0; i < a.tiers.size(); ++i) {
                    EXPECT_EQ(a.tiers[i].name, b.tiers[i].name);
                    EXPECT_EQ(a.tiers[i].positions, b.tiers[i].positions);
                }
            }
            ASSERT_FALSE(turns.error()) << turns.error()->message;
        }
    }
}

TEST(WindowedLayers, RowsOutsideTheWindowAreLetGoOfToo) {
    for (const KvOptions& options :
         {KvOptions{KvType::fp16, KvType::q8_0, 0, 0}, KvOptions{KvType::turbo_kv_4b, KvType::fp16, 128, 300}}) {
        Memory whole(kShape, options), windowed({2, 2, 64, 100, {0, 1}}, options);
        whole.see(100);
        EXPECT_EQ(whole.grow(1000, 64), windowed.grow(1000, 64));
        const KvStats all = whole.cache().stats(), some = windowed.cache().stats();
        EXPECT_LT(some.bytes, 0.8 * double(all.bytes));
        EXPECT_EQ(windowed.cache().start_for(500), 0);
        EXPECT_EQ(windowed.cache().start_for(999), 999);
        ASSERT_TRUE(windowed.cache().truncate(0));
        ASSERT_TRUE(whole.cache().truncate(0));
        EXPECT_EQ(whole.grow(500, 64), windowed.grow(500, 64));
    }
}

// ---- sinks, and a memory that pretends to delete

TEST(TileCache, TheFirstPositionsStayExact) {
    Memory memory(kShape, tiled(KvPreset::max));
    memory.grow(400, 64);
    Memory exact(kShape, tiled(KvPreset::exact));
    exact.grow(400, 64);
    for (const TileSide side : {TileSide::keys, TileSide::values})
        for (int i = 0; i < kSinkPositions * 64; ++i)
            EXPECT_EQ(memory.tiles().sink_rows(side, 1, 1)[i], exact.tiles().exact_rows(side, 0, 1, 1)[i]);
}

TEST(KvCache, APretendedDeletionLeavesNoWeight) {
    KvOptions all{KvType::fp32, KvType::fp32, 0, 0}, some = all;
    some.visible_window = 128;
    Memory whole(kShape, all), window(kShape, some);
    const auto a = whole.grow(600, 64), b = window.grow(600, 64);
    const size_t row = kHeads * 64;
    for (size_t i = 0; i < 128 * row; ++i) ASSERT_EQ(a[i], b[i]);
    for (size_t i = 140 * row; i < a.size(); ++i) ASSERT_NE(a[i], b[i]);
    EXPECT_TRUE(window.cache().visible(500, 373));
    EXPECT_FALSE(window.cache().visible(500, 372));
    EXPECT_TRUE(window.cache().visible(500, 3));
}

}  // namespace
}  // namespace strata
