/* SPDX-License-Identifier: MIT */
/*
 * Conditional execution. A run of instructions under one condition becomes a section: one branch
 * around it, as long as no instruction inside changes the flags. A lone data-processing instruction
 * that only writes a register becomes a select instead (`select`: arm_write_reg() merges old and
 * new value), which costs no branch and keeps what the builder knows. In regions so does a
 * comparison: what is left there of four flags is mostly one of them, or one relation. Arm ARM
 * A8.3.
 *
 * Threads: the translating vCPU thread.
 */
#include "arm_internal.h"

/* A32: register and immediate data processing without S, MOVW, MOVT; destination is not the PC. */
static bool selectable_a32(uint32_t insn)
{
    uint32_t op = insn >> 20 & 0xff;
    bool immediate = insn & 1u << 25;

    if ((insn & 0x0c000000) != 0 || (insn & 1u << 20) || (insn >> 12 & 15) == 15) {
        return false;
    }
    if (!immediate && (insn & 0x90) == 0x90) {
        return false; /* multiplies, extra loads and stores */
    }
    if ((op & 0x18) == 0x10) {           /* the place of TST..CMN without S */
        return op == 0x30 || op == 0x34; /* MOVW, MOVT */
    }
    return true;
}

/* Inside an IT block the 16-bit forms do not set flags, but for the comparisons. */
static bool selectable_t16(uint32_t insn)
{
    uint32_t op = insn >> 6 & 15;

    switch (insn >> 10) {
    case 0x00:
    case 0x01:
    case 0x02:
    case 0x03:
    case 0x04:
    case 0x05:
    case 0x06:
    case 0x07: /* shift, add */
    case 0x08:
    case 0x09: /* MOV */
    case 0x0c:
    case 0x0d:
    case 0x0e:
    case 0x0f: /* ADD, SUB */
    case 0x28:
    case 0x29:
    case 0x2a:
    case 0x2b: /* ADR, ADD SP */
        return true;
    case 0x10:
        return op != 8 && op != 10 && op != 11; /* TST, CMP, CMN */
    case 0x11: /* ADD, MOV of high registers; not CMP, BX, nor the PC */
        return (op < 4 || (op >= 8 && op < 12)) && (insn & 0x87) != 0x87;
    default:
        return (insn & 0xff00) == 0xb200; /* extensions */
    }
}

static bool selectable_t32(uint32_t insn)
{
    if ((insn >> 8 & 15) == 15) {
        return false;
    }
    if ((insn & 0xfe000000) == 0xea000000) { /* shifted register, not PKH */
        return !(insn & 1u << 20) && (insn >> 21 & 15) != 6;
    }
    if ((insn & 0xfa008000) == 0xf0000000) { /* modified immediate */
        return !(insn & 1u << 20);
    }
    if ((insn & 0xfa008000) == 0xf2000000) { /* plain immediate, not the saturating ones (Q) */
        uint32_t op = insn >> 20 & 31;

        return op == 0 || op == 10 || op == 4 || op == 12 || op == 20 || op == 22 || op == 28;
    }
    return false;
}

/* TST, TEQ, CMP, CMN of an immediate or a register: they write the flags, and nothing else. */
static bool compares_a32(uint32_t insn)
{
    bool immediate = insn & 1u << 25;

    return (insn & 0x0d900000) == 0x01100000 && (immediate || (insn & 0x90) != 0x90);
}

static bool compares_t16(uint32_t insn)
{
    uint32_t op = insn >> 6 & 15;

    return insn >> 11 == 0x05 || insn >> 8 == 0x45 ||
           (insn >> 10 == 0x10 && (op == 8 || op == 10 || op == 11));
}

static bool compares_t32(uint32_t insn)
{
    uint32_t op = insn >> 21 & 15;

    return ((insn & 0xfe100f00) == 0xea100f00 || (insn & 0xfa108f00) == 0xf0100f00) &&
           (op == 0 || op == 4 || op == 8 || op == 13);
}

static bool compares(const struct arm_ctx *s)
{
    if (!s->thumb) {
        return compares_a32(s->insn);
    }
    return s->insn_len == 2 ? compares_t16(s->insn) : compares_t32(s->insn);
}

static bool selectable(const struct arm_ctx *s)
{
    if (s->src->follow && compares(s)) {
        return true;
    }
    if (!s->thumb) {
        return selectable_a32(s->insn);
    }
    return s->insn_len == 2 ? selectable_t16(s->insn) : selectable_t32(s->insn);
}

ir_ref arm_merge(struct arm_ctx *s, ir_ref v, ir_ref old)
{
    return ir_select(s->b, s->test.rel, s->test.x, s->test.y, v, old);
}

void arm_section_open(struct arm_ctx *s)
{
    struct arm_test t = arm_cond_test(s, s->cond);

    s->select = false;
    s->section_label = ir_label_new(s->b);
    ir_brcond(s->b, ir_rel_invert(t.rel), t.x, t.y, s->section_label);
    s->in_section = true;
    s->section_cond = s->cond;
    s->section_dirty = false;
}

void arm_section_close(struct arm_ctx *s)
{
    if (!s->in_section) {
        return;
    }
    ir_label(s->b, s->section_label);
    s->in_section = false;
    if (s->section_dirty) {
        s->flags = FLAGS_UNKNOWN;
    }
}

void arm_section_begin(struct arm_ctx *s)
{
    s->select = false;
    if (s->cond >= ARM_COND_AL || s->in_section) {
        return;
    }
    if (selectable(s)) {
        s->select = true;
        s->test = arm_cond_test(s, s->cond);
    } else {
        arm_section_open(s);
    }
}
