// Fetching a tile while another one is computed, for any SimdBackend.
#pragma once
#include <cstdint>

#include "engine/formats/tile.h"
#include "engine/simd/backend.h"

namespace strata {

// The cache lines of the pages of a tile that is computed next. They are asked for a few at a time, between other
// instructions: a processor keeps only so many on their way, and waits when it is asked for more.
//
// WebAssembly has no instruction that asks for a line. There the first byte of it, which is known from elsewhere
// (TileView::line_bytes), is stored once more: a store changes nothing then, and is not waited for as a load is. Nobody
// else may write to the tile meanwhile. Where the bytes are not known, nothing is fetched.
template <SimdBackend S>
class LinesAhead {
public:
    // next: nullptr where there is none.
    LinesAhead(const TileView* next, int head_dim) {
        if (next == nullptr || (S::kFetchesByStoring && next->line_bytes == nullptr)) return;
        known_ = next->line_bytes;
        int page = 0;
        first_ = next->pages[0];
        first_lines_ = lines_ = piece_of(*next, head_dim, page);
        if (page == tile_pages(next->bits)) return;
        second_ = next->pages[page];
        lines_ += piece_of(*next, head_dim, page);
    }
    // How many there are.
    int lines() const { return lines_; }
    // Asks for lines [line, line + n), or some of them where pages do not lie side by side; for none beyond the last.
    // Memory answers soonest what is asked for in order.
    template <int n>
    [[gnu::always_inline]] void fetch(int line) const {
        if (line + n <= first_lines_)
            ask<n>(first_ + line * kLineBytes, line);
        else if (line >= first_lines_ && line + n <= lines_)
            ask<n>(second_ + (line - first_lines_) * kLineBytes, line);
    }

private:
    // How many lines lie behind one another from a page on, which moves to the first page that lies elsewhere.
    static int piece_of(const TileView& tile, int head_dim, int& page) {
        const int first = page, bytes = tile_page_bytes(head_dim);
        do ++page;
        while (page < tile_pages(tile.bits) && tile.pages[page] == tile.pages[page - 1] + bytes);
        return (page - first) * tile_page_lines(head_dim);
    }
    template <int n>
    [[gnu::always_inline]] void ask(const uint8_t* at, int line) const {
        [[maybe_unused]] const uint8_t* const known = known_;  // which no store can change
#pragma GCC unroll 8
        for (int i = 0; i < n; ++i) {
            if constexpr (S::kFetchesByStoring)
                S::store_again(at + i * kLineBytes, known[line + i]);
            else
                S::fetch_ahead(at + i * kLineBytes);
        }
    }

    // The pages lie in one or two pieces. (Where there are more, which is in tiny memories, the others are not
    // fetched.)
    const uint8_t *first_ = nullptr, *second_ = nullptr;
    const uint8_t* known_ = nullptr;  // the first byte of each line
    int first_lines_ = 0, lines_ = 0;
};

}  // namespace strata
