// Chooses the next token from logits. The same seed gives the same choices in every build: own random numbers
// (SplitMix64 seeding xoshiro256**), own exp, a fixed order of all sums.
#pragma once
#include <array>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "engine/base/result.h"

namespace strata {

struct SamplerOptions {
    float temperature = 0.7f;  // 0: always the likeliest token (greedy); the filters below are then ignored
    int top_k = 40;            // keep the k likeliest; 0: all
    float top_p = 0.95f;       // keep the smallest set that holds this probability; 1: all
    float min_p = 0.05f;       // drop tokens less likely than this fraction of the likeliest; 0: none
    float repeat_penalty =
        1.0f;                // divide (multiply, if negative) the logits of recent tokens; 1: off (CTRL, 1909.05858)
    int repeat_last_n = 64;  // how many recent tokens that covers; 0: none
    uint64_t seed = 0;
};

class Sampler {
public:
    // invalid_argument, naming the option and its range, for NaN, negative or impossible values.
    static Result<Sampler> create(const SamplerOptions& options);

    // logits (n_vocab), unchanged. Ties go to the lowest id. Non-finite logits count as minus infinity.
    int sample(std::span<const float> logits);
    // Makes the next choice depend on the seed and on this position alone, not on how many choices were made before: a
    // conversation that was put away and taken up again goes on as if it had not been.
    void seek(uint64_t position);

    // Records a token, generated or given, for the repetition penalty.
    void accept(int token);

private:
    explicit Sampler(const SamplerOptions& options);
    std::span<const float> penalised(std::span<const float> logits);
    void find_candidates(std::span<const float> logits, size_t most);

    SamplerOptions options_;
    std::array<uint64_t, 4> random_{};
    std::deque<int> recent_;
    std::vector<float> penalised_;                   // scratch
    std::vector<std::pair<float, int>> candidates_;  // scratch
};

}  // namespace strata
