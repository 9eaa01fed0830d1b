#include "engine/session.h"

#include <algorithm>
#include <new>

#include "engine/base/thread_pool.h"
#include "engine/model/transformer.h"

namespace strata {

struct Session::Impl {
    Impl(const Model& m, std::unique_ptr<KvCache> memory, const Kernels& k, int threads, int batch)
        : model(m),
          kernels(k),
          micro_batch(batch),
          pool(threads),
          cache(std::move(memory)),
          transformer(m, *cache, k, pool) {}

    Status read(std::span<const int> ids, const LogitsSink* sink);

    const Model& model;
    const Kernels& kernels;
    int micro_batch;
    ThreadPool pool;
    std::unique_ptr<KvCache> cache;
    Transformer transformer;
    std::vector<int> tokens;
    std::vector<float> logits;
};

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::~Session() = default;

Result<std::unique_ptr<Session>> Session::open(const Model& model, const SessionOptions& options) {
    constexpr int kMaxThreads = 64;
    if (options.threads < 1 || options.threads > kMaxThreads)
        return Error{ErrorCode::invalid_argument,
                     std::to_string(options.threads) + " threads; expected 1 to " + std::to_string(kMaxThreads)};
    if (options.micro_batch < 1 || options.micro_batch > kMaxBatch)
        return Error{ErrorCode::invalid_argument, "a micro-batch of " + std::to_string(options.micro_batch) +
                                                      "; expected 1 to " + std::to_string(kMaxBatch)};
    const Kernels* kernels = options.simd ? find_kernels(options.simd) : &best_kernels();
    if (!kernels)
        return Error{ErrorCode::invalid_argument,
                     std::string("the SIMD backend ") + options.simd + " is not in this build or not on this machine"};
    const ModelConfig& c = model.config();
    // The vectors of the forward pass cannot report that memory is out, so that is asked first.
    const uint64_t scratch = Transformer::needed_bytes(c, *kernels);
    if (!std::unique_ptr<uint8_t[]>(new (std::nothrow) uint8_t[scratch]))
        return Error{ErrorCode::out_of_memory,
                     "this model computes in " + std::to_string(scratch >> 20) +
                         " MiB beside its weights, which are not there: close other tabs or choose a smaller model"};
    auto cache = KvCache::create({c.n_layers, c.n_kv_heads, c.head_dim}, options.kv);
    if (!cache) return cache.error();
    return std::unique_ptr<Session>(
        new Session(std::make_unique<Impl>(model, std::move(*cache), *kernels, options.threads, options.micro_batch)));
}

// A micro-batch never crosses a multiple of 64 positions, so that all its rows lie in one page of the cache.
Status Session::Impl::read(std::span<const int> ids, const LogitsSink* sink) {
    const int n_vocab = model.config().n_vocab;
    for (const int id : ids)
        if (id < 0 || id >= n_vocab)
            return Error{ErrorCode::invalid_argument,
                         "token " + std::to_string(id) + " is outside the vocabulary of " + std::to_string(n_vocab)};
    while (!ids.empty()) {
        const int64_t position = cache->position();
        const int64_t page_left = kPagePositions - position % kPagePositions;
        const size_t n = size_t(std::min<int64_t>({int64_t(ids.size()), page_left, micro_batch}));
        if (const Status room = cache->reserve(int(n)); !room) return room.error();
        transformer.reserve(position + int64_t(n));
        const auto result =
            transformer.forward(ids.first(n), sink ? Transformer::Logits::all : Transformer::Logits::last);
        cache->advance(int(n));
        tokens.insert(tokens.end(), ids.begin(), ids.begin() + int64_t(n));
        for (size_t i = 0; sink && i < n; ++i)
            (*sink)(position + int64_t(i), result.subspan(i * size_t(n_vocab), size_t(n_vocab)));
        const auto last = result.last(size_t(n_vocab));
        logits.assign(last.begin(), last.end());
        ids = ids.subspan(n);
    }
    return Done{};
}

Status Session::append(std::span<const int> tokens) { return impl_->read(tokens, nullptr); }
Status Session::score(std::span<const int> tokens, const LogitsSink& sink) { return impl_->read(tokens, &sink); }

Result<bool> Session::truncate(int64_t n) {
    if (n < 0 || n > position())
        return Error{ErrorCode::invalid_argument,
                     "cannot go back to token " + std::to_string(n) + " of " + std::to_string(position())};
    if (n == position()) return true;
    impl_->tokens.resize(size_t(n));
    impl_->logits.clear();
    return impl_->cache->truncate(n);
}

int64_t Session::position() const { return impl_->cache->position(); }
std::span<const int> Session::tokens() const { return impl_->tokens; }
std::span<const float> Session::logits() const { return impl_->logits; }
KvStats Session::stats() const { return impl_->cache->stats(); }
uint64_t Session::scratch_bytes() const { return impl_->transformer.scratch_bytes(); }
const Model& Session::model() const { return impl_->model; }
const char* Session::simd() const { return impl_->kernels.name; }
int Session::threads() const { return impl_->pool.threads(); }

}  // namespace strata
