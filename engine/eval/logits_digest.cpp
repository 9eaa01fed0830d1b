#include "engine/eval/logits_digest.h"

namespace strata {

Result<uint32_t> logits_digest(Session& session, std::span<const int> tokens) {
    uint32_t digest = 2166136261u;
    const Status read = session.score(tokens, [&](int64_t, std::span<const float> logits) {
        const auto* bytes = reinterpret_cast<const uint8_t*>(logits.data());
        for (size_t i = 0; i < logits.size_bytes(); ++i) digest = (digest ^ bytes[i]) * 16777619u;
    });
    if (!read) return read.error();
    return digest;
}

}  // namespace strata
