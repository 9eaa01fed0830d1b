#include "engine/cli/recall_file.h"

#include <algorithm>
#include <fstream>
#include <optional>
#include <sstream>

#include "engine/cli/model_file.h"
#include "engine/cli/report.h"

namespace strata::cli {
namespace {

struct Question {
    RecallForm form;
    int64_t age;
    std::string prompt, answer;
};

std::optional<Question> parse(const std::string& line) {
    const Json json = Json::parse(line, nullptr, false);
    if (!json.is_object()) return std::nullopt;
    const auto text = [&](const char* key) {
        const auto found = json.find(key);
        return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
    };
    const auto age = json.find("age");
    const std::string form = text("form");
    if ((form != "raw" && form != "chat") || age == json.end() || !age->is_number_integer()) return std::nullopt;
    Question question{form == "raw" ? RecallForm::raw : RecallForm::chat, age->get<int64_t>(), text("prompt"),
                      text("answer")};
    if (question.prompt.empty() || question.answer.empty()) return std::nullopt;
    return question;
}

// All of the prompt is the context, but for its last token, after which the answer is expected.
RecallContext context_of(const Question& question, const Tokenizer& tokenizer) {
    RecallContext context;
    context.tokens = tokenizer.with_bos(tokenizer.encode(question.prompt, SpecialTokens::parse));
    const int last = context.tokens.back();
    context.tokens.pop_back();
    const auto n = int64_t(context.tokens.size());
    context.questions.push_back({n + 1 - question.age, n, {last}, tokenizer.encode(question.answer)});
    return context;
}

RecallPart& part_of(std::vector<RecallPart>& parts, const Question& question) {
    const auto found = std::find_if(parts.begin(), parts.end(), [&](const RecallPart& part) {
        return part.form == question.form && part.age == question.age;
    });
    return found != parts.end() ? *found : parts.emplace_back(RecallPart{question.form, question.age, {}});
}

}  // namespace

int64_t RecallPart::n_tokens() const {
    int64_t n = 0;
    for (const RecallContext& context : contexts) n += int64_t(context.tokens.size());
    return n;
}

const char* form_name(RecallForm form) { return form == RecallForm::raw ? "raw" : "chat"; }

Status write_questions(const std::string& path, const Tokenizer& tokenizer, const std::vector<RecallPart>& parts) {
    std::ofstream file(path, std::ios::binary);
    for (const RecallPart& part : parts) {
        for (const RecallContext& context : part.contexts) {
            for (const RecallQuestion& question : context.questions) {
                const auto read = std::span(context.tokens).first(size_t(question.asked_at));
                const Json line = {
                    {"form", form_name(part.form)},
                    {"age", part.age},
                    {"exact_age", question.age()},
                    {"prompt", tokenizer.decode(read, true) + tokenizer.decode(question.question, true)},
                    {"answer", tokenizer.decode(question.answer, true)},
                };
                file << line.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
            }
        }
    }
    file.close();
    if (!file) return Error{ErrorCode::invalid_argument, "cannot write the questions to '" + path + "'"};
    return Done{};
}

Result<std::vector<RecallPart>> read_questions(const std::string& path, const Tokenizer& tokenizer) {
    const auto text = read_text(path);
    if (!text) return text.error();
    std::istringstream lines(*text);
    std::vector<RecallPart> parts;
    int number = 0;
    for (std::string line; std::getline(lines, line);) {
        ++number;
        if (line.empty()) continue;
        const auto question = parse(line);
        if (!question)
            return Error{
                ErrorCode::invalid_argument,
                "line " + std::to_string(number) + " of '" + path +
                    R"(' is no question; expected {"form": "raw" or "chat", "age": …, "prompt": …, "answer": …})"};
        part_of(parts, *question).contexts.push_back(context_of(*question, tokenizer));
    }
    if (parts.empty()) return Error{ErrorCode::invalid_argument, "'" + path + "' has no questions"};
    return parts;
}

}  // namespace strata::cli
