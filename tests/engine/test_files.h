// Files that tests read, relative to the root of the repository (where ctest runs them).
#pragma once
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>

namespace strata {

inline constexpr const char* kDefaultModel = "web/public/models/pocket-chat-5.8m-q8_0.gguf";

inline std::string read_file(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

inline std::span<const uint8_t> bytes_of(const std::string& text) {
    return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

}  // namespace strata
