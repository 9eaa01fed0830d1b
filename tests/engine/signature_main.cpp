// Prints the signature of every backend in this build, and the digest of a model's logits on one and two threads; fails
// when one is not the agreed constant. No test framework, so that it also runs under qemu.
//   signature [MODEL]
#include <cstdio>
#include <fstream>
#include <iterator>

#include "engine/engine.h"
#include "engine/kernels/signature.h"
#include "tests/engine/signature.h"
#include "tests/engine/tiny_models.h"

namespace {

uint32_t digest_of(const strata::Model& model, const std::vector<int>& tokens, const char* simd, int threads) {
    strata::SessionOptions options;
    options.kv.preset = strata::KvPreset::quality;
    options.simd = simd;
    options.threads = threads;
    const auto session = strata::Session::open(model, options);
    if (!session) return 0;
    const auto digest = strata::logits_digest(**session, tokens);
    return digest ? *digest : 0;
}

}  // namespace

int main(int argc, char** argv) {
    bool same = true;
    const auto report = [&](const char* what, const char* simd, uint32_t actual, uint32_t expected) {
        std::printf("%-8s %s %08x, expected %08x\n", simd, what, actual, expected);
        same = same && actual == expected;
    };
    for (const strata::Kernels* kernels : strata::available_kernels())
        report("weights", kernels->name, strata::weights_signature_of(*kernels), kWeightsSignature);
    for (const strata::Kernels* kernels : strata::available_kernels())
        report("kernels", kernels->name, strata::signature_of(*kernels), kSignature);
    const std::string tiny = strata::make_tiny_model(*strata::find_tiny_model(kTinyModel), strata::TensorType::q4_0);
    const auto tiny_model = strata::Model::open({reinterpret_cast<const uint8_t*>(tiny.data()), tiny.size()});
    for (const strata::Kernels* kernels : strata::available_kernels())
        report("logits, tiny model", kernels->name,
               tiny_model ? digest_of(**tiny_model, strata::tiny_tokens(), kernels->name, 2) : 0, kTinyDigest);
    if (argc > 1) {
        std::ifstream file(argv[1], std::ios::binary);
        const std::vector<uint8_t> bytes{std::istreambuf_iterator<char>(file), {}};
        const auto model = strata::Model::open(bytes);
        if (!model) {
            std::fprintf(stderr, "%s: %s\n", argv[1], model.error().message.c_str());
            return 1;
        }
        for (const strata::Kernels* kernels : strata::available_kernels())
            for (const int threads : {1, 2})
                report(threads == 1 ? "logits, 1 thread " : "logits, 2 threads", kernels->name,
                       digest_of(**model, digest_tokens(), kernels->name, threads), kLogitsDigest);
    }
    return same ? 0 : 1;
}
