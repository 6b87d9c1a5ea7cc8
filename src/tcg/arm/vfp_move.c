/* SPDX-License-Identifier: MIT */
/*
 * Transfers between core and extension registers, VDUP from a core register, and the VFP system
 * registers. Arm ARM A8.8.311 (VDUP), A8.8.341-A8.8.345 (VMOV), A8.8.348, A8.8.349, B9.3.22,
 * B9.3.23 (VMRS, VMSR).
 *
 * Threads: the translating vCPU thread; the helpers run on it too.
 */
#include "vfp.h"

enum { REG_FPSID = 0, REG_FPSCR = 1, REG_MVFR2 = 5, REG_MVFR1 = 6, REG_MVFR0 = 7, REG_FPEXC = 8 };

bool trans_VMOV_core_s(struct arm_ctx *s, const struct arg_VMOV_core_s *a)
{
    if (!vfp_enabled(s)) {
        return false;
    }
    ir_put(s->b, VFP_OFF_S(a->fn), 4, arm_read_reg(s, a->rt));
    return true;
}

bool trans_VMOV_s_core(struct arm_ctx *s, const struct arg_VMOV_s_core *a)
{
    if (!vfp_enabled(s)) {
        return false;
    }
    arm_write_reg(s, a->rt, ir_get(s->b, IR_I32, VFP_OFF_S(a->fn), 4));
    return true;
}

/* opc1:opc2 names size and index: 1xxx byte, 0xx1 halfword, 0x00 word (A7.8, table A7-19). */
static bool lane_of(uint32_t opc1, uint32_t opc2, unsigned *size, unsigned *byte)
{
    uint32_t sel = opc1 << 2 | opc2;

    if (sel & 8) {
        *size = 1;
        *byte = sel & 7;
    } else if (sel & 1) {
        *size = 2;
        *byte = (sel >> 1 & 3) * 2;
    } else {
        *size = 4;
        *byte = (sel >> 2 & 1) * 4;
        return !(sel & 2);
    }
    return true;
}

/* The word forms are VFP, the others Advanced SIMD. */
static bool lane_enabled(const struct arm_ctx *s, unsigned size)
{
    return (size == 4 || (s->exec & EXEC_NEON)) && vfp_enabled(s);
}

bool trans_VMOV_core_lane(struct arm_ctx *s, const struct arg_VMOV_core_lane *a)
{
    unsigned size, byte;

    if (!lane_of(a->opc1, a->opc2, &size, &byte) || !lane_enabled(s, size)) {
        return false;
    }
    ir_put(s->b, VFP_OFF_D(a->fn) + byte, size, arm_read_reg(s, a->rt));
    return true;
}

bool trans_VMOV_lane_core(struct arm_ctx *s, const struct arg_VMOV_lane_core *a)
{
    unsigned size, byte;
    ir_ref v;

    if (!lane_of(a->opc1, a->opc2, &size, &byte) || !lane_enabled(s, size) ||
        (a->unsig && size == 4)) {
        return false;
    }
    v = ir_get(s->b, IR_I32, VFP_OFF_D(a->fn) + byte, size);
    if (!a->unsig && size < 4) {
        v = ir_op1(s->b, size == 1 ? IR_SEXT8 : IR_SEXT16, v);
    }
    arm_write_reg(s, a->rt, v);
    return true;
}

bool trans_VDUP_core(struct arm_ctx *s, const struct arg_VDUP_core *a)
{
    unsigned size = a->b ? 1 : a->e ? 2 : 4;
    ir_ref v;

    if (!vfp_enabled(s) || !(s->exec & EXEC_NEON) || (a->q && (a->fn & 1)) || (a->b && a->e)) {
        return false;
    }
    v = ir_vop(s->b, IR_VDUP, size, arm_read_reg(s, a->rt), 0, 0);
    ir_put(s->b, VFP_OFF_D(a->fn), a->q ? 16 : 8, v);
    return true;
}

bool trans_VMOV_core2_s(struct arm_ctx *s, const struct arg_VMOV_core2_s *a)
{
    if (!vfp_enabled(s) || a->fm == 31) {
        return false;
    }
    ir_put(s->b, VFP_OFF_S(a->fm), 4, arm_read_reg(s, a->rt));
    ir_put(s->b, VFP_OFF_S(a->fm + 1), 4, arm_read_reg(s, a->rt2));
    return true;
}

bool trans_VMOV_s_core2(struct arm_ctx *s, const struct arg_VMOV_s_core2 *a)
{
    if (!vfp_enabled(s) || a->fm == 31 || a->rt == a->rt2) {
        return false;
    }
    arm_write_reg(s, a->rt, ir_get(s->b, IR_I32, VFP_OFF_S(a->fm), 4));
    arm_write_reg(s, a->rt2, ir_get(s->b, IR_I32, VFP_OFF_S(a->fm + 1), 4));
    return true;
}

bool trans_VMOV_core2_d(struct arm_ctx *s, const struct arg_VMOV_core2_d *a)
{
    if (!vfp_enabled(s)) {
        return false;
    }
    ir_put(s->b, VFP_OFF_D(a->fm), 8,
           ir_op2(s->b, IR_PAIR, arm_read_reg(s, a->rt), arm_read_reg(s, a->rt2)));
    return true;
}

bool trans_VMOV_d_core2(struct arm_ctx *s, const struct arg_VMOV_d_core2 *a)
{
    ir_ref v;

    if (!vfp_enabled(s) || a->rt == a->rt2) {
        return false;
    }
    v = ir_get(s->b, IR_I64, VFP_OFF_D(a->fm), 8);
    arm_write_reg(s, a->rt, ir_op1(s->b, IR_TRUNC, v));
    arm_write_reg(s, a->rt2, ir_op1(s->b, IR_HI32, v));
    return true;
}

/* ---- system registers ---- */
/* FPSCR needs VFP enabled; the others privilege and access to the coprocessor only (B1.11.3). */
static bool sysreg_accessible(const struct arm_ctx *s, uint32_t reg)
{
    if (reg == REG_MVFR2 && !arm_has(s, ARM_FEAT_V8_AARCH32)) {
        return false;
    }
    if (reg == REG_FPSCR) {
        return vfp_enabled(s);
    }
    return s->privileged && (s->exec & EXEC_CPACR);
}

bool trans_VMRS(struct arm_ctx *s, const struct arg_VMRS *a)
{
    ir_ref v;

    if (!sysreg_accessible(s, a->reg) || (a->rt == 15 && a->reg != REG_FPSCR)) {
        return false;
    }
    switch (a->reg) {
    case REG_FPSCR:
        if (a->rt == 15) {
            v = ir_get(s->b, IR_I32, ARM_OFF(fpscr_nzcv), 4);
            arm_set_nzcv(s, v, s->b->node[v].op == IR_FCMP);
            return true;
        }
        v = ir_call(s->b, IR_I32, "fpscr_read", (void *)arm_helper_fpscr_read, CALL_READS, 0, NULL);
        break;
    case REG_FPEXC:
        v = ir_get(s->b, IR_I32, ARM_OFF(fpexc), 4);
        break;
    case REG_MVFR2:
    case REG_FPSID:
    case REG_MVFR0:
    case REG_MVFR1:
        v = ir_call(s->b, IR_I32, "vfp_id", (void *)arm_vfp_id, CALL_READS, 1,
                    (ir_ref[]){arm_imm(s, a->reg)});
        break;
    default:
        return false;
    }
    arm_write_reg(s, a->rt, v);
    return true;
}

bool trans_VMSR(struct arm_ctx *s, const struct arg_VMSR *a)
{
    if (!sysreg_accessible(s, a->reg)) {
        return false;
    }
    switch (a->reg) {
    case REG_FPSCR:
        arm_sync_it(s);
        arm_call(s, "fpscr_write", (void *)arm_helper_fpscr_write, CALL_STATE,
                 arm_read_reg(s, a->rt), 0, 0);
        arm_exit_changed(s);
        return true;
    case REG_FPEXC:
        arm_sync_it(s);
        arm_call(s, "fpexc_write", (void *)arm_fpexc_write, CALL_STATE, arm_read_reg(s, a->rt), 0,
                 0);
        arm_exit_changed(s);
        return true;
    case REG_FPSID: /* read-only: writes are ignored */
        return true;
    default:
        return false;
    }
}
