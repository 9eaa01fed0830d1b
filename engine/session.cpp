#include "engine/session.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "engine/base/bits.h"
#include "engine/base/hash.h"
#include "engine/base/thread_pool.h"
#include "engine/model/transformer.h"

namespace strata {

namespace {

// Half the trained length: a model reads well what is nearer than that (docs/quality.md).
int clamp_for(const ModelConfig& config, const SessionOptions& options) {
    return options.distance_clamp.value_or(config.trained_length / 2);
}

}  // namespace

struct Session::Impl {
    Impl(const Model& m, std::unique_ptr<KvCache> memory, const Kernels& k, const SessionOptions& options)
        : model(m),
          kernels(k),
          micro_batch(options.micro_batch),
          distance_clamp(clamp_for(m.config(), options)),
          pool(options.threads),
          cache(std::move(memory)),
          transformer(m, *cache, distance_clamp, k, pool) {}

    Status read(std::span<const int> ids, const LogitsSink* sink);
    Result<int> read_some(std::span<const int> ids, int layers);
    Status check_ids(std::span<const int> ids) const;
    Status begin(std::span<const int> ids);
    void complete(const LogitsSink* sink);

    const Model& model;
    const Kernels& kernels;
    int micro_batch;
    int distance_clamp;
    ThreadPool pool;
    std::unique_ptr<KvCache> cache;
    Transformer transformer;
    std::vector<int> tokens;
    std::vector<float> logits;
    std::vector<int> begun;  // tokens of the micro-batch that is being computed
};

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::~Session() = default;

namespace {

// The backend, once the options make sense and there is room to compute.
Result<const Kernels*> check_options(const ModelConfig& config, const SessionOptions& options) {
    constexpr int kMaxThreads = 64;
    const auto invalid = [](const std::string& message) { return Error{ErrorCode::invalid_argument, message}; };
    if (options.threads < 1 || options.threads > kMaxThreads)
        return invalid(std::to_string(options.threads) + " threads; expected 1 to " + std::to_string(kMaxThreads));
    if (options.micro_batch < 1 || options.micro_batch > kMaxBatch)
        return invalid("a micro-batch of " + std::to_string(options.micro_batch) + "; expected 1 to " +
                       std::to_string(kMaxBatch));
    if (options.distance_clamp.value_or(0) < 0)
        return invalid("distances clamped to " + std::to_string(*options.distance_clamp) + "; expected 0 or more");
    const Kernels* kernels = options.simd ? find_kernels(options.simd) : &best_kernels();
    if (!kernels)
        return invalid(std::string("the SIMD backend ") + options.simd +
                       " is not in this build or not on this machine");
    // The vectors of the forward pass cannot report that memory is out, so that is asked first.
    const uint64_t scratch = Transformer::needed_bytes(config, *kernels);
    if (!std::unique_ptr<uint8_t[]>(new (std::nothrow) uint8_t[scratch]))
        return Error{ErrorCode::out_of_memory,
                     "this model computes in " + std::to_string(scratch >> 20) +
                         " MiB beside its weights, which are not there: close other tabs or choose a smaller model"};
    return kernels;
}

}  // namespace

Result<std::unique_ptr<Session>> Session::open(const Model& model, const SessionOptions& options) {
    const auto kernels = check_options(model.config(), options);
    if (!kernels) return kernels.error();
    auto cache = KvCache::create(model.config().kv_shape(), options.kv);
    if (!cache) return cache.error();
    return std::unique_ptr<Session>(new Session(std::make_unique<Impl>(model, std::move(*cache), **kernels, options)));
}

Status Session::Impl::check_ids(std::span<const int> ids) const {
    const int n_vocab = model.config().n_vocab;
    for (const int id : ids)
        if (id < 0 || id >= n_vocab)
            return Error{ErrorCode::invalid_argument,
                         "token " + std::to_string(id) + " is outside the vocabulary of " + std::to_string(n_vocab)};
    return Done{};
}

// The next micro-batch, which never crosses a multiple of 64 positions, so that all its rows lie in one page of the
// cache.
Status Session::Impl::begin(std::span<const int> ids) {
    begun.clear();
    const int64_t position = cache->position();
    const int64_t page_left = kPagePositions - position % kPagePositions;
    const size_t n = size_t(std::min<int64_t>({int64_t(ids.size()), page_left, micro_batch}));
    if (const Status room = cache->reserve(int(n), kernels, pool); !room) return room.error();
    transformer.reserve(position + int64_t(n));
    begun.assign(ids.begin(), ids.begin() + int64_t(n));
    transformer.begin(begun);
    return Done{};
}

void Session::Impl::complete(const LogitsSink* sink) {
    const size_t n_vocab = size_t(model.config().n_vocab);
    const int64_t position = cache->position();
    const auto result = transformer.finish(sink ? Transformer::Logits::all : Transformer::Logits::last);
    cache->advance(int(begun.size()));
    tokens.insert(tokens.end(), begun.begin(), begun.end());
    for (size_t i = 0; sink && i < begun.size(); ++i)
        (*sink)(position + int64_t(i), result.subspan(i * n_vocab, n_vocab));
    const auto last = result.last(n_vocab);
    logits.assign(last.begin(), last.end());
    begun.clear();
}

Status Session::Impl::read(std::span<const int> ids, const LogitsSink* sink) {
    if (const Status checked = check_ids(ids); !checked) return checked.error();
    while (!ids.empty()) {
        if (const Status ready = begin(ids); !ready) return ready.error();
        ids = ids.subspan(begun.size());
        transformer.run(model.config().n_layers);
        complete(sink);
    }
    return Done{};
}

Result<int> Session::Impl::read_some(std::span<const int> ids, int layers) {
    if (const Status checked = check_ids(ids); !checked) return checked.error();
    if (ids.empty()) return 0;
    const bool goes_on =
        !begun.empty() && begun.size() <= ids.size() && std::equal(begun.begin(), begun.end(), ids.begin());
    if (!goes_on)
        if (const Status ready = begin(ids); !ready) return ready.error();
    if (!transformer.run(layers)) return 0;
    const int n = int(begun.size());
    complete(nullptr);
    return n;
}

Status Session::append(std::span<const int> tokens) { return impl_->read(tokens, nullptr); }
Result<int> Session::append_some(std::span<const int> tokens, int layers) { return impl_->read_some(tokens, layers); }
Status Session::score(std::span<const int> tokens, const LogitsSink& sink) { return impl_->read(tokens, &sink); }

void Session::begin_turn() {
    if (TileCache* tiles = impl_->cache->tiles()) tiles->begin_turn();
}

void Session::begin_answer(int64_t n) {
    if (TileCache* tiles = impl_->cache->tiles()) tiles->begin_answer(n);
}

Result<bool> Session::truncate(int64_t n) {
    if (n < 0 || n > position())
        return Error{ErrorCode::invalid_argument,
                     "cannot go back to token " + std::to_string(n) + " of " + std::to_string(position())};
    impl_->begun.clear();
    if (n == position()) return true;
    const int64_t start = start_for(n);
    const auto exact = impl_->cache->truncate(start);
    if (!exact) return exact.error();
    const std::vector<int> again(impl_->tokens.begin() + start, impl_->tokens.begin() + n);
    impl_->tokens.resize(size_t(start));
    impl_->logits.clear();
    if (const Status read = append(again); !read) return read.error();
    impl_->logits.clear();  // as promised, whichever way it went
    return *exact;
}

int64_t Session::start_for(int64_t n) const { return n >= position() ? position() : impl_->cache->start_for(n); }

Status Session::set_memory(KvPreset preset, uint64_t budget_bytes) {
    TileCache* tiles = impl_->cache->tiles();
    impl_->begun.clear();
    if (tiles) return tiles->set_memory(preset, budget_bytes, impl_->kernels, impl_->pool);
    return Error{ErrorCode::invalid_argument,
                 "this conversation is kept in a row format, which has no presets and no budget: begin a new one"};
}

// ---- snapshot: little-endian, in this order: magic, version, the model's identity, the distance clamp, the number of
// tokens, their ids, the logits of the last one (as many as the vocabulary has, or none), the tiles, and FNV-1a of all
// that.

namespace {

constexpr char kSnapshotMagic[8] = {'S', 'T', 'R', 'A', 'T', 'A', 'K', 'V'};
constexpr uint32_t kSnapshotVersion = 4;

Error bad_snapshot(const std::string& what) {
    return {ErrorCode::corrupt_file, what + ". The conversation in memory is untouched"};
}

template <class T>
void write_all(ByteWriter& out, const std::vector<T>& values) {
    out.number(uint64_t(values.size()));
    out.bytes(values.data(), values.size() * sizeof(T));
}

template <class T>
Result<std::vector<T>> read_all(ByteReader& in, uint64_t most) {
    const auto count = in.read<uint64_t>();
    if (!count) return bad_snapshot("the snapshot is damaged: it ends too early");
    if (*count > most) return bad_snapshot("the snapshot is damaged: a list of " + std::to_string(*count) + " values");
    const auto bytes = in.bytes(*count * sizeof(T));
    if (!bytes) return bad_snapshot("the snapshot is damaged: it ends too early");
    std::vector<T> values(static_cast<size_t>(*count));
    if (*count > 0) std::memcpy(values.data(), bytes->data(), bytes->size());
    return values;
}

// What stands before the tiles.
struct SnapshotHead {
    int distance_clamp;
    std::vector<int> tokens;
    std::vector<float> logits;
};

Result<SnapshotHead> read_head(const Model& model, ByteReader& in) {
    const auto version = in.read<uint32_t>();
    const auto identity = in.read<uint64_t>();
    const auto clamp = in.read<int32_t>();
    if (!clamp) return bad_snapshot("the snapshot is damaged: it ends too early");
    if (*identity != model.identity())
        return Error{ErrorCode::invalid_argument,
                     "the snapshot belongs to another model: open it with the model file that it was made with. The "
                     "conversation in memory is untouched"};
    if (*clamp < 0) return bad_snapshot("the snapshot is damaged: a negative distance");
    const uint64_t n_vocab = uint64_t(model.config().n_vocab);
    auto tokens = read_all<int>(in, in.remaining() / sizeof(int));
    if (!tokens) return tokens.error();
    for (const int token : *tokens)
        if (token < 0 || uint64_t(token) >= n_vocab)
            return bad_snapshot("the snapshot is damaged: token " + std::to_string(token) + " of a vocabulary of " +
                                std::to_string(n_vocab));
    auto logits = read_all<float>(in, n_vocab);
    if (!logits) return logits.error();
    if (!logits->empty() && logits->size() != n_vocab)
        return bad_snapshot("the snapshot is damaged: " + std::to_string(logits->size()) + " logits");
    return SnapshotHead{*clamp, std::move(*tokens), std::move(*logits)};
}

// Magic, version and checksum: whether the rest may be read at all.
Status check_frame(std::span<const uint8_t> snapshot) {
    constexpr size_t kLeast = sizeof kSnapshotMagic + sizeof kSnapshotVersion + sizeof(uint64_t);
    if (snapshot.size() < kLeast || std::memcmp(snapshot.data(), kSnapshotMagic, sizeof kSnapshotMagic) != 0)
        return bad_snapshot("these " + std::to_string(snapshot.size()) + " bytes are no snapshot of Strata");
    const uint32_t version = load_unaligned<uint32_t>(snapshot.data() + sizeof kSnapshotMagic);
    if (version != kSnapshotVersion)
        return bad_snapshot("the snapshot is of version " + std::to_string(version) +
                            ", and this is Strata for version " + std::to_string(kSnapshotVersion) +
                            ": use the Strata that wrote it, or a newer one");
    const uint64_t checksum = load_unaligned<uint64_t>(snapshot.data() + snapshot.size() - sizeof(uint64_t));
    if (fnv1a(snapshot.first(snapshot.size() - sizeof checksum)) != checksum)
        return bad_snapshot("the snapshot is damaged or cut off: its checksum does not match");
    return Done{};
}

}  // namespace

Result<std::vector<uint8_t>> Session::save() const {
    const TileCache* tiles = impl_->cache->tiles();
    if (!tiles)
        return Error{ErrorCode::invalid_argument,
                     "a conversation in a row format cannot be saved: use a preset (exact, quality, balanced, max)"};
    ByteWriter out;
    out.reserve(size_t(tiles->stats().bytes) + 4 * (impl_->tokens.size() + impl_->logits.size()) + 4096);
    out.bytes(kSnapshotMagic, sizeof kSnapshotMagic);
    out.number(kSnapshotVersion);
    out.number(model().identity());
    out.number(int32_t(impl_->distance_clamp));
    write_all(out, impl_->tokens);
    write_all(out, impl_->logits);
    tiles->save(out);
    out.number(fnv1a(out.written()));
    return out.take();
}

Result<std::unique_ptr<Session>> Session::restore(const Model& model, std::span<const uint8_t> snapshot,
                                                  const SessionOptions& options) {
    const auto kernels = check_options(model.config(), options);
    if (!kernels) return kernels.error();
    if (const Status frame = check_frame(snapshot); !frame) return frame.error();
    ByteReader in(snapshot.first(snapshot.size() - sizeof(uint64_t)), sizeof kSnapshotMagic);
    auto head = read_head(model, in);
    if (!head) return head.error();
    auto tiles = TileCache::restore(model.config().kv_shape(), in);
    if (!tiles) return tiles.error();
    if (in.remaining() > 0 || (*tiles)->position() != int64_t(head->tokens.size()))
        return bad_snapshot("the snapshot is damaged: its tokens and its tiles do not belong together");
    SessionOptions saved = options;
    saved.distance_clamp = head->distance_clamp;
    const int visible_window = (*tiles)->visible_window();
    auto cache = std::make_unique<KvCache>(model.config().kv_shape(), nullptr, std::move(*tiles), visible_window);
    std::unique_ptr<Session> session(new Session(std::make_unique<Impl>(model, std::move(cache), **kernels, saved)));
    session->impl_->tokens = std::move(head->tokens);
    session->impl_->logits = std::move(head->logits);
    return session;
}

int64_t Session::position() const { return impl_->cache->position(); }
std::span<const int> Session::tokens() const { return impl_->tokens; }
std::span<const float> Session::logits() const { return impl_->logits; }
KvStats Session::stats() const { return impl_->cache->stats(); }
uint64_t Session::scratch_bytes() const {
    const TileCache* tiles = impl_->cache->tiles();
    return impl_->transformer.scratch_bytes() + (tiles ? tiles->scratch_bytes() : 0);
}
const Model& Session::model() const { return impl_->model; }
const char* Session::simd() const { return impl_->kernels.name; }
int Session::threads() const { return impl_->pool.threads(); }
void Session::profile(ForwardProfile* profile) { impl_->transformer.profile(profile); }

}  // namespace strata
