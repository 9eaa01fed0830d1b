// How fast each tensor type is multiplied with, by the best kernels of this build and on one thread: one token (GB/s of
// weights, which come from memory: 4096 x 4096 matrices of 128 MB in all) and 64 tokens (multiplications and
// additions).
//   matmul_speed [TYPE...]
// For WebAssembly: cmake --build --preset wasm --target matmul_speed && node build/wasm/matmul_speed.cjs
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "engine/kernels/kernels.h"
#include "tests/engine/random_blocks.h"

namespace {

using namespace strata;

constexpr int64_t kSize = 4096;
constexpr size_t kBytes = 128 << 20;
constexpr int kTokens = 64, kRuns = 7;

// The fastest of some runs of each piece of work: what other programs do matters least there.
template <class Work>
double fastest_seconds(size_t n_pieces, const Work& work) {
    double fastest = 1e9;
    for (int run = 0; run < kRuns; ++run)
        for (size_t piece = 0; piece < n_pieces; ++piece) {
            const auto start = std::chrono::steady_clock::now();
            work(piece);
            const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
            fastest = std::min(fastest, seconds.count());
        }
    return fastest;
}

void measure(const Kernels& k, TensorType type) {
    const TensorTraits& traits = tensor_traits(type);
    std::mt19937 rng(1);
    std::vector<uint8_t> weights = random_blocks(type, kSize * 256, 0.02, rng);
    const size_t matrix_bytes = weights.size() * (kSize / 256), n_matrices = kBytes / matrix_bytes;
    weights.resize(n_matrices * matrix_bytes);
    const size_t part = matrix_bytes / (kSize / 256);
    for (size_t at = part; at < weights.size(); at += part) std::memcpy(weights.data() + at, weights.data(), part);

    std::vector<float> x(kTokens * kSize), scales(x.size() / 32), sums(kTokens * n_activation_sums(kSize)),
        out(kTokens * kSize);
    for (float& v : x) v = float(int(rng() % 2001) - 1000) * 0.001f;
    std::vector<uint8_t> q(x.size() * k.activation_bytes);
    for (int t = 0; t < kTokens; ++t) {
        uint8_t* row = q.data() + size_t(t * kSize) * k.activation_bytes;
        k.quantise_row(x.data() + t * kSize, row, scales.data() + t * kSize / 32, kSize);
        k.sum_activations(row, kSize, sums.data() + t * n_activation_sums(kSize));
    }
    const auto multiply = [&](size_t matrix, int n_tokens, int64_t rows) {
        k.matmul(type)({weights.data() + matrix * matrix_bytes, kSize, x.data(), q.data(), scales.data(), n_tokens,
                        out.data(), kSize, sums.data()},
                       0, rows);
    };
    constexpr int64_t kSomeRows = 256;
    const double one = fastest_seconds(n_matrices, [&](size_t m) { multiply(m, 1, kSize); });
    const double many = fastest_seconds(n_matrices, [&](size_t m) { multiply(m, kTokens, kSomeRows); });
    std::printf("%-8s %-7s %6.1f GB/s  %7.1f Gweights/s  %7.1f GOP/s with %d tokens\n", k.name, traits.name,
                double(matrix_bytes) / one / 1e9, double(kSize * kSize) / one / 1e9,
                2.0 * kSize * kSomeRows * kTokens / many / 1e9, kTokens);
    std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
    const auto wanted = [&](const char* name) {
        return argc == 1 ||
               std::any_of(argv + 1, argv + argc, [&](const char* arg) { return std::string(arg) == name; });
    };
    for (const TensorType type : kAllTensorTypes)
        if (wanted(tensor_traits(type).name)) measure(best_kernels(), type);
}
