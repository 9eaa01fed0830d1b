// Where the time of forward passes goes.
#pragma once

namespace strata {

enum class ForwardPart {
    embed,
    norm,
    quantise,  // activations, for matrix products
    query_key_value,
    rope,
    cache,  // new rows into the memory
    attention,
    output,
    gate_up,
    activate,  // SwiGLU
    down,
    residual,
    head,
};
constexpr int kForwardParts = int(ForwardPart::head) + 1;

inline const char* forward_part_name(ForwardPart part) {
    constexpr const char* kNames[kForwardParts] = {"embed", "norm",      "quantise", "query_key_value", "rope",
                                                   "cache", "attention", "output",   "gate_up",         "activate",
                                                   "down",  "residual",  "head"};
    return kNames[int(part)];
}

// Seconds, added up. The engine has no clock, so whoever asks brings one.
struct ForwardProfile {
    double (*now)() = nullptr;
    double seconds[kForwardParts] = {};
};

// Adds the time until it goes out of scope; nothing where there is no profile.
class TimedPart {
public:
    TimedPart(ForwardProfile* profile, ForwardPart part)
        : profile_(profile), part_(part), start_(profile ? profile->now() : 0) {}
    ~TimedPart() {
        if (profile_) profile_->seconds[int(part_)] += profile_->now() - start_;
    }
    TimedPart(const TimedPart&) = delete;
    TimedPart& operator=(const TimedPart&) = delete;

private:
    ForwardProfile* profile_;
    ForwardPart part_;
    double start_;
};

}  // namespace strata
