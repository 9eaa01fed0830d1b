#include "engine/cli/interrupt.h"

#include <csignal>

namespace strata::cli {

namespace {
volatile std::sig_atomic_t pressed = 0;  // a signal handler can reach nothing but a global
void on_interrupt(int) { pressed = 1; }
}  // namespace

InterruptScope::InterruptScope() {
    struct sigaction action {};
    action.sa_handler = on_interrupt;  // without SA_RESTART: a read that waits for the keyboard ends
    sigaction(SIGINT, &action, nullptr);
}

InterruptScope::~InterruptScope() { std::signal(SIGINT, SIG_DFL); }

bool interrupted() { return pressed != 0; }
void clear_interrupt() { pressed = 0; }

}  // namespace strata::cli
