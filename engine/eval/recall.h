// Recall: facts are planted at a chosen age among prose, and asked at the end. A question counts as answered when
// greedy decoding would write exactly the tokens of the value.
//
// How it is made affordable: a context holds several facts and is read once for each memory. Where the first fact has
// reached its age, reading stops (Session::begin_turn), the question and its answer are read, the likeliest tokens are
// compared with the answer's, and everything back to there is forgotten (Session::truncate, exact to the bit); then
// reading goes on to where the next question is due. No question sees another one. Reading the answer instead of
// writing it gives the same verdict: the value is written if and only if each of its tokens is the likeliest after
// those before it.
//
// Forms, worded as the shipped model was trained to understand them:
//   raw   groups of five statements, "The ATTRIBUTE of OWNER is VALUE.", with the attribute in common, among prose;
//         asked "What is the ATTRIBUTE of OWNER? The ATTRIBUTE of OWNER is"
//   chat  messages "My SLOT is VALUE.", then pasted passages; asked "What is my SLOT?", answered "Your SLOT is"
// Pure functions over sessions: no files, no printing.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "engine/eval/kld.h"
#include "engine/eval/recall_facts.h"
#include "engine/session.h"

namespace strata {

enum class RecallForm { raw, chat };

// The tokens that a message adds to a conversation: the end of the answer before (nothing at `first`), the message in
// its markup, and what stands before its answer.
using EncodeTurn = std::function<std::vector<int>(bool first, std::string_view message)>;

struct RecallTask {
    RecallForm form = RecallForm::raw;
    int64_t age = 512;  // tokens from the end of the fact to the first token of the answer; in `chat` within 10 %
    int n_questions = 400;
    uint64_t seed = 1;
    EncodeTurn encode_turn;  // chat only
};

struct RecallQuestion {
    int64_t told_at;            // so many tokens of the context have been read when the fact is told …
    int64_t asked_at;           // … and so many when it is asked
    std::vector<int> question;  // read there
    std::vector<int> answer;    // to be written after it

    int64_t age() const { return asked_at + int64_t(question.size()) - told_at; }
};

struct RecallContext {
    std::vector<int> tokens;
    std::vector<RecallQuestion> questions;  // asked_at does not descend
};

constexpr int kLeastRecallAge = 64;

// Contexts with n_questions in all. The same task gives the same contexts in every build. Fails with invalid_argument
// when the filler is too short, or nothing can be asked at that age.
Result<std::vector<RecallContext>> recall_contexts(const Tokenizer& tokenizer, const RecallFiller& filler,
                                                   const RecallTask& task);

// Which questions of a context are answered, in order. Fails as Session::append does, and with invalid_argument when
// the memory cannot forget a question without a trace (rows with a window).
Result<std::vector<bool>> recall_answers(const Model& model, const RecallContext& context,
                                         const SessionOptions& options);

// Standard errors are between contexts, as the questions of one context share its prose and its facts.
struct RecallTally {
    int64_t n = 0, correct = 0;
    Estimate accuracy;
    int64_t n_only_reference = 0, n_only_this = 0;  // answered with that memory and not with the other
    Estimate difference;                            // of accuracy: this - reference
};

// The answers of one memory, and those of the reference to the same contexts (empty: none).
using RecallAnswers = std::vector<std::vector<bool>>;
RecallTally tally(const RecallAnswers& answers, const RecallAnswers& reference);

}  // namespace strata
