# SPDX-License-Identifier: MIT
"""Stops one vCPU thread of a running emulator at a time, as a host that is short of processors does,
but for longer and at any instruction.

SIGSTOP would stop the whole process, so the thread is traced for that moment, by a child of ours: should
anything go wrong there, the kernel lets the thread go on when the child ends. A signal that arrives while
it is traced (the host faults of shadow page tables) ends the stop's set-up as well, and is delivered when
the thread goes on.
"""

import ctypes
import os
import random
import re
import signal
import time
from pathlib import Path

PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
WALL = 0x40000000
VCPU_NAME = re.compile(r"vcpu\d|CPU \d")  # umbra's threads; those of the mainstream emulator
LONGEST = 0.03

_libc = ctypes.CDLL(None, use_errno=True)


def _ptrace(request, tid, data=0):
    return _libc.ptrace(ctypes.c_long(request), ctypes.c_long(tid), None, ctypes.c_void_p(data))


def vcpu_threads(pid):
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*"):
        try:
            if VCPU_NAME.match((task / "comm").read_text()):
                found.append(int(task.name))
        except OSError:
            continue  # the thread has ended
    return found


def _trace(tid):
    """In a process of its own: stop the thread for a moment. The exit status: 0 when that was done."""
    if _ptrace(PTRACE_SEIZE, tid) or _ptrace(PTRACE_INTERRUPT, tid):
        return 1
    _, status = os.waitpid(tid, WALL)
    if not os.WIFSTOPPED(status):
        return 1
    time.sleep(random.random() * LONGEST)
    pending = 0 if status >> 16 else os.WSTOPSIG(status)
    return 1 if _ptrace(PTRACE_DETACH, tid, 0 if pending == signal.SIGTRAP else pending) else 0


def stop_once(pid):
    """Stop a thread for a moment; false when there is none, or this host does not allow it."""
    threads = vcpu_threads(pid)
    if not threads:
        return False
    tid = random.choice(threads)
    child = os.fork()
    if not child:
        status = 1
        try:
            status = _trace(tid)
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
