/* SPDX-License-Identifier: MIT */
/*
 * Exclusive loads and stores, the swap instructions, and ARMv8's load-acquire and store-release.
 * The monitor is vcpu/exclusive.c; each exclusive is one helper call. On a TSO host a load is an
 * acquire and a store a release; a fence after STL keeps it before a later LDA, as ARMv8 asks.
 * Arm ARM A8.8.75-A8.8.78, A8.8.212-A8.8.215, A8.8.229 (SWP); ARMv8: F5.1 (LDA, STL, ...).
 *
 * Threads: the translating vCPU thread; the helpers run on it too.
 */
#include "arm_atomic.h"
#include "arm_ldst.h"
#include "vcpu/exclusive.h"

#define SCTLR_SW (1u << 10)

/* What the helpers of the monitor take: always aligned, byte order left to the code around. */
static ir_ref excl_memop(struct arm_ctx *s, unsigned size)
{
    return arm_imm(s, size | MEMOP_ALIGN | (s->privileged ? MEMOP_PRIV : 0));
}

/* Byte order of a value of up to 32 bits; it is its own inverse. */
static ir_ref excl_order(struct arm_ctx *s, ir_ref v, unsigned size)
{
    if (!(s->exec & EXEC_E) || size == MEMOP_8) {
        return v;
    }
    v = ir_op1(s->b, IR_BSWAP, v);
    return size == MEMOP_16 ? ir_op2i(s->b, IR_SHR, v, 16) : v;
}

static ir_ref excl_load(struct arm_ctx *s, enum ir_type type, unsigned rn, uint32_t imm,
                        unsigned size)
{
    ir_ref args[2] = {ir_op2i(s->b, IR_ADD, arm_read_reg(s, rn), imm), excl_memop(s, size)};

    return ir_call(s->b, type, "ldrex", (void *)exclusive_helper_load, CALL_RAISES, 2, args);
}

static bool load_exclusive(struct arm_ctx *s, unsigned rn, uint32_t imm, unsigned rt, unsigned size)
{
    if (imm == 0) {
        arm_try_atomic(s, rn, rt, size);
    }
    arm_write_reg(s, rt, excl_order(s, excl_load(s, IR_I32, rn, imm, size), size));
    return true;
}

static bool load_exclusive_dual(struct arm_ctx *s, unsigned rn, unsigned rt, unsigned rt2)
{
    ir_ref v;

    if (rt == rt2) {
        return false;
    }
    v = excl_load(s, IR_I64, rn, 0, MEMOP_64);
    arm_write_reg(s, rt, arm_word_to_memory(s, ir_op1(s->b, IR_TRUNC, v)));
    arm_write_reg(s, rt2, arm_word_to_memory(s, ir_op1(s->b, IR_HI32, v)));
    return true;
}

static void excl_store(struct arm_ctx *s, unsigned rd, unsigned rn, uint32_t imm, ir_ref v,
                       unsigned size)
{
    ir_ref args[3] = {ir_op2i(s->b, IR_ADD, arm_read_reg(s, rn), imm), v, excl_memop(s, size)};

    arm_write_reg(
        s, rd,
        ir_call(s->b, IR_I32, "strex", (void *)exclusive_helper_store, CALL_RAISES, 3, args));
}

/* The status register may be neither the base nor a source. */
static bool store_exclusive(struct arm_ctx *s, unsigned rd, unsigned rn, uint32_t imm, unsigned rt,
                            unsigned size)
{
    if (rd == rn || rd == rt) {
        return false;
    }
    excl_store(s, rd, rn, imm, excl_order(s, arm_read_reg(s, rt), size), size);
    return true;
}

static bool store_exclusive_dual(struct arm_ctx *s, unsigned rd, unsigned rn, unsigned rt,
                                 unsigned rt2)
{
    ir_ref lo, hi;

    if (rd == rn || rd == rt || rd == rt2) {
        return false;
    }
    lo = arm_word_to_memory(s, arm_read_reg(s, rt));
    hi = arm_word_to_memory(s, arm_read_reg(s, rt2));
    excl_store(s, rd, rn, 0, ir_op2(s->b, IR_PAIR, lo, hi), MEMOP_64);
    return true;
}

bool trans_LDREX(struct arm_ctx *s, const struct arg_LDREX *a)
{
    return load_exclusive(s, a->rn, a->imm, a->rt, MEMOP_32);
}

bool trans_LDREXB(struct arm_ctx *s, const struct arg_LDREXB *a)
{
    return load_exclusive(s, a->rn, 0, a->rt, MEMOP_8);
}

bool trans_LDREXH(struct arm_ctx *s, const struct arg_LDREXH *a)
{
    return load_exclusive(s, a->rn, 0, a->rt, MEMOP_16);
}

bool trans_LDREXD(struct arm_ctx *s, const struct arg_LDREXD *a)
{
    return load_exclusive_dual(s, a->rn, a->rt, a->rt2);
}

bool trans_STREX(struct arm_ctx *s, const struct arg_STREX *a)
{
    return store_exclusive(s, a->rd, a->rn, a->imm, a->rt, MEMOP_32);
}

bool trans_STREXB(struct arm_ctx *s, const struct arg_STREXB *a)
{
    return store_exclusive(s, a->rd, a->rn, 0, a->rt, MEMOP_8);
}

bool trans_STREXH(struct arm_ctx *s, const struct arg_STREXH *a)
{
    return store_exclusive(s, a->rd, a->rn, 0, a->rt, MEMOP_16);
}

bool trans_STREXD(struct arm_ctx *s, const struct arg_STREXD *a)
{
    return store_exclusive_dual(s, a->rd, a->rn, a->rt, a->rt2);
}

/* ---- SWP, SWPB: UNDEFINED unless SCTLR.SW enables them ---- */
static uint32_t helper_swp(struct vcpu *v, uint32_t gva, uint32_t value, uint32_t memop)
{
    if (!(arm_mmu_regs(v)->sctlr & SCTLR_SW)) {
        vcpu_raise(v, VCPU_RA(), ARM_EXC_UNDEF, 0, 0);
    }
    return exclusive_swap(v, gva, value, memop, VCPU_RA());
}

static bool swap(struct arm_ctx *s, unsigned rn, unsigned rt, unsigned rm, unsigned size)
{
    ir_ref args[3];
    ir_ref old;

    if (rn == rt || rn == rm) {
        return false;
    }
    args[0] = arm_read_reg(s, rn);
    args[1] = excl_order(s, arm_read_reg(s, rm), size);
    args[2] = excl_memop(s, size);
    old = ir_call(s->b, IR_I32, "swp", (void *)helper_swp, CALL_RAISES, 3, args);
    arm_write_reg(s, rt, excl_order(s, old, size));
    return true;
}

bool trans_SWP(struct arm_ctx *s, const struct arg_SWP *a)
{
    return swap(s, a->rn, a->rt, a->rm, MEMOP_32);
}

bool trans_SWPB(struct arm_ctx *s, const struct arg_SWPB *a)
{
    return swap(s, a->rn, a->rt, a->rm, MEMOP_8);
}

/* ---- ARMv8 ---- */
static bool load_acquire(struct arm_ctx *s, unsigned rn, unsigned rt, unsigned size)
{
    if (!arm_has(s, ARM_FEAT_V8_AARCH32)) {
        return false;
    }
    arm_write_reg(s, rt,
                  ir_load(s->b, IR_I32, arm_read_reg(s, rn), arm_memop(s, size) | MEMOP_ALIGN));
    return true;
}

static bool store_release(struct arm_ctx *s, unsigned rn, unsigned rt, unsigned size)
{
    if (!arm_has(s, ARM_FEAT_V8_AARCH32)) {
        return false;
    }
    ir_store(s->b, arm_read_reg(s, rn), arm_read_reg(s, rt), arm_memop(s, size) | MEMOP_ALIGN);
    ir_fence(s->b);
    return true;
}

#define ACQUIRE_RELEASE(suffix, size)                                                       \
    bool trans_LDA##suffix(struct arm_ctx *s, const struct arg_LDA##suffix *a)              \
    {                                                                                       \
        return load_acquire(s, a->rn, a->rt, size);                                         \
    }                                                                                       \
    bool trans_STL##suffix(struct arm_ctx *s, const struct arg_STL##suffix *a)              \
    {                                                                                       \
        return store_release(s, a->rn, a->rt, size);                                        \
    }                                                                                       \
    bool trans_LDAEX##suffix(struct arm_ctx *s, const struct arg_LDAEX##suffix *a)          \
    {                                                                                       \
        return arm_has(s, ARM_FEAT_V8_AARCH32) && load_exclusive(s, a->rn, 0, a->rt, size); \
    }                                                                                       \
    bool trans_STLEX##suffix(struct arm_ctx *s, const struct arg_STLEX##suffix *a)          \
    {                                                                                       \
        return arm_has(s, ARM_FEAT_V8_AARCH32) &&                                           \
               store_exclusive(s, a->rd, a->rn, 0, a->rt, size);                            \
    }

ACQUIRE_RELEASE(, MEMOP_32)
ACQUIRE_RELEASE(B, MEMOP_8)
ACQUIRE_RELEASE(H, MEMOP_16)

bool trans_LDAEXD(struct arm_ctx *s, const struct arg_LDAEXD *a)
{
    return arm_has(s, ARM_FEAT_V8_AARCH32) && load_exclusive_dual(s, a->rn, a->rt, a->rt2);
}

bool trans_STLEXD(struct arm_ctx *s, const struct arg_STLEXD *a)
{
    return arm_has(s, ARM_FEAT_V8_AARCH32) && store_exclusive_dual(s, a->rd, a->rn, a->rt, a->rt2);
}
