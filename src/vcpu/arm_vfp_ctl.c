/* SPDX-License-Identifier: MIT */
/*
 * FPSCR as software sees it (Arm ARM DDI0406C B4.1.58). Cumulative flags come from two places: what
 * helpers recorded in fpscr_rest, and the sticky bits of the host's MXCSR, which generated code
 * works with. Called from generated code, so the live MXCSR is the guest's.
 */
#include "vcpu/arm_sys_internal.h"

#include <string.h>
#include <xmmintrin.h>

#define MXCSR_DEFAULT    0x1f80u /* all exceptions masked, round to nearest */
#define MXCSR_STICKY     0x3fu
#define FPSCR_CUMULATIVE 0x9fu
#define FPSCR_QC         (1u << 27)
/* AHP, DN, FZ, RMode, Stride, Len, cumulative flags, QC. Trap enables are RAZ/WI on these CPUs. */
#define FPSCR_REST       (FPSCR_QC | 0x07f70000u | FPSCR_CUMULATIVE)

/* MXCSR bits IE, ZE, OE, UE, PE to IOC, DZC, OFC, UFC, IXC. */
static uint32_t sticky_to_fpscr(uint32_t mxcsr)
{
    return (mxcsr & 1) | (mxcsr >> 1 & 0x1e);
}

uint32_t arm_helper_fpscr_read(struct vcpu *v)
{
    static const uint8_t none[sizeof(v->fpscr_qc)];
    uint32_t qc = memcmp(v->fpscr_qc, none, sizeof(none)) ? FPSCR_QC : 0;

    return (v->fpscr_nzcv & 0xf0000000u) | v->fpscr_rest | qc |
           sticky_to_fpscr(_mm_getcsr() & MXCSR_STICKY);
}

void arm_helper_fpscr_write(struct vcpu *v, uint32_t value)
{
    v->fpscr_nzcv = value & 0xf0000000u;
    v->fpscr_rest = value & FPSCR_REST;
    memset(v->fpscr_qc, 0, sizeof(v->fpscr_qc));
    v->mxcsr = MXCSR_DEFAULT;
    _mm_setcsr(MXCSR_DEFAULT);
    arm_exec_flags_refresh(v);
}

uint32_t arm_fpscr_peek_stopped(const struct vcpu *v)
{
    return (v->fpscr_nzcv & 0xf0000000u) | v->fpscr_rest |
           sticky_to_fpscr(v->mxcsr & MXCSR_STICKY);
}

void arm_fpscr_poke_stopped(struct vcpu *v, uint32_t value)
{
    v->fpscr_nzcv = value & 0xf0000000u;
    v->fpscr_rest = value & FPSCR_REST;
    v->mxcsr = MXCSR_DEFAULT;
    arm_exec_flags_refresh(v);
}

/* Only EN exists: no exceptional state, no traps on these CPUs (Cortex-A15 TRM 10.2.6). */
void arm_fpexc_write(struct vcpu *v, uint32_t value)
{
    v->fpexc = value & FPEXC_EN;
}

uint32_t arm_vfp_id(struct vcpu *v, unsigned reg)
{
    const struct arm_cpu_model *m = v->sys->model;

    switch (reg) {
    case 0:
        return m->fpsid;
    case 5:
        return m->mvfr2;
    case 6:
        return m->mvfr1;
    default:
        return m->mvfr0;
    }
}
