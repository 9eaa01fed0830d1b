#include "engine/sampler/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/base/math.h"

namespace strata {

namespace {

// SplitMix64 (Steele, Lea and Flood 2014): turns any seed into well-mixed state.
uint64_t split_mix(uint64_t& state) {
    uint64_t z = (state += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

uint64_t rotate_left(uint64_t x, int k) { return x << k | x >> (64 - k); }

// xoshiro256** (Blackman and Vigna 2018), as a number in [0, 1).
double uniform(std::array<uint64_t, 4>& s) {
    const uint64_t result = rotate_left(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return double(result >> 11) * 0x1p-53;
}

// Likelier first; the lower id first among equals.
bool likelier(const std::pair<float, int>& a, const std::pair<float, int>& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
}

// "0.7", "100"
std::string short_text(double x) {
    std::string digits = std::to_string(x);
    digits.erase(digits.find_last_not_of('0') + 1);
    if (digits.back() == '.') digits.pop_back();
    return digits;
}

Status check_range(const char* name, double value, double low, double high) {
    if (value >= low && value <= high) return Done{};  // false for NaN
    return Error{ErrorCode::invalid_argument, std::string(name) + " is " + short_text(value) + "; expected " +
                                                  short_text(low) + " to " + short_text(high)};
}

}  // namespace

Result<Sampler> Sampler::create(const SamplerOptions& o) {
    const struct {
        const char* name;
        double value, low, high;
    } ranges[] = {{"temperature", o.temperature, 0, 100},
                  {"top_k", double(o.top_k), 0, 1e9},
                  {"top_p", o.top_p, 0, 1},
                  {"min_p", o.min_p, 0, 1},
                  {"repeat_penalty", o.repeat_penalty, 0.01, 100},
                  {"repeat_last_n", double(o.repeat_last_n), 0, 1e9}};
    for (const auto& r : ranges)
        if (const Status ok = check_range(r.name, r.value, r.low, r.high); !ok) return ok.error();
    return Sampler(o);
}

Sampler::Sampler(const SamplerOptions& options) : options_(options) {
    uint64_t seed = options.seed;
    for (uint64_t& word : random_) word = split_mix(seed);
}

void Sampler::seek(uint64_t position) {
    uint64_t seed = options_.seed, place = position;
    seed = split_mix(seed) ^ split_mix(place);
    for (uint64_t& word : random_) word = split_mix(seed);
}

void Sampler::accept(int token) {
    if (options_.repeat_penalty == 1.0f || options_.repeat_last_n == 0) return;
    recent_.push_back(token);
    if (recent_.size() > size_t(options_.repeat_last_n)) recent_.pop_front();
}

// The same logits, or a copy in which recent tokens are less likely.
std::span<const float> Sampler::penalised(std::span<const float> logits) {
    if (recent_.empty()) return logits;
    penalised_.assign(logits.begin(), logits.end());
    std::vector<int> seen(recent_.begin(), recent_.end());
    std::sort(seen.begin(), seen.end());
    seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
    for (const int token : seen) {
        if (token < 0 || size_t(token) >= penalised_.size()) continue;
        float& logit = penalised_[size_t(token)];
        logit = logit > 0 ? logit / options_.repeat_penalty : logit * options_.repeat_penalty;
    }
    return penalised_;
}

// The `most` likeliest in order; none only if no logit is finite. Vocabularies are large, so a logit is compared once
// with the least likely of those found so far, and rarely more.
void Sampler::find_candidates(std::span<const float> logits, size_t most) {
    candidates_.clear();
    float least = -std::numeric_limits<float>::infinity();
    for (size_t i = 0; i < logits.size(); ++i) {
        const float logit = logits[i];
        if (!(logit > least) || !std::isfinite(logit)) continue;
        if (candidates_.size() == most) {
            std::pop_heap(candidates_.begin(), candidates_.end(), likelier);
            candidates_.pop_back();
        }
        candidates_.emplace_back(logit, int(i));
        std::push_heap(candidates_.begin(), candidates_.end(), likelier);
        if (candidates_.size() == most) least = candidates_.front().first;
    }
    std::sort_heap(candidates_.begin(), candidates_.end(), likelier);
}

int Sampler::sample(std::span<const float> logits) {
    CHECK(!logits.empty());
    const size_t top_k = options_.top_k > 0 ? std::min(size_t(options_.top_k), logits.size()) : logits.size();
    find_candidates(penalised(logits), options_.temperature == 0 ? 1 : top_k);
    if (candidates_.empty()) return 0;
    if (options_.temperature == 0) return candidates_[0].second;

    size_t kept = candidates_.size();
    const float top = candidates_[0].first;
    double total = 0;
    for (auto& [weight, id] : candidates_) {
        weight = exp_f32((weight - top) / options_.temperature);
        total += double(weight);
    }
    double mass = 0;
    for (size_t i = 0; i < kept; ++i) {
        if (i > 0 && (candidates_[i].first < options_.min_p || mass >= double(options_.top_p) * total)) {
            kept = i;
            break;
        }
        mass += double(candidates_[i].first);
    }
    double left = uniform(random_) * mass;
    for (size_t i = 0; i + 1 < kept; ++i) {
        left -= double(candidates_[i].first);
        if (left < 0) return candidates_[i].second;
    }
    return candidates_[kept - 1].second;
}

}  // namespace strata
