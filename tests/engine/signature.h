// What every build must compute: native, ARM, WebAssembly, on any number of threads. tests/web and tests/page read the
// constants from this file. They change only when somebody changes the arithmetic on purpose.
#pragma once
#include <cstdint>
#include <vector>

constexpr uint32_t kSignature = 0x6d83ce40;         // of every table of kernels
constexpr uint32_t kWeightsSignature = 0x11a101f2;  // of its products with the other types of weights

// FNV-1a over the bits of the logits of all positions, for the shipped model (Q8_0), the tokens below, and the preset
// `quality`: the whole forward pass and the whole memory.
constexpr uint32_t kLogitsDigest = 0xdc569203;
constexpr int kDigestTokens = 300;

// The same for a tiny model (tests/engine/tiny_models.h) with what the shipped one does not have: soft caps, a sliding
// window, GELU, norms behind, RoPE over halves. Q4_0; its tokens are tiny_tokens().
constexpr const char* kTinyModel = "gemma2-mini";
constexpr uint32_t kTinyDigest = 0x5370bba6;

inline std::vector<int> digest_tokens() {
    std::vector<int> tokens;
    for (int i = 0; i < kDigestTokens; ++i) tokens.push_back(3 + i * 7919 % 4000);
    return tokens;
}
