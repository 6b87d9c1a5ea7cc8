/* SPDX-License-Identifier: MIT */
/*
 * VFP arithmetic. Arm ARM A7.5.
 *
 * Add, subtract, multiply, divide, square root and multiply-accumulate are floating-point nodes of
 * the IR: host instructions that fall back on the exact helper of the operation where their result
 * or flags might be others than the Arm ARM's. The multiply-accumulates that round twice are two
 * nodes, just as the helpers compose them. With a rounding mode or short vectors in FPSCR
 * (EXEC_FPSPECIAL) helpers do everything.
 *
 * Threads: the translating vCPU thread.
 */
#include "vfp.h"
#include "vfp_helpers.h"

#define FPSCR_LEN_STRIDE 0x00370000u

static void helper_short_vectors(struct vcpu *v)
{
    if (v->fpscr_rest & FPSCR_LEN_STRIDE) {
        vcpu_raise(v, VCPU_RA(), ARM_EXC_UNDEF, 0, 0);
    }
}

bool vfp_vector_op(struct arm_ctx *s)
{
    if (!vfp_enabled(s)) {
        return false;
    }
    if (s->exec & EXEC_FPSPECIAL) {
        ir_call(s->b, IR_VOID, "short_vectors", (void *)helper_short_vectors, CALL_RAISES, 0, NULL);
    }
    return true;
}

/* Registers as operands of host instructions. */
static ir_ref read_scalar(struct arm_ctx *s, unsigned n, unsigned size)
{
    return ir_get(s->b, IR_V128, vfp_off(n, size), size);
}

static void write_scalar(struct arm_ctx *s, unsigned n, unsigned size, ir_ref v)
{
    ir_put(s->b, vfp_off(n, size), size, v);
}

/*
 * An operation on scalars: operand registers by number, and how the helper is called. Unary
 * operations use fm only; accumulating ones read fd as well.
 */
struct scalar_op {
    const char *name;
    void *helper;
    unsigned fd, fn, fm, size;
};

static bool by_helper(struct arm_ctx *s, const struct scalar_op *o, bool unary, bool accumulate)
{
    ir_ref m, args[3] = {0};
    unsigned n = 0;

    if (!vfp_vector_op(s)) {
        return false;
    }
    m = vfp_get(s, o->fm, o->size);
    if (!unary) {
        args[n++] = vfp_get(s, o->fn, o->size);
    }
    args[n++] = m;
    if (accumulate) {
        args[n++] = vfp_get(s, o->fd, o->size);
    }
    vfp_put_call(s, o->fd, o->size, o->name, o->helper, args[0], args[1], args[2]);
    return true;
}

static ir_ref node(struct arm_ctx *s, enum ir_op op, const struct scalar_op *o, ir_ref x, ir_ref y,
                   ir_ref z)
{
    struct ir_float f = {
        .name = o->name, .helper = o->helper, .size = (uint8_t)o->size, .how = vfp_how(s)};

    return ir_fop(s->b, op, &f, x, y, z);
}

static bool host_op(struct arm_ctx *s, const struct scalar_op *o, enum ir_op op)
{
    bool unary = op == IR_FSQRT;
    ir_ref x, y;

    if (!vfp_enabled(s) || !vfp_on_host(s)) {
        return by_helper(s, o, unary, false);
    }
    x = read_scalar(s, unary ? o->fm : o->fn, o->size);
    y = unary ? 0 : read_scalar(s, o->fm, o->size);
    write_scalar(s, o->fd, o->size, node(s, op, o, x, y, 0));
    return true;
}

/* A mask of lane 0: its sign bit, or all others. */
static ir_ref sign_mask(struct arm_ctx *s, unsigned size, bool others)
{
    uint64_t sign = UINT64_C(1) << (8 * size - 1), mask = others ? sign - 1 : sign;

    return ir_op1(s->b, IR_ITOV, size == 8 ? ir_const64(s->b, mask) : arm_imm(s, (uint32_t)mask));
}

static ir_ref negate_if(struct arm_ctx *s, bool negate, ir_ref v, unsigned size)
{
    return negate ? ir_vop(s->b, IR_VXOR, 8, v, sign_mask(s, size, false), 0) : v;
}

/* What a multiply-accumulate negates. */
struct signs {
    bool d, product;
};

/* (+-)fd + (+-)(fn * fm), rounded twice; without `accumulate` the negated product alone (VNMUL). */
static bool host_multiply(struct arm_ctx *s, const struct scalar_op *o, bool accumulate,
                          struct signs negate)
{
    static const struct scalar_op products[2] = {
        {.name = "vmul.f32", .helper = (void *)vfp_helper_vmul_f32, .size = 4},
        {.name = "vmul.f64", .helper = (void *)vfp_helper_vmul_f64, .size = 8}};
    static const struct scalar_op sums[2] = {
        {.name = "vadd.f32", .helper = (void *)vfp_helper_vadd_f32, .size = 4},
        {.name = "vadd.f64", .helper = (void *)vfp_helper_vadd_f64, .size = 8}};
    bool dbl = o->size == 8;
    ir_ref r, d;

    if (!vfp_enabled(s) || !vfp_on_host(s)) {
        return by_helper(s, o, false, accumulate);
    }
    r = node(s, IR_FMUL, &products[dbl], read_scalar(s, o->fn, o->size),
             read_scalar(s, o->fm, o->size), 0);
    r = negate_if(s, negate.product, r, o->size);
    if (accumulate) {
        d = negate_if(s, negate.d, read_scalar(s, o->fd, o->size), o->size);
        r = node(s, IR_FADD, &sums[dbl], d, r, 0);
    }
    write_scalar(s, o->fd, o->size, r);
    return true;
}

/* (+-)fd + (+-)fn * fm, rounded once: the product's sign is that of fn. */
static bool host_fused(struct arm_ctx *s, const struct scalar_op *o, struct signs negate)
{
    static const struct scalar_op fused[2] = {
        {.name = "vfma.f32", .helper = (void *)vfp_helper_vfma_f32, .size = 4},
        {.name = "vfma.f64", .helper = (void *)vfp_helper_vfma_f64, .size = 8}};
    ir_ref x, d;

    if (!vfp_enabled(s) || !vfp_on_host(s)) {
        return by_helper(s, o, false, true);
    }
    x = negate_if(s, negate.product, read_scalar(s, o->fn, o->size), o->size);
    d = negate_if(s, negate.d, read_scalar(s, o->fd, o->size), o->size);
    write_scalar(s, o->fd, o->size,
                 node(s, IR_FMA, &fused[o->size == 8], x, read_scalar(s, o->fm, o->size), d));
    return true;
}

#define SCALAR_OP(name, N, a_fn)                                                   \
    &(struct scalar_op)                                                            \
    {                                                                              \
#name ".f" #N, (void *)vfp_helper_##name##_f##N, a->fd, a_fn, a->fm, N / 8 \
    }

/* Trans functions for S and D registers; `call` sees o. */
#define BOTH(NAME, name, a_fn, call)                                         \
    bool trans_##NAME##_s(struct arm_ctx *s, const struct arg_##NAME##_s *a) \
    {                                                                        \
        const struct scalar_op *o = SCALAR_OP(name, 32, a_fn);               \
                                                                             \
        return call;                                                         \
    }                                                                        \
    bool trans_##NAME##_d(struct arm_ctx *s, const struct arg_##NAME##_d *a) \
    {                                                                        \
        const struct scalar_op *o = SCALAR_OP(name, 64, a_fn);               \
                                                                             \
        return call;                                                         \
    }
BOTH(VADD, vadd, a->fn, host_op(s, o, IR_FADD))
BOTH(VSUB, vsub, a->fn, host_op(s, o, IR_FSUB))
BOTH(VMUL, vmul, a->fn, host_op(s, o, IR_FMUL))
BOTH(VDIV, vdiv, a->fn, host_op(s, o, IR_FDIV))
BOTH(VSQRT, vsqrt, 0, host_op(s, o, IR_FSQRT))
BOTH(VNMUL, vnmul, a->fn, host_multiply(s, o, false, (struct signs){.product = true}))
BOTH(VMLA, vmla, a->fn, host_multiply(s, o, true, (struct signs){false}))
BOTH(VMLS, vmls, a->fn, host_multiply(s, o, true, (struct signs){.product = true}))
BOTH(VNMLS, vnmls, a->fn, host_multiply(s, o, true, (struct signs){.d = true}))
BOTH(VNMLA, vnmla, a->fn, host_multiply(s, o, true, (struct signs){true, true}))
BOTH(VFMA, vfma, a->fn, host_fused(s, o, (struct signs){false}))
BOTH(VFMS, vfms, a->fn, host_fused(s, o, (struct signs){.product = true}))
BOTH(VFNMS, vfnms, a->fn, host_fused(s, o, (struct signs){.d = true}))
BOTH(VFNMA, vfnma, a->fn, host_fused(s, o, (struct signs){true, true}))

/* ---- moves, sign operations: bits only ---- */
static bool sign_op(struct arm_ctx *s, unsigned fd, unsigned fm, bool dbl, enum ir_op op,
                    bool operate)
{
    unsigned size = dbl ? 8 : 4;
    ir_ref v;

    if (!vfp_vector_op(s)) {
        return false;
    }
    v = read_scalar(s, fm, size);
    if (operate) {
        v = ir_vop(s->b, op, 8, v, sign_mask(s, size, op == IR_VAND), 0);
    }
    write_scalar(s, fd, size, v);
    return true;
}

#define SIGN_OP(NAME, op, operate)                                           \
    bool trans_##NAME##_s(struct arm_ctx *s, const struct arg_##NAME##_s *a) \
    {                                                                        \
        return sign_op(s, a->fd, a->fm, false, op, operate);                 \
    }                                                                        \
    bool trans_##NAME##_d(struct arm_ctx *s, const struct arg_##NAME##_d *a) \
    {                                                                        \
        return sign_op(s, a->fd, a->fm, true, op, operate);                  \
    }
SIGN_OP(VMOV, IR_NOP, false)
SIGN_OP(VABS, IR_VAND, true)
SIGN_OP(VNEG, IR_VXOR, true)

/* VFPExpandImm(): sign, exponent of three bits, fraction of four (A7.5.1). */
bool trans_VMOV_imm_s(struct arm_ctx *s, const struct arg_VMOV_imm_s *a)
{
    uint32_t w =
        (a->imm >> 7) << 31 | ((a->imm & 0x40) ? 0x3e000000u : 0x40000000u) | (a->imm & 0x3f) << 19;

    if (!vfp_vector_op(s)) {
        return false;
    }
    ir_put(s->b, VFP_OFF_S(a->fd), 4, arm_imm(s, w));
    return true;
}

bool trans_VMOV_imm_d(struct arm_ctx *s, const struct arg_VMOV_imm_d *a)
{
    uint64_t d = (uint64_t)(a->imm >> 7) << 63 |
                 ((a->imm & 0x40) ? UINT64_C(0x3fc0) << 48 : UINT64_C(0x4000) << 48) |
                 (uint64_t)(a->imm & 0x3f) << 48;

    if (!vfp_vector_op(s)) {
        return false;
    }
    ir_put(s->b, VFP_OFF_D(a->fd), 8, ir_const64(s->b, d));
    return true;
}
