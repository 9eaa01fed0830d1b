// What follows from the kind of a token.
#pragma once
#include "engine/tokenizer/tokenizer.h"

namespace strata {

inline TokenKind kind_of(const Vocabulary& vocabulary, int id) {
    return vocabulary.kinds.empty() ? TokenKind::normal : vocabulary.kinds[id];
}

// Control and unknown tokens: text never becomes one of them by merging, and they stand for no text.
inline bool is_without_text(TokenKind kind) { return kind == TokenKind::control || kind == TokenKind::unknown; }

}  // namespace strata
