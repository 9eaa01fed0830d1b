// Reads a little-endian file field by field; running off the end is a value, not a crash.
#pragma once
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "engine/base/result.h"

namespace strata {

class ByteReader {
public:
    explicit ByteReader(std::span<const uint8_t> bytes, uint64_t at = 0) : bytes_(bytes), at_(at) {
        CHECK(at <= bytes.size());
    }

    uint64_t position() const { return at_; }
    uint64_t remaining() const { return bytes_.size() - at_; }

    template <class T>
    Result<T> read() {
        static_assert(std::is_arithmetic_v<T>);
        if (remaining() < sizeof(T)) return ended(sizeof(T));
        T value;
        std::memcpy(&value, bytes_.data() + at_, sizeof(T));
        at_ += sizeof(T);
        return value;
    }

    // `count` bytes of the file, not copied.
    Result<std::span<const uint8_t>> bytes(uint64_t count) {
        if (remaining() < count) return ended(count);
        const auto view = bytes_.subspan(at_, count);
        at_ += count;
        return view;
    }

    // What was read since position `begin`, not copied.
    std::span<const uint8_t> since(uint64_t begin) const {
        CHECK(begin <= at_);
        return bytes_.subspan(begin, at_ - begin);
    }

    // A GGUF string: a 64-bit length, then that many bytes. Not copied.
    Result<std::string_view> string() {
        const auto length = read<uint64_t>();
        if (!length) return length.error();
        const auto view = bytes(*length);
        if (!view) return view.error();
        return std::string_view(reinterpret_cast<const char*>(view->data()), view->size());
    }

private:
    Error ended(uint64_t wanted) const {
        return {ErrorCode::corrupt_file, "the file ends at byte " + std::to_string(bytes_.size()) +
                                             ", but a field of " + std::to_string(wanted) + " bytes starts at byte " +
                                             std::to_string(at_)};
    }

    std::span<const uint8_t> bytes_;
    uint64_t at_;
};

}  // namespace strata
