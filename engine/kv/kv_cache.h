// The memory of a conversation: for every position, layer and KV head one key and one value row. Nothing that a later
// query can see is ever dropped: layers with a window let go of what lies before it. It is of one of two kinds: tiles
// in tiers (engine/kv/tile_cache.h), or rows in a format, the memory of other engines, for comparison. The rest of this
// file is about rows.
//
// The newest rows are exact (FP32, the window), older ones are kept in a row format. What a query sees depends on
// positions alone: the query at t sees the keys p > t - key_window exact and the older ones encoded, whatever the
// batches were. To make that so within a batch of up to 64 positions, the window's ring is up to 64 rows longer than
// the window, and a row is encoded as soon as the newest query of a batch has left it behind.
//
// Rows lie in pages of 64 positions, so a page has one place in a ring and one address for all its rows. Pages of all
// KV heads of a layer come from one allocation (a slab). Slabs are allocated by reserve(), never while a token is
// computed.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/base/result.h"
#include "engine/kv/kv_options.h"
#include "engine/kv/kv_shape.h"
#include "engine/kv/row_format.h"
#include "engine/kv/tile_cache.h"

namespace strata {

constexpr int kPagePositions = 64;
static_assert(kPagePositions == kTilePositions);

// The keys, or the values, of all layers: one side of the cache.
class KvSide {
public:
    KvSide(const KvShape& shape, KvType type, int window);
    // Allocates the window's ring; false when memory is out.
    bool allocate_window();

    const RowFormat& format() const { return format_; }
    // Rows that are exact for the newest query; 0 for an fp32 side, whose encoded rows are exact anyway.
    int window() const { return window_; }
    // How many rows, from the oldest, the query at position t sees encoded.
    int64_t encoded_for(int64_t t) const { return t + 1 > window_ ? t + 1 - window_ : 0; }

    // Allocates what positions up to `end` need; false when memory is out, and then nothing has changed.
    bool reserve(int64_t end);
    // Lets layers with a window go of the pages that the queries of page `newest` and later ones do not see.
    void let_go_of_unseen(int64_t newest);
    // Whether those layers still hold what the query at t sees.
    bool holds_all_for(int64_t t) const { return first_visible(t / kPagePositions) >= unseen_pages_; }
    // x (n, n_kv_heads, head_dim): the rows of positions [position, position + n) of one layer and head, which lie in
    // one page. Encodes those rows that the newest of these queries sees encoded.
    void write(int layer, int head, int64_t position, int n, const float* x);
    void advance(int64_t end);
    bool truncate(int64_t end);  // false: a row of the window had to be restored from its encoded form

    const uint8_t* encoded_page(int layer, int head, int64_t page) const;  // 64 rows of row_bytes()
    const float* exact_page(int layer, int head, int64_t page) const;      // (64, head_dim)

    uint64_t encoded_bytes() const;  // allocated
    uint64_t exact_bytes() const { return ring_values() * sizeof(float); }
    uint64_t windowed_bytes() const;  // of both, those of layers with a window

private:
    uint64_t ring_values() const;
    uint64_t slab_bytes() const;
    // The oldest page that a windowed layer's query of `page` sees.
    int64_t first_visible(int64_t page) const {
        return oldest_visible(shape_.window, page * kPagePositions) / kPagePositions;
    }
    float* ring_page(int layer, int head, int64_t page);
    uint8_t* encoded_row(int layer, int head, int64_t position);
    void thaw(int64_t position);

    KvShape shape_;
    RowFormat format_;
    int window_;
    int ring_pages_;                                              // 0 without a window
    std::unique_ptr<float[]> ring_;                               // (n_layers, ring_pages, n_kv_heads, 64, head_dim)
    std::vector<std::vector<std::unique_ptr<uint8_t[]>>> slabs_;  // (n_layers, pages): (n_kv_heads, 64, row_bytes)
    int64_t unseen_pages_ = 0;                                    // windowed layers have let go of so many slabs
    int64_t end_ = 0;                                             // positions written
    int64_t n_encoded_ = 0;                                       // rows encoded, from the oldest
    int64_t ring_begin_ = 0;                                      // first position whose exact row the ring still holds
};

// Both sides of a memory of rows.
class RowCache {
public:
    static Result<std::unique_ptr<RowCache>> create(const KvShape& shape, const KvOptions& options);

    const KvSide& keys() const { return keys_; }
    const KvSide& values() const { return values_; }
    int64_t position() const { return position_; }

    Status reserve(int64_t end);
    void write(int layer, int head, int n, const float* k, const float* v);
    void advance(int n);
    int64_t start_for(int64_t n) const { return keys_.holds_all_for(n) && values_.holds_all_for(n) ? n : 0; }
    bool truncate(int64_t n);
    KvStats stats() const;

private:
    RowCache(const KvShape& shape, const KvOptions& options);

    KvShape shape_;
    KvOptions options_;
    KvSide keys_, values_;
    int64_t position_ = 0;
};

class KvCache {
public:
    // invalid_argument when a format does not fit the head size, a window is negative or a budget too small;
    // out_of_memory.
    static Result<std::unique_ptr<KvCache>> create(const KvShape& shape, const KvOptions& options);
    KvCache(const KvShape& shape, std::unique_ptr<RowCache> rows, std::unique_ptr<TileCache> tiles, int visible_window)
        : shape_(shape), rows_(std::move(rows)), tiles_(std::move(tiles)), visible_window_(visible_window) {}

    const KvShape& shape() const { return shape_; }
    int64_t position() const { return tiles_ ? tiles_->position() : rows_->position(); }
    // Exactly one of the two is there.
    const RowCache* rows() const { return rows_.get(); }
    const TileCache* tiles() const { return tiles_.get(); }
    // Before attention with these kernels, which else goes without what they fetch ahead.
    void prepare_for(const Kernels& kernels) {
        if (kernels.fetches_by_storing && tiles_) tiles_->keep_line_bytes();
    }
    TileCache* tiles() { return tiles_.get(); }

    // Whether the query at t takes part in position p: all of them, but for a memory that pretends to delete.
    bool visible(int64_t t, int64_t p) const {
        return visible_window_ == 0 || p > t - visible_window_ || p < kSinkPositions;
    }
    int visible_window() const { return visible_window_; }

    // Makes room for n more positions, which lie in one page. out_of_memory or budget_full says what was needed; the
    // conversation is as it was.
    Status reserve(int n, const Kernels& kernels, ThreadPool& pool);
    // Stores the rows of positions [position(), position() + n) of one layer and head.
    // k, v: (n, n_kv_heads, head_dim), that is all heads, of which `head` is read. Heads may be written concurrently.
    void write(int layer, int head, int n, const float* k, const float* v);
    // All layers and heads of n positions are written.
    void advance(int n);
    // Where to truncate to, and read again from, in order to come back to n (engine/kv/tile_cache.h).
    int64_t start_for(int64_t n) const { return tiles_ ? tiles_->start_for(n) : rows_->start_for(n); }
    // Forgets every position from n on; n: equal to its start_for(). True: what follows is bit for bit as it was the
    // first time.
    Result<bool> truncate(int64_t n);

    KvStats stats() const { return tiles_ ? tiles_->stats() : rows_->stats(); }

private:
    KvShape shape_;
    std::unique_ptr<RowCache> rows_;
    std::unique_ptr<TileCache> tiles_;
    int visible_window_;
};

}  // namespace strata
