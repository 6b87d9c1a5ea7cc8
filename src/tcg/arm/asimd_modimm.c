/* SPDX-License-Identifier: MIT */
/*
 * Advanced SIMD, one register and a modified immediate: VMOV, VMVN, VORR, VBIC. Arm ARM A7.4.6.
 *
 * Threads: the translating vCPU thread.
 */
#include "asimd.h"

#include "asimd_imm_decode.h"

static uint64_t repeat32(uint32_t x)
{
    return (uint64_t)x << 32 | x;
}

static uint64_t repeat16(uint32_t x)
{
    return repeat32(x << 16 | x);
}

/* Each bit becomes a byte of zeros or ones. */
static uint64_t bits_to_bytes(uint32_t imm8)
{
    uint64_t r = 0;

    for (unsigned i = 0; i < 8; i++) {
        r |= (imm8 >> i & 1 ? 0xffull : 0) << 8 * i;
    }
    return r;
}

/* AdvSIMDExpandImm(); op and cmode = 15 is the caller's. */
static uint64_t expand(uint32_t op, uint32_t cmode, uint32_t imm8)
{
    switch (cmode >> 1) {
    case 0:
    case 1:
    case 2:
    case 3:
        return repeat32(imm8 << (8 * (cmode >> 1)));
    case 4:
        return repeat16(imm8);
    case 5:
        return repeat16(imm8 << 8);
    case 6:
        return repeat32(cmode & 1 ? imm8 << 16 | 0xffff : imm8 << 8 | 0xff);
    default:
        break;
    }
    if (cmode & 1) { /* single precision: sign, exponent NOT(b) bbbbb cd, fraction efgh */
        return repeat32((imm8 & 0x80) << 24 | (imm8 & 0x40 ? 0x3e000000u : 0x40000000u) |
                        (imm8 & 0x3f) << 19);
    }
    return op ? bits_to_bytes(imm8) : repeat16(imm8 << 8 | imm8);
}

bool trans_VMOV_imm_v(struct arm_ctx *s, const struct arg_VMOV_imm_v *a)
{
    bool combine = a->cmode < 12 && (a->cmode & 1); /* VORR, VBIC; else VMOV, VMVN */
    bool invert = a->op && a->cmode != 14;
    uint64_t imm;

    if (!asimd_enabled(s) || !asimd_regs_ok(a->q, a->fd) || (a->cmode == 15 && a->op)) {
        return false;
    }
    imm = expand(a->op, a->cmode, a->imm);
    for (unsigned d = a->fd; d <= a->fd + a->q; d++) {
        ir_ref v = ir_const64(s->b, invert ? ~imm : imm);

        if (combine) {
            v = ir_op2(s->b, invert ? IR_AND : IR_OR, ir_get(s->b, IR_I64, ASIMD_OFF(d), 8), v);
        }
        ir_put(s->b, ASIMD_OFF(d), 8, v);
    }
    return true;
}
