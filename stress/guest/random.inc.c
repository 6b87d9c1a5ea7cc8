/* SPDX-License-Identifier: MIT */
/*
 * Tables and maintenance of random.c. Entries of a slot are written by its owner only; each CPU has
 * one mailbox in which it asks the others for local maintenance.
 */
#include "random.h"

#define FRAMES_AT (RAM_BASE + 0x08000000u)
#define SUPERS_AT (RAM_BASE + 0x0c000000u)

struct slot slots[SLOTS_MAX];
unsigned cpus_used;

static uint32_t *l1[SPACES], *l2[SLOTS_MAX];
static uint64_t *ll1[SPACES], *ll2[SPACES], *ll3[SLOTS_MAX];

static struct mail {
    const struct slot *volatile slot;
    volatile uint32_t way, at, acks;
} __attribute__((aligned(64))) mail[MAX_CPUS];

static uint32_t asid_of(unsigned space)
{
    return 0x21 + 0x43 * space;
}

uint32_t slot_size(const struct slot *s)
{
    static const uint32_t small[] = {PAGE_SIZE, 0x10000, 0x100000, 0x1000000};
    static const uint32_t large[] = {PAGE_SIZE, 0x10000, 0x200000, 0x200000};
    return (LPAE ? large : small)[s->def.class];
}

unsigned probes(const struct slot *s)
{
    return s->def.class == SMALL ? 1 : 8;
}

uint32_t probe_offset(const struct slot *s, unsigned at)
{
    return at % probes(s) * (slot_size(s) / 8);
}

/* Only slot 0 may be a supersection: program.py and load() see to it. */
uint8_t *frame_of(const struct slot *s, unsigned frame)
{
    if (s->def.class == SUPER && !LPAE)
        return (uint8_t *)(SUPERS_AT + frame * 0x1000000u);
    return (uint8_t *)(FRAMES_AT + ((uint32_t)(s - slots) * 2 + frame) * 0x200000u);
}

void tables_make(void)
{
    for (unsigned i = 0; i < SPACES; i++) {
        if (LPAE) {
            ll1[i] = mem_alloc(PAGE_SIZE, PAGE_SIZE);
            ll2[i] = mem_alloc(PAGE_SIZE, PAGE_SIZE);
            ll1[i][0] = LD_BLOCK | LD_DEVICE | LD_AP1 | LD_XN;
            ll1[i][1] = RAM_BASE | LD_BLOCK | LD_NORMAL | LD_AP1;
            ll1[i][2] = (uint32_t)ll2[i] | LD_TABLE;
        } else {
            l1[i] = mem_alloc(sizeof(flat_l1), sizeof(flat_l1));
            memcpy(l1[i], flat_l1, sizeof(flat_l1));
        }
    }
    for (unsigned i = 0; i < SLOTS_MAX; i++) {
        l2[i] = mem_alloc(16384, 16384);
        ll3[i] = (uint64_t *)l2[i];
    }
    tlb_flush_all();
}

/* Between programs: nothing is mapped, whatever the classes of the slots are next. */
void tables_clear(void)
{
    for (unsigned i = 0; i < SPACES; i++) {
        if (LPAE)
            memset(ll2[i], 0, PAGE_SIZE);
        else
            memset(l1[i] + (VA >> 20), 0, SLOTS_MAX * 16 * 4);
    }
    for (unsigned i = 0; i < SLOTS_MAX; i++)
        memset(l2[i], 0, 16384);
    dsb();
}

/* Into another address space by way of an ASID that no test entry has. */
void space_enter(unsigned space)
{
    if (LPAE) {
        write_ttbr0_64((uint32_t)ll1[space] | (uint64_t)asid_of(space) << 48);
    } else {
        write_contextidr(0);
        isb();
        write_ttbr0((uint32_t)l1[space] | TTBR_ATTR);
        isb();
        write_contextidr(asid_of(space));
    }
    isb();
}

/* The first time, from the flat map. */
void space_begin(unsigned space)
{
    if (LPAE)
        mmu_switch((uint32_t)ll1[space] | (uint64_t)asid_of(space) << 48, 0, TTBCR_LONG);
    else
        space_enter(space);
    tlb_flush_all();
    do_iciallu(0);
    dsb();
    isb();
}

void space_leave(void)
{
    mmu_flat_restore();
}

/* ---- entries ---- */
static uint32_t ap_of(enum kind kind)
{
    return kind == RO ? AP_RO_RO : kind == PRIV ? AP_RW_NA : AP_RW_RW;
}

static uint32_t small_entry(const struct slot *s, const struct state *st, uint32_t pa)
{
    if (st->kind == NONE)
        return 0;
    if (st->kind == DEVICE)
        return L2_SMALL(DEVICE_PA) | P_DEVICE | P_AP(AP_RW_RW) | P_XN | (s->global ? 0 : P_NG);
    return L2_SMALL(pa) | P_NORMAL | P_AP(ap_of(st->kind)) | (s->global ? 0 : P_NG);
}

static void write_l2(struct slot *s, const struct state *st)
{
    uint32_t *table = l2[s - slots], pa = (uint32_t)frame_of(s, st->frame);
    if (s->def.class == LARGE && (s->leaf || st->kind == NONE)) {
        for (unsigned i = 0; i < 16; i++)
            table[i] = st->kind == NONE ? 0
                                        : L2_LARGE(pa) | LP_NORMAL | P_AP(ap_of(st->kind)) |
                                              (s->global ? 0 : P_NG);
        return;
    }
    for (unsigned i = 0; i < probes(s); i++)
        table[probe_offset(s, i) / PAGE_SIZE] = small_entry(s, st, pa + probe_offset(s, i));
}

/* The entries of one address space, short format. */
static void write_l1(struct slot *s, const struct state *st, uint32_t *table)
{
    uint32_t first = s->va >> 20, n = s->def.class == SUPER ? 16 : 1;
    uint32_t pa = (uint32_t)frame_of(s, st->frame);
    uint32_t how = S_NORMAL | S_AP(ap_of(st->kind)) | (s->global ? 0 : S_NG);
    for (unsigned i = 0; i < n; i++) {
        uint32_t e = L1_TABLE(l2[s - slots] + 256 * i, 0);
        if (s->def.class >= SECTION && st->kind == NONE)
            e = 0;
        else if (s->def.class == SECTION && s->leaf)
            e = L1_SECTION(pa) | how;
        else if (s->def.class == SUPER && s->leaf)
            e = L1_SUPER(pa) | how;
        table[first + i] = e;
    }
}

static uint64_t long_entry(const struct slot *s, const struct state *st, uint32_t pa, uint64_t type)
{
    uint64_t ng = s->global ? 0 : LD_NG;
    if (st->kind == NONE)
        return 0;
    if (st->kind == DEVICE)
        return DEVICE_PA | type | LD_DEVICE | LD_AP1 | LD_XN | ng;
    return pa | type | LD_NORMAL | (st->kind == PRIV ? 0 : LD_AP1) | (st->kind == RO ? LD_AP2 : 0) |
           ng;
}

static void write_l3(struct slot *s, const struct state *st)
{
    uint32_t pa = (uint32_t)frame_of(s, st->frame);
    for (unsigned i = 0; i < probes(s); i++)
        pte_set64(&ll3[s - slots][probe_offset(s, i) / PAGE_SIZE],
                  long_entry(s, st, pa + probe_offset(s, i), LD_PAGE));
}

static void write_ll2(struct slot *s, const struct state *st, uint64_t *table)
{
    uint64_t e = (uint32_t)ll3[s - slots] | LD_TABLE;
    if (s->def.class >= SECTION && (s->leaf || st->kind == NONE))
        e = long_entry(s, st, (uint32_t)frame_of(s, st->frame), LD_BLOCK);
    pte_set64(&table[(s->va - VA) >> 21], e);
}

/* Tables first, so that nobody walks through an old one. */
void entries_write(struct slot *s, const struct state *st)
{
    bool pages = s->def.class < SECTION || (!s->leaf && st->kind != NONE);
    if (pages && LPAE)
        write_l3(s, st);
    else if (pages)
        write_l2(s, st);
    dsb();
    for (unsigned i = 0; i < SPACES; i++) {
        if (s->def.space != COMMON && s->def.space != i)
            continue;
        if (LPAE)
            write_ll2(s, st, ll2[i]);
        else
            write_l1(s, st, l1[i]);
    }
    dsb();
    isb();
}

/* ---- maintenance ---- */
struct range {
    unsigned first, end;
};

/* The address spaces whose ASIDs have to be named. */
static struct range spaces_of(const struct slot *s)
{
    if (s->def.space != COMMON)
        return (struct range){s->def.space, s->def.space + 1u};
    return (struct range){0, s->global ? 1 : SPACES};
}

static void one_address(uint32_t va, uint32_t way)
{
    switch (way) {
    case WAY_IS | WAY_MVAA:
        do_tlbimvaais(va);
        break;
    case WAY_IS | WAY_MVA:
        do_tlbimvais(va);
        break;
    case WAY_IPI | WAY_MVAA:
        do_tlbimvaa(va);
        break;
    case WAY_IPI | WAY_MVA:
        do_tlbimva(va);
        break;
    default:
        do_itlbimva(va);
        do_dtlbimva(va);
    }
}

static void by_address(const struct slot *s, uint32_t way, unsigned at)
{
    struct range r = spaces_of(s);
    bool one = s->leaf && (s->def.class != LARGE || !LPAE);
    for (unsigned i = 0; i < (one ? 1 : probes(s)); i++) {
        uint32_t va = s->va + probe_offset(s, one ? at : i);
        if ((way & WAY_WHAT) == WAY_MVAA && way < WAY_SPLIT) /* there is none in halves */
            one_address(va | 0x5a, way);
        else
            for (unsigned a = r.first; a < r.end; a++)
                one_address(va | asid_of(a), way);
    }
}

static void by_asid(const struct slot *s, uint32_t way)
{
    struct range r = spaces_of(s);
    for (unsigned a = r.first; a < r.end; a++) {
        if (way < WAY_IPI) {
            do_tlbiasidis(asid_of(a));
        } else if (way < WAY_SPLIT) {
            do_tlbiasid(asid_of(a));
        } else {
            do_itlbiasid(asid_of(a));
            do_dtlbiasid(asid_of(a));
        }
    }
}

static void everything(uint32_t way)
{
    if (way < WAY_IPI) {
        do_tlbiallis(0);
    } else if (way < WAY_SPLIT) {
        do_tlbiall(0);
    } else {
        do_itlbiall(0);
        do_dtlbiall(0);
    }
}

static void operations(const struct slot *s, uint32_t way, unsigned at)
{
    dsb();
    if ((way & WAY_WHAT) == WAY_ALL)
        everything(way);
    else if ((way & WAY_WHAT) == WAY_ASID && !s->global)
        by_asid(s, way);
    else /* an operation by ASID leaves global entries alone */
        by_address(s, (way & WAY_WHAT) == WAY_ASID ? (way & ~3u) | WAY_MVA : way, at);
    if (way < WAY_IPI)
        do_bpiallis(0);
    else
        do_bpiall(0);
    dsb();
    isb();
}

static void on_irq(struct cpu *cpu, struct regs *regs)
{
    (void)regs;
    (void)cpu;
    uint32_t iar = gic_take();
    if ((iar & 1023) == IRQ_SPURIOUS)
        return;
    struct mail *m = &mail[iar >> 10 & 7];
    dmb();
    operations(m->slot, m->way, m->at);
    atomic_add(&m->acks, 1);
}

void invalidate(const struct slot *s, unsigned way, unsigned at)
{
    unsigned me = this_cpu()->index;
    struct mail *m = &mail[me];
    bool by_ipi = way >= WAY_IPI && cpus_used > 1; /* else the mail is of an earlier program */
    if (by_ipi) {
        m->slot = s;
        m->way = way;
        m->at = at;
        m->acks = 0;
        dsb();
        gic_sgi(3, ((1u << cpus_used) - 1) & ~(1u << me));
    }
    operations(s, way, at);
    while (by_ipi && m->acks != cpus_used - 1)
        cpu_yield();
    dmb();
}
