#include "engine/tokenizer/byte_level_bpe.h"

#include "engine/base/printable.h"
#include "engine/tokenizer/byte_level.h"
#include "engine/tokenizer/token_kinds.h"
#include "engine/tokenizer/unicode.h"

namespace strata {
namespace {

uint64_t pair_hash(int left, int right) {
    return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
}

}  // namespace

Result<ByteLevelBpe> ByteLevelBpe::open(const Vocabulary& vocabulary, const TokenIndex& index, int fallback) {
    const PreTokenizer* pre_tokenizer = find_pre_tokenizer(vocabulary.pre_tokenizer);
    if (pre_tokenizer == nullptr) {
        return Error{ErrorCode::unsupported_tokenizer,
                     (vocabulary.pre_tokenizer.empty()
                          ? std::string("the file names no pre-tokenizer (tokenizer.ggml.pre)")
                          : "the pre-tokenizer \"" + printable(vocabulary.pre_tokenizer) + "\" is not supported") +
                         ": choose a model with another one; supported are " + known_pre_tokenizers()};
    }
    if (vocabulary.merges.empty()) {
        return Error{ErrorCode::corrupt_file,
                     "the vocabulary has no merges (tokenizer.ggml.merges), without which a gpt2 tokenizer cannot "
                     "put text together"};
    }
    ByteLevelBpe bpe(vocabulary, index, *pre_tokenizer, fallback);
    if (const Status status = bpe.read_merges(); !status) return status.error();
    return bpe;
}

ByteLevelBpe::ByteLevelBpe(const Vocabulary& vocabulary, const TokenIndex& index, const PreTokenizer& pre_tokenizer,
                           int fallback)
    : vocabulary_(&vocabulary),
      index_(&index),
      pre_tokenizer_(&pre_tokenizer),
      fallback_(fallback),
      merges_by_pair_(vocabulary.merges.size()) {
    for (int byte = 0; byte < 256; ++byte) {
        std::string text;
        append_utf8(text, byte_to_character(static_cast<uint8_t>(byte)));
        const int id = index.find(text);
        // A user-defined token stands for its text as it is, not for a byte that is written like it.
        const bool is_byte = is_text(id) && kind_of(vocabulary, id) != TokenKind::user_defined;
        byte_tokens_[byte] = is_byte ? id : -1;
    }
}

// Whether text can become this token by merging.
bool ByteLevelBpe::is_text(int id) const { return id >= 0 && !is_without_text(kind_of(*vocabulary_, id)); }

// A merge is "left right"; a token may begin with a space, but none has one further on.
Result<ByteLevelBpe::RankedMerge> ByteLevelBpe::resolve(std::string_view merge) const {
    const size_t space = merge.find(' ', 1);
    if (space == std::string_view::npos) {
        return Error{ErrorCode::corrupt_file, "two pieces with a space between them were expected"};
    }
    const auto find = [&](std::string_view text) { return index_->find(text); };
    const std::string_view left = merge.substr(0, space), right = merge.substr(space + 1);
    const RankedMerge found{find(left), find(right), find(std::string(left).append(right))};
    if (found.left < 0 || found.right < 0 || found.merged < 0) {
        return Error{ErrorCode::corrupt_file, "both pieces and their union must be tokens of the vocabulary"};
    }
    return found;
}

Status ByteLevelBpe::read_merges() {
    const auto& merges = vocabulary_->merges;
    if (merges.size() >= IndexTable::kNone) return Error{ErrorCode::corrupt_file, "the vocabulary has too many merges"};
    merges_.reserve(merges.size());
    for (size_t rank = 0; rank < merges.size(); ++rank) {
        const auto merge = resolve(merges[rank]);
        if (!merge) {
            return Error{merge.error().code, "merge " + std::to_string(rank) + " (\"" + printable(merges[rank]) +
                                                 "\") of tokenizer.ggml.merges: " + merge.error().message};
        }
        merges_.push_back(*merge);
        const bool usable = is_text(merge->left) && is_text(merge->right) && is_text(merge->merged);
        const bool is_first = find_merge({0, 0, merge->left}, {0, 0, merge->right}).rank == Merge::kImpossible;
        if (usable && is_first)
            merges_by_pair_.insert(pair_hash(merge->left, merge->right), static_cast<uint32_t>(rank));
    }
    return Done{};
}

Merge ByteLevelBpe::find_merge(const Symbol& left, const Symbol& right) const {
    const auto same = [&](uint32_t rank) {
        return merges_[rank].left == left.token && merges_[rank].right == right.token;
    };
    const uint32_t rank = merges_by_pair_.find(pair_hash(left.token, right.token), same);
    if (rank == IndexTable::kNone) return {};
    return {rank, merges_[rank].merged};
}

// The token that is the whole word, for the families that prefer it to merging; else -1.
int ByteLevelBpe::whole_word(std::string_view word) const {
    if (!pre_tokenizer_->whole_words) return -1;
    const int id = index_->find(to_byte_level(word));
    return is_text(id) ? id : -1;
}

void ByteLevelBpe::encode_word(std::string_view word, Merger& merger, std::vector<Symbol>& symbols,
                               std::vector<int>& ids) const {
    if (const int id = whole_word(word); id >= 0) {
        ids.push_back(id);
        return;
    }
    symbols.clear();
    for (size_t i = 0; i < word.size(); ++i) {
        symbols.push_back({static_cast<uint32_t>(i), 1, byte_tokens_[static_cast<uint8_t>(word[i])]});
    }
    merger.run(symbols, [this](const Symbol& left, const Symbol& right) { return find_merge(left, right); });
    for (const Symbol& symbol : symbols) {
        const int id = symbol.token >= 0 ? symbol.token : fallback_;
        if (id >= 0) ids.push_back(id);
    }
}

void ByteLevelBpe::encode(std::string_view text, std::vector<int>& ids) const {
    Merger merger;
    std::vector<Symbol> symbols;
    for_each_word(pre_tokenizer_->grammar, text,
                  [&](std::string_view word) { encode_word(word, merger, symbols, ids); });
}

std::string ByteLevelBpe::piece(int id) const { return from_byte_level(vocabulary_->tokens[id]); }

}  // namespace strata
