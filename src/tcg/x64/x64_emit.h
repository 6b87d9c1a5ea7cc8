/* SPDX-License-Identifier: MIT */
/*
 * Inline x86-64 instruction emitter: one function per instruction form, straight to bytes.
 * General and vector registers are different one-byte structs, so that a wrong class does not
 * compile. Encodings: Intel SDM vol. 2; tests/emit decodes every form with Zydis and Capstone.
 *
 * Opcode words: low byte = opcode, plus the X_ map and prefix bits below.
 */
#pragma once

#include "base/types.h"
#include <string.h>

struct x_gpr {
    uint8_t n;
};
struct x_xmm {
    uint8_t n;
};
struct x_mem {
    uint8_t base, index; /* register numbers; index X_NOINDEX = none */
    uint8_t scale;       /* log2 */
    bool wide;           /* keep a zero displacement byte (patchable length) */
    int32_t disp;
};
struct x_buf {
    uint8_t *p;
};

#define X_NOINDEX 0xffu
#define X_0F      0x100u
#define X_0F38    0x200u
#define X_0F3A    0x300u
#define X_MAP     0x300u
#define X_66      0x1000u
#define X_F2      0x2000u
#define X_F3      0x4000u
#define X_BREG    0x10000u /* the reg field is a byte register */
#define X_BRM     0x20000u /* the r/m register is a byte register */

enum x_width { X_32, X_64 };
enum x_alu { X_ADD, X_OR, X_ADC, X_SBB, X_AND, X_SUB, X_XOR, X_CMP };
enum x_shift { X_ROL, X_ROR, X_RCL, X_RCR, X_SHL, X_SHR, X_SAL, X_SAR };
enum x_cc {
    X_O,
    X_NO,
    X_B,
    X_AE,
    X_E,
    X_NE,
    X_BE,
    X_A,
    X_S,
    X_NS,
    X_P,
    X_NP,
    X_L,
    X_GE,
    X_LE,
    X_G,
};

#define X_GPR(num) ((struct x_gpr){num})
#define RAX        X_GPR(0)
#define RCX        X_GPR(1)
#define RDX        X_GPR(2)
#define RBX        X_GPR(3)
#define RSP        X_GPR(4)
#define RBP        X_GPR(5)
#define RSI        X_GPR(6)
#define RDI        X_GPR(7)
#define R8         X_GPR(8)
#define R9         X_GPR(9)
#define R10        X_GPR(10)
#define R11        X_GPR(11)
#define R12        X_GPR(12)
#define R13        X_GPR(13)
#define R14        X_GPR(14)
#define R15        X_GPR(15)
#define X_XMM(num) ((struct x_xmm){num})
#define XMM0       X_XMM(0)
#define XMM1       X_XMM(1)

static inline struct x_mem x_at(struct x_gpr base, int32_t disp)
{
    return (struct x_mem){.base = base.n, .index = X_NOINDEX, .disp = disp};
}

static inline struct x_mem x_at_index(struct x_gpr base, struct x_gpr index, unsigned scale,
                                      int32_t disp)
{
    return (struct x_mem){.base = base.n, .index = index.n, .scale = (uint8_t)scale, .disp = disp};
}

static inline void x_byte(struct x_buf *b, unsigned v)
{
    *b->p++ = (uint8_t)v;
}

static inline void x_imm32(struct x_buf *b, uint32_t v)
{
    memcpy(b->p, &v, 4);
    b->p += 4;
}

static inline void x_imm64(struct x_buf *b, uint64_t v)
{
    memcpy(b->p, &v, 8);
    b->p += 8;
}

static inline bool x_fits8(int64_t v)
{
    return v >= -128 && v <= 127;
}

static inline bool x_fits32(int64_t v)
{
    return v == (int32_t)v;
}

/* Prefixes, REX and opcode; r, x, b are whole register numbers. */
static inline void x_head(struct x_buf *e, enum x_width w, unsigned op, unsigned r, unsigned x,
                          unsigned b, bool byte_rex)
{
    if (op & X_66)
        x_byte(e, 0x66);
    if (op & X_F2)
        x_byte(e, 0xf2);
    if (op & X_F3)
        x_byte(e, 0xf3);
    unsigned rex = (unsigned)w << 3 | (r >> 3 & 1) << 2 | (x >> 3 & 1) << 1 | (b >> 3 & 1);
    if (rex || byte_rex)
        x_byte(e, 0x40 | rex);
    if (op & X_MAP) {
        x_byte(e, 0x0f);
        if ((op & X_MAP) == X_0F38)
            x_byte(e, 0x38);
        if ((op & X_MAP) == X_0F3A)
            x_byte(e, 0x3a);
    }
    x_byte(e, op & 0xff);
}

static inline void x_modrm_mem(struct x_buf *e, unsigned reg, struct x_mem m)
{
    unsigned base = m.base & 7, r = (reg & 7) << 3;
    bool sib = m.index != X_NOINDEX || base == 4;
    bool none = m.disp == 0 && base != 5 && !m.wide;
    unsigned mod = none ? 0 : x_fits8(m.disp) ? 0x40 : 0x80;
    x_byte(e, mod | r | (sib ? 4 : base));
    if (sib)
        x_byte(e, (unsigned)m.scale << 6 | (m.index == X_NOINDEX ? 4u : m.index & 7u) << 3 | base);
    if (mod == 0x40)
        x_byte(e, (unsigned)m.disp & 0xff);
    else if (mod == 0x80)
        x_imm32(e, (uint32_t)m.disp);
}

static inline void x_enc_rr(struct x_buf *e, enum x_width w, unsigned op, unsigned reg, unsigned rm)
{
    bool rex = ((op & X_BREG) && reg >= 4) || ((op & X_BRM) && rm >= 4);
    x_head(e, w, op, reg, 0, rm, rex);
    x_byte(e, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

static inline void x_enc_rm(struct x_buf *e, enum x_width w, unsigned op, unsigned reg,
                            struct x_mem m)
{
    x_head(e, w, op, reg, m.index == X_NOINDEX ? 0 : m.index, m.base, (op & X_BREG) && reg >= 4);
    x_modrm_mem(e, reg, m);
}

/* ---- moves ---- */
static inline void x_mov_rr(struct x_buf *e, enum x_width w, struct x_gpr d, struct x_gpr s)
{
    x_enc_rr(e, w, 0x8b, d.n, s.n);
}

static inline void x_mov_rm(struct x_buf *e, enum x_width w, struct x_gpr d, struct x_mem m)
{
    x_enc_rm(e, w, 0x8b, d.n, m);
}

static inline void x_mov_mr(struct x_buf *e, enum x_width w, struct x_mem m, struct x_gpr s)
{
    x_enc_rm(e, w, 0x89, s.n, m);
}

static inline void x_mov_mr16(struct x_buf *e, struct x_mem m, struct x_gpr s)
{
    x_enc_rm(e, X_32, 0x89 | X_66, s.n, m);
}

static inline void x_mov_mr8(struct x_buf *e, struct x_mem m, struct x_gpr s)
{
    x_enc_rm(e, X_32, 0x88 | X_BREG, s.n, m);
}

/* Register = constant, shortest form that leaves the flags alone. */
static inline void x_mov_ri(struct x_buf *e, struct x_gpr d, uint64_t v)
{
    if (v <= 0xffffffffu) {
        if (d.n >= 8)
            x_byte(e, 0x41);
        x_byte(e, 0xb8 | (d.n & 7));
        x_imm32(e, (uint32_t)v);
    } else if (x_fits32((int64_t)v)) {
        x_enc_rr(e, X_64, 0xc7, 0, d.n);
        x_imm32(e, (uint32_t)v);
    } else {
        x_byte(e, 0x48 | d.n >> 3);
        x_byte(e, 0xb8 | (d.n & 7));
        x_imm64(e, v);
    }
}

static inline void x_mov_mi(struct x_buf *e, enum x_width w, struct x_mem m, int32_t v)
{
    x_enc_rm(e, w, 0xc7, 0, m);
    x_imm32(e, (uint32_t)v);
}

static inline void x_mov_mi16(struct x_buf *e, struct x_mem m, uint16_t v)
{
    x_enc_rm(e, X_32, 0xc7 | X_66, 0, m);
    x_byte(e, v & 0xff);
    x_byte(e, v >> 8);
}

static inline void x_mov_mi8(struct x_buf *e, struct x_mem m, uint8_t v)
{
    x_enc_rm(e, X_32, 0xc6, 0, m);
    x_byte(e, v);
}

#define X_MOVZX8   (0xb6u | X_0F | X_BRM)
#define X_MOVZX16  (0xb7u | X_0F)
#define X_MOVSX8   (0xbeu | X_0F | X_BRM)
#define X_MOVSX16  (0xbfu | X_0F)
#define X_MOVSXD   0x63u
#define X_MOV_LOAD 0x8bu
/* dst = extension of src; op is one of the X_MOV* above. */
static inline void x_movx_rr(struct x_buf *e, enum x_width w, unsigned op, struct x_gpr d,
                             struct x_gpr s)
{
    x_enc_rr(e, w, op, d.n, s.n);
}

static inline void x_movx_rm(struct x_buf *e, enum x_width w, unsigned op, struct x_gpr d,
                             struct x_mem m)
{
    x_enc_rm(e, w, op, d.n, m);
}

/* Merge the low 8 or 16 bits of s into d. */
static inline void x_mov_rr8(struct x_buf *e, struct x_gpr d, struct x_gpr s)
{
    x_enc_rr(e, X_32, 0x8a | X_BREG | X_BRM, d.n, s.n);
}

static inline void x_mov_rr16(struct x_buf *e, struct x_gpr d, struct x_gpr s)
{
    x_enc_rr(e, X_32, 0x8b | X_66, d.n, s.n);
}

static inline void x_lea(struct x_buf *e, enum x_width w, struct x_gpr d, struct x_mem m)
{
    x_enc_rm(e, w, 0x8d, d.n, m);
}

/* d = address of the byte `rel` after this instruction (7 bytes). */
static inline void x_lea_rip(struct x_buf *e, struct x_gpr d, int32_t rel)
{
    x_head(e, X_64, 0x8d, d.n, 0, 0, false);
    x_byte(e, (d.n & 7u) << 3 | 5);
    x_imm32(e, (uint32_t)rel);
}

static inline void x_push(struct x_buf *e, struct x_gpr r)
{
    if (r.n >= 8)
        x_byte(e, 0x41);
    x_byte(e, 0x50 | (r.n & 7));
}

static inline void x_pop(struct x_buf *e, struct x_gpr r)
{
    if (r.n >= 8)
        x_byte(e, 0x41);
    x_byte(e, 0x58 | (r.n & 7));
}

/* ---- arithmetic ---- */
static inline void x_alu_rr(struct x_buf *e, enum x_alu op, enum x_width w, struct x_gpr d,
                            struct x_gpr s)
{
    x_enc_rr(e, w, (unsigned)op << 3 | 3, d.n, s.n);
}

static inline void x_alu_rm(struct x_buf *e, enum x_alu op, enum x_width w, struct x_gpr d,
                            struct x_mem m)
{
    x_enc_rm(e, w, (unsigned)op << 3 | 3, d.n, m);
}

static inline void x_alu_mr(struct x_buf *e, enum x_alu op, enum x_width w, struct x_mem m,
                            struct x_gpr s)
{
    x_enc_rm(e, w, (unsigned)op << 3 | 1, s.n, m);
}

static inline void x_alu_ri(struct x_buf *e, enum x_alu op, enum x_width w, struct x_gpr d,
                            int32_t v)
{
    if (x_fits8(v)) {
        x_enc_rr(e, w, 0x83, op, d.n);
        x_byte(e, (unsigned)v & 0xff);
        return;
    }
    if (d.n == 0) {
        x_head(e, w, (unsigned)op << 3 | 5, 0, 0, 0, false);
    } else {
        x_enc_rr(e, w, 0x81, op, d.n);
    }
    x_imm32(e, (uint32_t)v);
}

static inline void x_alu_mi(struct x_buf *e, enum x_alu op, enum x_width w, struct x_mem m,
                            int32_t v)
{
    x_enc_rm(e, w, x_fits8(v) ? 0x83 : 0x81, op, m);
    if (x_fits8(v))
        x_byte(e, (unsigned)v & 0xff);
    else
        x_imm32(e, (uint32_t)v);
}

static inline void x_test_rr(struct x_buf *e, enum x_width w, struct x_gpr a, struct x_gpr b)
{
    x_enc_rr(e, w, 0x85, b.n, a.n);
}

static inline void x_test_mr(struct x_buf *e, enum x_width w, struct x_mem m, struct x_gpr b)
{
    x_enc_rm(e, w, 0x85, b.n, m);
}

static inline void x_test_ri(struct x_buf *e, enum x_width w, struct x_gpr a, int32_t v)
{
    x_enc_rr(e, w, 0xf7, 0, a.n);
    x_imm32(e, (uint32_t)v);
}

static inline void x_test_ri8(struct x_buf *e, struct x_gpr a, uint8_t v)
{
    x_enc_rr(e, X_32, 0xf6 | X_BRM, 0, a.n);
    x_byte(e, v);
}

static inline void x_test_mi(struct x_buf *e, enum x_width w, struct x_mem m, int32_t v)
{
    x_enc_rm(e, w, 0xf7, 0, m);
    x_imm32(e, (uint32_t)v);
}

static inline void x_not(struct x_buf *e, enum x_width w, struct x_gpr d)
{
    x_enc_rr(e, w, 0xf7, 2, d.n);
}

static inline void x_neg(struct x_buf *e, enum x_width w, struct x_gpr d)
{
    x_enc_rr(e, w, 0xf7, 3, d.n);
}

/* rdx:rax / s */
static inline void x_div(struct x_buf *e, enum x_width w, struct x_gpr s)
{
    x_enc_rr(e, w, 0xf7, 6, s.n);
}

static inline void x_idiv(struct x_buf *e, enum x_width w, struct x_gpr s)
{
    x_enc_rr(e, w, 0xf7, 7, s.n);
}

/* Sign of rax into rdx (cdq, cqo). */
static inline void x_cdq(struct x_buf *e, enum x_width w)
{
    x_head(e, w, 0x99, 0, 0, 0, false);
}

static inline void x_imul_rr(struct x_buf *e, enum x_width w, struct x_gpr d, struct x_gpr s)
{
    x_enc_rr(e, w, 0xaf | X_0F, d.n, s.n);
}

static inline void x_imul_rm(struct x_buf *e, enum x_width w, struct x_gpr d, struct x_mem m)
{
    x_enc_rm(e, w, 0xaf | X_0F, d.n, m);
}

static inline void x_imul_rri(struct x_buf *e, enum x_width w, struct x_gpr d, struct x_gpr s,
                              int32_t v)
{
    x_enc_rr(e, w, x_fits8(v) ? 0x6b : 0x69, d.n, s.n);
    if (x_fits8(v))
        x_byte(e, (unsigned)v & 0xff);
    else
        x_imm32(e, (uint32_t)v);
}

static inline void x_shift_ri(struct x_buf *e, enum x_shift op, enum x_width w, struct x_gpr d,
                              unsigned n)
{
    if (n == 1) {
        x_enc_rr(e, w, 0xd1, op, d.n);
        return;
    }
    x_enc_rr(e, w, 0xc1, op, d.n);
    x_byte(e, n);
}

static inline void x_shift_cl(struct x_buf *e, enum x_shift op, enum x_width w, struct x_gpr d)
{
    x_enc_rr(e, w, 0xd3, op, d.n);
}

/* Rotate the low 16 bits by n. */
static inline void x_rol16_ri(struct x_buf *e, struct x_gpr d, unsigned n)
{
    x_enc_rr(e, X_32, 0xc1 | X_66, X_ROL, d.n);
    x_byte(e, n);
}

static inline void x_bswap(struct x_buf *e, enum x_width w, struct x_gpr d)
{
    x_head(e, w, (0xc8u | (d.n & 7u)) | X_0F, 0, 0, d.n, false);
}

static inline void x_bsr(struct x_buf *e, enum x_width w, struct x_gpr d, struct x_gpr s)
{
    x_enc_rr(e, w, 0xbd | X_0F, d.n, s.n);
}

static inline void x_lzcnt(struct x_buf *e, enum x_width w, struct x_gpr d, struct x_gpr s)
{
    x_enc_rr(e, w, 0xbd | X_0F | X_F3, d.n, s.n);
}

/* CF = bit n */
static inline void x_bt_ri(struct x_buf *e, enum x_width w, struct x_gpr d, unsigned n)
{
    x_enc_rr(e, w, 0xba | X_0F, 4, d.n);
    x_byte(e, n);
}

static inline void x_bt_mi(struct x_buf *e, enum x_width w, struct x_mem m, unsigned n)
{
    x_enc_rm(e, w, 0xba | X_0F, 4, m);
    x_byte(e, n);
}

static inline void x_stc(struct x_buf *e)
{
    x_byte(e, 0xf9);
}

static inline void x_clc(struct x_buf *e)
{
    x_byte(e, 0xf8);
}

static inline void x_cmc(struct x_buf *e)
{
    x_byte(e, 0xf5);
}

static inline void x_setcc(struct x_buf *e, enum x_cc cc, struct x_gpr d)
{
    x_enc_rr(e, X_32, (0x90u | (unsigned)cc) | X_0F | X_BRM, 0, d.n);
}

static inline void x_setcc_m(struct x_buf *e, enum x_cc cc, struct x_mem m)
{
    x_enc_rm(e, X_32, (0x90u | (unsigned)cc) | X_0F, 0, m);
}

static inline void x_cmov_rr(struct x_buf *e, enum x_cc cc, enum x_width w, struct x_gpr d,
                             struct x_gpr s)
{
    x_enc_rr(e, w, (0x40u | (unsigned)cc) | X_0F, d.n, s.n);
}

static inline void x_cmov_rm(struct x_buf *e, enum x_cc cc, enum x_width w, struct x_gpr d,
                             struct x_mem m)
{
    x_enc_rm(e, w, (0x40u | (unsigned)cc) | X_0F, d.n, m);
}

/* ---- VEX forms ---- */
static inline void x_vex(struct x_buf *e, enum x_width w, unsigned map, unsigned pp, unsigned op,
                         unsigned reg, unsigned vvvv, unsigned rm)
{
    x_byte(e, 0xc4);
    x_byte(e, (~reg & 8) << 4 | 0x40 | (~rm & 8) << 2 | map);
    x_byte(e, (unsigned)w << 7 | (~vvvv & 15) << 3 | pp);
    x_byte(e, op);
    x_byte(e, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

static inline void x_vex_m(struct x_buf *e, enum x_width w, unsigned map, unsigned pp, unsigned op,
                           unsigned reg, unsigned vvvv, struct x_mem m)
{
    unsigned index = m.index == X_NOINDEX ? 0 : m.index;
    x_byte(e, 0xc4);
    x_byte(e, (~reg & 8) << 4 | (~index & 8) << 3 | (~(unsigned)m.base & 8) << 2 | map);
    x_byte(e, (unsigned)w << 7 | (~vvvv & 15) << 3 | pp);
    x_byte(e, op);
    x_modrm_mem(e, reg, m);
}

/* d = s shifted by n (amount modulo the width); op X_SHL, X_SHR or X_SAR. Flags untouched. BMI2. */
static inline void x_shiftx(struct x_buf *e, enum x_shift op, enum x_width w, struct x_gpr d,
                            struct x_gpr s, struct x_gpr n)
{
    unsigned pp = op == X_SHL ? 1 : op == X_SAR ? 2 : 3;
    x_vex(e, w, 2, pp, 0xf7, d.n, n.n, s.n);
}

static inline void x_rorx(struct x_buf *e, enum x_width w, struct x_gpr d, struct x_gpr s,
                          unsigned n)
{
    x_vex(e, w, 3, 3, 0xf0, d.n, 0, s.n);
    x_byte(e, n);
}

/* d = ~n & s. BMI1. */
static inline void x_andn(struct x_buf *e, enum x_width w, struct x_gpr d, struct x_gpr n,
                          struct x_gpr s)
{
    x_vex(e, w, 2, 0, 0xf2, d.n, n.n, s.n);
}

/* ---- control flow: rel32 is relative to the end of the instruction ---- */
static inline void x_jmp(struct x_buf *e, int32_t rel)
{
    x_byte(e, 0xe9);
    x_imm32(e, (uint32_t)rel);
}

static inline void x_jcc(struct x_buf *e, enum x_cc cc, int32_t rel)
{
    x_byte(e, 0x0f);
    x_byte(e, 0x80 | (unsigned)cc);
    x_imm32(e, (uint32_t)rel);
}

static inline void x_jcc8(struct x_buf *e, enum x_cc cc, int8_t rel)
{
    x_byte(e, 0x70 | (unsigned)cc);
    x_byte(e, (uint8_t)rel);
}

static inline void x_jmp8(struct x_buf *e, int8_t rel)
{
    x_byte(e, 0xeb);
    x_byte(e, (uint8_t)rel);
}

static inline void x_call(struct x_buf *e, int32_t rel)
{
    x_byte(e, 0xe8);
    x_imm32(e, (uint32_t)rel);
}

static inline void x_call_r(struct x_buf *e, struct x_gpr r)
{
    x_enc_rr(e, X_32, 0xff, 2, r.n);
}

static inline void x_call_m(struct x_buf *e, struct x_mem m)
{
    x_enc_rm(e, X_32, 0xff, 2, m);
}

static inline void x_jmp_r(struct x_buf *e, struct x_gpr r)
{
    x_enc_rr(e, X_32, 0xff, 4, r.n);
}

static inline void x_jmp_m(struct x_buf *e, struct x_mem m)
{
    x_enc_rm(e, X_32, 0xff, 4, m);
}

static inline void x_ret(struct x_buf *e)
{
    x_byte(e, 0xc3);
}

static inline void x_pushfq(struct x_buf *e)
{
    x_byte(e, 0x9c);
}

static inline void x_popfq(struct x_buf *e)
{
    x_byte(e, 0x9d);
}

/* lock or dword [m], 0: a full barrier cheaper than mfence */
static inline void x_lock_or0(struct x_buf *e, struct x_mem m)
{
    x_byte(e, 0xf0);
    x_alu_mi(e, X_OR, X_32, m, 0);
}

static inline void x_ldmxcsr(struct x_buf *e, struct x_mem m)
{
    x_enc_rm(e, X_32, 0xae | X_0F, 2, m);
}

static inline void x_stmxcsr(struct x_buf *e, struct x_mem m)
{
    x_enc_rm(e, X_32, 0xae | X_0F, 3, m);
}

/* n bytes of no-ops, in as few instructions as the recommended forms allow. */
static inline void x_nop(struct x_buf *e, unsigned n)
{
    static const uint8_t form[8][8] = {
        {0x90},
        {0x66, 0x90},
        {0x0f, 0x1f, 0x00},
        {0x0f, 0x1f, 0x40},
        {0x0f, 0x1f, 0x44},
        {0x66, 0x0f, 0x1f, 0x44},
        {0x0f, 0x1f, 0x80},
        {0x0f, 0x1f, 0x84},
    };
    while (n) {
        unsigned k = n < 8 ? n : 8;
        memcpy(e->p, form[k - 1], k);
        e->p += k;
        n -= k;
    }
}
