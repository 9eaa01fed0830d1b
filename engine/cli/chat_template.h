// What stands around the messages of a conversation. Model files bring a Jinja program for it; the command line does
// not run it, but recognises by the markers in it which of the few common formats it writes.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"

namespace strata::cli {

// Texts in which {bos} and {eos} stand for the tokens that the file names. Every piece but the messages may hold
// control tokens.
struct ChatFormat {
    const char* name;
    const char* marker;  // recognised by these two texts in the file's template …
    const char* second_marker;
    const char* foreign_marker;  // … and the absence of this one; "" matches nothing
    const char* system_before;
    const char* system_after;
    const char* user_before;
    const char* user_after;  // up to where the answer begins
    const char* answer_after;
    bool system_in_user;  // the system prompt is a part of the first user message
    bool trims;           // white space around messages is not part of them
    const char* stop;     // ends an answer where no token does; "" none
};

struct ChosenFormat {
    const ChatFormat* format;
    std::string why_fallback;  // empty: the file's own template was recognised
};
ChosenFormat choose_chat_format(const Model& model);
void report_fallback(const ChosenFormat& chosen);  // on stderr, where it is one

// What one more message appends to a conversation: everything from the end of the answer before (or the start, with
// BOS) to where the next answer begins. What a person wrote never becomes a control token.
struct Turn {
    bool first;
    std::string_view system;  // used in the first turn only; may be empty
    std::string_view user;
};
std::vector<int> encode_turn(const ChatFormat& format, const Tokenizer& tokenizer, const Turn& turn);

}  // namespace strata::cli
