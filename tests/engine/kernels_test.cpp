// Every backend of this build must compute the same bits as the scalar one, at every size and alignment; and the scalar
// one must be close to plain double arithmetic on the formats' slow decodes.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "engine/base/bits.h"
#include "engine/formats/q4_0.h"
#include "engine/formats/q6_k.h"
#include "engine/formats/q8_0.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/signature.h"
#include "tests/engine/signature.h"

namespace strata {
namespace {

std::mt19937 rng(1);

std::vector<float> reals(size_t n) {
    std::vector<float> values(n);
    for (float& v : values) v = float(int(rng() % 2001) - 1000) * 0.001f;
    return values;
}

std::vector<uint8_t> random_weights(TensorType type, size_t values) {
    const TensorTraits& traits = tensor_traits(type);
    std::vector<uint8_t> bytes(values / size_t(traits.block_values) * size_t(traits.block_bytes));
    const auto x = reals(values);
    switch (type) {
        case TensorType::f32:
            std::memcpy(bytes.data(), x.data(), bytes.size());
            break;
        case TensorType::f16:
        case TensorType::bf16:
            for (size_t i = 0; i < values; ++i) {
                const uint16_t half = type == TensorType::f16 ? float_to_half(x[i]) : uint16_t(bits_of(x[i]) >> 16);
                std::memcpy(bytes.data() + 2 * i, &half, sizeof half);
            }
            break;
        case TensorType::q8_0:
            encode_q8_0(x.data(), bytes.data(), int(values));
            break;
        case TensorType::q4_0:
            encode_q4_0(x.data(), bytes.data(), int(values));
            break;
        case TensorType::q6_k:
            for (uint8_t& byte : bytes) byte = uint8_t(rng());
            for (size_t at = offsetof(BlockQ6_K, scale); at < bytes.size(); at += sizeof(BlockQ6_K)) {
                const uint16_t half = float_to_half(0.0002f);
                std::memcpy(bytes.data() + at, &half, sizeof half);
            }
            break;
    }
    return bytes;
}

constexpr TensorType kTypes[] = {TensorType::f32,  TensorType::f16,  TensorType::bf16,
                                 TensorType::q8_0, TensorType::q4_0, TensorType::q6_k};

struct Quantised {
    std::vector<uint8_t> q;
    std::vector<float> scales;
};
Quantised quantise(const Kernels& k, const std::vector<float>& x, int64_t cols) {
    Quantised result{std::vector<uint8_t>(x.size() * k.activation_bytes), std::vector<float>(x.size() / 32 + 1)};
    for (size_t at = 0; cols % 32 == 0 && at < x.size(); at += size_t(cols))
        k.quantise_row(x.data() + at, result.q.data() + at * k.activation_bytes, result.scales.data() + at / 32, cols);
    return result;
}

std::vector<float> product(const Kernels& k, TensorType type, const std::vector<uint8_t>& w,
                           const std::vector<float>& x, int64_t rows, int64_t cols, int64_t begin, int64_t end) {
    const int tokens = int(int64_t(x.size()) / cols);
    const Quantised quantised = quantise(k, x, cols);
    std::vector<float> out(size_t(tokens * rows), -7.0f);
    k.matmul(type)({w.data(), cols, x.data(), quantised.q.data(), quantised.scales.data(), tokens, out.data(), rows},
                   begin, end);
    return out;
}

const Kernels& scalar() { return *find_kernels("scalar"); }

class EveryBackend : public testing::TestWithParam<const Kernels*> {};

TEST_P(EveryBackend, MatmulHasTheBitsOfScalarAtEverySize) {
    for (const TensorType type : kTypes) {
        const int64_t block = tensor_traits(type).block_values;
        for (const int64_t rows : {1, 3, 4, 9, 37})
            for (const int64_t blocks : {1, 2, 3, 5, 8, 33}) {
                const int64_t cols = block == 1 ? blocks * 7 + blocks % 3 : block * blocks;
                const auto w = random_weights(type, size_t(rows * cols));
                for (const int64_t tokens : {1, 2, 4, 5, 7, 8, 11, 64, 70}) {
                    const auto x = reals(size_t(tokens * cols));
                    EXPECT_EQ(product(scalar(), type, w, x, rows, cols, 0, rows),
                              product(*GetParam(), type, w, x, rows, cols, 0, rows))
                        << tensor_traits(type).name << " " << rows << " x " << cols << ", " << tokens << " tokens";
                }
            }
    }
}

// What makes results independent of batches and threads: rows and tokens may be grouped in any way.
TEST_P(EveryBackend, MatmulDoesNotDependOnHowRowsAndTokensAreGrouped) {
    constexpr int64_t kRows = 23, kCols = 512 * 3, kTokens = 13;
    for (const TensorType type : kTypes) {
        const auto w = random_weights(type, kRows * kCols);
        const auto x = reals(kTokens * kCols);
        const auto whole = product(*GetParam(), type, w, x, kRows, kCols, 0, kRows);
        for (int64_t t = 0; t < kTokens; ++t) {
            const std::vector<float> one(x.begin() + t * kCols, x.begin() + (t + 1) * kCols);
            for (int64_t begin = 0; begin < kRows; begin += 5) {
                const int64_t end = std::min(begin + 5, kRows);
                const auto part = product(*GetParam(), type, w, one, kRows, kCols, begin, end);
                for (int64_t r = 0; r < kRows; ++r)
                    EXPECT_EQ(part[size_t(r)], r >= begin && r < end ? whole[size_t(t * kRows + r)] : -7.0f)
                        << tensor_traits(type).name;
            }
        }
    }
}

TEST_P(EveryBackend, MatmulIsCloseToTheSlowTwin) {
    constexpr int64_t kRows = 5, kCols = 1024;
    for (const TensorType type : kTypes) {
        const auto w = random_weights(type, kRows * kCols);
        const auto x = reals(kCols);
        const auto actual = product(*GetParam(), type, w, x, kRows, kCols, 0, kRows);
        std::vector<float> decoded(kRows * kCols);
        tensor_traits(type).decode(w.data(), decoded.data(), kRows * kCols);
        // An int8 activation is off by up to 1/254 of its block's largest.
        const double tolerance = tensor_traits(type).block_values == 1 ? 1e-5 : 4e-3;
        for (int64_t r = 0; r < kRows; ++r) {
            double expected = 0, size = 0;
            for (int64_t i = 0; i < kCols; ++i) {
                expected += double(decoded[size_t(r * kCols + i)]) * double(x[size_t(i)]);
                size += std::fabs(double(decoded[size_t(r * kCols + i)]));
            }
            EXPECT_NEAR(actual[size_t(r)], expected, tolerance * size) << tensor_traits(type).name;
        }
    }
}

TEST_P(EveryBackend, ElementwiseHasTheBitsOfScalarAtEverySizeAndAlignment) {
    for (int n = 1; n <= 100; ++n)
        for (int offset = 0; offset < 4; ++offset) {
            const auto a = reals(size_t(n + offset)), b = reals(size_t(n + offset));
            const auto both = [&](auto&& run) {
                std::vector<float> expected(size_t(n), 0), actual(size_t(n), 0);
                run(scalar(), expected);
                run(*GetParam(), actual);
                EXPECT_EQ(expected, actual) << n << " values, offset " << offset;
            };
            both([&](const Kernels& k, std::vector<float>& out) {
                k.rms_norm(a.data() + offset, b.data() + offset, out.data(), n, 1e-5f);
            });
            both([&](const Kernels& k, std::vector<float>& out) {
                k.silu_mul(a.data() + offset, b.data() + offset, out.data(), n);
            });
            both([&](const Kernels& k, std::vector<float>& out) { k.add(out.data(), b.data() + offset, n); });
            both([&](const Kernels& k, std::vector<float>& out) {
                std::copy_n(a.data() + offset, n, out.data());
                float top, sum;
                k.softmax_block(out.data(), n, &top, &sum);
                EXPECT_EQ(top, *std::max_element(a.begin() + offset, a.end()));
                out.push_back(sum);
            });
            both([&](const Kernels& k, std::vector<float>& out) {
                k.accumulate(b.data(), a.data() + offset, 1, n, out.data());
            });
        }
}

TEST_P(EveryBackend, HasTheAgreedSignature) { EXPECT_EQ(kSignature, signature_of(*GetParam())); }

INSTANTIATE_TEST_SUITE_P(Kernels, EveryBackend,
                         testing::ValuesIn(available_kernels().begin(), available_kernels().end()),
                         [](const auto& info) { return std::string(info.param->name); });

TEST(Formats, EncodingLosesNoMoreThanHalfAStep) {
    const auto x = reals(4096);
    std::vector<float> decoded(x.size());
    std::vector<uint8_t> bytes(x.size() * 2);
    encode_q8_0(x.data(), bytes.data(), int(x.size()));
    decode_q8_0(bytes.data(), decoded.data(), int64_t(x.size()));
    for (size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(decoded[i], x[i], 0.51 / 127) << i;
    encode_q4_0(x.data(), bytes.data(), int(x.size()));
    decode_q4_0(bytes.data(), decoded.data(), int64_t(x.size()));
    for (size_t i = 0; i < x.size(); ++i)
        EXPECT_NEAR(decoded[i], x[i], 1.01 / 8) << i;  // +8 does not exist: the far end loses a step
}

}  // namespace
}  // namespace strata
