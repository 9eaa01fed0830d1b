// Files as the command line meets them: models are mapped into memory, texts are read.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace strata::cli {

// A whole file, mapped read-only: pages are read when they are first used, and shared between processes.
class MappedFile {
public:
    // Fails with invalid_argument for a file that is missing, unreadable, empty, or no regular file.
    static Result<MappedFile> open(const std::string& path);

    MappedFile(MappedFile&& other) noexcept;
    MappedFile& operator=(MappedFile&&) = delete;
    ~MappedFile();

    std::span<const uint8_t> bytes() const { return bytes_; }

private:
    explicit MappedFile(std::span<const uint8_t> bytes) : bytes_(bytes) {}
    std::span<const uint8_t> bytes_;
};

// The files of a split model: PATH and those that follow it, when it ends in -00001-of-0000N.gguf; else PATH alone.
std::vector<std::string> files_of_model(const std::string& path);

// A model together with the bytes that it borrows its weights from.
struct ModelFile {
    std::optional<MappedFile> file;  // a model in one file
    std::vector<uint8_t> parts;      // or in several, read one after the other
    std::unique_ptr<Model> model;

    std::span<const uint8_t> bytes() const { return file ? file->bytes() : std::span<const uint8_t>(parts); }
};
Result<ModelFile> load_model(const std::string& path);

// All bytes of a text, whatever they are; "-" is standard input. Pipes work too.
Result<std::string> read_text(const std::string& path);

// Lower-case hexadecimal.
std::string sha256(std::span<const uint8_t> bytes);

}  // namespace strata::cli
