// What stands around the messages of a conversation. Model files bring a Jinja program for it; the command line does
// not run it, but recognises by the markers in it which of the common families it belongs to, and writes what that
// family's program would. Compared with Jinja itself in tests/engine/chat_template_test.cpp.
#pragma once
#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"

namespace strata::cli {

// Texts in which {bos} and {eos} stand for the tokens that the file names. Every piece but the messages may hold
// control tokens.
struct ChatFormat {
    std::string name;
    std::string user_before;
    std::string user_after;  // up to where the answer begins
    std::string answer_after;
    std::string system_before, system_after;
    std::string default_system;                     // where the person gives none
    bool keeps_default_system = false;              // … and before what the person gives
    bool always_system = false;                     // a system turn is there, even an empty one
    bool system_in_user = false;                    // the system prompt is a part of the first user message
    bool trims_system = false, trims_user = false;  // white space around messages is not part of them
    bool trims_system_end = false;                  // … after the system prompt only
    bool trims_jointly = false;                     // … around the system prompt and the first message together
    bool writes_bos = false;                        // also where the file does not ask for it
    std::string stop;                               // ends an answer where no token does; "" none
};

// The format that a template writes; nothing where it belongs to no known family. Some put the date into the prompt.
std::optional<ChatFormat> recognise_chat_template(std::string_view chat_template, const std::tm& today);

// SmolLM3 obeys "/no_think" and "/think" in a system prompt, and takes them out.
void obey_reasoning_switches(ChatFormat& format, std::string& system);

// The first format whose markers the vocabulary has as tokens, or a plain one.
ChatFormat format_for_vocabulary(const Tokenizer& tokenizer);

struct ChosenFormat {
    ChatFormat format;
    std::string why_fallback;  // empty: the file's own template was recognised
};
ChosenFormat choose_chat_format(const Model& model);
void report_fallback(const ChosenFormat& chosen);  // on stderr, where it is one

// What one more message appends to a conversation: everything from the end of the answer before (or the start, without
// BOS) to where the next answer begins.
struct Turn {
    bool first;
    std::string_view system;  // used in the first turn only; may be empty
    std::string_view user;
};
struct TurnText {
    std::string text;
    std::vector<ByteRange> literal;  // what a person wrote
};
TurnText turn_text(const ChatFormat& format, std::string_view bos, std::string_view eos, const Turn& turn);

// The tokens of that, with BOS at the start. What a person wrote never becomes a control token.
std::vector<int> encode_turn(const ChatFormat& format, const Tokenizer& tokenizer, const Turn& turn);

}  // namespace strata::cli
