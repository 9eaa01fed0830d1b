// The tiered memory of a conversation. Positions are kept in tiles of 64: the newest three (the one being written and
// the two before it) exact, in FP32; older ones sealed (engine/formats/tile.h) in the tier that the preset and the
// budget give to their age. Nothing is ever dropped.
//
// What the query at position t sees depends on positions alone: with k = t / 64, tiles j >= k - 2 exact, older ones
// sealed. Sealing and demoting happen when the first position of a tile is reserved, so that all queries of a
// micro-batch, which lies in one tile, see the same tiers. Positions 0 to 3 (attention sinks) are seen exact for ever.
//
// Exact rows of the tiles that the last turn began with are kept as long as the turn lasts, so that it can be taken
// back bit for bit.
//
// All layers and heads of a tile change tiers together, so a page holds the same eighth (of eight bits) of a tile for
// all of them: pages have one size, and a demoted tile's pages serve any other.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/base/byte_reader.h"
#include "engine/base/byte_writer.h"
#include "engine/base/result.h"
#include "engine/base/thread_pool.h"
#include "engine/kernels/kernels.h"
#include "engine/kv/kv_options.h"
#include "engine/kv/kv_shape.h"
#include "engine/kv/page_pool.h"
#include "engine/kv/tier_policy.h"

namespace strata {

constexpr int kExactTiles = 3;  // the tile being written and the two before it

class TileCache {
public:
    // options.preset is set. invalid_argument: a head size that tiles do not fit, a guarded layer that is not there, a
    // budget below least_budget_bytes().
    static Result<std::unique_ptr<TileCache>> create(const KvShape& shape, const KvOptions& options);

    const KvShape& shape() const { return shape_; }
    int64_t position() const { return end_; }
    int visible_window() const { return visible_window_; }

    // Makes room for positions up to `end`, which lie in one tile with the first of them: seals and demotes what the
    // new tile makes old. budget_full (nothing has changed) or out_of_memory (tiles may have become coarser).
    Status reserve(int64_t end, const Kernels& kernels, ThreadPool& pool);
    // Stores the rows of positions [position(), position() + n) of one layer and head. k, v: (n, n_kv_heads, head_dim).
    void write(int layer, int head, int n, const float* k, const float* v);
    void advance(int n) { end_ += n; }

    void begin_turn();
    // Where truncate(n) has to go back to in order to be exact: n, or the turn's begin before it, or nothing.
    std::optional<int64_t> exact_start(int64_t n) const;
    // True: what follows is bit for bit as it was the first time. out_of_memory: nothing has changed.
    Result<bool> truncate(int64_t n);
    // Takes effect at once. invalid_argument or budget_full: nothing has changed.
    Status set_memory(KvPreset preset, uint64_t budget_bytes, const Kernels& kernels, ThreadPool& pool);

    uint64_t least_budget_bytes() const { return fixed_bytes(); }
    std::array<uint64_t, kTiers> tile_bytes() const;  // of 64 positions in each tier, all layers and heads
    KvStats stats() const;
    uint64_t scratch_bytes() const;  // for encoding; not part of the memory

    // ---- what attention reads
    // How the queries of tile `newest_tile` see a tile.
    bool seen_sealed(int64_t tile, int64_t newest_tile) const {
        return tile <= newest_tile - kExactTiles && tiles_[size_t(tile)].sealed();
    }
    const float* exact_rows(TileSide side, int64_t tile, int layer, int head) const;  // (64, head_dim)
    TileView sealed_rows(TileSide side, int64_t tile, int layer, int head) const;
    const float* sink_rows(TileSide side, int layer, int head) const;  // (kSinkPositions, head_dim)

    // ---- snapshot (engine/session.cpp writes the frame around it)
    void save(ByteWriter& out) const;
    // corrupt_file, naming what is wrong. The shape is the model's.
    static Result<std::unique_ptr<TileCache>> restore(const KvShape& shape, ByteReader& in);

private:
    using Page = PagePool::Page;
    struct Tile {
        Page exact;               // floats (2 sides, n_layers, n_kv_heads, 64, head_dim); empty: not held
        Page header;              // (n_layers, n_kv_heads, 2 sides, header), then the keys of guarded layers:
                                  // (guarded layers, n_kv_heads, 64, head_dim); empty: not sealed
        Page pages[2][4];         // of each side
        Tier tier = Tier::exact;  // of the sealed form
        bool thawed = false;      // the exact rows were restored from the sealed ones
        bool sealed() const { return header != nullptr; }
    };

    TileCache(const KvShape& shape, const KvOptions& options);

    int n_heads_in_all() const { return shape_.n_layers * shape_.n_kv_heads; }
    size_t headers_bytes() const { return size_t(2 * n_heads_in_all() * tile_header_bytes(shape_.head_dim)); }
    uint64_t sink_bytes() const {
        return uint64_t(2 * n_heads_in_all() * kSinkPositions) * uint64_t(shape_.head_dim) * sizeof(float);
    }
    uint64_t fixed_bytes() const;
    std::optional<Error> refuse_budget(uint64_t budget_bytes) const;
    uint64_t slab_bytes() const { return exact_pool_.page_bytes(); }
    uint64_t allocated_bytes() const;
    uint64_t tile_allocation(const Tile& tile) const;
    // Without guarded layers pages of both sides have one size, and one free list.
    PagePool& pool_of(TileSide side) {
        return side == TileSide::keys || guarded_layers_.empty() ? key_pool_ : value_pool_;
    }
    template <class Cache>  // const or not
    static auto pools_of(Cache& c) {
        return std::array{&c.exact_pool_, &c.header_pool_, &c.key_pool_, &c.value_pool_};
    }
    // fn(side, layer, head, thread), for all of them, spread over the threads.
    template <class Fn>
    void for_each_head(ThreadPool& pool, Fn&& fn) const;
    size_t head_index(TileSide side, int layer, int head) const;    // in arrays (2 sides, n_layers, n_kv_heads)
    int64_t page_offset(TileSide side, int layer, int head) const;  // -1: the layer's keys are guarded
    std::vector<Tier> sealed_tiers(int64_t newest_tile) const;

    Status prepare(int64_t tile, const Kernels& kernels, ThreadPool& pool);
    Result<TierPolicy> plan(KvPreset preset, uint64_t budget_bytes, int64_t newest_tile) const;
    Status apply(const TierPolicy& policy, int64_t newest_tile, const Kernels& kernels, ThreadPool& pool);
    bool take_pages(Tile& tile, Tier tier);
    Status seal(int64_t index, Tier tier, const Kernels& kernels, ThreadPool& pool);
    void demote(int64_t index, Tier tier, ThreadPool& pool);
    void unseal(Tile& tile);
    void thaw(int64_t index);
    void release_exact_rows(int64_t newest_tile);
    void trim();
    Status restore_tile(int64_t index, int64_t newest, ByteReader& in);
    bool keeps_for_turn(int64_t tile) const;
    int64_t first_exact_tile(int64_t n) const {
        return n / kTilePositions < kExactTiles - 1 ? 0 : n / kTilePositions - (kExactTiles - 1);
    }
    float* exact_rows(TileSide side, Tile& tile, int layer, int head) const;
    TileView view(TileSide side, const Tile& tile, int layer, int head) const;
    int masked_rows(int64_t tile) const { return tile == 0 ? kSinkPositions : 0; }

    KvShape shape_;
    KvPreset preset_;
    uint64_t budget_bytes_;
    int visible_window_;               // only reported
    std::vector<int> guarded_layers_;  // ascending
    std::vector<int> page_layer_;      // (n_layers): index of a layer among those in key pages; -1: guarded
    PagePool exact_pool_, header_pool_, key_pool_, value_pool_;
    std::unique_ptr<float[]> sinks_;  // (2 sides, n_layers, n_kv_heads, kSinkPositions, head_dim)
    std::vector<Tile> tiles_;         // those prepared: all positions before end_, and those reserved
    int64_t end_ = 0;                 // positions written
    int64_t turn_begin_ = 0;
    int64_t last_coarsening_ = 0;  // the position at which a tile was demoted last
    struct Scratch {
        std::vector<float> rows;     // (64, head_dim)
        std::vector<uint8_t> codes;  // (64, head_dim)
    };
    std::vector<Scratch> scratch_;  // of each thread that seals
};

}  // namespace strata
