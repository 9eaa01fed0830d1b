// Cuts text into the words that byte-level BPE merges within. Every family of models has its own rules, published as
// regular expressions; here they are written out by hand, because std::regex knows no Unicode and recurses per
// character. Where llama.cpp's expression differs from the published one, llama.cpp's is followed.
#pragma once
#include <functional>
#include <string>
#include <string_view>

namespace strata {

struct PreTokenizer {
    // "A, then B": B cuts every piece that A leaves, matches and what lies between them alike.
    enum class Grammar {
        // 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
        gpt2,
        // \p{N}, then gpt2.
        gpt2_digits,
        // (?i:'s|…|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
        llama3,
        // \p{N}{1,3}, then llama3.
        minicpm5,
        // llama3 with \p{N} in place of \p{N}{1,3}.
        qwen2,
        // qwen2 with [\p{L}\p{M}] in place of \p{L}, and marks no symbols.
        qwen35,
        // qwen2 with ` ?[^\s\p{L}\p{N}\r\n]+` in place of ` ?[^\s\p{L}\p{N}]+[\r\n]*`.
        seed_coder,
        // Letters that are not a-z, then letters that are not A-Z; after them (?i:'s|…|'d)?; the rest as llama3, with
        // [\r\n/]* after symbols. (Published with \p{Lu} and \p{Ll}.)
        gpt4o,
        // gpt4o with \p{N} in place of \p{N}{1,3}, and contractions as any other text.
        tekken,
        // [\r\n], then \s?\p{L}+, then \s?\p{P}+, then Chinese, Japanese and Korean, then \p{N}.
        deepseek_coder,
        // [\r\n], then \s? and letters of alphabets with case, then \s? and punctuation, then \s+$, then Chinese,
        // Japanese and Korean, then \p{N}+.
        deepseek_llm,
        // \p{N}{1,3}, then Chinese and kana, then
        // [ASCII punctuation][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|
        // ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
        deepseek_v3,
        // [\p{P}$+<=>^~|`]+, then gpt2, then [0-9]{3}.
        falcon,
        // [\p{P}$+<=>^~|]+, then gpt2, then \p{N}+, then [0-9]{3}: what files that name "default" are read with.
        by_default,
        //  ?[^(\s|.,!?…。，、।۔،)]+
        bloom,
        // bloom, then \p{N}.
        viking,
        // \p{N}+, then between digits so that groups of three end where they do. All else is one word.
        superbpe,
    };

    const char* name;  // as in tokenizer.ggml.pre
    Grammar grammar;
    bool whole_words = false;  // a word that is a token as a whole is not put together by merges
    bool adds_bos = false;     // where the file does not say
};

// nullptr for an unknown name.
const PreTokenizer* find_pre_tokenizer(std::string_view name);

// "gpt-2, mpt, …" for error messages.
std::string known_pre_tokenizers();

// Hands out every word, in order. Together they are the text. Invalid UTF-8 counts as symbols.
void for_each_word(PreTokenizer::Grammar grammar, std::string_view text,
                   const std::function<void(std::string_view word)>& use);

}  // namespace strata
