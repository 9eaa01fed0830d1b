// Cuts text into the words that byte-level BPE merges within. Every family of models has its own rules, published as a
// regular expression; here they are written out by hand, because std::regex knows no Unicode and recurses per
// character.
#pragma once
#include <functional>
#include <string>
#include <string_view>

namespace strata {

struct PreTokenizer {
    enum class Grammar {
        // 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
        gpt2,
        // First every \p{N} alone, then gpt2 within what lies between.
        gpt2_digits,
        // (?i:'s|…|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
        llama3,
        // llama3 with \p{N} in place of \p{N}{1,3}.
        qwen2,
        // In turn, each within the pieces of the one before: [\r\n], \s?\p{L}+, \s?\p{P}+, Chinese and Japanese, \p{N}.
        deepseek_coder,
    };

    const char* name;  // as in tokenizer.ggml.pre
    Grammar grammar;
    bool whole_words;  // a word that is a token as a whole is not put together by merges
};

// nullptr for an unknown name.
const PreTokenizer* find_pre_tokenizer(std::string_view name);

// "gpt-2, mpt, …" for error messages.
std::string known_pre_tokenizers();

// Hands out every word, in order. Together they are the text. Invalid UTF-8 counts as symbols.
void for_each_word(PreTokenizer::Grammar grammar, std::string_view text,
                   const std::function<void(std::string_view word)>& use);

}  // namespace strata
