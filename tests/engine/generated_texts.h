// The texts of tests/golden/tokenizer/generated_texts.mjs, and what is kept of their tokens.
#pragma once
#include <cstdint>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/check.h"
#include "engine/tokenizer/unicode.h"
#include "tests/engine/test_files.h"

namespace strata {

class GeneratedTexts {
public:
    static constexpr uint32_t kTextsPerBlock = 20, kBlocks = 250;

    GeneratedTexts() {
        std::istringstream file(read_file("tests/golden/tokenizer/fragments.txt"));
        for (std::string line; std::getline(file, line);) {
            if (line.empty() || line.substr(0, 2) == "# ") continue;
            parts_.push_back(part_of(line));
        }
        CHECK(!parts_.empty());
    }

    std::string text(uint32_t index) const {
        Random random(index + 1);
        const uint32_t count = 1 + random.below(12);
        std::string text;
        for (uint32_t i = 0; i < count; ++i) {
            const Part& part = parts_[random.below(static_cast<uint32_t>(parts_.size()))];
            const uint32_t times = random.below(8) == 0 ? 2 + random.below(4) : 1;
            for (uint32_t n = 0; n < times; ++n) {
                if (!part.is_range)
                    text += part.text;
                else
                    append_utf8(text, part.first + random.below(part.last - part.first + 1));
            }
        }
        return text;
    }

    // FNV-1a, 32 bits, of what encode() makes of the texts of a block.
    template <class Encode>
    std::string digest(uint32_t block, const Encode& encode) const {
        uint32_t hash = 0x811C9DC5;
        const auto add = [&](uint32_t id) {
            for (int shift = 0; shift < 32; shift += 8) hash = (hash ^ (id >> shift & 0xFF)) * 0x01000193;
        };
        for (uint32_t i = 0; i < kTextsPerBlock; ++i) {
            for (const int id : encode(text(block * kTextsPerBlock + i))) add(static_cast<uint32_t>(id));
            add(0xFFFFFFFF);
        }
        char text[9];
        std::snprintf(text, sizeof text, "%08x", hash);
        return text;
    }

private:
    struct Part {
        bool is_range;
        std::string text;
        uint32_t first, last;
    };

    class Random {
    public:
        explicit Random(uint32_t seed) : state_(seed) {
            for (int i = 0; i < 8; ++i) below(2);
        }
        uint32_t below(uint32_t limit) {
            state_ ^= state_ << 13;
            state_ ^= state_ >> 17;
            state_ ^= state_ << 5;
            return state_ % limit;
        }

    private:
        uint32_t state_;
    };

    static Part part_of(const std::string& line) {
        if (line[0] != '@' || line.find('-') == std::string::npos) return {false, unescape(line), 0, 0};
        char* end = nullptr;
        const auto first = static_cast<uint32_t>(std::strtoul(line.c_str() + 1, &end, 16));
        if (end == line.c_str() + 1 || *end != '-') return {false, unescape(line), 0, 0};
        return {true, "", first, static_cast<uint32_t>(std::strtoul(end + 1, nullptr, 16))};
    }

    static std::string unescape(const std::string& line) {
        constexpr std::string_view kLetters = "ntrs\\", kMeanings = "\n\t\r \\";
        std::string text;
        for (size_t at = 0; at < line.size(); ++at) {
            if (line[at] != '\\') {
                text += line[at];
                continue;
            }
            ++at;
            if (line[at] == 'u') {
                const size_t close = line.find('}', at);
                CHECK(close != std::string::npos);
                const auto code_point =
                    static_cast<uint32_t>(std::stoul(line.substr(at + 2, close - at - 2), nullptr, 16));
                const bool is_surrogate = code_point >= 0xD800 && code_point < 0xE000;
                append_utf8(text, is_surrogate ? kReplacementCharacter : code_point);
                at = close;
            } else {
                const size_t letter = kLetters.find(line[at]);
                CHECK(letter != std::string_view::npos);
                text += kMeanings[letter];
            }
        }
        return text;
    }

    std::vector<Part> parts_;
};

}  // namespace strata
