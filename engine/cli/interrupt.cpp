#include "engine/cli/interrupt.h"

#include <fcntl.h>
#include <sys/select.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "engine/engine.h"

namespace strata::cli {

namespace {

// A signal handler can reach nothing but globals. Each Ctrl-C puts a byte into the pipe, so that waiting for the pipe
// and the keyboard together misses none, whichever thread runs the handler.
int read_end = -1, write_end = -1;
volatile std::sig_atomic_t pressed = 0;

void on_interrupt(int) {
    pressed = 1;
    [[maybe_unused]] const ssize_t written = write(write_end, "", 1);  // a full pipe says enough
}

}  // namespace

InterruptScope::InterruptScope() {
    int ends[2];
    CHECK(pipe(ends) == 0);
    for (const int end : ends) fcntl(end, F_SETFL, O_NONBLOCK);
    read_end = ends[0];
    write_end = ends[1];
    struct sigaction action {};
    action.sa_handler = on_interrupt;
    action.sa_flags = SA_RESTART;  // a line that is being read is read to its end
    sigaction(SIGINT, &action, nullptr);
}

InterruptScope::~InterruptScope() {
    std::signal(SIGINT, SIG_DFL);
    close(read_end);
    close(write_end);
}

bool interrupted() { return pressed != 0; }

void clear_interrupt() {
    pressed = 0;
    char bytes[64];
    while (read(read_end, bytes, sizeof bytes) > 0) continue;
}

bool wait_for_input() {
    fd_set ready;
    do {
        FD_ZERO(&ready);
        FD_SET(STDIN_FILENO, &ready);
        FD_SET(read_end, &ready);
    } while (select(std::max(STDIN_FILENO, read_end) + 1, &ready, nullptr, nullptr, nullptr) < 0);  // EINTR
    return !FD_ISSET(read_end, &ready);
}

}  // namespace strata::cli
