/* SPDX-License-Identifier: MIT */
/*
 * The emitter's vector forms; see x64_emit.h.
 */
#pragma once

#include "x64_emit.h"

/* ---- SSE: op is an opcode word with map and prefix ---- */
static inline void x_sse_rr(struct x_buf *e, unsigned op, struct x_xmm d, struct x_xmm s)
{
    x_enc_rr(e, X_32, op, d.n, s.n);
}

/* Also stores: op decides the direction. */
static inline void x_sse_rm(struct x_buf *e, unsigned op, struct x_xmm d, struct x_mem m)
{
    x_enc_rm(e, X_32, op, d.n, m);
}

static inline void x_sse_rri(struct x_buf *e, unsigned op, struct x_xmm d, struct x_xmm s,
                             uint8_t imm)
{
    x_enc_rr(e, X_32, op, d.n, s.n);
    x_byte(e, imm);
}

/* Shift by immediate: the r/m register is the destination, `ext` selects the operation. */
static inline void x_sse_shift(struct x_buf *e, unsigned op, unsigned ext, struct x_xmm d,
                               uint8_t imm)
{
    x_enc_rr(e, X_32, op, ext, d.n);
    x_byte(e, imm);
}

/* Zero-extended 16-bit field k of s. */
static inline void x_pextrw(struct x_buf *e, struct x_gpr d, struct x_xmm s, uint8_t k)
{
    x_enc_rr(e, X_32, 0xc5 | X_0F | X_66, d.n, s.n);
    x_byte(e, k);
}

/* Bit k = the sign of 32-bit lane k. */
static inline void x_movmskps(struct x_buf *e, struct x_gpr d, struct x_xmm s)
{
    x_enc_rr(e, X_32, 0x50 | X_0F, d.n, s.n);
}

/* Between register files; w is the width of the general register: cvt(t)s[sd]2si, cvtsi2s[sd]. */
static inline void x_cvt_rx(struct x_buf *e, unsigned op, enum x_width w, struct x_gpr d,
                            struct x_xmm s)
{
    x_enc_rr(e, w, op, d.n, s.n);
}

static inline void x_cvt_xr(struct x_buf *e, unsigned op, enum x_width w, struct x_xmm d,
                            struct x_gpr s)
{
    x_enc_rr(e, w, op, d.n, s.n);
}

/* d += a * b, rounded once: vfmadd231ss, -sd. FMA. */
static inline void x_fmadd(struct x_buf *e, bool dbl, struct x_xmm d, struct x_xmm a,
                           struct x_xmm b)
{
    x_vex(e, dbl ? X_64 : X_32, 2, 1, 0xb9, d.n, a.n, b.n);
}

/* The same in four lanes: vfmadd231ps. */
static inline void x_fmadd_packed(struct x_buf *e, struct x_xmm d, struct x_xmm a, struct x_xmm b)
{
    x_vex(e, X_32, 2, 1, 0xb8, d.n, a.n, b.n);
}

/* Lanes of a shifted by those of n: vpsllvd, vpsrlvd, vpsravd; of 64 bits vpsllvq, vpsrlvq. AVX2.
 */
static inline void x_lane_shift(struct x_buf *e, enum x_shift op, enum x_width lane, struct x_xmm d,
                                struct x_xmm a, struct x_xmm n)
{
    x_vex(e, lane, 2, 1, op == X_SHL ? 0x47 : op == X_SHR ? 0x45 : 0x46, d.n, a.n, n.n);
}

static inline void x_fmadd_m(struct x_buf *e, bool dbl, struct x_xmm d, struct x_xmm a,
                             struct x_mem b)
{
    x_vex_m(e, dbl ? X_64 : X_32, 2, 1, 0xb9, d.n, a.n, b);
}

/* movd / movq between register files */
static inline void x_movd_xr(struct x_buf *e, enum x_width w, struct x_xmm d, struct x_gpr s)
{
    x_enc_rr(e, w, 0x6e | X_0F | X_66, d.n, s.n);
}

static inline void x_movd_rx(struct x_buf *e, enum x_width w, struct x_gpr d, struct x_xmm s)
{
    x_enc_rr(e, w, 0x7e | X_0F | X_66, s.n, d.n);
}

#define X_MOVAPS       (0x28u | X_0F)
#define X_MOVUPS_LOAD  (0x10u | X_0F)
#define X_MOVUPS_STORE (0x11u | X_0F)
#define X_MOVSS_LOAD   (0x10u | X_0F | X_F3)
#define X_MOVSS_STORE  (0x11u | X_0F | X_F3)
#define X_MOVSD_LOAD   (0x10u | X_0F | X_F2)
#define X_MOVSD_STORE  (0x11u | X_0F | X_F2)
