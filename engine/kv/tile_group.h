// Where tiles lie: exact rows and sealed pages of those layers of a model that see equally far back. What is kept how
// is TileCache's decision.
//
// All layers and heads of a tile change tiers together. The codes of a tile are one sequence of slices, each one page
// of engine/formats/tile.h: layer by layer, head by head, keys and then values, at the tier's bits. It lies in pages of
// one size, full to the last, so that what attention reads of a head is one piece (two where a page ends), and a
// demoted tile's pages serve any other.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "engine/formats/tile.h"
#include "engine/kv/kv_shape.h"
#include "engine/kv/page_pool.h"
#include "engine/kv/tier_policy.h"

namespace strata {

class TileGroup {
public:
    // `layers` of the shape; `guarded`: those among them whose sealed keys have 8 bits. Both ascending.
    TileGroup(const KvShape& shape, std::vector<int> layers, const std::vector<int>& guarded);

    const std::vector<int>& layers() const { return layers_; }
    int window() const { return window_; }
    // The oldest tile that a query of `tile` sees.
    int64_t first_visible(int64_t tile) const {
        return oldest_visible(window_, tile * kTilePositions) / kTilePositions;
    }

    // ---- tiles, each of them held (exact, sealed or both) or let go
    void resize(int64_t n_tiles);  // new ones hold nothing
    bool holds(int64_t tile) const { return part(tile).exact || part(tile).header; }
    void let_go(int64_t tile) {
        give_back_exact(tile);
        give_back_pages(tile);
    }
    bool take_exact(int64_t tile);  // false: memory is out
    void give_back_exact(int64_t tile) { exact_pool_.give_back(std::move(parts_[size_t(tile)].exact)); }
    bool take_pages(int64_t tile, Tier tier);  // false: memory is out, and nothing was taken
    void give_back_pages(int64_t tile);
    // Once all codes of a tile have lost bits (demote_tile): moves what is left together, and gives back the other
    // pages.
    void close_ranks(int64_t tile, Tier from, Tier to);

    // ---- addresses; `layer`: index among layers()
    float* exact_rows(TileSide side, int64_t tile, int layer, int head) const;  // (64, head_dim)
    // Where the sealed keys and values of a head lie.
    void view(int64_t tile, int layer, int head, Tier tier, TileView& keys, TileView& values) const;

    // From now on views tell the first byte of each of their lines (TileView::line_bytes), which note_line_bytes()
    // must take down whenever the codes of a tile have changed. Where memory is out they tell none.
    void keep_line_bytes() { keeps_line_bytes_ = true; }
    void note_line_bytes(int64_t tile, Tier tier);
    uint64_t noted_bytes_in_all() const;  // allocated

    // ---- bytes
    uint64_t exact_bytes() const { return exact_pool_.page_bytes(); }  // of a tile
    uint64_t sealed_bytes(Tier tier) const;                            // of a tile; tier: not exact
    uint64_t exact_bytes(int64_t tile) const { return part(tile).exact ? exact_bytes() : 0; }
    uint64_t sealed_bytes(int64_t tile, Tier tier) const { return part(tile).header ? sealed_bytes(tier) : 0; }
    uint64_t record_bytes() const;     // of a tile, whatever it holds
    uint64_t allocated_bytes() const;  // pages, free ones included
    uint64_t free_bytes() const;
    void trim();

    // The forms of a tile in the order in which they are saved.
    std::vector<float*> all_exact_rows(int64_t tile) const;  // (64, head_dim) each
    std::vector<std::span<uint8_t>> sealed_parts(int64_t tile, Tier tier) const;

private:
    using Page = PagePool::Page;
    struct Part {
        Page exact;                     // floats (2 sides, n_layers, n_kv_heads, 64, head_dim); empty: not held
        Page header;                    // (n_layers, n_kv_heads, 2 sides, header), then the keys of guarded layers:
                                        // (guarded layers, n_kv_heads, 64, head_dim); empty: not sealed
        std::unique_ptr<Page[]> pages;  // (pages_at(Tier::k4v4)): pages_at(tier) of slices
    };

    const Part& part(int64_t tile) const { return parts_[size_t(tile)]; }
    int n_heads_in_all() const { return int(layers_.size()) * n_kv_heads_; }
    bool is_guarded(int layer) const { return keys_before_[size_t(layer)] == keys_before_[size_t(layer) + 1]; }
    size_t headers_bytes() const { return size_t(2 * n_heads_in_all() * tile_header_bytes(head_dim_)); }
    // Of both sides of a head's tile.
    int lines_of_head() const { return tile_lines(has_guarded() ? 8 : 4, head_dim_) + tile_lines(4, head_dim_); }
    bool has_guarded() const { return keys_before_.back() != n_heads_in_all(); }
    // Of the tiles that are noted together with one: first whether each of them is noted. nullptr: there are none.
    uint8_t* noted_with(int64_t tile) const {
        const size_t of = size_t(tile / kTilesNoted);
        return of < line_bytes_.size() ? line_bytes_[of].get() : nullptr;
    }
    uint8_t* line_bytes(int64_t tile, int layer, int head) const;  // nullptr: not noted
    size_t noted_bytes() const { return size_t(kTilesNoted + n_heads_in_all() * kTilesNoted * lines_of_head()); }
    int pages_at(Tier tier) const;
    std::span<Page> pages_of(const Part& part) const;
    // The first slice of the keys (none, of guarded layers) or the values of a head.
    int first_slice(TileSide side, int layer, int head, Tier tier) const;
    uint8_t* slice(const Part& part, int index) const;
    // fn(first slice at tier `a`, first slice at tier `b`, bits at tier `b`), of all keys and values in order.
    template <class Fn>
    void for_each_run(Tier a, Tier b, Fn&& fn) const;
    template <class Group>  // const or not
    static auto pools_of(Group& g) {
        return std::array{&g.exact_pool_, &g.header_pool_, &g.page_pool_};
    }

    int n_kv_heads_, head_dim_, window_;
    std::vector<int> layers_;
    std::vector<int> keys_before_;  // (n_layers + 1): how many heads of the layers before have keys in pages
    int page_slices_;               // so many that they fill pages at every tier
    PagePool exact_pool_, header_pool_, page_pool_;
    std::vector<Part> parts_;
    // Of tiles that are read one after the other, side by side: (tiles / kTilesNoted), each (kTilesNoted), whether they
    // are noted, and (n_layers, n_kv_heads, kTilesNoted, lines_of_head()).
    static constexpr int kTilesNoted = 4;
    bool keeps_line_bytes_ = false;
    std::vector<std::unique_ptr<uint8_t[]>> line_bytes_;
};

// Of keep_line_bytes(), without guarded layers.
constexpr double line_bytes_per_token(const KvShape& shape) {
    return double(shape.n_layers * shape.n_kv_heads * 2 * tile_lines(4, shape.head_dim)) / kTilePositions;
}

}  // namespace strata
