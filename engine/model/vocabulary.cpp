// The tokenizer of a model file, from its tokenizer.ggml.* metadata.
#include <algorithm>
#include <array>
#include <limits>

#include "engine/model/model.h"
#include "engine/tokenizer/pre_tokenizer.h"

namespace strata {
namespace {

// Tokens that end an answer, by their text: most files name only one of theirs. Each counts only where it is a control
// token in the file's own vocabulary; see restore_control_tokens.
constexpr std::string_view kEndTexts[] = {
    "<|im_end|>",             // ChatML: Qwen, SmolLM
    "<|eot_id|>",             // Llama 3, end of turn
    "<|eom_id|>",             // Llama 3, end of message
    "<|end_of_text|>",        // Llama 3, Granite
    "<|end|>",                // Phi-3
    "<|endoftext|>",          // GPT-2, StarCoder, Qwen
    "<end_of_turn>",          // Gemma
    "<eos>",                  // Gemma
    "<end_of_utterance>",     // SmolVLM
    "<｜end▁of▁sentence｜>",  // DeepSeek
    "<EOT>",                  // Code Llama
    "</s>",                   // Llama 2, Mistral
    "<|fim_pad|>",            // code models, from here on: the end of a file
    "<fim_pad>",
    "<|repo_name|>",
    "<|file_sep|>",
};

bool is_control(const Vocabulary& vocabulary, size_t id) {
    return !vocabulary.kinds.empty() && vocabulary.kinds[id] == TokenKind::control;
}

// The id of the control or unknown token with this text, or -1.
int find_special(const Vocabulary& vocabulary, std::string_view text) {
    for (size_t id = 0; id < vocabulary.kinds.size(); ++id) {
        const TokenKind kind = vocabulary.kinds[id];
        if (kind != TokenKind::control && kind != TokenKind::unknown) continue;
        if (vocabulary.tokens[id] == text) return static_cast<int>(id);
    }
    return -1;
}

// The id under `key`, or `otherwise` where the file has no such key. Tokenizer::open checks that it exists.
int read_id(const GgufFile& file, std::string_view key, int otherwise) {
    const auto id = file.unsigned_integer(key);
    if (!id) return otherwise;
    return static_cast<int>(std::min<uint64_t>(*id, std::numeric_limits<int>::max()));
}

// One for each of `n_tokens`, or none where the file says nothing.
Result<std::vector<TokenKind>> read_kinds(const GgufFile& file, size_t n_tokens) {
    constexpr const char* kKey = "tokenizer.ggml.token_type";
    std::vector<TokenKind> kinds;
    if (file.find(kKey) == nullptr) return kinds;
    const auto numbers = file.integers(kKey);
    if (!numbers || numbers->size() != n_tokens) {
        return Error{ErrorCode::corrupt_file, std::string(kKey) + " is " + GgufFile::to_text(*file.find(kKey)) +
                                                  ", where " + std::to_string(n_tokens) +
                                                  " integers were expected, one for each token"};
    }
    for (const int64_t number : *numbers) {
        const bool is_known = number >= 0 && number <= static_cast<int64_t>(TokenKind::byte);
        kinds.push_back(is_known ? static_cast<TokenKind>(number) : TokenKind::undefined);
    }
    return kinds;
}

// Floats, or in some files integers; none where the file says nothing.
std::vector<float> read_scores(const GgufFile& file) {
    constexpr const char* kKey = "tokenizer.ggml.scores";
    if (auto scores = file.floats(kKey)) return std::move(*scores);
    const auto integers = file.integers(kKey).value_or(std::vector<int64_t>{});
    return {integers.begin(), integers.end()};
}

// Some files have chat markers as ordinary or user-defined tokens (Phi-3: </s>). As such, a person could type them, or
// a template could not write them; llama.cpp takes them for control tokens too. In Gemma, </s> is a tag of HTML.
void restore_control_tokens(Vocabulary& vocabulary) {
    constexpr std::string_view kMarkers[] = {"<|im_start|>",       "<|im_end|>",      "<|eot_id|>",
                                             "<|eom_id|>",         "<|end_of_text|>", "<|end|>",
                                             "<|endoftext|>",      "<end_of_turn>",   "<start_of_turn>",
                                             "<end_of_utterance>", "<EOT>",           "<｜end▁of▁sentence｜>"};
    const auto& tokens = vocabulary.tokens;
    const bool has_html = std::find(tokens.begin(), tokens.end(), "<eos>") != tokens.end();
    for (size_t id = 0; id < vocabulary.kinds.size(); ++id) {
        const bool is_marker = std::find(std::begin(kMarkers), std::end(kMarkers), tokens[id]) != std::end(kMarkers);
        if (is_marker || (tokens[id] == "</s>" && !has_html)) vocabulary.kinds[id] = TokenKind::control;
    }
}

bool contains_ignoring_case(std::string_view text, std::string_view lower) {
    const auto same = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; };
    return std::search(text.begin(), text.end(), lower.begin(), lower.end(), same) != text.end();
}

// Phi-3's special tokens take the white space after them along, except three. GGUF has no place to say so; what is left
// is the model's name, which is how llama.cpp tells it too.
std::vector<int> space_swallowing_tokens(const GgufFile& file, const Vocabulary& vocabulary) {
    const auto name = file.string("general.name").value_or("");
    if (!contains_ignoring_case(name, "phi-3") && !contains_ignoring_case(name, "phi3")) return {};
    constexpr std::array<std::string_view, 3> kExceptions = {"<unk>", "<s>", "<|endoftext|>"};
    std::vector<int> ids;
    for (size_t id = 0; id < vocabulary.kinds.size(); ++id) {
        const TokenKind kind = vocabulary.kinds[id];
        const bool is_special =
            kind == TokenKind::control || kind == TokenKind::unknown || kind == TokenKind::user_defined;
        const bool is_exception =
            std::find(kExceptions.begin(), kExceptions.end(), vocabulary.tokens[id]) != kExceptions.end();
        if (is_special && !is_exception) ids.push_back(static_cast<int>(id));
    }
    return ids;
}

std::vector<int> end_of_generation(const GgufFile& file, const Vocabulary& vocabulary) {
    std::vector<int> ids;
    for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
        const bool ends =
            std::find(std::begin(kEndTexts), std::end(kEndTexts), vocabulary.tokens[id]) != std::end(kEndTexts);
        if (ends && is_control(vocabulary, id)) ids.push_back(static_cast<int>(id));
    }
    if (const int eom = read_id(file, "tokenizer.ggml.eom_token_id", -1); eom >= 0) ids.push_back(eom);
    return ids;
}

}  // namespace

Result<Tokenizer> open_tokenizer(const GgufFile& file) {
    const auto model = file.string("tokenizer.ggml.model");
    if (!model) {
        return Error{ErrorCode::unsupported_tokenizer,
                     "the file brings no tokenizer (tokenizer.ggml.model); choose a complete model file"};
    }
    Vocabulary vocabulary;
    vocabulary.model = *model;
    vocabulary.pre_tokenizer = file.string("tokenizer.ggml.pre").value_or("");
    vocabulary.tokens = file.strings("tokenizer.ggml.tokens").value_or(std::vector<std::string_view>{});
    vocabulary.scores = read_scores(file);
    vocabulary.merges = file.strings("tokenizer.ggml.merges").value_or(std::vector<std::string_view>{});
    auto kinds = read_kinds(file, vocabulary.tokens.size());
    if (!kinds) return kinds.error();
    vocabulary.kinds = std::move(*kinds);
    restore_control_tokens(vocabulary);

    // SentencePiece names its tokens by default, and starts texts with <s>; so do families like Llama 3, whose oldest
    // files forget to say so.
    const bool is_sentence_piece = *model == "llama";
    const auto by_default = [&](std::string_view text) {
        return is_sentence_piece ? find_special(vocabulary, text) : -1;
    };
    vocabulary.bos = read_id(file, "tokenizer.ggml.bos_token_id", by_default("<s>"));
    vocabulary.eos = read_id(file, "tokenizer.ggml.eos_token_id", by_default("</s>"));
    vocabulary.unknown = read_id(file, "tokenizer.ggml.unknown_token_id", by_default("<unk>"));
    vocabulary.eot = read_id(file, "tokenizer.ggml.eot_token_id", -1);
    const PreTokenizer* pre_tokenizer = find_pre_tokenizer(vocabulary.pre_tokenizer);
    const bool starts_with_bos = is_sentence_piece || (pre_tokenizer != nullptr && pre_tokenizer->adds_bos);
    vocabulary.add_bos = file.boolean("tokenizer.ggml.add_bos_token").value_or(starts_with_bos);
    vocabulary.add_eos = file.boolean("tokenizer.ggml.add_eos_token").value_or(false);
    vocabulary.add_space_prefix = file.boolean("tokenizer.ggml.add_space_prefix").value_or(is_sentence_piece);
    vocabulary.end_of_generation = end_of_generation(file, vocabulary);
    vocabulary.swallows_space = space_swallowing_tokens(file, vocabulary);
    return Tokenizer::open(std::move(vocabulary));
}

}  // namespace strata
