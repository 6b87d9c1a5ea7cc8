/* SPDX-License-Identifier: MIT */
/*
 * Floating-point nodes: where the host's result counts it is the compiler's, where it might not be
 * ARM's the helper is called with the operands, its result taken, and everything else that lives
 * survives; with FMA and without, with operands in registers and on the stack.
 */
#include "rig.c.inc"
#include <float.h>
#include <math.h>

#define OFF_V(n)  ((uint32_t)(offsetof(struct vcpu, vfp) + 16 * (n)))
#define OFF_R(n)  ((uint32_t)(offsetof(struct vcpu, r) + 4 * (n)))
#define MARK      UINT64_C(0x123456789abcdef0)
#define LAST      0x76543210u /* the helper's last argument */
#define FPSCR_IXC 0x10u
#define KEPT      20

static struct {
    unsigned calls;
    uint64_t arg[4];
} seen;

/* What a helper may destroy it destroys. */
static uint64_t helper(struct vcpu *v, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)v;
    seen.calls++;
    memcpy(seen.arg, (uint64_t[]){a, b, c, d}, sizeof(seen.arg));
    __asm__ volatile(
        "pxor %%xmm0, %%xmm0\n\tpxor %%xmm1, %%xmm1\n\tpxor %%xmm2, %%xmm2\n\t"
        "pxor %%xmm3, %%xmm3\n\tpxor %%xmm4, %%xmm4\n\tpxor %%xmm5, %%xmm5\n\t"
        "pxor %%xmm6, %%xmm6\n\tpxor %%xmm7, %%xmm7\n\tpxor %%xmm8, %%xmm8\n\t"
        "pxor %%xmm9, %%xmm9\n\tpxor %%xmm10, %%xmm10\n\tpxor %%xmm11, %%xmm11\n\t"
        "pxor %%xmm12, %%xmm12\n\tpxor %%xmm13, %%xmm13\n\tpxor %%xmm14, %%xmm14\n\t"
        "pxor %%xmm15, %%xmm15\n\t"
        "xor %%ecx, %%ecx\n\txor %%edx, %%edx\n\txor %%esi, %%esi\n\txor %%edi, %%edi\n\t"
        "xor %%r8d, %%r8d\n\txor %%r9d, %%r9d\n\txor %%r10d, %%r10d\n\txor %%r11d, %%r11d" ::
            : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "xmm0", "xmm1", "xmm2", "xmm3",
              "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13",
              "xmm14", "xmm15");
    return MARK;
}

static double as_number(uint64_t bits, unsigned size)
{
    double d;
    float f;
    memcpy(&d, &bits, 8);
    memcpy(&f, &bits, 4);
    return size == 8 ? d : (double)f;
}

static uint64_t as_bits(double d, unsigned size)
{
    uint64_t bits = 0;
    float f = (float)d;
    memcpy(&bits, size == 8 ? (void *)&d : (void *)&f, size);
    return bits;
}

static bool subnormal(double x, unsigned size)
{
    return x != 0 && fabs(x) < (size == 8 ? DBL_MIN : (double)FLT_MIN);
}

/* ---- blocks: op(V0, V1, V2) to V3 or R12 ---- */
static bool gives_integer(unsigned op)
{
    return op == IR_FCMP || op == IR_FTOI;
}

static void build(unsigned op, unsigned size, unsigned how, bool pressure)
{
    struct ir_block *b = rig.b;
    struct ir_float f = {.name = "helper",
                         .helper = (void *)helper,
                         .size = (uint8_t)size,
                         .how = (uint8_t)how,
                         .has_last = true,
                         .last = LAST};
    ir_ref in[3], keep[KEPT] = {0}, words[12] = {0}, r;
    unsigned args = ir_ops[op].nargs;
    ir_block_reset(b, 0x1000, 0, false);
    for (unsigned k = 0; k < 3; k++)
        in[k] = ir_get(b, IR_V128, OFF_V(k), size);
    for (unsigned k = 0; pressure && k < KEPT; k++)
        keep[k] = ir_vop(b, IR_VADD, 1, ir_get(b, IR_V128, OFF_V(4 + k % 8), 16), in[0], 0);
    for (unsigned k = 0; pressure && k < 12; k++)
        words[k] = ir_op2i(b, IR_ADD, ir_get(b, IR_I32, OFF_R(k), 4), 5);
    if (op == IR_ITOF)
        in[0] = ir_get(b, IR_I32, OFF_V(0), 4);
    r = ir_fop(b, (enum ir_op)op, &f, in[0], args > 1 ? in[1] : 0, args > 2 ? in[2] : 0);
    if (gives_integer(op))
        ir_put(b, OFF_R(12), 4, r);
    else
        ir_put(b, OFF_V(3), 16, r);
    for (unsigned k = 0; pressure && k < KEPT; k++)
        ir_put(b, OFF_V(4 + k % 8), 16, keep[k]);
    for (unsigned k = 0; pressure && k < 12; k++)
        ir_put(b, OFF_R(k), 4, words[k]);
    ir_exit(b, TCG_EXIT_WFI);
    cr_assert_null(ir_verify(b), "%s", ir_verify(b));
    ir_optimize(b);
    cr_assert_eq(rig_compile(), 0);
}

struct outcome {
    uint64_t bits; /* of the result */
    bool called;
};

static struct outcome run(unsigned op, unsigned size, const uint64_t in[3], bool pressure)
{
    struct outcome o;
    uint8_t want[8][16];
    for (unsigned k = 0; k < 32; k++)
        rig.v->vfp.d[k] = UINT64_C(0x0102030405060708) * (k + 1);
    for (unsigned k = 0; k < 3; k++)
        memcpy(rig.v->vfp.v + 16 * k, &in[k], size);
    for (unsigned k = 0; k < 8; k++) /* operand 0 is added to what is kept */
        for (unsigned i = 0; i < 16; i++)
            want[k][i] =
                (uint8_t)(rig.v->vfp.v[16 * (4 + k) + i] + (i < size ? rig.v->vfp.v[i] : 0));
    for (unsigned k = 0; k < 12; k++)
        rig.v->r[k] = 1000 * k;
    seen.calls = 0;
    cr_assert_eq(rig_run(), TCG_EXIT_WFI);
    cr_assert_leq(seen.calls, 1u);
    o.called = seen.calls;
    for (unsigned k = 0; o.called && k < ir_ops[op].nargs; k++)
        cr_assert_eq(seen.arg[k] & (size == 8 ? ~0ull : 0xffffffffull), in[k], "argument %u", k);
    if (o.called)
        cr_assert_eq((uint32_t)seen.arg[ir_ops[op].nargs], LAST);
    for (unsigned k = 0; pressure && k < 8; k++)
        cr_assert(!memcmp(rig.v->vfp.v + 16 * (4 + k), want[k], 16), "%s: vector %u is lost",
                  ir_op_name((enum ir_op)op), k);
    for (unsigned k = 0; pressure && k < 12; k++)
        cr_assert_eq(rig.v->r[k], 1000 * k + 5);
    o.bits = gives_integer(op) ? rig.v->r[12] : rig.v->vfp.d[6];
    cr_assert(gives_integer(op) || !rig.v->vfp.d[7], "zeros above");
    return o;
}

/* ---- what to expect ---- */
static double evaluate(unsigned op, unsigned size, double x, double y, double z)
{
    switch (op) {
    case IR_FADD:
        return size == 8 ? x + y : (float)x + (float)y;
    case IR_FSUB:
        return size == 8 ? x - y : (float)x - (float)y;
    case IR_FMUL:
        return size == 8 ? x * y : (float)x * (float)y;
    case IR_FDIV:
        return size == 8 ? x / y : (float)x / (float)y;
    case IR_FSQRT:
        return size == 8 ? sqrt(x) : sqrtf((float)x);
    case IR_FMA:
        return size == 8 ? fma(x, y, z) : fmaf((float)x, (float)y, (float)z);
    default: /* FCVT */
        return size == 8 ? (double)(float)x : x;
    }
}

static unsigned size_of_result(unsigned op, unsigned size)
{
    return op == IR_FCVT ? 12 - size : size;
}

/* Does the helper have to be called, whatever else? */
static bool must_call(unsigned op, unsigned size, unsigned how, const double in[3], double r)
{
    unsigned to = size_of_result(op, size);
    if (isnan(r) || (op == IR_FMA && !x64_cpu.fma))
        return true;
    for (unsigned k = 0; (how & IR_FP_FZ) && k < ir_ops[op].nargs; k++)
        if (subnormal(in[k], size))
            return true;
    if (op == IR_FMUL && fabs(r) == (size == 8 ? DBL_MIN : (double)FLT_MIN))
        return true;
    if (!(how & IR_FP_FZ))
        return false;
    return subnormal(r, to);
}

/* A result far from everything special is the host's alone. */
static bool must_not_call(unsigned op, unsigned size, unsigned how, const double in[3], double r)
{
    unsigned to = size_of_result(op, size);
    if (must_call(op, size, how, in, r))
        return false;
    for (unsigned k = 0; (how & IR_FP_FZ) && k < ir_ops[op].nargs; k++)
        if (fabs(in[k]) == (size == 8 ? DBL_MIN : (double)FLT_MIN))
            return false; /* the check for subnormal numbers finds this one, too */
    return (isfinite(r) && fabs(r) > 4 * (to == 8 ? DBL_MIN : (double)FLT_MIN)) || r == 0;
}

static const double values[] = {
    0.0,           -0.0,  1.0,     -1.5,         3.0,           0.1,          1e300,
    -1e-300,       1e-40, -1e-310, INFINITY,     -INFINITY,     NAN,          FLT_MIN,
    DBL_MIN,       1e30,  -1e-25,  2147483648.0, -2147483648.5, 4294967295.5, 0x1.fffffep-64,
    0x1.000002p-64};
#define VALUES (sizeof(values) / sizeof(values[0]))

static void check_arithmetic(unsigned op, unsigned size, unsigned how, bool pressure)
{
    build(op, size, how, pressure);
    for (unsigned n = 0; n < VALUES * VALUES; n++) {
        double in[3] = {values[n % VALUES], values[n / VALUES], values[(n * 7 + 3) % VALUES]}, r;
        uint64_t bits[3], expected;
        struct outcome o;
        for (unsigned k = 0; k < 3; k++) {
            bits[k] = as_bits(in[k], size);
            in[k] = as_number(bits[k], size);
        }
        r = evaluate(op, size, in[0], in[1], in[2]);
        expected = as_bits(r, size_of_result(op, size));
        o = run(op, size, bits, pressure);
        cr_assert(!(must_call(op, size, how, in, r) && !o.called), "%s.%u %x (%a, %a, %a): no call",
                  ir_op_name((enum ir_op)op), size * 8, how, in[0], in[1], in[2]);
        cr_assert(!(must_not_call(op, size, how, in, r) && o.called), "%s.%u %x (%a, %a, %a): call",
                  ir_op_name((enum ir_op)op), size * 8, how, in[0], in[1], in[2]);
        if (o.called)
            expected = size_of_result(op, size) == 8 ? MARK : (uint32_t)MARK;
        cr_assert_eq(o.bits, expected, "%s.%u (%a, %a, %a)", ir_op_name((enum ir_op)op), size * 8,
                     in[0], in[1], in[2]);
    }
}

static void start(void)
{
    rig_init();
    rig_reset_memory(RIG_SPT);
    rig.v->fpscr_rest = FPSCR_IXC;
}

Test(fp_nodes, arithmetic, .init = start)
{
    struct x64_cpu host = x64_cpu;
    for (unsigned op = IR_FADD; op <= IR_FCVT; op++)
        for (unsigned k = 0; k < 16; k++) {
            x64_cpu = k & 8 ? (struct x64_cpu){0} : host;
            check_arithmetic(op, k & 1 ? 8 : 4, k & 2 ? IR_FP_FZ : 0, k & 4);
        }
    x64_cpu = host;
}

/* Products must not raise Inexact on the host while it is not known to be raised. */
Test(fp_nodes, flush_to_zero_needs_inexact, .init = start)
{
    static const uint8_t ops[] = {IR_FMUL, IR_FDIV, IR_FMA};
    uint64_t one[3] = {as_bits(1, 8), as_bits(1, 8), as_bits(1, 8)};
    for (unsigned k = 0; k < ARRAY_SIZE(ops); k++) {
        build(ops[k], 8, IR_FP_FZ, false);
        rig.v->fpscr_rest = 0;
        cr_assert(run(ops[k], 8, one, false).called);
        rig.v->fpscr_rest = FPSCR_IXC;
        cr_assert(!run(ops[k], 8, one, false).called || (ops[k] == IR_FMA && !x64_cpu.fma));
    }
}

Test(fp_nodes, comparison, .init = start)
{
    for (unsigned k = 0; k < 16; k++) {
        unsigned size = k & 1 ? 8 : 4;
        unsigned how = (k & 2 ? IR_FP_FZ : 0) | (k & 8 ? IR_FP_SIGNALLING : 0);
        build(IR_FCMP, size, how, k & 4);
        for (unsigned n = 0; n < VALUES * VALUES; n++) {
            uint64_t bits[3] = {as_bits(values[n % VALUES], size),
                                as_bits(values[n / VALUES], size)};
            double x = as_number(bits[0], size), y = as_number(bits[1], size);
            uint32_t nzcv = x == y ? 6 : x < y ? 8 : x > y ? 2 : 3;
            bool call = (how & IR_FP_FZ) && (subnormal(x, size) || subnormal(y, size));
            struct outcome o;
            rig.v->mxcsr = 0x1f80;
            o = run(IR_FCMP, size, bits, k & 4);
            cr_assert(!(call && !o.called));
            cr_assert_eq(o.bits, o.called ? (uint32_t)MARK : nzcv << 28, "%a %a", x, y);
            cr_assert_eq(rig.v->mxcsr & 1, nzcv == 3 && (how & IR_FP_SIGNALLING) && !o.called);
        }
    }
}

Test(fp_nodes, to_integers, .init = start)
{
    for (unsigned k = 0; k < 16; k++) {
        unsigned size = k & 1 ? 8 : 4;
        unsigned how = (k & 2 ? IR_FP_UNSIGNED : 0) | (k & 8 ? IR_FP_NEAREST : 0);
        double low = k & 2 ? 0 : INT32_MIN, high = k & 2 ? UINT32_MAX : INT32_MAX;
        build(IR_FTOI, size, how, k & 4);
        for (unsigned n = 0; n < VALUES; n++) {
            uint64_t bits[3] = {as_bits(values[n], size)};
            double x = as_number(bits[0], size), r = k & 8 ? nearbyint(x) : trunc(x);
            struct outcome o;
            rig.v->mxcsr = 0x1f80;
            o = run(IR_FTOI, size, bits, k & 4);
            cr_assert(o.called || (r >= low && r <= high), "%a", x);
            cr_assert_eq((uint32_t)o.bits, o.called ? (uint32_t)MARK : (uint32_t)(int64_t)r, "%a",
                         x);
            if (!(r >= low && r <= high)) /* Invalid alone */
                cr_assert(!(rig.v->mxcsr & 0x20), "%a raised Inexact", x);
        }
        uint64_t seven[3] = {as_bits(7, size)};
        cr_assert(!run(IR_FTOI, size, seven, k & 4).called);
    }
}

Test(fp_nodes, from_integers, .init = start)
{
    static const uint32_t integers[] = {0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0x01000001};
    for (unsigned k = 0; k < 8; k++) {
        unsigned size = k & 1 ? 8 : 4;
        build(IR_ITOF, size, k & 2 ? IR_FP_UNSIGNED : 0, k & 4);
        for (unsigned n = 0; n < ARRAY_SIZE(integers); n++) {
            uint64_t bits[3] = {integers[n]};
            int64_t x = k & 2 ? (int64_t)integers[n] : (int32_t)integers[n];
            uint64_t want = 0;
            double d = (double)x;
            float f = (float)x;
            memcpy(&want, size == 8 ? (void *)&d : (void *)&f, size);
            rig.v->vfp.d[0] = integers[n];
            cr_assert_eq(run(IR_ITOF, size, bits, k & 4).bits, want, "%x", integers[n]);
        }
    }
}
