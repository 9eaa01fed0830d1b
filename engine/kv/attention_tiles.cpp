// Attention over tiles: sealed ones as integers, exact ones as floats.
#include <algorithm>

#include "engine/kv/attention.h"

namespace strata {

namespace {

// How many rows of a tile are not newer than t.
int seen_rows(int64_t tile, int64_t t) {
    return int(std::clamp<int64_t>(t + 1 - tile * kTilePositions, 0, kTilePositions));
}

}  // namespace

void Attention::find_tiles(const Work& work, BlockTiles& tiles) const {
    tiles.next = nullptr;
    tiles.n_sealed = 0;
    if (!cache_.tiles()) return;
    const int64_t end = std::min(work.first + kBlockPositions, work.newest() + 1);
    tiles.first = work.oldest() / kTilePositions;
    tiles.end = (end + kTilePositions - 1) / kTilePositions;
    tiles.n_sealed = cache_.tiles()->sealed_views(tiles.first, tiles.end, work.batch.position / kTilePositions,
                                                  work.batch.layer.index, work.kv_head, tiles.keys, tiles.values);
    for (int t = 0; t < tiles.n_sealed; ++t)
        for (TileView* side : {&tiles.keys[t], &tiles.values[t]}) {
            if (work.batch.n > 1) side->line_bytes = nullptr;  // threads share tiles, to which nobody may store then
            kernels_.fetch(side->header, tile_header_bytes(head_dim_));
            if (side->line_bytes != nullptr) kernels_.fetch(side->line_bytes, tile_lines(side->bits, head_dim_));
        }
}

// What a block begins with, where no tile before it is computed meanwhile.
void Attention::fetch_first(const Work& work, const BlockTiles& tiles) const {
    if (!cache_.tiles()) return;
    if (tiles.n_sealed > 0)
        kernels_.fetch_pages(tiles.keys[0], head_dim_);
    else if (!kernels_.fetches_by_storing)
        fetch_rows(work, TileSide::keys, tiles.first);
}

void Attention::fetch_rows(const Work& work, TileSide side, int64_t tile) const {
    kernels_.fetch(cache_.tiles()->exact_rows(side, tile, work.batch.layer.index, work.kv_head),
                   int64_t(sizeof(float)) * head_dim_ * seen_rows(tile, work.newest()));
}

// The rows of a tile; where fetching them is waited for they are fetched first, elsewhere those of the next one are.
const float* Attention::fetched_rows(const Work& work, const BlockTiles& tiles, TileSide side, int64_t tile) const {
    const int64_t fetched = kernels_.fetches_by_storing ? tile : tile + 1;
    if (fetched < tiles.end) fetch_rows(work, side, fetched);
    return cache_.tiles()->exact_rows(side, tile, work.batch.layer.index, work.kv_head);
}

void Attention::tile_scores(const Work& work, const BlockTiles& tiles) {
    const TileCache& cache = *cache_.tiles();
    Scratch& scratch = work.scratch;
    const int rows = rows_of(work);
    const auto exact_scores = [&](const float* keys, int n, float* scores) {
        kernels_.scores_f32(scratch.turned.data(), rows, keys, n, head_dim_, scores, kBlockPositions);
    };
    float* scores = scratch.scores.data() + (tiles.first * kTilePositions - work.first);
    if (tiles.n_sealed > 0) {
        const size_t d = size_t(head_dim_);
        for (size_t at = 0; at < size_t(rows) * d; at += d)
            kernels_.rotate(scratch.turned.data() + at, head_dim_, scratch.rotated.data() + at);
        kernels_.quantise_queries(scratch.rotated.data(), rows, head_dim_, scratch.int_queries.data(),
                                  scratch.int_scales.data());
        kernels_.tile_scores(tiles.sealed_keys(), tiles.values, head_dim_, scratch.int_queries.data(),
                             scratch.int_scales.data(), rows, scores, kBlockPositions);
        if (tiles.first == 0)
            exact_scores(cache.sink_rows(TileSide::keys, work.batch.layer.index, work.kv_head), kSinkPositions, scores);
    }
    for (int64_t tile = tiles.first + tiles.n_sealed; tile < tiles.end; ++tile) {
        // Of positions after a query's own too, which are not used.
        exact_scores(fetched_rows(work, tiles, TileSide::keys, tile), seen_rows(tile, work.newest()),
                     scores + (tile - tiles.first) * kTilePositions);
    }
}

void Attention::tile_values(const Work& work, const BlockTiles& tiles) {
    const TileCache& cache = *cache_.tiles();
    const int rows = rows_of(work);
    const auto add_exact = [&](const float* values, int row, int n_queries, int n, const float* weights) {
        kernels_.accumulate(weights + row * kBlockPositions, kBlockPositions, n_queries, values, n, head_dim_,
                            work.partial + row * stride_, stride_);
    };
    const float* weights = work.scratch.scores.data() + (tiles.first * kTilePositions - work.first);
    if (tiles.n_sealed > 0) {
        kernels_.tile_values(tiles.sealed_values(), tiles.next, head_dim_, weights, kBlockPositions, rows,
                             work.partial + head_dim_, stride_);
        if (tiles.first == 0)
            add_exact(cache.sink_rows(TileSide::values, work.batch.layer.index, work.kv_head), 0, rows, kSinkPositions,
                      weights);
    }
    for (int64_t tile = tiles.first + tiles.n_sealed; tile < tiles.end; ++tile) {
        // What all queries see, and then what only the later ones do.
        const float* values = fetched_rows(work, tiles, TileSide::values, tile);
        const float* tile_weights = weights + (tile - tiles.first) * kTilePositions;
        const int common = seen_rows(tile, work.batch.position + work.token_begin);
        add_exact(values, 0, rows, common, tile_weights);
        for_each_token(work, [&](int row, int64_t t) {
            const int seen = seen_rows(tile, t);
            if (seen > common)
                add_exact(values + common * head_dim_, row, group_, seen - common, tile_weights + common);
        });
    }
}

}  // namespace strata
