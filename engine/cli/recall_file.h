// Questions of `strata recall` in a file, for other engines and from other programs: one JSON object a line, with
//   form     "raw" or "chat"
//   age      tokens, as a heading: what was measured by whoever wrote the file
//   prompt   the whole text to read, control tokens written out
//   answer   what is to be written after it, with its leading space
#pragma once
#include <string>
#include <vector>

#include "engine/engine.h"

namespace strata::cli {

// The questions of one form and age, the same for every memory.
struct RecallPart {
    RecallForm form;
    int64_t age;
    std::vector<RecallContext> contexts;

    int64_t n_tokens() const;
};

const char* form_name(RecallForm form);

Status write_questions(const std::string& path, const Tokenizer& tokenizer, const std::vector<RecallPart>& parts);

// In the order in which forms and ages first occur. Fails with invalid_argument for a line that is no such object,
// naming it, and for a file without any.
Result<std::vector<RecallPart>> read_questions(const std::string& path, const Tokenizer& tokenizer);

}  // namespace strata::cli
