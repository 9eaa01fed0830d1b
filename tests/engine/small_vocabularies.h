// Vocabularies small enough to reason about, for tests and fuzzing.
#pragma once
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/tokenizer/byte_level.h"
#include "engine/tokenizer/tokenizer.h"

namespace strata {

// Every byte, some merges, a control token (id 0) and a user-defined one.
struct SmallBpe {
    std::vector<std::string> texts;
    std::vector<std::string> merges;
    Vocabulary vocabulary;

    explicit SmallBpe(std::string_view pre_tokenizer = "gpt-2", std::vector<std::string> more_merges = {}) {
        texts = {"<|end|>", "[tag]"};
        for (int byte = 0; byte < 256; ++byte) texts.push_back(to_byte_level(std::string(1, static_cast<char>(byte))));
        merges = {"a a", "a b", "aa a", "b c", "ab c"};
        merges.insert(merges.end(), more_merges.begin(), more_merges.end());
        for (const std::string& merge : merges) texts.push_back(std::string(merge).erase(merge.find(' '), 1));
        vocabulary.model = "gpt2";
        vocabulary.pre_tokenizer = pre_tokenizer;
        vocabulary.tokens.assign(texts.begin(), texts.end());
        vocabulary.merges.assign(merges.begin(), merges.end());
        vocabulary.kinds.assign(texts.size(), TokenKind::normal);
        vocabulary.kinds[0] = TokenKind::control;
        vocabulary.kinds[1] = TokenKind::user_defined;
        vocabulary.eos = 0;
    }
    SmallBpe(const SmallBpe&) = delete;

    Tokenizer open() const {
        auto tokenizer = Tokenizer::open(vocabulary);
        CHECK(tokenizer);
        return std::move(*tokenizer);
    }
};

// <unk>, <s>, </s>, the bytes, and a few pieces with scores.
struct SmallSentencePiece {
    std::vector<std::string> texts = {"<unk>", "<s>", "</s>"};
    Vocabulary vocabulary;

    explicit SmallSentencePiece(const std::vector<std::pair<std::string, float>>& pieces, bool bytes = true) {
        vocabulary.kinds = {TokenKind::unknown, TokenKind::control, TokenKind::control};
        vocabulary.scores = {0, 0, 0};
        for (int byte = 0; bytes && byte < 256; ++byte) {
            char text[8];
            std::snprintf(text, sizeof text, "<0x%02X>", byte);
            add(text, 0, TokenKind::byte);
        }
        for (const auto& [text, score] : pieces) add(text, score, TokenKind::normal);
        vocabulary.model = "llama";
        vocabulary.tokens.assign(texts.begin(), texts.end());
        vocabulary.unknown = 0;
        vocabulary.bos = 1;
        vocabulary.eos = 2;
        vocabulary.add_bos = true;
    }
    SmallSentencePiece(const SmallSentencePiece&) = delete;

    void add(const std::string& text, float score, TokenKind kind) {
        texts.push_back(text);
        vocabulary.scores.push_back(score);
        vocabulary.kinds.push_back(kind);
    }
    Tokenizer open() const {
        auto tokenizer = Tokenizer::open(vocabulary);
        CHECK(tokenizer);
        return std::move(*tokenizer);
    }
};

}  // namespace strata
