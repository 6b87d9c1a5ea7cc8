/* SPDX-License-Identifier: MIT */
/*
 * Random programs of several blocks, for what a translator knows across branches: registers and
 * flags that live from block to block, loops that become hot, calls, both ways of a branch, and a
 * fault in the middle of a late round with everything outstanding. R8 and R9 count rounds, R11
 * points to the data, R14 is the link, R13 the address that faults; ordinary instructions use the
 * others. A program ends at an undefined instruction or with the fault.
 */
#include "insn_generate.h"

#include <string.h>

#define FIRST_RESERVED 8u /* to 11; 10 is left alone, too */
#define LAST_RESERVED  11u
#define MAX_CALLS      4u

struct program {
    struct insn_random *r;
    struct insn_test *t;
    bool thumb;
    unsigned calls; /* places of calls, whose target comes last */
    uint32_t call_at[MAX_CALLS];
};

static uint32_t below(struct program *p, uint32_t n)
{
    return (uint32_t)((uint64_t)insn_next_random(p->r) * n >> 32);
}

static void put_half_at(struct program *p, uint32_t at, uint32_t half)
{
    p->t->code[at] = (uint8_t)half;
    p->t->code[at + 1] = (uint8_t)(half >> 8);
}

static void put_half(struct program *p, uint32_t half)
{
    put_half_at(p, p->t->code_len, half);
    p->t->code_len += 2;
}

/* A word of the program's set; T32: 32 bits. */
static void put_word_at(struct program *p, uint32_t at, uint32_t insn)
{
    put_half_at(p, at, p->thumb ? insn >> 16 : insn);
    put_half_at(p, at + 2, p->thumb ? insn : insn >> 16);
}

static void put_word(struct program *p, uint32_t insn)
{
    put_word_at(p, p->t->code_len, insn);
    p->t->code_len += 4;
}

static bool room(const struct program *p, unsigned bytes)
{
    return p->t->code_len + bytes <= INSN_MAX_BYTES - 48;
}

static void put_plain(struct program *p, uint32_t cond)
{
    for (;;) {
        const struct decode_encoding *e;
        enum arm_isa isa = p->thumb ? ARM_ISA_T32 : ARM_ISA_A32;
        uint32_t insn = insn_plain_word(p->r, &isa, &e);

        if (insn_names_register(e, insn, FIRST_RESERVED, LAST_RESERVED) ||
            insn_names_register(e, insn, 14, 14)) {
            continue;
        }
        if (isa == ARM_ISA_T16) {
            put_half(p, insn & 0xffff);
        } else {
            put_word(p, p->thumb ? insn : (insn & 0x0fffffff) | cond << 28);
        }
        return;
    }
}

/* One to four ordinary instructions, in T32 under an IT, in A32 under one condition. */
static void put_conditional_run(struct program *p)
{
    unsigned n = 1 + below(p, 4);
    uint32_t cond = below(p, 14);

    if (p->thumb) {
        put_half(p, 0xbf00 | cond << 4 |
                        ((insn_next_random(p->r) & 14 & ~((1u << (4 - n)) - 1)) | 1u << (4 - n)));
    }
    for (unsigned i = 0; i < n; i++) {
        put_plain(p, cond);
    }
}

/* An instruction of T32 under `cond` of its own. */
static void put_it(struct program *p, uint32_t cond)
{
    if (p->thumb) {
        put_half(p, 0xbf08 | cond << 4);
    }
}

/* CMP, CMN, TST or TEQ of two of R0-R7, which often hold the same in the end. */
static void put_compare(struct program *p, uint32_t cond)
{
    static const uint32_t a32[] = {0x01500000, 0x01700000, 0x01100000, 0x01300000};
    static const uint32_t t32[] = {0xebb00f00, 0xeb100f00, 0xea100f00, 0xea900f00};
    unsigned what = below(p, 6), rn = below(p, 8), rm = below(p, 6) ? below(p, 8) : rn;

    what = what < 4 ? what : 0;
    put_word(p, (p->thumb ? t32[what] : a32[what] | cond << 28) | rn << 16 | rm);
}

/* Comparisons of which each but the first is under a condition, and what depends on the last. */
static void put_compare_chain(struct program *p)
{
    put_compare(p, 14);
    for (unsigned n = 1 + below(p, 3); n > 0; n--) {
        uint32_t cond = below(p, 14);

        put_it(p, cond);
        put_compare(p, cond);
    }
    if (below(p, 2)) {
        put_conditional_run(p);
    }
}

/* MOV rd, rm */
static void put_move(struct program *p, unsigned rd, unsigned rm)
{
    put_word(p, p->thumb ? 0xea4f0000 | rd << 8 | rm : 0xe1a00000 | rd << 12 | rm);
}

/* Two to four of R0-R6 change places, by way of R7: a value stands in the slot of another, and
 * comes back to its own some rounds later. */
static void put_rotation(struct program *p)
{
    unsigned n = 2 + below(p, 3), first = below(p, 7), step = 1 + below(p, 6);

    put_move(p, 7, first);
    for (unsigned i = 0; i + 1 < n; i++) {
        put_move(p, (first + i * step) % 7, (first + (i + 1) * step) % 7);
    }
    put_move(p, (first + (n - 1) * step) % 7, 7);
}

/* Load or store of R0-R7 in the data: LDR, STR, LDRB, STRB [r11, #imm]. */
static void put_access(struct program *p)
{
    static const uint32_t a32[] = {0xe59b0000, 0xe58b0000, 0xe5db0000, 0xe5cb0000};
    static const uint32_t t32[] = {0xf8db0000, 0xf8cb0000, 0xf89b0000, 0xf88b0000};
    unsigned what = below(p, 4);

    put_word(p, (p->thumb ? t32 : a32)[what] | below(p, 8) << 12 | below(p, 16) * 4);
}

/* B<cond> from `at` to here. */
static void set_forward(struct program *p, uint32_t at, uint32_t cond)
{
    uint32_t to = p->t->code_len;

    if (p->thumb) {
        put_half_at(p, at, 0xd000 | cond << 8 | ((to - at - 4) / 2 & 0xff));
    } else {
        put_word_at(p, at, 0x0a000000 | cond << 28 | ((to - at - 8) / 4 & 0xffffff));
    }
}

static void put_backward(struct program *p, uint32_t to, uint32_t cond)
{
    uint32_t at = p->t->code_len;

    if (p->thumb) {
        put_half(p, 0xd000 | cond << 8 | ((to - at - 4) / 2 & 0xff));
    } else {
        put_word(p, 0x0a000000 | cond << 28 | ((to - at - 8) / 4 & 0xffffff));
    }
}

static void put_skip(struct program *p)
{
    uint32_t at = p->t->code_len, cond = below(p, 14);

    p->t->code_len += p->thumb ? 2 : 4;
    for (unsigned n = 1 + below(p, 3); n > 0; n--) {
        put_plain(p, 14);
    }
    if (below(p, 2)) {
        put_access(p);
    }
    set_forward(p, at, cond);
}

/* The function comes after the program's end. */
static void put_call(struct program *p)
{
    if (p->calls == MAX_CALLS) {
        return;
    }
    p->call_at[p->calls++] = p->t->code_len;
    put_word(p, 0);
}

static void set_call(struct program *p, uint32_t at)
{
    uint32_t to = p->t->code_len;

    if (p->thumb) {
        put_word_at(p, at, 0xf000f800 | ((to - at - 4) / 2 & 0x7ff));
    } else {
        put_word_at(p, at, 0xeb000000 | ((to - at - 8) / 4 & 0xffffff));
    }
}

/* In round `k` from the end: LDR r0, [sp], which faults. The flags are the comparison's then, or of
 * one under its condition. */
static void put_fault(struct program *p, unsigned k)
{
    uint32_t cond = 0;

    put_word(p, (p->thumb ? 0xf1b80f00 : 0xe3580000) | k); /* CMP r8, #k */
    if (below(p, 3) == 0) {
        cond = below(p, 2);
        put_it(p, cond);
        put_compare(p, cond);
        cond = below(p, 14);
    }
    put_it(p, cond);
    if (p->thumb) {
        put_half(p, 0x9800);
    } else {
        put_word(p, 0x059d0000 | cond << 28);
    }
}

/* SUBS rn, rn, #1, or SUB and a test of the flags that are there. */
static void put_count(struct program *p, unsigned rn)
{
    put_word(p, (p->thumb ? 0xf1b00001u : 0xe2500001u) | rn << 16 | rn << (p->thumb ? 8 : 12));
}

static void put_set(struct program *p, unsigned rn, unsigned k)
{
    put_word(p, p->thumb ? 0xf04f0000 | rn << 8 | k : 0xe3a00000 | rn << 12 | k);
}

static void put_item(struct program *p)
{
    switch (below(p, 10)) {
    case 9:
        put_rotation(p);
        break;
    case 8:
        put_compare_chain(p);
        break;
    case 0:
    case 1:
        put_conditional_run(p);
        break;
    case 2:
        put_skip(p);
        break;
    case 3:
        put_call(p);
        break;
    case 4:
    case 5:
        put_access(p);
        break;
    default:
        put_plain(p, 14);
        break;
    }
}

static void put_inner_loop(struct program *p)
{
    uint32_t head;

    put_set(p, 9, 1 + below(p, 12));
    head = p->t->code_len;
    for (unsigned n = 1 + below(p, 3); n > 0; n--) {
        put_plain(p, 14);
    }
    put_count(p, 9);
    put_backward(p, head, 1);
}

static void put_function(struct program *p)
{
    for (unsigned i = 0; i < p->calls; i++) {
        set_call(p, p->call_at[i]);
    }
    for (unsigned n = below(p, 3); n > 0; n--) {
        put_plain(p, 14);
    }
    if (p->thumb) {
        put_half(p, 0x4770);
    } else {
        put_word(p, 0xe12fff1e);
    }
}

void insn_generate_program(struct insn_random *r, enum arm_isa isa, struct insn_test *t)
{
    struct program p = {.r = r, .t = t, .thumb = isa == ARM_ISA_T32};
    unsigned items = 2 + below(&p, 6), fault_at = below(&p, 3) ? items : below(&p, items);
    unsigned inner_at = below(&p, 3) ? items : below(&p, items), rounds = 1 + below(&p, 40);
    uint32_t head;

    memset(t, 0, sizeof(*t));
    insn_random_plain_state(r, isa, &t->in);
    t->flags |= INSN_USES_MEMORY;
    t->in.r[11] = INSN_DATA_AT;
    put_set(&p, 8, rounds);
    head = t->code_len;
    for (unsigned i = 0; i < items && room(&p, 40); i++) {
        put_item(&p);
        if (i == fault_at) {
            put_fault(&p, 1 + below(&p, rounds));
        }
        if (i == inner_at) {
            put_inner_loop(&p);
        }
    }
    put_count(&p, 8);
    put_backward(&p, head, below(&p, 4) ? 1 : 12); /* NE, or GT */
    if (p.thumb) {
        put_half(&p, 0xdefe);
    } else {
        put_word(&p, INSN_TRAP);
    }
    put_function(&p);
}
