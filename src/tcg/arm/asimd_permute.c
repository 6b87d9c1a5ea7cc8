/* SPDX-License-Identifier: MIT */
/*
 * Advanced SIMD instructions that only move lanes: VREV, VEXT, VDUP (scalar), VSWP inline; VTRN,
 * VUZP, VZIP, VTBL, VTBX by helpers. Arm ARM A7.4.5, A8.8.
 *
 * Threads: the translating vCPU thread; the helpers run on it too.
 */
#include "asimd_vec.h"

#include "asimd_misc_decode.h"

static bool valid(const struct arm_ctx *s, uint32_t q, uint32_t regs_ored)
{
    return asimd_enabled(s) && asimd_regs_ok(q, regs_ored);
}

/* ---- VREV: exchange the halves of ever larger groups ---- */
static bool reverse(struct arm_ctx *s, const struct args_fd_fm_q_size *a, unsigned group)
{
    ir_ref x;

    if (!valid(s, a->q, a->fd | a->fm)) {
        return false;
    }
    x = asimd_get(s, a->fm, a->q);
    for (unsigned half = 1u << a->size; half < group; half *= 2) {
        ir_ref up = ir_vop(s->b, IR_VSHLI, 2 * half, x, 0, 8 * half);
        ir_ref down = ir_vop(s->b, IR_VSHRI, 2 * half, x, 0, 8 * half);

        x = ir_vop(s->b, IR_VOR, 8, up, down, 0);
    }
    asimd_put(s, a->fd, a->q, x);
    return true;
}

bool trans_VREV64_v(struct arm_ctx *s, const struct arg_VREV64_v *a)
{
    return reverse(s, a, 8);
}

bool trans_VREV32_v(struct arm_ctx *s, const struct arg_VREV32_v *a)
{
    return reverse(s, a, 4);
}

bool trans_VREV16_v(struct arm_ctx *s, const struct arg_VREV16_v *a)
{
    return reverse(s, a, 2);
}

/* ---- VEXT: eight bytes from each of the places in n followed by m ---- */
static ir_ref doubleword_at(struct arm_ctx *s, const ir_ref *words, unsigned byte)
{
    ir_ref low = words[byte / 8];
    unsigned shift = byte % 8 * 8;

    if (!shift) {
        return low;
    }
    return ir_op2(s->b, IR_OR, ir_op2i(s->b, IR_SHR, low, shift),
                  ir_op2i(s->b, IR_SHL, words[byte / 8 + 1], 64 - shift));
}

bool trans_VEXT_v(struct arm_ctx *s, const struct arg_VEXT_v *a)
{
    ir_ref words[4], low;
    unsigned n = 0;

    if (!valid(s, a->q, a->fd | a->fn | a->fm) || (!a->q && a->imm > 7)) {
        return false;
    }
    for (unsigned i = 0; i <= a->q; i++) {
        words[n++] = ir_get(s->b, IR_I64, ASIMD_OFF(a->fn + i), 8);
    }
    for (unsigned i = 0; i <= a->q; i++) {
        words[n++] = ir_get(s->b, IR_I64, ASIMD_OFF(a->fm + i), 8);
    }
    low = doubleword_at(s, words, a->imm);
    if (a->q) {
        ir_put(s->b, ASIMD_OFF(a->fd + 1), 8, doubleword_at(s, words, a->imm + 8));
    }
    ir_put(s->b, ASIMD_OFF(a->fd), 8, low);
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
#define MOVE_LANES(name, lane, body)                                         \
    static void name##_##lane(struct vcpu *v, uint32_t arg)                  \
    {                                                                        \
        union asimd_vec d = asimd_read(v, ARG_FD(arg), ARG_Q(arg));          \
        union asimd_vec m = asimd_read(v, ARG_FM(arg), ARG_Q(arg));          \
        unsigned count = (unsigned)ASIMD_LANES(lane) / (ARG_Q(arg) ? 1 : 2); \
        union asimd_vec x = d, y = m;                                        \
                                                                             \
        for (unsigned i = 0; i < count / 2; i++) {                           \
            body(lane)                                                       \
        }                                                                    \
        asimd_write(v, ARG_FD(arg), ARG_Q(arg), &x);                         \
        asimd_write(v, ARG_FM(arg), ARG_Q(arg), &y);                         \
    }
#define MOVE_LANES_ALL(name, body)          \
    MOVE_LANES(name, u8, body)              \
    MOVE_LANES(name, u16, body)             \
    MOVE_LANES(name, u32, body)             \
    static const struct asimd_fn name[] = { \
        {#name "_u8", name##_u8}, {#name "_u16", name##_u16}, {#name "_u32", name##_u32}};

#define TRANSPOSE(lane)                \
    x.lane[2 * i + 1] = m.lane[2 * i]; \
    y.lane[2 * i] = d.lane[2 * i + 1];
#define UNZIP(lane)                        \
    x.lane[i] = d.lane[2 * i];             \
    x.lane[count / 2 + i] = m.lane[2 * i]; \
    y.lane[i] = d.lane[2 * i + 1];         \
    y.lane[count / 2 + i] = m.lane[2 * i + 1];
#define ZIP(lane)                          \
    x.lane[2 * i] = d.lane[i];             \
    x.lane[2 * i + 1] = m.lane[i];         \
    y.lane[2 * i] = d.lane[count / 2 + i]; \
    y.lane[2 * i + 1] = m.lane[count / 2 + i];

MOVE_LANES_ALL(transpose, TRANSPOSE)
MOVE_LANES_ALL(unzip, UNZIP)
MOVE_LANES_ALL(zip, ZIP)

static bool move_lanes(struct arm_ctx *s, const struct args_fd_fm_q_size *a,
                       const struct asimd_fn *f)
{
    if (!valid(s, a->q, a->fd | a->fm)) {
        return false;
    }
    asimd_call(s, &f[a->size], ASIMD_ARG(a->fd, 0, a->fm, a->q, 0));
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

static bool table_op(struct arm_ctx *s, const struct args_fd_fm_fn_len *a, uint32_t keep)
{
    if (!asimd_enabled(s) || a->fn + a->len > 31) {
        return false;
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
