#include "engine/kv/tile_cache.h"

#include <algorithm>
#include <cstring>

#include "engine/base/bits.h"

namespace strata {

namespace {

int64_t tiles_for(int64_t positions) { return (positions + kTilePositions - 1) / kTilePositions; }

size_t side_index(TileSide side) { return side == TileSide::values ? 1 : 0; }
constexpr TileSide kSides[] = {TileSide::keys, TileSide::values};

int bits_of_side(TileSide side, Tier tier) { return side == TileSide::keys ? key_bits(tier) : value_bits(tier); }

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
      page_layer_(size_t(shape.n_layers)),
      exact_pool_(size_t(2 * n_heads_in_all()) * kTilePositions * size_t(shape.head_dim) * sizeof(float)),
      header_pool_(headers_bytes() +
                   options.guarded_layers.size() * size_t(shape.n_kv_heads * kTilePositions * shape.head_dim)),
      key_pool_(size_t((n_heads_in_all() - int(options.guarded_layers.size()) * shape.n_kv_heads) *
                       tile_page_bytes(shape.head_dim))),
      value_pool_(size_t(n_heads_in_all() * tile_page_bytes(shape.head_dim))) {
    int next = 0;
    for (int layer = 0; layer < shape.n_layers; ++layer) {
        const bool guarded = std::binary_search(guarded_layers_.begin(), guarded_layers_.end(), layer);
        page_layer_[size_t(layer)] = guarded ? -1 : next++;
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

// What a budget must hold before any sealed tile: the window, the exact rows kept for the last turn, the sinks.
uint64_t TileCache::fixed_bytes() const { return 2 * kExactTiles * (slab_bytes() + sizeof(Tile)) + sink_bytes(); }

std::optional<Error> TileCache::refuse_budget(uint64_t budget_bytes) const {
    if (budget_bytes == 0 || budget_bytes >= least_budget_bytes()) return std::nullopt;
    return Error{ErrorCode::invalid_argument, "a memory budget of " + mib(budget_bytes) +
                                                  " is too small: the exact window of this model takes " +
                                                  mib(least_budget_bytes())};
}

std::array<uint64_t, kTiers> TileCache::tile_bytes() const {
    std::array<uint64_t, kTiers> bytes{};
    bytes[0] = slab_bytes() + sizeof(Tile);
    for (int tier = 1; tier < kTiers; ++tier)
        bytes[size_t(tier)] = header_pool_.page_bytes() + uint64_t(key_bits(Tier(tier))) * key_pool_.page_bytes() +
                              uint64_t(value_bits(Tier(tier))) * value_pool_.page_bytes() + sizeof(Tile);
    return bytes;
}

uint64_t TileCache::allocated_bytes() const {
    uint64_t bytes = sink_bytes() + tiles_.size() * sizeof(Tile);
    for (const PagePool* pool : pools_of(*this)) bytes += pool->bytes();
    return bytes;
}

// The sealed form of a tile, as it is.
uint64_t TileCache::tile_allocation(const Tile& tile) const {
    return tile.sealed() ? tile_bytes()[size_t(tile.tier)] : 0;
}

// ---- addresses

size_t TileCache::head_index(TileSide side, int layer, int head) const {
    return (side_index(side) * size_t(shape_.n_layers) + size_t(layer)) * size_t(shape_.n_kv_heads) + size_t(head);
}

float* TileCache::exact_rows(TileSide side, Tile& tile, int layer, int head) const {
    const size_t values = head_index(side, layer, head) * kTilePositions * size_t(shape_.head_dim);
    return reinterpret_cast<float*>(tile.exact.get()) + values;
}

const float* TileCache::exact_rows(TileSide side, int64_t tile, int layer, int head) const {
    return exact_rows(side, const_cast<Tile&>(tiles_[size_t(tile)]), layer, head);
}

const float* TileCache::sink_rows(TileSide side, int layer, int head) const {
    return sinks_.get() + head_index(side, layer, head) * kSinkPositions * size_t(shape_.head_dim);
}

int64_t TileCache::page_offset(TileSide side, int layer, int head) const {
    const int row = side == TileSide::keys ? page_layer_[size_t(layer)] : layer;
    return row < 0 ? -1 : (int64_t(row) * shape_.n_kv_heads + head) * tile_page_bytes(shape_.head_dim);
}

TileView TileCache::view(TileSide side, const Tile& tile, int layer, int head) const {
    TileView view{};
    const size_t header =
        (size_t(layer * shape_.n_kv_heads + head) * 2 + side_index(side)) * size_t(tile_header_bytes(shape_.head_dim));
    view.header = tile.header.get() + header;
    const int64_t offset = page_offset(side, layer, head);
    if (offset < 0) {
        const auto index =
            std::lower_bound(guarded_layers_.begin(), guarded_layers_.end(), layer) - guarded_layers_.begin();
        const uint8_t* rows =
            tile.header.get() + headers_bytes() + (index * shape_.n_kv_heads + head) * kTilePositions * shape_.head_dim;
        view.bits = 8;
        for (int i = 0; i < tile_pages(8); ++i) view.pages[i] = rows + i * tile_page_bytes(shape_.head_dim);
        return view;
    }
    view.bits = bits_of_side(side, tile.tier);
    for (int i = 0; i < tile_pages(view.bits); ++i) view.pages[i] = tile.pages[side_index(side)][i].get() + offset;
    return view;
}

TileView TileCache::sealed_rows(TileSide side, int64_t tile, int layer, int head) const {
    return view(side, tiles_[size_t(tile)], layer, head);
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
    Tile fresh;
    fresh.exact = exact_pool_.take();
    if (!fresh.exact)
        return Error{ErrorCode::out_of_memory,
                     "the memory of this conversation cannot grow beyond " + std::to_string(end_) +
                         " tokens: the next 64 need " + mib(slab_bytes()) +
                         ". Nothing was lost; set a memory budget, choose a smaller preset or close other tabs"};
    tiles_.push_back(std::move(fresh));
    return Done{};
}

std::vector<Tier> TileCache::sealed_tiers(int64_t newest_tile) const {
    std::vector<Tier> tiers;
    for (int64_t j = 0; j <= newest_tile - kExactTiles; ++j) {
        const Tile& tile = tiles_[size_t(j)];
        tiers.push_back(tile.sealed() ? tile.tier : Tier::exact);
    }
    return tiers;
}

// The tiers of all tiles once `newest_tile` is the newest, or why there are none.
Result<TierPolicy> TileCache::plan(KvPreset preset, uint64_t budget_bytes, int64_t newest_tile) const {
    const Tier finest = finest_tier(preset);
    if (budget_bytes == 0) return TierPolicy(finest);
    const std::vector<Tier> tiers = sealed_tiers(newest_tile);
    const auto bytes = tile_bytes();
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
    for (int64_t j = 0; j <= youngest; ++j) {
        Tile& tile = tiles_[size_t(j)];
        const Tier now = tile.sealed() ? tile.tier : Tier::exact;
        const Tier wanted = coarser(now, policy.tier_at(youngest - j));
        if (wanted == now) continue;
        if (j < youngest) last_coarsening_ = end_;
        if (tile.sealed())
            demote(j, wanted, pool);
        else if (const Status sealed = seal(j, wanted, kernels, pool); !sealed)
            return sealed.error();
    }
    release_exact_rows(newest_tile);
    if (budget_bytes_ > 0 && allocated_bytes() + slab_bytes() > budget_bytes_) trim();
    return Done{};
}

// Pages for a tile at a tier; false when memory is out, and then it has none.
bool TileCache::take_pages(Tile& tile, Tier tier) {
    tile.header = header_pool_.take();
    bool complete = tile.header != nullptr;
    for (const TileSide side : kSides)
        for (int i = 0; i < tile_pages(bits_of_side(side, tier)) && complete; ++i) {
            Page& page = tile.pages[side_index(side)][i];
            page = pool_of(side).take();
            complete = page != nullptr;
        }
    if (!complete) unseal(tile);
    return complete;
}

template <class Fn>
void TileCache::for_each_head(ThreadPool& pool, Fn&& fn) const {
    pool.for_rows(2 * n_heads_in_all(), 1, [&](int64_t begin, int64_t end, int thread) {
        for (int64_t i = begin; i < end; ++i)
            fn(kSides[i % 2], int(i / 2) / shape_.n_kv_heads, int(i / 2) % shape_.n_kv_heads, thread);
    });
}

Status TileCache::seal(int64_t index, Tier tier, const Kernels& kernels, ThreadPool& pool) {
    Tile& tile = tiles_[size_t(index)];
    if (!take_pages(tile, tier))
        return Error{ErrorCode::out_of_memory, "memory is out: " + mib(tile_bytes()[size_t(tier)]) +
                                                   " are needed to compress the oldest exact tokens. Nothing was lost; "
                                                   "choose a smaller preset or close other tabs"};
    tile.tier = tier;
    const int d = shape_.head_dim, masked = masked_rows(index);
    const size_t values = size_t(kTilePositions) * size_t(d);
    if (int(scratch_.size()) < pool.threads())
        scratch_.resize(size_t(pool.threads()), {std::vector<float>(values), std::vector<uint8_t>(values)});
    for_each_head(pool, [&](TileSide side, int layer, int head, int thread) {
        Scratch& scratch = scratch_[size_t(thread)];
        const TileView to = view(side, tile, layer, head);
        const float* rows = exact_rows(side, tile, layer, head);
        uint8_t* header = const_cast<uint8_t*>(to.header);
        if (to.bits == 8)
            encode_tile_8bit(rows, d, masked, header, reinterpret_cast<int8_t*>(scratch.codes.data()));
        else
            kernels.encode_tile(rows, d, masked, scratch.rows.data(), header, scratch.codes.data());
        pack_tile(side, scratch.codes.data(), d, to.bits, const_cast<uint8_t* const*>(to.pages));
    });
    return Done{};
}

void TileCache::demote(int64_t index, Tier tier, ThreadPool& pool) {
    Tile& tile = tiles_[size_t(index)];
    for_each_head(pool, [&](TileSide side, int layer, int head, int) {
        const TileView from = view(side, tile, layer, head);
        const int to_bits = bits_of_side(side, tier);
        if (from.bits == 8 || from.bits == to_bits) return;
        demote_tile(side, const_cast<uint8_t* const*>(from.pages), shape_.head_dim, from.bits, to_bits);
    });
    for (const TileSide side : kSides)
        for (int i = tile_pages(bits_of_side(side, tier)); i < tile_pages(bits_of_side(side, tile.tier)); ++i)
            pool_of(side).give_back(std::move(tile.pages[side_index(side)][i]));
    tile.tier = tier;
}

void TileCache::unseal(Tile& tile) {
    header_pool_.give_back(std::move(tile.header));
    for (const TileSide side : kSides)
        for (Page& page : tile.pages[side_index(side)]) pool_of(side).give_back(std::move(page));
    tile.tier = Tier::exact;
}

bool TileCache::keeps_for_turn(int64_t tile) const {
    return tile >= first_exact_tile(turn_begin_) && tile <= turn_begin_ / kTilePositions;
}

// Exact rows of sealed tiles are held only in the window and for the last turn.
void TileCache::release_exact_rows(int64_t newest_tile) {
    for (int64_t j = 0; j <= newest_tile - kExactTiles; ++j) {
        Tile& tile = tiles_[size_t(j)];
        if (!tile.sealed() || !tile.exact || keeps_for_turn(j)) continue;
        exact_pool_.give_back(std::move(tile.exact));
        tile.thawed = false;
    }
}

void TileCache::trim() {
    for (PagePool* pool : pools_of(*this)) pool->trim();
}

void TileCache::write(int layer, int head, int n, const float* k, const float* v) {
    const size_t d = size_t(shape_.head_dim), stride = d * size_t(shape_.n_kv_heads);
    Tile& tile = tiles_[size_t(end_ / kTilePositions)];
    const float* rows[] = {k, v};
    for (const TileSide side : kSides) {
        const float* x = rows[side_index(side)] + size_t(head) * d;
        float* to = exact_rows(side, tile, layer, head);
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
    turn_begin_ = end_;
    release_exact_rows(int64_t(tiles_.size()) - 1);
}

std::optional<int64_t> TileCache::exact_start(int64_t n) const {
    const auto exact_at = [&](int64_t position) {
        for (int64_t j = first_exact_tile(position); j < tiles_for(position); ++j)
            if (!tiles_[size_t(j)].exact || tiles_[size_t(j)].thawed) return false;
        return true;
    };
    if (exact_at(n)) return n;
    if (turn_begin_ < n && exact_at(turn_begin_)) return turn_begin_;
    return std::nullopt;
}

Result<bool> TileCache::truncate(int64_t n) {
    if (n >= end_) return true;
    const int64_t first = first_exact_tile(n), tiles = tiles_for(n);
    std::vector<Page> slabs;
    for (int64_t j = first; j < tiles; ++j)
        if (!tiles_[size_t(j)].exact) {
            slabs.push_back(exact_pool_.take());
            if (slabs.back()) continue;
            for (Page& slab : slabs) exact_pool_.give_back(std::move(slab));
            return Error{ErrorCode::out_of_memory, "going back to token " + std::to_string(n) + " needs " +
                                                       mib(slab_bytes()) +
                                                       " more than there is. Nothing was changed; close other tabs"};
        }
    for (int64_t j = tiles; j < int64_t(tiles_.size()); ++j) {
        unseal(tiles_[size_t(j)]);
        exact_pool_.give_back(std::move(tiles_[size_t(j)].exact));
    }
    tiles_.resize(size_t(tiles));
    bool exact = last_coarsening_ <= n;
    for (int64_t j = first; j < tiles; ++j) {
        Tile& tile = tiles_[size_t(j)];
        if (!tile.exact) {
            tile.exact = std::move(slabs.back());
            slabs.pop_back();
            thaw(j);
        }
        exact = exact && !tile.thawed;
        // A tile that goes on to be written, or whose rows are all exact, is sealed anew. A complete tile that was
        // thawed keeps its codes: rounding it twice would gain nothing.
        const bool complete = n >= (j + 1) * kTilePositions;
        if (!tile.thawed || !complete) unseal(tile);
    }
    end_ = n;
    turn_begin_ = std::min(turn_begin_, n);
    last_coarsening_ = std::min(last_coarsening_, n);
    release_exact_rows(int64_t(tiles_.size()) - 1);
    trim();
    return exact;
}

// Restores the exact rows of a tile, in all layers and heads, from what is left of them.
void TileCache::thaw(int64_t index) {
    Tile& tile = tiles_[size_t(index)];
    const int d = shape_.head_dim;
    for (int layer = 0; layer < shape_.n_layers; ++layer)
        for (int head = 0; head < shape_.n_kv_heads; ++head)
            for (const TileSide side : kSides) {
                float* rows = exact_rows(side, tile, layer, head);
                decode_tile(side, view(side, tile, layer, head), d, rows);
                if (index == 0) std::copy_n(sink_rows(side, layer, head), kSinkPositions * d, rows);
            }
    tile.thawed = true;
}

Status TileCache::set_memory(KvPreset preset, uint64_t budget_bytes, const Kernels& kernels, ThreadPool& pool) {
    if (const auto refused = refuse_budget(budget_bytes))
        return Error{refused->code, refused->message + ". The budget stays as it was"};
    if (const Status fits = check_head(shape_, preset, budget_bytes); !fits) return fits.error();
    const int64_t newest = int64_t(tiles_.size()) - 1;
    const auto policy = plan(preset, budget_bytes, newest);
    if (!policy) return policy.error();
    preset_ = preset;
    budget_bytes_ = budget_bytes;
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
    const uint64_t values = uint64_t(2 * n_heads_in_all()) * uint64_t(shape_.head_dim);
    stats.bytes_fp16 = values * 2 * uint64_t(end_);
    stats.bytes_fp32 = values * 4 * uint64_t(end_);
    stats.budget_bytes = budget_bytes_;
    stats.least_budget_bytes = least_budget_bytes();
    for (const PagePool* pool : pools_of(*this)) stats.spare_bytes += pool->free_bytes();

    const uint64_t sinks = sink_bytes();
    const int64_t newest = int64_t(tiles_.size()) - 1;
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
        const uint64_t exact_bytes = (tile.exact ? slab_bytes() : 0) + (sealed ? 0 : sizeof(Tile));
        if (sealed) {
            add(tile.tier, first, end, tile_allocation(tile));
            stats.kept_bytes += exact_bytes;
        } else {
            add(Tier::exact, first, std::max(first, end), exact_bytes + (j == 0 ? sinks : 0));
            // A thawed tile's codes are kept beside its rows.
            if (tile.sealed()) stats.kept_bytes += tile_allocation(tile) - sizeof(Tile);
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
    return bytes;
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

constexpr uint8_t kHasExact = 1, kIsSealed = 2, kIsThawed = 4;

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
    out.number(last_coarsening_);
    const size_t d = size_t(shape_.head_dim), n_rows = size_t(2 * n_heads_in_all());
    out.bytes(sinks_.get(), n_rows * kSinkPositions * d * sizeof(float));
    out.number(uint32_t(tiles_.size()));
    for (size_t j = 0; j < tiles_.size(); ++j) {
        const Tile& tile = tiles_[j];
        out.number(
            uint8_t((tile.exact ? kHasExact : 0) | (tile.sealed() ? kIsSealed : 0) | (tile.thawed ? kIsThawed : 0)));
        out.number(uint8_t(tile.tier));
        if (tile.exact) {
            const size_t written = size_t(std::clamp<int64_t>(end_ - int64_t(j) * kTilePositions, 0, kTilePositions));
            for (size_t row = 0; row < n_rows; ++row)
                out.bytes(tile.exact.get() + row * kTilePositions * d * sizeof(float), written * d * sizeof(float));
        }
        if (!tile.sealed()) continue;
        out.bytes(tile.header.get(), header_pool_.page_bytes());
        for (int i = 0; i < tile_pages(key_bits(tile.tier)); ++i)
            out.bytes(tile.pages[0][i].get(), key_pool_.page_bytes());
        for (int i = 0; i < tile_pages(value_bits(tile.tier)); ++i)
            out.bytes(tile.pages[1][i].get(), value_pool_.page_bytes());
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
    const auto end = in.read<int64_t>(), turn_begin = in.read<int64_t>(), coarsening = in.read<int64_t>();
    if (!coarsening) return damaged("it ends before its settings");
    if (*end < 0 || *end > int64_t(1) << 40 || *turn_begin < 0 || *turn_begin > *end || *coarsening < 0 ||
        *coarsening > *end)
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
    // A tile may be reserved beyond the last position, and each takes more bytes than it has positions.
    if (int64_t(*n_tiles) < tiles_for(*end) || int64_t(*n_tiles) > tiles_for(*end) + 1 || *n_tiles > in.remaining())
        return damaged("its number of tiles does not fit its " + std::to_string(*end) + " tokens");
    cache->end_ = *end;
    cache->turn_begin_ = *turn_begin;
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
    if (*flags > 7 || *tier >= kTiers || (*tier > 0) != sealed || (!exact && (!sealed || in_window)) ||
        (thawed && !exact))
        return damaged(name + " has an impossible state");
    tiles_.emplace_back();
    Tile& tile = tiles_.back();
    const Error out_of_memory{ErrorCode::out_of_memory,
                              "the snapshot needs more memory than there is. Nothing was changed; close other tabs"};
    tile.thawed = thawed;
    const size_t d = size_t(shape_.head_dim), n_rows = size_t(2 * n_heads_in_all());
    if (exact) {
        tile.exact = exact_pool_.take();
        if (!tile.exact) return out_of_memory;
        std::memset(tile.exact.get(), 0, exact_pool_.page_bytes());
        const size_t written = size_t(std::clamp<int64_t>(end_ - index * kTilePositions, 0, kTilePositions));
        for (size_t row = 0; row < n_rows; ++row) {
            float* rows = reinterpret_cast<float*>(tile.exact.get()) + row * kTilePositions * d;
            if (const Status read = read_into(in, rows, written * d * sizeof(float)); !read) return read.error();
            if (!all_finite(rows, written * d)) return damaged("an exact value of " + name + " is no number");
        }
    }
    if (!sealed) return Done{};
    if (!take_pages(tile, Tier(*tier))) return out_of_memory;
    tile.tier = Tier(*tier);
    if (const Status read = read_into(in, tile.header.get(), header_pool_.page_bytes()); !read) return read.error();
    for (const TileSide side : kSides)
        for (int i = 0; i < tile_pages(bits_of_side(side, tile.tier)); ++i)
            if (const Status read = read_into(in, tile.pages[side_index(side)][i].get(), pool_of(side).page_bytes());
                !read)
                return read.error();
    return Done{};
}

}  // namespace strata
