/* SPDX-License-Identifier: MIT */
/*
 * See insn_subject.h. The MMU and the run loop are replaced by two flat areas and a longjmp;
 * everything between (decoders, front end, IR builder, passes, verifier, PSR code, helpers) is the
 * real thing.
 */
#include "insn_subject.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir_interp.h"
#include "mmu/mmu.h"
#include "tcg/ir/ir.h"
#include "tcg/tcg.h"
#include "vcpu/arm.h"
#include "vcpu/vcpu.h"
#include "vm.h"

#define MAX_BLOCKS 64

static struct vcpu *v;
static struct vm no_vm;
static struct ir_block *block;
static struct ir_interp interp;
static jmp_buf leave;
static _Alignas(4096) uint32_t code_area[INSN_CODE_SIZE / 4];
static uint32_t data_area[INSN_DATA_SIZE / 4];

/* ---- what the front end's helpers call ---- */
void vcpu_raise(struct vcpu *cpu, uintptr_t ra, enum arm_exception e, uint32_t fsr, gva_t far)
{
    (void)ra;
    (void)fsr;
    (void)far;
    cpu->r[15] = (uint32_t)interp.insn_pc;
    cpu->exc = e;
    longjmp(leave, 1);
}

static void *memory_at(uint64_t gva, uint64_t bytes)
{
    if (gva >= INSN_DATA_BASE && gva + bytes <= INSN_DATA_BASE + INSN_DATA_SIZE) {
        return (uint8_t *)data_area + (gva - INSN_DATA_BASE);
    }
    if (gva >= INSN_CODE_BASE && gva + bytes <= INSN_CODE_BASE + INSN_CODE_SIZE) {
        return (uint8_t *)code_area + (gva - INSN_CODE_BASE);
    }
    return NULL;
}

static void *access_at(uint64_t gva, uint32_t memop)
{
    unsigned bytes = 1u << MEMOP_SIZE(memop);
    void *p = memory_at(gva, bytes);

    if (!p || ((memop & MEMOP_ALIGN) && (gva & (bytes - 1))) ||
        ((memop & MEMOP_ALIGN4) && (gva & 3))) {
        vcpu_raise(v, 0, ARM_EXC_DABT, 0, gva);
    }
    return p;
}

void *mmu_helper_host(struct vcpu *cpu, gva_t gva, enum mmu_access access, uint32_t memop,
                      uintptr_t ra, gpa_t *gpa)
{
    (void)cpu;
    (void)access;
    (void)ra;
    *gpa = gva;
    return access_at(gva, memop);
}

/* Nowhere at once: the loop of exclusives itself is what is tested. */
void *mmu_helper_peek_write(struct vcpu *cpu, gva_t gva, bool privileged, gpa_t *gpa)
{
    (void)cpu;
    (void)gva;
    (void)privileged;
    (void)gpa;
    return NULL;
}

static uint64_t swap(uint64_t value, uint32_t memop)
{
    return memop & MEMOP_BSWAP ? __builtin_bswap64(value) >> (64 - (8u << MEMOP_SIZE(memop)))
                               : value;
}

static uint64_t on_load(struct ir_interp *in, uint64_t gva, uint32_t memop)
{
    uint64_t value = 0;

    (void)in;
    memcpy(&value, access_at(gva, memop), 1u << MEMOP_SIZE(memop));
    return swap(value, memop);
}

static void on_store(struct ir_interp *in, uint64_t gva, uint64_t value, uint32_t memop)
{
    (void)in;
    value = swap(value, memop);
    memcpy(access_at(gva, memop), &value, 1u << MEMOP_SIZE(memop));
}

void mmu_slow_store(struct vcpu *cpu, gva_t gva, uint64_t value, uint32_t memop, uintptr_t ra)
{
    (void)cpu;
    (void)ra;
    on_store(&interp, gva, value, memop);
}

/* ---- state ---- */
static void create(void)
{
    v = aligned_alloc(CACHE_LINE, (sizeof(*v) + CACHE_LINE - 1) & ~(CACHE_LINE - 1ul));
    block = ir_block_new();
    if (!v || !block) {
        abort();
    }
    memset(v, 0, sizeof(*v));
    v->vm = &no_vm;
    interp = (struct ir_interp){.v = v, .load = on_load, .store = on_store};
    for (unsigned i = 0; i < INSN_CODE_SIZE / 4; i++) {
        code_area[i] = INSN_TRAP;
    }
    for (unsigned i = 0; i < INSN_DATA_SIZE / 4; i++) {
        data_area[i] = insn_data_word(i);
    }
}

static void load_state(const struct insn_test *t)
{
    uint32_t *code = code_area + INSN_CODE_SIZE / 8;

    for (unsigned i = 0; i < INSN_MAX_BYTES / 4 + 2; i++) {
        code[i] = INSN_TRAP;
    }
    memcpy(code, t->code, t->code_len);
    if (t->flags & INSN_USES_MEMORY) {
        for (unsigned i = 0; i < INSN_WINDOW_WORDS; i++) {
            data_area[INSN_WINDOW_FIRST + i] = insn_data_word(INSN_WINDOW_FIRST + i);
        }
    }
    memcpy(v->r, t->in.r, 15 * 4);
    v->r[15] = INSN_CODE_AT;
    v->cpsr_rest = ARM_USR;
    v->exec_flags = 0;
    arm_cpsr_write(v, t->in.cpsr, ~0x1fu);
    v->exc = ARM_EXC_NONE;
    v->excl.armed = false;
    memcpy(v->vfp.d, t->in.d, sizeof(v->vfp.d));
}

static const uint8_t *no_next_page(struct vcpu *cpu)
{
    uint64_t at = (cpu->r[15] & ~0xfffu) + 0x1000;

    return memory_at(at, 1);
}

/* One block; false when it ended the test. */
static bool run_block(void)
{
    struct tcg_source src = {
        .pc = v->r[15],
        .exec_flags = v->exec_flags,
        .page = memory_at(v->r[15] & ~0xfffu, 4096),
        .max_insns = 64,
        .features = 0,
        .next_page = no_next_page,
        .vcpu = v,
    };
    const char *wrong;

    if (!src.page || v->r[15] < INSN_CODE_BASE || v->r[15] >= INSN_CODE_BASE + INSN_CODE_SIZE) {
        v->exc = ARM_EXC_PABT;
        return false;
    }
    ir_block_reset(block, src.pc, src.exec_flags, false);
    arm_translate_block(&src, block);
    wrong = ir_verify(block);
    if (!wrong) {
        ir_optimize(block);
        wrong = ir_verify(block);
    }
    if (wrong || !ir_interp_run(&interp, block)) {
        fprintf(stderr, "bad block: %s\n", wrong ? wrong : "not interpreted");
        ir_dump(block, stderr);
        abort();
    }
    if (interp.left_by == IR_GOTO) {
        v->r[15] = (uint32_t)interp.left_imm;
    }
    return true;
}

void insn_subject_run(const struct insn_test *t, struct insn_result *out)
{
    if (!v) {
        create();
    }
    load_state(t);
    memset(out, 0, sizeof(*out));
    if (setjmp(leave) == 0) {
        for (unsigned i = 0; i < MAX_BLOCKS && run_block(); i++) {
        }
    }
    memcpy(out->out.r, v->r, sizeof(v->r));
    out->out.cpsr = arm_cpsr_read(v);
    out->outcome = v->exc == ARM_EXC_UNDEF                            ? INSN_UNDEF
                   : v->exc == ARM_EXC_DABT || v->exc == ARM_EXC_PABT ? INSN_FAULT
                                                                      : INSN_OTHER;
    if (t->flags & INSN_USES_MEMORY) {
        out->memory = insn_data_hash(data_area + INSN_WINDOW_FIRST, INSN_WINDOW_WORDS);
    }
    memcpy(out->out.d, v->vfp.d, sizeof(v->vfp.d));
}
