// The tile format: its layout, its reference encoder, and the kernels of every backend against both.
#include "engine/formats/tile.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "engine/base/bits.h"
#include "engine/formats/hadamard.h"
#include "engine/kernels/kernels.h"
#include "tests/engine/every_backend.h"
#include "tests/engine/test_files.h"

namespace strata {
namespace {

constexpr int kHeadDims[] = {16, 32, 48, 64, 80, 96, 112, 128, 256, 512};
constexpr TileSide kSides[] = {TileSide::keys, TileSide::values};

std::vector<int> all_bits(TileSide side) {
    return side == TileSide::keys ? std::vector{2, 3, 4, 8} : std::vector{2, 3, 4};
}

std::mt19937 rng(3);

// About normal, with columns of different means and rows of different sizes.
std::vector<float> rows_like_keys(int head_dim) {
    std::vector<float> x(size_t(kTilePositions * head_dim)), mean(static_cast<size_t>(head_dim));
    const auto normal = [] {
        float sum = 0;
        for (int i = 0; i < 4; ++i) sum += float(int(rng() % 2001) - 1000) * 0.001f;
        return sum;
    };
    for (float& m : mean) m = 2 * normal();
    for (size_t r = 0; r < kTilePositions; ++r) {
        const float size = 0.2f + std::fabs(normal());
        for (size_t c = 0; c < mean.size(); ++c) x[r * mean.size() + c] = mean[c] + size * normal();
    }
    return x;
}

std::vector<uint8_t> random_codes(int head_dim, int bits) {
    std::vector<uint8_t> codes(size_t(kTilePositions * head_dim));
    for (uint8_t& code : codes) code = uint8_t(rng() & ((1u << bits) - 1));
    return codes;
}

// A tile that owns its bytes.
struct Tile {
    int head_dim, bits;
    std::vector<uint8_t> header;
    std::vector<std::vector<uint8_t>> pages;

    Tile(int head_dim_, int bits_)
        : head_dim(head_dim_),
          bits(bits_),
          header(size_t(tile_header_bytes(head_dim_))),
          pages(size_t(tile_pages(bits_)), std::vector<uint8_t>(size_t(tile_page_bytes(head_dim_)))) {}

    std::vector<uint8_t*> pointers() {
        std::vector<uint8_t*> result;
        for (auto& page : pages) result.push_back(page.data());
        return result;
    }
    TileView view() const {
        TileView tile{header.data(), {}, bits};
        for (size_t i = 0; i < pages.size(); ++i) tile.pages[i] = pages[i].data();
        return tile;
    }
};

Tile encoded(TileSide side, const std::vector<float>& x, int head_dim, int bits, int masked) {
    Tile tile(head_dim, bits);
    std::vector<uint8_t> codes(x.size());
    if (bits == 8)
        encode_tile_8bit(x.data(), head_dim, masked, tile.header.data(), reinterpret_cast<int8_t*>(codes.data()));
    else
        encode_tile(x.data(), head_dim, masked, tile.header.data(), codes.data());
    pack_tile(side, codes.data(), head_dim, bits, tile.pointers().data());
    return tile;
}

std::vector<float> decoded(TileSide side, const Tile& tile) {
    std::vector<float> out(size_t(kTilePositions * tile.head_dim));
    decode_tile(side, tile.view(), tile.head_dim, out.data());
    return out;
}

const Kernels& scalar() { return *find_kernels("scalar"); }

// ---- layout

TEST(TileLayout, UnpackingGivesBackTheCodes) {
    for (const TileSide side : kSides)
        for (const int head_dim : kHeadDims)
            for (const int bits : all_bits(side)) {
                Tile tile(head_dim, bits);
                const auto codes = random_codes(head_dim, bits == 8 ? 8 : 4);
                pack_tile(side, codes.data(), head_dim, bits, tile.pointers().data());
                std::vector<uint8_t> back(codes.size()), expected = codes;
                for (uint8_t& code : expected) code = uint8_t(bits == 8 ? code : code >> (4 - bits));
                unpack_tile(side, tile.view(), head_dim, back.data());
                EXPECT_EQ(back, expected) << head_dim << " dimensions, " << bits << " bits";
            }
}

TEST(TileLayout, BytesLieWhereTheHeaderSaysTheyDo) {
    constexpr int d = 48, r = 45, c = 37;  // of 64 positions and 48 dimensions
    std::vector<uint8_t> codes(kTilePositions * d, 0);
    codes[r * d + c] = 0b1011;
    const auto bytes_of = [&](TileSide side, int bits) {
        Tile tile(d, bits);
        pack_tile(side, codes.data(), d, bits, tile.pointers().data());
        return tile.pages;
    };
    // 45 is the position 5 of the eight 5: in keys the row 5 of the cell 9, whose column 1 is 37; in values the column
    // 1 of the second cell of rows 32 to 39, of which 37 is the row 5.
    constexpr int key = 9 * 32 + 5 * 4 + 1, value = 4 * 64 + 32 + 5 * 4 + 1;
    EXPECT_EQ(bytes_of(TileSide::keys, 4)[2][key], 0b1011 << 4);
    EXPECT_EQ(bytes_of(TileSide::keys, 3)[1][key], 0b10 << 2);
    EXPECT_EQ(bytes_of(TileSide::keys, 3)[2][key], 1 << 5);
    EXPECT_EQ(bytes_of(TileSide::keys, 8)[5][key], 0b1011);
    EXPECT_EQ(bytes_of(TileSide::values, 4)[2][value], 0b1011 << 4);
    EXPECT_EQ(bytes_of(TileSide::values, 3)[1][value], 0b10 << 2);
    EXPECT_EQ(bytes_of(TileSide::values, 3)[2][value], 1 << 5);
}

TEST(TileLayout, DemotingDropsBits) {
    for (const TileSide side : kSides)
        for (const int head_dim : kHeadDims) {
            const auto codes = random_codes(head_dim, 4);
            const auto packed = [&](int bits) {
                Tile tile(head_dim, bits);
                pack_tile(side, codes.data(), head_dim, bits, tile.pointers().data());
                return tile.pages;
            };
            const auto demoted = [&](std::vector<int> steps) {
                Tile tile(head_dim, 4);
                tile.pages = packed(4);
                for (size_t i = 1; i < steps.size(); ++i)
                    demote_tile(tile.pointers().data(), head_dim, steps[i - 1], steps[i]);
                tile.pages.resize(size_t(tile_pages(steps.back())));
                return tile.pages;
            };
            EXPECT_EQ(demoted({4, 3}), packed(3)) << head_dim;
            EXPECT_EQ(demoted({4, 2}), packed(2)) << head_dim;
            EXPECT_EQ(demoted({4, 3, 2}), packed(2)) << head_dim;
        }
}

// ---- the encoder

TEST(Hadamard, HasTheBitsOfThePlainLoops) {
    for (int n = 4; n <= 512; n *= 2) {
        std::vector<float> expected(static_cast<size_t>(n));
        for (float& v : expected) v = float(int(rng() % 2001) - 1000) * 0.001f;
        auto actual = expected;
        float* x = expected.data();
        for (int half = 1; half < n; half *= 2)
            for (int i = 0; i < n; i += 2 * half)
                for (int j = i; j < i + half; ++j) {
                    const float a = x[j], b = x[j + half];
                    x[j] = a + b;
                    x[j + half] = a - b;
                }
        for (float& v : expected) v *= 1.0f / std::sqrt(float(n));
        hadamard_block(actual.data(), n);
        EXPECT_EQ(actual, expected) << n;
    }
}

TEST(TileEncoder, OctavesAreExact) {
    for (int e = -2016; e <= 2016; ++e) EXPECT_NEAR(sixteenth_octave(e) / std::exp2(e / 16.0), 1.0, 1e-7) << e;
    EXPECT_EQ(sixteenth_octave(-32), 0.25f);
}

TEST(TileEncoder, MaskedRowsLeaveNoTrace) {
    constexpr int d = 64, masked = 5;
    auto x = rows_like_keys(d);
    const Tile before = encoded(TileSide::keys, x, d, 4, masked);
    for (size_t i = 0; i < masked * d; ++i) x[i] = 1e20f;
    const Tile after = encoded(TileSide::keys, x, d, 4, masked);
    EXPECT_EQ(before.header, after.header);
    EXPECT_EQ(before.pages, after.pages);
    const auto y = decoded(TileSide::keys, after);
    for (size_t i = 0; i < y.size(); ++i)
        if (i < masked * d)
            EXPECT_EQ(y[i], 0.0f);
        else
            EXPECT_NE(y[i], 0.0f);
    for (int r = 0; r < kTilePositions; ++r) EXPECT_EQ(after.header[size_t(r)] == 0, r < masked) << r;
    // Nothing left at all.
    const Tile none = encoded(TileSide::keys, x, d, 4, kTilePositions);
    for (const float v : decoded(TileSide::keys, none)) EXPECT_EQ(v, 0.0f);
}

TEST(TileEncoder, ConstantRowsAreTheirMean) {
    for (const int head_dim : kHeadDims)
        for (const int bits : {2, 3, 4, 8}) {
            const auto one = rows_like_keys(head_dim);
            std::vector<float> x;
            for (int r = 0; r < kTilePositions; ++r) x.insert(x.end(), one.begin(), one.begin() + head_dim);
            const auto y = decoded(TileSide::keys, encoded(TileSide::keys, x, head_dim, bits, 0));
            double error = 0, size = 0;
            for (size_t i = 0; i < x.size(); ++i) {
                error += std::pow(double(y[i]) - double(x[i]), 2);
                size += std::pow(double(x[i]), 2);
            }
            EXPECT_LT(error / size, 1e-4) << head_dim << " dimensions, " << bits << " bits";
        }
}

TEST(TileEncoder, AllZeroStaysNearZero) {
    for (const int bits : {2, 3, 4, 8}) {
        const Tile tile = encoded(TileSide::keys, std::vector<float>(64 * 64, 0.0f), 64, bits, 0);
        for (int r = 0; r < kTilePositions; ++r) EXPECT_EQ(tile.header[size_t(r)], 1);
        for (const float v : decoded(TileSide::keys, tile)) EXPECT_LT(std::fabs(v), 1e-15f);
    }
}

TEST(TileEncoder, ARowThatIsTheMeanHasByteOne) {
    constexpr int d = 64;
    auto x = rows_like_keys(d);
    for (size_t r = 0; r < kTilePositions; r += 2)  // pairs that cancel, and two rows of zeros: the mean is zero
        for (size_t c = 0; c < d; ++c) x[(r + 1) * d + c] = r == 0 ? x[r * d + c] = 0.0f : -x[r * d + c];
    const Tile tile = encoded(TileSide::keys, x, d, 4, 0);
    EXPECT_EQ(tile.header[0], 1);
    EXPECT_EQ(tile.header[1], 1);
    EXPECT_GT(tile.header[2], 200);
}

TEST(TileEncoder, ScalingByPowersOfTwoMovesTheBaseOnly) {
    constexpr int d = 128;
    const auto x = rows_like_keys(d);
    auto larger = x;
    for (float& v : larger) v *= 32.0f;
    Tile a = encoded(TileSide::keys, x, d, 4, 0), b = encoded(TileSide::keys, larger, d, 4, 0);
    EXPECT_EQ(a.pages, b.pages);
    EXPECT_TRUE(std::equal(a.header.begin(), a.header.begin() + 64 + d, b.header.begin()));
    EXPECT_EQ(load_unaligned<int16_t>(a.header.data() + 66 + d) + 16 * 5,
              load_unaligned<int16_t>(b.header.data() + 66 + d));
}

std::vector<std::vector<float>> strange_rows(int head_dim) {
    const auto x = rows_like_keys(head_dim);
    std::vector<std::vector<float>> cases;
    for (const float factor : {1e30f, 3e17f, 1e16f, 1e6f, 1e-6f, 1e-17f, 1e-30f, 1e-41f}) {
        cases.push_back(x);
        for (float& v : cases.back()) v *= factor;
    }
    cases.emplace_back(x.size(), 0.0f);
    cases.emplace_back(x.size(), 1.0f);
    cases.push_back(x);  // rows of all sizes
    for (size_t r = 0; r < kTilePositions; ++r)
        for (size_t c = 0; c < size_t(head_dim); ++c)
            cases.back()[r * size_t(head_dim) + c] *= std::exp2(float(r) - 32.0f);
    cases.push_back(x);  // one outlier
    cases.back()[size_t(head_dim) * 7 + 3] = 1e9f;
    cases.push_back(std::vector<float>(x.size(), 0.0f));  // rows whose rotation is one value
    for (size_t r = 0; r < kTilePositions; ++r)
        std::fill_n(cases.back().begin() + ptrdiff_t(r) * head_dim, head_dim, r % 2 == 0 ? 1.0f : -1.0f);
    return cases;
}

TEST(TileEncoder, WhatIsFiniteStaysFinite) {
    for (const int head_dim : {16, 80, 512})
        for (const auto& x : strange_rows(head_dim))
            for (const TileSide side : kSides)
                for (const int bits : all_bits(side))
                    for (const float v : decoded(side, encoded(side, x, head_dim, bits, 0)))
                        ASSERT_TRUE(std::isfinite(v)) << head_dim << " dimensions, " << bits << " bits";
}

// ---- kernels

class TileKernels : public testing::TestWithParam<const Kernels*> {};

Tile encoded_by(const Kernels& k, const std::vector<float>& x, int head_dim, int masked, std::vector<uint8_t>& codes) {
    Tile tile(head_dim, 4);
    std::vector<float> scratch(x.size());
    codes.assign(x.size(), 99);
    k.encode_tile(x.data(), head_dim, masked, scratch.data(), tile.header.data(), codes.data());
    return tile;
}

TEST_P(TileKernels, EncodeIsTheReference) {
    const auto compare = [](const std::vector<float>& x, int head_dim, int masked) {
        std::vector<uint8_t> header(size_t(tile_header_bytes(head_dim))), expected(x.size()), actual;
        encode_tile(x.data(), head_dim, masked, header.data(), expected.data());
        const Tile tile = encoded_by(*GetParam(), x, head_dim, masked, actual);
        EXPECT_EQ(tile.header, header) << head_dim << " dimensions, " << masked << " masked";
        EXPECT_EQ(actual, expected) << head_dim << " dimensions, " << masked << " masked";
    };
    for (const int head_dim : kHeadDims) {
        for (const int masked : {0, 1, 4, 63, 64}) compare(rows_like_keys(head_dim), head_dim, masked);
        for (const auto& x : strange_rows(head_dim)) compare(x, head_dim, 0);
    }
}

TEST_P(TileKernels, EncodeSurvivesWhatIsNotFinite) {
    for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()})
        for (const int head_dim : {16, 80, 128}) {
            auto x = rows_like_keys(head_dim);
            x[size_t(3 * head_dim + 5)] = bad;
            std::vector<uint8_t> codes;
            encoded_by(*GetParam(), x, head_dim, 0, codes);
            for (const uint8_t code : codes) ASSERT_LT(code, 16);
            for (const int bits : {4, 8}) decoded(TileSide::keys, encoded(TileSide::keys, x, head_dim, bits, 0));
        }
}

TEST_P(TileKernels, RotateHasTheBitsOfTheReference) {
    for (int head_dim = 16; head_dim <= 512; head_dim += 16) {
        std::vector<float> x(static_cast<size_t>(head_dim));
        for (float& v : x) v = float(int(rng() % 2001) - 1000) * 0.001f;
        std::vector<float> expected = x;
        hadamard(expected.data(), head_dim);
        std::vector<float> elsewhere(x.size());
        GetParam()->rotate(x.data(), head_dim, elsewhere.data());
        EXPECT_EQ(elsewhere, expected) << head_dim;
        GetParam()->rotate(x.data(), head_dim, x.data());
        EXPECT_EQ(x, expected) << head_dim << ", in place";
    }
}

struct Queries {
    std::vector<uint8_t> q;
    std::vector<float> scales;
};
Queries quantised(const Kernels& k, const std::vector<float>& x, int head_dim) {
    const size_t n = x.size() / size_t(head_dim), row = size_t(padded_head_dim(head_dim)) * k.query_bytes;
    Queries result{std::vector<uint8_t>(n * row, 99), std::vector<float>(n)};
    k.quantise_queries(x.data(), int(n), head_dim, result.q.data(), result.scales.data());
    return result;
}

constexpr int kStride = 70, kCounts[] = {1, 2, 3, 4, 5, 6, 7, 48, 131};

std::vector<float> scores_of(const Kernels& k, const Tile& tile, const std::vector<float>& queries) {
    const Queries q = quantised(k, queries, tile.head_dim);
    std::vector<float> scores(q.scales.size() * kStride, -7.0f);
    const TileView view = tile.view();
    k.tile_scores({&view, 1}, nullptr, tile.head_dim, q.q.data(), q.scales.data(), int(q.scales.size()), scores.data(),
                  kStride);
    return scores;
}

std::vector<float> reals(size_t n) {
    std::vector<float> x(n);
    for (float& v : x) v = float(int(rng() % 2001) - 1000) * 0.001f;
    return x;
}

// The rows that a tile stands for, not rotated back, in double: where a kernel's sums come from.
std::vector<double> slow_rows(TileSide side, const Tile& tile) {
    const int d = tile.head_dim;
    std::vector<uint8_t> codes(size_t(kTilePositions * d));
    unpack_tile(side, tile.view(), d, codes.data());
    const uint8_t* header = tile.header.data();
    const double mean_scale = double(half_to_float(load_unaligned<uint16_t>(header + 64 + d)));
    const int base = load_unaligned<int16_t>(header + 66 + d);
    std::vector<double> rows;
    for (int r = 0; r < kTilePositions; ++r)
        for (int c = 0; c < d; ++c) {
            const uint8_t code = codes[size_t(r * d + c)];
            const double level = tile.bits == 8 ? double(int8_t(code))
                                                : double(tile_levels(side, tile.bits).levels[code]) *
                                                      double(tile_levels(side, tile.bits).unit);
            rows.push_back(std::exp2((base + header[r]) / 16.0) * level + mean_scale * double(int8_t(header[64 + c])));
        }
    return rows;
}

TEST_P(TileKernels, ScoresHaveTheBitsOfScalarAndAreCloseToTheSlowTwin) {
    for (const int head_dim : kHeadDims)
        for (const int bits : all_bits(TileSide::keys))
            for (const int n : kCounts) {
                const int masked = n % 5;
                const size_t d = size_t(head_dim);
                const Tile tile = encoded(TileSide::keys, rows_like_keys(head_dim), head_dim, bits, masked);
                const auto queries = reals(size_t(n) * d);
                const auto actual = scores_of(*GetParam(), tile, queries);
                ASSERT_EQ(actual, scores_of(scalar(), tile, queries)) << head_dim << ", " << bits << ", " << n;

                const Queries q = quantised(scalar(), queries, head_dim);
                const auto rows = slow_rows(TileSide::keys, tile);
                for (size_t i = 0; i < size_t(n); ++i)
                    for (size_t p = 0; p < kStride; ++p) {
                        if (p >= kTilePositions) {
                            ASSERT_EQ(actual[i * kStride + p], -7.0f);
                            continue;
                        }
                        if (int(p) < masked) continue;
                        double expected = 0, size = 0;
                        for (size_t c = 0; c < d; ++c) {
                            const double x =
                                double(q.scales[i]) * double(int8_t(q.q[i * size_t(padded_head_dim(head_dim)) + c]));
                            expected += x * rows[p * d + c];
                            size += std::fabs(x * rows[p * d + c]);
                        }
                        ASSERT_NEAR(actual[i * kStride + p], expected, 1e-5 * size) << head_dim << ", " << bits;
                    }
            }
}

TEST_P(TileKernels, ScalesAreExactForEveryBaseAndByte) {
    constexpr int d = 16;
    std::vector<float> query(d, 0.0f);
    query[0] = 1;
    const float unit = (1.0f / 127.0f) * tile_levels(TileSide::keys, 4).unit;
    Tile tile(d, 4);
    pack_tile(TileSide::keys, std::vector<uint8_t>(kTilePositions * d, 15).data(), d, 4, tile.pointers().data());
    for (int base = kLowestTileBase - 20; base < kHighestTileBase + 20; base += 7)
        for (int first = 0; first < 256; first += kTilePositions) {
            const int16_t base16 = int16_t(base);
            std::memcpy(tile.header.data() + kTilePositions + d + 2, &base16, sizeof base16);
            for (size_t p = 0; p < kTilePositions; ++p) tile.header[p] = uint8_t(first + int(p));
            const auto scores = scores_of(*GetParam(), tile, query);
            const int read = read_tile_base(tile.header.data(), d);
            for (int p = 0; p < kTilePositions; ++p)
                ASSERT_EQ(scores[size_t(p)], 127.0f * 127.0f * (tile_scale(read, first + p) * unit))
                    << base << ", " << first + p;
        }
}

TEST_P(TileKernels, ScoresAreThoseOfDecodedRows) {
    for (const int head_dim : {64, 80, 256})
        for (const int bits : all_bits(TileSide::keys)) {
            const size_t d = size_t(head_dim);
            const Tile tile = encoded(TileSide::keys, rows_like_keys(head_dim), head_dim, bits, 0);
            auto query = reals(d);
            const auto rows = decoded(TileSide::keys, tile);
            auto turned = query;
            hadamard(turned.data(), head_dim);
            const auto actual = scores_of(*GetParam(), tile, turned);
            for (size_t p = 0; p < kTilePositions; ++p) {
                double expected = 0, size = 0;
                for (size_t c = 0; c < d; ++c) {
                    expected += double(query[c]) * double(rows[p * d + c]);
                    size += std::fabs(double(query[c]) * double(rows[p * d + c]));
                }
                EXPECT_NEAR(actual[p], expected, 0.01 * size) << head_dim << ", " << bits;  // an int8 query
            }
        }
}

std::vector<float> values_of(const Kernels& k, const Tile& tile, const std::vector<float>& weights,
                             std::vector<float> out) {
    const int n = int(weights.size()) / kStride;
    const TileView view = tile.view();
    k.tile_values({&view, 1}, nullptr, tile.head_dim, weights.data(), kStride, n, out.data(), tile.head_dim + 3);
    return out;
}

TEST_P(TileKernels, ValuesHaveTheBitsOfScalarAndAreCloseToTheSlowTwin) {
    for (const int head_dim : kHeadDims)
        for (const int bits : all_bits(TileSide::values))
            for (const int n : kCounts) {
                const int masked = n % 5;
                const size_t d = size_t(head_dim), out_stride = d + 3;
                const Tile tile = encoded(TileSide::values, rows_like_keys(head_dim), head_dim, bits, masked);
                auto weights = reals(size_t(n) * kStride);
                for (float& w : weights) w = std::fabs(w);
                if (n == 7) std::fill_n(weights.begin() + kStride, kTilePositions, 0.0f);
                const auto before = reals(size_t(n) * out_stride);
                const auto actual = values_of(*GetParam(), tile, weights, before);
                ASSERT_EQ(actual, values_of(scalar(), tile, weights, before)) << head_dim << ", " << bits << ", " << n;

                const auto rows = slow_rows(TileSide::values, tile);
                const double mean_scale =
                    double(half_to_float(load_unaligned<uint16_t>(tile.header.data() + 64 + head_dim)));
                const int base = load_unaligned<int16_t>(tile.header.data() + 66 + head_dim);
                for (size_t i = 0; i < size_t(n); ++i) {
                    // Weights are kept as integers; the twin finds the same ones, in floats.
                    float largest = 0;
                    std::vector<float> w(kTilePositions);
                    for (size_t p = size_t(masked); p < kTilePositions; ++p) {
                        w[p] = weights[i * kStride + p] * sixteenth_octave(base + tile.header[p]);
                        largest = std::max(largest, w[p]);
                    }
                    for (size_t c = 0; c < out_stride; ++c) {
                        double expected = double(before[i * out_stride + c]), size = std::fabs(expected);
                        for (size_t p = size_t(masked); p < kTilePositions && c < d; ++p) {
                            const double mean = mean_scale * double(int8_t(tile.header[64 + c]));
                            const double scale = std::exp2((base + tile.header[p]) / 16.0);
                            const double integer = largest > 0 ? double(std::nearbyint(w[p] * (127 / largest))) : 0;
                            const double coded = integer * double(largest) / 127 / scale * (rows[p * d + c] - mean);
                            expected += coded + double(weights[i * kStride + p]) * mean;
                            size += std::fabs(coded) + std::fabs(double(weights[i * kStride + p]) * mean);
                        }
                        ASSERT_NEAR(actual[i * out_stride + c], expected, 1e-5 * size) << head_dim << ", " << bits;
                    }
                }
            }
}

// Of different tiers, for more queries than are taken at a time too.
TEST_P(TileKernels, TilesOfACallHaveTheBitsOfOneAfterTheOther) {
    constexpr int kTiles = 3, kTilesStride = kTiles * kTilePositions + 5;
    for (const int head_dim : {64, 80})
        for (const TileSide side : kSides)
            for (const int n : {1, 3, 48, 131}) {
                const Kernels& k = *GetParam();
                const size_t d = size_t(head_dim);
                std::vector<Tile> tiles;
                for (const int bits : {2, 3, 4})
                    tiles.push_back(encoded(side, rows_like_keys(head_dim), head_dim, bits, 0));
                std::vector<TileView> views;
                for (const Tile& tile : tiles) views.push_back(tile.view());
                const auto queries = reals(size_t(n) * d);
                const Queries q = quantised(k, queries, head_dim);
                std::vector<float> weights(size_t(n) * kTilesStride, 0.25f);
                const auto run = [&](std::span<const TileView> some, ptrdiff_t before, std::vector<float>& out) {
                    if (side == TileSide::keys)
                        k.tile_scores(some, nullptr, head_dim, q.q.data(), q.scales.data(), n, out.data() + before,
                                      kTilesStride);
                    else
                        k.tile_values(some, nullptr, head_dim, weights.data() + before, kTilesStride, n, out.data(),
                                      head_dim);
                };
                std::vector<float> together(side == TileSide::keys ? weights.size() : queries.size()), apart = together;
                run(views, 0, together);
                for (size_t t = 0; t < kTiles; ++t) run({&views[t], 1}, ptrdiff_t(t) * kTilePositions, apart);
                ASSERT_EQ(together, apart) << head_dim << ", " << n;
            }
}

// A tile to be fetched, whose lines are told to begin with other bytes than they do: what is stored shows.
struct Marked {
    std::vector<uint8_t> bytes, known;
    TileView view;

    // pieces: of pages that lie side by side, some bytes apart.
    Marked(int head_dim, int bits, int pieces) : view{nullptr, {}, bits} {
        const size_t page = size_t(tile_page_bytes(head_dim)), apart = 32;
        bytes.assign(page * size_t(tile_pages(bits)) + apart * size_t(pieces), 0x55);
        for (int p = 0; p < tile_pages(bits); ++p)
            view.pages[p] = bytes.data() + size_t(p) * page + apart * size_t(std::min(p, pieces - 1));
        for (int line = 0; line < lines(head_dim); ++line) known.push_back(uint8_t(100 + line % 100));
        view.line_bytes = known.data();
    }
    int lines(int head_dim) const { return tile_lines(view.bits, head_dim); }
    // How many lines begin with what is known of them; -1 when anything else has changed.
    int stored(int head_dim) const {
        std::vector<uint8_t> left = bytes;
        int n = 0;
        for (int line = 0; line < lines(head_dim); ++line) {
            const int of_page = line % tile_page_lines(head_dim);
            uint8_t& first = left[size_t(view.pages[line / tile_page_lines(head_dim)] - bytes.data()) +
                                  size_t(of_page * kLineBytes)];
            if (first != known[size_t(line)]) continue;
            ++n;
            first = 0x55;
        }
        return left == std::vector<uint8_t>(bytes.size(), 0x55) ? n : -1;
    }
};

// Every line once where tiles are alike, and never anything but the first bytes of lines.
TEST_P(TileKernels, TheNextTileIsFetchedMeanwhile) {
    const Kernels& k = *GetParam();
    for (const TileSide side : kSides)
        for (const int head_dim : {16, 48, 64, 80, 128, 256})
            for (const int bits : all_bits(side))
                for (const int n : {1, 3, 5, 9, 70})
                    for (const int next_bits : {2, 3, 4, 8})
                        for (const int pieces : {1, 2, 3}) {
                            if (pieces > next_bits || (n == 70 && bits != 4)) continue;
                            const Tile tile = encoded(side, rows_like_keys(head_dim), head_dim, bits, 0);
                            const TileView view = tile.view();
                            const Queries q = quantised(k, reals(size_t(n * head_dim)), head_dim);
                            const std::vector<float> weights(size_t(n) * kStride, 0.25f);
                            const auto run = [&](const TileView* next) {
                                std::vector<float> out(size_t(n) * std::max(size_t(kStride), size_t(head_dim)));
                                if (side == TileSide::keys)
                                    k.tile_scores({&view, 1}, next, head_dim, q.q.data(), q.scales.data(), n,
                                                  out.data(), kStride);
                                else
                                    k.tile_values({&view, 1}, next, head_dim, weights.data(), kStride, n, out.data(),
                                                  head_dim);
                                return out;
                            };
                            Marked next(head_dim, next_bits, pieces);
                            ASSERT_EQ(run(&next.view), run(nullptr)) << head_dim << ", " << bits << ", " << n;
                            const int stored = next.stored(head_dim);
                            if (!k.fetches_by_storing) {
                                ASSERT_EQ(stored, 0);
                                continue;
                            }
                            ASSERT_GE(stored, 0) << head_dim << ", " << bits << ", " << next_bits << ", " << n;
                            const bool alike = bits == next_bits && head_dim % 32 == 0 && pieces == 1;
                            ASSERT_TRUE(stored == next.lines(head_dim) || !alike)
                                << head_dim << ", " << bits << ", " << n;
                            next.view.line_bytes = nullptr;
                            run(&next.view);  // nothing is known, and nothing is stored
                            ASSERT_EQ(next.stored(head_dim), stored);
                        }
}

TEST_P(TileKernels, UseOfStrangeTilesIsFinite) {
    for (const int head_dim : {16, 80, 512})
        for (const auto& x : strange_rows(head_dim))
            for (const int bits : {2, 3, 4}) {
                const auto queries = reals(2 * size_t(head_dim));
                for (const float v : scores_of(*GetParam(), encoded(TileSide::keys, x, head_dim, bits, 0), queries))
                    ASSERT_TRUE(std::isfinite(v));
                const Tile values = encoded(TileSide::values, x, head_dim, bits, 0);
                for (const float w : {0.0f, 1e-41f, 1e-38f, 1.0f}) {
                    const std::vector<float> weights(2 * kStride, w);
                    const std::vector<float> out(2 * size_t(head_dim + 3), 0.0f);
                    const auto actual = values_of(*GetParam(), values, weights, out);
                    ASSERT_EQ(actual, values_of(scalar(), values, weights, out));
                    for (const float v : actual) ASSERT_TRUE(std::isfinite(v));
                }
            }
}

INSTANTIATE_TEST_SUITE_P(Kernels, TileKernels, every_backend(), name_of_backend);

// ---- real keys

struct Tensor {
    int heads = 0, tokens = 0, head_dim = 0;
    std::vector<float> values;  // (heads, tokens, head_dim)
};

bool read_tensor(const std::string& path, Tensor& out) {
    const std::string bytes = read_file(path);
    if (bytes.size() < 20) return false;
    const auto field = [&](size_t i) { return load_unaligned<int32_t>(bytes.data() + 4 * i); };
    out = {field(2), field(3), field(4), std::vector<float>((bytes.size() - 20) / 4)};
    std::memcpy(out.values.data(), bytes.data() + 20, out.values.size() * 4);
    return field(0) == 0x544B5651;
}

// Relative square error of x after a tile of these rows, gain divided out: sums of error and of x.
struct Error {
    double error = 0, size = 0;
    double relative() const { return error / size; }
};
void add_error(TileSide side, const float* x, int head_dim, int masked, int bits, Error& sum) {
    const std::vector<float> rows(x, x + kTilePositions * head_dim);
    const Tile tile = encoded(side, rows, head_dim, bits, masked);
    const float units[] = {kTileUnit2, kTileUnit3, kTileUnit4};
    const double gain = double(tile_levels(side, bits).unit) / double(units[bits - 2]);
    const auto y = slow_rows(side, tile);
    const double mean_scale = double(half_to_float(load_unaligned<uint16_t>(tile.header.data() + 64 + head_dim)));
    std::vector<float> turned = rows;
    for (int r = masked; r < kTilePositions; ++r) {
        hadamard(turned.data() + r * head_dim, head_dim);
        for (int c = 0; c < head_dim; ++c) {
            const size_t i = size_t(r * head_dim + c);
            const double mean = mean_scale * double(int8_t(tile.header[size_t(64 + c)]));
            const double value = mean + (y[i] - mean) / gain;
            sum.error += std::pow(value - double(turned[i]), 2);
            sum.size += std::pow(double(turned[i]), 2);
        }
    }
}

TEST(TileQuality, RealKeysLoseAsLittleAsInTheStudy) {
    const double limits[] = {.056, .0158, .0041};
    for (const char* what : {"keys", "values"})
        for (const int bits : {4, 3, 2}) {
            Error first, all;  // of the first 64 tokens; of all 99, the last 35 in a tile of their own
            for (const int layer : {3, 7, 11, 15}) {
                const std::string path = "../shared/data/kv/qwen35/layer" + std::to_string(layer) + "_" + what + ".bin";
                Tensor x;
                if (!read_tensor(path, x)) GTEST_SKIP() << path << " is not here";
                for (int h = 0; h < x.heads; ++h) {
                    const float* head = x.values.data() + size_t(h) * size_t(x.tokens * x.head_dim);
                    const TileSide side = std::string(what) == "keys" ? TileSide::keys : TileSide::values;
                    add_error(side, head, x.head_dim, 0, bits, first);
                    // The rest: its 35 tokens are the last of a tile whose other rows are masked.
                    add_error(side, head + (x.tokens - kTilePositions) * x.head_dim, x.head_dim,
                              2 * kTilePositions - x.tokens, bits, all);
                }
            }
            all.error += first.error;
            all.size += first.size;
            std::printf("%-6s %d bits: relative square error %.5f (first 64 tokens), %.5f (all 99)\n", what, bits,
                        first.relative(), all.relative());
            if (std::string(what) == "keys") {
                EXPECT_LE(first.relative(), limits[bits - 2]) << bits << " bits";
            }
        }
}

}  // namespace
}  // namespace strata
