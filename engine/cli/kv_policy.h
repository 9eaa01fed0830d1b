// Ways of remembering, and sizes, as the command line spells them.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/engine.h"

namespace strata::cli {

// "exact|quality|balanced|max|delete:N"
std::string kv_policy_names();

// A memory by its name in that list. delete:N keeps everything in FP32 and shows a query the newest N positions and the
// first few (kSinkPositions) only: what an engine with a sliding window knows. Nothing for any other name.
std::optional<KvOptions> kv_policy_from_name(std::string_view name);

// A number of bytes: "268435456", "256MiB", "1GiB", "900MB". Nothing for what is no size, is 0 or does not fit 64 bits.
std::optional<uint64_t> bytes_from_text(std::string_view text);

}  // namespace strata::cli
