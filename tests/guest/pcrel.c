/* SPDX-License-Identifier: MIT */
/*
 * The same code at several virtual addresses, alternately and across remaps of either of its two
 * pages: everything that depends on the PC (literals, ADR, calls and returns, computed branches,
 * tables, code and literals that reach over the page edge, exceptions) must follow the address and
 * the mapping of the moment.  User mode, where shared code is translated for any address, and
 * privileged.  Then code that remaps the page it runs in.  One CPU.
 */
#include "lib/mmu.h"

const char payload_name[] = "pcrel";

#define VA      0x80000000u
#define NOWHERE 0xe0000000u
#define SLOTS   3u /* virtual addresses of the code */
#define STRIDE  (16 * PAGE_SIZE)
#define FRAMES  3u /* physical pages for each of the two pages of code */
#define ROUNDS  12000u

extern char pcrel_arm[], pcrel_thumb[], pcrel_arm_tag0[], pcrel_arm_tag1[], pcrel_thumb_tag1[];
extern char pcrel_remap[], pcrel_id0[], pcrel_id1[], pcrel_id2[], pcrel_id3[], pcrel_id4[],
    pcrel_id5[], pcrel_id6[], pcrel_id7[];

/* What a function returns, or how it ends. */
enum want { VALUE, ADDRESS, TAG0, TAG1, SUM, AT_SVC, AT_UNDEF, AT_ABORT };
#define FN_LIST(X) /* function, argument, what, label or itself, constant */ \
    X(pa_adr, 0, ADDRESS, pa_adr, 0)                                         \
    X(pa_pc, 0, ADDRESS, pa_pc, 8)                                           \
    X(pa_literal, 0, TAG0, pa_literal, 0)                                    \
    X(pa_store_pc, 0, ADDRESS, pa_store_pc, 8)                               \
    X(pa_sum, 50, SUM, pa_sum_at, 8)                                         \
    X(pa_call, 0, ADDRESS, pa_call_at, 0)                                    \
    X(pa_blx, 0, ADDRESS, pa_blx_at, 0)                                      \
    X(pa_bx, 0, ADDRESS, pa_bx_at, 4)                                        \
    X(pa_either, 1, VALUE, pa_either, 7)                                     \
    X(pa_either, 0, ADDRESS, pa_either_at, 8)                                \
    X(pa_add_pc, 2, VALUE, pa_add_pc, 12)                                    \
    X(pa_table, 3, VALUE, pa_table, 23)                                      \
    X(pa_ldr_pc, 0, ADDRESS, pa_ldr_pc_at, 8)                                \
    X(pa_pop_pc, 0, ADDRESS, pa_adr, 0)                                      \
    X(pa_svc, 0, AT_SVC, pa_svc_at, 0)                                       \
    X(pa_undef, 0, AT_UNDEF, pa_undef_at, 0)                                 \
    X(pa_abort, NOWHERE, AT_ABORT, pa_abort_at, 0)                           \
    X(pa_next, 0, TAG1, pa_next, 0)                                          \
    X(pa_far, 0, TAG1, pa_far, 0)                                            \
    X(pa_jump_over, 0, TAG1, pa_jump_over, 3)                                \
    X(pa_back, 0, ADDRESS, pa_adr, 0)                                        \
    X(pt_adr, 0, ADDRESS, pcrel_thumb, 0)                                    \
    X(pt_pc, 0, ADDRESS, pt_pc, 4)                                           \
    X(pt_literal, 0, TAG0, pt_literal, 0)                                    \
    X(pt_sum, 50, SUM, pt_sum_at, 4)                                         \
    X(pt_call, 0, ADDRESS, pt_call_at, 1)                                    \
    X(pt_blx, 0, ADDRESS, pt_blx_at, 1)                                      \
    X(pt_tbb, 1, VALUE, pt_tbb, 21)                                          \
    X(pt_tbh, 3, VALUE, pt_tbh, 33)                                          \
    X(pt_cbz, 1, VALUE, pt_cbz, 7)                                           \
    X(pt_cbz, 0, ADDRESS, pt_cbz_at, 4)                                      \
    X(pt_it, 1, VALUE, pt_it, 4)                                             \
    X(pt_svc, 0, AT_SVC, pt_svc_at, 0)                                       \
    X(pt_undef, 0, AT_UNDEF, pt_undef_at, 0)                                 \
    X(pt_abort, NOWHERE, AT_ABORT, pt_abort_at, 0)                           \
    X(pt_jump, 0, TAG1, pt_jump, 0)                                          \
    X(pt_far, 0, TAG1, pt_far, 0)                                            \
    X(pt_back, 0, ADDRESS, pcrel_thumb, 0)
#define DECLARE(fn, arg, want, at, plus) extern char fn[], at[];
FN_LIST(DECLARE)

static const struct row {
    const char *name;
    const char *fn;
    uint32_t arg;
    enum want want;
    const char *at;
    uint32_t plus;
} rows[] = {
#define ROW(fn, arg, want, at, plus) {#fn, fn, arg, want, at, plus},
    FN_LIST(ROW)};

/* Code of one kind: A32 or T32. */
static struct image {
    const char *code, *tag1;
    uint32_t va;
    uint8_t *frame[2][FRAMES];
    unsigned now[SLOTS][2]; /* which frames are mapped */
} images[2] = {{.code = pcrel_arm, .tag1 = pcrel_arm_tag1, .va = VA},
               {.code = pcrel_thumb, .tag1 = pcrel_thumb_tag1, .va = VA + 4 * PAGE_SIZE}};
static uint32_t *l2;

/* What the data word in a frame holds; below 256, so that the T32 MOVW over the edge can too. */
static uint32_t tag(unsigned page, unsigned frame)
{
    return 0x31 + page * 0x40 + frame * 7;
}

static uint32_t offset(const struct image *m, const void *label)
{
    return ((uint32_t)label & ~1u) - (uint32_t)m->code;
}

static uint32_t pte_of(const struct image *m, unsigned page, unsigned frame)
{
    return L2_SMALL(m->frame[page][frame]) | P_NORMAL | P_AP(AP_RW_RW);
}

static volatile uint32_t *pte_at(const struct image *m, unsigned slot, unsigned page)
{
    return &l2[(m->va - VA) / PAGE_SIZE + slot * (STRIDE / PAGE_SIZE) + page];
}

static void map(struct image *m, unsigned slot, unsigned page, unsigned frame)
{
    m->now[slot][page] = frame;
    pte_set(pte_at(m, slot, page), pte_of(m, page, frame));
    do_tlbimva(m->va + slot * STRIDE + page * PAGE_SIZE);
    do_bpiall(0);
    dsb();
    isb();
}

static void set_up(struct image *m)
{
    for (unsigned page = 0; page < 2; page++) {
        for (unsigned f = 0; f < FRAMES; f++) {
            uint8_t *p = mem_alloc(PAGE_SIZE, PAGE_SIZE);
            m->frame[page][f] = p;
            memcpy(p, m->code + page * PAGE_SIZE, PAGE_SIZE);
            *(uint32_t *)(p + (page ? offset(m, m->tag1) - PAGE_SIZE : 0)) = tag(page, f);
            if (page == 1 && m->code == pcrel_thumb) /* MOVW r0: imm8 */
                *(uint16_t *)p = (uint16_t)((*(uint16_t *)p & ~0xffu) | tag(page, f));
            code_sync(p, PAGE_SIZE);
        }
    }
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        map(m, slot, 0, 0);
        map(m, slot, 1, slot % FRAMES);
    }
}

static void check_trap(struct matrix *x, const struct row *r, enum trap_kind k, uint32_t at)
{
    static const enum trap_kind kinds[] = {
        [AT_SVC] = TRAP_SVC, [AT_UNDEF] = TRAP_UNDEF, [AT_ABORT] = TRAP_DABT};
    const struct trap *t = &this_cpu()->trap;

    if (!case_eq(x, k, kinds[r->want], "%s kind", r->name))
        return;
    case_eq(x, t->regs.pc, at, "%s return address", r->name);
    if (r->want == AT_ABORT)
        case_eq(x, t->dfar, NOWHERE, "%s DFAR", r->name);
}

static void call(struct matrix *x, const struct row *r, unsigned slot, bool user)
{
    struct image *m = &images[r->name[1] == 't'];
    uint32_t base = m->va + slot * STRIDE, at = base + offset(m, r->at) + r->plus;
    uint32_t fn = base + offset(m, r->fn) + (r->name[1] == 't');
    enum trap_kind k =
        user ? catch_user((void *)fn, r->arg, 0, 0) : catch_call((void *)fn, r->arg, 0, 0);
    uint32_t want = r->plus;

    if (r->want >= AT_SVC) {
        check_trap(x, r, k, at);
        return;
    }
    if (r->want == ADDRESS)
        want = at;
    else if (r->want == TAG0)
        want = tag(0, m->now[slot][0]);
    else if (r->want == TAG1)
        want = tag(1, m->now[slot][1]) + r->plus;
    else if (r->want == SUM)
        want = r->arg * (tag(0, m->now[slot][0]) + at);
    if (case_eq(x, k, TRAP_NONE, "%s at %x", r->name, (unsigned)fn))
        case_eq(x, this_cpu()->result, want, "%s at %x", r->name, (unsigned)fn);
}

/* Each function at each address in turn, then in any order with remaps in between. */
static void test_addresses(bool user, uint32_t seed)
{
    struct matrix fixed = {.name = user ? "User code at three addresses in turn"
                                        : "privileged code at three addresses in turn"};
    struct matrix moving = {.name = user ? "User code across remaps of its pages"
                                         : "privileged code across remaps of its pages"};
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        for (unsigned k = 0; k < 4 * SLOTS; k++)
            call(&fixed, &rows[i], k % SLOTS, user);
    matrix_end(&fixed);
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint32_t r = rnd(&seed);
        struct image *m = &images[r >> 30 & 1];
        unsigned slot = (r >> 8) % SLOTS;
        if (r % 4 == 0)
            map(m, slot, r >> 6 & 1, (r >> 16) % FRAMES);
        else
            call(&moving, &rows[(r >> 16) % ARRAY_SIZE(rows)], slot, user);
    }
    matrix_end(&moving);
}

/*
 * Privileged code changes the mapping of the page it runs in and branches on.  Without an ISB the
 * target may come from either page (the first run); after complete maintenance from outside it
 * comes from the mapped one, whatever happened before (the second).
 */
static void test_remap_under_way(void)
{
    static char *const ids[] = {pcrel_id0, pcrel_id1, pcrel_id2, pcrel_id3,
                                pcrel_id4, pcrel_id5, pcrel_id6, pcrel_id7};
    struct matrix x = {.name = "code that remaps its own page"};
    struct image *m = &images[0];

    for (unsigned i = 0; i < ARRAY_SIZE(ids); i++) {
        for (unsigned f = 0; f < FRAMES; f++)
            *(uint32_t *)(m->frame[0][f] + offset(m, ids[i])) |= tag(0, f); /* MOVW r0: imm12 */
    }
    for (unsigned f = 0; f < FRAMES; f++)
        code_sync(m->frame[0][f], PAGE_SIZE);
    for (unsigned i = 0; i < ARRAY_SIZE(ids); i++) {
        unsigned old = i % FRAMES, new = (i + 1) % FRAMES;
        const void *fn = (void *)(VA + offset(m, pcrel_remap) + 64 * i);
        uint32_t pte = (uint32_t)pte_at(m, 0, 0);
        map(m, 0, 0, old);
        case_eq(&x, catch_call(fn, pte, pte_of(m, 0, new), VA), TRAP_NONE, "first run %u", i);
        uint32_t got = this_cpu()->result;
        case_eq(&x, got == tag(0, old) || got == tag(0, new), 1, "first run %u: %x", i,
                (unsigned)got);
        map(m, 0, 0, old);
        case_eq(&x, catch_call(fn, pte, pte_of(m, 0, old), VA), TRAP_NONE, "second run %u", i);
        case_eq(&x, this_cpu()->result, tag(0, old), "second run %u", i);
    }
    matrix_end(&x);
}

void payload_main(void)
{
    l2 = mem_alloc(1024, 1024);
    flat_l1[VA >> 20] = L1_TABLE(l2, 0);
    tlb_flush_all();
    set_up(&images[0]);
    set_up(&images[1]);
    test_addresses(true, 1);
    test_addresses(false, 2);
    test_addresses(true, 3);
    test_remap_under_way();
}
