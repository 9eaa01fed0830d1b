#include "engine/cli/progress.h"

#include <unistd.h>

#include <cstdio>
#include <utility>

namespace strata::cli {

bool is_terminal(int descriptor) { return isatty(descriptor) == 1; }

Progress::Progress(std::string label)
    : label_(std::move(label)), terminal_(is_terminal(STDERR_FILENO)), start_(Clock::now()), shown_(start_) {}

Progress::~Progress() {
    if (drawn_) std::fputs("\r\x1b[K", stderr);
}

void Progress::update(int64_t done, int64_t total) {
    const auto now = Clock::now();
    if (total <= 0 || now - shown_ < (terminal_ ? std::chrono::milliseconds(100) : std::chrono::milliseconds(10000)))
        return;
    shown_ = now;
    const double speed = double(done) / std::chrono::duration<double>(now - start_).count();
    const auto n = static_cast<long long>(done), all = static_cast<long long>(total);
    if (!terminal_) {
        std::fprintf(stderr, "%s %lld of %lld tokens, %.0f tok/s\n", label_.c_str(), n, all, speed);
        return;
    }
    constexpr int kWidth = 30;
    const int filled = int(done * kWidth / total);
    const std::string bar = std::string(size_t(filled), '#') + std::string(size_t(kWidth - filled), '.');
    std::fprintf(stderr, "\r\x1b[K%s [%s] %lld of %lld tokens, %.0f tok/s", label_.c_str(), bar.c_str(), n, all, speed);
    drawn_ = true;
}

}  // namespace strata::cli
