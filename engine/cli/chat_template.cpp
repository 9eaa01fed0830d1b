#include "engine/cli/chat_template.h"

#include <algorithm>
#include <initializer_list>
#include <string>

#include "engine/cli/report.h"

namespace strata::cli {

namespace {

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

bool contains_all(std::string_view text, std::initializer_list<std::string_view> parts) {
    return std::all_of(parts.begin(), parts.end(), [&](std::string_view part) { return contains(text, part); });
}

std::string_view trimmed_end(std::string_view text) {
    return text.substr(0, text.find_last_not_of(" \t\r\n") + 1);  // nothing found: npos + 1 is 0
}

std::string_view trimmed(std::string_view text) {
    text = trimmed_end(text);
    return text.substr(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
}

// Whether there was any.
bool remove_all(std::string& text, std::string_view part) {
    bool found = false;
    for (size_t at; (at = text.find(part)) != std::string::npos; found = true) text.erase(at, part.size());
    return found;
}

std::string date(const std::tm& day, const char* format) {
    char text[64];
    return {text, std::strftime(text, sizeof text, format, &day)};
}

// Line breaks in strings are written out or escaped, often in the same template.
std::string with_line_breaks(std::string_view source) {
    std::string text;
    for (size_t i = 0; i < source.size(); ++i) {
        const bool escaped = source.substr(i, 2) == "\\n";
        text += escaped ? '\n' : source[i];
        if (escaped) ++i;
    }
    return text;
}

// The words between two texts of the template, if they are one string: nothing in them may end it.
std::optional<std::string> literal_between(std::string_view source, std::string_view before, std::string_view after,
                                           std::string_view ends = "'\"{}") {
    for (size_t at = 0; (at = source.find(before, at)) != std::string_view::npos;) {
        at += before.size();
        const size_t end = source.find(after, at);
        if (end == std::string_view::npos) return std::nullopt;
        const std::string_view words = source.substr(at, end - at);
        if (!words.empty() && words.find_first_of(ends) == std::string_view::npos) return std::string(words);
    }
    return std::nullopt;
}

ChatFormat chat_ml() {
    ChatFormat format;
    format.name = "ChatML";
    format.system_before = "<|im_start|>system\n";
    format.system_after = "<|im_end|>\n";
    format.user_before = "<|im_start|>user\n";
    format.user_after = "<|im_end|>\n<|im_start|>assistant\n";
    format.answer_after = "<|im_end|>\n";
    return format;
}

// Models that always reason have the tag that begins it in their prompt.
ChatFormat chat_ml_with_words(std::string_view source) {
    ChatFormat format = chat_ml();
    auto words = literal_between(source, "<|im_start|>system\n", "<|im_end|>");
    if (!words) words = literal_between(source, "set system_message = '", "'");
    if (words) format.default_system = std::move(*words);
    if (contains(source, "<|im_start|>assistant\n<think>\n'")) format.user_after += "<think>\n";
    return format;
}

constexpr const char* kSmolLm3 = "SmolLM3";
constexpr std::string_view kSmolLm3Words = "You are a helpful AI assistant named SmolLM, trained by Hugging Face.";

// SmolLM3 in its reasoning mode. The template as published ends the system prompt only behind tools.
ChatFormat smol_lm3(std::string_view source, const std::tm& today) {
    const std::string name = std::string(kSmolLm3Words) + " ";
    ChatFormat format = chat_ml();
    format.name = kSmolLm3;
    format.system_before += "## Metadata\n\nKnowledge Cutoff Date: June 2025\n";
    if (contains(source, "Today Date: ")) format.system_before += "Today Date: " + date(today, "%d %B %Y") + "\n";
    format.system_before += "Reasoning Mode: /think\n\n## Custom Instructions\n\n";
    format.system_after = contains(source, "xml_tools") ? "\n\n" : "\n\n<|im_end|>\n";
    format.always_system = format.trims_system_end = true;
    if (const auto rest = literal_between(source, name, "\n\n\"")) format.default_system = name + *rest;
    return format;
}

ChatFormat phi4() {
    ChatFormat format;
    format.name = "Phi-4";
    format.system_before = "<|im_start|>system<|im_sep|>";
    format.system_after = "<|im_end|>";
    format.user_before = "<|im_start|>user<|im_sep|>";
    format.user_after = "<|im_end|><|im_start|>assistant<|im_sep|>";
    format.answer_after = "<|im_end|>";
    return format;
}

ChatFormat llama3() {
    ChatFormat format;
    format.name = "Llama 3";
    format.system_before = "<|start_header_id|>system<|end_header_id|>\n\n";
    format.system_after = "<|eot_id|>";
    format.user_before = "<|start_header_id|>user<|end_header_id|>\n\n";
    format.user_after = "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n";
    format.answer_after = "<|eot_id|>";
    format.trims_system = format.trims_user = true;
    return format;
}

// Llama 3.1 (a fixed date) and 3.2 (today's).
ChatFormat llama3_with_date(std::string_view source, const std::tm& today) {
    ChatFormat format = llama3();
    format.name = "Llama 3.1";
    const std::string day = contains(source, "strftime_now") ? date(today, "%d %b %Y") : "26 Jul 2024";
    format.system_before += "Cutting Knowledge Date: December 2023\nToday Date: " + day + "\n\n";
    format.always_system = true;
    return format;
}

// Gemma 2 refuses a system prompt: it goes before the first message. Gemma 3 puts it there itself.
ChatFormat gemma(bool knows_system) {
    ChatFormat format;
    format.name = "Gemma";
    format.system_after = "\n\n";
    format.user_before = "<start_of_turn>user\n";
    format.user_after = "<end_of_turn>\n<start_of_turn>model\n";
    format.answer_after = "<end_of_turn>\n";
    format.system_in_user = format.trims_user = true;
    format.trims_system = format.trims_jointly = !knows_system;
    return format;
}

ChatFormat phi3(bool knows_system) {
    ChatFormat format;
    format.name = "Phi-3";
    format.system_before = knows_system ? "<|system|>\n" : "";
    format.system_after = knows_system ? "<|end|>\n" : "\n\n";
    format.user_before = "<|user|>\n";
    format.user_after = "<|end|>\n<|assistant|>\n";
    format.answer_after = "<|end|>\n";
    format.system_in_user = format.trims_system = !knows_system;
    return format;
}

// Phi-4 mini reasoning is told who it is before any other system prompt.
ChatFormat phi4_mini(std::string_view source) {
    ChatFormat format;
    format.name = "Phi-4 mini";
    format.system_before = "<|system|>";
    format.system_after = "<|end|>";
    format.user_before = "<|user|>";
    format.user_after = "<|end|><|assistant|>";
    format.answer_after = "<|end|>";
    if (auto words = literal_between(source, "'<|system|>", "'")) {
        format.default_system = std::move(*words);
        format.keeps_default_system = true;
    }
    return format;
}

ChatFormat zephyr() {
    ChatFormat format;
    format.name = "Zephyr";
    format.system_before = "<|system|>\n";
    format.system_after = "{eos}\n";
    format.user_before = "<|user|>\n";
    format.user_after = "{eos}\n<|assistant|>\n";
    format.answer_after = "{eos}\n";
    return format;
}

ChatFormat olmo2() {
    ChatFormat format = zephyr();
    format.name = "OLMo 2";
    format.system_after = "\n";
    format.user_after = "\n<|assistant|>\n";
    return format;
}

ChatFormat granite() {
    ChatFormat format;
    format.name = "Granite";
    format.system_before = "<|start_of_role|>system<|end_of_role|>";
    format.system_after = "<|end_of_text|>\n";
    format.user_before = "<|start_of_role|>user<|end_of_role|>";
    format.user_after = "<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>";
    format.answer_after = "<|end_of_text|>\n";
    return format;
}

// From 3.1 on, Granite is told the date and who it is; the words and their white space differ.
ChatFormat granite_with_words(std::string_view source, const std::tm& today) {
    ChatFormat format = granite();
    const auto knowledge = literal_between(source, "system_message = \"", "\" + strftime_now", "\"");
    const auto name = literal_between(source, "%B %d, %Y') + \"", "\"", "\"");
    if (knowledge && name)
        format.default_system = *knowledge + date(today, "%B %d, %Y") + *name + " You are a helpful AI assistant.";
    else if (auto words = literal_between(source, "default_system_message = '", "'"))
        format.default_system = std::move(*words);
    return format;
}

ChatFormat deepseek(bool begins_reasoning) {
    ChatFormat format;
    format.name = "DeepSeek";
    format.user_before = "<｜User｜>";
    format.user_after = begins_reasoning ? "<｜Assistant｜><think>\n" : "<｜Assistant｜>";
    format.answer_after = "{eos}";
    return format;
}

ChatFormat deepseek_v2() {
    ChatFormat format;
    format.name = "DeepSeek 2";
    format.system_after = "\n\n";
    format.user_before = "User: ";
    format.user_after = "\n\nAssistant:";
    format.answer_after = "{eos}";
    return format;
}

ChatFormat llama2() {
    ChatFormat format;
    format.name = "Llama 2";
    format.system_before = "<<SYS>>\n";
    format.system_after = "\n<</SYS>>\n\n";
    format.user_before = "[INST] ";
    format.user_after = " [/INST]";
    format.answer_after = " {eos}{bos}";
    format.system_in_user = format.trims_user = format.trims_jointly = true;
    return format;
}

// Versions differ in the blanks around the markers; the first ones refuse a system prompt, the last ones mark it.
ChatFormat mistral(std::string_view source) {
    ChatFormat format;
    format.name = "Mistral";
    const bool blank_before = contains(source, "' [INST] ") || contains(source, "\" [INST] ");
    format.user_before = blank_before ? " [INST] " : contains(source, "[INST] ") ? "[INST] " : "[INST]";
    format.user_after = contains(source, " [/INST]") ? " [/INST]" : "[/INST]";
    format.answer_after = contains(source, "eos_token + ' '") ? "{eos} " : "{eos}";
    if (contains(source, "[SYSTEM_PROMPT]")) {
        format.system_before = contains(source, "[SYSTEM_PROMPT] ") ? "[SYSTEM_PROMPT] " : "[SYSTEM_PROMPT]";
        format.system_after = "[/SYSTEM_PROMPT]";
        return format;
    }
    format.system_after = "\n\n";
    format.system_in_user = true;
    format.trims_system = !contains(source, "system");
    return format;
}

ChatFormat plain() {
    ChatFormat format;
    format.name = "plain \"User:\", \"Assistant:\"";
    format.system_before = "System: ";
    format.system_after = "\n\n";
    format.user_before = "User: ";
    format.user_after = "\n\nAssistant:";
    format.answer_after = "\n\n";
    format.trims_system = format.trims_user = true;
    format.stop = "\nUser:";
    return format;
}

std::optional<ChatFormat> family_of(std::string_view source, const std::tm& today) {
    const auto has = [&](std::initializer_list<std::string_view> markers) { return contains_all(source, markers); };
    const bool knows_system = !contains(source, "raise_exception('System role") && contains(source, "system") &&
                              !contains(source, "system role is not supported");
    if (has({"<|start_header_id|>", "<|eot_id|>"})) {
        if (has({"Cutting Knowledge Date"})) return llama3_with_date(source, today);
        ChatFormat format = llama3();
        format.always_system = has({"builtin_tools"});
        return format;
    }
    if (has({"<start_of_turn>", "<end_of_turn>"})) {
        // Gemma 3's first template takes a list of parts for a system prompt, no text.
        const bool wants_parts =
            has({"messages[0]['content'][0]['text']"}) && !has({"messages[0]['content'] is string"});
        return gemma(knows_system && !wants_parts);
    }
    if (has({"<|im_start|>", "<|im_sep|>"})) return phi4();
    if (has({"<|im_start|>", "## Custom Instructions"})) return smol_lm3(source, today);
    if (has({"<|im_start|>", "<|im_end|>"})) return chat_ml_with_words(source);
    if (has({"<|start_of_role|>", "<|end_of_role|>"})) return granite_with_words(source, today);
    if (has({"<｜User｜>", "<｜Assistant｜>"})) return deepseek(has({"<｜Assistant｜><think>"}));
    if (has({"'<|' + message['role'] + '|>' + message['content'] + '<|end|>'"})) return phi4_mini(source);
    if (has({"<|end|>"}) && (has({"<|user|>"}) || has({"'<|' + message['role'] + '|>'"}))) {
        return phi3(has({"<|system|>"}) || has({"'<|' + message['role'] + '|>'"}));
    }
    if (has({"<|user|>\n' + message['content'] + '\n'", "eos_token"})) return olmo2();
    if (has({"<|user|>", "eos_token"})) return zephyr();
    if (has({"[INST]", "<<SYS>>"})) return llama2();
    if (has({"[INST]", "eos_token"})) return mistral(source);
    if (has({"'User: '", "'Assistant:'", "eos_token"})) return deepseek_v2();
    return std::nullopt;
}

// The text of a turn as it grows, and which parts of it a person wrote.
struct Writer {
    std::string_view bos, eos;
    TurnText turn;

    void fixed_part(std::string_view part) {
        while (!part.empty()) {
            const bool is_bos = part.substr(0, 5) == "{bos}", is_eos = part.substr(0, 5) == "{eos}";
            if (is_bos || is_eos)
                turn.text += is_bos ? bos : eos;
            else
                turn.text += part[0];
            part.remove_prefix(is_bos || is_eos ? 5 : 1);
        }
    }
    void message(std::string_view part) {
        if (part.empty()) return;
        turn.literal.push_back({turn.text.size(), turn.text.size() + part.size()});
        turn.text += part;
    }
};

}  // namespace

std::optional<ChatFormat> recognise_chat_template(std::string_view chat_template, const std::tm& today) {
    auto format = family_of(with_line_breaks(chat_template), today);
    if (format) format->writes_bos = contains(chat_template, "bos_token");
    return format;
}

void obey_reasoning_switches(ChatFormat& format, std::string& system) {
    if (format.name != kSmolLm3) return;
    const bool quiet = remove_all(system, "/no_think");
    remove_all(system, "/think");
    if (!quiet) return;
    constexpr std::string_view kMode = "Mode: /";
    format.system_before.insert(format.system_before.find(kMode) + kMode.size(), "no_");
    format.default_system = kSmolLm3Words;
    format.user_after += "<think>\n\n</think>\n";
}

ChatFormat format_for_vocabulary(const Tokenizer& tokenizer) {
    const auto has = [&](std::initializer_list<std::string_view> texts) {
        return std::all_of(texts.begin(), texts.end(),
                           [&](std::string_view text) { return tokenizer.find(text) >= 0; });
    };
    if (has({"<|im_start|>", "<|im_end|>"})) return chat_ml();
    if (has({"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"})) return llama3();
    if (has({"<start_of_turn>", "<end_of_turn>"})) return gemma(false);
    if (has({"<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>"})) return granite();
    if (has({"<｜User｜>", "<｜Assistant｜>"})) return deepseek(false);
    if (has({"<|user|>", "<|assistant|>", "<|end|>"})) return phi3(true);
    if (has({"[INST]", "[/INST]"})) return mistral("[INST] [/INST]");
    return plain();
}

ChosenFormat choose_chat_format(const Model& model) {
    const auto own = model.chat_template();
    if (own) {
        const std::time_t now = std::time(nullptr);
        std::tm today{};
        localtime_r(&now, &today);
        if (auto format = recognise_chat_template(*own, today)) return {std::move(*format), ""};
    }
    return {format_for_vocabulary(model.tokenizer()),
            own ? "the chat template in the file belongs to no family known here" : "the file has no chat template"};
}

void report_fallback(const ChosenFormat& chosen) {
    if (chosen.why_fallback.empty()) return;
    note(chosen.why_fallback + "; using " + chosen.format.name +
         ". If answers make no sense, write the prompt yourself (strata generate -p), or use the page, which runs any "
         "template");
}

TurnText turn_text(const ChatFormat& format, std::string_view bos, std::string_view eos, const Turn& turn) {
    const std::string both = format.default_system + " " + std::string(turn.system);
    const std::string_view given = turn.system.empty()           ? std::string_view(format.default_system)
                                   : format.keeps_default_system ? std::string_view(both)
                                                                 : turn.system;
    const bool with_system = turn.first && (format.always_system || !given.empty());
    Writer writer{bos, eos, {}};
    const auto write_system = [&] {
        writer.fixed_part(format.system_before);
        writer.message(format.trims_system ? trimmed(given) : format.trims_system_end ? trimmed_end(given) : given);
        writer.fixed_part(format.system_after);
    };
    if (!turn.first) writer.fixed_part(format.answer_after);
    if (with_system && !format.system_in_user) write_system();
    writer.fixed_part(format.user_before);
    if (with_system && format.system_in_user) write_system();
    const bool goes_on = with_system && format.trims_jointly;
    writer.message(!format.trims_user ? turn.user : goes_on ? trimmed_end(turn.user) : trimmed(turn.user));
    writer.fixed_part(format.user_after);
    return std::move(writer.turn);
}

std::vector<int> encode_turn(const ChatFormat& format, const Tokenizer& tokenizer, const Turn& turn) {
    const TurnText written =
        turn_text(format, tokenizer.piece(tokenizer.bos(), true), tokenizer.piece(tokenizer.eos(), true), turn);
    std::vector<int> tokens = tokenizer.encode(written.text, SpecialTokens::parse, written.literal);
    const bool with_bos = turn.first && tokenizer.bos() >= 0 && (tokenizer.wants_bos() || format.writes_bos);
    if (with_bos) tokens.insert(tokens.begin(), tokenizer.bos());
    return tokens;
}

}  // namespace strata::cli
