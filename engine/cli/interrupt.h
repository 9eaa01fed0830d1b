// Ctrl-C as a question that the program asks, instead of its end.
#pragma once

namespace strata::cli {

// While one lives, Ctrl-C only leaves word.
class InterruptScope {
public:
    InterruptScope();
    ~InterruptScope();
    InterruptScope(const InterruptScope&) = delete;
    InterruptScope& operator=(const InterruptScope&) = delete;
};

// Whether Ctrl-C was pressed since the last clear_interrupt().
bool interrupted();
void clear_interrupt();

// Within an InterruptScope: waits until standard input has something to read (or has ended). False: Ctrl-C came first.
bool wait_for_input();

}  // namespace strata::cli
