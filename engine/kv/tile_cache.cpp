#include "engine/kv/tile_cache.h"

#include <algorithm>
#include <cstring>

#include "engine/base/bits.h"

namespace strata {

namespace {

int64_t tiles_for(int64_t positions) { return (positions + kTilePositions - 1) / kTilePositions; }

size_t side_index(TileSide side) { return side == TileSide::values ? 1 : 0; }

// Heads that cannot be sealed can still be kept exact.
Status check_head(const KvShape& shape, KvPreset preset, uint64_t budget_bytes) {
    if (tile_fits(shape.head_dim) || (preset == KvPreset::exact && budget_bytes == 0)) return Done{};
    return Error{ErrorCode::invalid_argument,
                 "compressed memory takes heads of 16 to 512 values in steps of 16, and a head of this model has " +
                     std::to_string(shape.head_dim) + ": use the preset exact, without a budget"};
}

std::string mib(uint64_t bytes) {
    const uint64_t tenths = (bytes * 10 + (1 << 20) - 1) >> 20;
    return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " MiB";
}

}  // namespace

TileCache::TileCache(const KvShape& shape, const KvOptions& options)
    : shape_(shape),
      preset_(*options.preset),
      budget_bytes_(options.budget_bytes),
      visible_window_(options.visible_window),
      guarded_layers_(options.guarded_layers),
      places_(size_t(shape.n_layers)) {
    for (const bool windowed : {false, true}) {
        std::vector<int> layers, guarded;
        for (int layer = 0; layer < shape.n_layers; ++layer) {
            if ((shape.window_of(layer) > 0) != windowed) continue;
            places_[size_t(layer)] = {int(groups_.size()), int(layers.size())};
            layers.push_back(layer);
            if (std::binary_search(guarded_layers_.begin(), guarded_layers_.end(), layer)) guarded.push_back(layer);
        }
        if (!layers.empty()) groups_.emplace_back(shape, std::move(layers), guarded);
    }
}

Result<std::unique_ptr<TileCache>> TileCache::create(const KvShape& shape, const KvOptions& options) {
    const auto invalid = [](const std::string& message) { return Error{ErrorCode::invalid_argument, message}; };
    if (const Status fits = check_head(shape, *options.preset, options.budget_bytes); !fits) return fits.error();
    for (size_t i = 0; i < options.guarded_layers.size(); ++i) {
        const int layer = options.guarded_layers[i];
        if (layer < 0 || layer >= shape.n_layers || (i > 0 && layer <= options.guarded_layers[i - 1]))
            return invalid("guarded layer " + std::to_string(layer) + ": expected ascending numbers from 0 to " +
                           std::to_string(shape.n_layers - 1));
    }
    std::unique_ptr<TileCache> cache(new TileCache(shape, options));
    if (const auto refused = cache->refuse_budget(options.budget_bytes)) return *refused;
    cache->sinks_.reset(
        new (std::nothrow) float[size_t(2 * cache->n_heads_in_all() * kSinkPositions * shape.head_dim)]());
    if (!cache->sinks_) return Error{ErrorCode::out_of_memory, "memory is out before the conversation begins"};
    return cache;
}

// ---- bytes

uint64_t TileCache::record_bytes() const {
    uint64_t bytes = sizeof(Tile);
    for (const TileGroup& group : groups_) bytes += group.record_bytes();
    return bytes;
}

uint64_t TileCache::slab_bytes() const {
    uint64_t bytes = 0;
    for (const TileGroup& group : groups_) bytes += group.exact_bytes();
    return bytes;
}

// What a budget must hold before any sealed tile: the window, the exact rows kept for the last turn, the sinks.
uint64_t TileCache::fixed_bytes() const {
    uint64_t bytes = sink_bytes() + 2 * kExactTiles * record_bytes();
    for (const TileGroup& group : groups_) {
        constexpr int64_t kLate = int64_t(1) << 32;  // a tile so late that no window reaches the first one
        const int64_t seen = kLate - group.first_visible(kLate) + 1;
        bytes += 2 * uint64_t(std::min<int64_t>(kExactTiles, seen)) * group.exact_bytes();
    }
    return bytes;
}

std::optional<Error> TileCache::refuse_budget(uint64_t budget_bytes) const {
    if (budget_bytes == 0 || budget_bytes >= least_budget_bytes()) return std::nullopt;
    return Error{ErrorCode::invalid_argument, "a memory budget of " + mib(budget_bytes) +
                                                  " is too small: the exact window of this model takes " +
                                                  mib(least_budget_bytes())};
}

// Layers with a window hold the sealed tiles that the newest tile sees, and those that the tile sees in which the turn
// began. That so many are counted wherever it began keeps tiers independent of turns: most, and the finest, are held
// when it began in `begin`, the youngest sealed tile that is not seen any more.
TileBytes TileCache::tile_bytes(int64_t newest_tile) const {
    TileBytes bytes{};
    bytes.oldest.fill(record_bytes());
    bytes.others.fill(record_bytes());
    for (const TileGroup& group : groups_) {
        const bool windowed = group.window() > 0;
        for (int tier = 0; tier < kTiers; ++tier) {
            const uint64_t size = tier == 0 ? group.exact_bytes() : group.sealed_bytes(Tier(tier));
            bytes.others[size_t(tier)] += size;
            if (!windowed) bytes.oldest[size_t(tier)] += size;
        }
        if (!windowed) continue;
        const int64_t begin = std::min(group.first_visible(newest_tile) - 1, newest_tile - kExactTiles);
        bytes.n_oldest = begin < 0 ? 0 : group.first_visible(begin);
    }
    return bytes;
}

uint64_t TileCache::allocated_bytes() const {
    uint64_t bytes = sink_bytes() + tiles_.size() * record_bytes();
    for (const TileGroup& group : groups_) bytes += group.allocated_bytes();
    return bytes;
}

// ---- addresses

const float* TileCache::exact_rows(TileSide side, int64_t tile, int layer, int head) const {
    return group_of(layer).exact_rows(side, tile, places_[size_t(layer)].index, head);
}

TileView TileCache::sealed_rows(TileSide side, int64_t tile, int layer, int head) const {
    TileView keys{}, values{};
    group_of(layer).view(tile, places_[size_t(layer)].index, head, tiles_[size_t(tile)].tier, keys, values);
    return side == TileSide::keys ? keys : values;
}

int TileCache::sealed_views(int64_t first, int64_t end, int64_t newest_tile, int layer, int head, TileView* keys,
                            TileView* values) const {
    const TileGroup& group = group_of(layer);
    const int index = places_[size_t(layer)].index;
    int64_t tile = first;
    for (; tile < end && seen_sealed(tile, newest_tile); ++tile)
        group.view(tile, index, head, tiles_[size_t(tile)].tier, *keys++, *values++);
    return int(tile - first);
}

const float* TileCache::sink_rows(TileSide side, int layer, int head) const {
    const size_t index = (side_index(side) * size_t(shape_.n_layers) + size_t(layer)) * size_t(shape_.n_kv_heads);
    return sinks_.get() + (index + size_t(head)) * kSinkPositions * size_t(shape_.head_dim);
}

// ---- growing

Status TileCache::reserve(int64_t end, const Kernels& kernels, ThreadPool& pool) {
    const int64_t needed = tiles_for(end);
    CHECK(needed <= int64_t(tiles_.size()) + 1);
    return needed <= int64_t(tiles_.size()) ? Status(Done{}) : prepare(needed - 1, kernels, pool);
}

// A new tile begins: the one three before it leaves the window, and older ones may have to become coarser.
Status TileCache::prepare(int64_t tile, const Kernels& kernels, ThreadPool& pool) {
    const auto policy = plan(preset_, budget_bytes_, tile);
    if (!policy) return policy.error();
    if (const Status applied = apply(*policy, tile, kernels, pool); !applied) return applied.error();
    bool complete = true;
    for (TileGroup& group : groups_) {
        group.resize(tile + 1);
        complete = complete && group.take_exact(tile);
    }
    if (!complete) {
        for (TileGroup& group : groups_) group.resize(tile);
        return Error{ErrorCode::out_of_memory,
                     "the memory of this conversation cannot grow beyond " + std::to_string(end_) +
                         " tokens: the next 64 need " + mib(slab_bytes()) +
                         ". Nothing was lost; set a memory budget, choose a smaller preset or close other tabs"};
    }
    tiles_.emplace_back().exact = true;
    return Done{};
}

std::vector<Tier> TileCache::sealed_tiers(int64_t newest_tile) const {
    std::vector<Tier> tiers;
    for (int64_t j = 0; j <= newest_tile - kExactTiles; ++j) {
        const Tile& tile = tiles_[size_t(j)];
        tiers.push_back(tile.sealed ? tile.tier : Tier::exact);
    }
    return tiers;
}

// The tiers of all tiles once `newest_tile` is the newest, or why there are none.
Result<TierPolicy> TileCache::plan(KvPreset preset, uint64_t budget_bytes, int64_t newest_tile) const {
    const Tier finest = finest_tier(preset);
    if (budget_bytes == 0) return TierPolicy(finest);
    const std::vector<Tier> tiers = sealed_tiers(newest_tile);
    const TileBytes bytes = tile_bytes(newest_tile);
    const uint64_t room = budget_bytes - fixed_bytes();
    const TierPolicy policy = fit_tiers(finest, tiers, bytes, room);
    const uint64_t needed = bytes_under(policy, tiers, bytes);
    if (needed <= room) return policy;
    return Error{ErrorCode::budget_full,
                 "the memory budget of " + mib(budget_bytes) + " is used up by " + std::to_string(end_) +
                     " tokens, all that can be at 2 bits: the next 64 tokens need a budget of at least " +
                     mib(needed + fixed_bytes()) + " (" + std::to_string(needed + fixed_bytes()) +
                     " bytes). Nothing was lost; raise the budget to go on"};
}

// Oldest first: what they free serves the younger ones.
Status TileCache::apply(const TierPolicy& policy, int64_t newest_tile, const Kernels& kernels, ThreadPool& pool) {
    const int64_t youngest = newest_tile - kExactTiles;
    let_go_of_unseen(newest_tile);
    for (int64_t j = 0; j <= youngest; ++j) {
        const Tile& tile = tiles_[size_t(j)];
        const Tier now = tile.sealed ? tile.tier : Tier::exact;
        const Tier wanted = coarser(now, policy.tier_at(youngest - j));
        if (wanted == now) continue;
        if (j < youngest) last_coarsening_ = end_;
        if (tile.sealed)
            demote(j, wanted, pool);
        else if (const Status sealed = seal(j, wanted, kernels, pool); !sealed)
            return sealed.error();
    }
    release_exact_rows(newest_tile);
    if (budget_bytes_ > 0 && allocated_bytes() + slab_bytes() > budget_bytes_) trim();
    return Done{};
}

// Exact rows for those of the tiles that have none, in all layers that hold them; false when memory is out, and then
// nothing was taken.
bool TileCache::take_exact(std::span<const int64_t> tiles) {
    bool complete = true;
    for (const int64_t j : tiles)
        for (TileGroup& group : groups_) complete = complete && (!group.holds(j) || group.take_exact(j));
    for (const int64_t j : tiles) {
        for (TileGroup& group : groups_)
            if (!complete) group.give_back_exact(j);
        tiles_[size_t(j)].exact = complete;
    }
    return complete;
}

// Pages for a tile at a tier; false when memory is out, and then it has none.
bool TileCache::take_pages(int64_t tile, Tier tier) {
    bool complete = true;
    for (TileGroup& group : groups_) complete = complete && (!group.holds(tile) || group.take_pages(tile, tier));
    tiles_[size_t(tile)].sealed = true;
    tiles_[size_t(tile)].tier = tier;
    if (!complete) unseal(tile);
    return complete;
}

template <class Fn>
void TileCache::for_each_head(int64_t tile, ThreadPool& pool, Fn&& fn) const {
    pool.for_rows(2 * n_heads_in_all(), 1, [&](int64_t begin, int64_t end, int thread) {
        for (int64_t i = begin; i < end; ++i) {
            const int layer = int(i / 2) / shape_.n_kv_heads, head = int(i / 2) % shape_.n_kv_heads;
            if (group_of(layer).holds(tile)) fn(kTileSides[i % 2], layer, head, thread);
        }
    });
}

Status TileCache::seal(int64_t index, Tier tier, const Kernels& kernels, ThreadPool& pool) {
    if (!take_pages(index, tier))
        return Error{ErrorCode::out_of_memory, "memory is out: " + mib(tile_bytes(newest_tile()).others[size_t(tier)]) +
                                                   " are needed to compress the oldest exact tokens. Nothing was lost; "
                                                   "choose a smaller preset or close other tabs"};
    const int d = shape_.head_dim, masked = masked_rows(index);
    const size_t values = size_t(kTilePositions) * size_t(d);
    if (int(scratch_.size()) < pool.threads())
        scratch_.resize(size_t(pool.threads()), {std::vector<float>(values), std::vector<uint8_t>(values)});
    for_each_head(index, pool, [&](TileSide side, int layer, int head, int thread) {
        Scratch& scratch = scratch_[size_t(thread)];
        const TileView to = sealed_rows(side, index, layer, head);
        const float* rows = exact_rows(side, index, layer, head);
        uint8_t* header = const_cast<uint8_t*>(to.header);
        if (to.bits == 8)
            encode_tile_8bit(rows, d, masked, header, reinterpret_cast<int8_t*>(scratch.codes.data()));
        else
            kernels.encode_tile(rows, d, masked, scratch.rows.data(), header, scratch.codes.data());
        pack_tile(side, scratch.codes.data(), d, to.bits, const_cast<uint8_t* const*>(to.pages));
    });
    note_line_bytes(index);
    return Done{};
}

void TileCache::demote(int64_t index, Tier tier, ThreadPool& pool) {
    for_each_head(index, pool, [&](TileSide side, int layer, int head, int) {
        const TileView from = sealed_rows(side, index, layer, head);
        const int to_bits = bits_of_side(side, tier);
        if (from.bits == 8 || from.bits == to_bits) return;
        demote_tile(const_cast<uint8_t* const*>(from.pages), shape_.head_dim, from.bits, to_bits);
    });
    Tier& now = tiles_[size_t(index)].tier;
    for (TileGroup& group : groups_) group.close_ranks(index, now, tier);
    now = tier;
    note_line_bytes(index);
}

void TileCache::unseal(int64_t index) {
    for (TileGroup& group : groups_) group.give_back_pages(index);
    tiles_[size_t(index)].sealed = false;
    tiles_[size_t(index)].tier = Tier::exact;
}

// Whether the query at n sees exact rows of the tile.
bool TileCache::is_kept_for(int64_t n, int64_t tile) const {
    return tile >= first_exact_tile(n) && tile <= n / kTilePositions;
}

// What no query of a tile from `newest_tile` on sees, nor the first one of the turn and of its answer.
void TileCache::let_go_of_unseen(int64_t newest_tile) {
    for (TileGroup& group : groups_) {
        const auto seen_from = [&](int64_t tile, int64_t j) { return j >= group.first_visible(tile) && j <= tile; };
        for (int64_t j = 0; j < group.first_visible(newest_tile); ++j)
            if (!seen_from(turn_begin_ / kTilePositions, j) && !seen_from(answer_begin_ / kTilePositions, j))
                group.let_go(j);
    }
}

// Exact rows of sealed tiles are held only in the window and for the last turn and its answer.
void TileCache::release_exact_rows(int64_t newest_tile) {
    for (int64_t j = 0; j <= newest_tile - kExactTiles; ++j) {
        Tile& tile = tiles_[size_t(j)];
        if (!tile.sealed || !tile.exact || is_kept_for(turn_begin_, j) || is_kept_for(answer_begin_, j)) continue;
        for (TileGroup& group : groups_) group.give_back_exact(j);
        tile.exact = tile.thawed = false;
    }
}

void TileCache::trim() {
    for (TileGroup& group : groups_) group.trim();
}

void TileCache::write(int layer, int head, int n, const float* k, const float* v) {
    const size_t d = size_t(shape_.head_dim), stride = d * size_t(shape_.n_kv_heads);
    const float* rows[] = {k, v};
    for (const TileSide side : kTileSides) {
        const float* x = rows[side_index(side)] + size_t(head) * d;
        float* to = const_cast<float*>(exact_rows(side, end_ / kTilePositions, layer, head));
        float* sinks = const_cast<float*>(sink_rows(side, layer, head));
        for (int i = 0; i < n; ++i) {
            const int64_t position = end_ + i;
            std::copy_n(x + size_t(i) * stride, d, to + size_t(position % kTilePositions) * d);
            if (position < kSinkPositions) std::copy_n(x + size_t(i) * stride, d, sinks + size_t(position) * d);
        }
    }
}

// ---- going back

void TileCache::begin_turn() {
    turn_begin_ = answer_begin_ = end_;
    let_go_of_unseen(newest_tile());
    release_exact_rows(newest_tile());
}

void TileCache::begin_answer(int64_t n) {
    answer_begin_ = budget_bytes_ > 0 ? turn_begin_ : std::max(n, turn_begin_);
    let_go_of_unseen(newest_tile());
    release_exact_rows(newest_tile());
}

// Whether every layer holds what it sees from position n.
bool TileCache::holds_all_for(int64_t n) const {
    for (const TileGroup& group : groups_)
        for (int64_t j = group.first_visible(n / kTilePositions); j < tiles_for(n); ++j)
            if (!group.holds(j)) return false;
    return true;
}

int64_t TileCache::start_for(int64_t n) const {
    const auto exact_at = [&](int64_t position) {
        for (int64_t j = first_exact_tile(position); j < tiles_for(position); ++j)
            if (!tiles_[size_t(j)].exact || tiles_[size_t(j)].thawed) return false;
        return holds_all_for(position);
    };
    if (exact_at(n)) return n;
    for (const int64_t begin : {answer_begin_, turn_begin_})
        if (begin < n && exact_at(begin)) return begin;
    return holds_all_for(n) ? n : 0;
}

Result<bool> TileCache::truncate(int64_t n) {
    if (n >= end_) return true;
    CHECK(holds_all_for(n));
    const int64_t first = first_exact_tile(n), tiles = tiles_for(n);
    std::vector<int64_t> frozen;
    for (int64_t j = first; j < tiles; ++j)
        if (!tiles_[size_t(j)].exact) frozen.push_back(j);
    if (!take_exact(frozen))
        return Error{ErrorCode::out_of_memory, "going back to token " + std::to_string(n) + " needs " +
                                                   mib(frozen.size() * slab_bytes()) +
                                                   " more than there is. Nothing was changed; close other tabs"};
    for (TileGroup& group : groups_) group.resize(tiles);
    tiles_.resize(size_t(tiles));
    for (const int64_t j : frozen) thaw(j);
    bool exact = last_coarsening_ <= n;
    for (int64_t j = first; j < tiles; ++j) {
        const Tile& tile = tiles_[size_t(j)];
        exact = exact && !tile.thawed;
        // A tile that goes on to be written, or whose rows are all exact, is sealed anew. A complete tile that was
        // thawed keeps its codes: rounding it twice would gain nothing.
        const bool complete = n >= (j + 1) * kTilePositions;
        if (!tile.thawed || !complete) unseal(j);
    }
    end_ = n;
    turn_begin_ = std::min(turn_begin_, n);
    if (answer_begin_ > n) answer_begin_ = turn_begin_;
    last_coarsening_ = std::min(last_coarsening_, n);
    let_go_of_unseen(newest_tile());
    release_exact_rows(newest_tile());
    trim();
    return exact;
}

// Restores the exact rows of a tile, in all layers and heads that hold it, from what is left of them.
void TileCache::thaw(int64_t index) {
    const int d = shape_.head_dim;
    for (int layer = 0; layer < shape_.n_layers; ++layer)
        for (int head = 0; head < shape_.n_kv_heads && group_of(layer).holds(index); ++head)
            for (const TileSide side : kTileSides) {
                float* rows = const_cast<float*>(exact_rows(side, index, layer, head));
                decode_tile(side, sealed_rows(side, index, layer, head), d, rows);
                if (index == 0) std::copy_n(sink_rows(side, layer, head), kSinkPositions * d, rows);
            }
    tiles_[size_t(index)].thawed = true;
}

Status TileCache::set_memory(KvPreset preset, uint64_t budget_bytes, const Kernels& kernels, ThreadPool& pool) {
    if (const auto refused = refuse_budget(budget_bytes))
        return Error{refused->code, refused->message + ". The budget stays as it was"};
    if (const Status fits = check_head(shape_, preset, budget_bytes); !fits) return fits.error();
    const int64_t newest = newest_tile();
    const auto policy = plan(preset, budget_bytes, newest);
    if (!policy) return policy.error();
    preset_ = preset;
    budget_bytes_ = budget_bytes;
    if (budget_bytes > 0) answer_begin_ = turn_begin_;
    const std::vector<Tier> before = sealed_tiers(newest);
    const Status applied = apply(*policy, newest, kernels, pool);
    if (sealed_tiers(newest) != before) last_coarsening_ = end_;
    trim();
    return applied;
}

// ---- what it reports

KvStats TileCache::stats() const {
    KvStats stats;
    KvOptions options;
    options.preset = preset_;
    options.budget_bytes = budget_bytes_;
    options.guarded_layers = guarded_layers_;
    options.visible_window = visible_window_;
    stats.policy = options.policy();
    stats.positions = end_;
    describe_shape(shape_, stats);
    stats.budget_bytes = budget_bytes_;
    stats.least_budget_bytes = least_budget_bytes();
    for (const TileGroup& group : groups_) {
        stats.spare_bytes += group.free_bytes();
        if (group.window() > 0) stats.windowed_bytes = group.allocated_bytes() - group.free_bytes();
    }

    const uint64_t sinks = sink_bytes();
    const int64_t newest = newest_tile();
    const auto add = [&](Tier tier, int64_t first, int64_t end, uint64_t bytes) {
        if (!stats.tiers.empty() && stats.tiers.back().name == tier_name(tier) &&
            stats.tiers.back().first + stats.tiers.back().positions == first && first != kSinkPositions) {
            stats.tiers.back().positions += end - first;
            stats.tiers.back().bytes += bytes;
            return;
        }
        const auto bits = [&](TileSide side) {
            if (tier == Tier::exact) return 32.0;
            const double guarded = side == TileSide::keys ? double(guarded_layers_.size()) / shape_.n_layers : 0;
            const double header = 8.0 * tile_header_bytes(shape_.head_dim) / (kTilePositions * shape_.head_dim);
            return (1 - guarded) * bits_of_side(side, tier) + guarded * 8 + header;
        };
        stats.tiers.push_back(
            {tier_name(tier), first, end - first, bits(TileSide::keys), bits(TileSide::values), bytes});
    };
    if (tiles_.empty()) {
        add(Tier::exact, 0, 0, sinks);
    } else if (seen_sealed(0, newest)) {
        add(Tier::exact, 0, kSinkPositions, sinks);
    }
    for (int64_t j = 0; j <= newest; ++j) {
        const Tile& tile = tiles_[size_t(j)];
        const int64_t end = std::min((j + 1) * kTilePositions, end_);
        const bool sealed = seen_sealed(j, newest);
        const int64_t first = j == 0 && sealed ? kSinkPositions : j * kTilePositions;
        // The form that queries see; what is kept beside it, or for the turn only, is apart.
        uint64_t seen = record_bytes();
        for (const TileGroup& group : groups_) {
            const uint64_t exact_bytes = group.exact_bytes(j), sealed_bytes = group.sealed_bytes(j, tile.tier);
            const uint64_t shown = j < group.first_visible(newest) ? 0 : sealed ? sealed_bytes : exact_bytes;
            seen += shown;
            stats.kept_bytes += exact_bytes + sealed_bytes - shown;
        }
        if (sealed) {
            add(tile.tier, first, end, seen);
        } else {
            add(Tier::exact, first, std::max(first, end), seen + (j == 0 ? sinks : 0));
            if (tile.thawed) stats.thawed_positions += end - j * kTilePositions;
        }
    }
    for (const KvTier& tier : stats.tiers) stats.bytes += tier.bytes;
    stats.bytes += stats.kept_bytes + stats.spare_bytes;
    return stats;
}

uint64_t TileCache::scratch_bytes() const {
    uint64_t bytes = 0;
    for (const Scratch& scratch : scratch_) bytes += scratch.rows.size() * sizeof(float) + scratch.codes.size();
    for (const TileGroup& group : groups_) bytes += group.noted_bytes_in_all();
    return bytes;
}

void TileCache::keep_line_bytes() {
    for (TileGroup& group : groups_) group.keep_line_bytes();
    for (int64_t tile = 0; tile <= newest_tile(); ++tile) note_line_bytes(tile);
}

void TileCache::note_line_bytes(int64_t tile) {
    for (TileGroup& group : groups_) group.note_line_bytes(tile, tiles_[size_t(tile)].tier);
}

// ---- snapshot

namespace {

Error damaged(const std::string& what) {
    return {ErrorCode::corrupt_file, "the snapshot is damaged: " + what + ". Nothing was changed"};
}

// Reads `bytes` bytes into `to`.
Status read_into(ByteReader& in, void* to, uint64_t bytes) {
    const auto from = in.bytes(bytes);
    if (!from) return damaged("it ends before its last tile");
    if (bytes > 0) std::memcpy(to, from->data(), bytes);
    return Done{};
}

bool all_finite(const float* values, size_t n) {
    for (size_t i = 0; i < n; ++i)
        if ((bits_of(values[i]) & 0x7f800000) == 0x7f800000) return false;
    return true;
}

constexpr const char* kNoRoom = "the snapshot needs more memory than there is. Nothing was changed; close other tabs";
constexpr int kHasExact = 1, kIsSealed = 2, kIsThawed = 4, kIsHeld = 8;  // the last one: of each group

}  // namespace

// Rows that are not written yet are left out, and zero when read.
void TileCache::save(ByteWriter& out) const {
    out.number(uint32_t(preset_));
    out.number(budget_bytes_);
    out.number(uint32_t(visible_window_));
    out.number(uint32_t(guarded_layers_.size()));
    for (const int layer : guarded_layers_) out.number(uint32_t(layer));
    out.number(end_);
    out.number(turn_begin_);
    out.number(answer_begin_);
    out.number(last_coarsening_);
    const size_t d = size_t(shape_.head_dim), n_rows = size_t(2 * n_heads_in_all());
    out.bytes(sinks_.get(), n_rows * kSinkPositions * d * sizeof(float));
    out.number(uint32_t(tiles_.size()));
    for (size_t j = 0; j < tiles_.size(); ++j) {
        const Tile& tile = tiles_[j];
        int flags = (tile.exact ? kHasExact : 0) | (tile.sealed ? kIsSealed : 0) | (tile.thawed ? kIsThawed : 0);
        for (size_t g = 0; g < groups_.size(); ++g) flags |= groups_[g].holds(int64_t(j)) ? kIsHeld << g : 0;
        out.number(uint8_t(flags));
        out.number(uint8_t(tile.tier));
        const size_t written = size_t(std::clamp<int64_t>(end_ - int64_t(j) * kTilePositions, 0, kTilePositions));
        for (const TileGroup& group : groups_) {
            if (!group.holds(int64_t(j))) continue;
            if (tile.exact)
                for (float* rows : group.all_exact_rows(int64_t(j))) out.bytes(rows, written * d * sizeof(float));
            if (tile.sealed)
                for (const auto part : group.sealed_parts(int64_t(j), tile.tier)) out.bytes(part.data(), part.size());
        }
    }
}

Result<std::unique_ptr<TileCache>> TileCache::restore(const KvShape& shape, ByteReader& in) {
    const auto preset = in.read<uint32_t>();
    const auto budget = in.read<uint64_t>();
    const auto visible = in.read<uint32_t>();
    const auto n_guarded = in.read<uint32_t>();
    if (!n_guarded) return damaged("it ends before its settings");
    if (*preset >= std::size(kKvPresets) || *visible > 1u << 30 || int64_t(*n_guarded) > shape.n_layers)
        return damaged("its settings make no sense");
    KvOptions options;
    options.preset = KvPreset(*preset);
    options.budget_bytes = *budget;
    options.visible_window = int(*visible);
    for (uint32_t i = 0; i < *n_guarded; ++i) {
        const auto layer = in.read<uint32_t>();
        if (!layer) return damaged("it ends before its settings");
        options.guarded_layers.push_back(int(std::min(*layer, 1u << 30)));
    }
    const auto end = in.read<int64_t>(), turn_begin = in.read<int64_t>(), answer_begin = in.read<int64_t>(),
               coarsening = in.read<int64_t>();
    if (!coarsening) return damaged("it ends before its settings");
    constexpr int64_t kMost = int64_t(1) << 40;
    const bool answer_fits = *answer_begin == *turn_begin || (*budget == 0 && *answer_begin > *turn_begin);
    if (*end < 0 || *end > kMost || *turn_begin < 0 || *turn_begin > *end || !answer_fits || *answer_begin > kMost ||
        *coarsening < 0 || *coarsening > *end)
        return damaged("its positions make no sense");

    auto created = create(shape, options);
    if (!created)
        return created.error().code == ErrorCode::out_of_memory ? created.error() : damaged(created.error().message);
    std::unique_ptr<TileCache> cache = std::move(*created);
    const size_t d = size_t(shape.head_dim), n_rows = size_t(2 * cache->n_heads_in_all());
    if (const Status sinks = read_into(in, cache->sinks_.get(), n_rows * kSinkPositions * d * sizeof(float)); !sinks)
        return sinks.error();
    if (!all_finite(cache->sinks_.get(), n_rows * kSinkPositions * d)) return damaged("an exact value is no number");
    const auto n_tiles = in.read<uint32_t>();
    if (!n_tiles) return damaged("it ends before its first tile");
    // A tile may be reserved beyond the last position, and each takes at least two bytes.
    if (int64_t(*n_tiles) < tiles_for(*end) || int64_t(*n_tiles) > *end / kTilePositions + 1 ||
        *n_tiles > in.remaining() / 2)
        return damaged("its number of tiles does not fit its " + std::to_string(*end) + " tokens");
    // Records of tiles that nothing is held of are larger than what they were read from.
    const uint64_t records = *n_tiles * 2 * cache->record_bytes();
    if (records > uint64_t(PTRDIFF_MAX) || !std::unique_ptr<uint8_t[]>(new (std::nothrow) uint8_t[size_t(records)]))
        return Error{ErrorCode::out_of_memory, kNoRoom};
    cache->end_ = *end;
    cache->turn_begin_ = *turn_begin;
    cache->answer_begin_ = *answer_begin;
    cache->last_coarsening_ = *coarsening;
    const int64_t newest = int64_t(*n_tiles) - 1;
    for (uint32_t j = 0; j < *n_tiles; ++j) {
        if (const Status read = cache->restore_tile(j, newest, in); !read) return read.error();
    }
    return cache;
}

Status TileCache::restore_tile(int64_t index, int64_t newest, ByteReader& in) {
    const auto flags = in.read<uint8_t>(), tier = in.read<uint8_t>();
    const std::string name = "tile " + std::to_string(index);
    if (!tier) return damaged("it ends before " + name);
    const bool exact = *flags & kHasExact, sealed = *flags & kIsSealed, thawed = *flags & kIsThawed;
    const bool in_window = index > newest - kExactTiles;
    if (*flags >= kIsHeld << groups_.size() || *tier >= kTiers || (*tier > 0) != sealed ||
        (!exact && (!sealed || in_window)) || (thawed && !exact))
        return damaged(name + " has an impossible state");
    tiles_.push_back({Tier(*tier), exact, sealed, thawed});
    const Error out_of_memory{ErrorCode::out_of_memory, kNoRoom};
    const size_t d = size_t(shape_.head_dim);
    const size_t written = size_t(std::clamp<int64_t>(end_ - index * kTilePositions, 0, kTilePositions));
    for (size_t g = 0; g < groups_.size(); ++g) {
        TileGroup& group = groups_[g];
        group.resize(index + 1);
        if ((*flags & kIsHeld << g) == 0) {
            if (index < group.first_visible(newest)) continue;
            return damaged("layers that see " + name + " have nothing of it");
        }
        if (exact && !group.take_exact(index)) return out_of_memory;
        if (sealed && !group.take_pages(index, Tier(*tier))) return out_of_memory;
        if (exact)
            for (float* rows : group.all_exact_rows(index)) {
                std::fill_n(rows + written * d, (kTilePositions - written) * d, 0.0f);
                if (const Status read = read_into(in, rows, written * d * sizeof(float)); !read) return read.error();
                if (!all_finite(rows, written * d)) return damaged("an exact value of " + name + " is no number");
            }
        if (!sealed) continue;
        for (const auto part : group.sealed_parts(index, Tier(*tier)))
            if (const Status read = read_into(in, part.data(), part.size()); !read) return read.error();
    }
    return Done{};
}

}  // namespace strata
