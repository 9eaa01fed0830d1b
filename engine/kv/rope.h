// Rotary position embedding (RoPE, arXiv 2104.09864), local to chunks of 256 positions, so that a conversation may
// become longer than the model was trained on.
//
// A key is stored turned by its offset inside its chunk only: k' = R(p - p0) k, p0 the chunk's first position. A query
// at t is turned by t - p0 for each chunk it meets, since (R(t - p0) q) . (R(p - p0) k) = (R(t) q) . (R(p) k). Inside
// the trained length that is plain RoPE. Beyond it, a chunk that begins farther away than `distance_clamp` is met with
// the angle of `distance_clamp`: old positions look as far away as the model knows how to read, and nothing that was
// stored has to change. (Chunk-local distances: arXiv 2402.17463 does it with two kinds of positions; this is the
// simplest form that measured best, see docs/quality.md.)
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace strata {

constexpr int kChunkPositions = 256;

// Which two dimensions of a head are turned together: 2i and 2i + 1, or i and i + rope_dim / 2 (GPT-NeoX).
enum class RopePairs { neighbours, halves };

struct RopeOptions {
    std::vector<double> frequencies;  // (rope_dim / 2), radians per position
    int64_t trained_length = 0;       // distances are true while the query is inside; 0: unknown, always
    int64_t distance_clamp = 0;       // 0: distances are always true
    RopePairs pairs = RopePairs::neighbours;
    double magnitude = 1;  // what keys and queries are multiplied by where they are turned (YaRN, arXiv 2309.00071)
};

class Rope {
public:
    explicit Rope(RopeOptions options);

    // Makes tables for conversations of that many positions; called before a batch, never during one.
    void reserve(int64_t positions);

    // x (head_dim), a key or a query: turns it by its offset inside its chunk, and multiplies it by the magnitude.
    void turn_inside_chunk(int64_t position, float* x) const { turn(inside_, position % kChunkPositions, x, x); }

    // query (head_dim) of position t, turned inside its chunk, as the keys of `chunk` must meet it.
    void turn_towards(int64_t chunk, int64_t t, int head_dim, const float* query, float* out) const;

    uint64_t bytes() const;

private:
    // (rows, row_size()): for each pair, or, where pairs are neighbours, for each value what it and the other one are
    // multiplied by.
    struct Table {
        std::vector<float> cos, sin;
    };
    size_t row_size() const { return options_.frequencies.size() * (options_.pairs == RopePairs::neighbours ? 2 : 1); }
    void add_row(Table& table, double angle_positions, double magnitude = 1) const;
    void turn(const Table& table, int64_t row, const float* x, float* out) const;

    RopeOptions options_;
    Table inside_;   // row r: r positions
    Table chunks_;   // row m: m chunks
    Table clamped_;  // row r: from an offset of r to distance_clamp
};

}  // namespace strata
