#include "engine/kv/tile_group.h"

#include <algorithm>
#include <cstring>

namespace strata {

namespace {

size_t side_index(TileSide side) { return side == TileSide::values ? 1 : 0; }

}  // namespace

TileGroup::TileGroup(const KvShape& shape, std::vector<int> layers, const std::vector<int>& guarded)
    : n_kv_heads_(shape.n_kv_heads),
      head_dim_(shape.head_dim),
      window_(shape.window_of(layers.at(0))),
      layers_(std::move(layers)),
      page_slices_(guarded.empty() ? n_heads_in_all() : n_kv_heads_),
      exact_pool_(size_t(2 * n_heads_in_all()) * kTilePositions * size_t(head_dim_) * sizeof(float)),
      header_pool_(headers_bytes() + guarded.size() * size_t(n_kv_heads_ * kTilePositions * head_dim_)),
      page_pool_(size_t(page_slices_ * tile_page_bytes(head_dim_))) {
    int keys = 0;
    for (const int layer : layers_) {
        keys_before_.push_back(keys);
        if (!std::binary_search(guarded.begin(), guarded.end(), layer)) keys += n_kv_heads_;
    }
    keys_before_.push_back(keys);
}

int TileGroup::pages_at(Tier tier) const {
    return (keys_before_.back() * key_bits(tier) + n_heads_in_all() * value_bits(tier)) / page_slices_;
}

std::span<TileGroup::Page> TileGroup::pages_of(const Part& part) const {
    return {part.pages.get(), size_t(pages_at(Tier::k4v4))};
}

int TileGroup::first_slice(TileSide side, int layer, int head, Tier tier) const {
    int keys = keys_before_[size_t(layer)];
    if (!is_guarded(layer)) keys += head + int(side_index(side));
    return keys * key_bits(tier) + (layer * n_kv_heads_ + head) * value_bits(tier);
}

uint8_t* TileGroup::slice(const Part& part, int index) const {
    return part.pages[size_t(index / page_slices_)].get() + index % page_slices_ * tile_page_bytes(head_dim_);
}

template <class Fn>
void TileGroup::for_each_run(Tier a, Tier b, Fn&& fn) const {
    for (int layer = 0; layer < int(layers_.size()); ++layer)
        for (int head = 0; head < n_kv_heads_; ++head)
            for (const TileSide side : kTileSides)
                if (side == TileSide::values || !is_guarded(layer))
                    fn(first_slice(side, layer, head, a), first_slice(side, layer, head, b), bits_of_side(side, b));
}

void TileGroup::resize(int64_t n_tiles) {
    for (int64_t tile = n_tiles; tile < int64_t(parts_.size()); ++tile) let_go(tile);
    const size_t before = parts_.size();
    parts_.resize(size_t(n_tiles));
    line_bytes_.resize(std::min(line_bytes_.size(), size_t(n_tiles + kTilesNoted - 1) / kTilesNoted));
    for (size_t tile = before; tile < parts_.size(); ++tile)
        parts_[tile].pages = std::make_unique<Page[]>(size_t(pages_at(Tier::k4v4)));
}

bool TileGroup::take_exact(int64_t tile) {
    Page& exact = parts_[size_t(tile)].exact;
    exact = exact_pool_.take();
    return exact != nullptr;
}

bool TileGroup::take_pages(int64_t tile, Tier tier) {
    Part& part = parts_[size_t(tile)];
    part.header = header_pool_.take();
    bool complete = part.header != nullptr;
    for (int i = 0; i < pages_at(tier) && complete; ++i) {
        part.pages[size_t(i)] = page_pool_.take();
        complete = part.pages[size_t(i)] != nullptr;
    }
    if (!complete) give_back_pages(tile);
    return complete;
}

void TileGroup::give_back_pages(int64_t tile) {
    if (uint8_t* noted = noted_with(tile)) noted[tile % kTilesNoted] = 0;
    Part& part = parts_[size_t(tile)];
    header_pool_.give_back(std::move(part.header));
    for (Page& page : pages_of(part)) page_pool_.give_back(std::move(page));
}

void TileGroup::close_ranks(int64_t tile, Tier from, Tier to) {
    if (!part(tile).header) return;
    for_each_run(from, to, [&](int was, int is, int bits) {
        for (int i = 0; i < bits && was != is; ++i)
            std::memcpy(slice(part(tile), is + i), slice(part(tile), was + i), size_t(tile_page_bytes(head_dim_)));
    });
    for (Page& page : pages_of(part(tile)).subspan(size_t(pages_at(to)))) page_pool_.give_back(std::move(page));
}

float* TileGroup::exact_rows(TileSide side, int64_t tile, int layer, int head) const {
    const size_t index = (side_index(side) * layers_.size() + size_t(layer)) * size_t(n_kv_heads_) + size_t(head);
    return reinterpret_cast<float*>(part(tile).exact.get()) + index * kTilePositions * size_t(head_dim_);
}

void TileGroup::view(int64_t tile, int layer, int head, Tier tier, TileView& keys, TileView& values) const {
    const Part& part = this->part(tile);
    const int page_bytes = tile_page_bytes(head_dim_), header_bytes = tile_header_bytes(head_dim_);
    keys.header = part.header.get() + size_t(layer * n_kv_heads_ + head) * 2 * size_t(header_bytes);
    values.header = keys.header + header_bytes;
    keys.bits = is_guarded(layer) ? 8 : key_bits(tier);
    values.bits = value_bits(tier);
    keys.line_bytes = line_bytes(tile, layer, head);
    values.line_bytes = keys.line_bytes ? keys.line_bytes + tile_lines(keys.bits, head_dim_) : nullptr;
    // The slices of the values follow those of the keys.
    const int first = first_slice(TileSide::keys, layer, head, tier);
    const Page* page = &part.pages[size_t(first / page_slices_)];
    int left = page_slices_ - first % page_slices_;
    const uint8_t* slice = page->get() + (page_slices_ - left) * page_bytes;
    const auto add_pages = [&](TileView& view) {
        for (int i = 0; i < tile_pages(view.bits); ++i, --left, slice += page_bytes) {
            if (left == 0) left = page_slices_, slice = (++page)->get();
            view.pages[i] = slice;
        }
    };
    if (is_guarded(layer)) {
        const int64_t row = int64_t(layer * n_kv_heads_ - keys_before_[size_t(layer)] + head) * kTilePositions;
        const uint8_t* rows = part.header.get() + headers_bytes() + row * head_dim_;
        for (int i = 0; i < tile_pages(8); ++i) keys.pages[i] = rows + i * page_bytes;
    } else {
        add_pages(keys);
    }
    add_pages(values);
}

uint8_t* TileGroup::line_bytes(int64_t tile, int layer, int head) const {
    uint8_t* noted = noted_with(tile);
    if (noted == nullptr || !noted[tile % kTilesNoted]) return nullptr;
    const int64_t before = int64_t(layer * n_kv_heads_ + head) * kTilesNoted + tile % kTilesNoted;
    return noted + kTilesNoted + before * lines_of_head();
}

void TileGroup::note_line_bytes(int64_t tile, Tier tier) {
    if (!keeps_line_bytes_ || !part(tile).header) return;
    const size_t of = size_t(tile / kTilesNoted);
    if (of >= line_bytes_.size()) line_bytes_.resize(of + 1);
    if (!line_bytes_[of]) line_bytes_[of].reset(new (std::nothrow) uint8_t[noted_bytes()]());
    if (!line_bytes_[of]) return;
    line_bytes_[of][size_t(tile % kTilesNoted)] = 1;
    for (int layer = 0; layer < int(layers_.size()); ++layer)
        for (int head = 0; head < n_kv_heads_; ++head) {
            TileView keys, values;
            view(tile, layer, head, tier, keys, values);
            uint8_t* to = line_bytes(tile, layer, head);
            for (const TileView* side : {&keys, &values})
                for (int page = 0; page < tile_pages(side->bits); ++page)
                    for (int i = 0; i < tile_page_lines(head_dim_); ++i) *to++ = side->pages[page][i * kLineBytes];
        }
}

uint64_t TileGroup::noted_bytes_in_all() const {
    return noted_bytes() * uint64_t(std::count_if(line_bytes_.begin(), line_bytes_.end(), [](auto& p) { return !!p; }));
}

uint64_t TileGroup::sealed_bytes(Tier tier) const {
    return header_pool_.page_bytes() + uint64_t(pages_at(tier)) * page_pool_.page_bytes();
}

uint64_t TileGroup::record_bytes() const { return sizeof(Part) + uint64_t(pages_at(Tier::k4v4)) * sizeof(Page); }

uint64_t TileGroup::allocated_bytes() const {
    uint64_t bytes = 0;
    for (const PagePool* pool : pools_of(*this)) bytes += pool->bytes();
    return bytes;
}

uint64_t TileGroup::free_bytes() const {
    uint64_t bytes = 0;
    for (const PagePool* pool : pools_of(*this)) bytes += pool->free_bytes();
    return bytes;
}

void TileGroup::trim() {
    for (PagePool* pool : pools_of(*this)) pool->trim();
}

std::vector<float*> TileGroup::all_exact_rows(int64_t tile) const {
    std::vector<float*> rows;
    for (const TileSide side : kTileSides)
        for (int layer = 0; layer < int(layers_.size()); ++layer)
            for (int head = 0; head < n_kv_heads_; ++head) rows.push_back(exact_rows(side, tile, layer, head));
    return rows;
}

std::vector<std::span<uint8_t>> TileGroup::sealed_parts(int64_t tile, Tier tier) const {
    const Part& part = this->part(tile);
    std::vector<std::span<uint8_t>> parts{{part.header.get(), header_pool_.page_bytes()}};
    for (const TileSide side : kTileSides)
        for (int i = 0; i < tile_pages(bits_of_side(side, tier)); ++i)
            for (int layer = 0; layer < int(layers_.size()); ++layer)
                for (int head = 0; head < n_kv_heads_; ++head)
                    if (side == TileSide::values || !is_guarded(layer))
                        parts.emplace_back(slice(part, first_slice(side, layer, head, tier) + i),
                                           tile_page_bytes(head_dim_));
    return parts;
}

}  // namespace strata
