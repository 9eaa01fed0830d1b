// SentencePiece BPE ("llama"): spaces become "▁", and neighbours are merged as long as their union is a token, the one
// of the best score first. Characters without a token are spelt in bytes. Kudo and Richardson 2018 (arXiv:1808.06226).
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/tokenizer/merger.h"
#include "engine/tokenizer/token_index.h"
#include "engine/tokenizer/tokenizer.h"

namespace strata {

class SentencePiece {
public:
    // `vocabulary` and `index` must outlive it. `fallback`: the token for a character that has none and whose bytes
    // have none, or -1 to leave it out.
    static Result<SentencePiece> open(const Vocabulary& vocabulary, const TokenIndex& index, int fallback);

    // The text begins a conversation or follows a special token: where the file asks for a space in front, it gets one.
    void encode(std::string_view text, std::vector<int>& ids) const;
    std::string piece(int id) const;

private:
    SentencePiece(const Vocabulary& vocabulary, const TokenIndex& index, int fallback);
    int find_text(std::string_view text) const;
    void encode_word(std::string_view word, Merger& merger, std::vector<Symbol>& symbols, std::vector<int>& ids) const;
    void spell(std::string_view character, std::vector<int>& ids) const;

    const Vocabulary* vocabulary_;
    const TokenIndex* index_;
    int fallback_;
    std::vector<uint32_t> ranks_;       // (n_vocab): 0 is the best score, equal scores share a rank
    std::array<int, 256> byte_tokens_;  // -1: the vocabulary has none
    size_t longest_token_ = 0;          // bytes
    bool spaces_start_words_ = true;    // no token has a "▁" after another character
};

}  // namespace strata
