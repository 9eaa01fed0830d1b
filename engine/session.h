// One conversation: a model, the memory of what was said, and the next token's logits.
// The main path of the engine; start reading here.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/kv/kv_options.h"
#include "engine/model/forward_profile.h"
#include "engine/model/model.h"
#include "engine/sampler/sampler.h"

namespace strata {

struct SessionOptions {
    KvOptions kv;
    int threads = 1;       // 1: no thread is started. Results do not depend on it.
    int micro_batch = 64;  // positions per forward pass, 1 to 64. Results do not depend on it.
    const char* simd =
        nullptr;  // a backend by name ("scalar", "avx2", …) for tests; nullptr: the best this machine has
    // Once a conversation is longer than the model was trained on, keys farther than this look this far away
    // (engine/kv/rope.h). Default: half the trained length. 0: never, plain RoPE.
    std::optional<int> distance_clamp = std::nullopt;
};

class Session {
public:
    // Fails with invalid_argument (options that this model cannot serve: says which and why) or out_of_memory
    // (needs X, has Y). The model must outlive the session.
    static Result<std::unique_ptr<Session>> open(const Model& model, const SessionOptions& options);
    ~Session();

    // Appends tokens to the conversation. Afterwards logits() belongs to the last of them. Any division into calls
    // gives the same bits. On an error (an id outside the vocabulary: invalid_argument; out_of_memory) the
    // conversation is as it was before the call, or holds a prefix of the tokens: position() tells.
    Status append(std::span<const int> tokens);

    // As append, for callers that must be able to stop in between: reads up to one micro-batch of the tokens, `layers`
    // layers of it at a time. Returns how many tokens have entered the conversation by that: 0 says that the same call
    // goes on where this one ended. Any other call that changes the conversation or its memory drops what was begun.
    Result<int> append_some(std::span<const int> tokens, int layers);

    // As append, and hands out the logits of every position: sink(position, logits (n_vocab)).
    using LogitsSink = std::function<void(int64_t position, std::span<const float> logits)>;
    Status score(std::span<const int> tokens, const LogitsSink& sink);

    // A turn begins here: until the next one begins, truncate() can come back to here or anything later bit for bit.
    void begin_turn();
    // The answer of this turn begins at position n, here or after what is still to be read (templates write an opening
    // before it). Without a budget, coming back to n then needs nothing to be read again, however long question and
    // answer are: until the next turn begins, an answer begins elsewhere, or a budget is set.
    void begin_answer(int64_t n);

    // Forgets every position from n on. Returns true when what follows will be bit for bit what it would have been the
    // first time (always so from the last begin_turn() on; tokens between it and n are read again where that is what it
    // takes, and with a budget only if nothing was coarsened since); false when rows had left their exact window and
    // are now seen at their compressed precision. Further back than that turn, layers with a window may have let go of
    // what they saw at n: then all tokens are read again.
    Result<bool> truncate(int64_t n);
    // How many of the first n tokens stay in memory when truncate(n) is called; the others are read again.
    int64_t start_for(int64_t n) const;

    // Tiled memory only. Takes effect at once; makes memory coarser where it must, and finer never.
    // invalid_argument: row formats, or a budget below stats().least_budget_bytes; budget_full: the conversation does
    // not fit it at the coarsest tier. Nothing has changed then.
    Status set_memory(KvPreset preset, uint64_t budget_bytes);

    // The whole memory as bytes (engine/kv/snapshot.h): continuing from it gives the same bits as never having
    // stopped. Tiled memory only.
    Result<std::vector<uint8_t>> save() const;
    // As open(); options.kv is ignored. corrupt_file for anything that is no snapshot, of a newer version, truncated or
    // damaged; invalid_argument when it belongs to another model. Says which.
    static Result<std::unique_ptr<Session>> restore(const Model& model, std::span<const uint8_t> snapshot,
                                                    const SessionOptions& options);

    int64_t position() const;               // tokens in memory
    std::span<const int> tokens() const;    // their ids (position())
    std::span<const float> logits() const;  // (n_vocab) of the last position; empty at position 0 and after truncate
    KvStats stats() const;
    uint64_t scratch_bytes() const;  // activations and tables, beside the memory that stats() reports
    const Model& model() const;
    const char* simd() const;  // the backend in use
    int threads() const;
    void profile(ForwardProfile* profile);  // where to add the times of forward passes from now on; nullptr: nowhere

private:
    struct Impl;
    explicit Session(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

// How an answer is to be made.
struct GenerationOptions {
    SamplerOptions sampler;
    int max_tokens = 512;
    std::vector<std::string> stop;          // the answer ends before the first of these texts
    bool stop_at_end_of_generation = true;  // false: EOS and EOT are ordinary tokens (benchmarks)
};

enum class StopReason { none, end_of_turn, stop_text, max_tokens };
const char* stop_reason_name(StopReason reason);

// One answer, token by token: sample, append, decode. Holds back incomplete UTF-8 and what may become a stop text.
// The token that ends the answer (EOS, EOT) is not appended: the template's suffix of the next turn brings it.
class Generation {
public:
    static Result<Generation> start(Session& session, const GenerationOptions& options);

    struct Step {
        int token = -1;                      // the token that was sampled
        std::string text;                    // valid UTF-8 to show now; may be empty
        StopReason stop = StopReason::none;  // not none: this was the last step, `text` is the rest
    };
    Result<Step> step();

    int n_generated() const { return n_generated_; }

private:
    Generation(Session& session, const GenerationOptions& options, Sampler sampler);
    Session* session_;
    GenerationOptions options_;
    Sampler sampler_;
    Utf8Stream utf8_;
    std::string held_;  // decoded, not yet shown: may be the beginning of a stop text
    int n_generated_ = 0;
};

}  // namespace strata
