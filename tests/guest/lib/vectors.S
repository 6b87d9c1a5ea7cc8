/* SPDX-License-Identifier: MIT */
/*
 * Exception vectors (ARM state): save all registers of the interrupted code as struct regs on the
 * stack of the exception mode, call trap_c(), restore and return by RFE.  frame_enter() uses the
 * same way out to start code with a chosen set of registers.
 */
    .syntax unified
    .arch armv7ve
    .set R_R8, 32
    .set R_SP, 52
    .set R_LR, 56
    .set R_PC, 60
    .set R_CPSR, 64
    .set R_KIND, 68
    .set R_EXC_LR, 72
    .set R_EXC_CPSR, 76
    .set R_NEW_SP, 80
    .set FRAME, 96

    .text
    .arm
    .balign 32
    .global vectors
vectors:
    b       v_reset
    b       v_undef
    b       v_svc
    b       v_pabt
    b       v_dabt
    b       v_reset
    b       v_irq
    b       v_fiq

    .macro  ENTRY name, kind
\name:
    sub     sp, sp, #FRAME
    stmia   sp, {r0-r12}
    mov     r7, #\kind
    b       common
    .endm

    ENTRY   v_reset, 1
    ENTRY   v_undef, 2
    ENTRY   v_svc, 3
    ENTRY   v_pabt, 4
    ENTRY   v_dabt, 5
    ENTRY   v_irq, 7
    ENTRY   v_fiq, 8

/* Only r0-r7 as scratch: r8-r12 may be those of FIQ mode. */
common:
    mov     r5, lr
    mrs     r4, spsr
    mrs     r6, cpsr
    mov     r0, sp
    str     r7, [r0, #R_KIND]
    str     r5, [r0, #R_EXC_LR]
    str     r6, [r0, #R_EXC_CPSR]
    str     r4, [r0, #R_CPSR]
    clrex
    add     r3, r0, #R_R8
    and     r1, r4, #0x1f
    and     r2, r6, #0x1f
    cmp     r1, #0x10
    moveq   r1, #0x1f
    cmp     r1, r2
    bne     1f
    add     r2, sp, #FRAME          /* trap taken from the same mode: its LR is lost */
    str     r2, [r0, #R_SP]
    str     lr, [r0, #R_LR]
    b       2f
1:  orr     r1, r1, #0xc0
    msr     cpsr_c, r1
    stmia   r3, {r8-r12, sp, lr}
    msr     cpsr_c, r6
2:  bl      trap_c
    mov     r0, sp

/* r0 = sp = frame */
frame_return:
    ldr     r4, [r0, #R_CPSR]
    mrs     r6, cpsr
    and     r1, r4, #0x1f
    and     r2, r6, #0x1f
    cmp     r1, #0x10
    moveq   r1, #0x1f
    add     r3, r0, #R_R8
    cmp     r1, r2
    addne   r5, r0, #FRAME          /* other mode: our own stack pointer after the pop */
    ldreq   r5, [r0, #R_SP]
    ldreq   lr, [r0, #R_LR]
    ldmiaeq r3, {r8-r12}
    beq     1f
    orr     r1, r1, #0xc0
    msr     cpsr_c, r1
    ldmia   r3, {r8-r12, sp, lr}
    msr     cpsr_c, r6
1:  ldr     r2, [r0, #R_PC]
    sub     r5, r5, #8
    str     r2, [r5]
    str     r4, [r5, #4]
    str     r5, [r0, #R_NEW_SP]
    ldmia   r0, {r0-r7}
    ldr     sp, [sp, #R_NEW_SP]
    rfeia   sp!

/* void frame_enter(const struct regs *regs): never returns; call it through catch_call(). */
    .global frame_enter
    .type frame_enter, %function
frame_enter:
    sub     sp, sp, #FRAME
    mov     r1, #0
1:  ldr     r2, [r0, r1]
    str     r2, [sp, r1]
    add     r1, r1, #4
    cmp     r1, #FRAME
    blo     1b
    mov     r0, sp
    b       frame_return
