// A hash table of indices into an array that lives elsewhere: open addressing, four bytes a slot.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/base/check.h"

namespace strata {

class IndexTable {
public:
    static constexpr uint32_t kNone = ~uint32_t{0};

    // For up to `capacity` entries.
    explicit IndexTable(size_t capacity) : capacity_(capacity) {
        size_t slots = 4;
        while (slots < capacity + capacity / 2) slots *= 2;
        slots_.assign(slots, kNone);
    }

    // The index inserted under `hash` for which same(index) holds, or kNone.
    template <class Same>
    uint32_t find(uint64_t hash, const Same& same) const {
        for (size_t slot = first_slot(hash);; slot = next_slot(slot)) {
            if (slots_[slot] == kNone || same(slots_[slot])) return slots_[slot];
        }
    }

    // The caller has made sure that an equal entry is not there yet.
    void insert(uint64_t hash, uint32_t index) {
        CHECK(index != kNone && size_ < capacity_);
        size_t slot = first_slot(hash);
        while (slots_[slot] != kNone) slot = next_slot(slot);
        slots_[slot] = index;
        ++size_;
    }

private:
    size_t first_slot(uint64_t hash) const {
        hash *= 0x9E3779B97F4A7C15;  // spreads the low bits over the high ones (Fibonacci hashing)
        return (hash ^ hash >> 32) & (slots_.size() - 1);
    }
    size_t next_slot(size_t slot) const { return (slot + 1) & (slots_.size() - 1); }

    size_t capacity_;
    size_t size_ = 0;
    std::vector<uint32_t> slots_;
};

}  // namespace strata
