/* SPDX-License-Identifier: MIT */
/*
 * See machine_subject.h. The calling thread stands in for the vCPU thread, without a board: blocks
 * are run by tcg_run() until one leaves with an exception, which is looked at instead of taken.
 */
#include "machine_subject.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <xmmintrin.h>

#include "base/rcu.h"
#include "dev/bus.h"
#include "io/io.h"
#include "tcg/tcg.h"
#include "vcpu/arm.h"
#include "vcpu/vcpu_internal.h"
#include "vm.h"

#define RAM_BASE  0x40000000u
#define RAM_SIZE  0x01000000u
#define TABLE_1   RAM_BASE             /* first-level table, 16 KiB */
#define TABLE_2   (RAM_BASE + 0x4000u) /* second-level tables, 1 KiB each */
#define CODE_PA   (RAM_BASE + 0x100000u)
#define DATA_PA   (RAM_BASE + 0x200000u)
#define MAX_EXITS 256
#define CPACR_ALL 0x00f00000u

static struct vm_options options = {.smp = 1, .ram_size = RAM_SIZE};
static struct vm vm;
static struct vcpu *v;

static uint32_t *guest(gpa_t at)
{
    return ram_ptr(&vm.ram, at, 4);
}

/* A second-level table: small pages, normal cacheable memory, read and write at any privilege. */
static void map_area(unsigned table, uint32_t va, uint32_t pa, uint32_t size)
{
    uint32_t second = TABLE_2 + table * 0x400;

    *guest(TABLE_1 + (va >> 20) * 4) = second | 1;
    for (uint32_t off = 0; off < size; off += 0x1000) {
        *guest(second + (off >> 12) * 4) = (pa + off) | 0x3e;
    }
}

static void enable_mmu(void)
{
    struct arm_mmu_regs *m = arm_mmu_regs(v);

    map_area(0, INSN_CODE_BASE, CODE_PA, INSN_CODE_SIZE);
    map_area(1, INSN_DATA_BASE, DATA_PA, INSN_DATA_SIZE);
    m->ttbr0 = TABLE_1;
    m->ttbcr = 0;
    m->dacr = 1;
    m->sctlr |= SCTLR_M | SCTLR_C;
    mmu_context_changed(v);
}

static void enable_vfp(void)
{
    arm_helper_sysreg_write(v, ARM_SYSREG_KEY(15, 1, 0, 0, 2), CPACR_ALL);
    v->fpexc = 1u << 30;
    arm_exec_flags_refresh(v);
}

/* A test that loops (a branch to itself) gets stopped; the oracle gives up on it alike. */
static void on_tick(int sig)
{
    (void)sig;
    atomic_fetch_or(&v->poll, POLL_STOP);
}

static void start_ticks(void)
{
    struct sigaction sa = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
    struct itimerval tick = {{0, 100000}, {0, 100000}};

    cr_assert_eq(sigaction(SIGVTALRM, &sa, NULL), 0);
    cr_assert_eq(setitimer(ITIMER_VIRTUAL, &tick, NULL), 0);
}

void machine_subject_create(enum mmu_mode mode, const char *cpu, unsigned tier2_threshold)
{
    options.cpu = cpu;
    options.tier2_threshold = tier2_threshold;
    options.mmu.mode = mode;
    vm.opt = &options;
    vm.cpu_model = arm_cpu_model_find(options.cpu);
    cr_assert_eq(ram_create(&vm.ram, RAM_BASE, RAM_SIZE), 0);
    vm.bus = bus_create();
    cr_assert_not_null(vm.bus);
    cr_assert_eq(io_loop_create(&vm.io), 0);
    cr_assert_eq(mmu_create(&vm, &options.mmu), 0);
    cr_assert_eq(vcpu_create(&vm, 0, &vm.cpu[0]), 0);
    vm.ncpus = 1;
    v = vm.cpu[0];
    vcpu_set_current(v);
    rcu_thread_register();
    vcpu_quiescent_end(v);
    vcpu_reset(v, INSN_CODE_AT, 0);
    enable_mmu();
    enable_vfp();
    start_ticks();
    for (uint32_t i = 0; i < INSN_CODE_SIZE / 4; i++) {
        *guest(CODE_PA + i * 4) = INSN_TRAP;
    }
    for (uint32_t i = 0; i < INSN_DATA_SIZE / 4; i++) {
        *guest(DATA_PA + i * 4) = insn_data_word(i);
    }
}

static void load_state(const struct insn_test *t)
{
    uint32_t host = _mm_getcsr();
    gpa_t code = CODE_PA + (INSN_CODE_AT - INSN_CODE_BASE);

    for (unsigned i = 0; i < INSN_MAX_BYTES / 4 + 2; i++) {
        *guest(code + 4 * i) = INSN_TRAP;
    }
    memcpy(guest(code), t->code, t->code_len);
    tcg_invalidate_page(v, code & GUEST_PAGE_MASK);
    tcg_jump_cache_flush(v);
    if (t->flags & INSN_USES_MEMORY) {
        for (uint32_t i = INSN_WINDOW_FIRST; i < INSN_WINDOW_FIRST + INSN_WINDOW_WORDS; i++) {
            *guest(DATA_PA + i * 4) = insn_data_word(i);
        }
    }
    arm_cpsr_write(v, ARM_USR | t->in.cpsr, ~0u);
    memcpy(v->r, t->in.r, 15 * 4);
    v->r[15] = INSN_CODE_AT;
    v->exc = ARM_EXC_NONE;
    v->excl.armed = false;
    memcpy(v->vfp.d, t->in.d, sizeof(v->vfp.d));
    arm_helper_fpscr_write(v, t->in.fpscr);
    _mm_setcsr(host);
}

static void save_state(const struct insn_test *t, struct insn_result *out)
{
    uint32_t host = _mm_getcsr();

    memset(out, 0, sizeof(*out));
    memcpy(out->out.r, v->r, sizeof(v->r));
    out->out.cpsr = arm_cpsr_read(v);
    out->outcome = v->exc == ARM_EXC_UNDEF                            ? INSN_UNDEF
                   : v->exc == ARM_EXC_DABT || v->exc == ARM_EXC_PABT ? INSN_FAULT
                                                                      : INSN_OTHER;
    if (t->flags & INSN_USES_MEMORY) {
        out->memory = insn_data_hash(guest(DATA_PA) + INSN_WINDOW_FIRST, INSN_WINDOW_WORDS);
    }
    memcpy(out->out.d, v->vfp.d, sizeof(v->vfp.d));
    _mm_setcsr(v->mxcsr); /* where the guest's cumulative flags are */
    out->out.fpscr = arm_helper_fpscr_read(v);
    _mm_setcsr(host);
}

void machine_subject_run(const struct insn_test *t, struct insn_result *out)
{
    unsigned ticks = 0;

    load_state(t);
    for (unsigned i = 0; i < MAX_EXITS && v->exc == ARM_EXC_NONE && ticks < 2; i++) {
        uint32_t poll = atomic_exchange(&v->poll, 0);

        if (poll & (POLL_MMU | POLL_CODE)) {
            mmu_serve_requests(v);
        }
        ticks += (poll & POLL_STOP) != 0;
        tcg_run(v);
    }
    save_state(t, out);
}

void machine_subject_destroy(void)
{
    struct itimerval off = {{0, 0}, {0, 0}};

    setitimer(ITIMER_VIRTUAL, &off, NULL);
    vcpu_quiescent_begin(v);
    vcpu_set_current(NULL);
    vcpu_destroy(v);
    mmu_destroy(&vm);
    io_loop_destroy(vm.io);
    rcu_drain();
    bus_destroy(vm.bus);
    ram_destroy(&vm.ram);
    rcu_thread_unregister();
}
