// Appends little-endian numbers and bytes; the counterpart of ByteReader.
#pragma once
#include <cstdint>
#include <cstring>
#include <vector>

namespace strata {

class ByteWriter {
public:
    template <class T>
    void number(T value) {
        static_assert(std::is_arithmetic_v<T>);
        bytes(&value, sizeof value);
    }
    void bytes(const void* data, size_t size) {
        if (size == 0) return;
        const size_t at = bytes_.size();
        bytes_.resize(at + size);
        std::memcpy(bytes_.data() + at, data, size);
    }
    const std::vector<uint8_t>& written() const { return bytes_; }
    std::vector<uint8_t> take() { return std::move(bytes_); }
    void reserve(size_t size) { bytes_.reserve(size); }

private:
    std::vector<uint8_t> bytes_;
};

}  // namespace strata
