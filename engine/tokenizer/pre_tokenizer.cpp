#include "engine/tokenizer/pre_tokenizer.h"

#include <algorithm>
#include <iterator>
#include <span>

#include "engine/tokenizer/characters.h"
#include "engine/tokenizer/deepseek_letters.h"
#include "engine/tokenizer/word_rules.h"

namespace strata {
namespace {

using Grammar = PreTokenizer::Grammar;

constexpr PreTokenizer kPreTokenizers[] = {
    {"gpt-2", Grammar::gpt2},
    {"phi-2", Grammar::gpt2},
    {"mpt", Grammar::gpt2},
    {"olmo", Grammar::gpt2},
    {"jais", Grammar::gpt2},
    {"trillion", Grammar::gpt2},
    {"exaone4", Grammar::gpt2},
    {"gigachat", Grammar::gpt2},
    {"a.x-4.0", Grammar::gpt2},
    {"mellum", Grammar::gpt2},
    {"granite-docling", Grammar::gpt2},
    {"smollm", Grammar::gpt2_digits},
    {"starcoder", Grammar::gpt2_digits},
    {"refact", Grammar::gpt2_digits},
    {"command-r", Grammar::gpt2_digits},
    {"codeshell", Grammar::gpt2_digits},
    {"exaone", Grammar::gpt2_digits},
    {"minerva-7b", Grammar::gpt2_digits},
    {"mellum2", Grammar::gpt2_digits},
    {"llama-bpe", Grammar::llama3, true, true},
    {"llama3", Grammar::llama3, true, true},
    {"llama-v3", Grammar::llama3, true, true},
    {"falcon3", Grammar::llama3, true, true},
    {"falcon-h1", Grammar::llama3, true, true},
    {"pixtral", Grammar::llama3, true, true},
    {"midm-2.0", Grammar::llama3, true, true},
    {"lfm2", Grammar::llama3, true, true},
    {"dbrx", Grammar::llama3},
    {"smaug-bpe", Grammar::llama3},
    {"glm4", Grammar::llama3},
    {"chatglm-bpe", Grammar::llama3},
    {"minicpm5", Grammar::minicpm5, true},
    {"qwen2", Grammar::qwen2},
    {"deepseek-r1-qwen", Grammar::qwen2},
    {"kormo", Grammar::qwen2},
    {"megrez", Grammar::qwen2},
    {"stablelm2", Grammar::qwen2},
    {"hunyuan", Grammar::qwen2},
    {"solar-open", Grammar::qwen2},
    {"grok-2", Grammar::qwen2},
    {"bailingmoe", Grammar::qwen2},
    {"bailingmoe2", Grammar::qwen2},
    {"llada-moe", Grammar::qwen2},
    {"qwen35", Grammar::qwen35},
    {"seed-coder", Grammar::seed_coder},
    {"gpt-4o", Grammar::gpt4o},
    {"llama4", Grammar::gpt4o},
    {"kanana2", Grammar::gpt4o},
    {"minimax-m2", Grammar::gpt4o},
    {"tekken", Grammar::tekken, true, true},
    {"deepseek-coder", Grammar::deepseek_coder},
    {"deepseek-llm", Grammar::deepseek_llm},
    {"deepseek-v3", Grammar::deepseek_v3},
    {"hunyuan-dense", Grammar::deepseek_v3},
    {"joyai-llm", Grammar::deepseek_v3},
    {"falcon", Grammar::falcon},
    {"default", Grammar::by_default},
    {"bloom", Grammar::bloom},
    {"poro-chat", Grammar::bloom},
    {"gpt3-finnish", Grammar::bloom},
    {"viking", Grammar::viking},
    {"superbpe", Grammar::superbpe},
};

size_t gpt2_end(std::string_view text, size_t at) {
    if (const size_t end = contraction_end(text, at, false); end > at) return end;
    const size_t body = text[at] == ' ' ? at + 1 : at;
    const Character first = character_at(text, body);
    if (first.is_end() || first.is_space()) return spaces_end(text, at);
    if (first.is_letter()) return letters_end(text, body);
    if (first.is_number()) return numbers_end(text, body);
    return others_end(text, body);
}

bool may_lead_letters(const Character& c) { return !c.is_newline() && !c.is_number() && !c.is_letter(); }

//  ?[^\s\p{L}\p{N}]+ and what `tail` takes after it
template <class Tail>
size_t spaced_others_end(std::string_view text, size_t at, const Tail& tail) {
    const size_t body = text[at] == ' ' ? at + 1 : at;
    const size_t end = others_end(text, body);
    return end > body ? run_end(text, end, tail) : at;
}

bool is_newline(const Character& c) { return c.is_newline(); }

template <int kMaxNumbers>
size_t llama3_end(std::string_view text, size_t at) {
    if (const size_t end = contraction_end(text, at, true); end > at) return end;
    const Character first = character_at(text, at);
    const size_t letters = may_lead_letters(first) ? at + first.length : at;
    if (const size_t end = letters_end(text, letters); end > letters) return end;
    if (first.is_number()) return numbers_end(text, at, kMaxNumbers);
    if (const size_t end = spaced_others_end(text, at, is_newline); end > at) return end;
    return line_break_or_spaces_end(text, at);
}

size_t qwen35_end(std::string_view text, size_t at) {
    const auto is_letter_or_mark = [](const Character& c) { return c.is_letter() || c.is_mark(); };
    if (const size_t end = contraction_end(text, at, true); end > at) return end;
    const Character first = character_at(text, at);
    const size_t letters = may_lead_letters(first) ? at + first.length : at;
    if (const size_t end = run_end(text, letters, is_letter_or_mark); end > letters) return end;
    if (is_letter_or_mark(first)) return letters;
    if (first.is_number()) return at + first.length;
    const size_t body = text[at] == ' ' ? at + 1 : at;
    const size_t end = run_end(text, body, [](const Character& c) { return c.is_other() && !c.is_mark(); });
    return end > body ? newlines_end(text, end) : line_break_or_spaces_end(text, at);
}

size_t seed_coder_end(std::string_view text, size_t at) {
    const auto none = [](const Character&) { return false; };
    if (const size_t end = contraction_end(text, at, true); end > at) return end;
    const Character first = character_at(text, at);
    const size_t letters = may_lead_letters(first) ? at + first.length : at;
    if (const size_t end = letters_end(text, letters); end > letters) return end;
    if (first.is_number()) return at + first.length;
    if (const size_t end = spaced_others_end(text, at, none); end > at) return end;
    return line_break_or_spaces_end(text, at);
}

// U*W+|U+W* with U for letters but a-z, W for letters but A-Z. As the expression backtracks, a run of U that no a-z
// follows ends after its last letter that is also W; only where there is none is it taken as a whole.
size_t cased_letters_end(std::string_view text, size_t at) {
    size_t end = at, end_of_both = at;
    for (Character c = character_at(text, end); c.is_letter() && !c.is_ascii_lower(); c = character_at(text, end)) {
        end += c.length;
        if (!c.is_ascii_upper()) end_of_both = end;
    }
    const size_t lower = run_end(text, end, [](const Character& c) { return c.is_letter() && !c.is_ascii_upper(); });
    if (lower > end) return lower;
    return end_of_both > at ? end_of_both : end;
}

template <int kMaxNumbers, bool kContractions>
size_t cased_end(std::string_view text, size_t at) {
    const Character first = character_at(text, at);
    const size_t letters = may_lead_letters(first) ? at + first.length : at;
    if (const size_t end = cased_letters_end(text, letters); end > letters) {
        return kContractions ? contraction_end(text, end, true) : end;
    }
    if (first.is_number()) return numbers_end(text, at, kMaxNumbers);
    const auto tail = [](const Character& c) { return c.is_newline() || c.code_point == '/'; };
    if (const size_t end = spaced_others_end(text, at, tail); end > at) return end;
    return line_break_or_spaces_end(text, at);
}

bool is_in(const Character& c, uint32_t first, uint32_t last) {
    return c.code_point >= first && c.code_point <= last && !c.is_space();
}

// U+0800-9FA5 and U+AC00-D7FF, as DeepSeek draws the line.
size_t deepseek_cjk_end(std::string_view text, size_t at) {
    return run_end(text, at, [](const Character& c) { return is_in(c, 0x800, 0x9FA5) || is_in(c, 0xAC00, 0xD7FF); });
}

size_t newline_end(std::string_view text, size_t at) { return one_end(text, at, is_newline); }

size_t spaced_letters_end(std::string_view text, size_t at) {
    return spaced_run_end(text, at, [](const Character& c) { return c.is_letter(); });
}

size_t spaced_punctuation_end(std::string_view text, size_t at) {
    return spaced_run_end(text, at, [](const Character& c) { return c.is_punctuation(); });
}

size_t spaced_deepseek_letters_end(std::string_view text, size_t at) {
    return spaced_run_end(text, at, [](const Character& c) { return is_deepseek_letter(c.code_point); });
}

size_t spaced_deepseek_punctuation_end(std::string_view text, size_t at) {
    return spaced_run_end(text, at, [](const Character& c) {
        return is_in(c, 0x21, 0x2F) || is_in(c, 0x3A, 0x7E) || is_in(c, 0xFF01, 0xFF0F) || is_in(c, 0xFF1A, 0xFF5E) ||
               is_in(c, 0x2018, 0x201F) || is_in(c, 0x3000, 0x3002);
    });
}

size_t cjk_and_kana_end(std::string_view text, size_t at) {
    return run_end(text, at, [](const Character& c) { return is_in(c, 0x4E00, 0x9FA5) || is_in(c, 0x3040, 0x30FF); });
}

bool is_ascii_punctuation(const Character& c) { return c.code_point < 0x80 && (c.is_punctuation() || c.is_symbol()); }

size_t deepseek_v3_end(std::string_view text, size_t at) {
    const auto is_letter_or_mark = [](const Character& c) { return c.is_letter() || c.is_mark(); };
    const auto is_sign = [](const Character& c) { return c.is_punctuation() || c.is_symbol(); };
    const Character first = character_at(text, at);
    const size_t second = at + first.length;
    if (is_ascii_punctuation(first)) {
        const auto is_ascii_letter = [](const Character& c) { return c.is_ascii_upper() || c.is_ascii_lower(); };
        if (const size_t end = run_end(text, second, is_ascii_letter); end > second) return end;
    }
    if (!first.is_newline() && !is_sign(first)) {
        if (const size_t end = run_end(text, second, is_letter_or_mark); end > second) return end;
        if (is_letter_or_mark(first)) return second;
    }
    const size_t body = text[at] == ' ' ? second : at;
    if (const size_t end = run_end(text, body, is_sign); end > body) return newlines_end(text, end);
    return line_break_or_spaces_end(text, at);
}

template <bool kBacktick>
size_t falcon_signs_end(std::string_view text, size_t at) {
    return run_end(text, at, [](const Character& c) {
        const bool is_listed =
            c.code_point < 0x80 &&
            std::string_view("$+<=>^~|").find(static_cast<char>(c.code_point)) != std::string_view::npos;
        return c.is_punctuation() || is_listed || (kBacktick && c.code_point == '`');
    });
}

size_t three_digits_end(std::string_view text, size_t at) {
    const size_t end = run_end(
        text, at, [](const Character& c) { return c.is_ascii_digit(); }, 3);
    return end == at + 3 ? end : at;
}

template <int kMost>
size_t numbers_up_to(std::string_view text, size_t at) {
    return numbers_end(text, at, kMost);
}

size_t bloom_end(std::string_view text, size_t at) {
    const auto is_word = [](const Character& c) {
        constexpr uint32_t kExcluded[] = {'(',    '|',    '.',    ',',    '!',   '?',   ')',
                                          0x2026, 0x3002, 0xFF0C, 0x3001, 0x964, 0x6D4, 0x60C};
        return !c.is_space() &&
               std::find(std::begin(kExcluded), std::end(kExcluded), c.code_point) == std::end(kExcluded);
    };
    const size_t body = text[at] == ' ' ? at + 1 : at;
    const size_t end = run_end(text, body, is_word);
    return end > body ? end : at;
}

// [begin, end) of the text; an empty one at its end is no match.
struct Match {
    size_t begin, end;
};

// A regular expression: its first match at or after `at`.
using Step = Match (*)(std::string_view text, size_t at);

// The expression that matches where match_end says.
template <size_t match_end(std::string_view, size_t)>
Match first_match(std::string_view text, size_t at) {
    for (; at < text.size(); at += character_at(text, at).length) {
        if (const size_t end = match_end(text, at); end > at) return {at, end};
    }
    return {text.size(), text.size()};
}

// \s+$ : in one walk over the text, however much white space there is elsewhere.
Match trailing_spaces(std::string_view text, size_t at) {
    size_t begin = at;
    while (at < text.size()) {
        const Character c = character_at(text, at);
        at += c.length;
        if (!c.is_space()) begin = at;
    }
    return {begin, at};
}

// Where three digits, or six, nine, …, are all that is left of their run; the end of the text if nowhere.
size_t digit_group(std::string_view text, size_t at) {
    while (at < text.size()) {
        const size_t end = run_end(text, at, [](const Character& c) { return c.is_ascii_digit(); });
        if (end > at && (end - at) % 3 == 0) return at;
        at += end > at ? (end - at) % 3 : character_at(text, at).length;
    }
    return text.size();
}

// (?=(\d{3})+(?!\d)) : cuts there, and takes along what comes before the next cut.
Match digit_group_match(std::string_view text, size_t at) {
    const size_t begin = digit_group(text, at);
    return {begin, begin < text.size() ? digit_group(text, begin + 1) : begin};
}

constexpr int kUnlimited = std::numeric_limits<int>::max();
constexpr Step kNumber = first_match<numbers_up_to<1>>, kThreeNumbers = first_match<numbers_up_to<3>>,
               kNumbers = first_match<numbers_up_to<kUnlimited>>, kGpt2 = first_match<gpt2_end>;

constexpr Step kGpt2Steps[] = {kGpt2};
constexpr Step kGpt2DigitsSteps[] = {kNumber, kGpt2};
constexpr Step kLlama3Steps[] = {first_match<llama3_end<3>>};
constexpr Step kMiniCpm5Steps[] = {kThreeNumbers, first_match<llama3_end<3>>};
constexpr Step kQwen2Steps[] = {first_match<llama3_end<1>>};
constexpr Step kQwen35Steps[] = {first_match<qwen35_end>};
constexpr Step kSeedCoderSteps[] = {first_match<seed_coder_end>};
constexpr Step kGpt4oSteps[] = {first_match<cased_end<3, true>>};
constexpr Step kTekkenSteps[] = {first_match<cased_end<1, false>>};
constexpr Step kDeepseekCoderSteps[] = {first_match<newline_end>, first_match<spaced_letters_end>,
                                        first_match<spaced_punctuation_end>, first_match<deepseek_cjk_end>, kNumber};
constexpr Step kDeepseekLlmSteps[] = {first_match<newline_end>,
                                      first_match<spaced_deepseek_letters_end>,
                                      first_match<spaced_deepseek_punctuation_end>,
                                      trailing_spaces,
                                      first_match<deepseek_cjk_end>,
                                      kNumbers};
constexpr Step kDeepseekV3Steps[] = {kThreeNumbers, first_match<cjk_and_kana_end>, first_match<deepseek_v3_end>};
constexpr Step kFalconSteps[] = {first_match<falcon_signs_end<true>>, kGpt2, first_match<three_digits_end>};
constexpr Step kDefaultSteps[] = {first_match<falcon_signs_end<false>>, kGpt2, kNumbers, first_match<three_digits_end>};
constexpr Step kBloomSteps[] = {first_match<bloom_end>};
constexpr Step kSuperBpeSteps[] = {kNumbers, digit_group_match};
constexpr Step kVikingSteps[] = {first_match<bloom_end>, kNumber};

std::span<const Step> steps_of(Grammar grammar) {
    switch (grammar) {
        case Grammar::gpt2:
            return kGpt2Steps;
        case Grammar::gpt2_digits:
            return kGpt2DigitsSteps;
        case Grammar::llama3:
            return kLlama3Steps;
        case Grammar::minicpm5:
            return kMiniCpm5Steps;
        case Grammar::qwen2:
            return kQwen2Steps;
        case Grammar::qwen35:
            return kQwen35Steps;
        case Grammar::seed_coder:
            return kSeedCoderSteps;
        case Grammar::gpt4o:
            return kGpt4oSteps;
        case Grammar::tekken:
            return kTekkenSteps;
        case Grammar::deepseek_coder:
            return kDeepseekCoderSteps;
        case Grammar::deepseek_llm:
            return kDeepseekLlmSteps;
        case Grammar::deepseek_v3:
            return kDeepseekV3Steps;
        case Grammar::falcon:
            return kFalconSteps;
        case Grammar::by_default:
            return kDefaultSteps;
        case Grammar::bloom:
            return kBloomSteps;
        case Grammar::viking:
            return kVikingSteps;
        case Grammar::superbpe:
            return kSuperBpeSteps;
    }
    return {};
}

// Cuts around the matches of the first step: each match, and what lies between two of them, is cut by the next steps.
void cut(std::string_view text, std::span<const Step> steps, const std::function<void(std::string_view)>& use) {
    if (steps.empty()) return use(text);
    for (size_t at = 0; at < text.size();) {
        const Match match = steps[0](text, at);
        if (match.begin > at) cut(text.substr(at, match.begin - at), steps.subspan(1), use);
        if (match.end > match.begin) cut(text.substr(match.begin, match.end - match.begin), steps.subspan(1), use);
        at = match.end;
    }
}

}  // namespace

const PreTokenizer* find_pre_tokenizer(std::string_view name) {
    for (const PreTokenizer& known : kPreTokenizers) {
        if (name == known.name) return &known;
    }
    return nullptr;
}

std::string known_pre_tokenizers() {
    std::string names;
    for (const PreTokenizer& known : kPreTokenizers) {
        if (!names.empty()) names += ", ";
        names += known.name;
    }
    return names;
}

void for_each_word(Grammar grammar, std::string_view text, const std::function<void(std::string_view)>& use) {
    cut(text, steps_of(grammar), use);
}

}  // namespace strata
