#include "engine/kv/tile_group.h"

#include <algorithm>

namespace strata {

namespace {

size_t side_index(TileSide side) { return side == TileSide::values ? 1 : 0; }

}  // namespace

TileGroup::TileGroup(const KvShape& shape, std::vector<int> layers, const std::vector<int>& guarded)
    : n_kv_heads_(shape.n_kv_heads),
      head_dim_(shape.head_dim),
      window_(shape.window_of(layers.at(0))),
      layers_(std::move(layers)),
      n_guarded_(int(guarded.size())),
      exact_pool_(size_t(2 * n_heads_in_all()) * kTilePositions * size_t(head_dim_) * sizeof(float)),
      header_pool_(headers_bytes() + size_t(n_guarded_ * n_kv_heads_ * kTilePositions * head_dim_)),
      key_pool_(size_t((n_heads_in_all() - n_guarded_ * n_kv_heads_) * tile_page_bytes(head_dim_))),
      value_pool_(size_t(n_heads_in_all() * tile_page_bytes(head_dim_))) {
    int in_pages = 0, among_guarded = 0;
    for (const int layer : layers_)
        place_.push_back(std::binary_search(guarded.begin(), guarded.end(), layer) ? -1 - among_guarded++ : in_pages++);
}

void TileGroup::resize(int64_t n_tiles) {
    for (int64_t tile = n_tiles; tile < int64_t(parts_.size()); ++tile) let_go(tile);
    parts_.resize(size_t(n_tiles));
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
    for (const TileSide side : kTileSides)
        for (int i = 0; i < tile_pages(bits_of_side(side, tier)) && complete; ++i) {
            Page& page = part.pages[side_index(side)][i];
            page = pool_of(side).take();
            complete = page != nullptr;
        }
    if (!complete) give_back_pages(tile);
    return complete;
}

void TileGroup::give_back_pages(int64_t tile) {
    Part& part = parts_[size_t(tile)];
    header_pool_.give_back(std::move(part.header));
    for (const TileSide side : kTileSides)
        for (Page& page : part.pages[side_index(side)]) pool_of(side).give_back(std::move(page));
}

void TileGroup::keep_pages(int64_t tile, Tier tier) {
    for (const TileSide side : kTileSides) {
        const auto pages = std::span(parts_[size_t(tile)].pages[side_index(side)]);
        for (Page& page : pages.subspan(size_t(tile_pages(bits_of_side(side, tier)))))
            pool_of(side).give_back(std::move(page));
    }
}

float* TileGroup::exact_rows(TileSide side, int64_t tile, int layer, int head) const {
    const size_t index = (side_index(side) * layers_.size() + size_t(layer)) * size_t(n_kv_heads_) + size_t(head);
    return reinterpret_cast<float*>(part(tile).exact.get()) + index * kTilePositions * size_t(head_dim_);
}

TileView TileGroup::view(TileSide side, int64_t tile, int layer, int head, Tier tier) const {
    const Part& part = this->part(tile);
    TileView view{};
    view.header = part.header.get() +
                  (size_t(layer * n_kv_heads_ + head) * 2 + side_index(side)) * size_t(tile_header_bytes(head_dim_));
    const int place = side == TileSide::keys ? place_[size_t(layer)] : layer;
    if (place < 0) {
        const int64_t row = (int64_t(-1 - place) * n_kv_heads_ + head) * kTilePositions;
        const uint8_t* rows = part.header.get() + headers_bytes() + row * head_dim_;
        view.bits = 8;
        for (int i = 0; i < tile_pages(8); ++i) view.pages[i] = rows + i * tile_page_bytes(head_dim_);
        return view;
    }
    const int64_t offset = (int64_t(place) * n_kv_heads_ + head) * tile_page_bytes(head_dim_);
    view.bits = bits_of_side(side, tier);
    for (int i = 0; i < tile_pages(view.bits); ++i) view.pages[i] = part.pages[side_index(side)][i].get() + offset;
    return view;
}

uint64_t TileGroup::sealed_bytes(Tier tier) const {
    return header_pool_.page_bytes() + uint64_t(key_bits(tier)) * key_pool_.page_bytes() +
           uint64_t(value_bits(tier)) * value_pool_.page_bytes();
}

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

std::vector<std::span<uint8_t>> TileGroup::sealed_pages(int64_t tile, Tier tier) const {
    const Part& part = this->part(tile);
    std::vector<std::span<uint8_t>> pages{{part.header.get(), header_pool_.page_bytes()}};
    for (int i = 0; i < tile_pages(key_bits(tier)); ++i)
        pages.emplace_back(part.pages[0][i].get(), key_pool_.page_bytes());
    for (int i = 0; i < tile_pages(value_bits(tier)); ++i)
        pages.emplace_back(part.pages[1][i].get(), value_pool_.page_bytes());
    return pages;
}

}  // namespace strata
