// Reads a GGUF file (versions 2 and 3) from a span of bytes. Nothing is copied: names, strings, arrays and tensors are
// views into that span, which must outlive the GgufFile. Every offset and size is checked against the span before it
// is used, so that a hostile file ends in an Error.
// Format: github.com/ggml-org/ggml/blob/master/docs/gguf.md
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/base/byte_reader.h"
#include "engine/base/result.h"
#include "engine/formats/tensor_type.h"

namespace strata {

// The value types of GGUF metadata, numbered as in the file.
enum class GgufType : uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };

struct GgufValue {
    GgufType type;
    std::span<const uint8_t> bytes;        // the encoded value; for strings and arrays without their length field
    GgufType element_type = GgufType::u8;  // arrays only
    uint64_t count = 0;                    // arrays only
};

struct GgufTensor {
    std::string_view name;
    std::vector<uint64_t> shape;  // as in the file: the fastest-running dimension (columns) first
    TensorType type;
    std::span<const uint8_t> data;  // exactly the tensor's bytes; empty where only the header was read
    uint64_t data_bytes;            // their number, also then

    uint64_t n_elements() const;
    uint64_t columns() const { return shape.empty() ? 0 : shape[0]; }
    uint64_t rows() const { return columns() == 0 ? 0 : n_elements() / columns(); }
};

class GgufFile {
public:
    // Fails with not_gguf (wrong magic, version, big-endian), corrupt_file (ends early, duplicate or unaligned tensors,
    // sizes that overflow, a tensor outside the file) or unsupported_type (tensor type unknown: named with the tensor).
    static Result<GgufFile> open(std::span<const uint8_t> bytes);

    // A model that was split into files (-00001-of-0000N.gguf), which lie one after the other in `bytes`, in order.
    // Metadata are those of the first, tensors those of all. One part, or none named: a whole file; a part of a split
    // model alone is corrupt_file, and says what else is needed.
    static Result<GgufFile> open_parts(std::span<const uint8_t> bytes, std::span<const uint64_t> part_bytes);

    // The header alone, from the first bytes of a file of `file_bytes` in all. While they are fewer than the whole
    // file, corrupt_file may mean that the header does not end in them: try again with more.
    static Result<GgufFile> open_header(std::span<const uint8_t> start, uint64_t file_bytes);

    // Typed metadata look-ups. Integers of any width are widened; absent keys and other types are nullopt.
    std::optional<uint64_t> unsigned_integer(std::string_view key) const;
    std::optional<double> number(std::string_view key) const;  // any integer or float
    std::optional<bool> boolean(std::string_view key) const;
    std::optional<std::string_view> string(std::string_view key) const;
    std::optional<std::vector<std::string_view>> strings(std::string_view key) const;
    std::optional<std::vector<float>> floats(std::string_view key) const;      // arrays of f32
    std::optional<std::vector<int64_t>> integers(std::string_view key) const;  // arrays of any integer type or booleans
    const GgufValue* find(std::string_view key) const;

    const GgufTensor* tensor(std::string_view name) const;  // nullptr when absent
    const std::vector<GgufTensor>& tensors() const { return tensors_; }
    const std::vector<std::pair<std::string_view, GgufValue>>& metadata() const { return metadata_; }
    uint32_t version() const { return version_; }
    uint64_t split_count() const { return unsigned_integer("split.count").value_or(1); }  // files of the model

    // A value as a person would read it; long arrays are abbreviated. For `strata inspect`.
    static std::string to_text(const GgufValue& value);

private:
    Status read_metadata(ByteReader& reader, uint64_t count);
    Status read_tensors(ByteReader& reader, uint64_t count, std::span<const uint8_t> read, uint64_t file_bytes);
    Status add_tensor(GgufTensor tensor);

    uint32_t version_ = 0;
    std::vector<std::pair<std::string_view, GgufValue>> metadata_;  // in the order of the file
    std::vector<GgufTensor> tensors_;
    std::unordered_map<std::string_view, size_t> metadata_by_key_;  // indices into the two above
    std::unordered_map<std::string_view, size_t> tensors_by_name_;
};

}  // namespace strata
