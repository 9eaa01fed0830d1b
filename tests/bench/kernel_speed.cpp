// How fast the kernels are on one thread, per backend and weight type: reading weights from memory for one token, and
// multiplying a micro-batch. One line of JSON each.
//   kernel_speed [SECONDS per measurement] [BACKEND] [TYPE]
#include "tests/bench/kernel_speed.h"

#include <cstdlib>

#include "tests/engine/random_blocks.h"

int main(int argc, char** argv) {
    using namespace strata;
    const double seconds = argc > 1 ? std::atof(argv[1]) : 0.3;
    const std::string backend = argc > 2 ? argv[2] : "", only = argc > 3 ? argv[3] : "";
    std::puts(read_speed(size_t(256) << 20, seconds).c_str());
    for (const Kernels* k : available_kernels()) {
        if (std::string(k->name) == "scalar" && backend != "scalar") continue;
        if (!backend.empty() && backend != k->name) continue;
        for (const TensorType type : kAllTensorTypes) {
            if (!only.empty() && only != tensor_traits(type).name) continue;
            std::puts(matmul_speed(*k, type, 1024, 2048, 1, seconds).c_str());  // in cache
            std::puts(matmul_speed(*k, type, 65536, 2048, 1, seconds).c_str());
            for (const int n : {8, 64}) std::puts(matmul_speed(*k, type, 128, 2048, n, seconds).c_str());
            std::fflush(stdout);
        }
        if (!only.empty() && only != "attention") continue;
        for (const int head_dim : {64, 128})
            for (const int n : {1, 3, 48}) std::puts(attention_speed(*k, head_dim, n, seconds / 3).c_str());
    }
}
