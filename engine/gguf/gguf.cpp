#include "engine/gguf/gguf.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "engine/base/printable.h"

namespace strata {
namespace {

constexpr std::string_view kMagic = "GGUF";
constexpr uint32_t kOldestVersion = 2, kNewestVersion = 3;
constexpr uint64_t kDefaultAlignment = 32;
constexpr uint32_t kMaxDimensions = 4;  // what ggml computes with
constexpr int kMaxArrayDepth = 4;       // the format allows any depth, but no known file nests arrays at all
constexpr uint64_t kShownElements = 6;  // of an array, in to_text

// The fewest bytes that one entry can take. A count is checked against them before anything is reserved for it.
constexpr uint64_t kMinMetadataBytes = 8 + 4 + 1;        // key length, value type, a one-byte value
constexpr uint64_t kMinTensorBytes = 8 + 4 + 8 + 4 + 8;  // name length, dimensions, one of them, type, offset
constexpr uint64_t kMinStringBytes = 8;                  // length
constexpr uint64_t kMinArrayBytes = 4 + 8;               // element type, count

Error corrupt(std::string message) {
    return {ErrorCode::corrupt_file, std::move(message) + "; the file is damaged or was not downloaded completely"};
}

Error within(const std::string& what, const Error& error) { return {error.code, what + ": " + error.message}; }

std::string quoted(std::string_view text) { return std::string("\"").append(printable(text)).append("\""); }

// False where a * b does not fit.
bool multiply(uint64_t a, uint64_t b, uint64_t* product) {
    if (b != 0 && a > std::numeric_limits<uint64_t>::max() / b) return false;
    *product = a * b;
    return true;
}

uint32_t byte_swapped(uint32_t value) {
    return value << 24 | (value & 0xFF00) << 8 | (value >> 8 & 0xFF00) | value >> 24;
}

Result<uint32_t> read_version(ByteReader& reader) {
    const auto magic = reader.bytes(std::min<uint64_t>(kMagic.size(), reader.remaining()));
    if (!magic) return magic.error();
    const std::string_view start(reinterpret_cast<const char*>(magic->data()), magic->size());
    if (start != kMagic) {
        return Error{ErrorCode::not_gguf, "this is no GGUF file: it begins with " + quoted(start) +
                                              " where \"GGUF\" was expected. Choose a model file that ends in .gguf"};
    }
    const auto version = reader.read<uint32_t>();
    if (!version) return version.error();
    if (*version >= kOldestVersion && *version <= kNewestVersion) return *version;
    const uint32_t swapped = byte_swapped(*version);
    if (swapped >= 1 && swapped <= kNewestVersion) {
        return Error{ErrorCode::not_gguf, "this GGUF file is written for big-endian machines; little-endian is needed"};
    }
    return Error{ErrorCode::not_gguf, "this GGUF file has version " + std::to_string(*version) +
                                          "; versions 2 and 3 can be read. Convert the model again"};
}

// 0 for strings and arrays, whose size is not fixed.
uint64_t scalar_bytes(GgufType type) {
    switch (type) {
        case GgufType::u8:
        case GgufType::i8:
        case GgufType::boolean:
            return 1;
        case GgufType::u16:
        case GgufType::i16:
            return 2;
        case GgufType::u32:
        case GgufType::i32:
        case GgufType::f32:
            return 4;
        case GgufType::u64:
        case GgufType::i64:
        case GgufType::f64:
            return 8;
        case GgufType::string:
        case GgufType::array:
            return 0;
    }
    return 0;
}

uint64_t fewest_bytes(GgufType type) {
    if (type == GgufType::string) return kMinStringBytes;
    if (type == GgufType::array) return kMinArrayBytes;
    return scalar_bytes(type);
}

Result<GgufType> read_type(ByteReader& reader) {
    const auto number = reader.read<uint32_t>();
    if (!number) return number.error();
    if (*number > static_cast<uint32_t>(GgufType::f64)) {
        return corrupt("value type " + std::to_string(*number) + " does not exist");
    }
    return static_cast<GgufType>(*number);
}

Result<GgufValue> read_value(ByteReader& reader, GgufType type, int depth);

// Walks over the elements, so that whoever reads them later needs no checks.
Status skip_elements(ByteReader& reader, GgufType type, uint64_t count, int depth) {
    if (const uint64_t fixed = scalar_bytes(type); fixed != 0) {
        const auto bytes = reader.bytes(fixed * count);
        if (!bytes) return bytes.error();
        return Done{};
    }
    for (uint64_t i = 0; i < count; ++i) {
        const auto element = read_value(reader, type, depth);
        if (!element) return within("element " + std::to_string(i), element.error());
    }
    return Done{};
}

Result<GgufValue> read_array(ByteReader& reader, int depth) {
    if (depth == kMaxArrayDepth) {
        return corrupt("arrays are nested more than " + std::to_string(kMaxArrayDepth) + " deep");
    }
    const auto element_type = read_type(reader);
    if (!element_type) return element_type.error();
    const auto count = reader.read<uint64_t>();
    if (!count) return count.error();
    if (*count > reader.remaining() / fewest_bytes(*element_type)) {
        return corrupt("an array of " + std::to_string(*count) + " elements does not fit into the " +
                       std::to_string(reader.remaining()) + " bytes that are left");
    }
    const uint64_t begin = reader.position();
    const Status skipped = skip_elements(reader, *element_type, *count, depth + 1);
    if (!skipped) return skipped.error();
    return GgufValue{GgufType::array, reader.since(begin), *element_type, *count};
}

Result<GgufValue> read_value(ByteReader& reader, GgufType type, int depth) {
    if (type == GgufType::array) return read_array(reader, depth);
    if (type == GgufType::string) {
        const auto text = reader.string();
        if (!text) return text.error();
        return GgufValue{type, {reinterpret_cast<const uint8_t*>(text->data()), text->size()}};
    }
    const auto bytes = reader.bytes(scalar_bytes(type));
    if (!bytes) return bytes.error();
    return GgufValue{type, *bytes};
}

// What the header says of a tensor, before the place of its data is known.
struct TensorInfo {
    std::string_view name;
    std::vector<uint64_t> shape;
    uint32_t type;
    uint64_t offset;  // from the start of the tensor data
};

Result<std::vector<uint64_t>> read_shape(ByteReader& reader) {
    const auto n_dimensions = reader.read<uint32_t>();
    if (!n_dimensions) return n_dimensions.error();
    if (*n_dimensions < 1 || *n_dimensions > kMaxDimensions) {
        return corrupt(std::to_string(*n_dimensions) + " dimensions, where 1 to " + std::to_string(kMaxDimensions) +
                       " are possible");
    }
    std::vector<uint64_t> shape(*n_dimensions);
    for (uint64_t& size : shape) {
        const auto dimension = reader.read<uint64_t>();
        if (!dimension) return dimension.error();
        size = *dimension;
    }
    return shape;
}

Result<TensorInfo> read_tensor_info(ByteReader& reader) {
    const auto name = reader.string();
    if (!name) return name.error();
    auto shape = read_shape(reader);
    if (!shape) return within("tensor " + quoted(*name), shape.error());
    const auto type = reader.read<uint32_t>();
    if (!type) return type.error();
    const auto offset = reader.read<uint64_t>();
    if (!offset) return offset.error();
    return TensorInfo{*name, std::move(*shape), *type, *offset};
}

// The bytes that the tensor's elements take.
Result<uint64_t> data_bytes(const TensorInfo& info, const TensorTraits& traits) {
    const uint64_t block_values = static_cast<uint64_t>(traits.block_values);
    if (info.shape[0] % block_values != 0) {
        return corrupt("rows of " + std::to_string(info.shape[0]) + " values are not whole blocks of " +
                       std::to_string(block_values) + " (" + traits.name + ")");
    }
    uint64_t bytes = static_cast<uint64_t>(traits.block_bytes);
    bool fits = multiply(bytes, info.shape[0] / block_values, &bytes);
    for (size_t i = 1; fits && i < info.shape.size(); ++i) fits = multiply(bytes, info.shape[i], &bytes);
    // The number of elements can overflow where the number of bytes does not (4-bit types).
    uint64_t elements = 1;
    for (size_t i = 0; fits && i < info.shape.size(); ++i) fits = multiply(elements, info.shape[i], &elements);
    if (!fits) return corrupt("its dimensions multiply to more than 64 bits can count");
    return bytes;
}

// `data`: everything that was read from the first byte of the tensor data on, of `in_file` bytes.
Result<GgufTensor> place_tensor(TensorInfo info, std::span<const uint8_t> data, uint64_t in_file, uint64_t alignment) {
    const TensorTraits* traits = tensor_traits(info.type);
    if (traits == nullptr) {
        return Error{ErrorCode::unsupported_type, "type " + tensor_type_name(info.type) +
                                                      " cannot be computed with; supported are " +
                                                      supported_tensor_types()};
    }
    const auto bytes = data_bytes(info, *traits);
    if (!bytes) return bytes.error();
    if (info.offset % alignment != 0) {
        return corrupt("offset " + std::to_string(info.offset) + " is no multiple of the alignment " +
                       std::to_string(alignment));
    }
    if (info.offset > in_file || *bytes > in_file - info.offset) {
        return corrupt("it needs " + std::to_string(*bytes) + " bytes from byte " + std::to_string(info.offset) +
                       " of the tensor data on, but the file holds " + std::to_string(in_file) + " there");
    }
    const bool read = in_file == data.size();
    return GgufTensor{info.name, std::move(info.shape), traits->type,
                      read ? data.subspan(info.offset, *bytes) : std::span<const uint8_t>(), *bytes};
}

template <class T>
T load(const uint8_t* bytes) {
    T value;
    std::memcpy(&value, bytes, sizeof(T));
    return value;
}

bool is_signed_integer(GgufType type) {
    return type == GgufType::i8 || type == GgufType::i16 || type == GgufType::i32 || type == GgufType::i64;
}

bool is_unsigned_integer(GgufType type) {
    return type == GgufType::u8 || type == GgufType::u16 || type == GgufType::u32 || type == GgufType::u64;
}

uint64_t load_unsigned(GgufType type, const uint8_t* bytes) {
    switch (type) {
        case GgufType::u8:
            return load<uint8_t>(bytes);
        case GgufType::u16:
            return load<uint16_t>(bytes);
        case GgufType::u32:
            return load<uint32_t>(bytes);
        default:
            return load<uint64_t>(bytes);
    }
}

int64_t load_signed(GgufType type, const uint8_t* bytes) {
    switch (type) {
        case GgufType::i8:
            return load<int8_t>(bytes);
        case GgufType::i16:
            return load<int16_t>(bytes);
        case GgufType::i32:
            return load<int32_t>(bytes);
        default:
            return load<int64_t>(bytes);
    }
}

// nullopt for what is no integer, or is too large for int64_t.
std::optional<int64_t> load_integer(GgufType type, const uint8_t* bytes) {
    if (is_signed_integer(type)) return load_signed(type, bytes);
    if (!is_unsigned_integer(type)) return std::nullopt;
    const uint64_t value = load_unsigned(type, bytes);
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
    return static_cast<int64_t>(value);
}

std::string_view as_text(std::span<const uint8_t> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The shortest decimal that reads back as the same value. `enough` digits always do.
template <class T>
std::string shortest(T value, int enough) {
    char digits[40];
    for (int precision = 1; precision <= enough; ++precision) {
        std::snprintf(digits, sizeof digits, "%.*g", precision, static_cast<double>(value));
        if (static_cast<T>(std::strtod(digits, nullptr)) == value) break;
    }
    return digits;
}

std::string scalar_to_text(GgufType type, const uint8_t* bytes) {
    if (is_signed_integer(type)) return std::to_string(load_signed(type, bytes));
    if (is_unsigned_integer(type)) return std::to_string(load_unsigned(type, bytes));
    if (type == GgufType::boolean) return *bytes != 0 ? "true" : "false";
    if (type == GgufType::f32) return shortest(load<float>(bytes), std::numeric_limits<float>::max_digits10);
    return shortest(load<double>(bytes), std::numeric_limits<double>::max_digits10);
}

// Reads on after `open` has walked over the whole value once: nothing can fail any more.
template <class T>
T checked(Result<T> result) {
    CHECK(result);
    return *result;
}

std::string array_to_text(const GgufValue& array) {
    ByteReader reader(array.bytes);
    const uint64_t shown = std::min(array.count, kShownElements);
    std::string text = "[";
    for (uint64_t i = 0; i < shown; ++i) {
        const GgufValue element = checked(read_value(reader, array.element_type, 0));
        if (i > 0) text += ", ";
        text += element.type == GgufType::string ? quoted(as_text(element.bytes)) : GgufFile::to_text(element);
    }
    if (shown < array.count) text += ", … " + std::to_string(array.count) + " in all";
    return text + "]";
}

}  // namespace

uint64_t GgufTensor::n_elements() const {
    uint64_t product = 1;  // open() has checked that it fits
    for (const uint64_t size : shape) product *= size;
    return shape.empty() ? 0 : product;
}

Result<GgufFile> GgufFile::open(std::span<const uint8_t> bytes) { return open_header(bytes, bytes.size()); }

Result<GgufFile> GgufFile::open_parts(std::span<const uint8_t> bytes, std::span<const uint64_t> part_bytes) {
    const std::array<uint64_t, 1> whole = {bytes.size()};
    const std::span<const uint64_t> parts = part_bytes.empty() ? whole : part_bytes;
    std::optional<GgufFile> all;
    uint64_t begin = 0;
    for (size_t i = 0; i < parts.size(); ++i) {
        if (parts[i] > bytes.size() - begin) return corrupt("part " + std::to_string(i + 1) + " ends early");
        auto part = open(bytes.subspan(begin, parts[i]));
        const std::string name = "part " + std::to_string(i + 1) + " of " + std::to_string(parts.size());
        if (!part) return parts.size() == 1 ? part.error() : within(name, part.error());
        const uint64_t no = part->unsigned_integer("split.no").value_or(0), count = part->split_count();
        if (count != parts.size() || no != i) {
            return Error{ErrorCode::corrupt_file, "this is part " + std::to_string(no + 1) + " of a model in " +
                                                      std::to_string(count) +
                                                      " files; all of them are needed, in order"};
        }
        begin += parts[i];
        if (!all) {
            all = std::move(*part);
            continue;
        }
        for (GgufTensor& tensor : part->tensors_)
            if (const Status added = all->add_tensor(std::move(tensor)); !added) return within(name, added.error());
    }
    if (begin != bytes.size()) return corrupt("its parts do not add up to its size");
    const uint64_t promised = all->unsigned_integer("split.tensors.count").value_or(all->tensors_.size());
    if (promised == all->tensors_.size()) return std::move(*all);
    return corrupt("its parts hold " + std::to_string(all->tensors_.size()) + " tensors, where " +
                   std::to_string(promised) + " were promised");
}

Result<GgufFile> GgufFile::open_header(std::span<const uint8_t> bytes, uint64_t file_bytes) {
    CHECK(bytes.size() <= file_bytes);
    ByteReader reader(bytes);
    const auto version = read_version(reader);
    if (!version) return version.error();
    const auto n_tensors = reader.read<uint64_t>();
    if (!n_tensors) return n_tensors.error();
    const auto n_metadata = reader.read<uint64_t>();
    if (!n_metadata) return n_metadata.error();

    GgufFile file;
    file.version_ = *version;
    if (const Status status = file.read_metadata(reader, *n_metadata); !status) return status.error();
    if (const Status status = file.read_tensors(reader, *n_tensors, bytes, file_bytes); !status) return status.error();
    return file;
}

Status GgufFile::read_metadata(ByteReader& reader, uint64_t count) {
    if (count > reader.remaining() / kMinMetadataBytes) {
        return corrupt("the header promises " + std::to_string(count) + " metadata entries, more than the " +
                       std::to_string(reader.remaining()) + " bytes that follow can hold");
    }
    metadata_.reserve(count);
    metadata_by_key_.reserve(count);
    for (uint64_t i = 0; i < count; ++i) {
        const auto key = reader.string();
        if (!key) return within("key of metadata entry " + std::to_string(i), key.error());
        const auto type = read_type(reader);
        if (!type) return within("metadata " + quoted(*key), type.error());
        const auto value = read_value(reader, *type, 0);
        if (!value) return within("metadata " + quoted(*key), value.error());
        if (!metadata_by_key_.emplace(*key, metadata_.size()).second) {
            return corrupt("metadata " + quoted(*key) + " is there twice");
        }
        metadata_.emplace_back(*key, *value);
    }
    return Done{};
}

Status GgufFile::read_tensors(ByteReader& reader, uint64_t count, std::span<const uint8_t> read, uint64_t file_bytes) {
    if (count > reader.remaining() / kMinTensorBytes) {
        return corrupt("the header promises " + std::to_string(count) + " tensors, more than the " +
                       std::to_string(reader.remaining()) + " bytes that follow can describe");
    }
    std::vector<TensorInfo> infos;
    infos.reserve(count);
    for (uint64_t i = 0; i < count; ++i) {
        auto info = read_tensor_info(reader);
        if (!info) return within("tensor " + std::to_string(i), info.error());
        infos.push_back(std::move(*info));
    }

    const GgufValue* stated = find("general.alignment");
    const uint64_t alignment =
        stated == nullptr ? kDefaultAlignment : unsigned_integer("general.alignment").value_or(0);
    if (alignment == 0 || (alignment & (alignment - 1)) != 0) {
        return corrupt("general.alignment is " + to_text(*stated) + ", where a power of two was expected");
    }
    const uint64_t padding = (alignment - reader.position() % alignment) % alignment;
    const uint64_t data_begin = reader.position() + std::min(padding, reader.remaining());

    tensors_.reserve(count);
    tensors_by_name_.reserve(count);
    for (TensorInfo& info : infos) {
        const std::string_view name = info.name;
        auto tensor = place_tensor(std::move(info), read.subspan(data_begin), file_bytes - data_begin, alignment);
        if (!tensor) return within("tensor " + quoted(name), tensor.error());
        if (const Status added = add_tensor(std::move(*tensor)); !added) return added.error();
    }
    return Done{};
}

Status GgufFile::add_tensor(GgufTensor tensor) {
    if (!tensors_by_name_.emplace(tensor.name, tensors_.size()).second)
        return corrupt("tensor " + quoted(tensor.name) + " is there twice");
    tensors_.push_back(std::move(tensor));
    return Done{};
}

const GgufValue* GgufFile::find(std::string_view key) const {
    const auto found = metadata_by_key_.find(key);
    return found == metadata_by_key_.end() ? nullptr : &metadata_[found->second].second;
}

const GgufTensor* GgufFile::tensor(std::string_view name) const {
    const auto found = tensors_by_name_.find(name);
    return found == tensors_by_name_.end() ? nullptr : &tensors_[found->second];
}

std::optional<uint64_t> GgufFile::unsigned_integer(std::string_view key) const {
    const GgufValue* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (is_unsigned_integer(value->type)) return load_unsigned(value->type, value->bytes.data());
    const auto number = load_integer(value->type, value->bytes.data());
    if (!number || *number < 0) return std::nullopt;
    return static_cast<uint64_t>(*number);
}

std::optional<double> GgufFile::number(std::string_view key) const {
    const GgufValue* value = find(key);
    if (value == nullptr) return std::nullopt;
    const uint8_t* bytes = value->bytes.data();
    if (value->type == GgufType::f32) return load<float>(bytes);
    if (value->type == GgufType::f64) return load<double>(bytes);
    if (is_unsigned_integer(value->type)) return static_cast<double>(load_unsigned(value->type, bytes));
    if (is_signed_integer(value->type)) return static_cast<double>(load_signed(value->type, bytes));
    return std::nullopt;
}

std::optional<bool> GgufFile::boolean(std::string_view key) const {
    const GgufValue* value = find(key);
    if (value == nullptr || value->type != GgufType::boolean) return std::nullopt;
    return value->bytes[0] != 0;
}

std::optional<std::string_view> GgufFile::string(std::string_view key) const {
    const GgufValue* value = find(key);
    if (value == nullptr || value->type != GgufType::string) return std::nullopt;
    return as_text(value->bytes);
}

std::optional<std::vector<std::string_view>> GgufFile::strings(std::string_view key) const {
    const GgufValue* value = find(key);
    if (value == nullptr || value->type != GgufType::array || value->element_type != GgufType::string) {
        return std::nullopt;
    }
    std::vector<std::string_view> texts;
    texts.reserve(value->count);
    ByteReader reader(value->bytes);
    for (uint64_t i = 0; i < value->count; ++i) texts.push_back(checked(reader.string()));
    return texts;
}

std::optional<std::vector<float>> GgufFile::floats(std::string_view key) const {
    const GgufValue* value = find(key);
    if (value == nullptr || value->type != GgufType::array || value->element_type != GgufType::f32) return std::nullopt;
    std::vector<float> numbers(value->count);
    if (!numbers.empty()) std::memcpy(numbers.data(), value->bytes.data(), value->bytes.size());
    return numbers;
}

std::optional<std::vector<int64_t>> GgufFile::integers(std::string_view key) const {
    const GgufValue* value = find(key);
    if (value == nullptr || value->type != GgufType::array) return std::nullopt;
    const bool booleans = value->element_type == GgufType::boolean;
    const GgufType type = booleans ? GgufType::u8 : value->element_type;
    if (!is_signed_integer(type) && !is_unsigned_integer(type)) return std::nullopt;
    std::vector<int64_t> numbers;
    numbers.reserve(value->count);
    const uint64_t step = scalar_bytes(type);
    for (uint64_t i = 0; i < value->count; ++i) {
        const auto number = load_integer(type, value->bytes.data() + i * step);
        if (!number) return std::nullopt;
        numbers.push_back(*number);
    }
    return numbers;
}

std::string GgufFile::to_text(const GgufValue& value) {
    if (value.type == GgufType::string) return printable(as_text(value.bytes), value.bytes.size());
    if (value.type == GgufType::array) return array_to_text(value);
    return scalar_to_text(value.type, value.bytes.data());
}

}  // namespace strata
