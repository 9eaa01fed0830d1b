#include "engine/tokenizer/tokenizer.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "engine/base/printable.h"
#include "engine/tokenizer/byte_level_bpe.h"
#include "engine/tokenizer/sentence_piece.h"
#include "engine/tokenizer/special_index.h"
#include "engine/tokenizer/token_index.h"
#include "engine/tokenizer/token_kinds.h"

namespace strata {
namespace {

constexpr std::string_view kByteLevelBpe = "gpt2", kSentencePiece = "llama";

Error corrupt(std::string message) { return {ErrorCode::corrupt_file, std::move(message)}; }

Status check_id(const Vocabulary& vocabulary, const char* what, int id) {
    if (id >= 0 && static_cast<size_t>(id) < vocabulary.tokens.size()) return Done{};
    return corrupt(std::string("the ") + what + " token is " + std::to_string(id) + ", but the vocabulary has only " +
                   std::to_string(vocabulary.tokens.size()) + " tokens");
}

Status check_vocabulary(const Vocabulary& vocabulary) {
    const size_t n = vocabulary.tokens.size();
    if (n == 0) return corrupt("the vocabulary has no tokens (tokenizer.ggml.tokens)");
    if (n > static_cast<size_t>(std::numeric_limits<int>::max())) return corrupt("the vocabulary has too many tokens");
    if (!vocabulary.kinds.empty() && vocabulary.kinds.size() != n) {
        return corrupt("the vocabulary has " + std::to_string(n) + " tokens but " +
                       std::to_string(vocabulary.kinds.size()) + " token types (tokenizer.ggml.token_type)");
    }
    const std::pair<const char*, int> optional_ids[] = {{"beginning-of-text", vocabulary.bos},
                                                        {"end-of-text", vocabulary.eos},
                                                        {"end-of-turn", vocabulary.eot},
                                                        {"unknown", vocabulary.unknown}};
    for (const auto& [what, id] : optional_ids) {
        if (id == -1) continue;
        if (const Status status = check_id(vocabulary, what, id); !status) return status;
    }
    for (const int id : vocabulary.end_of_generation) {
        if (const Status status = check_id(vocabulary, "end-of-generation", id); !status) return status;
    }
    for (const int id : vocabulary.swallows_space) {
        if (const Status status = check_id(vocabulary, "space-swallowing", id); !status) return status;
    }
    return Done{};
}

// What a byte without a token becomes. A file may name a control token here (StarCoder: its end of text), but what a
// person typed must not become one.
int fallback_token(const Vocabulary& vocabulary) {
    const int id = vocabulary.unknown;
    return id >= 0 && kind_of(vocabulary, id) == TokenKind::unknown ? id : -1;
}

std::vector<SpecialIndex::Entry> special_entries(const Vocabulary& vocabulary) {
    std::vector<SpecialIndex::Entry> entries;
    for (size_t i = 0; i < vocabulary.tokens.size(); ++i) {
        const int id = static_cast<int>(i);
        const TokenKind kind = kind_of(vocabulary, id);
        const bool is_special = is_without_text(kind) || kind == TokenKind::user_defined;
        if (is_special && !vocabulary.tokens[i].empty()) entries.push_back({vocabulary.tokens[i], id});
    }
    return entries;
}

bool is_ascii_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// Whether the ranges, ordered and disjoint, have a byte in common with [begin, end).
bool touches(std::span<const ByteRange> ranges, size_t begin, size_t end) {
    const auto first =
        std::partition_point(ranges.begin(), ranges.end(), [&](const ByteRange& range) { return range.end <= begin; });
    return first != ranges.end() && first->begin < end;
}

void check_ranges(std::span<const ByteRange> ranges, size_t size) {
    size_t at = 0;
    for (const ByteRange& range : ranges) {
        CHECK(at <= range.begin && range.begin <= range.end && range.end <= size);
        at = range.end;
    }
}

}  // namespace

struct Tokenizer::Impl {
    explicit Impl(Vocabulary stated)
        : vocabulary(std::move(stated)), index(vocabulary.tokens), special(special_entries(vocabulary)) {}

    void encode_text(std::string_view text, std::vector<int>& ids) const {
        if (text.empty()) return;
        bpe ? bpe->encode(text, ids) : sentence_piece->encode(text, ids);
    }

    std::string piece(int id) const { return bpe ? bpe->piece(id) : sentence_piece->piece(id); }

    Vocabulary vocabulary;
    TokenIndex index;
    SpecialIndex special;
    std::optional<ByteLevelBpe> bpe;  // one of these two
    std::optional<SentencePiece> sentence_piece;
    std::vector<std::string> special_texts;  // longest first
    std::vector<int> end_of_generation;      // sorted
};

Tokenizer::Tokenizer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Result<Tokenizer> Tokenizer::open(Vocabulary stated) {
    if (const Status status = check_vocabulary(stated); !status) return status.error();
    auto impl = std::make_unique<Impl>(std::move(stated));
    const Vocabulary& vocabulary = impl->vocabulary;
    const int fallback = fallback_token(vocabulary);

    if (vocabulary.model == kByteLevelBpe) {
        auto bpe = ByteLevelBpe::open(vocabulary, impl->index, fallback);
        if (!bpe) return bpe.error();
        impl->bpe = std::move(*bpe);
    } else if (vocabulary.model == kSentencePiece) {
        auto sentence_piece = SentencePiece::open(vocabulary, impl->index, fallback);
        if (!sentence_piece) return sentence_piece.error();
        impl->sentence_piece = std::move(*sentence_piece);
    } else {
        return Error{
            ErrorCode::unsupported_tokenizer,
            "the tokenizer \"" + printable(vocabulary.model) +
                "\" (tokenizer.ggml.model) is unknown; known are gpt2 (byte-level BPE) and llama (SentencePiece)"};
    }

    for (const auto& entry : special_entries(vocabulary)) impl->special_texts.emplace_back(entry.text);
    std::stable_sort(impl->special_texts.begin(), impl->special_texts.end(),
                     [](const std::string& a, const std::string& b) { return a.size() > b.size(); });

    impl->end_of_generation = vocabulary.end_of_generation;
    for (const int id : {vocabulary.eos, vocabulary.eot}) {
        if (id >= 0) impl->end_of_generation.push_back(id);
    }
    std::sort(impl->end_of_generation.begin(), impl->end_of_generation.end());
    return Tokenizer(std::move(impl));
}

std::vector<int> Tokenizer::encode(std::string_view text, SpecialTokens special,
                                   std::span<const ByteRange> literal) const {
    check_ranges(literal, text.size());
    const Vocabulary& vocabulary = impl_->vocabulary;
    const auto swallows_space = [&](int id) {
        return std::find(vocabulary.swallows_space.begin(), vocabulary.swallows_space.end(), id) !=
               vocabulary.swallows_space.end();
    };

    std::vector<int> ids;
    size_t begin = 0;  // of the text since the last special token
    for (size_t at = 0; at < text.size();) {
        const auto allowed = [&](const SpecialIndex::Entry& entry) {
            if (kind_of(vocabulary, entry.id) == TokenKind::user_defined) return true;
            return special == SpecialTokens::parse && !touches(literal, at, at + entry.text.size());
        };
        const SpecialIndex::Entry* found = impl_->special.longest_match(text, at, allowed);
        if (found == nullptr) {
            ++at;
            continue;
        }
        impl_->encode_text(text.substr(begin, at - begin), ids);
        ids.push_back(found->id);
        at += found->text.size();
        if (swallows_space(found->id)) {
            while (at < text.size() && is_ascii_space(text[at]) && !touches(literal, at, at + 1)) ++at;
        }
        begin = at;
    }
    impl_->encode_text(text.substr(begin), ids);
    return ids;
}

std::string Tokenizer::piece(int id, bool show_control) const {
    if (id < 0 || id >= size()) return {};
    const TokenKind kind = kind_of(impl_->vocabulary, id);
    if (is_without_text(kind) && !show_control) return {};
    if (is_without_text(kind) || kind == TokenKind::user_defined) return std::string(impl_->vocabulary.tokens[id]);
    return impl_->piece(id);
}

std::string Tokenizer::decode(std::span<const int> ids, bool show_control) const {
    std::string text;
    for (const int id : ids) text += piece(id, show_control);
    return text;
}

int Tokenizer::size() const { return static_cast<int>(impl_->vocabulary.tokens.size()); }
int Tokenizer::bos() const { return impl_->vocabulary.bos; }
int Tokenizer::eos() const { return impl_->vocabulary.eos; }
bool Tokenizer::wants_bos() const { return impl_->vocabulary.add_bos && bos() >= 0; }
std::vector<int> Tokenizer::with_bos(std::span<const int> ids) const {
    std::vector<int> result;
    if (wants_bos()) result.push_back(bos());
    result.insert(result.end(), ids.begin(), ids.end());
    return result;
}

bool Tokenizer::is_end_of_generation(int id) const {
    return std::binary_search(impl_->end_of_generation.begin(), impl_->end_of_generation.end(), id);
}

bool Tokenizer::is_control(int id) const {
    return id >= 0 && id < size() && kind_of(impl_->vocabulary, id) == TokenKind::control;
}

const std::vector<std::string>& Tokenizer::special_texts() const { return impl_->special_texts; }

int Tokenizer::find(std::string_view token_text) const { return impl_->index.find(token_text); }

}  // namespace strata
