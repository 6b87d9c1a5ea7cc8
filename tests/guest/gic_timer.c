/* SPDX-License-Identifier: MIT */
/*
 * GICv2 and the generic timers: SGIs with their source, PPIs, SPIs, pending and active state,
 * priorities with masking and preemption, EOI modes, targets, virtual and physical timer
 * interrupts, WFI wake-up with interrupts masked.  GICv2 architecture ch. 3 and 4; Arm ARM B8. Uses
 * all CPUs.
 */
#include "lib/gic.h"
#include "lib/snip.h"

const char payload_name[] = "gic_timer";

#define SPI_A 40u
#define SPI_B 41u
#define LOG   32

/* What the handler saw; written by the CPU that owns the entry. */
static struct {
    volatile unsigned n;
    volatile uint32_t iar[LOG], rpr[LOG];
    volatile uint64_t when[LOG];
} seen[MAX_CPUS];
static volatile bool keep_level;              /* handler: leave the timer's condition alone */
static void (*volatile inside)(uint32_t iar); /* called between IAR and EOI */

static void handler(struct cpu *cpu, struct regs *regs)
{
    (void)regs;
    unsigned i = cpu->index;
    uint32_t iar = gicc_read(GICC_IAR);
    if (seen[i].n < LOG) {
        seen[i].iar[seen[i].n] = iar;
        seen[i].rpr[seen[i].n] = gicc_read(GICC_RPR);
        seen[i].when[seen[i].n] = read_cntvct();
    }
    seen[i].n++;
    if ((iar & 1023) == IRQ_SPURIOUS)
        return;
    if ((iar & 1023) == IRQ_VTIMER && !keep_level)
        write_cntv_ctl(0);
    if ((iar & 1023) == IRQ_PTIMER && !keep_level)
        write_cntp_ctl(0);
    if (inside)
        inside(iar);
    gicc_write(GICC_EOIR, iar);
}

static void reset_log(void)
{
    for (unsigned i = 0; i < MAX_CPUS; i++)
        seen[i].n = 0;
    dmb();
}

/* Let pending interrupts be taken here. */
static void window(void)
{
    irq_enable();
    for (unsigned i = 0; i < 20; i++)
        isb();
    delay_ms(1);
    irq_disable();
}

static void test_registers(unsigned have)
{
    uint32_t typer = gicd_read(GICD_TYPER);
    tap_eq(typer >> 5 & 7, have - 1, "TYPER: number of CPUs");
    tap_ok((typer & 31) >= 2, "TYPER: lines for the board's devices");
    tap_eq(gicd_read(GICD_ITARGETSR), have > 1 ? 0x01010101 : 0, "targets of SGIs name this CPU");
    tap_eq(gicd_read(GICD_ICFGR) & 0xaaaaaaaa, 0xaaaaaaaa, "SGIs are edge-triggered");
    tap_eq(gicc_read(GICC_IAR) & 1023, IRQ_SPURIOUS, "IAR with nothing pending is spurious");
    tap_eq(gicc_read(GICC_HPPIR) & 1023, IRQ_SPURIOUS, "HPPIR with nothing pending is spurious");
    tap_eq(gicc_read(GICC_RPR), 0xff, "RPR idle");
    gicd_write(GICD_ISENABLER + 4, 1u << 8);
    tap_eq(gicd_read(GICD_ISENABLER + 4) >> 8 & 1, 1, "ISENABLER sets");
    tap_eq(gicd_read(GICD_ICENABLER + 4) >> 8 & 1, 1, "ICENABLER reads the same");
    gicd_write(GICD_ICENABLER + 4, 1u << 8);
    tap_eq(gicd_read(GICD_ISENABLER + 4) >> 8 & 1, 0, "ICENABLER clears");
    gicd_write(GICD_ISENABLER + 4, 0);
    gic_priority(SPI_A, 0x57);
    uint32_t prio = gicd_read(GICD_IPRIORITYR + SPI_A) & 0xff;
    tap_ok((prio & 0xf0) == 0x50, "priority holds at least four bits");
    gic_priority(SPI_A, 0xa0);
    gic_target(SPI_A, 0xff);
    tap_eq(gicd_read(GICD_ITARGETSR + SPI_A) & 0xff,
           have > 1 ? (1u << have) - 1 : gicd_read(GICD_ITARGETSR + SPI_A) & 0xff,
           "targets: only CPUs that exist");
    gic_target(SPI_A, 1);
    gicc_write(GICC_PMR, 0xff);
    tap_ok((gicc_read(GICC_PMR) & 0xf0) == 0xf0, "PMR holds at least four bits");
    gicc_write(GICC_PMR, 0xf0);
}

static void test_sgi_self(void)
{
    reset_log();
    gic_sgi(3, 1);
    tap_ok(gicd_read(GICD_SPENDSGIR) == 1u << 24, "SPENDSGIR shows the pending SGI and its source");
    tap_eq(gicc_read(GICC_HPPIR) & 1023, 3, "HPPIR names it");
    window();
    tap_eq(seen[0].n, 1, "SGI to self taken once");
    tap_eq(seen[0].iar[0], 3, "IAR has number and source");
    tap_eq(seen[0].rpr[0] & 0xf0, 0xa0, "RPR is its priority");
    gicd_write(GICD_SGIR, 2u << 24 | 4); /* filter: requester only */
    window();
    tap_eq(seen[0].n, 2, "SGI by the self filter");
    tap_eq(seen[0].iar[1], 4, "its number");
    gic_sgi(5, 1);
    gicd_write(GICD_CPENDSGIR + 4, 1u << 8);
    window();
    tap_eq(seen[0].n, 2, "SGI cleared by CPENDSGIR is not taken");
    *(volatile uint8_t *)(GICD + GICD_SPENDSGIR + 2) = 1; /* SGI 2 from CPU 0 */
    dsb();
    window();
    tap_eq(seen[0].n, 3, "SGI set by SPENDSGIR is taken");
    tap_eq(seen[0].iar[2], 2, "its number");
    gicd_write(GICD_CTLR, 0);
    gic_sgi(3, 1);
    window();
    tap_eq(seen[0].n, 3, "nothing while the distributor is off");
    gicd_write(GICD_CTLR, 1);
    window();
    tap_eq(seen[0].n, 4, "taken after it is on again");
    gicc_write(GICC_CTLR, 0);
    gic_sgi(3, 1);
    window();
    tap_eq(seen[0].n, 4, "nothing while the interface is off");
    gicc_write(GICC_CTLR, 1);
    window();
    tap_eq(seen[0].n, 5, "taken after the interface is on");
}

static void test_spi(void)
{
    reset_log();
    gic_set_pending(SPI_A);
    tap_ok(gic_is_pending(SPI_A), "ISPENDR makes an SPI pending");
    window();
    tap_eq(seen[0].n, 0, "a disabled SPI is not taken");
    gic_enable(SPI_A);
    window();
    tap_eq(seen[0].n, 1, "taken when enabled");
    tap_eq(seen[0].iar[0], SPI_A, "IAR");
    tap_ok(!gic_is_pending(SPI_A) && !gic_is_active(SPI_A),
           "neither pending nor active afterwards");
    gic_set_pending(SPI_A);
    gic_clear_pending(SPI_A);
    window();
    tap_eq(seen[0].n, 1, "cleared by ICPENDR");
    /* by hand: pending, active, active and pending */
    gic_set_pending(SPI_A);
    uint32_t iar = gicc_read(GICC_IAR);
    tap_eq(iar, SPI_A, "IAR read with interrupts masked acknowledges");
    tap_ok(gic_is_active(SPI_A) && !gic_is_pending(SPI_A), "active, not pending");
    gic_set_pending(SPI_A);
    tap_ok(gic_is_active(SPI_A) && gic_is_pending(SPI_A), "active and pending");
    tap_eq(gicc_read(GICC_IAR) & 1023, IRQ_SPURIOUS, "not signalled again while active");
    gicc_write(GICC_EOIR, iar);
    tap_ok(!gic_is_active(SPI_A) && gic_is_pending(SPI_A), "pending after EOI");
    window();
    tap_eq(seen[0].n, 2, "and taken");
    gic_disable(SPI_A);
}

/* Two pending: the higher priority first; equal: the lower number. */
static void test_priorities(void)
{
    reset_log();
    gic_enable(SPI_A);
    gic_enable(SPI_B);
    gic_priority(SPI_A, 0x80);
    gic_priority(SPI_B, 0x40);
    gic_set_pending(SPI_A);
    gic_set_pending(SPI_B);
    tap_eq(gicc_read(GICC_HPPIR), SPI_B, "HPPIR is the higher priority");
    window();
    tap_ok(seen[0].n == 2 && seen[0].iar[0] == SPI_B && seen[0].iar[1] == SPI_A,
           "higher priority first");
    reset_log();
    gic_priority(SPI_B, 0x80);
    gic_set_pending(SPI_B);
    gic_set_pending(SPI_A);
    window();
    tap_ok(seen[0].n == 2 && seen[0].iar[0] == SPI_A && seen[0].iar[1] == SPI_B,
           "equal priority: lower number first");
    reset_log();
    gicc_write(GICC_PMR, 0x80);
    gic_set_pending(SPI_A);
    window();
    tap_eq(seen[0].n, 0, "priority equal to PMR is masked");
    tap_eq(gicc_read(GICC_IAR) & 1023, IRQ_SPURIOUS, "and IAR is spurious");
    gic_priority(SPI_A, 0x70);
    window();
    tap_eq(seen[0].n, 1, "taken when its priority is raised");
    gic_set_pending(SPI_A);
    gicc_write(GICC_PMR, 0x60);
    window();
    tap_eq(seen[0].n, 1, "masked by a lower PMR");
    gicc_write(GICC_PMR, 0xf0);
    window();
    tap_eq(seen[0].n, 2, "taken after PMR is raised");
    gic_priority(SPI_A, 0xa0);
    gic_priority(SPI_B, 0xa0);
}

/*
 * Open the window for a nested IRQ: in System mode, as kernels do, because the nested one
 * overwrites LR_irq and SPSR_irq.
 */
void nested_window(void);
__asm__(".pushsection .text.nested,\"ax\",%progbits\n .syntax unified\n .arm\n .balign 4\n"
        ".global nested_window\n .type nested_window,%function\nnested_window:\n"
        " push {r4-r6, lr}\n mrs r4, spsr\n cps #0x1f\n push {r0-r3, r12, lr}\n cpsie i\n"
        " mov r5, #0x20000\n1: subs r5, r5, #1\n isb\n bne 1b\n"
        " cpsid i\n pop {r0-r3, r12, lr}\n cps #0x12\n msr spsr_cxsf, r4\n pop {r4-r6, "
        "pc}\n.popsection\n");

static volatile unsigned inner_count;
static void pend_b_and_open(uint32_t iar)
{
    if ((iar & 1023) != SPI_A)
        return;
    gic_set_pending(SPI_B);
    nested_window();
    inner_count = seen[0].n;
}

static void test_preemption(void)
{
    static const struct {
        uint8_t a, b, bpr;
        bool nested;
    } cases[] = {
        {0xa0, 0x80, 0, true}, {0x80, 0xa0, 0, false}, {0x80, 0x80, 0, false},
        {0xa0, 0x00, 3, true}, {0x90, 0x80, 3, true},  {0x90, 0x80, 5, false},
        {0xc0, 0x80, 5, true}, {0xc0, 0x80, 6, false}, {0x70, 0x60, 7, false},
        {0x80, 0x70, 6, true},
    };
    struct matrix m = {.name = "preemption by group priority (BPR)"};
    inside = pend_b_and_open;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        reset_log();
        gic_priority(SPI_A, cases[i].a);
        gic_priority(SPI_B, cases[i].b);
        gicc_write(GICC_BPR, cases[i].bpr);
        gic_set_pending(SPI_A);
        window();
        case_eq(&m, seen[0].n, 2, "%u both taken", i);
        case_eq(&m, inner_count, cases[i].nested ? 2 : 1, "%u nested", i);
        case_eq(&m, gicc_read(GICC_RPR), 0xff, "%u RPR afterwards", i);
    }
    inside = NULL;
    gicc_write(GICC_BPR, 0);
    gic_priority(SPI_A, 0xa0);
    gic_priority(SPI_B, 0xa0);
    matrix_end(&m);
}

/* EOImode = 1: EOIR drops the priority, DIR deactivates. */
static void test_eoimode(void)
{
    gicc_write(GICC_CTLR, 1 | 1u << 9);
    tap_eq(gicc_read(GICC_CTLR) >> 9 & 1, 1, "EOImode can be set");
    gic_set_pending(SPI_A);
    uint32_t iar = gicc_read(GICC_IAR);
    tap_eq(iar, SPI_A, "acknowledged");
    tap_eq(gicc_read(GICC_RPR) & 0xf0, 0xa0, "running priority");
    gicc_write(GICC_EOIR, iar);
    tap_eq(gicc_read(GICC_RPR), 0xff, "EOIR drops the priority");
    tap_ok(gic_is_active(SPI_A), "still active");
    gic_set_pending(SPI_A);
    tap_eq(gicc_read(GICC_IAR) & 1023, IRQ_SPURIOUS, "not signalled while active");
    gicc_write(GICC_DIR, iar);
    tap_ok(!gic_is_active(SPI_A), "DIR deactivates");
    iar = gicc_read(GICC_IAR);
    tap_eq(iar, SPI_A, "signalled again");
    gicc_write(GICC_EOIR, iar);
    gicc_write(GICC_DIR, iar);
    gicc_write(GICC_CTLR, 1);
}

static void idle_with_irqs(unsigned cpu, void *arg)
{
    volatile uint32_t *stop = arg;
    gic_init_cpu();
    this_cpu()->irq = handler;
    cpus[cpu].online = 2;
    while (!*stop) { /* masked before WFI, see test_timer() */
        wfi();
        irq_enable();
        isb();
        irq_disable();
    }
}

static bool wait_count(unsigned cpu, unsigned n)
{
    uint64_t end = now() + 5000ull * ticks_per_ms();
    while (seen[cpu].n < n)
        if (now() > end)
            return false;
        else
            cpu_yield();
    dmb();
    return true;
}

static void test_other_cpus(unsigned n)
{
    static volatile uint32_t stop;
    for (unsigned i = 1; i < n; i++) {
        smp_call(i, idle_with_irqs, (void *)&stop);
        while (cpus[i].online != 2)
            cpu_yield();
    }
    reset_log();
    struct matrix m = {.name = "SGIs to other CPUs in WFI"};
    for (unsigned i = 1; i < n; i++) {
        for (unsigned k = 0; k < 10; k++) {
            gic_sgi(k, 1u << i);
            case_eq(&m, wait_count(i, k + 1), true, "CPU %u SGI %u", i, k);
            case_eq(&m, seen[i].iar[k], k, "CPU %u IAR", i);
        }
    }
    matrix_end(&m);

    reset_log();
    gicd_write(GICD_SGIR, 1u << 24 | 9); /* all but self */
    bool all = true;
    for (unsigned i = 1; i < n; i++)
        all &= wait_count(i, 1) && seen[i].iar[0] == 9;
    window();
    tap_ok(all && seen[0].n == 0, "SGI to all but self");

    m = (struct matrix){.name = "SPIs go to their target"};
    reset_log();
    gic_enable(SPI_A);
    for (unsigned i = 1; i < n; i++) {
        gic_target(SPI_A, 1u << i);
        gic_set_pending(SPI_A);
        case_eq(&m, wait_count(i, 1), true, "CPU %u", i);
        case_eq(&m, seen[i].iar[0], SPI_A, "CPU %u IAR", i);
    }
    window();
    case_eq(&m, seen[0].n, 0, "CPU 0 took none");
    matrix_end(&m);
    /* 1-of-N: all CPUs are targets, exactly one takes it */
    reset_log();
    gic_target(SPI_A, (1u << n) - 1);
    for (unsigned k = 0; k < 20; k++) {
        gic_set_pending(SPI_A);
        delay_ms(2);
    }
    window();
    unsigned total = 0, real = 0;
    for (unsigned i = 0; i < n; i++)
        for (unsigned k = 0; k < seen[i].n && k < LOG; k++) {
            total++;
            real += seen[i].iar[k] == SPI_A;
        }
    tap_ok(real >= 1 && real <= 20, "an SPI to all CPUs is handled by one of them");
    tap_diag("%u handled, %u spurious", real, total - real);
    gic_target(SPI_A, 1);
    stop = 1;
    dmb();
    gicd_write(GICD_SGIR, 1u << 24 | 1);
    for (unsigned i = 1; i < n; i++)
        smp_wait(i);
}

struct timer {
    const char *name;
    unsigned irq;
    void (*tval)(uint32_t), (*ctl)(uint32_t), (*cval)(uint64_t);
    uint32_t (*read_tval)(void), (*read_ctl)(void);
    uint64_t (*count)(void);
};

static void test_timer(const struct timer *t)
{
    struct matrix m = {.name = t->name};
    gic_enable(t->irq);
    reset_log();
    for (unsigned k = 0; k < 8; k++) {
        uint32_t ticks = (1 + k % 4) * ticks_per_ms();
        uint64_t start = t->count();
        t->tval(ticks);
        t->ctl(1);
        uint64_t end = now() + 3000ull * ticks_per_ms();
        /* Masked before WFI, or the interrupt could come between the look and the sleep. */
        while (seen[0].n <= k && now() < end) {
            if (k & 1)
                wfi();
            irq_enable();
            isb();
            irq_disable();
        }
        case_eq(&m, seen[0].n, k + 1, "round %u count", k);
        case_eq(&m, seen[0].iar[k], t->irq, "round %u IAR", k);
        case_eq(&m, t->count() - start >= ticks, 1, "round %u not early", k);
    }
    /* masked by IMASK: the status shows, no interrupt */
    t->ctl(2);
    t->tval(0);
    t->ctl(3);
    isb();
    case_eq(&m, t->read_ctl() & 7, 7, "ISTATUS with IMASK");
    window();
    case_eq(&m, seen[0].n, 8, "IMASK keeps the interrupt back");
    case_eq(&m, gic_is_pending(t->irq), false, "IMASK: not pending");
    t->ctl(0);
    /* level: without handling, it stays pending; CVAL in the future takes it away */
    t->cval(t->count() - 1000);
    t->ctl(1);
    isb();
    case_eq(&m, gic_is_pending(t->irq), true, "level pending");
    gic_clear_pending(t->irq);
    case_eq(&m, gic_is_pending(t->irq), true, "ICPENDR does not clear a level that is still there");
    t->cval(t->count() + (1ull << 40));
    isb();
    case_eq(&m, gic_is_pending(t->irq), false, "condition gone: not pending");
    case_eq(&m, t->read_ctl() & 4, 0, "ISTATUS clear");
    t->ctl(0);
    /* TVAL counts down and below zero */
    t->tval(1000000);
    isb();
    /* Signed: this CPU may have to wait for longer than the timer runs. */
    int32_t a = (int32_t)t->read_tval(), b;
    delay_ms(1);
    b = (int32_t)t->read_tval();
    case_eq(&m, a <= 1000000 && b < a, 1, "TVAL counts down");
    t->tval((uint32_t)-5);
    isb();
    case_eq(&m, (int32_t)t->read_tval() < 0, 1, "TVAL below zero");
    gic_disable(t->irq);
    matrix_end(&m);
}

/* WFI ends on a pending interrupt even with CPSR.I set; the interrupt is not taken. */
static void test_wfi_masked(void)
{
    reset_log();
    gic_enable(IRQ_VTIMER);
    uint64_t t0 = now();
    write_cntv_tval(5 * ticks_per_ms());
    write_cntv_ctl(1);
    isb();
    while (!(read_cntv_ctl() & 4))
        wfi();
    uint64_t dt = now() - t0;
    tap_ok(dt >= 5ull * ticks_per_ms(), "WFI with interrupts masked wakes up");
    tap_eq(seen[0].n, 0, "without taking the interrupt");
    tap_eq(read_isr() >> 7 & 1, 1, "ISR shows the pending IRQ");
    write_cntv_ctl(0);
    isb();
    tap_eq(read_isr() >> 7 & 1, 0, "ISR clear again");
    gic_disable(IRQ_VTIMER);
}

/* A loop without any memory access or call must still be interrupted. */
static bool leave_loop(struct cpu *cpu, struct regs *r)
{
    if (r->kind != TRAP_IRQ)
        return false;
    handler(cpu, r);
    r->pc = *(uint32_t *)cpu->hook_arg;
    return true;
}
SNIP(forever, "1: b 1b\n");

static void test_branch_to_self(void)
{
    struct regs in;
    static uint32_t out;
    reset_log();
    gic_enable(IRQ_VTIMER);
    for (unsigned thumb = 0; thumb < 2; thumb++) {
        const char *code = thumb ? forever_thumb : forever_arm;
        out = ((uint32_t)code & ~1u) + (thumb ? 2 : 4); /* the SVC behind the loop */
        this_cpu()->hook_arg = &out;
        this_cpu()->hook = leave_loop;
        write_cntv_tval(2 * ticks_per_ms());
        write_cntv_ctl(1);
        regs_init(&in, MODE_USR);
        in.cpsr &= ~PSR_I;
        enum trap_kind kind = snip_run(&in, code);
        this_cpu()->hook = NULL;
        tap_ok(kind == TRAP_SVC && seen[0].n == thumb + 1, "a branch to itself is interrupted (%s)",
               thumb ? "thumb" : "arm");
    }
    gic_disable(IRQ_VTIMER);
}

void payload_main(void)
{
    static const struct timer virt = {"virtual timer", IRQ_VTIMER,      write_cntv_tval,
                                      write_cntv_ctl,  write_cntv_cval, read_cntv_tval,
                                      read_cntv_ctl,   read_cntvct};
    static const struct timer phys = {"physical timer", IRQ_PTIMER,      write_cntp_tval,
                                      write_cntp_ctl,   write_cntp_cval, read_cntp_tval,
                                      read_cntp_ctl,    read_cntpct};
    gic_init_dist();
    gic_init_cpu();
    this_cpu()->irq = handler;
    unsigned n = smp_start(MAX_CPUS);
    test_registers(n);
    test_sgi_self();
    test_spi();
    test_priorities();
    test_preemption();
    test_eoimode();
    test_timer(&virt);
    test_timer(&phys);
    test_wfi_masked();
    test_branch_to_self();
    if (n > 1)
        test_other_cpus(n);
    else
        tap_skip("SGIs to other CPUs in WFI", "one CPU");
}
