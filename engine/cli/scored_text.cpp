#include "engine/cli/scored_text.h"

#include <fstream>

#include "engine/cli/model_file.h"
#include "engine/cli/report.h"

namespace strata::cli {

Result<std::vector<int>> text_tokens(const Tokenizer& tokenizer, const std::string& path, int64_t max_tokens) {
    const auto text = read_text(path);
    if (!text) return text.error();
    if (const size_t at = find_invalid_utf8(*text); at != std::string::npos)
        warn("the text is no valid UTF-8 from byte " + std::to_string(at) + " on; it is scored as it is, byte by byte");
    std::vector<int> tokens = tokenizer.encode(*text);
    if (max_tokens <= 0 || int64_t(tokens.size()) <= max_tokens) return tokens;
    note("only the first " + std::to_string(max_tokens) + " of " + std::to_string(tokens.size()) +
         " tokens are scored, because of --max-tokens");
    tokens.resize(size_t(max_tokens));
    return tokens;
}

void warn_beyond_trained_length(const ModelConfig& config, int64_t n_tokens) {
    if (config.trained_length <= 0 || n_tokens <= config.trained_length) return;
    warn(std::to_string(n_tokens) + " tokens in one pass, but this model was trained on " +
         std::to_string(config.trained_length) + ": what lies beyond measures the model's limit, not the memory's");
}

Status write_floats(const std::string& path, std::span<const float> numbers) {
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(numbers.data()), std::streamsize(numbers.size_bytes()));
    file.close();
    if (!file) return Error{ErrorCode::invalid_argument, "cannot write the scores to '" + path + "'"};
    return Done{};
}

}  // namespace strata::cli
