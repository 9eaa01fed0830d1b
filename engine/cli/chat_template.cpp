#include "engine/cli/chat_template.h"

#include <string>

#include "engine/cli/report.h"

namespace strata::cli {

namespace {

// The first that matches is taken.
constexpr ChatFormat kFormats[] = {
    {"Llama 3", "<|start_header_id|>", "<|eot_id|>", "", "<|start_header_id|>system<|end_header_id|>\n\n", "<|eot_id|>",
     "<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
     "<|eot_id|>", false, true, ""},
    {"Gemma", "<start_of_turn>", "<end_of_turn>", "", "", "\n\n", "<start_of_turn>user\n",
     "<end_of_turn>\n<start_of_turn>model\n", "<end_of_turn>\n", true, true, ""},
    {"ChatML", "<|im_start|>", "<|im_end|>", "<|im_sep|>", "<|im_start|>system\n", "<|im_end|>\n", "<|im_start|>user\n",
     "<|im_end|>\n<|im_start|>assistant\n", "<|im_end|>\n", false, false, ""},
    {"Phi-3", "<|user|>", "<|end|>", "", "<|system|>\n", "<|end|>\n", "<|user|>\n", "<|end|>\n<|assistant|>\n",
     "<|end|>\n", false, false, ""},
    {"Zephyr", "<|user|>", "eos_token", "", "<|system|>\n", "{eos}\n", "<|user|>\n", "{eos}\n<|assistant|>\n",
     "{eos}\n", false, false, ""},
    {"Llama 2", "[INST]", "<<SYS>>", "", "<<SYS>>\n", "\n<</SYS>>\n\n", "[INST] ", " [/INST]", " {eos}{bos}", true,
     true, ""},
    {"Mistral", "[INST]", "eos_token", "", "", "\n\n", "[INST] ", " [/INST]", "{eos}", true, false, ""},
};

constexpr ChatFormat kPlain = {"plain \"User:\", \"Assistant:\"",
                               "",
                               "",
                               "",
                               "System: ",
                               "\n\n",
                               "User: ",
                               "\n\nAssistant:",
                               "\n\n",
                               false,
                               true,
                               "\nUser:"};

const ChatFormat& chat_ml() {
    for (const ChatFormat& format : kFormats)
        if (std::string_view(format.name) == "ChatML") return format;
    return kPlain;
}

bool contains(std::string_view text, std::string_view part) {
    return !part.empty() && text.find(part) != std::string_view::npos;
}

std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t\r\n") + 1 - first);
}

// The text of a turn as it grows, and which parts of it a person wrote.
struct Writer {
    const Tokenizer& tokenizer;
    std::string text;
    std::vector<ByteRange> literal;

    void fixed_part(std::string_view part) {
        while (!part.empty()) {
            const bool bos = part.substr(0, 5) == "{bos}", eos = part.substr(0, 5) == "{eos}";
            if (bos)
                text += tokenizer.piece(tokenizer.bos(), true);
            else if (eos)
                text += tokenizer.piece(tokenizer.eos(), true);
            else
                text += part[0];
            part.remove_prefix(bos || eos ? 5 : 1);
        }
    }
    void message(std::string_view part) {
        if (part.empty()) return;
        literal.push_back({text.size(), text.size() + part.size()});
        text += part;
    }
};

}  // namespace

ChosenFormat choose_chat_format(const Model& model) {
    const auto own = model.chat_template();
    if (own)
        for (const ChatFormat& format : kFormats)
            if (contains(*own, format.marker) && contains(*own, format.second_marker) &&
                !contains(*own, format.foreign_marker))
                return {&format, ""};
    const Tokenizer& tokenizer = model.tokenizer();
    const bool has_chat_ml = tokenizer.find("<|im_start|>") >= 0 && tokenizer.find("<|im_end|>") >= 0;
    return {has_chat_ml ? &chat_ml() : &kPlain,
            own ? "the chat template in the file is of no format known here" : "the file has no chat template"};
}

void report_fallback(const ChosenFormat& chosen) {
    if (!chosen.why_fallback.empty()) note(chosen.why_fallback + "; using " + chosen.format->name);
}

std::vector<int> encode_turn(const ChatFormat& format, const Tokenizer& tokenizer, const Turn& turn) {
    const auto content = [&](std::string_view message) { return format.trims ? trimmed(message) : message; };
    const bool with_system = turn.first && !turn.system.empty();
    Writer writer{tokenizer, {}, {}};
    const auto write_system = [&] {
        writer.fixed_part(format.system_before);
        writer.message(content(turn.system));
        writer.fixed_part(format.system_after);
    };
    if (!turn.first) writer.fixed_part(format.answer_after);
    if (with_system && !format.system_in_user) write_system();
    writer.fixed_part(format.user_before);
    if (with_system && format.system_in_user) write_system();
    writer.message(content(turn.user));
    writer.fixed_part(format.user_after);

    const std::vector<int> tokens = tokenizer.encode(writer.text, SpecialTokens::parse, writer.literal);
    return turn.first ? tokenizer.with_bos(tokens) : tokens;
}

}  // namespace strata::cli
