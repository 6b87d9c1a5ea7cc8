/* SPDX-License-Identifier: MIT */
/*
 * Torture of the MMU's coherence (I-1, I-2) without a translator: each thread is a vCPU that loads
 * through its soft TLB or its SPT windows while the others remap pages, shoot them down, switch
 * address spaces, and write and "execute" code pages.
 *
 * Oracles. Data: every RAM page holds (page index, sequence number) of the mapping it was made for;
 * when a remap has completed (TLBI inner-shareable, DSB) its number is published; a load that began
 * after that must not return an older one, and the old page is poisoned at once. Code: a
 * translation holds the version it was made from; after a writer's store, instruction-cache
 * maintenance and DSB have completed, nobody may use an older one.
 *
 * Usage: mmu_torture [soft|spt|all] [seconds per mode] [vCPUs] [seed]
 */
#include "../tests/unit/mmu_rig.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>

#define RAM_SIZE   (UINT64_C(64) << 20)
#define SPACES     4
#define L1(n)      (RIG_RAM_BASE + 0x10000 + (gpa_t)(n)*0x4000)
#define L2         (RIG_RAM_BASE + 0x40000)
#define VA         0x00100000u
#define PAGES      48u /* virtual pages that move around; the upper half is global */
#define POOL       (RIG_RAM_BASE + 0x100000)
#define POOL_PAGES 64u /* for each thread */
#define CODE_PAGES 8u
#define CODE       (RIG_RAM_BASE + 0x2000000)
#define CODE_VA    0xd0000000u /* section, global, read-write */
#define POISON     0xffffffffu
#define SEQ_MASK   0xffffffu

static struct moving_page {
    pthread_mutex_t
        lock; /* one remapper; only ever tried, since a waiter would have to be quiescent */
    gpa_t gpa;
    uint32_t seq;
    _Atomic uint32_t completed;
} page[PAGES];

static struct code {
    pthread_mutex_t lock;
    uint32_t version;
    _Atomic uint32_t completed;
} code[CODE_PAGES];

struct worker {
    pthread_t thread;
    struct vcpu *v;
    uint64_t seed;
    gpa_t pool[POOL_PAGES + PAGES];
    unsigned npool;
    uint32_t translated[CODE_PAGES]; /* version + 1; 0 = none */
    uint64_t loads, remaps, writes, runs;
};

static struct worker worker[VCPU_MAX];
static _Atomic bool stop;
static enum mmu_mode mode;

static uint64_t rnd(struct worker *w, uint64_t n)
{
    w->seed ^= w->seed << 13;
    w->seed ^= w->seed >> 7;
    w->seed ^= w->seed << 17;
    return w->seed % n;
}

static uint32_t content(unsigned index, uint32_t seq)
{
    return index << 24 | (seq & SEQ_MASK);
}

static void poll(struct worker *w)
{
    if (atomic_load_explicit(&w->v->poll, memory_order_relaxed) && atomic_exchange(&w->v->poll, 0))
        mmu_serve_requests(w->v);
}

/* ---- guest accesses ---- */
/* What generated code does in -mmu soft: compare, then load; between the two the entry may be shot
 * down. */
static bool inline_load(struct vcpu *v, uint32_t va, bool priv, uint32_t *value)
{
    const struct softtlb_entry *e = &v->softtlb[priv][va >> GUEST_PAGE_BITS & (SOFTTLB_SIZE - 1)];

    if (e->tag[MMU_READ] != ((va & (uint32_t)GUEST_PAGE_MASK) | v->ctx_tag))
        return false;
    *value = __atomic_load_n((uint32_t *)(uintptr_t)(e->addend + va), __ATOMIC_RELAXED);
    return true;
}

static uint32_t guest_load(struct worker *w, uint32_t va, bool priv)
{
    uint32_t memop = MEMOP_32 | MEMOP_PRIV | (priv ? 0 : MEMOP_USER), value;
    int how;

    if (mode == MMU_SPT && rnd(w, 8))
        return rig_spt_load(w->v, va, memop, &how);
    if (rnd(w, 8) && inline_load(w->v, va, priv, &value))
        return value;
    return (uint32_t)mmu_slow_load(w->v, va, memop, 1);
}

static void guest_store(struct worker *w, uint32_t va, uint32_t value)
{
    const struct softtlb_entry *e = &w->v->softtlb[1][va >> GUEST_PAGE_BITS & (SOFTTLB_SIZE - 1)];
    int how;

    if (mode == MMU_SPT && rnd(w, 4))
        rig_spt_store(w->v, va, value, MEMOP_32 | MEMOP_PRIV, &how);
    else if (e->tag[MMU_WRITE] == ((va & (uint32_t)GUEST_PAGE_MASK) | w->v->ctx_tag))
        __atomic_store_n((uint32_t *)(uintptr_t)(e->addend + va), value, __ATOMIC_RELAXED);
    else
        mmu_slow_store(w->v, va, value, MEMOP_32 | MEMOP_PRIV, 1);
}

/* ---- data ---- */
static void read_page(struct worker *w)
{
    unsigned i = (unsigned)rnd(w, PAGES);
    uint32_t completed = atomic_load(&page[i].completed), value;
    bool priv = rnd(w, 2);

    if (!RIG_TRY(value = guest_load(w, VA + (i << GUEST_PAGE_BITS), priv))) {
        /* break-before-make leaves the page unmapped for a moment */
        if (rig_exc.fsr != 0x07)
            vm_bug("fsr %x", rig_exc.fsr);
        return;
    }
    if (value >> 24 != i || ((value - completed) & SEQ_MASK) > SEQ_MASK / 2)
        vm_bug("cpu%u: page %u: loaded %08x after sequence %x had completed", w->v->index, i, value,
               completed);
    w->loads++;
}

static void set_pte(unsigned i, gpa_t gpa)
{
    uint32_t d = (uint32_t)gpa | 2u | 3u << 2 | 3u << 4 | (i < PAGES / 2 ? 1u << 11 : 0);

    rig_put32(L2 + i * 4, gpa ? d : 0);
    atomic_thread_fence(memory_order_seq_cst); /* the guest's DSB before its TLBI */
}

static void shoot(struct worker *w, unsigned i)
{
    uint32_t va = VA + (i << GUEST_PAGE_BITS) + (uint32_t)rnd(w, 4096);
    bool global = i >= PAGES / 2;

    switch (rnd(w, global ? 16 : 20)) {
    case 0:
        mmu_tlbi(w->v, TLBI_ALL, 0, 0, true);
        break;
    case 16 ... 19:
        for (uint32_t asid = 0; asid <= SPACES; asid++)
            mmu_tlbi(w->v, TLBI_ASID, 0, asid, true);
        break;
    default:
        mmu_tlbi(w->v, global && rnd(w, 2) ? TLBI_VA : TLBI_VA_ALL_ASID, va, 0, true);
    }
    mmu_dsb(w->v);
}

static void remap_page(struct worker *w)
{
    unsigned i = (unsigned)rnd(w, PAGES);
    struct moving_page *p = &page[i];
    gpa_t old, new;

    if (!w->npool || pthread_mutex_trylock(&p->lock))
        return;
    new = w->pool[--w->npool];
    old = p->gpa;
    p->seq++;
    rig_put32(new, content(i, p->seq));
    if (rnd(w, 2)) { /* break before make */
        set_pte(i, 0);
        shoot(w, i);
    }
    set_pte(i, new);
    shoot(w, i);
    atomic_store(&p->completed, p->seq & SEQ_MASK);
    rig_put32(old, POISON);
    p->gpa = new;
    w->pool[w->npool++] = old;
    pthread_mutex_unlock(&p->lock);
    w->remaps++;
}

static void switch_space(struct worker *w)
{
    struct arm_mmu_regs *r = arm_mmu_regs(w->v);
    unsigned n = (unsigned)rnd(w, SPACES);

    r->contextidr = 0; /* the reserved ASID, as Linux goes through */
    mmu_context_changed(w->v);
    r->ttbr0 = L1(n);
    mmu_context_changed(w->v);
    r->contextidr = n + 1;
    mmu_context_changed(w->v);
}

/* Between a first walk and that of a neighbour page the others get time to shoot down what was
 * found. */
static void lose_cpu(void)
{
    static _Thread_local unsigned n;

    if (++n % 16 == 0)
        sched_yield();
}

/* ---- code ---- */
static void on_invalidate(struct vcpu *v, gpa_t gpa)
{
    if (gpa >= CODE && gpa < CODE + CODE_PAGES * GUEST_PAGE_SIZE)
        worker[v->index].translated[(gpa - CODE) >> GUEST_PAGE_BITS] = 0;
}

static void run_code(struct worker *w)
{
    unsigned k = (unsigned)rnd(w, CODE_PAGES);
    gpa_t gpa = CODE + k * GUEST_PAGE_SIZE;
    uint32_t completed = atomic_load(&code[k].completed);

    if (!w->translated[k]) {
        uint32_t epoch;

        do {
            epoch = mmu_epoch(w->v);
            mmu_code_page_translate(w->v, gpa);
        } while (mmu_epoch(w->v) != epoch);
        w->translated[k] = __atomic_load_n((uint32_t *)rig_ram(gpa), __ATOMIC_RELAXED) + 1;
    }
    if ((int32_t)(w->translated[k] - 1 - completed) < 0)
        vm_bug("cpu%u: code page %u: runs version %x after %x had completed", w->v->index, k,
               w->translated[k] - 1, completed);
    if (!rnd(w, 64)) {
        mmu_code_page_release(w->v, gpa);
        w->translated[k] = 0;
    }
    w->runs++;
}

static void write_code(struct worker *w)
{
    unsigned k = (unsigned)rnd(w, CODE_PAGES);
    struct code *c = &code[k];

    if (pthread_mutex_trylock(&c->lock))
        return;
    c->version++;
    if (!RIG_TRY(guest_store(w, CODE_VA + (k << GUEST_PAGE_BITS), c->version)))
        vm_bug("store to a code page faults: %x", rig_exc.fsr);
    mmu_icache_invalidate(w->v, true);
    mmu_dsb(w->v);
    atomic_store(&c->completed, c->version);
    pthread_mutex_unlock(&c->lock);
    w->writes++;
}

/* ---- threads ---- */
static void step(struct worker *w)
{
    switch (rnd(w, 64)) {
    case 0:
        remap_page(w);
        break;
    case 1:
        write_code(w);
        break;
    case 2:
        switch_space(w);
        break;
    case 3 ... 15:
        run_code(w);
        break;
    case 16:
        if (!rnd(w, 16)) { /* as in WFI */
            vcpu_quiescent_begin(w->v);
            sched_yield();
            vcpu_quiescent_end(w->v);
        }
        break;
    default:
        read_page(w);
    }
}

static void *work(void *opaque)
{
    struct worker *w = opaque;

    rig_current = w->v;
    vcpu_quiescent_end(w->v);
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        poll(w);
        step(w);
    }
    vcpu_quiescent_begin(w->v);
    return NULL;
}

static void make_tables(void)
{
    for (unsigned n = 0; n < SPACES; n++) {
        rig_put32(L1(n) + (VA >> 20) * 4, (uint32_t)L2 | 1u);
        rig_put32(L1(n) + (CODE_VA >> 20) * 4, (uint32_t)CODE | 2u | 3u << 2 | 3u << 10);
    }
    for (unsigned i = 0; i < PAGES; i++) {
        page[i].gpa = POOL + ((gpa_t)(VCPU_MAX * POOL_PAGES + i) << GUEST_PAGE_BITS);
        page[i].seq = 0;
        atomic_store(&page[i].completed, 0);
        pthread_mutex_init(&page[i].lock, NULL);
        rig_put32(page[i].gpa, content(i, 0));
        set_pte(i, page[i].gpa);
    }
    for (unsigned k = 0; k < CODE_PAGES; k++) {
        code[k].version = 0;
        atomic_store(&code[k].completed, 0);
        pthread_mutex_init(&code[k].lock, NULL);
    }
}

static void make_worker(unsigned i, uint64_t seed)
{
    struct worker *w = &worker[i];

    *w = (struct worker){.v = rig_vm.cpu[i], .seed = seed * 0x9e3779b97f4a7c15u + i + 1};
    while (w->npool < POOL_PAGES) {
        w->pool[w->npool] = POOL + ((gpa_t)(i * POOL_PAGES + w->npool) << GUEST_PAGE_BITS);
        w->npool++;
    }
    *arm_mmu_regs(w->v) =
        (struct arm_mmu_regs){.sctlr = SCTLR_M, .dacr = 1, .ttbr0 = L1(0), .contextidr = 1};
    mmu_context_changed(w->v);
}

static void torture(const char *value, unsigned seconds, unsigned ncpus, uint64_t seed,
                    uint64_t budget)
{
    const char *why;
    struct timespec end = {.tv_sec = seconds};
    uint64_t loads = 0, remaps = 0, runs = 0, writes = 0, fills = 0, evictions = 0;

    rig_check(!mmu_options_parse(&rig_options, value, &why), "mode");
    mode = rig_options.mode;
    rig_on_invalidate = on_invalidate;
    rig_on_walk = lose_cpu;
    rig_start(mode, RAM_SIZE, ncpus, budget);
    make_tables();
    for (unsigned i = 0; i < ncpus; i++)
        make_worker(i, seed);
    atomic_store(&stop, false);
    for (unsigned i = 0; i < ncpus; i++)
        rig_check(!pthread_create(&worker[i].thread, NULL, work, &worker[i]), "pthread_create");
    nanosleep(&end, NULL);
    atomic_store(&stop, true);
    for (unsigned i = 0; i < ncpus; i++) {
        pthread_join(worker[i].thread, NULL);
        loads += worker[i].loads;
        remaps += worker[i].remaps;
        runs += worker[i].runs;
        writes += worker[i].writes;
        fills += stats_vcpu[i].spt_fills;
        evictions += stats_vcpu[i].spt_evictions;
    }
    rig_stop();
    printf("%s, %u vCPUs, budget %" PRIu64 ": %" PRIu64 " loads, %" PRIu64 " remaps, %" PRIu64
           " code runs, %" PRIu64 " code writes; in all %" PRIu64 " fills, %" PRIu64 " evictions\n",
           value, ncpus, budget, loads, remaps, runs, writes, fills, evictions);
    rig_check(loads && remaps && runs && writes, "progress");
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "all";
    unsigned seconds = argc > 2 ? (unsigned)atoi(argv[2]) : 2,
             ncpus = argc > 3 ? (unsigned)atoi(argv[3]) : 3;
    uint64_t seed = argc > 4 ? strtoull(argv[4], NULL, 0) : (uint64_t)time(NULL);

    if (!ncpus || ncpus > VCPU_MAX) {
        fprintf(stderr, "usage: %s [soft|spt|all] [seconds] [1..%u vCPUs] [seed]\n", argv[0],
                VCPU_MAX);
        return 2;
    }
    printf("seed %" PRIu64 "\n", seed);
    if (strcmp(what, "spt"))
        torture("soft", seconds, ncpus, seed, 0);
    if (strcmp(what, "soft")) {
        torture("spt=private", seconds, ncpus, seed + 1, 0);
        torture("spt=private", seconds, ncpus, seed + 2, 150);
        torture("spt=shared", seconds, ncpus, seed + 3, 0);
        torture("spt=group,windows=2,prefill=20", seconds, ncpus, seed + 4, 0);
        torture("auto", seconds, ncpus, seed + 5, 0);
    }
    return 0;
}
