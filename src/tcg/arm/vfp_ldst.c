/* SPDX-License-Identifier: MIT */
/*
 * VFP loads and stores. Addresses must be word aligned whatever SCTLR.A says (A3.2.1); a doubleword
 * is one 64-bit access, or two words at an address that is not a multiple of 8. The base is written
 * back last, so an abort in the middle finds it unchanged. Arm ARM A8.8.332 (VLDM), A8.8.333
 * (VLDR), A8.8.367, A8.8.368 (VPOP, VPUSH), A8.8.412, A8.8.413 (VSTM, VSTR).
 *
 * Threads: the translating vCPU thread.
 */
#include "vfp.h"

static uint32_t vfp_memop(const struct arm_ctx *s, unsigned size, bool first)
{
    return (arm_memop(s, size) & ~MEMOP_ALIGN) | (first ? MEMOP_ALIGN4 : 0) |
           (size == MEMOP_64 ? MEMOP_OF(MEMOP_32) : 0);
}

static void load_reg(struct arm_ctx *s, unsigned fd, bool dbl, ir_ref at, bool first)
{
    if (dbl) {
        ir_put(s->b, VFP_OFF_D(fd), 8, ir_load(s->b, IR_I64, at, vfp_memop(s, MEMOP_64, first)));
    } else {
        ir_put(s->b, VFP_OFF_S(fd), 4, ir_load(s->b, IR_I32, at, vfp_memop(s, MEMOP_32, first)));
    }
}

static void store_reg(struct arm_ctx *s, unsigned fd, bool dbl, ir_ref at, bool first)
{
    if (dbl) {
        ir_store(s->b, at, ir_get(s->b, IR_I64, VFP_OFF_D(fd), 8), vfp_memop(s, MEMOP_64, first));
    } else {
        ir_store(s->b, at, ir_get(s->b, IR_I32, VFP_OFF_S(fd), 4), vfp_memop(s, MEMOP_32, first));
    }
}

static ir_ref single_address(struct arm_ctx *s, const struct args_fd_imm_rn_u *a)
{
    return ir_op2i(s->b, a->u ? IR_ADD : IR_SUB, arm_read_base(s, a->rn), a->imm * 4);
}

static bool load_single(struct arm_ctx *s, const struct args_fd_imm_rn_u *a, bool dbl)
{
    if (!vfp_enabled(s)) {
        return false;
    }
    load_reg(s, a->fd, dbl, single_address(s, a), true);
    return true;
}

static bool store_single(struct arm_ctx *s, const struct args_fd_imm_rn_u *a, bool dbl)
{
    if (!vfp_enabled(s) || (a->rn == 15 && s->thumb)) {
        return false;
    }
    store_reg(s, a->fd, dbl, single_address(s, a), true);
    return true;
}

bool trans_VLDR_s(struct arm_ctx *s, const struct arg_VLDR_s *a)
{
    return load_single(s, a, false);
}

bool trans_VLDR_d(struct arm_ctx *s, const struct arg_VLDR_d *a)
{
    return load_single(s, a, true);
}

bool trans_VSTR_s(struct arm_ctx *s, const struct arg_VSTR_s *a)
{
    return store_single(s, a, false);
}

bool trans_VSTR_d(struct arm_ctx *s, const struct arg_VSTR_d *a)
{
    return store_single(s, a, true);
}

/*
 * imm counts words; an odd count of a doubleword form is FLDMX/FSTMX, which transfers the same
 * registers and steps the base by one word more. p = 1: descending, always with writeback.
 */
static bool multiple(struct arm_ctx *s, const struct args_fd_imm_p_rn_w *a, bool dbl, bool load)
{
    unsigned count = dbl ? a->imm / 2 : a->imm;
    unsigned step = dbl ? 8 : 4;
    ir_ref base, low, moved;

    if (!vfp_enabled(s) || !count || a->fd + count > 32 || (dbl && count > 16) ||
        (a->rn == 15 && (a->w || s->thumb))) {
        return false;
    }
    base = arm_read_base(s, a->rn);
    moved = ir_op2i(s->b, a->p ? IR_SUB : IR_ADD, base, a->imm * 4);
    low = a->p ? moved : base;
    for (unsigned i = 0; i < count; i++) {
        ir_ref at = ir_op2i(s->b, IR_ADD, low, i * step);

        if (load) {
            load_reg(s, a->fd + i, dbl, at, i == 0);
        } else {
            store_reg(s, a->fd + i, dbl, at, i == 0);
        }
    }
    if (a->w) {
        arm_write_reg(s, a->rn, moved);
    }
    return true;
}

bool trans_VLDM_s(struct arm_ctx *s, const struct arg_VLDM_s *a)
{
    return multiple(s, a, false, true);
}

bool trans_VLDM_d(struct arm_ctx *s, const struct arg_VLDM_d *a)
{
    return multiple(s, a, true, true);
}

bool trans_VSTM_s(struct arm_ctx *s, const struct arg_VSTM_s *a)
{
    return multiple(s, a, false, false);
}

bool trans_VSTM_d(struct arm_ctx *s, const struct arg_VSTM_d *a)
{
    return multiple(s, a, true, false);
}
