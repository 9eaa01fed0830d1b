// One number for all that a model computes over a text: what two builds compare to know that they agree.
#pragma once
#include <cstdint>
#include <span>

#include "engine/session.h"

namespace strata {

// Appends `tokens` to the session; FNV-1a over the bits of the logits of every position. Fails as Session::score does.
Result<uint32_t> logits_digest(Session& session, std::span<const int> tokens);

}  // namespace strata
