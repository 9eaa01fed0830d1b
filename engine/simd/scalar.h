// The reference backend: every operation spelled out lane by lane.
// Tests treat this one as the truth; it is also what runs where nothing better exists.
#pragma once
#include <cstdint>

#include "engine/base/bits.h"
#include "engine/base/math.h"
#include "engine/base/prefetch.h"
#include "engine/simd/codes.h"

namespace strata {

struct Scalar {
    static constexpr const char* kName = "scalar";
    static constexpr int kTileTokens = 1;                   // tokens that a float matrix product works on at once
    static constexpr int kScoreRows = 1, kScoreTokens = 1;  // that share loads: exact keys
    static constexpr int kSumQueries = 1, kSumVectors = 1;  // that stay in registers: exact values

    struct F32 {
        static constexpr int kLanes = 8;
        float lane[kLanes];
    };
    struct Float4 {
        float lane[4];
    };
    using Activation = int8_t;
    struct Weights32 {
        int8_t q[32];
    };
    struct Ints {
        int32_t first, second;  // values 0-15 and 16-31
    };
    using DotSum = Ints;
    struct Bytes {
        uint8_t b[16];
    };
    struct Bytes32 {
        uint8_t b[32];
    };
    struct Shorts {
        int16_t s[16];
    };
    static constexpr int kPanelRows = 8, kPanelTokens = 4;
    static constexpr bool kPanelsTakeOffset = true;
    static constexpr bool kPanelLoopApart = false;
    static constexpr bool kPanelsAreCells = false;
    struct PanelBlock {
        uint8_t bytes[kPanelRows * 32];  // (rows, 32)
    };
    struct PanelInts {
        int32_t lane[kPanelRows];
    };
    using PanelF32 = F32;
    static constexpr int kCellRows = 8;
    using CellWeights = Weights32;
    struct CellConstants {};
    using RowSums = PanelInts;

    template <class Op>
    static F32 each(F32 a, F32 b, Op op) {
        for (int i = 0; i < F32::kLanes; ++i) a.lane[i] = op(a.lane[i], b.lane[i]);
        return a;
    }

    static F32 splat(float x) { return {{x, x, x, x, x, x, x, x}}; }
    static F32 load(const float* p) { return load_unaligned<F32>(p); }
    static F32 load_half(const uint16_t* p) {
        F32 a;
        for (int i = 0; i < F32::kLanes; ++i) a.lane[i] = half_to_float(load_unaligned<uint16_t>(p + i));
        return a;
    }
    static F32 load_bfloat(const uint16_t* p) {
        F32 a;
        for (int i = 0; i < F32::kLanes; ++i) a.lane[i] = bfloat_to_float(load_unaligned<uint16_t>(p + i));
        return a;
    }
    static void store(float* p, F32 a) { std::memcpy(p, a.lane, sizeof a.lane); }
    static F32 add(F32 a, F32 b) {
        return each(a, b, [](float x, float y) { return x + y; });
    }
    static F32 sub(F32 a, F32 b) {
        return each(a, b, [](float x, float y) { return x - y; });
    }
    static F32 mul(F32 a, F32 b) {
        return each(a, b, [](float x, float y) { return x * y; });
    }
    static F32 div(F32 a, F32 b) {
        return each(a, b, [](float x, float y) { return x / y; });
    }
    static F32 mul_add(F32 a, F32 b, F32 c) { return add(c, mul(a, b)); }
    // Of numbers only: kernels never compare NaN.
    static F32 min(F32 a, F32 b) {
        return each(a, b, [](float x, float y) { return x < y ? x : y; });
    }
    static F32 max(F32 a, F32 b) {
        return each(a, b, [](float x, float y) { return x > y ? x : y; });
    }
    static F32 times_power_of_two(F32 a, F32 b) {
        return each(a, b, [](float x, float y) { return float_of(bits_of(x) + (bits_of(y) << 23)); });
    }
    // This tree of additions is what every other backend has to reproduce.
    static float sum(F32 a) {
        float t[4];
        for (int i = 0; i < 4; ++i) t[i] = a.lane[i] + a.lane[i + 4];
        return (t[0] + t[2]) + (t[1] + t[3]);
    }
    // The sum of each, in the order of sum.
    static Float4 sums(F32 a, F32 b, F32 c, F32 d) { return {{sum(a), sum(b), sum(c), sum(d)}}; }
    static float largest(F32 a) {
        float t = a.lane[0];
        for (int i = 1; i < F32::kLanes; ++i) t = t > a.lane[i] ? t : a.lane[i];
        return t;
    }

    static F32 abs(F32 a) {
        return each(a, a, [](float x, float) { return float_of(bits_of(x) & 0x7fffffff); });
    }
    static F32 count_greater(F32 counts, F32 a, F32 b) {
        for (int i = 0; i < F32::kLanes; ++i)
            counts.lane[i] = float_of(bits_of(counts.lane[i]) + (a.lane[i] > b.lane[i]));
        return counts;
    }
    template <int kDistance>
    static F32 butterfly(F32 a) {
        F32 out;
        for (int i = 0; i < F32::kLanes; ++i) {
            const float partner = a.lane[i ^ kDistance];
            out.lane[i] = i & kDistance ? partner - a.lane[i] : a.lane[i] + partner;
        }
        return out;
    }

    static void quantise32(const float* x, float scale, Activation* out) {
        // Adding 1.5 * 2^23 rounds to an integer that stands in the low bits: no conversion that a NaN could break.
        for (int i = 0; i < 32; ++i) out[i] = int8_t(uint8_t(bits_of(x[i] * scale + ExpF32::kRound)));
    }
    static Weights32 load_weights(const void* p) { return load_unaligned<Weights32>(p); }
    static Ints dot(Weights32 w, const Activation* x) {
        Ints ints{0, 0};
        for (int i = 0; i < 16; ++i) {
            ints.first += w.q[i] * x[i];
            ints.second += w.q[16 + i] * x[16 + i];
        }
        return ints;
    }
    static Ints dot_start(const Activation*) { return {0, 0}; }
    static Ints dot_add(Ints acc, Weights32 w, const Activation* x) { return add(acc, dot(w, x)); }
    static Ints add(Ints a, Ints b) { return {a.first + b.first, a.second + b.second}; }
    static Float4 sums(Ints a, Ints b, Ints c, Ints d) {
        return {{float(a.first + a.second), float(b.first + b.second), float(c.first + c.second),
                 float(d.first + d.second)}};
    }
    static Float4 splat4(float x) { return {{x, x, x, x}}; }
    static Float4 load4(const float* p) { return load_unaligned<Float4>(p); }
    static Float4 gather4(const float* a, const float* b, const float* c, const float* d) { return {{*a, *b, *c, *d}}; }
    static Float4 gather_half4(const void* a, const void* b, const void* c, const void* d) {
        return {{half(a), half(b), half(c), half(d)}};
    }
    static Float4 mul(Float4 a, Float4 b) {
        for (int i = 0; i < 4; ++i) a.lane[i] *= b.lane[i];
        return a;
    }
    static Float4 add(Float4 a, Float4 b) {
        for (int i = 0; i < 4; ++i) a.lane[i] += b.lane[i];
        return a;
    }
    static void store4(float* p, Float4 a) { std::memcpy(p, a.lane, sizeof a.lane); }

    static void look_up_nibbles(const uint8_t* packed, const int8_t* table, int8_t* out) {
        for (int i = 0; i < 16; ++i) {
            out[i] = table[packed[i] & 15];
            out[16 + i] = table[packed[i] >> 4];
        }
    }
    static void scale_to_float(const int8_t* q, float scale, float* out) {
        for (int i = 0; i < 32; ++i) out[i] = scale * float(q[i]);
    }

    static constexpr bool kFetchesByStoring = false;
    static void fetch_ahead(const void* p) { prefetch(p); }
    static Bytes load_bytes(const void* p) { return load_unaligned<Bytes>(p); }
    template <int kShift>
    static Bytes field(Bytes a, int mask) {
        for (uint8_t& b : a.b) b = uint8_t((kShift < 0 ? b << -kShift : b >> kShift) & mask);
        return a;
    }
    static Bytes add(Bytes a, Bytes b) {
        for (int i = 0; i < 16; ++i) a.b[i] = uint8_t(a.b[i] + b.b[i]);
        return a;
    }
    static Bytes look_up(Bytes table, Bytes codes) {
        for (uint8_t& b : codes.b) b = table.b[b];
        return codes;
    }
    static void store_bytes(void* out, Bytes a) { std::memcpy(out, a.b, sizeof a.b); }
    static void store_words(void* out, Bytes a, Bytes b, Bytes c, Bytes d) {
        for (int i = 0; i < 16; ++i) {
            const uint8_t word[4] = {a.b[i], b.b[i], c.b[i], d.b[i]};
            std::memcpy(static_cast<uint8_t*>(out) + 4 * i, word, sizeof word);
        }
    }

    static Bytes32 load_bytes32(const void* p) { return load_unaligned<Bytes32>(p); }
    static Bytes32 load_codes(const void* p) {
        Bytes32 out;
        for (int i = 0; i < 16; ++i) {
            const uint8_t packed = static_cast<const uint8_t*>(p)[i];
            out.b[i] = packed & 15;
            out.b[16 + i] = packed >> 4;
        }
        return out;
    }
    static Bytes32 load_bits(const void* p) {
        Bytes32 out;
        for (int i = 0; i < 32; ++i) out.b[i] = load_unaligned<uint32_t>(p) >> i & 1 ? 255 : 0;
        return out;
    }
    template <int kShift>
    static Bytes32 field(Bytes32 a, int mask) {
        for (uint8_t& b : a.b) b = uint8_t((kShift < 0 ? b << -kShift : b >> kShift) & mask);
        return a;
    }
    static Bytes32 add(Bytes32 a, Bytes32 b) {
        for (int i = 0; i < 32; ++i) a.b[i] = uint8_t(a.b[i] + b.b[i]);
        return a;
    }
    static Bytes32 look_up(Bytes table, Bytes32 codes) {
        for (uint8_t& b : codes.b) b = table.b[b];
        return codes;
    }
    static Bytes weight_table(Bytes table) { return table; }
    static Weights32 look_up_weights(Bytes table, Bytes32 codes) { return weights(look_up(table, codes)); }
    static Weights32 weights(Bytes32 a) { return load_weights(a.b); }
    static Weights32 unsigned_weights(Bytes32 a) { return weights(a); }
    static Ints dot_unsigned(Weights32 w, const Activation* x) { return dot(w, x); }
    static CellWeights cell_weights(Bytes table, Bytes32 codes) { return look_up_weights(table, codes); }
    template <int kShift>
    static Bytes32 nibbles(Bytes32 codes, CellConstants) {
        return field<kShift>(codes, 15);
    }
    static CellWeights cell_weights(Bytes32 levels) { return weights(levels); }
    static RowSums start_rows(const Activation*) { return {}; }
    template <bool kPositive>
    static RowSums dot_rows(RowSums acc, CellWeights w, const Activation* x, int column, CellConstants) {
        for (int i = 0; i < 32; ++i) acc.lane[i / 4] += w.q[i] * x[column + i % 4];
        return acc;
    }
    static F32 row_floats(RowSums a) { return to_float(a); }
    static F32 half_sums(Ints a, Ints b, Ints c, Ints d) {
        return {{float(a.first), float(b.first), float(c.first), float(d.first), float(a.second), float(b.second),
                 float(c.second), float(d.second)}};
    }
    static Float4 add_halves(F32 a) {
        Float4 out;
        for (int i = 0; i < 4; ++i) out.lane[i] = a.lane[i] + a.lane[4 + i];
        return out;
    }
    static Float4 bytes_to_float4(uint32_t bytes) {
        Float4 out;
        for (int i = 0; i < 4; ++i) out.lane[i] = float(bytes >> (8 * i) & 255);
        return out;
    }
    static F32 bytes_to_float8(uint64_t bytes) {
        F32 out;
        for (int i = 0; i < 8; ++i) out.lane[i / 2 + i % 2 * 4] = float(bytes >> (8 * i) & 255);
        return out;
    }
    static Float4 splat_half4(uint16_t half) { return splat4(half_to_float(half)); }

    static Shorts shorts(int x) {
        Shorts out;
        for (int16_t& s : out.s) s = int16_t(x);
        return out;
    }
    static Shorts shorts(F32 a, F32 b) {
        Shorts out;
        for (int i = 0; i < 8; ++i) {
            out.s[i] = int16_t(bits_of(a.lane[i] + ExpF32::kRound));
            out.s[8 + i] = int16_t(bits_of(b.lane[i] + ExpF32::kRound));
        }
        return out;
    }
    static Shorts where_greater(Shorts a, Shorts b, Shorts c) {
        for (int i = 0; i < 16; ++i) c.s[i] = a.s[i] > b.s[i] ? c.s[i] : int16_t(0);
        return c;
    }
    static Shorts add(Shorts a, Shorts b) {
        for (int i = 0; i < 16; ++i) a.s[i] = int16_t(a.s[i] + b.s[i]);
        return a;
    }
    static Shorts sub(Shorts a, Shorts b) {
        for (int i = 0; i < 16; ++i) a.s[i] = int16_t(a.s[i] - b.s[i]);
        return a;
    }
    static Ints dot(Shorts a, Shorts b) {
        Ints ints{0, 0};
        for (int i = 0; i < 16; ++i) ints.first += a.s[i] * b.s[i];
        return ints;
    }

    template <Codes kCodes, int kOffset>
    static void store_packing(Bytes32 a, uint8_t* out) {
        for (int i = 0; i < 32; ++i) out[i] = uint8_t(a.b[i] - kOffset);
    }
    static void pack(const uint8_t* rows, PanelBlock* out) { std::memcpy(out->bytes, rows, sizeof out->bytes); }
    template <Codes kCodes, int kOffset, int kTokens, int kFirst, int kColumns>
    static void panel_dots(const PanelBlock& w, const Activation* x, int64_t stride, PanelInts* dots) {
        for (int t = 0; t < kTokens; ++t, x += stride)
            for (int r = 0; r < kPanelRows; ++r) {
                dots[t].lane[r] = 0;
                for (int i = kFirst; i < kFirst + kColumns; ++i) dots[t].lane[r] += int8_t(w.bytes[r * 32 + i]) * x[i];
            }
    }
    static PanelInts add(PanelInts a, PanelInts b) {
        for (int r = 0; r < kPanelRows; ++r) a.lane[r] += b.lane[r];
        return a;
    }
    static PanelF32 to_float(PanelInts a) {
        PanelF32 out;
        for (int r = 0; r < kPanelRows; ++r) out.lane[r] = float(a.lane[r]);
        return out;
    }
    static PanelF32 load_lanes(const float* p) { return load(p); }
    static PanelF32 splat_lanes(float x) { return splat(x); }

private:
    static float half(const void* p) { return half_to_float(load_unaligned<uint16_t>(p)); }
};

}  // namespace strata
