// Prints the signature of every backend in this build; fails when one is not the agreed constant.
// No test framework, so that it also runs under qemu.
#include <cstdio>

#include "engine/kernels/signature.h"
#include "tests/engine/signature.h"

int main() {
    bool same = true;
    for (const strata::Kernels* kernels : strata::available_kernels()) {
        const uint32_t signature = strata::signature_of(*kernels);
        std::printf("%-8s signature %08x, expected %08x\n", kernels->name, signature, kSignature);
        same = same && signature == kSignature;
    }
    return same ? 0 : 1;
}
