// Finds the tokens that are recognised in a text as they are written, before anything is merged.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace strata {

class SpecialIndex {
public:
    struct Entry {
        std::string_view text;  // not empty
        int id;
    };

    // Of two entries with the same text, the first counts.
    explicit SpecialIndex(std::vector<Entry> entries) : sorted_(std::move(entries)) {
        const auto before = [](const Entry& a, const Entry& b) { return a.text < b.text; };
        const auto same = [](const Entry& a, const Entry& b) { return a.text == b.text; };
        std::stable_sort(sorted_.begin(), sorted_.end(), before);
        sorted_.erase(std::unique(sorted_.begin(), sorted_.end(), same), sorted_.end());
        for (const Entry& entry : sorted_) is_first_byte_[static_cast<uint8_t>(entry.text[0])] = true;
    }

    // The longest entry that text[at…] begins with and that allowed(entry) lets through; nullptr if there is none.
    template <class Allowed>
    const Entry* longest_match(std::string_view text, size_t at, const Allowed& allowed) const {
        const Entry* longest = nullptr;
        if (!is_first_byte_[static_cast<uint8_t>(text[at])]) return longest;
        // Entries with a common beginning are neighbours; every byte of the text narrows the range.
        auto begin = sorted_.begin(), end = sorted_.end();
        for (size_t length = 1; at + length <= text.size() && begin != end; ++length) {
            const auto byte = static_cast<uint8_t>(text[at + length - 1]);
            const auto byte_of = [&](const Entry& entry) { return static_cast<uint8_t>(entry.text[length - 1]); };
            begin = std::partition_point(begin, end, [&](const Entry& entry) { return byte_of(entry) < byte; });
            end = std::partition_point(begin, end, [&](const Entry& entry) { return byte_of(entry) == byte; });
            if (begin == end || begin->text.size() > length) continue;
            if (allowed(*begin)) longest = &*begin;
            ++begin;  // longer entries come after the one that ends here
        }
        return longest;
    }

private:
    std::vector<Entry> sorted_;
    std::array<bool, 256> is_first_byte_{};
};

}  // namespace strata
