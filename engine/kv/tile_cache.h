// The tiered memory of a conversation. Positions are kept in tiles of 64: the newest three (the one being written and
// the two before it) exact, in FP32; older ones sealed (engine/formats/tile.h) in the tier that the preset and the
// budget give to their age. Nothing that a later query can see is ever dropped: layers with a window let a tile go once
// all queries to come see younger ones only.
//
// What the query at position t sees depends on positions alone: with k = t / 64, tiles j >= k - 2 exact, older ones
// sealed. Sealing and demoting happen when the first position of a tile is reserved, so that all queries of a
// micro-batch, which lies in one tile, see the same tiers. Positions 0 to 3 (attention sinks) are seen exact for ever.
//
// What the first query of the last turn sees, with the exact rows of its window, is kept as long as the turn lasts, so
// that it can be taken back bit for bit. Without a budget, so is what the first query of its answer sees: another
// answer then begins at once, however long the question was. (A budget counts one such window, wherever turns and
// answers begin, so that tiers do not depend on them.)
//
// A tile has one tier in all layers. Where its rows and pages lie: engine/kv/tile_group.h.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/base/byte_reader.h"
#include "engine/base/byte_writer.h"
#include "engine/base/result.h"
#include "engine/base/thread_pool.h"
#include "engine/kernels/kernels.h"
#include "engine/kv/kv_options.h"
#include "engine/kv/kv_shape.h"
#include "engine/kv/tier_policy.h"
#include "engine/kv/tile_group.h"

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
    // The answer of this turn begins at n, which may be still to come.
    void begin_answer(int64_t n);
    // Where to truncate to, and read again from, in order to come back to n: n itself, or the begin of the answer or
    // else of the turn where only that is exact; 0 when layers with a window have let go of what the query at n sees.
    int64_t start_for(int64_t n) const;
    // n: equal to its start_for(). True: what follows is bit for bit as it was the first time. out_of_memory: nothing
    // has changed.
    Result<bool> truncate(int64_t n);
    // Takes effect at once. invalid_argument or budget_full: nothing has changed.
    Status set_memory(KvPreset preset, uint64_t budget_bytes, const Kernels& kernels, ThreadPool& pool);

    uint64_t least_budget_bytes() const { return fixed_bytes(); }
    // Of 64 positions in each tier, all heads, once `newest_tile` is the newest.
    TileBytes tile_bytes(int64_t newest_tile) const;
    KvStats stats() const;
    // For encoding and fetching; not part of the memory, which is the same in all builds.
    uint64_t scratch_bytes() const;
    // For kernels that fetch by storing: what they store is kept from now on.
    void keep_line_bytes();

    // ---- what attention reads
    // Only of tiles that the layer sees.
    const float* exact_rows(TileSide side, int64_t tile, int layer, int head) const;  // (64, head_dim)
    TileView sealed_rows(TileSide side, int64_t tile, int layer, int head) const;
    // Of tiles [first, end), those that the queries of newest_tile see sealed, which are the oldest: how many.
    int sealed_views(int64_t first, int64_t end, int64_t newest_tile, int layer, int head, TileView* keys,
                     TileView* values) const;
    const float* sink_rows(TileSide side, int layer, int head) const;  // (kSinkPositions, head_dim)

    // ---- snapshot (engine/session.cpp writes the frame around it)
    void save(ByteWriter& out) const;
    // corrupt_file, naming what is wrong. The shape is the model's.
    static Result<std::unique_ptr<TileCache>> restore(const KvShape& shape, ByteReader& in);

private:
    struct Tile {
        Tier tier = Tier::exact;  // of the sealed form
        bool exact = false;       // exact rows are held
        bool sealed = false;
        bool thawed = false;  // the exact rows were restored from the sealed ones
    };
    struct Place {  // of a layer
        int group, index;
    };

    TileCache(const KvShape& shape, const KvOptions& options);

    int n_heads_in_all() const { return shape_.n_layers * shape_.n_kv_heads; }
    int64_t newest_tile() const { return int64_t(tiles_.size()) - 1; }
    // How the queries of tile `newest_tile` see a tile.
    bool seen_sealed(int64_t tile, int64_t newest_tile) const {
        return tile <= newest_tile - kExactTiles && tiles_[size_t(tile)].sealed;
    }
    uint64_t sink_bytes() const {
        return uint64_t(2 * n_heads_in_all() * kSinkPositions) * uint64_t(shape_.head_dim) * sizeof(float);
    }
    uint64_t record_bytes() const;
    uint64_t slab_bytes() const;  // exact rows of a tile
    uint64_t fixed_bytes() const;
    std::optional<Error> refuse_budget(uint64_t budget_bytes) const;
    uint64_t allocated_bytes() const;
    const TileGroup& group_of(int layer) const { return groups_[size_t(places_[size_t(layer)].group)]; }
    // fn(side, layer, head, thread), for all layers that hold the tile, spread over the threads.
    template <class Fn>
    void for_each_head(int64_t tile, ThreadPool& pool, Fn&& fn) const;
    std::vector<Tier> sealed_tiers(int64_t newest_tile) const;

    Status prepare(int64_t tile, const Kernels& kernels, ThreadPool& pool);
    Result<TierPolicy> plan(KvPreset preset, uint64_t budget_bytes, int64_t newest_tile) const;
    Status apply(const TierPolicy& policy, int64_t newest_tile, const Kernels& kernels, ThreadPool& pool);
    bool take_exact(std::span<const int64_t> tiles);
    bool take_pages(int64_t tile, Tier tier);
    Status seal(int64_t index, Tier tier, const Kernels& kernels, ThreadPool& pool);
    void demote(int64_t index, Tier tier, ThreadPool& pool);
    void note_line_bytes(int64_t tile);
    void unseal(int64_t index);
    void thaw(int64_t index);
    void let_go_of_unseen(int64_t newest_tile);
    void release_exact_rows(int64_t newest_tile);
    void trim();
    Status restore_tile(int64_t index, int64_t newest, ByteReader& in);
    bool is_kept_for(int64_t n, int64_t tile) const;
    bool holds_all_for(int64_t n) const;
    int64_t first_exact_tile(int64_t n) const {
        return n / kTilePositions < kExactTiles - 1 ? 0 : n / kTilePositions - (kExactTiles - 1);
    }
    int masked_rows(int64_t tile) const { return tile == 0 ? kSinkPositions : 0; }

    KvShape shape_;
    KvPreset preset_;
    uint64_t budget_bytes_;
    int visible_window_;               // only reported
    std::vector<int> guarded_layers_;  // ascending
    std::vector<TileGroup> groups_;    // layers that see everything, layers with a window: those that there are
    std::vector<Place> places_;        // (n_layers)
    std::unique_ptr<float[]> sinks_;   // (2 sides, n_layers, n_kv_heads, kSinkPositions, head_dim)
    std::vector<Tile> tiles_;          // those prepared: all positions before end_, and those reserved
    int64_t end_ = 0;                  // positions written
    int64_t turn_begin_ = 0;
    int64_t answer_begin_ = 0;     // turn_begin_: nothing is held for an answer
    int64_t last_coarsening_ = 0;  // the position at which a tile was demoted last
    struct Scratch {
        std::vector<float> rows;     // (64, head_dim)
        std::vector<uint8_t> codes;  // (64, head_dim)
    };
    std::vector<Scratch> scratch_;  // of each thread that seals
};

}  // namespace strata
