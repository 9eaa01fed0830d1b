#include "engine/tokenizer/tokenizer.h"
#include "engine/tokenizer/unicode.h"

namespace strata {

std::string Utf8Stream::push(std::string_view bytes) {
    held_ += bytes;
    std::string shown;
    size_t at = 0;
    while (at < held_.size()) {
        const Utf8 next = decode_utf8(held_, at);
        if (next.state == Utf8State::incomplete) break;
        append_utf8(shown, next.code_point);
        at += next.length;
    }
    held_.erase(0, at);
    return shown;
}

std::string Utf8Stream::finish() {
    std::string shown;
    if (!held_.empty()) append_utf8(shown, kReplacementCharacter);
    held_.clear();
    return shown;
}

}  // namespace strata
