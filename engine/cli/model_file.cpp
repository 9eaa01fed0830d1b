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

Result<ModelFile> load_model(const std::string& path) {
    auto file = MappedFile::open(path);
    if (!file) return file.error();
    auto model = Model::open(file->bytes());
    if (!model) return Error{model.error().code, "'" + path + "': " + model.error().message};
    return ModelFile{std::move(*file), std::move(*model)};
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
