#include "engine/kv/kv_cache.h"

#include <algorithm>
#include <new>

#include "engine/formats/hadamard.h"

namespace strata {

namespace {

int64_t pages_for(int64_t positions) { return (positions + kPagePositions - 1) / kPagePositions; }

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
    const size_t slab_bytes = size_t(shape_.n_kv_heads) * kPagePositions * format_.row_bytes();
    for (auto& slabs : slabs_)
        while (slabs.size() < pages) {
            std::unique_ptr<uint8_t[]> slab(new (std::nothrow) uint8_t[slab_bytes]);
            if (!slab) {
                for (auto& grown : slabs_) grown.resize(std::min(grown.size(), before));
                return false;
            }
            slabs.push_back(std::move(slab));
        }
    return true;
}

void KvSide::write(int layer, int head, int64_t position, int n, const float* x) {
    const int d = shape_.head_dim;
    const int64_t stride = int64_t(shape_.n_kv_heads) * d;
    x += int64_t(head) * d;
    const int64_t encoded_end = encoded_for(position + n - 1);
    if (ring_pages_ == 0) {
        for (int64_t p = n_encoded_; p < encoded_end; ++p)
            format_.encode(x + (p - position) * stride, encoded_row(layer, head, p));
        return;
    }
    float* page = ring_page(layer, head, position / kPagePositions);
    for (int i = 0; i < n; ++i) std::copy_n(x + i * stride, d, page + (position + i) % kPagePositions * d);
    for (int64_t p = n_encoded_; p < encoded_end; ++p)
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
    return exact;
}

// Restores the exact row of one position, in all layers and heads, from what is left of it.
void KvSide::thaw(int64_t position) {
    const int d = shape_.head_dim;
    std::vector<int8_t> q(static_cast<size_t>(d));
    std::vector<float> scales(static_cast<size_t>(d)), row(static_cast<size_t>(d));
    for (int layer = 0; layer < shape_.n_layers; ++layer)
        for (int head = 0; head < shape_.n_kv_heads; ++head) {
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
    const uint64_t slab_bytes = uint64_t(shape_.n_kv_heads) * kPagePositions * uint64_t(format_.row_bytes());
    return uint64_t(shape_.n_layers) * slabs_[0].size() * slab_bytes;
}

// ---- both sides ---------------------------------------------------------------------------------------------------

KvCache::KvCache(const KvShape& shape, const KvOptions& options)
    : shape_(shape),
      options_(options),
      keys_(shape, options.key_type, options.key_window),
      values_(shape, options.value_type, options.value_window) {}

Result<std::unique_ptr<KvCache>> KvCache::create(const KvShape& shape, const KvOptions& options) {
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
    std::unique_ptr<KvCache> cache(new KvCache(shape, options));
    if (cache->keys_.allocate_window() && cache->values_.allocate_window()) return cache;
    return Error{ErrorCode::out_of_memory,
                 "the exact windows of " + std::to_string(options.key_window) + " keys and " +
                     std::to_string(options.value_window) + " values need " +
                     std::to_string((cache->keys_.exact_bytes() + cache->values_.exact_bytes()) >> 20) +
                     " MiB, which are not there: choose smaller windows"};
}

Status KvCache::reserve(int n) {
    const int64_t end = position_ + n;
    if (keys_.reserve(end) && values_.reserve(end)) return Done{};
    const uint64_t per_position = uint64_t(shape_.n_layers) * shape_.n_kv_heads *
                                  uint64_t(keys_.format().row_bytes() + values_.format().row_bytes());
    return Error{ErrorCode::out_of_memory,
                 "the memory of this conversation cannot grow from " + std::to_string(position_) + " to " +
                     std::to_string(end) + " tokens: the next " + std::to_string(kPagePositions) + " tokens need " +
                     std::to_string(per_position * kPagePositions / 1024) +
                     " KiB. Nothing was lost; choose a smaller memory format or close other tabs"};
}

void KvCache::write(int layer, int head, int n, const float* k, const float* v) {
    keys_.write(layer, head, position_, n, k);
    values_.write(layer, head, position_, n, v);
}

void KvCache::advance(int n) {
    position_ += n;
    keys_.advance(position_);
    values_.advance(position_);
}

bool KvCache::truncate(int64_t n) {
    if (n >= position_) return true;
    position_ = n;
    const bool keys_exact = keys_.truncate(n), values_exact = values_.truncate(n);
    return keys_exact && values_exact;
}

KvStats KvCache::stats() const {
    KvStats stats;
    stats.policy = options_.policy();
    stats.positions = position_;
    const uint64_t values_per_position =
        2ull * uint64_t(shape_.n_layers) * uint64_t(shape_.n_kv_heads) * uint64_t(shape_.head_dim);
    stats.bytes_fp16 = values_per_position * 2 * uint64_t(position_);
    stats.bytes_fp32 = values_per_position * 4 * uint64_t(position_);

    // Each side has an encoded and an exact run. A tier is a run of positions in which neither side changes; it gets
    // its share of each side's bytes by positions, and the newest tier of a run what is left over (slack of pages and
    // rings).
    const int64_t n = position_;
    struct Run {
        int64_t first, end;
        uint64_t bytes;
        double bits;
        const char* name;
        uint64_t given = 0;
    };
    std::vector<Run> sides[2];
    std::vector<int64_t> borders{0, n};
    for (const KvSide* side : {&keys_, &values_}) {
        const int64_t encoded = side->encoded_for(n - 1);
        auto& runs = sides[side == &values_];
        runs.push_back(
            {0, encoded, side->encoded_bytes(), side->format().bits_per_value(), kv_type_name(side->format().type())});
        runs.push_back({encoded, n, side->exact_bytes(), 32, "fp32"});
        borders.push_back(encoded);
        stats.bytes += side->encoded_bytes() + side->exact_bytes();
    }
    std::sort(borders.begin(), borders.end());
    borders.erase(std::unique(borders.begin(), borders.end()), borders.end());
    if (n == 0) borders = {0, 0};

    for (size_t i = 0; i + 1 < borders.size(); ++i) {
        const int64_t first = borders[i], end = borders[i + 1];
        KvTier tier{"", first, end - first, 0, 0, 0};
        for (auto& runs : sides) {
            Run& run = first < runs[0].end || (runs[1].bytes == 0 && n == 0) ? runs[0] : runs[1];
            const bool last = end == run.end;
            const uint64_t share =
                last ? run.bytes - run.given : run.bytes * uint64_t(end - first) / uint64_t(run.end - run.first);
            run.given += share;
            tier.bytes += share;
            const bool is_key = &runs == &sides[0];
            (is_key ? tier.key_bits : tier.value_bits) = run.bits;
            if (is_key)
                tier.name = run.name;
            else if (tier.name != run.name)
                tier.name += std::string("/") + run.name;
        }
        if (tier.positions > 0 || tier.bytes > 0) stats.tiers.push_back(tier);
    }
    // Bytes of a run that has no positions yet (the ring of an empty or short conversation) belong to the newest tier.
    for (auto& runs : sides)
        for (Run& run : runs)
            if (run.given < run.bytes && !stats.tiers.empty()) {
                stats.tiers.back().bytes += run.bytes - run.given;
            }
    return stats;
}

}  // namespace strata
