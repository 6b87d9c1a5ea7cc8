/* SPDX-License-Identifier: MIT */
/*
 * Host code per guest sequence: instructions on the straight path and bytes in all, for both memory
 * modes, against tests/codegen/sizes.txt. A change shows up as a difference; when it is wanted,
 * UMBRA_UPDATE=1 rewrites the file. UMBRA_SHOW=name prints the host code of a sequence.
 */
#include "tcg/tcg.h"
#include "tcg/x64/x64_internal.h"
#include "vcpu/arm.h"
#include "vcpu/vcpu.h"
#include <capstone/capstone.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SNAPSHOT  UMBRA_SOURCE_DIR "/tests/codegen/sizes.txt"
#define CODE_ROOM 65536
#define FP        (EXEC_CPACR | EXEC_NEON)

static const struct sequence {
    const char *name;
    uint32_t exec_flags;
    unsigned len; /* words (A32) or halfwords (T32) */
    uint32_t code[6];
} sequences[] = {
    {"add", 0, 1, {0xe0810002}},
    {"add_imm_same", 0, 1, {0xe2800001}},
    {"adds", 0, 1, {0xe0910002}},
    {"adcs", 0, 1, {0xe0b10002}},
    {"mov_lsl_imm", 0, 1, {0xe1a00181}},
    {"mov_lsl_reg", 0, 1, {0xe1a00211}},
    {"mul", 0, 1, {0xe0000291}},
    {"umull", 0, 1, {0xe0810392}},
    {"udiv", 0, 1, {0xe730f211}},
    {"ubfx", 0, 1, {0xe7e70251}},
    {"cmp_imm_beq", 0, 2, {0xe3500005, 0x0a000002}},
    {"cmp_blt", 0, 2, {0xe1500001, 0xba000002}},
    {"subs_bne", 0, 2, {0xe2500001, 0x1afffffd}},
    {"beq_alone", 0, 1, {0x0a000002}},
    {"bgt_alone", 0, 1, {0xca000002}},
    {"cmp_movne", 0, 2, {0xe3500000, 0x13a00001}},
    {"b_near", 0, 1, {0xea000010}},
    {"b_far", 0, 1, {0xea010000}},
    {"bl_near", 0, 1, {0xeb000010}},
    {"bx_lr", 0, 1, {0xe12fff1e}},
    {"ldr", 0, 1, {0xe5910004}},
    {"ldr_post", 0, 1, {0xe4910004}},
    {"ldr_reg", 0, 1, {0xe7910102}},
    {"ldr_literal", 0, 1, {0xe59f0010}},
    {"ldrb", 0, 1, {0xe5d10000}},
    {"ldrsh", 0, 1, {0xe1d100f2}},
    {"ldrd", 0, 1, {0xe1c120d8}},
    {"str", 0, 1, {0xe5810004}},
    {"strb", 0, 1, {0xe5c10004}},
    {"push5", 0, 1, {0xe92d40f0}},
    {"pop5_return", 0, 1, {0xe8bd80f0}},
    {"copy_loop", 0, 4, {0xe8b10078, 0xe8a00078, 0xe2522010, 0x1afffffb}},
    {"chase", 0, 3, {0xe5900000, 0xe3500000, 0x1afffffc}},
    {"t_adds", EXEC_T, 1, {0x1888}},
    {"t_ldr", EXEC_T, 1, {0x6848}},
    {"t_push", EXEC_T, 1, {0xb510}},
    {"t_pop_return", EXEC_T, 1, {0xbd10}},
    {"t_cbz", EXEC_T, 1, {0xb108}},
    {"t_it_moveq", EXEC_T, 3, {0x2800, 0xbf08, 0x2001}},
    {"vadd_f64", FP, 1, {0xee300b01}},
    {"vmul_f64", FP, 1, {0xee200b01}},
    {"vmla_f64", FP, 1, {0xee002b01}},
    {"vfma_f64", FP, 1, {0xeea02b01}},
    {"vadd_f64_fz", FP | EXEC_FZ, 1, {0xee300b01}},
    {"vmul_f64_fz", FP | EXEC_FZ, 1, {0xee200b01}},
    {"vdiv_f32", FP, 1, {0xee800a20}},
    {"dot_f64", FP, 4, {0xecb10b02, 0xecb21b02, 0xee002b01, 0xee202b02}},
    {"vcmp_vmrs_bgt", FP, 3, {0xeeb40b41, 0xeef1fa10, 0xca000002}},
    {"vcvt_s32_f64", FP, 1, {0xeebd0bc1}},
    {"vcvt_u32_f64", FP, 1, {0xeebc0bc1}},
    {"vcvt_f64_s32", FP, 1, {0xeeb80bc1}},
    {"vcvt_f32_f64", FP, 1, {0xeeb70bc1}},
    {"vadd_i32_q", FP, 1, {0xf2220844}},
    {"vqadd_s16_q", FP, 1, {0xf2120054}},
    {"vhadd_u8_q", FP, 1, {0xf3020044}},
    {"vmull_s16", FP, 1, {0xf2922c04}},
    {"vmlal_u8", FP, 1, {0xf3822804}},
    {"vaddl_u8", FP, 1, {0xf3822004}},
    {"vqshrun_8", FP, 1, {0xf3882812}},
    {"vmovn_i32", FP, 1, {0xf3b62202}},
    {"vpaddl_u8_q", FP, 1, {0xf3b022c4}},
    {"vext_q", FP, 1, {0xf2b22444}},
    {"vrev64_8_q", FP, 1, {0xf3b02044}},
    {"vtrn_8_q", FP, 1, {0xf3b220c4}},
    {"vzip_8_q", FP, 1, {0xf3b221c4}},
    {"vuzp_8_q", FP, 1, {0xf3b22144}},
    {"vtbl_2", FP, 1, {0xf3b20904}},
    {"vld1_q", FP, 1, {0xf4210a8f}},
    {"vld2_8", FP, 1, {0xf421080f}},
    {"vld3_8", FP, 1, {0xf421040f}},
    {"vld4_8", FP, 1, {0xf421000f}},
    {"vst4_8", FP, 1, {0xf401000f}},
    {"sum_loop_x4", 0, 4, {0xe4910004, 0xe0822000, 0xe2533001, 0x1afffffb}},
    {"copy_loop_x4", 0, 4, {0xe4d12001, 0xe3520000, 0xe4c02001, 0x1afffffb}},
    {"t_walk_x4", EXEC_T, 4, {0x6800, 0x3101, 0x2800, 0xd1fb}},
};

static _Alignas(4096) uint8_t guest_page[4096];

static const uint8_t *no_next_page(struct vcpu *v)
{
    (void)v;
    return NULL;
}

/* Loops named so are regions of four rounds. */
static unsigned rounds(const struct sequence *s)
{
    return strstr(s->name, "_x4") ? 4 : 1;
}

/* Only the branch back to the beginning. */
static enum tcg_follow follow(const struct tcg_source *src, gva_t taken, gva_t next)
{
    (void)next;
    return taken == src->pc && src->n_insns < src->max_insns ? FOLLOW_TAKEN : FOLLOW_NONE;
}

static void translate(const struct sequence *s, struct ir_block *b)
{
    static struct vcpu *v;
    if (!v)
        v = calloc(1, sizeof(*v));
    for (unsigned k = 0; k < s->len; k++) {
        if ((s->exec_flags & EXEC_T))
            memcpy(guest_page + 0x800 + 2 * k, &(uint16_t){(uint16_t)s->code[k]}, 2);
        else
            memcpy(guest_page + 0x800 + 4 * k, &s->code[k], 4);
    }
    struct tcg_source src = {.pc = 0x8800,
                             .exec_flags = s->exec_flags,
                             .page = guest_page,
                             .max_insns = s->len * rounds(s),
                             .follow = rounds(s) > 1 ? follow : NULL,
                             .next_page = no_next_page,
                             .vcpu = v};
    ir_block_reset(b, src.pc, src.exec_flags, false);
    arm_translate_block(&src, b);
    cr_assert_null(ir_verify(b), "%s: %s", s->name, ir_verify(b));
    ir_optimize(b);
}

/* Instructions before the out-of-line part, which the poll's branch at the entry points to. */
static unsigned inline_instructions(const uint8_t *code, bool show)
{
    csh handle;
    cs_insn *in;
    int32_t rel;
    memcpy(&rel, code + 6, 4);
    size_t inline_bytes = (size_t)(10 + rel);
    cr_assert_eq(cs_open(CS_ARCH_X86, CS_MODE_64, &handle), CS_ERR_OK);
    size_t n = cs_disasm(handle, code, inline_bytes, 0, 0, &in);
    cr_assert_eq(in[n - 1].address + in[n - 1].size, inline_bytes);
    for (size_t k = 0; show && k < n; k++)
        fprintf(stderr, "  %4x  %-8s %s\n", (unsigned)in[k].address, in[k].mnemonic, in[k].op_str);
    cs_free(in, n);
    cs_close(&handle);
    return (unsigned)n;
}

static void measure(const struct sequence *s, struct ir_block *b, bool soft, char *out, size_t room)
{
    static uint8_t code[CODE_ROOM];
    static struct tcg_site sites[TCG_MAX_SITES];
    const char *show = getenv("UMBRA_SHOW");
    /* An address far from every helper, so that calls are as long as they ever are. */
    struct code_buffer buf = {
        .rw = code, .rx = (uint8_t *)0x100000000000, .room = sizeof(code)};
    struct x64_options o = {.soft_mmu = soft, .tb = (void *)0x123456789abc, .link_page_bits = 12};
    struct x64_result r = {.site = sites};
    translate(s, b);
    cr_assert_eq(x64_compile(b, &o, &buf, &r), 0);
    bool shown = show && !strcmp(show, s->name);
    if (shown)
        fprintf(stderr, "%s, %s\n", s->name, soft ? "soft MMU" : "SPT");
    snprintf(out, room, " %4u %5zu", inline_instructions(code, shown), r.host_bytes);
}

Test(codegen, sizes)
{
    char line[128], *got = NULL;
    size_t len;
    FILE *f = open_memstream(&got, &len), *old = fopen(SNAPSHOT, "r");
    struct ir_block *b = ir_block_new();
    x64_cpu = (struct x64_cpu){true, true, true, true, true, true}; /* code is looked at, not run */
    fprintf(f, "# host instructions on the straight path and bytes in all: SPT, then soft MMU\n");
    for (unsigned k = 0; k < ARRAY_SIZE(sequences); k++) {
        char spt[32], soft[32];
        measure(&sequences[k], b, false, spt, sizeof(spt));
        measure(&sequences[k], b, true, soft, sizeof(soft));
        fprintf(f, "%-14s%s  %s\n", sequences[k].name, spt, soft);
    }
    fclose(f);
    if (getenv("UMBRA_UPDATE")) {
        FILE *new = fopen(SNAPSHOT, "w");
        cr_assert(new &&fwrite(got, 1, len, new) == len && !fclose(new));
        return;
    }
    cr_assert_not_null(old, "no %s: make it with UMBRA_UPDATE=1", SNAPSHOT);
    char *rest = got;
    unsigned different = 0;
    while (fgets(line, sizeof(line), old)) {
        char *end = strchr(rest, '\n');
        if (!end || strncmp(rest, line, (size_t)(end - rest + 1))) {
            fprintf(stderr, "was: %snow: %.*s\n", line, end ? (int)(end - rest) : 0, rest);
            different++;
        }
        rest = end ? end + 1 : rest;
    }
    fclose(old);
    cr_assert(!different && !*rest, "%u sequences differ from %s", different, SNAPSHOT);
    ir_block_free(b);
    free(got);
}
