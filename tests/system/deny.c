/* SPDX-License-Identifier: MIT */
/*
 * For limits.py: a library to preload that lets the kernel refuse one system call, as a sandbox
 * would. DENY=name or DENY=name:errno; installed when the dynamic loader is done, since what is
 * tested is the emulator.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
    const char *name;
    unsigned nr;
} call[] = {
#define X(name) {#name, SYS_##name},
    X(membarrier) X(memfd_create) X(madvise) X(mprotect) X(munmap) X(ftruncate) X(eventfd2)
        X(timerfd_create) X(epoll_create1) X(signalfd4) X(prctl) X(sched_setaffinity)
            X(sched_getaffinity) X(getrandom) X(clone3) X(clone) X(sysinfo) X(rseq) X(readlink)
                X(rt_sigaction) X(mmap) X(userfaultfd) X(set_robust_list) X(prlimit64) X(futex)
#undef X
};

static int install(unsigned nr, unsigned error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

__attribute__((constructor)) static void deny(void)
{
    const char *list = getenv("DENY"), *colon = list ? strchr(list, ':') : NULL;
    size_t len = colon ? (size_t)(colon - list) : list ? strlen(list) : 0;

    if (!list)
        return;
    for (size_t i = 0; i < sizeof(call) / sizeof(call[0]); i++)
        if (strlen(call[i].name) == len && !memcmp(call[i].name, list, len)) {
            if (install(call[i].nr, colon ? (unsigned)atoi(colon + 1) : EPERM)) {
                perror("deny: no filter");
                _exit(77);
            }
            return;
        }
    fprintf(stderr, "deny: no such call: %s\n", list);
    _exit(77);
}
