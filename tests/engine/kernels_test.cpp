// Every backend of this build must compute the same bits as the scalar one, at every size and alignment; and the scalar
// one must be close to plain double arithmetic on the formats' slow decodes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "engine/base/bits.h"
#include "engine/base/math.h"
#include "engine/formats/q4_0.h"
#include "engine/formats/q8_0.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/signature.h"
#include "tests/engine/every_backend.h"
#include "tests/engine/random_blocks.h"
#include "tests/engine/signature.h"

namespace strata {
namespace {

std::mt19937 rng(1);

std::vector<float> reals(size_t n) {
    std::vector<float> values(n);
    for (float& v : values) v = float(int(rng() % 2001) - 1000) * 0.001f;
    return values;
}

std::vector<uint8_t> random_weights(TensorType type, size_t values) { return random_blocks(type, values, 0.5, rng); }

struct Quantised {
    std::vector<uint8_t> q;
    std::vector<float> scales, sums;
};
Quantised quantise(const Kernels& k, const std::vector<float>& x, int64_t cols) {
    const int64_t n_sums = n_activation_sums(cols);
    Quantised result{std::vector<uint8_t>(x.size() * k.activation_bytes), std::vector<float>(x.size() / 32 + 1),
                     std::vector<float>(x.size() / size_t(cols) * size_t(n_sums))};
    for (size_t at = 0; cols % 32 == 0 && at < x.size(); at += size_t(cols)) {
        uint8_t* q = result.q.data() + at * k.activation_bytes;
        k.quantise_row(x.data() + at, q, result.scales.data() + at / 32, cols);
        k.sum_activations(q, cols, result.sums.data() + int64_t(at) / cols * n_sums);
    }
    return result;
}

std::vector<float> product(const Kernels& k, TensorType type, const std::vector<uint8_t>& w,
                           const std::vector<float>& x, int64_t rows, int64_t cols, int64_t begin, int64_t end) {
    const int tokens = int(int64_t(x.size()) / cols);
    const Quantised quantised = quantise(k, x, cols);
    std::vector<float> out(size_t(tokens * rows), -7.0f);
    k.matmul(type)({w.data(), cols, x.data(), quantised.q.data(), quantised.scales.data(), tokens, out.data(), rows,
                    quantised.sums.data()},
                   begin, end);
    return out;
}

const Kernels& scalar() { return *find_kernels("scalar"); }

class EveryBackend : public testing::TestWithParam<const Kernels*> {};

TEST_P(EveryBackend, MatmulHasTheBitsOfScalarAtEverySize) {
    for (const TensorType type : kAllTensorTypes) {
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
    for (const TensorType type : kAllTensorTypes) {
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
    for (const TensorType type : kAllTensorTypes) {
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

// With activations that int8 holds exactly, nothing is left to round but the sums: the kernel and the decoder must
// agree on every weight.
TEST_P(EveryBackend, MatmulMultipliesWithTheWeightsThatDecodingGives) {
    for (const TensorType type : kAllTensorTypes)
        for (const int64_t cols : {256, 768, 2304}) {
            constexpr int64_t kRows = 7, kTokens = 3;
            const auto w = random_weights(type, size_t(kRows * cols));
            std::vector<float> x(size_t(kTokens * cols)), decoded(size_t(kRows * cols));
            for (size_t i = 0; i < x.size(); ++i) x[i] = i % 32 == 0 ? 127.0f : float(int(rng() % 255) - 127);
            tensor_traits(type).decode(w.data(), decoded.data(), kRows * cols);
            const auto actual = product(*GetParam(), type, w, x, kRows, cols, 0, kRows);
            for (int64_t t = 0; t < kTokens; ++t)
                for (int64_t r = 0; r < kRows; ++r) {
                    double expected = 0, size = 0;
                    for (int64_t i = 0; i < cols; ++i) {
                        const double term = double(decoded[size_t(r * cols + i)]) * double(x[size_t(t * cols + i)]);
                        expected += term;
                        size += std::fabs(term);
                    }
                    EXPECT_NEAR(actual[size_t(t * kRows + r)], expected, 1e-6 * size) << tensor_traits(type).name;
                }
        }
}

// The largest integers that can occur: every code, group scale and activation at either end of its range.
TEST_P(EveryBackend, MatmulIsExactAtTheEndsOfEveryRange) {
    constexpr int64_t kCols = 256;
    for (const TensorType type : kAllTensorTypes) {
        if (tensor_traits(type).block_values == 1) continue;
        for (const int codes : {0x00, 0xff, 0x7f, 0x80})
            for (const float activation : {127.0f, -127.0f}) {
                std::vector<uint8_t> w(
                    size_t(kCols / tensor_traits(type).block_values * tensor_traits(type).block_bytes), uint8_t(codes));
                const BlockHalves halves = block_halves(type);
                const uint16_t one = float_to_half(1);
                for (size_t at = 0; at < w.size(); at += size_t(tensor_traits(type).block_bytes)) {
                    std::memcpy(w.data() + at + halves.scale_at, &one, sizeof one);
                    if (halves.minimum_at != 0) std::memcpy(w.data() + at + halves.minimum_at, &one, sizeof one);
                }
                std::vector<float> decoded(kCols);
                tensor_traits(type).decode(w.data(), decoded.data(), kCols);
                double expected = 0;
                for (const float weight : decoded) expected += double(weight) * double(activation);
                for (const size_t tokens : {1, 8}) {
                    const std::vector<float> x(tokens * kCols, activation);
                    EXPECT_EQ(product(*GetParam(), type, w, x, 1, kCols, 0, 1),
                              std::vector<float>(tokens, float(expected)))
                        << tensor_traits(type).name << ", bytes " << codes << ", activations " << activation << ", "
                        << tokens << " tokens";
                }
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
            both([&](const Kernels& k, std::vector<float>& out) {
                k.gelu_mul(a.data() + offset, b.data() + offset, out.data(), n);
            });
            both([&](const Kernels& k, std::vector<float>& out) {
                std::copy_n(a.data() + offset, n, out.data());
                k.soft_cap(out.data(), n, 0.7f);
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
                k.accumulate(b.data(), 0, 1, a.data() + offset, 1, n, out.data(), 0);
            });
        }
}

// Queries that share loads, and rows whose sums are made together, against one of each by the scalar backend.
TEST_P(EveryBackend, ExactAttentionOfManyQueriesHasTheBitsOfEach) {
    constexpr int kStride = 70, kQueries = 9, kRows = 67;
    for (const int head_dim : {4, 8, 16, 24, 40, 64, 80, 96, 128, 256}) {
        const size_t d = size_t(head_dim);
        const auto queries = reals(kQueries * d), rows = reals(kRows * d), weights = reals(kQueries * kStride);
        for (const int n_rows : {1, 3, 4, 7, 64, kRows}) {
            std::vector<float> expected(kQueries * kStride), expected_out(kQueries * d, 0.5f);
            for (int i = 0; i < kQueries; ++i) {
                scalar().scores_f32(queries.data() + size_t(i) * d, 1, rows.data(), n_rows, head_dim,
                                    expected.data() + i * kStride, 0);
                scalar().accumulate(weights.data() + i * kStride, 0, 1, rows.data(), n_rows, head_dim,
                                    expected_out.data() + size_t(i) * d, 0);
            }
            for (int n = 1; n <= kQueries; ++n) {
                std::vector<float> scores(size_t(n * kStride)), out(size_t(n) * d, 0.5f);
                GetParam()->scores_f32(queries.data(), n, rows.data(), n_rows, head_dim, scores.data(), kStride);
                GetParam()->accumulate(weights.data(), kStride, n, rows.data(), n_rows, head_dim, out.data(), head_dim);
                EXPECT_TRUE(std::equal(scores.begin(), scores.end(), expected.begin()))
                    << head_dim << " values, " << n_rows << " rows, " << n << " queries";
                EXPECT_TRUE(std::equal(out.begin(), out.end(), expected_out.begin()))
                    << head_dim << " values, " << n_rows << " rows, " << n << " queries";
            }
        }
    }
}

// However many are taken in at a time, and where the largest score is of any of them; a partial result of nothing has
// none.
TEST_P(EveryBackend, PartialResultsAreMergedInOrder) {
    for (const int values : {2, 6, 32, 48, 128, 160})
        for (const int n : {0, 1, 2, 15, 16, 17, 40}) {
            const size_t stride = size_t(values) + 2;
            auto partials = reals(size_t(n + 1) * stride);
            for (size_t i = 0; i <= size_t(n); ++i) {
                float* scores = partials.data() + i * stride + size_t(values);
                scores[0] = i % 5 == 3 ? -1e30f : 9 * scores[0];
                scores[1] = 1 + std::fabs(scores[1]);
            }
            std::vector<float> expected(partials.begin(), partials.begin() + ptrdiff_t(stride)), merged = expected;
            for (size_t i = 1; i <= size_t(n); ++i) {
                const float* partial = partials.data() + i * stride;
                const float largest = std::max(expected[size_t(values)], partial[values]);
                const float kept = exp_f32(expected[size_t(values)] - largest),
                            added = exp_f32(partial[values] - largest);
                for (size_t c = 0; c < stride; ++c) expected[c] = expected[c] * kept + partial[c] * added;
                expected[size_t(values)] = largest;
            }
            GetParam()->merge(merged.data(), partials.data() + stride, int64_t(stride), n, values);
            EXPECT_EQ(merged, expected) << values << " values, " << n << " partial results";
        }
}

TEST_P(EveryBackend, GeluAndSoftCapAreCloseToTheirFormulas) {
    std::vector<float> x;
    for (const float large : {1e30f, 1e6f, 300.0f, 60.0f})
        for (const float sign : {-1.0f, 1.0f}) x.push_back(sign * large);
    for (int i = -3000; i <= 3000; ++i) x.push_back(float(i) / 250);
    const std::vector<float> ones(x.size(), 1);
    std::vector<float> gelu(x.size()), capped = x;
    GetParam()->gelu_mul(x.data(), ones.data(), gelu.data(), int64_t(x.size()));
    GetParam()->soft_cap(capped.data(), int64_t(x.size()), 5);
    for (size_t i = 0; i < x.size(); ++i) {
        const double v = x[i], u = 0.7978845608028654 * (v + 0.044715 * v * v * v);
        EXPECT_NEAR(gelu[i], 0.5 * v * (1 + std::tanh(u)), 1e-6 * std::max(1.0, std::fabs(v))) << v;
        EXPECT_NEAR(capped[i], 5 * std::tanh(v / 5), 2.5e-7 * 5) << v;
    }
}

TEST_P(EveryBackend, HasTheAgreedSignature) {
    EXPECT_EQ(kSignature, signature_of(*GetParam()));
    EXPECT_EQ(kWeightsSignature, weights_signature_of(*GetParam()));
}

INSTANTIATE_TEST_SUITE_P(Kernels, EveryBackend, every_backend(), name_of_backend);

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
