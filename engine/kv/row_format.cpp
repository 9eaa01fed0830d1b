#include "engine/kv/row_format.h"

#include <vector>

#include "engine/base/bits.h"
#include "engine/base/check.h"
#include "engine/formats/hadamard.h"
#include "engine/formats/q4_0.h"
#include "engine/formats/q8_0.h"
#include "engine/formats/requantised.h"
#include "engine/formats/turbo_kv_4b.h"

namespace strata {

namespace {

int bytes_of_row(KvType type, int head_dim) {
    switch (type) {
        case KvType::fp32:
            return head_dim * 4;
        case KvType::fp16:
            return head_dim * 2;
        case KvType::q8_0:
            return head_dim / 32 * int(sizeof(BlockQ8_0));
        case KvType::q4_0:
        case KvType::hq4_0:
            return head_dim / 32 * int(sizeof(BlockQ4_0));
        case KvType::hq3_0:
            return head_dim / 32 * requantised_block_bytes(3);
        case KvType::hq2_0:
            return head_dim / 32 * requantised_block_bytes(2);
        case KvType::turbo_kv_4b:
            return turbo_row_bytes(head_dim);
    }
    CHECK(!"unknown KV type");
    return 0;
}

}  // namespace

RowFormat::RowFormat(KvType type, int head_dim)
    : type_(type), head_dim_(head_dim), row_bytes_(bytes_of_row(type, head_dim)) {
    CHECK(fits(type, head_dim) && head_dim <= kMaxHeadDim);
}

void RowFormat::encode(const float* x, uint8_t* row) const {
    float turned[kMaxHeadDim];
    if (rotated()) {
        std::memcpy(turned, x, sizeof(float) * size_t(head_dim_));
        hadamard(turned, head_dim_);
        x = turned;
    }
    switch (type_) {
        case KvType::fp32:
            std::memcpy(row, x, size_t(row_bytes_));
            break;
        case KvType::fp16:
            for (int i = 0; i < head_dim_; ++i) {
                const uint16_t half = float_to_half(x[i]);
                std::memcpy(row + 2 * i, &half, sizeof half);
            }
            break;
        case KvType::q8_0:
            encode_q8_0(x, row, head_dim_);
            break;
        case KvType::q4_0:
        case KvType::hq4_0:
            encode_q4_0(x, row, head_dim_);
            break;
        case KvType::hq3_0:
            encode_requantised(x, 3, row, head_dim_);
            break;
        case KvType::hq2_0:
            encode_requantised(x, 2, row, head_dim_);
            break;
        case KvType::turbo_kv_4b:
            encode_turbo(x, row, head_dim_);
            break;
    }
}

StagedRows RowFormat::stage_integers(const Kernels& kernels, const uint8_t* rows, int n_rows, int8_t* q,
                                     float* scales) const {
    const int64_t values = int64_t(n_rows) * head_dim_;
    switch (type_) {
        case KvType::q8_0:
            kernels.stage_q8_0(rows, values, q, scales);
            break;
        case KvType::q4_0:
        case KvType::hq4_0:
            kernels.stage_q4_0(rows, values, q, scales);
            break;
        case KvType::hq3_0:
            unpack_requantised(rows, 3, values, q, scales);
            break;
        case KvType::hq2_0:
            unpack_requantised(rows, 2, values, q, scales);
            break;
        case KvType::turbo_kv_4b:
            kernels.stage_turbo(rows, n_rows, head_dim_, q, scales);
            break;
        default:
            CHECK(!"a float format has no integers");
    }
    return {q, scales};
}

const float* RowFormat::stage_floats(const Kernels& kernels, const uint8_t* rows, int n_rows, int8_t* q, float* scales,
                                     float* out) const {
    const int64_t values = int64_t(n_rows) * head_dim_;
    if (type_ == KvType::fp32) return reinterpret_cast<const float*>(rows);
    if (type_ == KvType::fp16)
        kernels.stage_f16(rows, values, out);
    else
        kernels.expand(stage_integers(kernels, rows, n_rows, q, scales), values, out);
    return out;
}

}  // namespace strata
