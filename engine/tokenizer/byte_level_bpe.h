// Byte-level BPE ("gpt2"): a pre-tokenizer cuts the text into words; within a word, bytes are merged by rank.
// Sennrich et al. 2016 (arXiv:1508.07909), in the variant of GPT-2.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/tokenizer/merger.h"
#include "engine/tokenizer/pre_tokenizer.h"
#include "engine/tokenizer/token_index.h"
#include "engine/tokenizer/tokenizer.h"

namespace strata {

class ByteLevelBpe {
public:
    // `vocabulary` and `index` must outlive it. `fallback`: the token for a byte that has none, or -1 to leave it out.
    static Result<ByteLevelBpe> open(const Vocabulary& vocabulary, const TokenIndex& index, int fallback);

    void encode(std::string_view text, std::vector<int>& ids) const;
    std::string piece(int id) const;

private:
    // The pair of tokens that a merge of some rank joins, and what they become.
    struct RankedMerge {
        int left, right, merged;
    };

    ByteLevelBpe(const Vocabulary& vocabulary, const TokenIndex& index, const PreTokenizer& pre_tokenizer,
                 int fallback);
    Result<RankedMerge> resolve(std::string_view merge) const;
    Status read_merges();
    bool is_text(int id) const;
    Merge find_merge(const Symbol& left, const Symbol& right) const;
    int whole_word(std::string_view word) const;
    void encode_word(std::string_view word, Merger& merger, std::vector<Symbol>& symbols, std::vector<int>& ids) const;

    const Vocabulary* vocabulary_;
    const TokenIndex* index_;
    const PreTokenizer* pre_tokenizer_;
    int fallback_;
    std::array<int, 256> byte_tokens_;  // -1: the vocabulary has none
    std::vector<RankedMerge> merges_;   // by rank
    IndexTable merges_by_pair_;         // ranks
};

}  // namespace strata
