/* SPDX-License-Identifier: MIT */
/*
 * VFP comparison, conversion and rounding. Comparisons and conversions between single, double and
 * 32-bit integers are floating-point nodes of the IR while FPSCR has no rounding mode; the others
 * are one helper call each. Arm ARM A8.8.303-A8.8.310 (VCMP, VCVT), ARMv8 F6.1 (VRINT).
 *
 * Threads: the translating vCPU thread.
 */
#include "fp/fp.h"
#include "vfp.h"
#include "vfp_helpers.h"

#define HELPER(name) #name, (void *)vfp_helper_##name

/* A node of one or two operands, whose helper takes `last` after them if has_last. */
static ir_ref node(struct arm_ctx *s, enum ir_op op, const struct ir_float *f, ir_ref x, ir_ref y)
{
    struct ir_float with = *f;

    with.how |= vfp_how(s);
    return ir_fop(s->b, op, &with, x, y, 0);
}

static ir_ref get_vector(struct arm_ctx *s, unsigned n, unsigned size)
{
    return ir_get(s->b, IR_V128, vfp_off(n, size), size);
}

/* ---- comparison with a register, or zero: fm < 0 ---- */
static bool compare(struct arm_ctx *s, const char *name, void *helper, unsigned size, unsigned fd,
                    int fm, uint32_t signalling)
{
    struct ir_float f = {.name = name,
                         .helper = helper,
                         .size = (uint8_t)size,
                         .how = signalling ? IR_FP_SIGNALLING : 0,
                         .has_last = true,
                         .last = signalling};
    ir_ref zero = size == 8 ? ir_const64(s->b, 0) : arm_imm(s, 0), r;

    if (vfp_on_host(s)) {
        ir_ref m = fm < 0 ? ir_op1(s->b, IR_ITOV, zero) : get_vector(s, (unsigned)fm, size);

        r = node(s, IR_FCMP, &f, get_vector(s, fd, size), m);
    } else {
        ir_ref m = fm < 0 ? zero : vfp_get(s, (unsigned)fm, size);

        r = ir_call(s->b, IR_I32, name, helper, 0, 3,
                    (ir_ref[]){vfp_get(s, fd, size), m, arm_imm(s, signalling)});
    }
    ir_put(s->b, ARM_OFF(fpscr_nzcv), 4, r);
    return true;
}

bool trans_VCMP_s(struct arm_ctx *s, const struct arg_VCMP_s *a)
{
    return vfp_enabled(s) && compare(s, HELPER(vcmp_f32), 4, a->fd, (int)a->fm, a->e);
}

bool trans_VCMP_d(struct arm_ctx *s, const struct arg_VCMP_d *a)
{
    return vfp_enabled(s) && compare(s, HELPER(vcmp_f64), 8, a->fd, (int)a->fm, a->e);
}

bool trans_VCMP_zero_s(struct arm_ctx *s, const struct arg_VCMP_zero_s *a)
{
    return vfp_enabled(s) && compare(s, HELPER(vcmp_f32), 4, a->fd, -1, a->e);
}

bool trans_VCMP_zero_d(struct arm_ctx *s, const struct arg_VCMP_zero_d *a)
{
    return vfp_enabled(s) && compare(s, HELPER(vcmp_f64), 8, a->fd, -1, a->e);
}

/* ---- from register fm of one size to fd of another; `how` goes to the helper unless it is 0 ----
 */
static bool convert(struct arm_ctx *s, const char *name, void *helper, unsigned to_size,
                    unsigned fd, unsigned from_size, unsigned fm, ir_ref how)
{
    vfp_put_call(s, fd, to_size, name, helper, vfp_get(s, fm, from_size), how, 0);
    return true;
}

/* Between single and double precision. */
static bool resize(struct arm_ctx *s, const char *name, void *helper, unsigned fd,
                   unsigned from_size, unsigned fm)
{
    struct ir_float f = {.name = name, .helper = helper, .size = (uint8_t)from_size};
    unsigned to_size = 12 - from_size;

    if (!vfp_on_host(s)) {
        return convert(s, name, helper, to_size, fd, from_size, fm, 0);
    }
    ir_put(s->b, vfp_off(fd, to_size), to_size,
           node(s, IR_FCVT, &f, get_vector(s, fm, from_size), 0));
    return true;
}

bool trans_VCVT_ds(struct arm_ctx *s, const struct arg_VCVT_ds *a)
{
    return vfp_enabled(s) && resize(s, HELPER(vcvt_f64_f32), a->fd, 4, a->fm);
}

bool trans_VCVT_sd(struct arm_ctx *s, const struct arg_VCVT_sd *a)
{
    return vfp_enabled(s) && resize(s, HELPER(vcvt_f32_f64), a->fd, 8, a->fm);
}

static bool from_int(struct arm_ctx *s, const char *name, void *helper, unsigned size, unsigned fd,
                     unsigned fm, uint32_t sig)
{
    struct ir_float f = {.size = (uint8_t)size, .how = sig ? 0 : IR_FP_UNSIGNED};

    if (!vfp_on_host(s)) {
        return convert(s, name, helper, size, fd, 4, fm, arm_imm(s, sig ? 0 : VFP_UNSIGNED));
    }
    ir_put(s->b, vfp_off(fd, size), size, node(s, IR_ITOF, &f, vfp_get(s, fm, 4), 0));
    return true;
}

bool trans_VCVT_from_int_s(struct arm_ctx *s, const struct arg_VCVT_from_int_s *a)
{
    return vfp_enabled(s) && from_int(s, HELPER(from_int_f32), 4, a->fd, a->fm, a->sig);
}

bool trans_VCVT_from_int_d(struct arm_ctx *s, const struct arg_VCVT_from_int_d *a)
{
    return vfp_enabled(s) && from_int(s, HELPER(from_int_f64), 8, a->fd, a->fm, a->sig);
}

/* VCVT rounds towards zero, VCVTR (z = 0) as FPSCR says: to nearest, on the host. */
static bool to_int(struct arm_ctx *s, const char *name, void *helper, unsigned size, unsigned fd,
                   unsigned fm, uint32_t sig, uint32_t z)
{
    struct ir_float f = {
        .name = name,
        .helper = helper,
        .size = (uint8_t)size,
        .how = (uint8_t)((sig ? 0 : IR_FP_UNSIGNED) | (z ? 0 : IR_FP_NEAREST)),
        .has_last = true,
        .last = (sig ? 0 : VFP_UNSIGNED) | (z ? VFP_ROUND(FP_RZ) : VFP_AS_FPSCR),
    };

    if (!vfp_on_host(s)) {
        return convert(s, name, helper, 4, fd, size, fm, arm_imm(s, f.last));
    }
    ir_put(s->b, VFP_OFF_S(fd), 4, node(s, IR_FTOI, &f, get_vector(s, fm, size), 0));
    return true;
}

bool trans_VCVT_to_int_s(struct arm_ctx *s, const struct arg_VCVT_to_int_s *a)
{
    return vfp_enabled(s) && to_int(s, HELPER(to_int_f32), 4, a->fd, a->fm, a->sig, a->z);
}

bool trans_VCVT_to_int_d(struct arm_ctx *s, const struct arg_VCVT_to_int_d *a)
{
    return vfp_enabled(s) && to_int(s, HELPER(to_int_f64), 8, a->fd, a->fm, a->sig, a->z);
}

/*
 * Fixed point, in place. Fraction bits are the integer's size less the immediate; a negative number
 * of them is UNPREDICTABLE.
 */
static bool fixed(struct arm_ctx *s, const char *name, void *helper, unsigned size, unsigned fd,
                  uint32_t imm, uint32_t how)
{
    uint32_t width = (how & VFP_WIDE) ? 32 : 16;

    if (!vfp_enabled(s) || imm > width) {
        return false;
    }
    vfp_put_call(s, fd, size, name, helper, vfp_get(s, fd, size), arm_imm(s, how),
                 arm_imm(s, width - imm));
    return true;
}

bool trans_VCVT_fixed_s(struct arm_ctx *s, const struct arg_VCVT_fixed_s *a)
{
    uint32_t how = (a->unsig ? VFP_UNSIGNED : 0) | (a->sx ? VFP_WIDE : 0);

    return a->op ? fixed(s, HELPER(to_fixed_f32), 4, a->fd, a->imm, how)
                 : fixed(s, HELPER(from_fixed_f32), 4, a->fd, a->imm, how);
}

bool trans_VCVT_fixed_d(struct arm_ctx *s, const struct arg_VCVT_fixed_d *a)
{
    uint32_t how = (a->unsig ? VFP_UNSIGNED : 0) | (a->sx ? VFP_WIDE : 0);

    return a->op ? fixed(s, HELPER(to_fixed_f64), 8, a->fd, a->imm, how)
                 : fixed(s, HELPER(from_fixed_f64), 8, a->fd, a->imm, how);
}

/* ---- half precision; to and from double came with ARMv8 ---- */
static bool to_half(struct arm_ctx *s, const char *name, void *helper, unsigned fd,
                    unsigned from_size, unsigned fm, uint32_t top)
{
    vfp_put_call(s, fd, 4, name, helper, vfp_get(s, fm, from_size), vfp_get(s, fd, 4),
                 arm_imm(s, top));
    return true;
}

bool trans_VCVT_from_half_s(struct arm_ctx *s, const struct arg_VCVT_from_half_s *a)
{
    return vfp_enabled(s) &&
           convert(s, HELPER(from_half_f32), 4, a->fd, 4, a->fm, arm_imm(s, a->t));
}

bool trans_VCVT_to_half_s(struct arm_ctx *s, const struct arg_VCVT_to_half_s *a)
{
    return vfp_enabled(s) && to_half(s, HELPER(to_half_f32), a->fd, 4, a->fm, a->t);
}

static bool v8_enabled(const struct arm_ctx *s)
{
    return vfp_enabled(s) && arm_has(s, ARM_FEAT_V8_AARCH32);
}

bool trans_VCVT_from_half_d(struct arm_ctx *s, const struct arg_VCVT_from_half_d *a)
{
    return v8_enabled(s) && convert(s, HELPER(from_half_f64), 8, a->fd, 4, a->fm, arm_imm(s, a->t));
}

bool trans_VCVT_to_half_d(struct arm_ctx *s, const struct arg_VCVT_to_half_d *a)
{
    return v8_enabled(s) && to_half(s, HELPER(to_half_f64), a->fd, 8, a->fm, a->t);
}

/* ---- VRINTR, VRINTZ, VRINTX: ARMv8. The block's flags say only whether FPSCR's mode is the usual
   one, so the helper looks at it ---- */
#define ROUND(NAME, how)                                                           \
    bool trans_##NAME##_s(struct arm_ctx *s, const struct arg_##NAME##_s *a)       \
    {                                                                              \
        return v8_enabled(s) &&                                                    \
               convert(s, HELPER(vrint_f32), 4, a->fd, 4, a->fm, arm_imm(s, how)); \
    }                                                                              \
    bool trans_##NAME##_d(struct arm_ctx *s, const struct arg_##NAME##_d *a)       \
    {                                                                              \
        return v8_enabled(s) &&                                                    \
               convert(s, HELPER(vrint_f64), 8, a->fd, 8, a->fm, arm_imm(s, how)); \
    }
ROUND(VRINTR, VFP_AS_FPSCR)
ROUND(VRINTZ, FP_RZ)
ROUND(VRINTX, VFP_AS_FPSCR | VFP_INEXACT)
