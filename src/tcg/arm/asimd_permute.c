/* SPDX-License-Identifier: MIT */
/*
 * Advanced SIMD instructions that only move lanes: VREV, VEXT, VDUP (scalar), VSWP, VTRN, VUZP,
 * VZIP, VTBL, VTBX. Table lookups need a host with byte shuffles, else a helper does them. Arm ARM
 * A7.4.5, A8.8.
 *
 * Threads: the translating vCPU thread; the helpers run on it too.
 */
#include "asimd_build.h"
#include "asimd_vec.h"

#include "asimd_misc_decode.h"

static bool valid(const struct arm_ctx *s, uint32_t q, uint32_t regs_ored)
{
    return asimd_enabled(s) && asimd_regs_ok(q, regs_ored);
}

/* ---- VREV ---- */
#define EIGHT(a, b, c, d, e, f, g, h)                                                  \
    {                                                                                  \
        a, b, c, d, e, f, g, h, 8 + a, 8 + b, 8 + c, 8 + d, 8 + e, 8 + f, 8 + g, 8 + h \
    }
/* By log2 of the lane and of the group. */
static const uint8_t reversals[3][4][16] = {
    {[1] = EIGHT(1, 0, 3, 2, 5, 4, 7, 6),
     [2] = EIGHT(3, 2, 1, 0, 7, 6, 5, 4),
     [3] = EIGHT(7, 6, 5, 4, 3, 2, 1, 0)},
    {[2] = EIGHT(2, 3, 0, 1, 6, 7, 4, 5), [3] = EIGHT(6, 7, 4, 5, 2, 3, 0, 1)},
    {[3] = EIGHT(4, 5, 6, 7, 0, 1, 2, 3)},
};

/* Without byte shuffles: exchange the halves of ever larger groups. */
static ir_ref reverse_lanes(struct arm_ctx *s, unsigned size, unsigned group, ir_ref x)
{
    if (ir_has_shuffles()) {
        const uint8_t *order = reversals[size][group];

        return asimd_vop(s, IR_VSHUFB, 1, x, ir_vconst(s->b, order));
    }
    for (; size < group; size++) {
        unsigned bits = 8u << size;
        ir_ref up = asimd_vopi(s, IR_VSHLI, 2u << size, x, bits);

        x = asimd_vop(s, IR_VOR, 8, up, asimd_vopi(s, IR_VSHRI, 2u << size, x, bits));
    }
    return x;
}

static bool reverse(struct arm_ctx *s, const struct args_fd_fm_q_size *a, unsigned group)
{
    if (!valid(s, a->q, a->fd | a->fm)) {
        return false;
    }
    asimd_put(s, a->fd, a->q, reverse_lanes(s, a->size, group, asimd_get(s, a->fm, a->q)));
    return true;
}

bool trans_VREV64_v(struct arm_ctx *s, const struct arg_VREV64_v *a)
{
    return reverse(s, a, 3);
}

bool trans_VREV32_v(struct arm_ctx *s, const struct arg_VREV32_v *a)
{
    return reverse(s, a, 2);
}

bool trans_VREV16_v(struct arm_ctx *s, const struct arg_VREV16_v *a)
{
    return reverse(s, a, 1);
}

/* ---- VEXT: bytes from place imm in n followed by m ---- */
bool trans_VEXT_v(struct arm_ctx *s, const struct arg_VEXT_v *a)
{
    ir_ref n, m;

    if (!valid(s, a->q, a->fd | a->fn | a->fm) || (!a->q && a->imm > 7)) {
        return false;
    }
    n = asimd_get(s, a->fn, a->q);
    m = asimd_get(s, a->fm, a->q);
    if (a->imm && !a->q) {
        n = asimd_vop(s, IR_VUNPKL, 8, n, m);
        m = asimd_zero(s);
    }
    asimd_put(s, a->fd, a->q, a->imm ? ir_vop(s->b, IR_VALIGN, 1, m, n, a->imm) : n);
    return true;
}

/* ---- VDUP (scalar): the lowest set bit of imm gives the size, the bits above it the index ---- */
bool trans_VDUP_scalar(struct arm_ctx *s, const struct arg_VDUP_scalar *a)
{
    unsigned size = a->imm & 1 ? 0 : a->imm & 2 ? 1 : 2;
    unsigned byte = a->imm >> (size + 1) << size;
    ir_ref x;

    if (!valid(s, a->q, a->fd) || !(a->imm & 7)) {
        return false;
    }
    x = ir_get(s->b, IR_I32, ASIMD_OFF(a->fm) + byte, 1u << size);
    asimd_put(s, a->fd, a->q, ir_vop(s->b, IR_VDUP, 1u << size, x, 0, 0));
    return true;
}

bool trans_VSWP_v(struct arm_ctx *s, const struct arg_VSWP_v *a)
{
    ir_ref d, m;

    if (!valid(s, a->q, a->fd | a->fm)) {
        return false;
    }
    d = asimd_get(s, a->fd, a->q);
    m = asimd_get(s, a->fm, a->q);
    asimd_put(s, a->fd, a->q, m);
    asimd_put(s, a->fm, a->q, d);
    return true;
}

/* ---- VTRN, VUZP, VZIP: both registers are results ---- */
struct pair {
    ir_ref d, m;
};

typedef struct pair exchange(struct arm_ctx *s, unsigned size, bool q, ir_ref d, ir_ref m);

/* The odd lanes of d for the even ones of m. */
static struct pair transpose(struct arm_ctx *s, unsigned size, bool q, ir_ref d, ir_ref m)
{
    unsigned wide = 2u << size, bits = 8u << size;
    ir_ref even = size == 2 ? asimd_vopi(s, IR_VSHRI, 8, asimd_ones(s), 32)
                            : asimd_lanes(s, wide, (1u << bits) - 1);

    (void)q;
    return (struct pair){
        asimd_vop(s, IR_VOR, 8, asimd_vop(s, IR_VAND, 8, d, even),
                  asimd_vopi(s, IR_VSHLI, wide, m, bits)),
        asimd_vop(s, IR_VOR, 8, asimd_vopi(s, IR_VSHRI, wide, d, bits),
                  asimd_vop(s, IR_VANDN, 8, m, even)),
    };
}

/* The even lanes of d and m, and the odd ones. */
static struct pair unzip(struct arm_ctx *s, unsigned size, bool q, ir_ref d, ir_ref m)
{
    if (!q) {
        ir_ref both = asimd_vop(s, IR_VUNPKL, 8, d, m);

        return (struct pair){asimd_truncate(s, size, both), asimd_high_halves(s, size, both)};
    }
    return (struct pair){
        asimd_vop(s, IR_VUNPKL, 8, asimd_truncate(s, size, d), asimd_truncate(s, size, m)),
        asimd_vop(s, IR_VUNPKL, 8, asimd_high_halves(s, size, d), asimd_high_halves(s, size, m)),
    };
}

/* Lanes of d and m in turn. */
static struct pair zip(struct arm_ctx *s, unsigned size, bool q, ir_ref d, ir_ref m)
{
    ir_ref low = asimd_vop(s, IR_VUNPKL, 1u << size, d, m);

    return (struct pair){low, q ? asimd_vop(s, IR_VUNPKH, 1u << size, d, m)
                                : asimd_vopi(s, IR_VSHUFD, 4, low, 0xee)};
}

static bool move_lanes(struct arm_ctx *s, const struct args_fd_fm_q_size *a, exchange *op)
{
    struct pair p;

    if (!valid(s, a->q, a->fd | a->fm)) {
        return false;
    }
    p = op(s, a->size, a->q, asimd_get(s, a->fd, a->q), asimd_get(s, a->fm, a->q));
    asimd_put(s, a->fd, a->q, p.d);
    asimd_put(s, a->fm, a->q, p.m);
    return true;
}

bool trans_VTRN_v(struct arm_ctx *s, const struct arg_VTRN_v *a)
{
    return move_lanes(s, a, transpose);
}

bool trans_VUZP_v(struct arm_ctx *s, const struct arg_VUZP_v *a)
{
    return move_lanes(s, a, unzip);
}

bool trans_VZIP_v(struct arm_ctx *s, const struct arg_VZIP_v *a)
{
    return move_lanes(s, a, zip);
}

/* ---- VTBL, VTBX: the immediate is the number of table registers; q = 1: VTBX, which keeps bytes
 * ---- */
static void table_lookup(struct vcpu *v, uint32_t arg)
{
    union asimd_vec index = asimd_read(v, ARG_FM(arg), 0);
    union asimd_vec d = asimd_read(v, ARG_FD(arg), 0);
    const uint8_t *table = v->vfp.v + 8 * ARG_FN(arg);

    for (unsigned i = 0; i < 8; i++) {
        if (index.u8[i] < 8 * ARG_IMM(arg)) {
            d.u8[i] = table[index.u8[i]];
        } else if (!ARG_Q(arg)) {
            d.u8[i] = 0;
        }
    }
    asimd_write(v, ARG_FD(arg), 0, &d);
}

/* Up to two registers of the table by indices that count from them: those above 15 get bit 7, which
 * gives zero. */
static ir_ref look_up(struct arm_ctx *s, unsigned fn, unsigned registers, ir_ref index)
{
    ir_ref table = asimd_get(s, fn, registers > 1);

    return asimd_vop(s, IR_VSHUFB, 1, table,
                     asimd_vop(s, IR_VQADDU, 1, index, asimd_lanes(s, 1, 0x70)));
}

static ir_ref shuffle_table(struct arm_ctx *s, const struct args_fd_fm_fn_len *a, bool keep)
{
    unsigned registers = a->len + 1;
    ir_ref index = asimd_get(s, a->fm, 0), r = look_up(s, a->fn, registers, index), outside;

    if (registers > 2) {
        ir_ref above = asimd_vop(s, IR_VSUB, 1, index, asimd_lanes(s, 1, 16));

        r = asimd_vop(s, IR_VOR, 8, r, look_up(s, a->fn + 2, registers - 2, above));
    }
    if (!keep) {
        return r;
    }
    outside = asimd_vop(s, IR_VMAXU, 1, index, asimd_lanes(s, 1, 8 * registers));
    outside = asimd_vop(s, IR_VCMPEQ, 1, outside, index);
    return asimd_vop(s, IR_VOR, 8, r, asimd_vop(s, IR_VAND, 8, asimd_get(s, a->fd, 0), outside));
}

static bool table_op(struct arm_ctx *s, const struct args_fd_fm_fn_len *a, uint32_t keep)
{
    if (!asimd_enabled(s) || a->fn + a->len > 31) {
        return false;
    }
    if (ir_has_shuffles()) {
        asimd_put(s, a->fd, 0, shuffle_table(s, a, keep));
        return true;
    }
    asimd_call(s, &(const struct asimd_fn){"table_lookup", table_lookup},
               ASIMD_ARG(a->fd, a->fn, a->fm, keep, a->len + 1));
    return true;
}

bool trans_VTBL_v(struct arm_ctx *s, const struct arg_VTBL_v *a)
{
    return table_op(s, a, 0);
}

bool trans_VTBX_v(struct arm_ctx *s, const struct arg_VTBX_v *a)
{
    return table_op(s, a, 1);
}
