#include "engine/tokenizer/sentence_piece.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>

#include "engine/tokenizer/token_kinds.h"
#include "engine/tokenizer/unicode.h"

namespace strata {
namespace {

constexpr std::string_view kSpace = "\xE2\x96\x81";  // U+2581, "▁"

std::string byte_token_text(int byte) {
    char text[8];
    std::snprintf(text, sizeof text, "<0x%02X>", byte);
    return text;
}

// The byte that "<0x0A>" spells; -1 for any other text.
int spelt_byte(std::string_view text) {
    if (text.size() != 6 || text.substr(0, 3) != "<0x" || text[5] != '>') return -1;
    int byte = 0;
    for (const char c : text.substr(3, 2)) {
        const size_t digit = std::string_view("0123456789ABCDEF").find(c);
        if (digit == std::string_view::npos) return -1;
        byte = byte * 16 + static_cast<int>(digit);
    }
    return byte;
}

std::vector<uint32_t> ranks_of(const std::vector<float>& scores) {
    std::vector<float> best_first = scores;
    std::sort(best_first.begin(), best_first.end(), std::greater<>());
    best_first.erase(std::unique(best_first.begin(), best_first.end()), best_first.end());
    std::vector<uint32_t> ranks;
    ranks.reserve(scores.size());
    for (const float score : scores) {
        const auto place = std::lower_bound(best_first.begin(), best_first.end(), score, std::greater<>());
        ranks.push_back(static_cast<uint32_t>(place - best_first.begin()));
    }
    return ranks;
}

std::string with_visible_spaces(std::string_view text) {
    std::string visible;
    visible.reserve(text.size() + text.size() / 2);
    for (const char c : text) {
        if (c == ' ') {
            visible += kSpace;
        } else {
            visible += c;
        }
    }
    return visible;
}

// The end of the word that starts at `at`: where a "▁" follows another character.
size_t word_end(std::string_view text, size_t at) {
    while (text.substr(at, kSpace.size()) == kSpace) at += kSpace.size();
    return std::min(text.find(kSpace, at), text.size());
}

}  // namespace

Result<SentencePiece> SentencePiece::open(const Vocabulary& vocabulary, const TokenIndex& index, int fallback) {
    if (vocabulary.scores.size() != vocabulary.tokens.size()) {
        return Error{ErrorCode::corrupt_file, "the vocabulary has " + std::to_string(vocabulary.tokens.size()) +
                                                  " tokens but " + std::to_string(vocabulary.scores.size()) +
                                                  " scores (tokenizer.ggml.scores); a llama tokenizer needs one each"};
    }
    for (size_t id = 0; id < vocabulary.scores.size(); ++id) {
        if (std::isnan(vocabulary.scores[id])) {
            return Error{ErrorCode::corrupt_file,
                         "the score of token " + std::to_string(id) + " (tokenizer.ggml.scores) is not a number"};
        }
    }
    return SentencePiece(vocabulary, index, fallback);
}

SentencePiece::SentencePiece(const Vocabulary& vocabulary, const TokenIndex& index, int fallback)
    : vocabulary_(&vocabulary), index_(&index), fallback_(fallback), ranks_(ranks_of(vocabulary.scores)) {
    for (int byte = 0; byte < 256; ++byte) {
        const int id = index.find(byte_token_text(byte));
        byte_tokens_[byte] = id >= 0 && is_without_text(kind_of(vocabulary, id)) ? -1 : id;
    }
    for (const std::string_view token : vocabulary.tokens) {
        longest_token_ = std::max(longest_token_, token.size());
        if (word_end(token, 0) < token.size()) spaces_start_words_ = false;
    }
}

// The token that this text can become by merging, or -1. "<0x0A>" in a text is text, not a byte.
int SentencePiece::find_text(std::string_view text) const {
    if (text.size() > longest_token_) return -1;
    const int id = index_->find(text);
    if (id < 0) return -1;
    const TokenKind kind = kind_of(*vocabulary_, id);
    return is_without_text(kind) || kind == TokenKind::byte ? -1 : id;
}

void SentencePiece::spell(std::string_view character, std::vector<int>& ids) const {
    const auto token = [&](char byte) { return byte_tokens_[static_cast<uint8_t>(byte)]; };
    if (std::all_of(character.begin(), character.end(), [&](char byte) { return token(byte) >= 0; })) {
        for (const char byte : character) ids.push_back(token(byte));
    } else if (fallback_ >= 0) {
        ids.push_back(fallback_);
    }
}

void SentencePiece::encode_word(std::string_view word, Merger& merger, std::vector<Symbol>& symbols,
                                std::vector<int>& ids) const {
    symbols.clear();
    for (size_t at = 0; at < word.size();) {
        const auto length = static_cast<size_t>(decode_utf8(word, at).length);
        symbols.push_back(
            {static_cast<uint32_t>(at), static_cast<uint32_t>(length), find_text(word.substr(at, length))});
        at += length;
    }
    merger.run(symbols, [&](const Symbol& left, const Symbol& right) {
        const int id = find_text(word.substr(left.begin, left.length + right.length));
        return id < 0 ? Merge{} : Merge{ranks_[id], id};
    });
    for (const Symbol& symbol : symbols) {
        if (symbol.token >= 0) {
            ids.push_back(symbol.token);
        } else {
            spell(word.substr(symbol.begin, symbol.length), ids);
        }
    }
}

void SentencePiece::encode(std::string_view text, std::vector<int>& ids) const {
    std::string visible = with_visible_spaces(text);
    if (vocabulary_->add_space_prefix) visible.insert(0, kSpace);
    Merger merger;
    std::vector<Symbol> symbols;
    const std::string_view rest = visible;
    for (size_t begin = 0; begin < rest.size();) {
        // No merge crosses the start of a word if no token does: cutting there changes nothing and keeps heaps small.
        const size_t end = spaces_start_words_ ? word_end(rest, begin) : rest.size();
        encode_word(rest.substr(begin, end - begin), merger, symbols, ids);
        begin = end;
    }
}

std::string SentencePiece::piece(int id) const {
    const std::string_view token = vocabulary_->tokens[id];
    if (kind_of(*vocabulary_, id) == TokenKind::byte) {
        if (const int byte = spelt_byte(token); byte >= 0) return std::string(1, static_cast<char>(byte));
    }
    std::string text;
    for (size_t at = 0; at < token.size();) {
        const bool is_space = token.substr(at, kSpace.size()) == kSpace;
        text += is_space ? ' ' : token[at];
        at += is_space ? kSpace.size() : 1;
    }
    return text;
}

}  // namespace strata
