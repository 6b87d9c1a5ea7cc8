/* SPDX-License-Identifier: MIT */
/*
 * Code that a device writes. The owner of a page has the firmware configuration device copy its
 * signature over one word of a function by DMA, or writes the word itself; after the usual cache
 * maintenance every call must run the new word. The signature is an instruction that fails its
 * condition, the other word one that passes it. Nobody runs a function while it is written.
 * Parameters: seed, ms.
 */
#include "lib/mmu.h"
#include "lib/probe.h"

const char payload_name[] = "inj_dma";

#define PAGES     8u
#define FW_CFG    0x09020000u
#define FW_DMA    0x10u
#define SIGNATURE 0x554d4551u /* "QEMU": strbpl r4, [sp, #-0x551] */
#define BY_CPU    0x43a00001u /* movmi r0, #1 */

static struct page {
    uint32_t *code;
    volatile uint32_t open, inside, by_cpu;
} __attribute__((aligned(64))) pages[PAGES];

static struct {
    volatile uint32_t stale, faults, calls, copies, garbled;
} __attribute__((aligned(64))) res[MAX_CPUS];

static struct request {
    uint32_t control, length, high, low;
} __attribute__((aligned(16))) request;

static struct spinlock fw_lock;
static uint32_t seed, ms;
static unsigned cpus_used;
static uint64_t deadline;
static struct barrier gate;

static void copy_signature(void *to)
{
    volatile struct request *r = &request;
    spin_lock(&fw_lock);
    r->length = __builtin_bswap32(4);
    r->high = 0;
    r->low = __builtin_bswap32((uint32_t)to);
    r->control = __builtin_bswap32(8 | 2); /* select item 0, read */
    dsb();
    store32(FW_CFG + FW_DMA, 0);
    store32(FW_CFG + FW_DMA + 4, __builtin_bswap32((uint32_t)&request));
    while (r->control)
        cpu_yield();
    dmb();
    spin_unlock(&fw_lock);
}

static void sync_all(uint32_t *at)
{
    do_dccmvau((uint32_t)at);
    dsb();
    do_icialluis(0);
    do_bpiallis(0);
    dsb();
    isb();
}

static void change(unsigned cpu, struct page *p, uint32_t r)
{
    bool by_cpu = r & 1;
    p->open = 0;
    dmb();
    while (p->inside)
        cpu_yield();
    dmb();
    if (by_cpu) {
        *(volatile uint32_t *)&p->code[3] = BY_CPU;
    } else {
        copy_signature(&p->code[3]);
        res[cpu].garbled += *(volatile uint32_t *)&p->code[3] != SIGNATURE;
        res[cpu].copies++;
    }
    sync_all(&p->code[3]);
    p->by_cpu = by_cpu;
    dmb();
    p->open = 1;
}

static void call(unsigned cpu, struct page *p)
{
    atomic_add(&p->inside, 1);
    if (p->open) {
        dmb();
        uint32_t want = p->by_cpu;
        isb();
        enum trap_kind t = catch_call(p->code, 0, 0, 0);
        res[cpu].faults += t != TRAP_NONE;
        res[cpu].stale += t == TRAP_NONE && this_cpu()->result != want;
        res[cpu].calls++;
    }
    atomic_add(&p->inside, -1u);
}

static uint32_t total(size_t offset)
{
    uint32_t sum = 0;
    for (unsigned i = 0; i < MAX_CPUS; i++)
        sum += *(volatile uint32_t *)((uint8_t *)&res[i] + offset);
    return sum;
}
#define TOTAL(what) ((unsigned)total(offsetof(__typeof__(res[0]), what)))

static bool enough(void)
{
    return TOTAL(calls) > 50 && TOTAL(copies) > 5;
}

static void worker(unsigned cpu, void *arg)
{
    uint32_t r = seed * 0x9e3779b9u + cpu * 0x7f4a7c15u + 1;
    (void)arg;
    barrier_wait(&gate);
    while (time_left(deadline, enough())) {
        for (unsigned i = rnd(&r) & 15; i; i--)
            call(cpu, &pages[rnd(&r) % PAGES]);
        unsigned own = rnd(&r) % PAGES;
        if (own % cpus_used == cpu)
            change(cpu, &pages[own], rnd(&r));
    }
}

void payload_main(void)
{
    static const uint32_t code[5] = {0xe3a00000 /* mov r0, #0 */, 0xe3e01000 /* mvn r1, #0 */,
                                     0xe3510000 /* cmp r1, #0 */, BY_CPU, 0xe12fff1e /* bx lr */};
    cpus_used = smp_start(MAX_CPUS);
    seed = param("seed", 1);
    ms = param("ms", 2500);
    for (unsigned i = 0; i < PAGES; i++) {
        pages[i].code = mem_alloc(PAGE_SIZE, PAGE_SIZE);
        memcpy(pages[i].code, code, sizeof(code));
        code_sync(pages[i].code, sizeof(code));
        pages[i].by_cpu = pages[i].open = 1;
    }
    barrier_init(&gate, cpus_used);
    deadline = now() + (uint64_t)ms * ticks_per_ms();
    smp_run_all(cpus_used, worker, NULL);
    tap_diag("%u calls, %u copies by the device", TOTAL(calls), TOTAL(copies));
    tap_ok(enough(), "the test did something");
    tap_eq(TOTAL(stale), 0, "calls run what the device wrote");
    tap_eq(TOTAL(faults), 0, "calls do not abort");
    tap_eq(TOTAL(garbled), 0, "the device wrote what it has");
}
