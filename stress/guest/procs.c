/* SPDX-License-Identifier: MIT */
/*
 * A very small kernel: more processes than CPUs, each with its own page tables and ASID, preempted
 * by the timer anywhere in User mode and continued on any CPU; demand paging with an
 * access-then-dirty upgrade, eviction of pages of processes that run on other CPUs, exit and reuse
 * of ASID and tables. Each process computes on its memory with unaligned and multiple accesses that
 * cross pages; the result must be what the same computation gives in C.  With PAN the user domain
 * is closed while the kernel runs (short descriptors).  Parameters: seed, ms; when built PROCS,
 * LIVES, ROUNDS, LPAE, PAN.
 */
#include "lib/gic.h"
#include "lib/mmu.h"
#include "lib/snip.h"
#include "lib/vfp.h"

const char payload_name[] = "procs";

#ifndef PROCS
#define PROCS 20u
#endif
#ifndef LIVES
#define LIVES 120u /* processes that come and go */
#endif
#ifndef ROUNDS
#define ROUNDS 40000u
#endif
#ifndef SEED
#define SEED 1u
#endif
#ifndef LPAE
#define LPAE 0
#endif
#ifndef PAN
#define PAN 0
#endif
#ifndef HIGH
#define HIGH 0 /* with LPAE: frames through TTBR1 at 3 GiB, as kernels have it */
#endif
#define KERNEL_VA   0xc0000000u
#define K(p) \
    ((volatile uint32_t *)(HIGH ? (uint32_t)(p)-RAM_BASE + KERNEL_VA : (uint32_t)(p)))

#define CODE_VA     0x80000000u
#define DATA_VA     0x80010000u
#define DATA_PAGES  17u /* the last one only for accesses that cross into it */
#define DATA_SIZE   ((DATA_PAGES - 1) * PAGE_SIZE)
#define FRAMES      (PROCS * DATA_PAGES + 64u)
#define POISON      0xdead5eedu
#define USER_DOMAIN 1u

enum state { FREE, READY, RUNNING };
struct proc {
    struct spinlock vm; /* tables and slots; taken by the CPU that runs it and by evictors */
    volatile uint32_t state;
    struct regs regs;
    uint32_t seed, asid;
    uint32_t *l1, *l2;
    uint64_t *ll1, *ll2, *ll3;
    uint8_t *slot[DATA_PAGES]; /* the frame of a page, mapped or not; NULL: never touched */
    bool mapped[DATA_PAGES], code_mapped;
    uint64_t d[32]; /* while it does not run */
    uint32_t faults, switches;
};
static struct proc procs[PROCS];

static struct {
    struct spinlock lock __attribute__((aligned(64)));
    uint8_t *free[FRAMES];
    unsigned n;
    volatile uint32_t dirtied;
} pool;

static struct {
    struct spinlock lock __attribute__((aligned(64)));
    volatile uint32_t started, finished, wrong_result, wrong_memory, bad_trap, open_door;
    volatile uint32_t evictions, upgrades, preemptions;
} kern;
static uint8_t *expect_mem[MAX_CPUS];
static uint8_t *code_page;
static struct barrier gate;
static uint64_t deadline; /* 0: LIVES decides */
static uint32_t seed0;

/* --- the user program: r0 data, r1 mask, r2 seed, r3 rounds, r6 result --- */
#define PROGRAM                                                                                 \
    "1: eor r2, r2, r2, lsl #13\n eor r2, r2, r2, lsr #17\n eor r2, r2, r2, lsl #5\n"           \
    " and r4, r2, r1\n ldr r5, [r0, r4]\n add r6, r6, r5\n add r5, r5, r2\n str r5, [r0, r4]\n" \
    " bic r4, r4, #3\n add r4, r0, r4\n ldm r4, {r7, r8}\n eor r6, r6, r7\n add r7, r7, r8\n"   \
    " add r8, r8, r6\n stm r4, {r7, r8}\n"                                                      \
    " vmov d0, r5, r7\n vadd.i32 d1, d1, d0\n vadd.i32 d31, d31, d1\n vmov r9, r10, d31\n"      \
    " add r6, r6, r9, ror #3\n eor r6, r6, r10\n"                                               \
    " ldrd r8, r9, [r4]\n add r6, r6, r9, ror #7\n"                                             \
    " push {r2, r6}\n pop {r7, r10}\n cmp r10, r6\n bne 9f\n cmp r7, r2\n bne 9f\n"             \
    " subs r3, r3, #1\n bne 1b\n svc #2\n9: svc #3\n"
__asm__(".pushsection .text.snip,\"ax\",%progbits\n .balign 1024\n .popsection\n");
SNIP(program, PROGRAM);

static uint32_t model(uint8_t *mem, uint32_t seed)
{
    uint32_t s = seed, sum = 0, v, a, b, d1[2] = {0, 0}, d31[2] = {0, 0};
    memset(mem, 0, DATA_PAGES * PAGE_SIZE);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        uint32_t off = rnd(&s) & (DATA_SIZE - 1);
        memcpy(&v, mem + off, 4);
        sum += v;
        v += s;
        memcpy(mem + off, &v, 4);
        uint32_t *w = (uint32_t *)(mem + (off & ~3u));
        a = w[0], b = w[1];
        sum ^= a;
        a += b;
        b += sum;
        w[0] = a, w[1] = b;
        d1[0] += v, d1[1] += a;
        d31[0] += d1[0], d31[1] += d1[1];
        sum += d31[0] >> 3 | d31[0] << 29;
        sum ^= d31[1];
        sum += b >> 7 | b << 25;
    }
    return sum;
}

/* --- frames --- */
static uint8_t *frame_get(void)
{
    spin_lock(&pool.lock);
    uint8_t *f = pool.n ? pool.free[--pool.n] : NULL;
    spin_unlock(&pool.lock);
    if (!f)
        bail("out of frames");
    for (unsigned i = 0; i < PAGE_SIZE / 4; i++)
        if (K(f)[i] != POISON)
            pool.dirtied++; /* somebody still wrote to it after it was free */
    return f;
}

static void frame_put(uint8_t *f)
{
    for (unsigned i = 0; i < PAGE_SIZE / 4; i++)
        K(f)[i] = POISON;
    spin_lock(&pool.lock);
    pool.free[pool.n++] = f;
    spin_unlock(&pool.lock);
}

/* --- tables --- */
static void tables_make(struct proc *p)
{
    if (LPAE) {
        p->ll1 = mem_alloc(PAGE_SIZE, PAGE_SIZE);
        p->ll2 = mem_alloc(PAGE_SIZE, PAGE_SIZE);
        p->ll3 = mem_alloc(PAGE_SIZE, PAGE_SIZE);
        p->ll1[0] = LD_BLOCK | LD_DEVICE | LD_XN;
        p->ll1[1] = RAM_BASE | LD_BLOCK | LD_NORMAL;
        p->ll1[2] = (uint32_t)p->ll2 | LD_TABLE;
        p->ll2[0] = (uint32_t)p->ll3 | LD_TABLE;
    } else {
        p->l1 = mem_alloc(16384, 16384);
        p->l2 = mem_alloc(1024, 1024);
        for (unsigned i = 0; i < 4096; i++) /* the kernel for privileged code only */
            p->l1[i] = flat_l1[i] ? (flat_l1[i] & ~S_AP(7)) | S_AP(AP_RW_NA) : 0;
        p->l1[CODE_VA >> 20] = L1_TABLE(p->l2, USER_DOMAIN);
    }
    dsb();
}

/* T1SZ = 2: the walk for the last GiB starts at level 2. */
static uint64_t *high_l2;
static void high_make(void)
{
    high_l2 = mem_alloc(PAGE_SIZE, PAGE_SIZE);
    for (uint32_t i = 0; i < RAM_SIZE >> 21; i++)
        high_l2[i] = (RAM_BASE + (i << 21)) | LD_BLOCK | LD_NORMAL | LD_XN;
    dsb();
}

static void set_user_page(struct proc *p, uint32_t va, uint32_t pa, bool write, bool exec)
{
    uint32_t i = va >> 12 & 255;
    if (LPAE)
        pte_set64(&p->ll3[i], pa ? pa | LD_PAGE | LD_NORMAL | LD_AP1 | LD_NG |
                                       (write ? 0 : LD_AP2) | (exec ? 0 : LD_XN)
                                 : 0);
    else
        pte_set(&p->l2[i], pa ? L2_SMALL(pa) | P_NORMAL | P_NG | P_AP(write ? AP_RW_RW : AP_RO_RO) |
                                    (exec ? 0 : P_XN)
                              : 0);
}

static void flush_page(struct proc *p, uint32_t va, uint32_t how)
{
    switch (how & 7) {
    case 0:
        do_tlbiasidis(p->asid);
        break;
    case 1:
        do_tlbimvaais(va);
        break;
    case 2:
        do_tlbiallis(0);
        break;
    default:
        do_tlbimvais(va | p->asid);
    }
    do_bpiallis(0);
    dsb();
    isb();
}

static void switch_to(struct proc *p)
{
    if (LPAE) {
        write_ttbr0_64((uint32_t)p->ll1 | (uint64_t)p->asid << 48);
    } else {
        write_ttbr0((uint32_t)flat_l1 | TTBR_ATTR);
        isb();
        write_contextidr(p->asid);
        isb();
        write_ttbr0((uint32_t)p->l1 | TTBR_ATTR);
    }
    isb();
    do_bpiall(0);
    isb();
}

/* --- paging --- */
static bool page_in(struct proc *p, uint32_t va, bool write, uint32_t *seed)
{
    if (va - DATA_VA >= DATA_PAGES * PAGE_SIZE)
        return false;
    unsigned i = (va - DATA_VA) / PAGE_SIZE;
    spin_lock(&p->vm);
    bool fresh = !p->slot[i];
    if (fresh) {
        p->slot[i] = frame_get();
        memset((void *)K(p->slot[i]), 0, PAGE_SIZE);
    }
    bool was = p->mapped[i];
    p->mapped[i] = true;
    /* sometimes writable at once, sometimes after a second fault */
    bool rw = write || (rnd(seed) & 1);
    set_user_page(p, va, (uint32_t)p->slot[i], rw, false);
    if (was) { /* an upgrade: this CPU may hold the read-only entry */
        kern.upgrades++;
        do_tlbimva((va & ~0xfffu) | p->asid);
        dsb();
        isb();
    }
    spin_unlock(&p->vm);
    return true;
}

/* Take a page away from some process, wherever it runs, and move its contents to another frame. */
static void evict(uint32_t r)
{
    struct proc *p = &procs[r % PROCS];
    if (!atomic_cas(&p->vm.v, 0, 1))
        return;
    unsigned i = (r >> 8) % (DATA_PAGES + 1);
    if (i == DATA_PAGES) {
        if (p->code_mapped) {
            set_user_page(p, CODE_VA, 0, false, true);
            flush_page(p, CODE_VA, r >> 16);
            p->code_mapped = false;
        }
    } else if (p->mapped[i] && p->slot[i]) {
        uint32_t va = DATA_VA + i * PAGE_SIZE;
        set_user_page(p, va, 0, false, false);
        flush_page(p, va, r >> 16);
        p->mapped[i] = false;
        uint8_t *to = frame_get();
        volatile uint32_t *src = K(p->slot[i]);
        for (unsigned k = 0; k < PAGE_SIZE / 4; k++)
            K(to)[k] = src[k];
        frame_put(p->slot[i]);
        p->slot[i] = to;
        kern.evictions++;
    }
    spin_unlock(&p->vm);
}

/* --- life of a process --- */
static void spawn(struct proc *p)
{
    uint32_t n = kern.started++;
    regs_init(&p->regs, MODE_USR);
    p->seed = (n + 1) * 2654435761u ^ seed0;
    const char *code = n & 1 ? program_thumb : program_arm;
    p->regs.r[0] = DATA_VA;
    p->regs.r[1] = DATA_SIZE - 1;
    p->regs.r[2] = p->seed;
    p->regs.r[3] = ROUNDS;
    p->regs.r[6] = 0;
    p->regs.sp = DATA_VA + DATA_PAGES * PAGE_SIZE - 64;
    p->regs.pc = CODE_VA + ((uint32_t)code & 0xffe);
    p->regs.cpsr = MODE_USR | ((uint32_t)code & 1 ? PSR_T : 0);
    memset(p->d, 0, sizeof(p->d));
    p->state = READY;
}

static void finish(struct proc *p, unsigned cpu, bool self_check)
{
    uint8_t *want = expect_mem[cpu];
    uint32_t sum = model(want, p->seed);
    if (!self_check || p->regs.r[6] != sum)
        kern.wrong_result++;
    spin_lock(&p->vm);
    for (unsigned i = 0; i < DATA_PAGES; i++) {
        uint32_t va = DATA_VA + i * PAGE_SIZE;
        set_user_page(p, va, 0, false, false);
        p->mapped[i] = false;
    }
    set_user_page(p, CODE_VA, 0, false, true);
    p->code_mapped = false;
    flush_page(p, 0, 0);
    for (unsigned i = 0; i < DATA_PAGES; i++) {
        /* the last page is the stack: its end differs */
        unsigned n = i == DATA_PAGES - 1 ? 64 : PAGE_SIZE;
        if (p->slot[i]) {
            kern.wrong_memory += memcmp((void *)K(p->slot[i]), want + i * PAGE_SIZE, n) != 0;
            frame_put(p->slot[i]);
        }
        p->slot[i] = NULL;
    }
    spin_unlock(&p->vm);
    spin_lock(&kern.lock);
    kern.finished++;
    p->state = FREE;
    spin_unlock(&kern.lock);
}

static bool enough(void)
{
    return kern.evictions > 0 && kern.preemptions > 0;
}

/* So many, or for so long; on a busy host longer, until the test did something. */
static bool more_lives(void)
{
    return deadline ? time_left(deadline, enough()) : kern.started < LIVES;
}

static struct proc *pick(uint32_t *seed)
{
    struct proc *got = NULL;
    spin_lock(&kern.lock);
    unsigned start = rnd(seed) % PROCS;
    for (unsigned k = 0; k < PROCS && !got; k++) {
        struct proc *p = &procs[(start + k) % PROCS];
        if (p->state == FREE && more_lives())
            spawn(p);
        if (p->state == READY) {
            p->state = RUNNING;
            got = p;
        }
    }
    spin_unlock(&kern.lock);
    return got;
}

/*
 * VFP registers, lazily: off at the start of a slice, loaded at the first use, which is UNDEF and
 * runs again, and saved at the end if they were used.
 */
static void vfp_open(struct proc *p)
{
    vfp_write_fpexc(FPEXC_EN);
    vfp_load(p->d);
}

static void vfp_close(struct proc *p)
{
    if (!(vfp_read_fpexc() & FPEXC_EN))
        return;
    vfp_store(p->d);
    vfp_write_fpexc(0);
}

static void ack_irq(void)
{
    gic_take();
    write_cntv_ctl(0);
}

/* While the kernel runs, the user domain is closed. */
static void check_door(uint32_t r)
{
    uint32_t va = DATA_VA + (r % DATA_PAGES) * PAGE_SIZE;
    if (PAN && catch_call((const void *)load32, va, 0, 0) != TRAP_DABT)
        kern.open_door++;
}

/* One time slice; true while the process goes on. */
static bool slice(struct proc *p, unsigned cpu, uint32_t *seed)
{
    struct cpu *me = this_cpu();
    write_cntv_tval(3000 + (rnd(seed) & 0x3fff)); /* 50 to 310 us */
    write_cntv_ctl(1);
    for (;;) {
        if (PAN)
            write_dacr(1 | 1u << 2 * USER_DOMAIN);
        isb();
        enum trap_kind k = catch_frame(&p->regs);
        if (PAN)
            write_dacr(1);
        isb();
        p->regs = me->trap.regs;
        uint32_t dfsr = me->trap.dfsr;
        switch (k) {
        case TRAP_IRQ:
            vfp_close(p);
            ack_irq();
            kern.preemptions++;
            if (!(rnd(seed) & 3))
                check_door(rnd(seed));
            return true;
        case TRAP_UNDEF:
            if (vfp_read_fpexc() & FPEXC_EN)
                goto bad;
            vfp_open(p);
            break;
        case TRAP_DABT:
            p->faults++;
            if (rnd(seed) & 1)
                evict(rnd(seed));
            if (page_in(p, me->trap.dfar, dfsr & FSR_WNR, seed))
                break;
            goto bad;
        case TRAP_PABT:
            if (me->trap.ifar - CODE_VA >= PAGE_SIZE)
                goto bad;
            spin_lock(&p->vm);
            set_user_page(p, CODE_VA, (uint32_t)code_page, false, true);
            p->code_mapped = true;
            spin_unlock(&p->vm);
            break;
        case TRAP_SVC: {
            vfp_close(p);
            uint32_t pc = p->regs.pc;
            uint32_t insn = p->regs.cpsr & PSR_T
                                ? *(uint16_t *)(code_page + (pc & 0xfff) - 2) & 0xff
                                : *(uint32_t *)(code_page + (pc & 0xfff) - 4) & 0xff;
            finish(p, cpu, insn == 2);
            return false;
        }
        default:
        bad:
            trap_dump(&p->regs);
            tap_diag("trap %u dfsr %x dfar %x ifsr %x ifar %x", k, (unsigned)dfsr,
                     (unsigned)me->trap.dfar, (unsigned)me->trap.ifsr, (unsigned)me->trap.ifar);
            kern.bad_trap++;
            vfp_close(p);
            finish(p, cpu, false);
            return false;
        }
    }
}

static void cpu_main(unsigned cpu, void *arg)
{
    (void)arg;
    uint32_t seed = seed0 * 747796405u + cpu * 2891336453u + 1;
    struct proc *last = NULL;
    if (LPAE)
        mmu_switch((uint32_t)procs[0].ll1, HIGH ? (uint32_t)high_l2 : 0,
                   TTBCR_LONG | (HIGH ? 2u << 16 : 0));
    write_dacr(PAN ? 1 : 1 | 1u << 2 * USER_DOMAIN);
    vfp_enable(true);
    vfp_write_fpexc(0);
    gic_init_cpu();
    gic_enable(IRQ_VTIMER);
    this_cpu()->irq = NULL; /* interrupts of User mode end the slice */
    barrier_wait(&gate);
    while (more_lives() || kern.finished < kern.started) {
        struct proc *p = pick(&seed);
        if (!p) {
            cpu_yield();
            continue;
        }
        if (p != last)
            switch_to(p);
        last = p;
        p->switches++;
        if (slice(p, cpu, &seed)) {
            for (unsigned k = rnd(&seed) & 3; k; k--)
                evict(rnd(&seed));
            dmb();
            p->state = READY;
        }
    }
    write_cntv_ctl(0);
    write_dacr(1);
    mmu_flat_restore();
    barrier_wait(&gate);
}

void payload_main(void)
{
    unsigned n = smp_start(MAX_CPUS);
    uint32_t ms = param("ms", 0);
    seed0 = param("seed", SEED);
    deadline = ms ? now() + (uint64_t)ms * ticks_per_ms() : 0;
    tap_diag(
        "seed %u: %u lives or %u ms, %u rounds each in %u processes, %s descriptors%s, %u CPUs",
        (unsigned)seed0, LIVES, (unsigned)ms, ROUNDS, PROCS, LPAE ? "long" : "short",
        PAN ? ", PAN" : "", n);
    gic_init_dist();
    for (unsigned i = 0; i < FRAMES; i++) {
        uint8_t *f = mem_alloc(PAGE_SIZE, PAGE_SIZE);
        for (unsigned k = 0; k < PAGE_SIZE / 4; k++)
            ((uint32_t *)f)[k] = POISON;
        pool.free[pool.n++] = f;
    }
    high_make();
    for (unsigned i = 0; i < n; i++)
        expect_mem[i] = mem_alloc(DATA_PAGES * PAGE_SIZE, PAGE_SIZE);
    for (unsigned i = 0; i < PROCS; i++) {
        procs[i].asid = i + 1;
        tables_make(&procs[i]);
    }
    /* the program keeps its offset within the page */
    code_page = mem_alloc(PAGE_SIZE, PAGE_SIZE);
    memcpy(code_page, (void *)((uint32_t)program_arm & ~0xfffu), PAGE_SIZE);
    code_sync(code_page, PAGE_SIZE);
    if (((uint32_t)program_arm ^ ((uint32_t)program_thumb + 256)) & ~0xfffu)
        bail("the user program is not in one page");
    barrier_init(&gate, n);
    smp_run_all(n, cpu_main, NULL);
    uint32_t faults = 0, switches = 0;
    for (unsigned i = 0; i < PROCS; i++) {
        faults += procs[i].faults;
        switches += procs[i].switches;
    }
    tap_diag("%u faults, %u upgrades, %u evictions, %u preemptions, %u slices", (unsigned)faults,
             (unsigned)kern.upgrades, (unsigned)kern.evictions, (unsigned)kern.preemptions,
             (unsigned)switches);
    tap_ok(kern.finished == kern.started && (deadline || kern.started == LIVES),
           "every process came to its end");
    tap_eq(kern.wrong_result, 0, "every result is right");
    tap_eq(kern.wrong_memory, 0, "every page holds what it should");
    tap_eq(kern.bad_trap, 0, "no unexpected trap");
    tap_eq(pool.dirtied, 0, "no store into a freed frame");
    tap_ok(enough(), "pages were evicted and processes preempted");
    if (PAN)
        tap_eq(kern.open_door, 0, "user pages are closed to the kernel");
}
