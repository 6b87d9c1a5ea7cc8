/* SPDX-License-Identifier: MIT */
/*
 * SIGSEGV: a fault of generated code in a window of its own vCPU is a guest access that is not
 * mapped yet. The handler stores what happened in the vCPU and redirects RIP to the fault stub; all
 * work is done there, on the normal stack (tcg/fault_resume.c). Any other fault goes to the handler
 * that was there before, so that a bug of ours dumps core. Nothing here locks, logs, allocates or
 * unwinds (I-5).
 *
 * SIGBUS inside guest RAM: the host has no memory for a page the guest touched. There is no way on;
 * one sentence, then the process ends. That and a fault that will kill us put the terminal back.
 *
 * Core dumps leave anonymous shared mappings out (guest RAM and its windows, which would be written
 * once for each view): by the process's coredump filter, because a flag on each mapping would keep
 * the kernel from merging mappings. The emulator starts no child that keeps its memory, so nothing
 * is marked DONTFORK.
 */
#include "fault.h"

#include "mmu_internal.h"

#include "base/log.h"
#include "tcg/tcg.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

static struct sigaction old_segv, old_bus;
static const struct ram *fault_ram; /* set before the handlers, for SIGBUS */
static bool installed;

static void restore_terminal_sig(void)
{
    if (fatal_restore_terminal)
        fatal_restore_terminal();
}

/* Let the earlier handler have it; without one, the default action when the access is tried again.
 */
static void chain_sig(const struct sigaction *old, int sig, siginfo_t *info, void *uc)
{
    if (old->sa_flags & SA_SIGINFO) {
        old->sa_sigaction(sig, info, uc);
    } else if (old->sa_handler == SIG_DFL || old->sa_handler == SIG_IGN) {
        restore_terminal_sig();
        signal(sig, SIG_DFL);
        if (info->si_code <= 0) /* sent by kill(): it does not come again by itself */
            raise(sig);
    } else {
        old->sa_handler(sig);
    }
}

static void segv_sig(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    greg_t *regs = uc->uc_mcontext.gregs;
    struct vcpu *v = vcpu_current();
    uintptr_t pc = (uintptr_t)regs[REG_RIP];
    hva_t addr = (hva_t)info->si_addr;

    if (v && info->si_code > 0 && tcg_contains_sig(v, pc) && mmu_window_contains_sig(v, addr)) {
        v->fault_pc = pc;
        v->fault_addr = addr;
        v->fault_error = (uint32_t)regs[REG_ERR];
        regs[REG_RIP] = (greg_t)tcg_fault_stub_sig(v);
        return;
    }
    chain_sig(&old_segv, sig, info, context);
}

static bool in_ram_sig(hva_t addr)
{
    struct vcpu *v = vcpu_current();

    if (fault_ram && addr - (hva_t)fault_ram->flat < fault_ram->size)
        return true;
    return v && mmu_window_contains_sig(v, addr);
}

static bool in_rom_sig(hva_t addr)
{
    return fault_ram && fault_ram->rom && addr - (hva_t)fault_ram->rom < fault_ram->rom_size;
}

static _Noreturn void end_sig(const char *text, size_t len)
{
    ssize_t n;

    restore_terminal_sig();
    n = write(STDERR_FILENO, text, len);
    (void)n;
    _exit(EXIT_FAILURE);
}

static void bus_sig(int sig, siginfo_t *info, void *context)
{
    static const char text[] = "umbra: the host has no memory left for a page of guest RAM\n";
    static const char cut[] = "umbra: a flash image became shorter, or cannot be read any more\n";

    if (info->si_code > 0 && in_ram_sig((hva_t)info->si_addr))
        end_sig(text, sizeof(text) - 1);
    if (info->si_code > 0 && in_rom_sig((hva_t)info->si_addr))
        end_sig(cut, sizeof(cut) - 1);
    chain_sig(&old_bus, sig, info, context);
}

/* Bit 1 of the filter: anonymous shared memory, which a memfd counts as. Failure only makes cores
 * larger. */
static void keep_ram_out_of_cores(void)
{
    int fd = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    if (write(fd, "0x31", 4) < 0)
        errno = 0;
    close(fd);
}

int fault_install(struct vm *vm)
{
    struct sigaction segv = {.sa_sigaction = segv_sig, .sa_flags = SA_SIGINFO};
    struct sigaction bus = {.sa_sigaction = bus_sig, .sa_flags = SA_SIGINFO};

    fault_ram = &vm->ram;
    if (installed)
        return 0;
    sigemptyset(&segv.sa_mask);
    sigemptyset(&bus.sa_mask);
    if (sigaction(SIGSEGV, &segv, &old_segv))
        return -errno;
    if (sigaction(SIGBUS, &bus, &old_bus)) {
        int err = -errno;

        sigaction(SIGSEGV, &old_segv, NULL);
        return err;
    }
    installed = true;
    keep_ram_out_of_cores();
    return 0;
}

void fault_uninstall(void)
{
    if (!installed)
        return;
    sigaction(SIGSEGV, &old_segv, NULL);
    sigaction(SIGBUS, &old_bus, NULL);
    installed = false;
    fault_ram = NULL;
}
