#include "engine/eval/guard.h"

#include <algorithm>

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

// As summarise() has it, without the rest of it: this is part of the page's module.
double mean_kld(const std::vector<KldScore>& scores) {
    double sum = 0;
    int64_t n = 0;
    for (const KldScore& score : scores) {
        if (score.position < kBeyondWindow) continue;
        sum += score.kld;
        ++n;
    }
    return sum / double(n);
}

}  // namespace

GuardRun::GuardRun(const Model& model, const SessionOptions& options, double threshold)
    : model_(model), options_(options), threshold_(threshold), tokens_(guard_tokens(model.tokenizer())) {
    options_.kv.budget_bytes = 0;
}

Result<std::unique_ptr<GuardRun>> GuardRun::open(const Model& model, const SessionOptions& options, double threshold) {
    if (!options.kv.preset)
        return Error{ErrorCode::invalid_argument, "the guard is for tiered memory: choose a preset"};
    std::unique_ptr<GuardRun> run(new GuardRun(model, options, threshold));
    if (const Status begun = run->try_layers({}); !begun) return begun.error();
    return run;
}

Status GuardRun::try_layers(std::vector<int> layers) {
    pass_.reset();  // its memory is what the next pass takes
    options_.kv.guarded_layers = std::move(layers);
    auto pass = KldPass::open(model_, tokens_, options_);
    if (!pass) return pass.error();
    pass_ = std::move(*pass);
    return Done{};
}

Status GuardRun::step(int64_t positions) {
    if (const Status read = pass_->read(positions); !read) return read.error();
    if (!pass_->done()) return Done{};
    return take(mean_kld(pass_->scores()));
}

// Layers are guarded in the order of what guarding each alone gains, until the rest is good enough.
Status GuardRun::take(double kld) {
    const int n_layers = model_.config().n_layers;
    if (result_.kld_without < 0) {
        result_.kld_without = result_.kld = kld;
        if (kld > threshold_) return try_layers({0});
    } else if (int(gains_.size()) < n_layers) {
        const int layer = int(gains_.size());
        gains_.emplace_back(kld, layer);
        if (layer + 1 < n_layers) return try_layers({layer + 1});
        std::sort(gains_.begin(), gains_.end());
        result_.kld = gains_[0].first;
        result_.guarded_layers = {gains_[0].second};
        return guard_next();
    } else {
        result_.kld = kld;
        result_.guarded_layers = options_.kv.guarded_layers;
        return guard_next();
    }
    pass_.reset();
    return Done{};
}

Status GuardRun::guard_next() {
    std::vector<int> layers = result_.guarded_layers;
    if (result_.kld <= threshold_ || layers.size() == gains_.size()) {
        pass_.reset();
        return Done{};
    }
    layers.push_back(gains_[layers.size()].second);
    std::sort(layers.begin(), layers.end());
    return try_layers(std::move(layers));
}

double GuardRun::progress() const {
    if (done()) return 1;
    const double part = double(pass_->position()) / double(pass_->total());
    if (result_.kld_without < 0) return part;
    const double known =
        double(1 + gains_.size() + (result_.guarded_layers.empty() ? 0 : result_.guarded_layers.size()));
    return (known + part) / double(1 + 2 * model_.config().n_layers);
}

GuardResult GuardRun::result() const {
    if (done() || result_.kld_without <= threshold_) return result_;
    GuardResult all{result_.kld_without, result_.kld_without, {}};
    for (int layer = 0; layer < model_.config().n_layers; ++layer) all.guarded_layers.push_back(layer);
    return all;
}

Result<GuardResult> guard(const Model& model, const SessionOptions& options, double threshold) {
    auto run = GuardRun::open(model, options, threshold);
    if (!run) return run.error();
    while (!(*run)->done())
        if (const Status read = (*run)->step(64); !read) return read.error();
    return (*run)->result();
}

}  // namespace strata
