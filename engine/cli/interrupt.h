// Ctrl-C as a question that the program asks, instead of its end.
#pragma once

namespace strata::cli {

// While one lives, Ctrl-C only sets a flag, and a pending read from the terminal returns.
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

}  // namespace strata::cli
