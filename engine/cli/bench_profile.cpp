#include "engine/cli/bench_profile.h"

#include <algorithm>
#include <chrono>
#include <memory>

#include "engine/cli/bench_tokens.h"

namespace strata::cli {
namespace {

constexpr int kBatch = 64;  // a whole micro-batch

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

struct Matrices {
    double bytes = 0, values = 0;
    void add(const Matrix& matrix, int times = 1) {
        bytes += double(matrix.rows) * double(matrix.row_bytes()) * times;
        values += double(matrix.rows) * double(matrix.cols) * times;
    }
};

// The weights behind a part; none for parts that read none.
Matrices matrices(const Weights& weights, ForwardPart part) {
    Matrices all;
    if (part == ForwardPart::head) all.add(weights.head);
    for (const LayerWeights& layer : weights.layers) {
        if (part == ForwardPart::query_key_value)
            for (const Matrix* matrix : {&layer.query, &layer.key, &layer.value}) all.add(*matrix);
        if (part == ForwardPart::output) all.add(layer.output);
        if (part == ForwardPart::gate_up)
            for (const Matrix* matrix : {&layer.gate, &layer.up}) all.add(*matrix);
        if (part == ForwardPart::down) all.add(layer.down);
    }
    return all;
}

struct Times {
    ForwardProfile forward;
    double total = 0, sampling = 0;
};

// The repetition of median length: parts of one run add up, medians of parts would not.
const Times& middle(std::vector<Times>& runs) {
    std::sort(runs.begin(), runs.end(), [](const Times& a, const Times& b) { return a.total < b.total; });
    return runs[runs.size() / 2];
}

std::vector<Json> rows(const Model& model, const Times& times, const char* test, int n_tokens, int depth) {
    std::vector<Json> result;
    const double whole = times.total + times.sampling;
    const auto row = [&](const char* part, double seconds) -> Json& {
        return result.emplace_back(Json{{"profile", test},
                                        {"n_tokens", n_tokens},
                                        {"n_depth", depth},
                                        {"part", part},
                                        {"ms", seconds * 1e3},
                                        {"share", seconds / whole}});
    };
    double other = times.total;
    for (int i = 0; i < kForwardParts; ++i) {
        const auto part = ForwardPart(i);
        const double seconds = times.forward.seconds[i];
        other -= seconds;
        Json& json = row(forward_part_name(part), seconds);
        const Matrices read = matrices(model.weights(), part);
        if (read.bytes == 0 || seconds == 0) continue;
        const int rows = part == ForwardPart::head ? 1 : n_tokens;  // logits of the last token only
        json["bytes"] = read.bytes;
        json["gb_per_s"] = read.bytes / seconds / 1e9;
        json["gop_per_s"] = 2 * read.values * rows / seconds / 1e9;
    }
    row("other", other);  // making room in the memory, sealing, keeping the logits
    if (times.sampling > 0) row("sampling", times.sampling);
    row("total", whole);
    return result;
}

}  // namespace

Result<std::vector<Json>> profile(const Model& model, const SessionOptions& options, int depth, int repetitions) {
    auto session = Session::open(model, options);
    if (!session) return session.error();
    auto sampler = Sampler::create({});
    if (!sampler) return sampler.error();
    const int n_vocab = model.config().n_vocab;
    const int before = (depth + kBatch - 1) / kBatch * kBatch;  // micro-batches begin at multiples of 64
    if (before > 0)
        if (const Status read = (*session)->append(some_tokens(before, n_vocab)); !read) return read.error();

    const auto run = [&](int n_tokens, bool sample) -> Result<Times> {
        Times times;
        times.forward.now = now;
        (*session)->profile(&times.forward);
        const double start = now();
        const Status read = (*session)->append(some_tokens(n_tokens, n_vocab));
        times.total = now() - start;
        (*session)->profile(nullptr);
        if (!read) return read.error();
        if (sample) (void)sampler->sample((*session)->logits());
        if (sample) times.sampling = now() - start - times.total;
        return times;
    };
    std::vector<Json> all;
    for (const bool decoding : {false, true}) {
        const int n_tokens = decoding ? 1 : kBatch;
        std::vector<Times> runs;
        for (int i = 0; i < repetitions + 1; ++i) {
            const auto times = run(n_tokens, decoding);
            if (!times) return times.error();
            if (i > 0) runs.push_back(*times);  // the first one warms up
        }
        for (Json& row : rows(model, middle(runs), decoding ? "decode" : "prefill", n_tokens, before))
            all.push_back(std::move(row));
    }
    return all;
}

}  // namespace strata::cli
