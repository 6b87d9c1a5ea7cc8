/* SPDX-License-Identifier: MIT */
/*
 * Advanced SIMD loads and stores of elements and structures. Elements are accessed in ascending
 * order of address; those of VLD1 and VST1 by doublewords, and those of structures where the host
 * can sort them. The base is written back last, so an abort in the middle finds it unchanged. Arm
 * ARM A7.7, A8.8.320-A8.8.331 (VLD1-VLD4), A8.8.404-A8.8.411 (VST1-VST4).
 *
 * Threads: the translating vCPU thread; the helper runs on it too.
 */
#include "asimd.h"
#include "asimd_interleave.h"

#include "asimd_ldst_decode.h"
#include "mmu/mmu.h"

/* One access that steps through memory. */
struct transfer {
    ir_ref base;
    uint32_t offset; /* of the next element */
    unsigned align;  /* bytes the address must be aligned to; 1: whatever SCTLR.A says */
    unsigned element; /* log2 of its bytes; accesses may be wider */
    bool load;
};

#define FSR_ALIGNMENT_SHORT 0x001u
#define FSR_ALIGNMENT_LONG  0x221u
#define FSR_WRITE           (1u << 11)

static void helper_alignment(struct vcpu *v, uint32_t va, uint32_t is_store)
{
    bool is_long = arm_mmu_regs(v)->ttbcr & TTBCR_EAE;

    vcpu_raise(v, VCPU_RA(), ARM_EXC_DABT,
               (is_long ? FSR_ALIGNMENT_LONG : FSR_ALIGNMENT_SHORT) | (is_store ? FSR_WRITE : 0),
               va);
}

/* Raise the alignment fault that an alignment hint asks for and the first access itself does not.
 */
static void check_alignment(struct arm_ctx *s, const struct transfer *t)
{
    unsigned aligned = ir_label_new(s->b);

    ir_brcond(s->b, IR_TSTEQ, t->base, arm_imm(s, t->align - 1), aligned);
    arm_call(s, "alignment", (void *)helper_alignment, CALL_RAISES, t->base, arm_imm(s, !t->load),
             0);
    ir_label(s->b, aligned);
}

static struct transfer transfer_begin(struct arm_ctx *s, unsigned rn, unsigned align, unsigned size,
                                      bool load)
{
    struct transfer t = {
        .base = arm_read_reg(s, rn), .align = align, .element = size, .load = load};

    if (align > 1 && align != 1u << size) {
        check_alignment(s, &t);
        t.align = 1;
    }
    return t;
}

static uint32_t element_memop(const struct arm_ctx *s, const struct transfer *t, unsigned size)
{
    return arm_memop(s, size) | (t->offset == 0 && t->align > 1 ? MEMOP_ALIGN : 0) |
           (t->element < size ? MEMOP_OF(t->element) : 0);
}

static ir_ref element_address(struct arm_ctx *s, const struct transfer *t)
{
    return ir_op2i(s->b, IR_ADD, t->base, t->offset);
}

static void store_value(struct arm_ctx *s, struct transfer *t, ir_ref v, unsigned size)
{
    ir_store(s->b, element_address(s, t), v, element_memop(s, t, size));
    t->offset += 1u << size;
}

/* The element at byte `at` of the extension registers, 2^size bytes. */
static void transfer_element(struct arm_ctx *s, struct transfer *t, unsigned at, unsigned size)
{
    enum ir_type type = size == MEMOP_64 ? IR_I64 : IR_I32;

    if (!t->load) {
        store_value(s, t, ir_get(s->b, type, ASIMD_OFF(0) + at, 1u << size), size);
        return;
    }
    ir_put(s->b, ASIMD_OFF(0) + at, 1u << size,
           ir_load(s->b, type, element_address(s, t), element_memop(s, t, size)));
    t->offset += 1u << size;
}

static void writeback(struct arm_ctx *s, const struct transfer *t, unsigned rn, unsigned rm)
{
    if (rm == 13) {
        arm_write_reg(s, rn, ir_op2i(s->b, IR_ADD, t->base, t->offset));
    } else if (rm != 15) {
        arm_write_reg(s, rn, ir_op2(s->b, IR_ADD, t->base, arm_read_reg(s, rm)));
    }
}

/* ---- multiple structures ---- */
/* Elements of a structure, structures in parallel registers (A8.8.322: regs), distance of
 * registers. */
struct shape {
    uint8_t nelem, regs, inc;
    uint8_t bad_align; /* bit n: align = n is UNDEF */
};

static const struct shape shapes[16] = {
    [0x0] = {4, 1, 1, 0},   [0x1] = {4, 1, 2, 0},   [0x2] = {1, 4, 1, 0},   [0x3] = {2, 2, 2, 0},
    [0x4] = {3, 1, 1, 0xc}, [0x5] = {3, 1, 2, 0xc}, [0x6] = {1, 3, 1, 0xc}, [0x7] = {1, 1, 1, 0xc},
    [0x8] = {2, 1, 1, 0x8}, [0x9] = {2, 1, 2, 0x8}, [0xa] = {1, 2, 1, 0x8},
};

static void transfer_structures(struct arm_ctx *s, struct transfer *t, const struct shape *sh,
                                unsigned fd, unsigned size)
{
    for (unsigned r = 0; r < sh->regs; r++) {
        for (unsigned e = 0; e < 8u >> size; e++) {
            for (unsigned i = 0; i < sh->nelem; i++) {
                transfer_element(s, t, 8 * (fd + r + i * sh->inc) + (e << size), size);
            }
        }
    }
}

/* The same by doublewords; registers change when all are loaded. */
static void load_doublewords(struct arm_ctx *s, struct transfer *t, const struct shape *sh,
                             unsigned fd, unsigned size)
{
    ir_ref w[2][4], out[4];

    for (unsigned r = 0; r < sh->regs; r++) {
        for (unsigned i = 0; i < sh->nelem; i++) {
            w[r][i] = ir_load(s->b, IR_I64, element_address(s, t), element_memop(s, t, MEMOP_64));
            t->offset += 8;
        }
    }
    for (unsigned r = 0; r < sh->regs; r++) {
        for (unsigned i = 0; i < sh->nelem; i++) {
            w[r][i] = ir_op1(s->b, IR_ITOV, w[r][i]);
        }
        asimd_split(s, sh->nelem, size, w[r], out);
        for (unsigned i = 0; i < sh->nelem; i++) {
            asimd_put(s, fd + r + i * sh->inc, 0, out[i]);
        }
    }
}

static void store_doublewords(struct arm_ctx *s, struct transfer *t, const struct shape *sh,
                              unsigned fd, unsigned size)
{
    ir_ref regs[4], w[4];

    for (unsigned r = 0; r < sh->regs; r++) {
        for (unsigned i = 0; i < sh->nelem; i++) {
            regs[i] = asimd_get(s, fd + r + i * sh->inc, 0);
        }
        asimd_join(s, sh->nelem, size, regs, w);
        for (unsigned i = 0; i < sh->nelem; i++) {
            store_value(s, t, ir_vtoi(s->b, IR_I64, w[i]), MEMOP_64);
        }
    }
}

static bool multiple(struct arm_ctx *s, const struct args_align_fd_rm_rn_size_type *a, bool load)
{
    const struct shape *sh = &shapes[a->type];
    unsigned last = a->fd + (sh->nelem - 1u) * sh->inc + sh->regs - 1u;
    unsigned size = a->size;
    struct transfer t;
    bool wide;

    if (!asimd_enabled(s) || !sh->nelem || (sh->bad_align >> a->align & 1) ||
        (size == 3 && sh->nelem > 1) || last > 31 || a->rn == 15) {
        return false;
    }
    /* Not if each element must be checked for alignment or swapped. */
    wide =
        !(s->exec & (EXEC_ALIGN | EXEC_E)) && (sh->nelem == 1 || asimd_can_interleave(sh->nelem));
    t = transfer_begin(s, a->rn, a->align ? 4u << a->align : 1, wide ? MEMOP_64 : size, load);
    t.element = size;
    if (!wide || sh->nelem == 1) {
        transfer_structures(s, &t, sh, a->fd, wide ? MEMOP_64 : size);
    } else if (load) {
        load_doublewords(s, &t, sh, a->fd, size);
    } else {
        store_doublewords(s, &t, sh, a->fd, size);
    }
    writeback(s, &t, a->rn, a->rm);
    return true;
}

bool trans_VLDn_multiple(struct arm_ctx *s, const struct arg_VLDn_multiple *a)
{
    return multiple(s, a, true);
}

bool trans_VSTn_multiple(struct arm_ctx *s, const struct arg_VSTn_multiple *a)
{
    return multiple(s, a, false);
}

/* ---- one lane ---- */
struct lane {
    unsigned index, inc, align;
};

/* What index_align says for each size and number of elements; false = UNDEF. */
static bool decode_lane(unsigned size, unsigned nelem, unsigned ia, struct lane *l)
{
    unsigned low = ia & ((1u << size) - 1), total = nelem << size;

    l->index = ia >> (size + 1);
    l->inc = nelem > 1 && size && (ia >> size & 1) ? 2 : 1;
    l->align = (ia & 1) ? total : 1;
    if (size == 0) {
        return nelem == 2 || nelem == 4 || !(ia & 1);
    }
    switch (nelem) {
    case 1: /* word: index_align<1:0> is 00 or 11; bit 2 must be 0 */
        return size == 1 ? !(ia & 2) : !(ia & 4) && (low == 0 || low == 3);
    case 2:
        return size == 1 || !(ia & 2);
    case 3:
        l->align = 1;
        return size == 1 ? !(ia & 1) : low == 0;
    default:
        if (size == 2) {
            l->align = low ? 4u << low : 1;
            return low != 3;
        }
        return true;
    }
}

static bool one_lane(struct arm_ctx *s, const struct args_fd_ia_nn_rm_rn_size *a, bool load)
{
    unsigned nelem = a->nn + 1;
    struct transfer t;
    struct lane l;

    if (!asimd_enabled(s) || !decode_lane(a->size, nelem, a->ia, &l) ||
        a->fd + a->nn * l.inc > 31 || a->rn == 15) {
        return false;
    }
    t = transfer_begin(s, a->rn, l.align, a->size, load);
    for (unsigned i = 0; i < nelem; i++) {
        transfer_element(s, &t, 8 * (a->fd + i * l.inc) + (l.index << a->size), a->size);
    }
    writeback(s, &t, a->rn, a->rm);
    return true;
}

bool trans_VLDn_lane(struct arm_ctx *s, const struct arg_VLDn_lane *a)
{
    return one_lane(s, a, true);
}

bool trans_VSTn_lane(struct arm_ctx *s, const struct arg_VSTn_lane *a)
{
    return one_lane(s, a, false);
}

/* ---- one element to all lanes ---- */
static bool decode_all(unsigned size, unsigned nelem, unsigned a, unsigned *align)
{
    *align = a ? nelem << size : 1;
    switch (nelem) {
    case 1:
        return size < 2 ? size || !a : size == 2;
    case 3:
        return size != 3 && !a;
    case 4:
        if (size == 3) { /* words, with 128-bit alignment */
            *align = 16;
            return a;
        }
        if (size == 2 && a) {
            *align = 8;
        }
        return true;
    default:
        return size != 3;
    }
}

bool trans_VLDn_all(struct arm_ctx *s, const struct arg_VLDn_all *a)
{
    unsigned nelem = a->nn + 1, align, size = a->size == 3 ? 2 : a->size;
    unsigned inc = nelem > 1 && a->t ? 2 : 1, copies = nelem == 1 && a->t ? 2 : 1;
    struct transfer t;

    if (!asimd_enabled(s) || !decode_all(a->size, nelem, a->a, &align) ||
        a->fd + a->nn * inc + copies - 1 > 31 || a->rn == 15) {
        return false;
    }
    t = transfer_begin(s, a->rn, align, size, true);
    for (unsigned i = 0; i < nelem; i++) {
        unsigned fd = a->fd + i * inc;
        ir_ref x;

        transfer_element(s, &t, 8 * fd, size);
        x = ir_get(s->b, IR_I32, ASIMD_OFF(fd), 1u << size);
        x = ir_vop(s->b, IR_VDUP, 1u << size, x, 0, 0);
        for (unsigned k = 0; k < copies; k++) {
            asimd_put(s, fd + k, 0, x);
        }
    }
    writeback(s, &t, a->rn, a->rm);
    return true;
}
