/* SPDX-License-Identifier: MIT */
/*
 * How other threads reach a vCPU, and how a vCPU sleeps: poll word, interrupt lines, quiescence,
 * power. Events are in vcpu_event.c.
 *
 * No wake-up is lost: the sleeper stores halted, then reads its reasons to stay awake; a waker
 * makes the reason true, then reads halted. All four are sequentially consistent, so at least one
 * of the two sees the other (Dekker), and the futex re-checks halted in the kernel.
 *
 * Quiescence (I-2) is the same pattern: the owner stores in_guest = 1, then reads the poll word; a
 * requester sets the poll word, then reads in_guest. Either the requester sees 0 — then the owner
 * will see the request before it does anything with the guest — or it waits for the
 * acknowledgement.
 */
#include "vcpu/vcpu.h"

#include "base/inject.h"
#include "base/stats.h"
#include "mmu/mmu.h"
#include "vcpu/arm.h"
#include "vcpu/vcpu_internal.h"
#include "vm.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

static void futex_wait(_Atomic uint32_t *word, uint32_t value, const struct timespec *timeout)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, timeout, NULL, 0);
}

static void wake(struct vcpu *v)
{
    if (atomic_exchange(&v->halted, 0))
        syscall(SYS_futex, &v->halted, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

void vcpu_kick(struct vcpu *v, uint32_t poll_bits)
{
    atomic_fetch_or(&v->poll, poll_bits);
    /* A sleeper is quiescent and serves MMU and code requests before it goes on: no need to wake it
     * for those. */
    if (poll_bits & ~(POLL_MMU | POLL_CODE))
        wake(v);
}

void vcpu_set_irq(struct vcpu *v, uint32_t line, bool level)
{
    if (!level) {
        atomic_fetch_and(&v->irq_lines, ~line);
        return;
    }
    if (atomic_fetch_or(&v->irq_lines, line) & line)
        return;
    INJECT_MEET(RAISED);
    if (!INJECT(LOSE_WAKEUP))
        vcpu_kick(v, POLL_IRQ);
}

/* Only out of WFE: SEV is no reason to leave WFI, and kernels execute one for each lock they free.
 */
void vcpu_wake_from_event(struct vcpu *v)
{
    uint32_t how = HALTED_WFE;

    if (atomic_load(&v->halted) == HALTED_WFE &&
        atomic_compare_exchange_strong(&v->halted, &how, AWAKE))
        syscall(SYS_futex, &v->halted, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

void vcpu_quiescent_begin(struct vcpu *v)
{
    atomic_store(&v->in_guest, 0);
}

void vcpu_quiescent_end(struct vcpu *v)
{
    atomic_store(&v->in_guest, 1);
    INJECT_MEET(ENTERED);
    if (atomic_load(&v->poll) & (POLL_MMU | POLL_CODE)) {
        atomic_fetch_and(&v->poll, ~(POLL_MMU | POLL_CODE));
        if (!INJECT(SKIP_SERVE))
            mmu_serve_requests(v);
    }
}

bool vcpu_must_leave(const struct vcpu *v)
{
    return atomic_load(&v->irq_lines) || (atomic_load(&v->poll) & (POLL_STOP | POLL_POWER)) ||
           atomic_load(&v->vm->stop) != VM_RUNNING || vm_must_park(v);
}

void vcpu_sleep_unless(struct vcpu *v, enum vcpu_halted how, bool (*awake)(const struct vcpu *),
                       const struct timespec *timeout)
{
    INJECT_MEET(DOZING);
    atomic_store(&v->halted, how);
    INJECT_MEET(HALTED);
    if (INJECT(SLEEP_BLINDLY) || !awake(v))
        futex_wait(&v->halted, how, timeout);
    atomic_store(&v->halted, 0);
}

void vcpu_wait_for_interrupt(struct vcpu *v)
{
    if (vcpu_must_leave(v))
        return;
    STAT_INC(&stats_vcpu[v->index], wfi_sleeps);
    vcpu_quiescent_begin(v);
    while (!vcpu_must_leave(v))
        vcpu_sleep_unless(v, HALTED_WFI, vcpu_must_leave, NULL);
    vcpu_quiescent_end(v);
}

/* ---- power ---- */
static bool has_power(const struct vcpu *v)
{
    return atomic_load(&v->powered) >= VCPU_ON_PENDING || atomic_load(&v->vm->stop) != VM_RUNNING ||
           vm_must_park(v);
}

void vcpu_wait_for_power(struct vcpu *v)
{
    vcpu_quiescent_begin(v);
    while (!has_power(v))
        vcpu_sleep_unless(v, HALTED_WFI, has_power, NULL);
    vcpu_quiescent_end(v);
}

bool vcpu_power_on(struct vcpu *v, uint32_t pc, uint32_t arg)
{
    uint32_t off = VCPU_OFF;

    /* Two callers may race: the state word decides before the start address is written, and the
       vCPU reads the address only after it has seen VCPU_ON_PENDING published below. */
    if (!atomic_compare_exchange_strong(&v->powered, &off, VCPU_POWER_CLAIMED))
        return false;
    atomic_store(&v->power_pc, pc);
    atomic_store(&v->power_arg, arg);
    atomic_store(&v->powered, VCPU_ON_PENDING);
    if (!INJECT(LOSE_POWER_ON))
        vcpu_kick(v, POLL_POWER);
    return true;
}

void vcpu_power_off_self(struct vcpu *v)
{
    atomic_store(&v->powered, VCPU_OFF);
    atomic_fetch_or(&v->poll, POLL_POWER);
}
