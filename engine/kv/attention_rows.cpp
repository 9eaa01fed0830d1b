// Attention over rows in a format, with a window of exact rows. Encoded rows of a page are staged in the first-level
// cache, as integers and scales or as floats, and used for all queries.
#include <algorithm>

#include "engine/kv/attention.h"

namespace strata {

namespace {

// Which rows of a page that begins at `first` lie in [begin, end).
struct PageRows {
    int begin, end;
    bool empty() const { return begin >= end; }
};
int64_t first_page(int64_t oldest) { return oldest / kPagePositions * kPagePositions; }

PageRows rows_of_page(int64_t first, int64_t begin, int64_t end) {
    const auto clamp = [&](int64_t p) { return int(std::clamp<int64_t>(p - first, 0, kPagePositions)); };
    return {clamp(begin), clamp(end)};
}

}  // namespace

void Attention::row_scores(const Work& work) {
    const KvSide& keys = cache_.rows()->keys();
    const RowFormat& format = keys.format();
    Scratch& scratch = work.scratch;
    const size_t d = size_t(head_dim_), query_bytes = d * kernels_.activation_bytes;
    if (format.integer() && keys.encoded_for(work.newest()) > work.first)
        for_each_query(work, [&](int row, int64_t) {
            const float* query = scratch.turned.data() + size_t(row) * d;
            if (format.rotated()) {
                kernels_.rotate(query, head_dim_, scratch.rotated.data());
                query = scratch.rotated.data();
            }
            kernels_.quantise_row(query, scratch.int_queries.data() + size_t(row) * query_bytes,
                                  scratch.int_scales.data() + size_t(row) * (d / 32), head_dim_);
        });
    const int64_t end = std::min(work.first + kBlockPositions, work.newest() + 1);
    for (int64_t page_first = first_page(work.oldest()); page_first < end; page_first += kPagePositions) {
        const int64_t page = page_first / kPagePositions;
        float* page_scores = scratch.scores.data() + (page_first - work.first);
        const auto n_encoded = [&](int64_t t) { return rows_of_page(page_first, 0, keys.encoded_for(t)).end; };

        const int staged = n_encoded(work.newest());
        if (staged > 0) {
            const uint8_t* encoded = keys.encoded_page(work.batch.layer.index, work.kv_head, page);
            if (format.integer()) {
                const StagedRows rows =
                    format.stage_integers(kernels_, encoded, staged, scratch.q.data(), scratch.scales.data());
                for_each_query(work, [&](int row, int64_t t) {
                    kernels_.scores_i8(scratch.int_queries.data() + size_t(row) * query_bytes,
                                       scratch.int_scales.data() + size_t(row) * (d / 32), rows, n_encoded(t),
                                       head_dim_, page_scores + row * kBlockPositions);
                });
            } else {
                const float* rows = format.stage_floats(kernels_, encoded, staged, scratch.q.data(),
                                                        scratch.scales.data(), scratch.floats.data());
                for_each_token(work, [&](int row, int64_t t) {
                    kernels_.scores_f32(scratch.turned.data() + size_t(row) * d, group_, rows, n_encoded(t), head_dim_,
                                        page_scores + row * kBlockPositions, kBlockPositions);
                });
            }
        }
        if (keys.window() == 0) continue;
        for_each_token(work, [&](int row, int64_t t) {
            const PageRows exact = rows_of_page(page_first, keys.encoded_for(t), t + 1);
            if (exact.empty()) return;
            const float* rows = keys.exact_page(work.batch.layer.index, work.kv_head, page) + exact.begin * head_dim_;
            kernels_.scores_f32(scratch.turned.data() + size_t(row) * d, group_, rows, exact.end - exact.begin,
                                head_dim_, page_scores + row * kBlockPositions + exact.begin, kBlockPositions);
        });
    }
}

// First the encoded values, which are older, then the exact ones: in the order of positions.
void Attention::row_values(const Work& work) {
    const KvSide& values = cache_.rows()->values();
    const RowFormat& format = values.format();
    Scratch& scratch = work.scratch;
    float* encoded_sums = work.partial + (format.rotated() ? head_dim_ : 0);
    const int64_t end = std::min(work.first + kBlockPositions, work.newest() + 1);
    for (int64_t page_first = first_page(work.oldest()); page_first < end; page_first += kPagePositions) {
        const int64_t page = page_first / kPagePositions;
        const float* weights = scratch.scores.data() + (page_first - work.first);
        const PageRows staged = rows_of_page(page_first, 0, values.encoded_for(work.newest()));
        if (!staged.empty()) {
            const uint8_t* encoded = values.encoded_page(work.batch.layer.index, work.kv_head, page);
            const float* rows = format.stage_floats(kernels_, encoded, staged.end, scratch.q.data(),
                                                    scratch.scales.data(), scratch.floats.data());
            for_each_token(work, [&](int row, int64_t t) {
                const int n = rows_of_page(page_first, 0, values.encoded_for(t)).end;
                kernels_.accumulate(weights + row * kBlockPositions, kBlockPositions, group_, rows, n, head_dim_,
                                    encoded_sums + row * stride_, stride_);
            });
        }
        if (values.window() == 0) continue;
        for_each_token(work, [&](int row, int64_t t) {
            const PageRows exact = rows_of_page(page_first, values.encoded_for(t), t + 1);
            if (exact.empty()) return;
            const float* rows = values.exact_page(work.batch.layer.index, work.kv_head, page) + exact.begin * head_dim_;
            kernels_.accumulate(weights + row * kBlockPositions + exact.begin, kBlockPositions, group_, rows,
                                exact.end - exact.begin, head_dim_, work.partial + row * stride_, stride_);
        });
    }
}

}  // namespace strata
