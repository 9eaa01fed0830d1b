#include "engine/eval/guard.h"

#include <algorithm>

#include "engine/eval/kld.h"

namespace strata {

namespace {

// Ordinary prose, some numbers, a list and a dialogue: about 512 tokens of most vocabularies. Ours.
constexpr const char* kText =
    "The lighthouse at Marrow Point was built in 1873, when ships still went by sail, and it has been mended eleven "
    "times "
    "since. Its keeper, an old woman called Edda Varley, knew every one of those repairs by heart. She could say which "
    "stones were new, who had carried them up the cliff, and what each man had been paid: four shillings a day in "
    "summer, "
    "three in winter, and a hot meal either way.\n\nOn the morning of the ninth of March the fog was so thick that the "
    "sea "
    "could only be heard. Edda lit the lamp at six, as always, and wound the clockwork that turns it. Then she wrote "
    "in her "
    "book: wind from the north-west, visibility nil, two boats out.\n\n\"Two boats,\" she said to the cat. \"That is "
    "one more "
    "than I like.\"\n\nThe first came home before noon. It was the Juniper, with a torn net and no fish at all. Her "
    "skipper, "
    "Tom Hallard, climbed the 214 steps to tell her what he had seen. \"There is something on the bar,\" he said. "
    "\"Not a "
    "wreck. It moved.\"\n\n\"A whale?\"\n\n\"If it was, then it was the largest whale that ever came here, and it had "
    "a light on "
    "it.\"\n\nShe did not laugh. In forty years she had learned not to laugh at what men saw in the fog; about half of "
    "it turned "
    "out to be true. She gave him tea, and bread with salt butter, and took down from the shelf the list that her "
    "father had "
    "begun:\n\n1. 1891, a raft with a piano on it.\n2. 1904, three barrels, all empty, tied together with silk.\n3. "
    "1926, a "
    "balloon, without its basket.\n4. 1938, a dog, alive, on a door.\n\nUnder the last line she wrote the date, and "
    "waited. By "
    "four in the afternoon the fog had begun to lift, and the second boat could be seen, far out, lying still. Behind "
    "it, where "
    "the water is never deeper than nine feet, there was indeed a light. It was green. It went on and off, slowly, as "
    "if "
    "somebody were opening and closing a hand in front of it. Edda counted: five seconds of light, five seconds of "
    "darkness, "
    "then ten of light. She knew that signal, although she had not seen it for thirty years, because there was only "
    "one other "
    "lamp in the world that had ever been turned in that way, and it was her own. Whoever was out there had learned it "
    "from "
    "this tower. She went down to the store, took the long lens from its box, cleaned it with a little spirit, and "
    "carried it "
    "up again, step by step, resting at every landing. When it was in its place she stopped the clockwork, laid her "
    "hand upon "
    "the shutter, and answered.";

std::vector<int> guard_tokens(const Tokenizer& tokenizer) {
    const std::vector<int> text = tokenizer.encode(kText);
    std::vector<int> tokens;
    while (int(tokens.size()) < kGuardTokens) tokens.insert(tokens.end(), text.begin(), text.end());
    tokens.resize(kGuardTokens);
    return tokens;
}

class Trials {
public:
    Trials(const Model& model, const SessionOptions& options)
        : model_(model), options_(options), tokens_(guard_tokens(model.tokenizer())) {
        options_.kv.budget_bytes = 0;
    }

    Result<double> mean_kld(const std::vector<int>& guarded) {
        KldOptions options;
        options.session = options_;
        options.session.kv.guarded_layers = guarded;
        const auto result = kl_divergence(model_, tokens_, options);
        if (!result) return result.error();
        return summarise(result->scores).kld.mean;  // of positions from 256 on
    }

private:
    const Model& model_;
    SessionOptions options_;
    std::vector<int> tokens_;
};

}  // namespace

// Layers are guarded in the order of what guarding each alone gains, until the rest is good enough.
Result<GuardResult> guard(const Model& model, const SessionOptions& options, double threshold) {
    if (!options.kv.preset)
        return Error{ErrorCode::invalid_argument, "the guard is for tiered memory: choose a preset"};
    Trials trials(model, options);
    const auto without = trials.mean_kld({});
    if (!without) return without.error();
    GuardResult result{*without, *without, {}};
    if (*without <= threshold) return result;

    std::vector<std::pair<double, int>> gains;  // KLD with one layer guarded
    for (int layer = 0; layer < model.config().n_layers; ++layer) {
        const auto alone = trials.mean_kld({layer});
        if (!alone) return alone.error();
        gains.emplace_back(*alone, layer);
    }
    std::sort(gains.begin(), gains.end());
    for (const auto& [kld, layer] : gains) {
        result.guarded_layers.push_back(layer);
        std::sort(result.guarded_layers.begin(), result.guarded_layers.end());
        const auto with = trials.mean_kld(result.guarded_layers);
        if (!with) return with.error();
        result.kld = *with;
        if (result.kld <= threshold) break;
    }
    return result;
}

}  // namespace strata
