#include "engine/kernels/signature.h"

#include <cstring>
#include <vector>

#include "engine/base/bits.h"
#include "engine/formats/q2_k.h"
#include "engine/formats/q3_k.h"
#include "engine/formats/q4_1.h"
#include "engine/formats/q4_k.h"
#include "engine/formats/q5_1.h"
#include "engine/formats/q5_k.h"
#include "engine/formats/q6_k.h"
#include "engine/formats/turbo_kv_4b.h"

namespace strata {

namespace {

// Integer random numbers and one multiplication, so that inputs are the same on every platform.
class Inputs {
public:
    uint32_t next() {
        state_ = state_ * 6364136223846793005ull + 1442695040888963407ull;
        return uint32_t(state_ >> 33);
    }
    float real() { return float(int(next() % 2001) - 1000) * 0.001f; }
    std::vector<float> reals(size_t n) {
        std::vector<float> values(n);
        for (float& v : values) v = real();
        return values;
    }
    std::vector<uint8_t> bytes(size_t n) {
        std::vector<uint8_t> values(n);
        for (uint8_t& v : values) v = uint8_t(next());
        return values;
    }
    // Blocks of any bytes, but with a sane half-precision scale at `scale_at` of each.
    std::vector<uint8_t> blocks(size_t count, size_t block_bytes, size_t scale_at) {
        std::vector<uint8_t> values = bytes(count * block_bytes);
        set_halves(values, block_bytes, scale_at);
        return values;
    }
    void set_halves(std::vector<uint8_t>& blocks, size_t block_bytes, size_t at) {
        for (; at < blocks.size(); at += block_bytes) {
            const uint16_t half = float_to_half(0.01f + 0.01f * real());
            std::memcpy(blocks.data() + at, &half, sizeof half);
        }
    }

private:
    uint64_t state_ = 7;
};

class Hash {
public:
    void add(const std::vector<float>& values) {
        for (float v : values) hash_ = (hash_ ^ bits_of(v)) * 16777619u;
    }
    void add(const std::vector<uint8_t>& values) {
        for (uint8_t v : values) hash_ = (hash_ ^ v) * 16777619u;
    }
    uint32_t value() const { return hash_; }

private:
    uint32_t hash_ = 2166136261u;
};

constexpr int kRows = 37, kCols = 512, kTokens = 7, kHeadDim = 96, kKvRows = 61, kSinkRows = 4;

// kTokens rows of activations, as every kind of product reads them.
struct Activations {
    std::vector<float> x, scales, sums;
    std::vector<uint8_t> quantised;

    Activations(const Kernels& k, Inputs& in, int64_t cols)
        : x(in.reals(kTokens * size_t(cols))),
          scales(x.size() / 32),
          sums(kTokens * size_t(n_activation_sums(cols))),
          quantised(x.size() * k.activation_bytes) {
        for (int t = 0; t < kTokens; ++t) {
            uint8_t* row = quantised.data() + size_t(t * cols) * k.activation_bytes;
            k.quantise_row(x.data() + t * cols, row, scales.data() + t * cols / 32, cols);
            k.sum_activations(row, cols, sums.data() + t * n_activation_sums(cols));
        }
    }
};

void add_products(const Kernels& k, Inputs& in, Hash& hash) {
    const Activations a(k, in, kCols);
    hash.add(a.scales);

    const size_t values = size_t(kRows) * kCols;
    const auto f32 = in.reals(values);
    const auto f16 = in.blocks(values, 2, 0);
    std::vector<uint8_t> bf16(values * 2);
    for (size_t i = 0; i < values; ++i) {
        const uint16_t high = uint16_t(bits_of(f32[i]) >> 16);
        std::memcpy(bf16.data() + 2 * i, &high, sizeof high);
    }
    const auto q8_0 = in.blocks(values / 32, 34, 0), q4_0 = in.blocks(values / 32, 18, 0);
    const auto q6_k = in.blocks(values / 256, sizeof(BlockQ6_K), offsetof(BlockQ6_K, scale));

    const struct {
        TensorType type;
        const void* weights;
    } cases[] = {{TensorType::f32, f32.data()},   {TensorType::f16, f16.data()},   {TensorType::bf16, bf16.data()},
                 {TensorType::q8_0, q8_0.data()}, {TensorType::q4_0, q4_0.data()}, {TensorType::q6_k, q6_k.data()}};
    for (const auto& c : cases)
        for (const int n : {1, kTokens}) {
            std::vector<float> out(size_t(n) * kRows);
            k.matmul(c.type)({static_cast<const uint8_t*>(c.weights), kCols, a.x.data(), a.quantised.data(),
                              a.scales.data(), n, out.data(), kRows, a.sums.data()},
                             0, kRows);
            hash.add(out);
        }
}

void add_weights(const Kernels& k, Inputs& in, Hash& hash, TensorType type, size_t scale_at, size_t minimum_at = 0) {
    const TensorTraits& traits = tensor_traits(type);
    const int64_t cols = traits.block_values == 32 ? 32 * 23 : 256 * 3;  // 23 blocks: three after the last whole four
    const Activations a(k, in, cols);
    const size_t block_bytes = size_t(traits.block_bytes);
    auto weights = in.blocks(size_t(kRows * cols / traits.block_values), block_bytes, scale_at);
    if (minimum_at != 0) in.set_halves(weights, block_bytes, minimum_at);
    for (const int n : {1, kTokens}) {
        std::vector<float> out(size_t(n) * kRows);
        k.matmul(type)({weights.data(), cols, a.x.data(), a.quantised.data(), a.scales.data(), n, out.data(), kRows,
                        a.sums.data()},
                       0, kRows);
        hash.add(out);
    }
}

void add_elementwise(const Kernels& k, Inputs& in, Hash& hash) {
    constexpr int n = 1003;  // not a multiple of the lanes
    auto a = in.reals(n), b = in.reals(n);
    std::vector<float> out(n);
    k.rms_norm(a.data(), b.data(), out.data(), n, 1e-5f);
    hash.add(out);
    for (float& v : a) v = v * 20.0f;
    k.silu_mul(a.data(), b.data(), out.data(), n);
    hash.add(out);
    k.add(out.data(), a.data(), n);
    hash.add(out);
    std::vector<float> top_and_sum(2);
    k.softmax_block(a.data(), n, &top_and_sum[0], &top_and_sum[1]);
    hash.add(a);
    hash.add(top_and_sum);
}

void add_attention(const Kernels& k, Inputs& in, Hash& hash) {
    const size_t values = size_t(kKvRows) * kHeadDim;
    const auto query = in.reals(kHeadDim), weights = in.reals(kKvRows);
    std::vector<uint8_t> int_query(kHeadDim * k.activation_bytes);
    std::vector<float> int_query_scales(kHeadDim / 32), scores(kKvRows), out(kHeadDim), rows(values),
        scales(values / 32);
    std::vector<int8_t> q(values);
    k.quantise_row(query.data(), int_query.data(), int_query_scales.data(), kHeadDim);

    const auto use = [&](StagedRows staged) {
        k.scores_i8(int_query.data(), int_query_scales.data(), staged, kKvRows, kHeadDim, scores.data());
        hash.add(scores);
        k.expand(staged, int64_t(values), rows.data());
        hash.add(rows);
    };
    const auto f16 = in.blocks(values, 2, 0), q8_0 = in.blocks(values / 32, 34, 0),
               q4_0 = in.blocks(values / 32, 18, 0);
    // A row of 96 is two Hadamard blocks (64 + 32): scales at bytes 0 and 34 of 52.
    auto turbo = in.blocks(kKvRows, size_t(turbo_row_bytes(kHeadDim)), 0);
    for (int r = 0; r < kKvRows; ++r)
        std::memcpy(turbo.data() + r * turbo_row_bytes(kHeadDim) + 34, turbo.data() + r * turbo_row_bytes(kHeadDim), 2);
    k.stage_q8_0(q8_0.data(), int64_t(values), q.data(), scales.data());
    use({q.data(), scales.data()});
    k.stage_q4_0(q4_0.data(), int64_t(values), q.data(), scales.data());
    use({q.data(), scales.data()});
    k.stage_turbo(turbo.data(), kKvRows, kHeadDim, q.data(), scales.data());
    use({q.data(), scales.data()});
    k.stage_f16(f16.data(), int64_t(values), rows.data());
    k.scores_f32(query.data(), 1, rows.data(), kKvRows, kHeadDim, scores.data(), 0);
    hash.add(scores);
    k.accumulate(weights.data(), 0, 1, rows.data(), kKvRows, kHeadDim, out.data(), 0);
    hash.add(out);
}

void add_tiles_at(const Kernels& k, Inputs& in, Hash& hash, TileSide side, int head_dim, int bits) {
    constexpr int n = 5;
    const int masked = bits == 3 ? kSinkRows : 0;
    const size_t d = size_t(head_dim), values = kTilePositions * d;
    const auto x = in.reals(values), queries = in.reals(n * d);
    std::vector<float> scratch(values), scales(n), scores(n * kTilePositions), out(n * d);
    std::vector<uint8_t> header(size_t(tile_header_bytes(head_dim))), codes(values),
        query(n * size_t(padded_head_dim(head_dim)) * k.query_bytes);
    k.encode_tile(x.data(), head_dim, masked, scratch.data(), header.data(), codes.data());
    hash.add(header);
    hash.add(codes);
    if (bits == 8)  // kernels do not encode these: any codes will do
        for (uint8_t& code : codes) code = uint8_t(16 * code - 127);

    std::vector<std::vector<uint8_t>> bytes(size_t(tile_pages(bits)),
                                            std::vector<uint8_t>(size_t(tile_page_bytes(head_dim))));
    TileView tile{header.data(), {}, bits};
    uint8_t* pages[kMaxTilePages] = {};
    for (size_t p = 0; p < bytes.size(); ++p) tile.pages[p] = pages[p] = bytes[p].data();
    pack_tile(side, codes.data(), head_dim, bits, pages);
    if (side == TileSide::keys) {
        k.quantise_queries(queries.data(), n, head_dim, query.data(), scales.data());
        k.tile_scores({&tile, 1}, nullptr, head_dim, query.data(), scales.data(), n, scores.data(), kTilePositions);
        hash.add(scores);
    } else {
        for (float& score : scores) score = in.real() * 0.5f + 0.5f;
        k.tile_values({&tile, 1}, nullptr, head_dim, scores.data(), kTilePositions, n, out.data(), head_dim);
        hash.add(out);
    }
}

void add_tiles(const Kernels& k, Inputs& in, Hash& hash) {
    for (const int head_dim : {16, 64, 80, 112, 128, 256}) {
        for (const int bits : {2, 3, 4, 8}) add_tiles_at(k, in, hash, TileSide::keys, head_dim, bits);
        for (const int bits : {2, 3, 4}) add_tiles_at(k, in, hash, TileSide::values, head_dim, bits);
    }
}

}  // namespace

uint32_t weights_signature_of(const Kernels& k) {
    Inputs in;
    Hash hash;
    add_weights(k, in, hash, TensorType::q4_1, offsetof(BlockQ4_1, scale), offsetof(BlockQ4_1, minimum));
    add_weights(k, in, hash, TensorType::q5_0, 0);
    add_weights(k, in, hash, TensorType::q5_1, offsetof(BlockQ5_1, scale), offsetof(BlockQ5_1, minimum));
    add_weights(k, in, hash, TensorType::q2_k, offsetof(BlockQ2_K, scale), offsetof(BlockQ2_K, minimum));
    add_weights(k, in, hash, TensorType::q3_k, offsetof(BlockQ3_K, scale));
    add_weights(k, in, hash, TensorType::q4_k, offsetof(BlockQ4_K, scale), offsetof(BlockQ4_K, minimum));
    add_weights(k, in, hash, TensorType::q5_k, offsetof(BlockQ5_K, scale), offsetof(BlockQ5_K, minimum));
    add_weights(k, in, hash, TensorType::iq4_nl, 0);
    add_weights(k, in, hash, TensorType::iq4_xs, 0);
    return hash.value();
}

uint32_t signature_of(const Kernels& kernels) {
    Inputs in;
    Hash hash;
    add_products(kernels, in, hash);
    add_elementwise(kernels, in, hash);
    add_attention(kernels, in, hash);
    add_tiles(kernels, in, hash);
    return hash.value();
}

}  // namespace strata
