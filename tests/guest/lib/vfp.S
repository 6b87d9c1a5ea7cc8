/* SPDX-License-Identifier: MIT */
/* Loads and stores of the whole VFP register file and its system registers (see vfp.h). */
    .syntax unified
    .arch armv7ve
    .fpu neon-vfpv4
    .text
    .arm
    .macro  FN name
    .global \name
    .type \name, %function
\name:
    .endm

    FN      vfp_load
    vldmia  r0!, {d0-d15}
    vldmia  r0, {d16-d31}
    bx      lr
    FN      vfp_store
    vstmia  r0!, {d0-d15}
    vstmia  r0, {d16-d31}
    bx      lr
    FN      vfp_read_fpscr
    vmrs    r0, fpscr
    bx      lr
    FN      vfp_write_fpscr
    vmsr    fpscr, r0
    bx      lr
    FN      vfp_read_fpexc
    vmrs    r0, fpexc
    bx      lr
    FN      vfp_write_fpexc
    vmsr    fpexc, r0
    bx      lr
    FN      vfp_read_fpsid
    vmrs    r0, fpsid
    bx      lr
    FN      vfp_read_mvfr0
    vmrs    r0, mvfr0
    bx      lr
    FN      vfp_read_mvfr1
    vmrs    r0, mvfr1
    bx      lr
    FN      vfp_enable
    cmp     r0, #0
    mrc     p15, 0, r1, c1, c0, 2
    bic     r1, r1, #0x00f00000
    orr     r2, r1, #0x00f00000
    mcr     p15, 0, r2, c1, c0, 2
    isb
    movne   r3, #0x40000000
    moveq   r3, #0
    vmsr    fpexc, r3
    bxne    lr
    mcr     p15, 0, r1, c1, c0, 2
    isb
    bx      lr
