// How results, notes and errors are written: results on stdout, everything else on stderr.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "engine/engine.h"

namespace strata::cli {

using Json = nlohmann::ordered_json;  // keys stay in the order in which a person wants to read them

// "strata: …" on stderr. Returns the exit code for it.
int fail(const Error& error);
void note(const std::string& text);
void warn(const std::string& text);

// "6.3 MB", in powers of 1000 as disks are sold.
std::string size_text(uint64_t bytes);
// printf-style number with that many decimals.
std::string fixed(double value, int decimals);

// The name without its folder.
std::string file_name(const std::string& path);

// One object on one line. Bytes that are no UTF-8 become U+FFFD.
void print_json_line(const Json& object);

// With budget, kept and spare bytes where the memory is in tiers.
Json kv_json(const KvStats& stats);
// "distance_clamp", where one was asked for.
void add_distance_clamp(Json& object, const std::optional<int>& distance_clamp);
// A few lines: each tier with its positions and bytes, then the total beside what FP16 and FP32 would take.
std::string kv_text(const KvStats& stats);

// A text from a model (valid UTF-8): escape sequences must not reach a terminal. Line breaks and tabs stay.
std::string terminal_safe(std::string_view text);

// The position of the first byte that is no UTF-8, or npos.
size_t find_invalid_utf8(std::string_view text);

}  // namespace strata::cli
