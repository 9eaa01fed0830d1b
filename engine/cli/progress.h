// How far a long task is, on stderr: a bar on a terminal, and now and then a line elsewhere.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>

namespace strata::cli {

class Progress {
public:
    explicit Progress(std::string label);
    ~Progress();  // takes the bar away
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    void update(int64_t done, int64_t total);  // cheap: shows something at most every 100 ms (10 s in a log)

private:
    using Clock = std::chrono::steady_clock;
    std::string label_;
    bool terminal_;
    bool drawn_ = false;
    Clock::time_point start_, shown_;
};

bool is_terminal(int descriptor);

}  // namespace strata::cli
