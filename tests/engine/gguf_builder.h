// Writes small GGUF files, right and wrong ones, for tests.
#pragma once
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/gguf/gguf.h"

namespace strata {

class GgufBuilder {
public:
    template <class T>
    GgufBuilder& put(T value) {
        out_.append(reinterpret_cast<const char*>(&value), sizeof value);
        return *this;
    }
    GgufBuilder& text(std::string_view value) {
        put<uint64_t>(value.size());
        out_ += value;
        return *this;
    }
    GgufBuilder& header(uint64_t n_tensors, uint64_t n_metadata, uint32_t version = 3) {
        out_ += "GGUF";
        return put(version).put(n_tensors).put(n_metadata);
    }
    GgufBuilder& key(std::string_view name, GgufType type) { return text(name).put(static_cast<uint32_t>(type)); }
    GgufBuilder& string(std::string_view name, std::string_view value) {
        return key(name, GgufType::string).text(value);
    }
    GgufBuilder& u32(std::string_view name, uint32_t value) { return key(name, GgufType::u32).put(value); }
    GgufBuilder& boolean(std::string_view name, bool value) {
        return key(name, GgufType::boolean).put<uint8_t>(value ? 1 : 0);
    }
    // An array's header; its elements are put after it.
    GgufBuilder& array(std::string_view name, GgufType element_type, uint64_t count) {
        return key(name, GgufType::array).put(static_cast<uint32_t>(element_type)).put(count);
    }
    GgufBuilder& strings(std::string_view name, const std::vector<std::string>& values) {
        array(name, GgufType::string, values.size());
        for (const std::string& value : values) text(value);
        return *this;
    }
    GgufBuilder& tensor(std::string_view name, std::initializer_list<uint64_t> shape, uint32_t type, uint64_t offset) {
        text(name).put(static_cast<uint32_t>(shape.size()));
        for (const uint64_t size : shape) put(size);
        return put(type).put(offset);
    }
    GgufBuilder& pad(size_t alignment = 32) {
        out_.resize((out_.size() + alignment - 1) / alignment * alignment);
        return *this;
    }

    std::string& bytes() { return out_; }
    std::span<const uint8_t> span() const { return {reinterpret_cast<const uint8_t*>(out_.data()), out_.size()}; }
    Result<GgufFile> open() const { return GgufFile::open(span()); }

private:
    std::string out_;
};

}  // namespace strata
