/* SPDX-License-Identifier: MIT */
/*
 * The life of a vCPU thread: power states, serving requests, taking exceptions and interrupts,
 * running translated code. Owns struct vcpu.
 *
 * Threads: everything runs on the owner but vcpu_create/destroy (the machine's thread, while no
 * vCPU thread runs). Cross-thread calls are in vcpu_kick.c.
 */
#include "vcpu/vcpu.h"

#include "base/log.h"
#include "base/rcu.h"
#include "mmu/mmu.h"
#include "semihosting/semihosting.h"
#include "tcg/tcg.h"
#include "vcpu/arm.h"
#include "vcpu/vcpu_internal.h"
#include "vm.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static _Thread_local struct vcpu *current;

struct vcpu *vcpu_current(void)
{
    return current;
}

void vcpu_set_current(struct vcpu *v)
{
    current = v;
}

static void dump_current(FILE *f)
{
    const struct vcpu *v = current;

    if (!v)
        return;
    fprintf(f, "cpu%u: cpsr %08x exec_flags %08x poll %x\n", v->index, arm_cpsr_read(v),
            v->exec_flags, atomic_load(&v->poll));
    for (unsigned i = 0; i < 16; i++)
        fprintf(f, "r%-2u %08x%c", i, v->r[i], i % 4 == 3 ? '\n' : ' ');
}

void vcpu_print_status(FILE *f, const struct vcpu *v)
{
    fprintf(f, "cpu%u: pc %08x mode %02x%s, poll %x, irq lines %x, %s\n", v->index, v->r[15],
            v->cpsr_rest & 0x1f, v->cpsr_rest & 0x80 ? " irqs masked" : "", atomic_load(&v->poll),
            atomic_load(&v->irq_lines),
            atomic_load(&v->powered) != VCPU_ON ? "off"
            : atomic_load(&v->halted)           ? "asleep"
            : atomic_load(&v->in_guest)         ? "running"
                                                : "waiting for another cpu");
}

static int create_parts(struct vcpu *v)
{
    int err = arm_sys_create(v, v->vm->cpu_model);

    if (err)
        return err;
    err = mmu_vcpu_create(v);
    if (err)
        goto no_mmu;
    err = tcg_create(v, v->vm->opt->tb_size);
    if (err)
        goto no_tcg;
    return 0;
no_tcg:
    mmu_vcpu_destroy(v);
no_mmu:
    arm_sys_destroy(v);
    return err;
}

int vcpu_create(struct vm *vm, unsigned index, struct vcpu **out)
{
    struct vcpu *v =
        mmap(NULL, sizeof(*v), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int err;

    if (v == MAP_FAILED)
        return -errno;
    vm_bug_dump = dump_current;
    vcpu_event_init();
    v->vm = vm;
    v->index = index;
    v->exc = ARM_EXC_NONE;
    memset(v->softtlb, 0xff, sizeof(v->softtlb));
    memset(v->jump_cache, 0xff, sizeof(v->jump_cache));
    memset(v->fetch_cache, 0xff, sizeof(v->fetch_cache));
    err = create_parts(v);
    if (err) {
        munmap(v, sizeof(*v));
        return err;
    }
    *out = v;
    return 0;
}

void vcpu_destroy(struct vcpu *v)
{
    if (!v)
        return;
    tcg_destroy(v);
    mmu_vcpu_destroy(v);
    arm_sys_destroy(v);
    munmap(v, sizeof(*v));
}

void vcpu_reset(struct vcpu *v, gva_t pc, uint32_t r0)
{
    memset(v->r, 0, sizeof(v->r));
    memset(v->bank_r13, 0, sizeof(v->bank_r13));
    memset(v->bank_r14, 0, sizeof(v->bank_r14));
    memset(v->bank_spsr, 0, sizeof(v->bank_spsr));
    memset(v->bank_r8_12, 0, sizeof(v->bank_r8_12));
    memset(&v->vfp, 0, sizeof(v->vfp));
    v->nf = v->cf = v->vf = v->qf = v->ge = 0;
    v->zf = 1;
    v->fpscr_rest = v->fpscr_nzcv = v->fpexc = 0;
    memset(v->fpscr_qc, 0, sizeof(v->fpscr_qc));
    v->mxcsr = 0x1f80;
    v->exc = ARM_EXC_NONE;
    v->excl.armed = false;
    v->exec_flags = (pc & 1) ? EXEC_T : 0;
    v->cpsr_rest = ARM_SVC | 0x1c0;
    arm_sys_reset(v);
    mmu_vcpu_reset(v);
    v->r[0] = r0;
    v->r[15] = (uint32_t)(pc & ~(gva_t)1);
    arm_exec_flags_refresh(v);
    mmu_mode_changed(v);
}

void vcpu_restore_state(struct vcpu *v, uintptr_t ra)
{
    uint16_t it;

    if (!tcg_find_site(v, ra, &v->r[15], &it))
        vm_bug("no guest state for host address %#lx", (unsigned long)ra);
    v->exec_flags = (v->exec_flags & ~EXEC_IT_MASK) | ((uint32_t)(it & 0xff) << EXEC_IT_SHIFT);
}

void vcpu_raise(struct vcpu *v, uintptr_t ra, enum arm_exception e, uint32_t fsr, gva_t far)
{
    vcpu_restore_state(v, ra);
    v->exc = e;
    v->exc_fsr = fsr;
    v->exc_far = (uint32_t)far;
    tcg_unwind(v, TCG_EXIT_EXCEPTION);
}

/* Requests of other threads that are not the MMU's are seen by the run loop in the state they
 * changed. */
static void serve_poll(struct vcpu *v)
{
    uint32_t bits = atomic_exchange(&v->poll, 0);

    if (bits & (POLL_MMU | POLL_CODE))
        mmu_serve_requests(v);
}

/* Until nobody wants a pause; then as the debugger left it. */
static void park(struct vcpu *v)
{
    vm_pause_park(v);
    debug_apply(v);
}

static void take_exception(struct vcpu *v)
{
    if (!v->vm->semihosting || !semihosting_call(v))
        arm_exception_take(v, v->exc);
}

static void step(struct vcpu *v)
{
    uint32_t pc = v->r[15];
    enum tcg_exit why = tcg_step(v);

    if (why == TCG_EXIT_POLL && v->r[15] == pc)
        return;
    if (why == TCG_EXIT_EXCEPTION)
        take_exception(v);
    debug_stop(v, why == TCG_EXIT_WATCH ? DEBUG_WATCH : DEBUG_STEPPED);
}

/* PC-relative code asks at this offset of every page: where there is no breakpoint it goes on. */
static enum tcg_exit run(struct vcpu *v)
{
    enum tcg_exit why = tcg_run(v);

    if (why == TCG_EXIT_BREAK && !debug_breaks(&v->vm->debug, v->r[15], false))
        return tcg_step(v);
    return why;
}

static void handle_exit(struct vcpu *v, enum tcg_exit why)
{
    switch (why) {
    case TCG_EXIT_EXCEPTION:
        take_exception(v);
        break;
    case TCG_EXIT_WFI:
        vcpu_wait_for_interrupt(v);
        break;
    case TCG_EXIT_WFE:
        vcpu_wait_for_event(v);
        break;
    case TCG_EXIT_BREAK:
        debug_stop(v, DEBUG_BREAK);
        break;
    case TCG_EXIT_WATCH:
        debug_stop(v, DEBUG_WATCH);
        break;
    case TCG_EXIT_YIELD:
        vcpu_yield(v);
        break;
    default:
        break;
    }
}

/* Run the guest until the power state or the machine's state says otherwise. */
static void run_powered(struct vcpu *v)
{
    while (atomic_load(&v->powered) == VCPU_ON && atomic_load(&v->vm->stop) == VM_RUNNING) {
        enum arm_exception e;

        if (atomic_load_explicit(&v->poll, memory_order_relaxed))
            serve_poll(v);
        /* After the poll word: POLL_PAUSE was set later than what it announces. */
        if (vm_must_park(v)) {
            park(v);
            continue;
        }
        if (v->debug.step) {
            step(v);
            continue;
        }
        e = arm_interrupt_pending(v);
        if (e != ARM_EXC_NONE)
            arm_exception_take(v, e);
        handle_exit(v, run(v));
    }
}

static void power_up(struct vcpu *v)
{
    vcpu_reset(v, atomic_load(&v->power_pc), atomic_load(&v->power_arg));
    if (v->index == 0 && v->vm->boot_pc == atomic_load(&v->power_pc)) {
        v->r[1] = v->vm->boot_r1;
        v->r[2] = v->vm->boot_r2;
    }
    atomic_store(&v->powered, VCPU_ON);
}

void *vcpu_thread_main(void *opaque)
{
    struct vcpu *v = opaque;
    sigset_t all;
    char name[16];

    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGABRT);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    snprintf(name, sizeof(name), "vcpu%u", v->index);
    pthread_setname_np(pthread_self(), name);
    vcpu_set_current(v);
    atomic_store(&v->host_tid, gettid());
    rcu_thread_register();
    vcpu_quiescent_end(v);
    debug_apply(v); /* what the thread before was told in a pause that the reset ended */
    while (atomic_load(&v->vm->stop) == VM_RUNNING) {
        switch (atomic_load(&v->powered)) {
        case VCPU_OFF:
        case VCPU_POWER_CLAIMED:
            if (vm_must_park(v))
                park(v);
            else
                vcpu_wait_for_power(v);
            break;
        case VCPU_ON_PENDING:
            power_up(v);
            break;
        default:
            run_powered(v);
        }
    }
    vcpu_quiescent_begin(v);
    vm_pause_thread_ended(v->vm);
    rcu_thread_unregister();
    atomic_store(&v->host_tid, 0);
    vcpu_set_current(NULL);
    return NULL;
}
