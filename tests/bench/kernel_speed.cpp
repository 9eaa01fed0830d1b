// How fast the kernels are, per backend: reading weights from memory for one token, multiplying a micro-batch,
// attention. One line of JSON each. Natively, and in a browser through tests/bench/kernel_bench.mjs.
//   kernel_speed [--seconds S] [--threads N] [--only touch,read,matvec,batch,tiles,attention] [--types Q8_0,…]
//   [--backend NAME]
#include "tests/bench/kernel_speed.h"

#include <cstdlib>

#include "tests/bench/attention_speed.h"
#include "tests/engine/random_blocks.h"

namespace {

using namespace strata;

struct Options {
    double seconds = 0.3;  // of each measurement
    int threads = 1;
    std::string only = "touch,read,matvec,batch,tiles,attention", types, backend;
};

// Whether the list names it; an empty list names everything.
bool names(const std::string& list, const std::string& name) {
    return list.empty() || ("," + list + ",").find("," + name + ",") != std::string::npos;
}

Options parse(int argc, char** argv) {
    Options options;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string flag = argv[i], value = argv[i + 1];
        if (flag == "--seconds") options.seconds = std::atof(value.c_str());
        if (flag == "--threads") options.threads = std::atoi(value.c_str());
        if (flag == "--only") options.only = value;
        if (flag == "--types") options.types = value;
        if (flag == "--backend") options.backend = value;
    }
    return options;
}

void print(const std::string& line) {
    std::puts(line.c_str());
    std::fflush(stdout);
}

void measure(const Kernels& k, const Options& options, ThreadPool& pool) {
    for (const TensorType type : kAllTensorTypes) {
        if (!names(options.types, tensor_traits(type).name)) continue;
        if (names(options.only, "matvec")) print(matmul_speed(k, type, 65536, 2048, 1, options.seconds, pool));
        if (names(options.only, "batch"))
            for (const int n : {8, 64}) print(matmul_speed(k, type, 128, 2048, n, options.seconds, pool));
    }
    for (const int head_dim : {64, 128})
        for (const int group : {1, 3, 48}) {
            if (names(options.only, "tiles")) print(tile_speed(k, head_dim, group, options.seconds / 3));
            if (names(options.only, "attention") && group < 48)
                for (const char* kv : {"fp32", "fp16", "quality"})
                    print(attention_speed(k, head_dim, group, kv, options.seconds, pool));
        }
}

}  // namespace

int main(int argc, char** argv) {
    const Options options = parse(argc, argv);
    ThreadPool pool(options.threads);
    if (names(options.only, "touch")) print(touch_speed(size_t(256) << 20));  // first: nothing has been freed yet
    if (names(options.only, "read"))
        for (const bool pieces : {false, true}) print(read_speed(pieces, size_t(256) << 20, options.seconds, pool));
    for (const Kernels* k : available_kernels()) {
        const bool wanted =
            options.backend.empty() ? std::string(k->name) != "scalar" : names(options.backend, k->name);
        if (wanted) measure(*k, options, pool);
    }
}
