#include "engine/cli/model_file.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <regex>
#include <utility>

namespace strata::cli {

namespace {

Error file_error(const std::string& path, const std::string& what) {
    return {ErrorCode::invalid_argument, "'" + path + "' " + what};
}

Error system_error(const std::string& path) {
    if (errno == ENOENT) return file_error(path, "does not exist; check the path");
    if (errno == EACCES) return file_error(path, "may not be read; check its permissions");
    return file_error(path, std::string("cannot be read: ") + std::strerror(errno));
}

Result<std::span<const uint8_t>> map_descriptor(int descriptor, const std::string& path) {
    struct stat info {};
    if (fstat(descriptor, &info) != 0) return system_error(path);
    if (S_ISDIR(info.st_mode)) return file_error(path, "is a directory; expected a file");
    if (!S_ISREG(info.st_mode)) return file_error(path, "is no regular file, so it cannot be mapped into memory");
    if (info.st_size == 0) return file_error(path, "is empty; was the download complete?");
    void* start = mmap(nullptr, size_t(info.st_size), PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (start == MAP_FAILED) return system_error(path);
    return std::span(static_cast<const uint8_t*>(start), size_t(info.st_size));
}

}  // namespace

Result<MappedFile> MappedFile::open(const std::string& path) {
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return system_error(path);
    const auto bytes = map_descriptor(descriptor, path);
    ::close(descriptor);  // the mapping stays
    if (!bytes) return bytes.error();
    return MappedFile(*bytes);
}

MappedFile::MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

MappedFile::~MappedFile() {
    if (!bytes_.empty()) munmap(const_cast<uint8_t*>(bytes_.data()), bytes_.size());
}

std::vector<std::string> files_of_model(const std::string& path) {
    static const std::regex split("(.*-)00001-of-([0-9]{5})(\\.gguf)");
    std::smatch match;
    if (!std::regex_match(path, match, split)) return {path};
    const int count = std::stoi(match[2]);
    std::vector<std::string> files;
    for (int i = 1; i <= count; ++i) {
        char number[16];
        std::snprintf(number, sizeof number, "%05d", i);
        files.push_back(match[1].str() + number + "-of-" + match[2].str() + match[3].str());
    }
    return files;
}

Result<ModelFile> load_model(const std::string& path) {
    const auto files = files_of_model(path);
    ModelFile result;
    std::vector<uint64_t> part_bytes;
    for (const std::string& name : files) {
        auto file = MappedFile::open(name);
        if (!file) return file.error();
        part_bytes.push_back(file->bytes().size());
        if (files.size() == 1)
            result.file.emplace(std::move(*file));
        else
            result.parts.insert(result.parts.end(), file->bytes().begin(), file->bytes().end());
    }
    auto model = Model::open(result.bytes(), part_bytes);
    if (!model) return Error{model.error().code, "'" + path + "': " + model.error().message};
    result.model = std::move(*model);
    return result;
}

Result<std::string> read_text(const std::string& path) {
    std::FILE* file = path == "-" ? stdin : std::fopen(path.c_str(), "rb");
    if (!file) return system_error(path);
    std::string text;
    std::array<char, 1 << 16> part;
    while (const size_t n = std::fread(part.data(), 1, part.size(), file)) text.append(part.data(), n);
    const bool failed = std::ferror(file) != 0;
    const int reason = errno;
    if (file != stdin) std::fclose(file);
    if (!failed) return text;
    if (reason == EISDIR) return file_error(path, "is a directory; expected a text file");
    errno = reason;
    return system_error(path);
}

std::string sha256(std::span<const uint8_t> bytes) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
    unsigned int size = 0;
    CHECK(EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr) == 1);
    std::string hex;
    for (unsigned int i = 0; i < size; ++i) {
        const char* digits = "0123456789abcdef";
        hex += {digits[digest[i] >> 4], digits[digest[i] & 15]};
    }
    return hex;
}

}  // namespace strata::cli
