// Byte-pair merging: as long as two neighbours can be merged, the pair of the lowest rank is, and of equals the
// leftmost. A heap of candidates keeps that at n log n, also for a "word" of a million letters.
#pragma once
#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

#include "engine/base/check.h"

namespace strata {

// A stretch of the word that has become (or may become) one token.
struct Symbol {
    uint32_t begin, length;  // bytes of the word
    int token;               // -1: no token has this text
};

struct Merge {
    static constexpr uint32_t kImpossible = ~uint32_t{0};

    uint32_t rank = kImpossible;
    int token = -1;  // what the two become
};

// Keeps its memory from word to word.
class Merger {
public:
    // Merges `symbols` (those of one word, in order) in place. find_merge(left, right) returns a Merge.
    template <class FindMerge>
    void run(std::vector<Symbol>& symbols, const FindMerge& find_merge) {
        start(symbols, find_merge);
        while (!candidates_.empty()) {
            const uint64_t best = pop();
            const auto rank = static_cast<uint32_t>(best >> 32);
            const auto left = static_cast<uint32_t>(best);
            if (nodes_[left].merge.rank != rank) continue;  // one of the two has been merged with another since
            absorb_right(left);
            update(left, find_merge);
            if (nodes_[left].previous != kNone) update(nodes_[left].previous, find_merge);
        }
        symbols.clear();
        for (uint32_t i = nodes_.empty() ? kNone : 0; i != kNone; i = nodes_[i].next)
            symbols.push_back(nodes_[i].symbol);
    }

private:
    static constexpr uint32_t kNone = ~uint32_t{0};

    struct Node {
        Symbol symbol;
        uint32_t previous, next;
        Merge merge;  // with the next one
    };

    template <class FindMerge>
    void start(const std::vector<Symbol>& symbols, const FindMerge& find_merge) {
        CHECK(symbols.size() < kNone);
        const auto n = static_cast<uint32_t>(symbols.size());
        nodes_.clear();
        candidates_.clear();
        for (uint32_t i = 0; i < n; ++i) {
            const Merge merge = i + 1 < n ? find_merge(symbols[i], symbols[i + 1]) : Merge{};
            nodes_.push_back({symbols[i], i - 1, i + 1 < n ? i + 1 : kNone, merge});  // 0 - 1 is kNone
            if (merge.rank != Merge::kImpossible) candidates_.push_back(candidate(merge.rank, i));
        }
        std::make_heap(candidates_.begin(), candidates_.end(), std::greater<>());
    }

    static uint64_t candidate(uint32_t rank, uint32_t left) { return uint64_t{rank} << 32 | left; }

    uint64_t pop() {
        std::pop_heap(candidates_.begin(), candidates_.end(), std::greater<>());
        const uint64_t best = candidates_.back();
        candidates_.pop_back();
        return best;
    }

    void absorb_right(uint32_t left) {
        Node& node = nodes_[left];
        Node& right = nodes_[node.next];
        node.symbol.length += right.symbol.length;
        node.symbol.token = node.merge.token;
        node.next = right.next;
        if (node.next != kNone) nodes_[node.next].previous = left;
        right.merge = {};  // its candidates are void
    }

    // Finds anew whether a node merges with its next one.
    template <class FindMerge>
    void update(uint32_t left, const FindMerge& find_merge) {
        Node& node = nodes_[left];
        node.merge = node.next != kNone ? find_merge(node.symbol, nodes_[node.next].symbol) : Merge{};
        if (node.merge.rank == Merge::kImpossible) return;
        candidates_.push_back(candidate(node.merge.rank, left));
        std::push_heap(candidates_.begin(), candidates_.end(), std::greater<>());
    }

    std::vector<Node> nodes_;
    std::vector<uint64_t> candidates_;  // a heap, the best on top: rank << 32 | left node
};

}  // namespace strata
