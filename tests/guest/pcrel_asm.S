/* SPDX-License-Identifier: MIT */
/*
 * Two pages of position-independent code, once A32 and once T32, which pcrel.c copies into frames
 * and patches: pcrel_tag0 is data in the first page, pcrel_tag1 in the second; pcrel_id* are MOVW
 * instructions whose immediate tells the frames apart.  Functions take r0-r2 and return r0; a label
 * that ends in _at is where the address that a function returns points.
 */
    .syntax unified
    .section .text.pcrel, "ax", %progbits

.macro fn name
    .global \name
    .type \name, %function
\name:
.endm
.macro label name
    .global \name
\name:
.endm

    .arm
    .balign 4
label pcrel_arm
label pcrel_arm_tag0
    .word 0
fn pa_adr
    adr r0, pa_adr
    bx lr
fn pa_pc
    mov r0, pc
    bx lr
fn pa_literal
    ldr r0, pcrel_arm_tag0
    bx lr
fn pa_store_pc
    str pc, [sp, #-4]!
    pop {r0}
    bx lr
fn pa_sum /* r0 rounds */
    mov r1, #0
1:  ldr r2, pcrel_arm_tag0
    add r1, r1, r2
label pa_sum_at
    add r1, r1, pc
    subs r0, r0, #1
    bne 1b
    mov r0, r1
    bx lr
fn pa_call
    push {lr}
    bl 1f
label pa_call_at
    pop {pc}
1:  mov r0, lr
    bx lr
fn pa_blx
    push {lr}
    blx 1f
label pa_blx_at
    pop {pc}
    .thumb
    .balign 4
1:  mov r0, lr
    bx lr
    .arm
    .balign 4
fn pa_bx
    push {lr}
    adr r1, pa_bx_at + 1
    bx r1
    .thumb
    .balign 4
label pa_bx_at
    mov r0, pc
    pop {pc}
    .arm
    .balign 4
fn pa_either
    cmp r0, #0
    beq pa_either_at
    mov r0, #7
    bx lr
label pa_either_at
    mov r0, pc
    bx lr
fn pa_add_pc /* r0 = 0 to 3 */
    add pc, pc, r0, lsl #3
    nop
    .irp n, 0, 1, 2, 3
    mov r0, #(10 + \n)
    bx lr
    .endr
fn pa_table /* r0 = 0 to 3 */
    adr r1, 1f
    ldr r2, [r1, r0, lsl #2]
    add pc, r1, r2
1:  .word 2f - 1b, 3f - 1b, 4f - 1b, 5f - 1b
2:  mov r0, #20
    bx lr
3:  mov r0, #21
    bx lr
4:  mov r0, #22
    bx lr
5:  mov r0, #23
    bx lr
fn pa_ldr_pc
    adr r1, pa_ldr_pc_at
    str r1, [sp, #-4]!
    ldr pc, [sp], #4
    nop
label pa_ldr_pc_at
    mov r0, pc
    bx lr
fn pa_pop_pc
    adr r2, pa_pop_pc_at
    push {r1, r2}
    ldm sp!, {r1, pc}
    nop
fn pa_svc
    nop
    svc #9
label pa_svc_at
    bx lr
fn pa_undef
    nop
label pa_undef_at
    udf #1
fn pa_abort /* r0 = an address that is not mapped */
    mov r1, #1
label pa_abort_at
    ldr r2, [r0]
    bx lr
fn pa_next
    mov r0, #0
    b pa_page1
label pa_pop_pc_at
    b pa_adr
/* Change the page table, r0 = entry, r1 = value, r2 = address of this page, and branch without an
 * ISB: the branch's target is fetched from the old or the new page. */
.macro remap n
    str r1, [r0]
    dsb
    mcr p15, 0, r2, c8, c7, 1
    dsb
    b pcrel_id\n
    nop
    label pcrel_id\n
    movw r0, #0
    bx lr
.endm
    .balign 64
label pcrel_remap
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7
    remap \n
    .balign 64
    .endr
    .org pcrel_arm + 0xfd0
fn pa_far
    ldr r0, pcrel_arm_tag1
    bx lr
fn pa_jump_over
    mov r0, #1
    b 1f
    nop
1:  add r0, r0, #1
    .org pcrel_arm + 0xffc
    add r0, r0, #1
/* ---- second page ---- */
fn pa_page1
    ldr r1, pcrel_arm_tag1
    add r0, r0, r1
    bx lr
label pcrel_arm_tag1
    .word 0
fn pa_back
    b pa_adr
    .org pcrel_arm + 0x2000

    .thumb
label pcrel_thumb
label pcrel_thumb_tag0
    .word 0
.macro tfn name
    .global \name
    .thumb_func
\name:
.endm
tfn pt_adr
    adr.w r0, pcrel_thumb
    bx lr
tfn pt_pc
    mov r0, pc
    bx lr
    .balign 4
tfn pt_literal
    ldr.w r0, pcrel_thumb_tag0
    bx lr
tfn pt_sum
    movs r1, #0
1:  ldr.w r2, pcrel_thumb_tag0
    adds r1, r1, r2
label pt_sum_at
    add r1, pc
    subs r0, #1
    bne 1b
    mov r0, r1
    bx lr
tfn pt_call
    push {lr}
    bl 1f
label pt_call_at
    pop {pc}
1:  mov r0, lr
    bx lr
    .balign 4
tfn pt_blx
    push {lr}
    blx 1f
label pt_blx_at
    pop {pc}
    .balign 4
    .arm
1:  mov r0, lr
    bx lr
    .thumb
tfn pt_tbb
    tbb [pc, r0]
1:  .byte (2f - 1b) / 2, (3f - 1b) / 2, (4f - 1b) / 2, (5f - 1b) / 2
2:  movs r0, #20
    bx lr
3:  movs r0, #21
    bx lr
4:  movs r0, #22
    bx lr
5:  movs r0, #23
    bx lr
tfn pt_tbh
    tbh [pc, r0, lsl #1]
1:  .hword (2f - 1b) / 2, (3f - 1b) / 2, (4f - 1b) / 2, (5f - 1b) / 2
2:  movs r0, #30
    bx lr
3:  movs r0, #31
    bx lr
4:  movs r0, #32
    bx lr
5:  movs r0, #33
    bx lr
tfn pt_cbz
    cbz r0, 1f
    movs r0, #7
    bx lr
1:
label pt_cbz_at
    mov r0, pc
    bx lr
tfn pt_it
    cmp r0, #1
    itt eq
    moveq r0, #3
    beq 1f
    movs r0, #4
1:  adds r0, #1
    bx lr
tfn pt_svc
    nop
    svc #9
label pt_svc_at
    bx lr
tfn pt_undef
    nop
label pt_undef_at
    udf #1
tfn pt_abort
    movs r1, #1
label pt_abort_at
    ldr r2, [r0]
    bx lr
    .org pcrel_thumb + 0xfe0
tfn pt_jump
    movs r1, #0
    b.n pt_straddle
    nop
tfn pt_far
    ldr.w r0, pcrel_thumb_tag1
    bx lr
    .org pcrel_thumb + 0xffc
tfn pt_straddle
    movs r1, #1
    movw r0, #0 /* its second half begins the second page and is patched */
    bx lr
    .balign 4
label pcrel_thumb_tag1
    .word 0
tfn pt_back
    b.w pt_adr
    .org pcrel_thumb + 0x2000
