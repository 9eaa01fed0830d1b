// Text from a file, made safe to show in an error message or on a terminal.
#pragma once
#include <string>
#include <string_view>

namespace strata {

// Control characters become \n, \t or \x1b. Text longer than `max_bytes` is cut (at a character, where it is UTF-8)
// and ends in "…".
inline std::string printable(std::string_view text, size_t max_bytes = 80) {
    size_t end = text.size();
    if (end > max_bytes) {
        end = max_bytes;
        while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
    }
    std::string shown;
    for (const char c : text.substr(0, end)) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '\n') {
            shown += "\\n";
        } else if (c == '\t') {
            shown += "\\t";
        } else if (byte < 0x20 || byte == 0x7F) {
            const char* digits = "0123456789abcdef";
            shown += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
        } else {
            shown += c;
        }
    }
    if (end < text.size()) shown += "…";
    return shown;
}

}  // namespace strata
