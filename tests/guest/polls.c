/* SPDX-License-Identifier: MIT */
/*
 * Every kind of endless loop can be interrupted by a timer, in User and privileged modes, and the
 * state at the interrupt is that between two instructions: branches to itself, chains of blocks,
 * indirect branches, returns, loads of the PC, table branches, loops over pages, loops that fault
 * or call the supervisor, exclusive loops that never succeed, WFE.  A missed poll shows as a
 * time-out.
 */
#include "lib/gic.h"
#include "lib/mmu.h"
#include "lib/snip.h"

const char payload_name[] = "polls";

#define BOTH(X)                                                                               \
    X(self, "1: b 1b\n")                                                                      \
    X(self_cond, "cmp r0, r0\n1: beq 1b\n")                                                   \
    X(two, "1: b 2f\n nop\n2: b 1b\n")                                                        \
    X(alternate,                                                                              \
      "1: eors r0, r0, #1\n beq 2f\n add r1, r1, #1\n b 1b\n2: add r2, r2, #1\n b 1b\n")      \
    X(countdown, "1: subs r1, r1, #1\n bne 1b\n b 1b\n")                                      \
    X(call, "1: bl 2f\n b 1b\n2: bx lr\n")                                                    \
    X(recursive, "1: mov r4, sp\n bl 2f\n mov sp, r4\n b 1b\n"                                \
                 "2: push {lr}\n bl 3f\n pop {pc}\n3: push {lr}\n pop {pc}\n")                \
    X(ldm_pc, "1: adr r0, 2f\n add r0, r0, r8\n push {r0}\n pop {pc}\n .balign 4\n2: b 1b\n") \
    X(memory, "1: ldr r0, [sp, #-8]\n add r0, r0, #1\n str r0, [sp, #-8]\n b 1b\n")           \
    X(barriers, "1: dmb\n dsb\n isb\n b 1b\n")                                                \
    X(exclusive, "1: ldrex r0, [sp]\n clrex\n strex r1, r0, [sp]\n cmp r1, #0\n bne 1b\n")    \
    X(yielding, "1: yield\n b 1b\n")                                                          \
    X(events, "1: wfe\n b 1b\n")                                                              \
    X(sleeping, "1: wfi\n b 1b\n")                                                            \
    X(flags, "1: cmp r1, #5\n ite lt\n addlt r1, r1, #1\n movge r1, #0\n b 1b\n")
#define ARM_ONLY(X)                                                                    \
    X(bx_self, "adr r0, 1f\n1: bx r0\n")                                               \
    X(mov_pc, "1: mov r0, pc\n sub r0, r0, #8\n mov pc, r0\n")                         \
    X(add_pc, "1: mov r0, #8\n sub pc, pc, r0\n b 1b\n")                               \
    X(ldr_pc, "1: adr r0, 1b\n str r0, [sp, #-8]\n ldr pc, [sp, #-8]\n")               \
    X(interwork, "1: adr r0, 2f + 1\n bx r0\n .thumb\n2: bx pc\n nop\n .arm\n b 1b\n") \
    X(blx_imm, "1: blx 2f\n b 1b\n .thumb\n .balign 4\n2: bx lr\n nop\n .arm\n")
#define DEF2(n, text) SNIP(n, text);
#define DEFA(n, text) SNIP_A(n, text);
BOTH(DEF2)
ARM_ONLY(DEFA)
SNIP_T(bx_self_t, "adr r0, 1f\n adds r0, r0, #1\n nop\n .balign 4\n1: bx r0\n");
SNIP_T(tbb, "mov r0, #0\n1: tbb [pc, r0]\n2: .byte (3f-2b)/2, 0\n3: b 1b\n");
SNIP_T(cbz, "movs r0, #0\n1: cbz r0, 2f\n nop\n2: b 1b\n");
SNIP_T(it, "movs r0, #0\n1: cmp r0, #3\n ite lt\n addlt r0, #1\n movge r0, #0\n b 1b\n");

static const struct {
    const char *name, *code;
} loops[] = {
#define ROWA(n, text) {#n " arm", n##_arm},
#define ROWT(n, text) {#n " thumb", n##_thumb},
    BOTH(ROWA) BOTH(ROWT) ARM_ONLY(ROWA) ROWT(bx_self_t, ) ROWT(tbb, ) ROWT(cbz, ) ROWT(it, )};

SNIP(leave, "nop\n");

static struct regs at_irq;
static unsigned taken;

/* Note the state, acknowledge, leave the loop. */
static bool leave_loop(struct cpu *cpu, struct regs *r)
{
    (void)cpu;
    if (r->kind != TRAP_IRQ)
        return false;
    uint32_t iar = gicc_read(GICC_IAR);
    if ((iar & 1023) == IRQ_SPURIOUS)
        return true;
    write_cntv_ctl(0);
    gicc_write(GICC_EOIR, iar);
    at_irq = *r;
    taken++;
    r->pc = (uint32_t)leave_arm;
    r->cpsr &= ~(PSR_T | 0x0600fc00u);
    r->cpsr |= PSR_I;
    return true;
}

static enum trap_kind run_until_irq_with(bool (*hook)(struct cpu *, struct regs *),
                                         const char *code, uint32_t mode, uint32_t us)
{
    struct regs in;
    this_cpu()->hook = hook;
    regs_init(&in, mode);
    in.cpsr &= ~PSR_I;
    in.r[8] = (uint32_t)code & 1;
    write_cntv_tval(us * 125 / 2);
    write_cntv_ctl(1);
    enum trap_kind k = snip_run(&in, code);
    this_cpu()->hook = NULL;
    write_cntv_ctl(0);
    return k;
}

static enum trap_kind run_until_irq(const char *code, uint32_t mode, uint32_t us)
{
    return run_until_irq_with(leave_loop, code, mode, us);
}

static void test_loops(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(loops); i++) {
        taken = 0;
        bool good = true;
        for (unsigned k = 0; k < 6; k++)
            good &= run_until_irq(loops[i].code, k & 1 ? MODE_USR : MODE_SYS, 200 + 150 * k) ==
                    TRAP_SVC;
        uint32_t start = (uint32_t)loops[i].code & ~1u;
        bool changes_state = loops[i].code == interwork_arm || loops[i].code == blx_imm_arm;
        bool thumb = at_irq.cpsr & PSR_T;
        good &= taken == 6 && at_irq.pc - start < 64 &&
                (changes_state || thumb == ((uint32_t)loops[i].code & 1));
        tap_ok(good, "%s", loops[i].name);
    }
}

#define LONGEST_US 2000000u

/* The interrupt lies between two instructions: r1, r2, r3 tell how far the round is. */
SNIP_A(steps, "1: add r1, r1, #1\n add r2, r2, #1\n add r3, r3, #1\n b 1b\n");
SNIP_T(steps, "1: adds r1, r1, #1\n adds r2, r2, #1\n adds r3, r3, #1\n b 1b\n");

static void test_between(void)
{
    struct matrix m = {.name = "registers and PC at an interrupt belong together"};
    for (unsigned i = 0; i < 60; i++) {
        const char *code = i & 1 ? steps_thumb : steps_arm;
        struct regs r0;
        regs_init(&r0, 0);
        /* On a busy host the time may be over before the loop begins: give it more. */
        for (uint32_t us = 100 + i; us < LONGEST_US; us *= 2) {
            taken = 0;
            case_eq(&m, run_until_irq(code, i & 2 ? MODE_USR : MODE_SYS, us), TRAP_SVC, "kind");
            if (at_irq.r[1] != r0.r[1])
                break;
        }
        uint32_t at = (at_irq.pc - ((uint32_t)code & ~1u)) / (i & 1 ? 2 : 4);
        uint32_t n1 = at_irq.r[1] - r0.r[1], n2 = at_irq.r[2] - r0.r[2], n3 = at_irq.r[3] - r0.r[3];
        case_eq(&m, at < 4, 1, "PC in the loop: %x", (unsigned)at);
        case_eq(&m, n1 - n2, at == 1, "first and second at %u", (unsigned)at);
        case_eq(&m, n2 - n3, at == 2, "second and third at %u", (unsigned)at);
        case_eq(&m, n1 != 0, 1, "made progress");
    }
    matrix_end(&m);
}

/* A loop of two blocks in two pages. */
#define VA 0x80000000u
static void test_pages(void)
{
    uint32_t *l2 = mem_alloc(1024, 1024);
    uint32_t *p = mem_alloc(2 * PAGE_SIZE, PAGE_SIZE);
    flat_l1[VA >> 20] = L1_TABLE(l2, 0);
    l2[0] = L2_SMALL(p) | P_NORMAL | P_AP(AP_RW_RW);
    l2[9] = L2_SMALL((uint32_t)p + PAGE_SIZE) | P_NORMAL | P_AP(AP_RW_RW);
    p[0] = 0xe2811001;                                   /* add r1, r1, #1 */
    p[1] = 0xea000000u | ((9 * PAGE_SIZE - 4 - 8) >> 2); /* b page 9 */
    p[1024] = 0xe2811001;
    p[1025] = 0xea000000u | (((uint32_t)(-9 * (int)PAGE_SIZE - 4 - 8) >> 2) & 0xffffff);
    code_sync(p, 2 * PAGE_SIZE);
    tlb_flush_all();
    taken = 0;
    bool good = true;
    for (unsigned k = 0; k < 4; k++)
        good &= run_until_irq((char *)VA, k & 1 ? MODE_USR : MODE_SYS, 300) == TRAP_SVC;
    tap_ok(good && taken == 4, "loop over two pages");
    /* a page that jumps to its own start from its last word */
    p[0] = 0xea000000u | ((PAGE_SIZE - 4 - 8) >> 2);
    p[1023] = 0xea000000u | (((uint32_t)(-(int)PAGE_SIZE + 4 - 8) >> 2) & 0xffffff);
    code_sync(p, PAGE_SIZE);
    taken = 0;
    good = run_until_irq((char *)VA, MODE_USR, 300) == TRAP_SVC;
    tap_ok(good && taken == 1, "loop over a whole page");
    flat_l1[VA >> 20] = 0;
    tlb_flush_all();
}

/* Loops whose every round traps: the interrupt is taken at the return from the handler. */
SNIP(svc_loop, "1: svc #3\n b 1b\n");
SNIP(und_loop, "1: udf #3\n b 1b\n");
SNIP(abt_loop, "mov r1, #0xe0000000\n1: ldr r0, [r1]\n b 1b\n");

static bool trap_loop_hook(struct cpu *cpu, struct regs *r)
{
    uint32_t *count = cpu->hook_arg;
    if (leave_loop(cpu, r))
        return true;
    if (taken)
        return false;
    ++*count;
    if (r->kind == TRAP_UNDEF)
        r->pc += r->cpsr & PSR_T ? 2 : 4;
    if (r->kind == TRAP_DABT)
        r->pc += r->cpsr & PSR_T ? 2 : 4;
    return true;
}

static void test_trap_loops(void)
{
    static const char *const codes[] = {svc_loop_arm,   svc_loop_thumb, und_loop_arm,
                                        und_loop_thumb, abt_loop_arm,   abt_loop_thumb};
    struct matrix m = {.name = "loops that trap in every round"};
    for (unsigned i = 0; i < ARRAY_SIZE(codes); i++) {
        uint32_t count = 0;
        /* longer when the host was busy while the time ran off */
        for (uint32_t us = 1000; count == 0 && us < LONGEST_US; us *= 2) {
            taken = 0;
            this_cpu()->hook_arg = &count;
            case_eq(&m, run_until_irq_with(trap_loop_hook, codes[i], MODE_USR, us), TRAP_SVC, "%u",
                    i);
            case_eq(&m, taken, 1, "%u taken", i);
        }
        case_eq(&m, count > 0, 1, "%u rounds", i);
    }
    matrix_end(&m);
}

/* Another CPU's SGI reaches a CPU in each loop too. */
static volatile uint32_t phase;
static void remote(unsigned cpu, void *arg)
{
    (void)cpu;
    gic_init_cpu();
    this_cpu()->hook = leave_loop;
    for (unsigned i = 0; i < ARRAY_SIZE(loops); i++) {
        struct regs in;
        regs_init(&in, i & 1 ? MODE_USR : MODE_SYS);
        in.cpsr &= ~PSR_I;
        in.r[8] = (uint32_t)loops[i].code & 1;
        phase = i + 1;
        dmb();
        snip_run(&in, loops[i].code);
    }
    this_cpu()->hook = NULL;
    *(volatile uint32_t *)arg = 1;
}

static void test_remote(void)
{
    static volatile uint32_t finished;
    taken = 0;
    smp_call(1, remote, (void *)&finished);
    for (unsigned i = 0; i < ARRAY_SIZE(loops); i++) {
        while (phase != i + 1)
            cpu_yield();
        delay_ms(1);
        gic_sgi(1, 2);
    }
    smp_wait(1);
    tap_ok(finished && taken == ARRAY_SIZE(loops), "SGI from another CPU interrupts every loop");
}

void payload_main(void)
{
    gic_init_dist();
    gic_init_cpu();
    gic_enable(IRQ_VTIMER);
    test_loops();
    test_between();
    test_pages();
    test_trap_loops();
    if (smp_start(2) > 1)
        test_remote();
    else
        tap_skip("SGI from another CPU interrupts every loop", "one CPU");
}
