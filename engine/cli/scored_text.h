// What the commands that score a text share: its tokens, what there is to warn about, and the scores as a file.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace strata::cli {

// The tokens of a file ("-": standard input), the first max_tokens of them; 0: all. Says so on stderr when the text is
// not taken as it is.
Result<std::vector<int>> text_tokens(const Tokenizer& tokenizer, const std::string& path, int64_t max_tokens);

// Warns where so many tokens in one pass are more than the model was trained on.
void warn_beyond_trained_length(const ModelConfig& config, int64_t n_tokens);

// float32 in the machine's order, nothing else.
Status write_floats(const std::string& path, std::span<const float> numbers);

}  // namespace strata::cli
