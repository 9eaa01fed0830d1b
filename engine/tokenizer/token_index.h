// Finds a token by its text.
#pragma once
#include <functional>
#include <string_view>
#include <vector>

#include "engine/tokenizer/index_table.h"

namespace strata {

class TokenIndex {
public:
    // `tokens` must outlive the index. Of two tokens with the same text, the first is found.
    explicit TokenIndex(const std::vector<std::string_view>& tokens) : tokens_(&tokens), table_(tokens.size()) {
        for (size_t id = 0; id < tokens.size(); ++id) {
            if (find(tokens[id]) < 0) table_.insert(hash(tokens[id]), static_cast<uint32_t>(id));
        }
    }

    // -1: no token has this text.
    int find(std::string_view text) const {
        const auto same = [&](uint32_t id) { return (*tokens_)[id] == text; };
        return static_cast<int>(table_.find(hash(text), same));
    }

private:
    static uint64_t hash(std::string_view text) { return std::hash<std::string_view>{}(text); }

    const std::vector<std::string_view>* tokens_;
    IndexTable table_;
};

}  // namespace strata
