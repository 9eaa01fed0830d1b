#include "engine/kv/kv_cache.h"

#include <algorithm>
#include <iterator>
#include <new>

#include "engine/formats/hadamard.h"

namespace strata {

namespace {

int64_t pages_for(int64_t positions) { return (positions + kPagePositions - 1) / kPagePositions; }

// A stretch of one side's positions that are kept in one way, and the bytes allocated for it.
struct Run {
    int64_t first, end;
    uint64_t bytes;
    double bits;  // per value
    const char* name;

    // The share of the positions before `position`; the last one gets what is left over (slack of pages and of the
    // ring).
    uint64_t bytes_before(int64_t position) const {
        return position >= end ? bytes : bytes * uint64_t(position - first) / uint64_t(end - first);
    }
};
struct SideRuns {
    Run encoded, exact;
    const Run& at(int64_t position) const { return position < encoded.end ? encoded : exact; }
};

// A run without positions hands its bytes to the other one; in an empty cache the newer one has them all.
SideRuns runs_of(const KvSide& side, int64_t positions) {
    const int64_t border = side.encoded_for(positions - 1);
    const Run encoded{0, border, side.encoded_bytes(), side.format().bits_per_value(),
                      kv_type_name(side.format().type())};
    SideRuns runs{encoded, encoded};  // without a window the second run never has positions
    if (side.window() > 0) runs.exact = {0, 0, 0, 32, kv_type_name(KvType::fp32)};
    runs.exact.first = border;
    runs.exact.end = positions;
    runs.exact.bytes = side.exact_bytes();
    Run& empty = border == 0 ? runs.encoded : runs.exact;
    if (empty.first == empty.end) {
        (border == 0 ? runs.exact : runs.encoded).bytes += empty.bytes;
        empty.bytes = 0;
    }
    return runs;
}

// Positions [first, end), of one run of each side; an empty cache is one tier without positions that holds all bytes.
KvTier tier_of(const SideRuns& keys, const SideRuns& values, int64_t first, int64_t end) {
    const Run &k = keys.at(first), &v = values.at(first);
    const auto share = [&](const Run& run) {
        return run.bytes_before(end) - (first == run.first ? 0 : run.bytes_before(first));
    };
    const std::string name = std::string_view(k.name) == v.name ? k.name : std::string(k.name) + "/" + v.name;
    return {name, first, end - first, k.bits, v.bits, share(k) + share(v)};
}

}  // namespace

// ---- one side -----------------------------------------------------------------------------------------------------

KvSide::KvSide(const KvShape& shape, KvType type, int window)
    : shape_(shape),
      format_(type, shape.head_dim),
      window_(type == KvType::fp32 ? 0 : window),
      // A batch lies in one page; the oldest row that one of its queries sees exact is window - 1 rows before its
      // first.
      ring_pages_(window_ == 0 ? 0 : int(pages_for(window_)) + 1),
      slabs_(size_t(shape.n_layers)) {}

uint64_t KvSide::ring_values() const {
    return uint64_t(shape_.n_layers) * uint64_t(ring_pages_) * uint64_t(shape_.n_kv_heads) * kPagePositions *
           uint64_t(shape_.head_dim);
}

bool KvSide::allocate_window() {
    if (ring_pages_ > 0) ring_.reset(new (std::nothrow) float[ring_values()]);
    return ring_pages_ == 0 || ring_ != nullptr;
}

bool KvSide::reserve(int64_t end) {
    const size_t pages = size_t(pages_for(encoded_for(end - 1)));
    const size_t before = slabs_[0].size();
    for (auto& slabs : slabs_)
        while (slabs.size() < pages) {
            std::unique_ptr<uint8_t[]> slab(new (std::nothrow) uint8_t[slab_bytes()]);
            if (!slab) {
                for (auto& grown : slabs_) grown.resize(std::min(grown.size(), before));
                return false;
            }
            slabs.push_back(std::move(slab));
        }
    return true;
}

void KvSide::let_go_of_unseen(int64_t newest) {
    if (shape_.n_windowed() == 0) return;
    const int64_t unseen = std::min(first_visible(newest), int64_t(slabs_[0].size()));
    for (; unseen_pages_ < unseen; ++unseen_pages_)
        for (int layer = 0; layer < shape_.n_layers; ++layer)
            if (shape_.window_of(layer) > 0) slabs_[size_t(layer)][size_t(unseen_pages_)].reset();
}

void KvSide::write(int layer, int head, int64_t position, int n, const float* x) {
    const int d = shape_.head_dim;
    const int64_t stride = int64_t(shape_.n_kv_heads) * d;
    x += int64_t(head) * d;
    const int64_t encoded_end = encoded_for(position + n - 1);
    const int64_t unseen = shape_.window_of(layer) > 0 ? unseen_pages_ * kPagePositions : 0;
    const int64_t encoded_begin = std::max(n_encoded_, unseen);
    if (ring_pages_ == 0) {
        for (int64_t p = encoded_begin; p < encoded_end; ++p)
            format_.encode(x + (p - position) * stride, encoded_row(layer, head, p));
        return;
    }
    float* page = ring_page(layer, head, position / kPagePositions);
    for (int i = 0; i < n; ++i) std::copy_n(x + i * stride, d, page + (position + i) % kPagePositions * d);
    for (int64_t p = encoded_begin; p < encoded_end; ++p)
        format_.encode(ring_page(layer, head, p / kPagePositions) + p % kPagePositions * d,
                       encoded_row(layer, head, p));
}

void KvSide::advance(int64_t end) {
    end_ = end;
    n_encoded_ = std::max(n_encoded_, encoded_for(end - 1));
    ring_begin_ = std::max(ring_begin_, end - int64_t(ring_pages_) * kPagePositions);
}

bool KvSide::truncate(int64_t end) {
    const int64_t needed = std::max<int64_t>(0, end - window_);
    const bool exact = window_ == 0 || needed == end || ring_begin_ <= needed;
    for (int64_t p = needed; p < std::min(ring_begin_, end) && !exact; ++p) thaw(p);
    if (!exact) ring_begin_ = needed;
    end_ = end;
    n_encoded_ = std::min(n_encoded_, end);
    // Rows of the window may be encoded already (they were older before): their slabs are kept, they are right.
    for (auto& slabs : slabs_) slabs.resize(std::min(slabs.size(), size_t(pages_for(n_encoded_))));
    unseen_pages_ = std::min(unseen_pages_, int64_t(slabs_[0].size()));
    return exact;
}

// Restores the exact row of one position, in all layers and heads that hold it, from what is left of it.
void KvSide::thaw(int64_t position) {
    const int d = shape_.head_dim;
    std::vector<int8_t> q(static_cast<size_t>(d));
    std::vector<float> scales(static_cast<size_t>(d)), row(static_cast<size_t>(d));
    for (int layer = 0; layer < shape_.n_layers; ++layer)
        for (int head = 0; head < shape_.n_kv_heads; ++head) {
            if (!slabs_[size_t(layer)][size_t(position / kPagePositions)]) continue;
            const float* decoded = format_.stage_floats(*find_kernels("scalar"), encoded_row(layer, head, position), 1,
                                                        q.data(), scales.data(), row.data());
            float* exact = ring_page(layer, head, position / kPagePositions) + position % kPagePositions * d;
            std::copy_n(decoded, d, exact);
            if (format_.rotated()) hadamard(exact, d);
        }
}

float* KvSide::ring_page(int layer, int head, int64_t page) {
    const int64_t index = (int64_t(layer) * ring_pages_ + page % ring_pages_) * shape_.n_kv_heads + head;
    return ring_.get() + index * kPagePositions * shape_.head_dim;
}

const float* KvSide::exact_page(int layer, int head, int64_t page) const {
    return const_cast<KvSide*>(this)->ring_page(layer, head, page);
}

const uint8_t* KvSide::encoded_page(int layer, int head, int64_t page) const {
    return slabs_[size_t(layer)][size_t(page)].get() + int64_t(head) * kPagePositions * format_.row_bytes();
}

uint8_t* KvSide::encoded_row(int layer, int head, int64_t position) {
    return const_cast<uint8_t*>(encoded_page(layer, head, position / kPagePositions)) +
           position % kPagePositions * format_.row_bytes();
}

uint64_t KvSide::encoded_bytes() const {
    const uint64_t slabs = uint64_t(shape_.n_layers) * slabs_[0].size();
    return (slabs - uint64_t(shape_.n_windowed()) * uint64_t(unseen_pages_)) * slab_bytes();
}

uint64_t KvSide::windowed_bytes() const {
    const uint64_t windowed = uint64_t(shape_.n_windowed());
    return windowed * (slabs_[0].size() - uint64_t(unseen_pages_)) * slab_bytes() +
           exact_bytes() * windowed / uint64_t(shape_.n_layers);
}

uint64_t KvSide::slab_bytes() const {
    return uint64_t(shape_.n_kv_heads) * kPagePositions * uint64_t(format_.row_bytes());
}

// ---- both sides ---------------------------------------------------------------------------------------------------

RowCache::RowCache(const KvShape& shape, const KvOptions& options)
    : shape_(shape),
      options_(options),
      keys_(shape, options.key_type, options.key_window),
      values_(shape, options.value_type, options.value_window) {}

Result<std::unique_ptr<RowCache>> RowCache::create(const KvShape& shape, const KvOptions& options) {
    for (const KvType type : {options.key_type, options.value_type})
        if (!RowFormat::fits(type, shape.head_dim))
            return Error{ErrorCode::invalid_argument, std::string("memory format ") + kv_type_name(type) +
                                                          " keeps blocks of 32 values, and a head of this model has " +
                                                          std::to_string(shape.head_dim) + ": use fp16 or fp32"};
    constexpr int kMaxWindow = 1 << 20;
    for (const int window : {options.key_window, options.value_window})
        if (window < 0 || window > kMaxWindow)
            return Error{ErrorCode::invalid_argument, "the exact window is " + std::to_string(window) +
                                                          " positions; expected 0 to " + std::to_string(kMaxWindow)};
    std::unique_ptr<RowCache> cache(new RowCache(shape, options));
    if (cache->keys_.allocate_window() && cache->values_.allocate_window()) return cache;
    return Error{ErrorCode::out_of_memory,
                 "the exact windows of " + std::to_string(options.key_window) + " keys and " +
                     std::to_string(options.value_window) + " values need " +
                     std::to_string((cache->keys_.exact_bytes() + cache->values_.exact_bytes()) >> 20) +
                     " MiB, which are not there: choose smaller windows"};
}

Status RowCache::reserve(int64_t end) {
    const int64_t newest = (end - 1) / kPagePositions;
    if (keys_.reserve(end) && values_.reserve(end)) {
        keys_.let_go_of_unseen(newest);
        values_.let_go_of_unseen(newest);
        return Done{};
    }
    const uint64_t per_position = uint64_t(shape_.n_layers) * shape_.n_kv_heads *
                                  uint64_t(keys_.format().row_bytes() + values_.format().row_bytes());
    return Error{ErrorCode::out_of_memory,
                 "the memory of this conversation cannot grow from " + std::to_string(position_) + " to " +
                     std::to_string(end) + " tokens: the next " + std::to_string(kPagePositions) + " tokens need " +
                     std::to_string(per_position * kPagePositions / 1024) +
                     " KiB. Nothing was lost; choose a smaller memory format or close other tabs"};
}

void RowCache::write(int layer, int head, int n, const float* k, const float* v) {
    keys_.write(layer, head, position_, n, k);
    values_.write(layer, head, position_, n, v);
}

void RowCache::advance(int n) {
    position_ += n;
    keys_.advance(position_);
    values_.advance(position_);
}

bool RowCache::truncate(int64_t n) {
    if (n >= position_) return true;
    position_ = n;
    const bool keys_exact = keys_.truncate(n), values_exact = values_.truncate(n);
    return keys_exact && values_exact;
}

KvStats RowCache::stats() const {
    KvStats stats;
    stats.policy = options_.policy();
    stats.positions = position_;
    describe_shape(shape_, stats);
    stats.windowed_bytes = keys_.windowed_bytes() + values_.windowed_bytes();

    const SideRuns keys = runs_of(keys_, position_), values = runs_of(values_, position_);
    stats.bytes = keys.encoded.bytes + keys.exact.bytes + values.encoded.bytes + values.exact.bytes;
    // A tier is a stretch of positions in which neither side changes.
    int64_t borders[] = {0, keys.encoded.end, values.encoded.end, position_};
    std::sort(std::begin(borders), std::end(borders));
    for (size_t i = 0; i + 1 < std::size(borders); ++i)
        if (borders[i] < borders[i + 1]) stats.tiers.push_back(tier_of(keys, values, borders[i], borders[i + 1]));
    if (stats.tiers.empty() && stats.bytes > 0) stats.tiers.push_back(tier_of(keys, values, 0, 0));
    return stats;
}

// ---- one of two kinds -----------------------------------------------------------------------------------------------

Result<std::unique_ptr<KvCache>> KvCache::create(const KvShape& shape, const KvOptions& options) {
    if (options.preset) {
        auto tiles = TileCache::create(shape, options);
        if (!tiles) return tiles.error();
        return std::make_unique<KvCache>(shape, nullptr, std::move(*tiles), options.visible_window);
    }
    if (options.budget_bytes > 0 || !options.guarded_layers.empty())
        return Error{ErrorCode::invalid_argument,
                     "a memory budget and guarded layers need a memory in tiers: choose a preset"};
    auto rows = RowCache::create(shape, options);
    if (!rows) return rows.error();
    return std::make_unique<KvCache>(shape, std::move(*rows), nullptr, options.visible_window);
}

Status KvCache::reserve(int n, const Kernels& kernels, ThreadPool& pool) {
    return tiles_ ? tiles_->reserve(position() + n, kernels, pool) : rows_->reserve(position() + n);
}

void KvCache::write(int layer, int head, int n, const float* k, const float* v) {
    if (tiles_)
        tiles_->write(layer, head, n, k, v);
    else
        rows_->write(layer, head, n, k, v);
}

void KvCache::advance(int n) {
    if (tiles_)
        tiles_->advance(n);
    else
        rows_->advance(n);
}

Result<bool> KvCache::truncate(int64_t n) {
    if (tiles_) return tiles_->truncate(n);
    return rows_->truncate(n);
}

}  // namespace strata
