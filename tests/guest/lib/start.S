/* SPDX-License-Identifier: MIT */
/*
 * Entry points: _start on CPU 0 (image loaded at its link address, MMU off, any privileged mode but
 * Hyp) and secondary_start on a CPU that PSCI CPU_ON started with its index as context.  Sets the
 * stacks of every mode, VBAR, a known SCTLR, the flat page tables, and goes to C.
 */
    .syntax unified
    .arch armv7ve
    .section .text.start, "ax"
    .arm
    .global _start
    .type _start, %function
_start:
    cpsid   aif, #0x13
    mov     r8, r2                  /* device tree, if the loader says */
    ldr     r1, =__bss_start
    ldr     r2, =__bss_end
    mov     r3, #0
1:  cmp     r1, r2
    strlo   r3, [r1], #4
    blo     1b
    ldr     r1, =boot_r2
    str     r8, [r1]
    mov     r4, #0
    bl      cpu_setup
    bl      mmu_flat_build
    bl      mmu_flat_enable
    bl      runtime_main
    b       .

    .global secondary_start
    .type secondary_start, %function
secondary_start:
    cpsid   aif, #0x13
    mov     r4, r0
    bl      cpu_setup
    bl      mmu_flat_enable
    bl      smp_secondary_main
    b       .

/* r4: index. Stacks: 32 KiB per CPU: und, abt, irq, fiq 4 KiB each, usr/sys 4 KiB, svc the rest. */
cpu_setup:
    mrc     p15, 0, r0, c1, c0, 0
    ldr     r1, =0x72002807         /* TE AFE TRE EE V Z C A M */
    bic     r0, r0, r1
    bic     r0, r0, #0x1000         /* I */
    bic     r0, r0, #0x180000       /* UWXN, WXN */
    mcr     p15, 0, r0, c1, c0, 0
    ldr     r0, =vectors
    mcr     p15, 0, r0, c12, c0, 0
    isb
    ldr     r0, =cpus
    ldr     r1, =cpu_struct_size
    ldr     r1, [r1]
    mla     r0, r1, r4, r0
    mcr     p15, 0, r0, c13, c0, 4
    ldr     r1, =stacks
    add     r1, r1, r4, lsl #15
    add     r1, r1, #0x1000
    cps     #0x1b
    mov     sp, r1
    add     r1, r1, #0x1000
    cps     #0x17
    mov     sp, r1
    add     r1, r1, #0x1000
    cps     #0x12
    mov     sp, r1
    add     r1, r1, #0x1000
    cps     #0x11
    mov     sp, r1
    add     r1, r1, #0x1000
    cps     #0x1f
    mov     sp, r1
    str     r1, [r0, #12]           /* cpu->user_sp */
    add     r1, r1, #0x3000
    cps     #0x13
    mov     sp, r1
    bx      lr
    .ltorg

    .section .bss.stacks, "aw", %nobits
    .balign 4096
stacks:
    .space  32768 * 8
