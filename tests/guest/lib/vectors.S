/* SPDX-License-Identifier: MIT */
/*
 * Exception vectors (ARM state): save all registers of the interrupted code as struct regs on the
 * stack of the exception mode, call trap_c(), restore and return by RFE.  frame_enter() uses the
 * same way out to start code with a chosen set of registers.
 */
    .syntax unified
    .arch armv7ve
    .set R_SP, 52
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
    and     r8, r4, #0x1f
    and     r9, r6, #0x1f
    cmp     r8, #0x10
    moveq   r8, #0x1f
    cmp     r8, r9
    addeq   r10, sp, #FRAME         /* trap taken from the same mode: its LR is lost */
    moveq   r11, lr
    beq     1f
    orr     r8, r8, #0xc0
    msr     cpsr_c, r8
    mov     r10, sp
    mov     r11, lr
    msr     cpsr_c, r6
1:  add     r12, r0, #R_SP
    stmia   r12, {r10, r11}
    bl      trap_c
    mov     r0, sp

/* r0 = sp = frame */
frame_return:
    ldr     r4, [r0, #R_CPSR]
    mrs     r6, cpsr
    add     r12, r0, #R_SP
    ldmia   r12, {r10, r11}
    and     r8, r4, #0x1f
    and     r9, r6, #0x1f
    cmp     r8, #0x10
    moveq   r8, #0x1f
    cmp     r8, r9
    addne   r3, r0, #FRAME          /* other mode: our own stack pointer after the pop */
    moveq   r3, r10
    moveq   lr, r11
    beq     1f
    orr     r8, r8, #0xc0
    msr     cpsr_c, r8
    mov     sp, r10
    mov     lr, r11
    msr     cpsr_c, r6
1:  ldr     r2, [r0, #R_PC]
    sub     r3, r3, #8
    stmia   r3, {r2, r4}
    str     r3, [r0, #R_NEW_SP]
    ldmia   r0, {r0-r12}
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
