// How one row of the KV cache (head_dim values of one position, layer and KV head) is encoded, and how a run of rows is
// made ready ("staged", in the first-level cache) for many queries: integers with scales, or floats. Encoded rows never
// leave the memory in any other form.
#pragma once
#include <cstddef>
#include <cstdint>

#include "engine/kernels/kernels.h"
#include "engine/kv/kv_options.h"

namespace strata {

constexpr int kMaxHeadDim = 1024;  // of any model; a head larger than this is refused with its file

class RowFormat {
public:
    RowFormat(KvType type, int head_dim);

    // Formats with scales need heads of whole blocks of 32; the others take any size.
    static bool fits(KvType type, int head_dim) {
        return type == KvType::fp32 || type == KvType::fp16 || head_dim % 32 == 0;
    }

    KvType type() const { return type_; }
    int row_bytes() const { return row_bytes_; }
    double bits_per_value() const { return 8.0 * row_bytes_ / head_dim_; }
    // The row holds the Hadamard transform: queries are rotated before, outputs after.
    bool rotated() const {
        return type_ == KvType::hq4_0 || type_ == KvType::hq3_0 || type_ == KvType::hq2_0 ||
               type_ == KvType::turbo_kv_4b;
    }
    // Keys are compared as integers with an int8 query; otherwise as floats.
    bool integer() const { return type_ != KvType::fp32 && type_ != KvType::fp16; }

    // x (head_dim); deterministic, the same in every build.
    void encode(const float* x, uint8_t* row) const;

    // rows (n_rows) to integers and scales; integer formats only.
    StagedRows stage_integers(const Kernels& kernels, const uint8_t* rows, int n_rows, int8_t* q, float* scales) const;
    // rows (n_rows) to floats (n_rows, head_dim), still rotated. Returns where they are: fp32 rows are used in place.
    // q and scales are scratch.
    const float* stage_floats(const Kernels& kernels, const uint8_t* rows, int n_rows, int8_t* q, float* scales,
                              float* out) const;

private:
    KvType type_;
    int head_dim_;
    int row_bytes_;
};

}  // namespace strata
