/* SPDX-License-Identifier: MIT */
/*
 * Raw mode of the controlling terminal. Output processing stays on, so that messages of the
 * emulator still begin at the left edge; signals from keys are off, so that Ctrl-C reaches the
 * guest.
 *
 * Owns: the saved settings, written once by the main thread before others can see `active`. A crash
 * must not leave the user with a dead shell, so fatal signals restore it and then act as before.
 */
#include "io/terminal.h"
#include "base/log.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

static struct termios saved, raw;
static int terminal_fd = -1;
static _Atomic bool active;

void terminal_restore(void)
{
    if (atomic_exchange(&active, false)) {
        /* TCSANOW: tcsetattr is async-signal-safe; draining could block. */
        tcsetattr(terminal_fd, TCSANOW, &saved);
    }
}

void terminal_raw_again(void)
{
    if (atomic_load(&active)) {
        tcsetattr(terminal_fd, TCSANOW, &raw);
    }
}

static void fatal_signal(int sig)
{
    terminal_restore();
    raise(sig); /* SA_RESETHAND: the default action, delivered when this handler returns */
}

static void catch_fatal_signals(void)
{
    static const int fatal[] = {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGQUIT};
    struct sigaction sa = {.sa_handler = fatal_signal, .sa_flags = (int)SA_RESETHAND};

    for (size_t i = 0; i < ARRAY_SIZE(fatal); i++) {
        struct sigaction old;
        /* Handlers that others installed (sanitizers, the fault handler of the MMU) stay. */
        if (sigaction(fatal[i], NULL, &old) == 0 && !(old.sa_flags & SA_SIGINFO) &&
            old.sa_handler == SIG_DFL) {
            sigaction(fatal[i], &sa, NULL);
        }
    }
}

void terminal_use(int fd)
{
    terminal_fd = fd;
}

void terminal_raw(void)
{
    if (terminal_fd < 0 || tcgetattr(terminal_fd, &saved) != 0) {
        return;
    }
    raw = saved;
    raw.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    raw.c_oflag |= OPOST;
    raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN | ISIG);
    raw.c_cflag = (raw.c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    fatal_restore_terminal = terminal_restore;
    catch_fatal_signals();
    atexit(terminal_restore);
    atomic_store(&active, true);
    tcsetattr(terminal_fd, TCSANOW, &raw);
}
