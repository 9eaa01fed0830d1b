// Attention over tiles: sealed ones as integers, exact ones as floats.
#include <algorithm>

#include "engine/kv/attention.h"

namespace strata {

namespace {

// The tiles of a block that the queries can see: [first, end).
struct TileRange {
    int64_t first, end;
};
TileRange tiles_of_block(int64_t block_first, int64_t oldest, int64_t newest) {
    const int64_t end = std::min(block_first + kBlockPositions, newest + 1);
    return {oldest / kTilePositions, (end + kTilePositions - 1) / kTilePositions};
}

// How many rows of a tile are not newer than t.
int seen_rows(int64_t tile, int64_t t) {
    return int(std::clamp<int64_t>(t + 1 - tile * kTilePositions, 0, kTilePositions));
}

}  // namespace

// Without a header where the queries see it exact.
TileView Attention::sealed_tile(const Batch& batch, TileSide side, int64_t tile, int kv_head) const {
    const TileCache& tiles = *cache_.tiles();
    return tiles.seen_sealed(tile, batch.position / kTilePositions)
               ? tiles.sealed_rows(side, tile, batch.layer.index, kv_head)
               : TileView{};
}

// The same, on its way here while something else is computed; so are the rows of one that the queries see exact.
TileView Attention::fetched_tile(const Batch& batch, TileSide side, int64_t tile, int kv_head) const {
    const TileView view = sealed_tile(batch, side, tile, kv_head);
    if (view.header)
        kernels_.fetch_tile(view, head_dim_);
    else
        kernels_.fetch(cache_.tiles()->exact_rows(side, tile, batch.layer.index, kv_head),
                       int64_t(sizeof(float)) * head_dim_ * seen_rows(tile, batch.position + batch.n - 1));
    return view;
}

// What a block begins with.
void Attention::fetch_block(const Batch& batch, int64_t block, int kv_head) const {
    const int64_t oldest = std::max(block * kBlockPositions, batch.oldest_for(batch.position));
    if (cache_.tiles()) fetched_tile(batch, TileSide::keys, oldest / kTilePositions, kv_head);
}

void Attention::tile_scores(const Work& work) {
    const TileCache& tiles = *cache_.tiles();
    Scratch& scratch = work.scratch;
    const int layer = work.batch.layer.index, rows = rows_of(work);
    const size_t d = size_t(head_dim_);
    const TileRange range = tiles_of_block(work.first, work.oldest(), work.newest());
    bool quantised = false;
    const auto quantise_queries = [&] {
        for (size_t at = 0; at < size_t(rows) * d; at += d)
            kernels_.rotate(scratch.turned.data() + at, head_dim_, scratch.rotated.data() + at);
        kernels_.quantise_queries(scratch.rotated.data(), rows, head_dim_, scratch.int_queries.data(),
                                  scratch.int_scales.data());
        quantised = true;
    };
    const auto exact_scores = [&](const float* keys, int n, float* scores) {
        kernels_.scores_f32(scratch.turned.data(), rows, keys, n, head_dim_, scores, kBlockPositions);
    };
    TileView next = sealed_tile(work.batch, TileSide::keys, range.first, work.kv_head);
    for (int64_t tile = range.first; tile < range.end; ++tile) {
        const TileView sealed = next;
        if (tile + 1 < range.end)
            next = fetched_tile(work.batch, TileSide::keys, tile + 1, work.kv_head);
        else
            fetched_tile(work.batch, TileSide::values, range.first, work.kv_head);
        const int64_t tile_first = tile * kTilePositions;
        float* scores = scratch.scores.data() + (tile_first - work.first);
        if (!sealed.header) {
            // Of positions after a query's own too, which are not used.
            exact_scores(tiles.exact_rows(TileSide::keys, tile, layer, work.kv_head), seen_rows(tile, work.newest()),
                         scores);
            continue;
        }
        if (!quantised) quantise_queries();
        kernels_.tile_scores(sealed, head_dim_, scratch.int_queries.data(), scratch.int_scales.data(), rows, scores,
                             kBlockPositions);
        if (tile > 0) continue;
        exact_scores(tiles.sink_rows(TileSide::keys, layer, work.kv_head), kSinkPositions, scores);
    }
}

void Attention::tile_values(const Work& work) {
    const TileCache& tiles = *cache_.tiles();
    const int layer = work.batch.layer.index, rows = rows_of(work);
    const TileRange range = tiles_of_block(work.first, work.oldest(), work.newest());
    const auto add_exact = [&](const float* values, int row, int n_queries, int n, const float* weights) {
        kernels_.accumulate(weights + row * kBlockPositions, kBlockPositions, n_queries, values, n, head_dim_,
                            work.partial + row * stride_, stride_);
    };
    TileView next = sealed_tile(work.batch, TileSide::values, range.first, work.kv_head);
    for (int64_t tile = range.first; tile < range.end; ++tile) {
        const TileView sealed = next;
        if (tile + 1 < range.end) next = fetched_tile(work.batch, TileSide::values, tile + 1, work.kv_head);
        const int64_t tile_first = tile * kTilePositions;
        const float* weights = work.scratch.scores.data() + (tile_first - work.first);
        if (!sealed.header) {
            // What all queries see, and then what only the later ones do.
            const float* values = tiles.exact_rows(TileSide::values, tile, layer, work.kv_head);
            const int common = seen_rows(tile, work.batch.position + work.token_begin);
            add_exact(values, 0, rows, common, weights);
            for_each_token(work, [&](int row, int64_t t) {
                const int seen = seen_rows(tile, t);
                if (seen > common) add_exact(values + common * head_dim_, row, group_, seen - common, weights + common);
            });
            continue;
        }
        kernels_.tile_values(sealed, head_dim_, weights, kBlockPositions, rows, work.partial + head_dim_, stride_);
        if (tile > 0) continue;
        add_exact(tiles.sink_rows(TileSide::values, layer, work.kv_head), 0, rows, kSinkPositions, weights);
    }
}

}  // namespace strata
