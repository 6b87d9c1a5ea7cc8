/* SPDX-License-Identifier: MIT */
/*
 * PSCI by HVC: versions, features, error codes, CPU_ON (entry in ARM and Thumb state, context,
 * repeated), CPU_OFF and on again, AFFINITY_INFO, CPU_SUSPEND, SMC as conduit, and last SYSTEM_OFF
 * by the runtime.  Arm DEN 0022 (PSCI 1.1), DEN 0028 (SMC calling convention).  Uses all CPUs.
 */
#include "lib/gic.h"
#include "lib/snip.h"

const char payload_name[] = "psci";

enum {
    SUCCESS = 0,
    NOT_SUPPORTED = -1,
    INVALID_PARAMETERS = -2,
    ALREADY_ON = -4,
    ON_PENDING = -5,
    INVALID_ADDRESS = -9,
    INFO_ON = 0,
    INFO_OFF = 1,
    INFO_PENDING = 2,
};

/* A CPU that CPU_ON started here writes what it saw into its slot, then does what `then` says. */
struct slot {
    volatile uint32_t state; /* 1: running, 2: told to go off */
    volatile uint32_t context, cpsr, sctlr, mpidr, starts;
    volatile uint32_t stop;
};
static struct slot slots[MAX_CPUS] __attribute__((aligned(64)));
extern char entry_arm[], entry_thumb[];

/* MMU and caches off, no stack: registers only. r0 context = address of the slot. */
__asm__(
    ".pushsection .text.entry,\"ax\",%progbits\n .syntax unified\n"
    " .macro ENTRYBODY\n"
    " str r0, [r0, #4]\n mrs r1, cpsr\n str r1, [r0, #8]\n"
    " mrc p15,0,r1,c1,c0,0\n str r1, [r0, #12]\n mrc p15,0,r1,c0,c0,5\n str r1, [r0, #16]\n"
    " ldr r1, [r0, #20]\n add r1, r1, #1\n str r1, [r0, #20]\n dmb\n mov r1, #1\n str r1, [r0]\n"
    "1: yield\n ldr r1, [r0, #24]\n cmp r1, #0\n beq 1b\n"
    " mov r1, #2\n str r1, [r0]\n dsb\n"
    " movw r0, #2\n movt r0, #0x8400\n hvc #0\n"
    "2: b 2b\n .endm\n"
    " .arch_extension virt\n"
    " .arm\n .balign 4\n .global entry_arm\n .type entry_arm,%function\nentry_arm: ENTRYBODY\n"
    " .thumb\n .balign 4\n .global entry_thumb\n .thumb_func\nentry_thumb: ENTRYBODY\n"
    " .popsection\n");

static bool wait_word(volatile uint32_t *p, uint32_t v)
{
    uint64_t end = now() + 5000ull * ticks_per_ms();
    while (*p != v)
        if (now() > end)
            return false;
        else
            cpu_yield();
    return true;
}

static bool wait_info(unsigned cpu, int32_t v)
{
    uint64_t end = now() + 5000ull * ticks_per_ms();
    while (psci(PSCI_AFFINITY_INFO, cpu, 0, 0) != v)
        if (now() > end)
            return false;
        else
            cpu_yield();
    return true;
}

static void test_version(void)
{
    uint32_t v = (uint32_t)psci(PSCI_VERSION, 0, 0, 0);
    tap_ok(v == 0x10001 || v == 0x10000 || v == 2, "PSCI_VERSION is 1.1, 1.0 or 0.2");
    tap_diag("version %u.%u", (unsigned)v >> 16, (unsigned)v & 0xffff);
    tap_eq((uint32_t)psci(PSCI_MIGRATE_INFO_TYPE, 0, 0, 0), 2,
           "MIGRATE_INFO_TYPE: no trusted OS to migrate");
    tap_eq((uint32_t)psci(0x84000000 + 31, 0, 0, 0), (uint32_t)NOT_SUPPORTED,
           "unknown PSCI function");
    tap_eq((uint32_t)psci(0x8600ff01, 0, 0, 0), (uint32_t)NOT_SUPPORTED,
           "unknown function of another service");
    tap_eq((uint32_t)psci(0xc4000003, 0, 0, 0), (uint32_t)NOT_SUPPORTED,
           "64-bit CPU_ON from a 32-bit guest");
    if (v < 0x10000)
        return;
    static const uint32_t have[] = {PSCI_VERSION,      PSCI_CPU_SUSPEND,   PSCI_CPU_OFF,
                                    PSCI_CPU_ON,       PSCI_AFFINITY_INFO, PSCI_SYSTEM_OFF,
                                    PSCI_SYSTEM_RESET, PSCI_FEATURES};
    struct matrix m = {.name = "PSCI_FEATURES"};
    for (unsigned i = 0; i < ARRAY_SIZE(have); i++)
        case_eq(&m, (uint32_t)psci(PSCI_FEATURES, have[i], 0, 0) == (uint32_t)NOT_SUPPORTED, 0,
                "%x", (unsigned)have[i]);
    case_eq(&m, (uint32_t)psci(PSCI_FEATURES, 0x8400003f, 0, 0), (uint32_t)NOT_SUPPORTED,
            "unknown function");
    case_eq(&m, (uint32_t)psci(PSCI_FEATURES, 0x12345678, 0, 0), (uint32_t)NOT_SUPPORTED,
            "no function id");
    matrix_end(&m);
}

/* A call changes r0 only (DEN 0028 2.6: r4-r14 are preserved; DEN 0022 wants r1-r3 left alone too).
 */
SNIP(hvc_call, ".arch_extension virt\n hvc #0\n");
SNIP(smc_call, ".arch_extension sec\n smc #0\n");

static void test_registers(void)
{
    struct matrix m = {.name = "a call preserves the registers"};
    struct regs in;
    for (unsigned k = 0; k < 4; k++) {
        static const char *const code[] = {hvc_call_arm, hvc_call_thumb, smc_call_arm,
                                           smc_call_thumb};
        regs_init(&in, MODE_SYS);
        in.r[0] = PSCI_VERSION;
        in.cpsr |= 0xa0000000;
        enum trap_kind kind = snip_run(&in, code[k]);
        if (k >= 2 && kind == TRAP_UNDEF)
            continue; /* SMC need not be a conduit here */
        case_eq(&m, kind, TRAP_SVC, "kind %u", k);
        case_eq(&m, regs_diff(&in, &this_cpu()->trap.regs) & ~0xfu, 0, "registers %u", k);
        case_eq(&m, this_cpu()->trap.regs.cpsr & ~PSR_T, in.cpsr, "CPSR %u", k);
    }
    matrix_end(&m);
}

static void test_smc(void)
{
    struct regs in;
    regs_init(&in, MODE_SYS);
    in.r[0] = PSCI_VERSION;
    bool ok = snip_run(&in, smc_call_arm) == TRAP_SVC &&
              this_cpu()->trap.regs.r[0] == (uint32_t)psci(PSCI_VERSION, 0, 0, 0);
    tap_ok(ok, "SMC answers PSCI function ids");
    regs_init(&in, MODE_SYS);
    in.r[0] = 0x12345678;
    tap_eq(snip_run(&in, smc_call_thumb), TRAP_UNDEF, "SMC is UNDEF otherwise");
}

static void test_affinity(unsigned n)
{
    struct matrix m = {.name = "AFFINITY_INFO"};
    case_eq(&m, (uint32_t)psci(PSCI_AFFINITY_INFO, 0, 0, 0), INFO_ON, "CPU 0");
    for (unsigned i = 1; i < n; i++)
        case_eq(&m, (uint32_t)psci(PSCI_AFFINITY_INFO, i, 0, 0), INFO_OFF, "CPU %u", i);
    case_eq(&m, (uint32_t)psci(PSCI_AFFINITY_INFO, n, 0, 0), (uint32_t)INVALID_PARAMETERS,
            "no such CPU");
    case_eq(&m, (uint32_t)psci(PSCI_AFFINITY_INFO, 0x00ff0000, 0, 0), (uint32_t)INVALID_PARAMETERS,
            "no such cluster");
    matrix_end(&m);
    tap_eq((uint32_t)psci(PSCI_AFFINITY_INFO, 0, 4, 0), (uint32_t)INVALID_PARAMETERS,
           "AFFINITY_INFO of level 4");
}

static void start_and_check(struct matrix *m, unsigned i, bool thumb)
{
    struct slot *s = &slots[i];
    uint32_t starts = s->starts;
    s->state = s->stop = 0;
    dsb();
    uint32_t entry = (uint32_t)(thumb ? entry_thumb : entry_arm);
    case_eq(m, (uint32_t)psci(PSCI_CPU_ON, i, entry, (uint32_t)s), SUCCESS, "CPU_ON %u", i);
    if (!case_eq(m, wait_word(&s->state, 1), true, "CPU %u runs", i))
        return;
    case_eq(m, s->context, (uint32_t)s, "CPU %u context", i);
    case_eq(m, s->cpsr & (MODE_MASK | PSR_A | PSR_I | PSR_F | PSR_E),
            MODE_SVC | PSR_A | PSR_I | PSR_F, "CPU %u CPSR", i);
    case_eq(m, s->sctlr & (SCTLR_M | SCTLR_C | SCTLR_I | SCTLR_EE | SCTLR_TE), 0, "CPU %u SCTLR",
            i);
    case_eq(m, s->mpidr & 0xffffff, i, "CPU %u MPIDR", i);
    case_eq(m, s->starts, starts + 1, "CPU %u started once", i);
    case_eq(m, (uint32_t)psci(PSCI_AFFINITY_INFO, i, 0, 0), INFO_ON, "CPU %u is on", i);
    int32_t again = psci(PSCI_CPU_ON, i, entry, (uint32_t)s);
    case_eq(m, again == ALREADY_ON, 1, "CPU_ON again is ALREADY_ON, got %d", (int)again);
    s->stop = 1;
    dsb();
    case_eq(m, wait_info(i, INFO_OFF), true, "CPU %u is off", i);
}

static void test_on_off(unsigned n)
{
    struct matrix m = {.name = "CPU_ON, CPU_OFF and on again"};
    for (unsigned round = 0; round < 6; round++)
        for (unsigned i = 1; i < n; i++)
            start_and_check(&m, i, round & 1);
    matrix_end(&m);
    tap_eq((uint32_t)psci(PSCI_CPU_ON, n, (uint32_t)entry_arm, 0), (uint32_t)INVALID_PARAMETERS,
           "CPU_ON of a CPU that does not exist");
    tap_eq((uint32_t)psci(PSCI_CPU_ON, 0, (uint32_t)entry_arm, 0), (uint32_t)ALREADY_ON,
           "CPU_ON of this CPU");
    tap_eq((uint32_t)psci(PSCI_CPU_ON, 0x80000001, (uint32_t)entry_arm, 0),
           (uint32_t)INVALID_PARAMETERS, "CPU_ON with bits outside of the affinity fields");
}

/* All others race to turn the same CPU on: exactly one call succeeds. */
static struct barrier gate;
static volatile int32_t race_rc[MAX_CPUS];
static void racer(unsigned cpu, void *arg)
{
    unsigned victim = (unsigned)(uint32_t)arg;
    barrier_wait(&gate);
    race_rc[cpu] = psci(PSCI_CPU_ON, victim, (uint32_t)entry_arm, (uint32_t)&slots[victim]);
}

static void test_race(unsigned n)
{
    struct matrix m = {.name = "racing CPU_ON: one success"};
    unsigned victim = n - 1, racers = smp_start(n - 1);
    barrier_init(&gate, racers);
    for (unsigned round = 0; round < 20; round++) {
        struct slot *s = &slots[victim];
        uint32_t starts = s->starts;
        s->state = s->stop = 0;
        smp_run_all(racers, racer, (void *)(uint32_t)victim);
        unsigned good = 0, known = 0;
        for (unsigned i = 0; i < racers; i++) {
            good += race_rc[i] == SUCCESS;
            known += race_rc[i] == SUCCESS || race_rc[i] == ALREADY_ON || race_rc[i] == ON_PENDING;
        }
        case_eq(&m, good, 1, "successes");
        case_eq(&m, known, racers, "known codes");
        case_eq(&m, wait_word(&s->state, 1), true, "runs");
        case_eq(&m, s->starts, starts + 1, "one start");
        s->stop = 1;
        dsb();
        case_eq(&m, wait_info(victim, INFO_OFF), true, "off");
    }
    matrix_end(&m);
}

static void on_timer(struct cpu *cpu, struct regs *regs)
{
    (void)regs;
    uint32_t iar = gicc_read(GICC_IAR);
    write_cntv_ctl(0);
    gicc_write(GICC_EOIR, iar);
    cpu->result++;
}

/* CPU_SUSPEND to a standby state returns when an interrupt is pending. */
static void test_suspend(void)
{
    gic_init_dist();
    gic_init_cpu();
    gic_enable(IRQ_VTIMER);
    this_cpu()->irq = on_timer;
    uint64_t t0 = now();
    write_cntv_tval(4 * ticks_per_ms());
    write_cntv_ctl(1);
    isb();
    int32_t rc;
    do {
        rc = psci(PSCI_CPU_SUSPEND, 0, 0, 0);
    } while (rc == SUCCESS && !(read_cntv_ctl() & 4));
    tap_eq((uint32_t)rc, SUCCESS, "CPU_SUSPEND (standby) returns success");
    tap_ok(now() - t0 >= 4ull * ticks_per_ms(), "after the timer has fired");
    this_cpu()->result = 0;
    irq_enable();
    isb();
    irq_disable();
    tap_eq(this_cpu()->result, 1, "the interrupt is still there");
}

void payload_main(void)
{
    unsigned n = smp_cpus();
    test_version();
    test_registers();
    test_smc();
    test_affinity(n);
    test_suspend();
    if (n > 1)
        test_on_off(n);
    else
        tap_skip("CPU_ON, CPU_OFF and on again", "one CPU");
    if (n > 2)
        test_race(n);
    else
        tap_skip("racing CPU_ON: one success", "less than three CPUs");
}
