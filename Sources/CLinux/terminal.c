#define _GNU_SOURCE
#include "clinux.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

static struct termios saved;
static volatile sig_atomic_t is_taken;
static volatile sig_atomic_t has_saved;
static int taken_input;
static int taken_output;
static const char *leave_text;

static const int faults[] = {SIGSEGV, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSYS};

static void write_all(int descriptor, const char *text) {
    size_t left = strlen(text);
    while (left) {
        ssize_t count = write(descriptor, text, left);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            return;
        }
        text += count;
        left -= (size_t)count;
    }
}

void collector_terminal_close(void) {
    if (!is_taken) {
        return;
    }
    is_taken = 0;
    write_all(taken_output, leave_text);
    if (has_saved) {
        tcsetattr(taken_input, TCSADRAIN, &saved);
    }
}

static void on_fault(int signal_number) {
    collector_terminal_close();
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

int collector_terminal_open(int input, int output, const char *enter, const char *leave) {
    has_saved = tcgetattr(input, &saved) == 0;
    if (has_saved) {
        struct termios wanted = saved;
        wanted.c_iflag &= ~(tcflag_t)(IXON | ICRNL | INLCR | ISTRIP);
        wanted.c_lflag &= ~(tcflag_t)(ICANON | ECHO | IEXTEN);
        wanted.c_cc[VMIN] = 1;
        wanted.c_cc[VTIME] = 0;
        if (tcsetattr(input, TCSADRAIN, &wanted) != 0) {
            return -1;
        }
    }
    taken_input = input;
    taken_output = output;
    leave_text = leave;
    is_taken = 1;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_fault;
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_NODEFER;
    for (size_t index = 0; index < sizeof faults / sizeof *faults; index++) {
        sigaction(faults[index], &action, NULL);
    }
    write_all(output, enter);
    return 0;
}

bool collector_terminal_size(int descriptor, int *columns, int *rows) {
    struct winsize size;
    if (ioctl(descriptor, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) {
        return false;
    }
    *columns = size.ws_col;
    *rows = size.ws_row;
    return true;
}

int collector_signal_descriptor(const sigset_t *signals) {
    return signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

int collector_next_signal(int descriptor) {
    struct signalfd_siginfo information;
    ssize_t count = read(descriptor, &information, sizeof information);
    return count == sizeof information ? (int)information.ssi_signo : 0;
}
