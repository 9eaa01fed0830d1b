// Text to token ids and back, from a vocabulary that a model file brings along: byte-level BPE with real merge ranks
// (GPT-2, Llama 3, Qwen, …) or SentencePiece BPE with byte fallback (Llama 2, …).
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace strata {

// Numbered as in GGUF (tokenizer.ggml.token_type).
enum class TokenKind : uint8_t {
    undefined = 0,
    normal = 1,
    unknown = 2,
    control = 3,
    user_defined = 4,
    unused = 5,
    byte = 6
};

// A vocabulary as the model file states it. The views must outlive the Tokenizer.
struct Vocabulary {
    std::string_view model;                          // "gpt2" (byte-level BPE) or "llama" (SentencePiece)
    std::string_view pre_tokenizer;                  // gpt2 only: "llama-bpe", "qwen2", …
    std::vector<std::string_view> tokens;            // (n_vocab)
    std::vector<float> scores;                       // (n_vocab), llama only
    std::vector<TokenKind> kinds;                    // (n_vocab), or empty: all normal
    std::vector<std::string_view> merges;            // "left right", best first; gpt2 only
    int bos = -1, eos = -1, eot = -1, unknown = -1;  // -1: the file names none
    std::vector<int> end_of_generation;              // further ids that end an answer, as far as the file names them
    std::vector<int> swallows_space;                 // special tokens that white space after them belongs to (Phi-3)
    bool add_bos = false, add_eos = false, add_space_prefix = true;
};

// Whether "<|im_end|>" in the text may become the control token. Text that a person typed must never.
enum class SpecialTokens { as_text, parse };

// A range of bytes of the text to encode, [begin, end).
struct ByteRange {
    size_t begin, end;
};

class Tokenizer {
public:
    // Fails with unsupported_tokenizer (names the model or pre-tokenizer and lists those known) or corrupt_file
    // (no tokens, ids outside the vocabulary, missing scores or merges, a merge of pieces that are no tokens).
    static Result<Tokenizer> open(Vocabulary vocabulary);

    Tokenizer(Tokenizer&&) noexcept;
    Tokenizer& operator=(Tokenizer&&) noexcept;
    ~Tokenizer();

    // The ids of `text`, which may hold any bytes; invalid UTF-8 is encoded byte by byte. A byte that the vocabulary
    // has no token for becomes the unknown token, or is left out where the file names none. BOS and EOS are not added
    // here: see `wants_bos`. User-defined tokens are always recognised; control tokens only with SpecialTokens::parse,
    // and never where they touch one of the `literal` ranges (ordered, disjoint): that is how a chat template and what
    // a person typed are encoded in one call.
    std::vector<int> encode(std::string_view text, SpecialTokens special = SpecialTokens::as_text,
                            std::span<const ByteRange> literal = {}) const;

    // The bytes that a token stands for; may be part of a UTF-8 sequence. Control and unknown tokens are empty unless
    // asked for. An id outside the vocabulary is empty. Where add_space_prefix put a space in front of the text, it is
    // part of what decode returns.
    std::string piece(int id, bool show_control = false) const;
    std::string decode(std::span<const int> ids, bool show_control = false) const;

    int size() const;  // n_vocab
    int bos() const;   // -1: none
    int eos() const;
    bool wants_bos() const;  // the file asks for BOS at the start of a conversation, and has one
    std::vector<int> with_bos(std::span<const int> ids) const;  // BOS before them if the model wants it
    bool is_end_of_generation(int id) const;                    // EOS, EOT and what else the file names
    bool is_control(int id) const;
    // The text of every token that SpecialTokens::parse would recognise, longest first.
    const std::vector<std::string>& special_texts() const;
    // The id of a token by its exact text in the vocabulary, or -1.
    int find(std::string_view token_text) const;

private:
    struct Impl;
    explicit Tokenizer(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

// Turns pieces of bytes into pieces of valid UTF-8: holds back an incomplete sequence until the rest arrives, and
// replaces what can never become valid by U+FFFD.
class Utf8Stream {
public:
    std::string push(std::string_view bytes);
    std::string finish();  // what is still held back, as U+FFFD

private:
    std::string held_;
};

}  // namespace strata
