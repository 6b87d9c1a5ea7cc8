/* SPDX-License-Identifier: MIT */
/*
 * catch_call() and catch_user(): run a function with the promise that a trap inside it comes back
 * here as a return value.  trap.c unwinds to catch_resume with the saved stack pointer.
 */
    .syntax unified
    .arch armv7ve
    .set CATCH_SP, 0
    .set CATCH_CPSR, 4
    .set RESULT, 8
    .set USER_SP, 12

    .text
    .arm
    .global catch_call
    .type catch_call, %function
catch_call:
    push    {r3-r11, lr}
    mrs     r5, cpsr
    mrc     p15, 0, r4, c13, c0, 4
    str     sp, [r4, #CATCH_SP]
    str     r5, [r4, #CATCH_CPSR]
    mov     r5, r0
    mov     r0, r1
    mov     r1, r2
    mov     r2, r3
    blx     r5
    str     r0, [r4, #RESULT]
    mov     r0, #0
    str     r0, [r4, #CATCH_SP]
    pop     {r3-r11, pc}

    .global catch_user
    .type catch_user, %function
catch_user:
    push    {r3-r11, lr}
    mrs     r5, cpsr
    mrc     p15, 0, r4, c13, c0, 4
    str     sp, [r4, #CATCH_SP]
    str     r5, [r4, #CATCH_CPSR]
    ldr     r6, [r4, #USER_SP]
    ldr     r7, =user_exit
    cps     #0x1f
    mov     sp, r6
    mov     lr, r7
    cps     #0x13
    bic     r5, r5, #0x2f
    orr     r5, r5, #0x10
    tst     r0, #1
    orrne   r5, r5, #0x20
    bic     r6, r0, #1
    msr     spsr_cxsf, r5
    mov     r0, r1
    mov     r1, r2
    mov     r2, r3
    movs    pc, r6

    .global catch_resume
    .type catch_resume, %function
catch_resume:
    pop     {r3-r11, pc}
    .ltorg

/* A page of its own, so that a page-table test can map it for User mode. */
    .section .text.user, "ax"
    .arm
    .balign 32
    .global user_exit, user_exit_svc
    .type user_exit, %function
user_exit:
user_exit_svc:
    svc     #0x51
    b       .
