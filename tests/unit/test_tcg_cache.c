/* SPDX-License-Identifier: MIT */
/*
 * The code cache at its smallest: random code in guest RAM, more than the cache holds, is run,
 * changed and forgotten at random. A model knows what each run gives, and after each step the
 * tables agree with each other: nothing leads to a block that is gone.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/rcu.h"
#include "base/stats.h"
#include "dev/bus.h"
#include "io/io.h"
#include "mmu/mmu.h"
#include "tcg/tcg_internal.h"
#include "vcpu/arm.h"
#include "vcpu/vcpu_internal.h"
#include "vm.h"

#define RAM_BASE  0x40000000u
#define RAM_SIZE  0x01000000u
#define CODE      (RAM_BASE + 0x100000u)
#define DATA      (RAM_BASE + 0x200000u)
#define END       (RAM_BASE + 0x300000u) /* an SVC */
#define PIECES    2048u
#define MAX_STEPS 256u

/* Registers: r0 value, r1 the table of words, r2 steps left. */
struct piece {
    uint32_t add, turn, load, mix, count, leave, branch, address;
};
struct meaning {
    uint16_t next;
    uint8_t add, turn, word;
};

static struct vm_options options = {.smp = 1, .ram_size = RAM_SIZE, .cpu = "cortex-a15"};
static struct vm vm;
static struct vcpu *v;
static struct meaning meaning[PIECES];
static uint32_t seed;

static uint32_t rnd(void)
{
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8;
}

static uint32_t *guest(gpa_t at)
{
    return ram_ptr(&vm.ram, at, 4);
}

static uint32_t piece_at(unsigned i)
{
    return CODE + i * (uint32_t)sizeof(struct piece);
}

/* Half of them go on within their page, an eighth by a computed branch. */
static void write_piece(unsigned i)
{
    unsigned per_page = GUEST_PAGE_SIZE / sizeof(struct piece), to = rnd() % PIECES;
    struct meaning *m = &meaning[i];
    struct piece p;

    if (rnd() & 1)
        to = i / per_page * per_page + to % per_page;
    *m = (struct meaning){.next = (uint16_t)to,
                          .add = (uint8_t)rnd(),
                          .turn = (uint8_t)(1 + rnd() % 31),
                          .word = (uint8_t)rnd()};
    p = (struct piece){.add = 0xe2800000u | m->add,
                       .turn = 0xe1a00060u | (uint32_t)m->turn << 7,
                       .load = 0xe5913000u | (uint32_t)m->word << 2,
                       .mix = 0xe0200003u,
                       .count = 0xe2522001u,
                       .leave = 0x012fff1eu,
                       .branch = 0xea000000u | ((piece_at(to) - piece_at(i) - 32) >> 2 & 0xffffffu),
                       .address = piece_at(to)};
    if (rnd() % 8 == 0)
        p.branch = 0xe51ff004u; /* ldr pc, [pc, #-4] */
    memcpy(guest(piece_at(i)), &p, sizeof(p));
}

static uint32_t model(unsigned i, uint32_t value, uint32_t steps)
{
    for (;; i = meaning[i].next) {
        const struct meaning *m = &meaning[i];

        value += m->add;
        value = (value >> m->turn | value << (32 - m->turn)) ^ *guest(DATA + 4u * m->word);
        if (--steps == 0)
            return value;
    }
}

static void create(uint64_t tb_size, unsigned tier2_threshold)
{
    options.tb_size = tb_size;
    options.tier2_threshold = tier2_threshold;
    options.mmu.mode = MMU_SOFT;
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
    vcpu_reset(v, CODE, 0);
    *guest(END) = 0xef000000u;
    for (unsigned i = 0; i < 256; i++)
        *guest(DATA + 4 * i) = rnd() << 12 ^ rnd();
    for (unsigned i = 0; i < PIECES; i++)
        write_piece(i);
}

static void walk(void)
{
    unsigned i = rnd() % (rnd() % 4 ? 16 : PIECES);
    uint32_t value = rnd(), steps = 1 + rnd() % MAX_STEPS;

    v->r[0] = value;
    v->r[1] = DATA;
    v->r[2] = steps;
    v->r[14] = END;
    v->r[15] = piece_at(i);
    cr_assert_eq(tcg_run(v), TCG_EXIT_EXCEPTION);
    cr_assert_eq(v->exc, ARM_EXC_SVC);
    v->exc = ARM_EXC_NONE;
    cr_assert_eq(v->r[0], model(i, value, steps), "a walk from %u of %u steps", i, steps);
}

/* ---- what has to hold of the tables ---- */
static struct tb *all[65536];
static unsigned nall;

static int by_address(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t) * (struct tb *const *)a, y = (uintptr_t) * (struct tb *const *)b;

    return x < y ? -1 : x > y;
}

static bool exists(const struct tb *tb)
{
    return bsearch(&tb, all, nall, sizeof(all[0]), by_address);
}

static void gather(const struct tcg *t)
{
    nall = 0;
    for (unsigned k = 0; k < t->nsegments; k++) {
        const struct code_segment *s = &t->segment[k];
        const uint8_t *end = t->rx + s->hot.begin;
        size_t cold_end = s->cold.begin;

        for (uint32_t i = 0; i < s->nblocks; i++) {
            struct tb *tb = s->by_code[i];

            cr_assert(code_segment_has(t, s, tb));
            cr_assert_geq((uintptr_t)tb->code, (uintptr_t)end, "code is in order");
            end = tb->code + tb->straight_bytes;
            cr_assert_leq((uintptr_t)end, (uintptr_t)(t->rx + s->hot.end));
            cr_assert_geq(tb->cold, cold_end, "what is out of line as well");
            cold_end = tb->cold + tb->host_bytes - tb->straight_bytes;
            cr_assert_leq(cold_end, s->cold.end);
            for (uint32_t off = 1; off < tb->host_bytes; off++) {
                uintptr_t at = (uintptr_t)tb_place(t, tb, off);

                cr_assert_eq(tb_by_host_pc(t, at), tb);
                cr_assert_eq(tb_offset(t, tb, at), off);
            }
            all[nall++] = tb;
        }
    }
    qsort(all, nall, sizeof(all[0]), by_address);
}

static const uint8_t *goes_to(const struct tcg *t, const struct tb_link *l)
{
    const uint8_t *patch = t->rx + l->patch_off;
    int32_t rel;

    memcpy(&rel, patch, sizeof(rel));
    return patch + 4 + rel;
}

static unsigned times_incoming(const struct tcg *t, const struct tb *to, const struct tb_link *l)
{
    meta_ref prev = meta_ref_of(t, &to->incoming);
    unsigned n = 0;

    for (const struct tb_link *in = meta_at(t, to->incoming); in; in = meta_at(t, in->next)) {
        cr_assert_eq(in->prev, prev);
        prev = meta_ref_of(t, &in->next);
        n += in == l;
    }
    return n;
}

static void check_links(const struct tcg *t, const struct tb *tb)
{
    for (unsigned i = 0; i < tb->nlinks; i++) {
        const struct tb_link *l = &tb_links(tb)[i];
        const struct tb *to = meta_at(t, l->to);

        cr_assert_lt(tb_offset(t, tb, (uintptr_t)t->rx + l->patch_off), tb->host_bytes);
        if (!to) {
            cr_assert_eq(goes_to(t, l), t->rx + l->unlinked_off);
            continue;
        }
        cr_assert(exists(to) && !to->dead);
        cr_assert_eq(goes_to(t, l), to->code);
        cr_assert_eq(times_incoming(t, to, l), 1);
    }
}

/* The next one in the page's list. */
static const struct tb *next_in_page(const struct tcg *t, const struct tb *tb, gpa_t page)
{
    return meta_at(t, tb->page_next[tb->page[0] != page >> GUEST_PAGE_BITS]);
}

static void check_hashes(const struct tcg *t)
{
    for (unsigned i = 0; i < 1u << TB_HASH_BITS; i++)
        for (const struct tb *tb = meta_at(t, t->hash[i]); tb; tb = meta_at(t, tb->hash_next))
            cr_assert(exists(tb) && !tb->dead);
    for (unsigned i = 0; i < 1u << PAGE_HASH_BITS; i++)
        for (const struct code_page *p = t->page_hash[i]; p; p = p->next) {
            cr_assert(p->tbs, "a page without code is given back");
            for (const struct tb *tb = meta_at(t, p->tbs); tb; tb = next_in_page(t, tb, p->gpa))
                cr_assert(exists(tb));
        }
}

static unsigned times_in_page(const struct tcg *t, const struct tb *of)
{
    gpa_t page = (gpa_t)of->page[0] << GUEST_PAGE_BITS;
    unsigned n = 0;

    for (unsigned i = 0; i < 1u << PAGE_HASH_BITS; i++)
        for (const struct code_page *p = t->page_hash[i]; p; p = p->next)
            for (const struct tb *tb = p->gpa == page ? meta_at(t, p->tbs) : NULL; tb;
                 tb = next_in_page(t, tb, page))
                n += tb == of;
    return n;
}

static void check(void)
{
    const struct tcg *t = v->tcg;

    gather(t);
    for (unsigned i = 0; i < nall; i++)
        if (!all[i]->dead)
            check_links(t, all[i]);
    check_hashes(t);
    if (nall && !all[nall / 2]->dead)
        cr_assert_eq(times_in_page(t, all[nall / 2]), 1);
    for (unsigned i = 0; i < JUMP_CACHE_SIZE; i++) {
        const struct jump_cache_entry *e = &v->jump_cache[i];

        if (e->key != UINT64_MAX && !((e->key ^ v->jump_tag[1]) & JUMP_GENERATION))
            cr_assert(exists(e->tb) && !((struct tb *)e->tb)->dead);
    }
}

/* ---- tests ---- */
static void disturb(void)
{
    unsigned i = rnd() % PIECES;

    switch (rnd() % 64) {
    case 0 ... 7:
        write_piece(i);
        tcg_invalidate_page(v, piece_at(i));
        break;
    case 8:
        tcg_jump_cache_flush(v);
        break;
    case 9:
        tcg_invalidate_address(v, piece_at(i));
        break;
    case 10:
        tcg_invalidate_all(v);
        break;
    default:
        break;
    }
}

static void run_at_random(unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        walk();
        disturb();
        if (i % 8 == 0)
            check();
    }
    check();
    cr_expect_gt(stats_vcpu[0].segments_evicted, 50u);
}

Test(tcg_cache, evicts_what_is_oldest)
{
    seed = 1;
    create(128 << 10, 0);
    run_at_random(2000);
}

/* Blocks become regions in between, which take their place. */
Test(tcg_cache, evicts_regions)
{
    seed = 2;
    create(128 << 10, 20);
    run_at_random(2000);
    cr_expect_gt(stats_vcpu[0].regions, 20u);
}

Test(tcg_cache, regions_at_once)
{
    seed = 3;
    create(256 << 10, 1);
    run_at_random(2000);
}

/* What was run last is there, whatever went before it. */
Test(tcg_cache, keeps_what_is_new)
{
    uint64_t translations;
    struct tb *tb;

    seed = 4;
    create(128 << 10, 0);
    for (unsigned i = 0; i < 200; i++) {
        walk();
        v->r[15] = piece_at(0);
        tb = tcg_lookup(v);
        translations = stats_vcpu[0].translations;
        tcg_jump_cache_flush(v);
        cr_assert_eq(tcg_lookup(v), tb);
        cr_assert_eq(stats_vcpu[0].translations, translations);
    }
    cr_expect_eq(stats_vcpu[0].cache_flushes, 0u);
}

/* A block remembered over an eviction is known to be gone, also when another lies at its place. */
Test(tcg_cache, references_end_with_their_segment)
{
    struct tb_ref ref;

    seed = 5;
    create(128 << 10, 0);
    v->r[15] = piece_at(0);
    ref = tb_ref(v->tcg, tcg_lookup(v));
    cr_assert_eq(tb_deref(v->tcg, ref), ref.tb);
    for (unsigned i = 0; i < v->tcg->nsegments; i++)
        tb_evict_oldest(v);
    cr_assert_null(tb_deref(v->tcg, ref));
    v->r[15] = piece_at(0);
    cr_assert_eq(tcg_lookup(v), ref.tb);
    cr_assert_null(tb_deref(v->tcg, ref));
}
