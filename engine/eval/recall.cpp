#include "engine/eval/recall.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>

namespace strata {

namespace {

constexpr int kLead = 64;          // prose before the first group
constexpr int kGroup = 5;          // facts with one attribute
constexpr int kMaxGroups = 3;      // in a context: at 1,536 tokens all still fit 2,048
constexpr int kGroupTokens = 128;  // about
constexpr int kBetweenFacts = 8;
constexpr int kMaxTold = 12;     // facts in a conversation, of about …
constexpr int kToldTokens = 30;  // … so many tokens with their markup
constexpr int kMaxPassage = 700, kMinPassage = 8;
constexpr int kMaxEmptyContexts = 100;  // then nothing can be asked at that age

void append(std::vector<int>& tokens, std::span<const int> more) {
    tokens.insert(tokens.end(), more.begin(), more.end());
}

// Tells of the filler that it is too short, in place of a context.
Error filler_too_short(const RecallFiller& filler, int64_t needed) {
    return {ErrorCode::invalid_argument, "the filler has " + std::to_string(filler.size()) + " tokens, but " +
                                             std::to_string(needed) +
                                             " in a row are needed at this age, and some to choose from"};
}

// The value's tokens as they follow `before`.
std::vector<int> value_tokens(const Tokenizer& tokenizer, const std::string& before, const std::string& value) {
    const auto shorter = tokenizer.encode(before), whole = tokenizer.encode(before + " " + value);
    const auto begin = std::mismatch(shorter.begin(), shorter.end(), whole.begin(), whole.end()).second;
    return {begin, whole.end()};
}

// ---- raw

class RawWriter {
public:
    RawWriter(const Tokenizer& tokenizer, const RecallFiller& filler, const RecallTask& task, RecallRandom random)
        : tokenizer_(tokenizer), filler_(filler), task_(task), random_(random) {}

    Result<RecallContext> write() {
        if (tokenizer_.wants_bos()) context_.tokens.push_back(tokenizer_.bos());
        if (!filler_.has_room(kLead)) return filler_too_short(filler_, kLead);
        append_filler(kLead);
        const int groups = std::clamp(int((task_.age - 32) / kGroupTokens), 1, kMaxGroups);
        std::vector<int> attributes;
        while (int(attributes.size()) < groups) {
            const int attribute = random_.below(n_recall_attributes());
            if (std::find(attributes.begin(), attributes.end(), attribute) == attributes.end())
                attributes.push_back(attribute);
        }
        for (const int attribute : attributes)
            for (const RecallFact& fact : confusable_facts(random_, attribute, kGroup)) tell(fact);
        return ask();
    }

private:
    void append_filler(int64_t n) { append(context_.tokens, filler_.stretch(random_, n)); }

    void tell(const RecallFact& fact) {
        if (!context_.questions.empty()) append_filler(kBetweenFacts);
        append(context_.tokens, tokenizer_.encode(std::string("\n") + fact.statement() + "\n"));
        const int64_t told_at = int64_t(context_.tokens.size());
        auto question = tokenizer_.encode(std::string("\n") + fact.question());
        const int64_t asked_at = told_at + task_.age - int64_t(question.size());
        context_.questions.push_back(
            {told_at, asked_at, std::move(question), value_tokens(tokenizer_, fact.question(), fact.value)});
    }

    // Every question has its exact age; one that is due before all facts have been told is left out.
    Result<RecallContext> ask() {
        auto& questions = context_.questions;
        std::sort(questions.begin(), questions.end(),
                  [](const RecallQuestion& a, const RecallQuestion& b) { return a.asked_at < b.asked_at; });
        const int64_t told = int64_t(context_.tokens.size());
        questions.erase(std::remove_if(questions.begin(), questions.end(),
                                       [&](const RecallQuestion& question) { return question.asked_at < told; }),
                        questions.end());
        if (questions.empty()) return std::move(context_);
        const int64_t left = questions.back().asked_at - told;
        if (!filler_.has_room(left)) return filler_too_short(filler_, left);
        append_filler(left);
        return std::move(context_);
    }

    const Tokenizer& tokenizer_;
    const RecallFiller& filler_;
    const RecallTask& task_;
    RecallRandom random_;
    RecallContext context_;
};

// ---- chat

class ChatWriter {
public:
    ChatWriter(const Tokenizer& tokenizer, const RecallFiller& filler, const RecallTask& task, RecallRandom random)
        : tokenizer_(tokenizer), filler_(filler), task_(task), random_(random) {}

    Result<RecallContext> write() {
        if (!filler_.has_room(kMaxPassage)) return filler_too_short(filler_, kMaxPassage);
        tell_all();
        const int64_t told = now();
        markup_ = now_after_passage(0) - told;
        for (size_t first = 0; first < due_.size();) first = ask_around(first);
        return std::move(context_);
    }

private:
    struct Due {
        RecallTold fact;
        RecallQuestion question;  // asked_at: when the fact is exactly as old as it should be
    };

    int64_t now() const { return int64_t(context_.tokens.size()); }

    void turn(std::string_view message, std::string_view answer) {
        append(context_.tokens, task_.encode_turn(context_.tokens.empty(), message));
        append(context_.tokens, tokenizer_.encode(answer));
    }

    void tell_all() {
        const int n = std::clamp(int((task_.age - 60) / kToldTokens), 1, kMaxTold);
        for (RecallTold& fact : told_facts(random_, n)) {
            append(context_.tokens, task_.encode_turn(context_.tokens.empty(), fact.statement()));
            const int64_t told_at = now();
            append(context_.tokens, tokenizer_.encode(acknowledgement(random_)));
            std::vector<int> question = task_.encode_turn(false, fact.question(random_));
            append(question, tokenizer_.encode(fact.answer_begin()));
            const int64_t asked_at = told_at + task_.age - int64_t(question.size());
            auto answer = value_tokens(tokenizer_, fact.answer_begin(), fact.value);
            due_.push_back({std::move(fact), {told_at, asked_at, std::move(question), std::move(answer)}});
        }
        std::stable_sort(due_.begin(), due_.end(),
                         [](const Due& a, const Due& b) { return a.question.asked_at < b.question.asked_at; });
    }

    void passage(int64_t n_filler) {
        const std::string prose = n_filler > 0 ? tokenizer_.decode(filler_.stretch(random_, n_filler)) : std::string();
        turn(std::string("Read this:\n") + prose, "Thank you, I have read it.");
    }

    // Where the context would end if such a passage were added.
    int64_t now_after_passage(int64_t n_filler) {
        const size_t before = context_.tokens.size();
        passage(n_filler);
        const int64_t after = now();
        context_.tokens.resize(before);
        return after;
    }

    // Questions are asked between messages only: one place serves all facts that are within 10 % of their age there.
    // Returns the first of due_ that is not dealt with; what cannot be asked in time is left out.
    size_t ask_around(size_t first) {
        const int64_t tolerance = task_.age / 10;
        size_t end = first + 1;
        while (end < due_.size() && due_[end].question.asked_at - due_[first].question.asked_at <= 2 * tolerance) ++end;
        read_until((due_[first].question.asked_at + due_[end - 1].question.asked_at) / 2);
        for (size_t i = first; i < end; ++i) {
            RecallQuestion question = due_[i].question;
            if (std::abs(now() - question.asked_at) > tolerance) continue;
            question.asked_at = now();
            context_.questions.push_back(std::move(question));
        }
        return end;
    }

    // Passages up to about there. Nothing when there is no room for one.
    void read_until(int64_t place) {
        for (int64_t left = place - now(); left >= markup_ + kMinPassage; left = place - now()) {
            const bool last = left <= markup_ + kMaxPassage;
            const int64_t room_for_next = markup_ + kMinPassage;
            passage(last ? left - markup_ : std::min<int64_t>(kMaxPassage, left - markup_ - room_for_next));
            if (last) return;
        }
    }

    const Tokenizer& tokenizer_;
    const RecallFiller& filler_;
    const RecallTask& task_;
    RecallRandom random_;
    RecallContext context_;
    std::vector<Due> due_;
    int64_t markup_ = 0;  // tokens of a passage beside its prose
};

// A stream of its own for each context, so that more questions of one kind do not change the others.
RecallRandom stream(const RecallTask& task, int context) {
    RecallRandom random(task.seed);
    for (const uint64_t salt : {uint64_t(task.form), uint64_t(task.age), uint64_t(context)})
        random = RecallRandom(random.next() ^ salt);
    return random;
}

// ---- asking

int likeliest(std::span<const float> logits) {
    return int(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

// Reads the question and all of the answer but its last token, and looks at what is predicted for each.
Result<bool> is_answered(Session& session, const RecallQuestion& question) {
    std::vector<int> read = question.question;
    append(read, std::span(question.answer).first(question.answer.size() - 1));
    const int64_t first = session.position() + int64_t(question.question.size()) - 1;
    bool right = true;
    const Status scored = session.score(read, [&](int64_t position, std::span<const float> logits) {
        if (position >= first && likeliest(logits) != question.answer[size_t(position - first)]) right = false;
    });
    if (!scored) return scored.error();
    return right;
}

// ---- counting

// The mean over all questions; its error from the sums over contexts (clusters).
Estimate clustered(const std::vector<std::vector<double>>& contexts) {
    double sum = 0, n = 0;
    for (const auto& context : contexts)
        for (const double value : context) sum += value, n += 1;
    Estimate result;
    if (n == 0) return result;
    result.mean = sum / n;
    double squares = 0;
    for (const auto& context : contexts) {
        double deviation = 0;
        for (const double value : context) deviation += value - result.mean;
        squares += deviation * deviation;
    }
    const double count = double(contexts.size());
    if (count > 1) result.se = std::sqrt(squares * count / (count - 1)) / n;
    return result;
}

}  // namespace

Result<std::vector<RecallContext>> recall_contexts(const Tokenizer& tokenizer, const RecallFiller& filler,
                                                   const RecallTask& task) {
    if (task.age < kLeastRecallAge || task.n_questions < 1)
        return Error{ErrorCode::invalid_argument, std::to_string(task.n_questions) + " questions at an age of " +
                                                      std::to_string(task.age) + " tokens; expected at least 1, and " +
                                                      std::to_string(kLeastRecallAge)};
    std::vector<RecallContext> contexts;
    int n = 0, empty = 0;
    for (int i = 0; n < task.n_questions; ++i) {
        auto context = task.form == RecallForm::raw ? RawWriter(tokenizer, filler, task, stream(task, i)).write()
                                                    : ChatWriter(tokenizer, filler, task, stream(task, i)).write();
        if (!context) return context.error();
        auto& questions = context->questions;
        if (questions.empty() && ++empty == kMaxEmptyContexts)
            return Error{ErrorCode::invalid_argument,
                         "an age of " + std::to_string(task.age) + " tokens is shorter than this model's questions"};
        if (questions.empty()) continue;
        questions.resize(std::min(questions.size(), size_t(task.n_questions - n)));
        n += int(questions.size());
        context->tokens.resize(size_t(questions.back().asked_at));
        contexts.push_back(std::move(*context));
    }
    return contexts;
}

Result<std::vector<bool>> recall_answers(const Model& model, const RecallContext& context,
                                         const SessionOptions& options) {
    auto session = Session::open(model, options);
    if (!session) return session.error();
    std::vector<bool> answers;
    for (const RecallQuestion& question : context.questions) {
        const int64_t position = (*session)->position();
        const auto ahead = std::span(context.tokens).subspan(size_t(position), size_t(question.asked_at - position));
        if (const Status read = (*session)->append(ahead); !read) return read.error();
        (*session)->begin_turn();
        const auto right = is_answered(**session, question);
        if (!right) return right.error();
        const auto exact = (*session)->truncate(question.asked_at);
        if (!exact) return exact.error();
        if (!*exact)
            return Error{ErrorCode::invalid_argument,
                         "this memory cannot forget a question without a trace (" + options.kv.policy() + ")"};
        answers.push_back(*right);
    }
    return answers;
}

RecallTally tally(const RecallAnswers& answers, const RecallAnswers& reference) {
    RecallTally result;
    std::vector<std::vector<double>> right(answers.size()), difference(reference.size());
    for (size_t c = 0; c < answers.size(); ++c) {
        for (size_t q = 0; q < answers[c].size(); ++q) {
            const bool here = answers[c][q];
            ++result.n;
            result.correct += here;
            right[c].push_back(here);
            if (reference.empty()) continue;
            const bool there = reference[c][q];
            result.n_only_this += here && !there;
            result.n_only_reference += there && !here;
            difference[c].push_back(double(here) - double(there));
        }
    }
    result.accuracy = clustered(right);
    result.difference = clustered(difference);
    return result;
}

}  // namespace strata
