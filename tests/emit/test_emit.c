/* SPDX-License-Identifier: MIT */
/*
 * Every form of the emitter, decoded again by Capstone and compared with the text it should be;
 * Zydis, when present, checks each length independently. Loops cover all registers; single lines
 * the corners of addressing.
 */
#include "tcg/x64/x64_emit.h"
#include "tcg/x64/x64_emit_sse.h"
#include <capstone/capstone.h>
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#ifdef UMBRA_HAVE_ZYDIS
#include <Zydis/Zydis.h>
#endif

#define AT 0x100000u /* where the code pretends to be */

static csh handle;
static uint8_t code[64];
static struct x_buf e;

static void check_length(size_t len)
{
#ifdef UMBRA_HAVE_ZYDIS
    ZydisDisassembledInstruction in;
    cr_assert(ZYAN_SUCCESS(
        ZydisDisassembleIntel(ZYDIS_MACHINE_MODE_LONG_64, AT, code, sizeof(code), &in)));
    cr_assert_eq(in.info.length, len, "Zydis: %s has %u bytes, emitted %zu", in.text,
                 in.info.length, len);
#else
    (void)len;
#endif
}

/* What was emitted since reset() must be exactly this instruction. */
static void PRINTF_LIKE(1, 2) expect(const char *fmt, ...)
{
    char want[128], got[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(want, sizeof(want), fmt, ap);
    va_end(ap);
    size_t len = (size_t)(e.p - code);
    cs_insn *in;
    size_t n = cs_disasm(handle, code, len, AT, 0, &in);
    cr_assert_eq(n, 1u, "%s: %zu instructions decoded", want, n);
    snprintf(got, sizeof(got), "%s%s%s", in->mnemonic, *in->op_str ? " " : "", in->op_str);
    cr_assert_str_eq(got, want);
    cr_assert_eq(in->size, len, "%s: %zu bytes emitted, %u decoded", want, len, in->size);
    cs_free(in, n);
    check_length(len);
    memset(code, 0xcc, sizeof(code));
    e.p = code;
}

static void setup(void)
{
    cr_assert_eq(cs_open(CS_ARCH_X86, CS_MODE_64, &handle), CS_ERR_OK);
    memset(code, 0xcc, sizeof(code));
    e.p = code;
}

static const char *const names[2][16] = {
    {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "r8d", "r9d", "r10d", "r11d", "r12d",
     "r13d", "r14d", "r15d"},
    {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
     "r14", "r15"},
};
static const char *const byte_names[16] = {"al",   "cl",   "dl",   "bl",  "spl",  "bpl",
                                           "sil",  "dil",  "r8b",  "r9b", "r10b", "r11b",
                                           "r12b", "r13b", "r14b", "r15b"};
static const char *const word_names[16] = {"ax",   "cx",   "dx",   "bx",  "sp",   "bp",
                                           "si",   "di",   "r8w",  "r9w", "r10w", "r11w",
                                           "r12w", "r13w", "r14w", "r15w"};
static const char *const ptr[2] = {"dword ptr", "qword ptr"};

#define G(n)  X_GPR((uint8_t)(n))
#define X(n)  X_XMM((uint8_t)(n))
#define FOR_W for (unsigned w = 0; w < 2; w++)
#define FOR_D for (unsigned d = 0; d < 16; d++)
#define FOR_S for (unsigned s = 0; s < 16; s++)
#define W     ((enum x_width)w)

Test(emit, register_pairs, .init = setup)
{
    static const char *const alu[] = {"add", "or", "adc", "sbb", "and", "sub", "xor", "cmp"};
    FOR_W FOR_D FOR_S
    {
        x_mov_rr(&e, W, G(d), G(s));
        expect("mov %s, %s", names[w][d], names[w][s]);
        for (unsigned op = 0; op < 8; op++) {
            x_alu_rr(&e, (enum x_alu)op, W, G(d), G(s));
            expect("%s %s, %s", alu[op], names[w][d], names[w][s]);
        }
        x_test_rr(&e, W, G(d), G(s));
        expect("test %s, %s", names[w][d], names[w][s]);
        x_imul_rr(&e, W, G(d), G(s));
        expect("imul %s, %s", names[w][d], names[w][s]);
        x_cmov_rr(&e, X_LE, W, G(d), G(s));
        expect("cmovle %s, %s", names[w][d], names[w][s]);
        x_bsr(&e, W, G(d), G(s));
        expect("bsr %s, %s", names[w][d], names[w][s]);
        x_lzcnt(&e, W, G(d), G(s));
        expect("lzcnt %s, %s", names[w][d], names[w][s]);
        x_movx_rr(&e, W, X_MOVZX8, G(d), G(s));
        expect("movzx %s, %s", names[w][d], byte_names[s]);
        x_movx_rr(&e, W, X_MOVZX16, G(d), G(s));
        expect("movzx %s, %s", names[w][d], word_names[s]);
        x_movx_rr(&e, W, X_MOVSX8, G(d), G(s));
        expect("movsx %s, %s", names[w][d], byte_names[s]);
        x_movx_rr(&e, W, X_MOVSX16, G(d), G(s));
        expect("movsx %s, %s", names[w][d], word_names[s]);
        x_imul_rri(&e, W, G(d), G(s), 100);
        expect("imul %s, %s, 0x64", names[w][d], names[w][s]);
        x_imul_rri(&e, W, G(d), G(s), 1000);
        expect("imul %s, %s, 0x3e8", names[w][d], names[w][s]);
        x_rorx(&e, W, G(d), G(s), 13);
        expect("rorx %s, %s, 0xd", names[w][d], names[w][s]);
        x_shiftx(&e, X_SHL, W, G(d), G(s), G(d ^ 9));
        expect("shlx %s, %s, %s", names[w][d], names[w][s], names[w][d ^ 9]);
        x_shiftx(&e, X_SHR, W, G(d), G(s), G(s ^ 9));
        expect("shrx %s, %s, %s", names[w][d], names[w][s], names[w][s ^ 9]);
        x_shiftx(&e, X_SAR, W, G(d), G(s), G(15 - d));
        expect("sarx %s, %s, %s", names[w][d], names[w][s], names[w][15 - d]);
        x_andn(&e, W, G(d), G(15 - d), G(s));
        expect("andn %s, %s, %s", names[w][d], names[w][15 - d], names[w][s]);
    }
}

Test(emit, narrow_registers, .init = setup)
{
    FOR_D FOR_S
    {
        x_mov_rr8(&e, G(d), G(s));
        expect("mov %s, %s", byte_names[d], byte_names[s]);
        x_mov_rr16(&e, G(d), G(s));
        expect("mov %s, %s", word_names[d], word_names[s]);
        x_movx_rr(&e, X_64, X_MOVSXD, G(d), G(s));
        expect("movsxd %s, %s", names[1][d], names[0][s]);
    }
    FOR_D
    {
        x_test_ri8(&e, G(d), 7);
        expect("test %s, 7", byte_names[d]);
        x_rol16_ri(&e, G(d), 8);
        expect("rol %s, 8", word_names[d]);
        x_setcc(&e, X_AE, G(d));
        expect("setae %s", byte_names[d]);
    }
}

Test(emit, one_register, .init = setup)
{
    static const char *const shift[] = {"rol", "ror", "rcl", "rcr", "shl", "shr", NULL, "sar"};
    FOR_W FOR_D
    {
        for (unsigned op = 0; op < 8; op++) {
            if (!shift[op])
                continue;
            x_shift_ri(&e, (enum x_shift)op, W, G(d), 5);
            expect("%s %s, 5", shift[op], names[w][d]);
            x_shift_ri(&e, (enum x_shift)op, W, G(d), 1);
            expect("%s %s, 1", shift[op], names[w][d]);
            x_shift_cl(&e, (enum x_shift)op, W, G(d));
            expect("%s %s, cl", shift[op], names[w][d]);
        }
        x_not(&e, W, G(d));
        expect("not %s", names[w][d]);
        x_neg(&e, W, G(d));
        expect("neg %s", names[w][d]);
        x_div(&e, W, G(d));
        expect("div %s", names[w][d]);
        x_idiv(&e, W, G(d));
        expect("idiv %s", names[w][d]);
        x_bswap(&e, W, G(d));
        expect("bswap %s", names[w][d]);
        x_bt_ri(&e, W, G(d), 3);
        expect("bt %s, 3", names[w][d]);
        x_test_ri(&e, W, G(d), 0x12345);
        expect("test %s, 0x12345", names[w][d]);
    }
    FOR_D
    {
        x_push(&e, G(d));
        expect("push %s", names[1][d]);
        x_pop(&e, G(d));
        expect("pop %s", names[1][d]);
        x_call_r(&e, G(d));
        expect("call %s", names[1][d]);
        x_jmp_r(&e, G(d));
        expect("jmp %s", names[1][d]);
        x_lea_rip(&e, G(d), 0x10);
        expect("lea %s, [rip + 0x10]", names[1][d]);
    }
}

Test(emit, immediates, .init = setup)
{
    static const char *const alu[] = {"add", "or", "adc", "sbb", "and", "sub", "xor", "cmp"};
    FOR_W FOR_D for (unsigned op = 0; op < 8; op++)
    {
        x_alu_ri(&e, (enum x_alu)op, W, G(d), 0x7f);
        expect("%s %s, 0x7f", alu[op], names[w][d]);
        x_alu_ri(&e, (enum x_alu)op, W, G(d), 0x12345678);
        expect("%s %s, 0x12345678", alu[op], names[w][d]);
    }
    FOR_D
    {
        x_mov_ri(&e, G(d), 0);
        expect("mov %s, 0", names[0][d]);
        x_mov_ri(&e, G(d), 0xffffffffu);
        expect("mov %s, 0xffffffff", names[0][d]);
        x_mov_ri(&e, G(d), 0xffffffff80000000u);
        expect("mov %s, -0x80000000", names[1][d]);
        x_mov_ri(&e, G(d), 0x123456789abcdef0u);
        expect("movabs %s, 0x123456789abcdef0", names[1][d]);
    }
    x_alu_ri(&e, X_ADD, X_64, RAX, -128);
    expect("add rax, -0x80");
    x_alu_ri(&e, X_ADD, X_64, RBX, -129);
    expect("add rbx, -0x81");
    x_alu_ri(&e, X_AND, X_32, RBX, -2);
    expect("and ebx, 0xfffffffe");
}

/* Addressing: every base with every index, short and long displacements, the special encodings. */
static void expect_address(const char *head, struct x_mem m, const char *tail)
{
    char text[64];
    int n = snprintf(text, sizeof(text), "[%s", names[1][m.base]);
    if (m.index != X_NOINDEX)
        n += snprintf(text + n, sizeof(text) - (size_t)n, " + %s%s%s", names[1][m.index],
                      m.scale ? "*" : "",
                      m.scale == 3   ? "8"
                      : m.scale == 2 ? "4"
                      : m.scale == 1 ? "2"
                                     : "");
    if (m.disp) {
        int64_t a = m.disp < 0 ? -(int64_t)m.disp : m.disp;
        snprintf(text + n, sizeof(text) - (size_t)n,
                 a < 10 ? " %c %" PRId64 "]" : " %c 0x%" PRIx64 "]", m.disp < 0 ? '-' : '+', a);
    } else {
        snprintf(text + n, sizeof(text) - (size_t)n, "]");
    }
    expect("%s%s%s", head, text, tail);
}

Test(emit, addresses, .init = setup)
{
    static const int32_t disps[] = {0, 1, 127, 128, -128, -129, 0x12345678, -0x12345678};
    for (unsigned base = 0; base < 16; base++)
        for (unsigned k = 0; k < ARRAY_SIZE(disps); k++) {
            struct x_mem m = x_at(G(base), disps[k]);
            x_mov_rm(&e, X_64, R9, m);
            expect_address("mov r9, qword ptr ", m, "");
            for (unsigned index = 0; index < 16; index++) {
                if (index == 4)
                    continue; /* RSP is no index */
                m = x_at_index(G(base), G(index), (base + index + k) & 3, disps[k]);
                x_mov_rm(&e, X_32, RAX, m);
                expect_address("mov eax, dword ptr ", m, "");
                m.wide = true;
                x_mov_mr(&e, X_32, m, RSI);
                cr_assert(base < 8 || e.p - code >= 5); /* windows have a REX base */
                if (disps[k])
                    expect_address("mov dword ptr ", m, ", esi");
                else
                    e.p = code;
            }
        }
    /* a zero displacement that keeps its byte */
    struct x_mem m = x_at_index(R15, RSI, 0, 0);
    m.wide = true;
    x_mov_rm(&e, X_32, RAX, m);
    cr_assert_eq(e.p - code, 5);
    expect("mov eax, dword ptr [r15 + rsi]");
}

Test(emit, memory_forms, .init = setup)
{
    static const char *const alu[] = {"add", "or", "adc", "sbb", "and", "sub", "xor", "cmp"};
    struct x_mem m = x_at(RBP, -8), x = x_at_index(R15, R12, 1, 0x40);
    FOR_W FOR_D
    {
        x_mov_mr(&e, W, x, G(d));
        expect("mov %s [r15 + r12*2 + 0x40], %s", ptr[w], names[w][d]);
        x_lea(&e, W, G(d), x);
        expect("lea %s, [r15 + r12*2 + 0x40]", names[w][d]);
        x_imul_rm(&e, W, G(d), m);
        expect("imul %s, %s [rbp - 8]", names[w][d], ptr[w]);
        x_cmov_rm(&e, X_S, W, G(d), x);
        expect("cmovs %s, %s [r15 + r12*2 + 0x40]", names[w][d], ptr[w]);
        x_test_mr(&e, W, m, G(d));
        expect("test %s [rbp - 8], %s", ptr[w], names[w][d]);
        x_movx_rm(&e, W, X_MOVZX8, G(d), x);
        expect("movzx %s, byte ptr [r15 + r12*2 + 0x40]", names[w][d]);
        x_movx_rm(&e, W, X_MOVSX16, G(d), m);
        expect("movsx %s, word ptr [rbp - 8]", names[w][d]);
        for (unsigned op = 0; op < 8; op++) {
            x_alu_rm(&e, (enum x_alu)op, W, G(d), m);
            expect("%s %s, %s [rbp - 8]", alu[op], names[w][d], ptr[w]);
            x_alu_mr(&e, (enum x_alu)op, W, x, G(d));
            expect("%s %s [r15 + r12*2 + 0x40], %s", alu[op], ptr[w], names[w][d]);
        }
    }
    FOR_D
    {
        x_mov_mr8(&e, m, G(d));
        expect("mov byte ptr [rbp - 8], %s", byte_names[d]);
        x_mov_mr16(&e, x, G(d));
        expect("mov word ptr [r15 + r12*2 + 0x40], %s", word_names[d]);
        x_movx_rm(&e, X_64, X_MOVSXD, G(d), m);
        expect("movsxd %s, dword ptr [rbp - 8]", names[1][d]);
    }
    FOR_W
    {
        for (unsigned op = 0; op < 8; op++) {
            x_alu_mi(&e, (enum x_alu)op, W, m, 5);
            expect("%s %s [rbp - 8], 5", alu[op], ptr[w]);
            x_alu_mi(&e, (enum x_alu)op, W, x, 0x1234);
            expect("%s %s [r15 + r12*2 + 0x40], 0x1234", alu[op], ptr[w]);
        }
        x_mov_mi(&e, W, m, 0x1234);
        expect("mov %s [rbp - 8], 0x1234", ptr[w]);
        x_test_mi(&e, W, m, 0x80);
        expect("test %s [rbp - 8], 0x80", ptr[w]);
        x_bt_mi(&e, W, m, 0);
        expect("bt %s [rbp - 8], 0", ptr[w]);
    }
    x_mov_mi16(&e, x, 0xbeef);
    expect("mov word ptr [r15 + r12*2 + 0x40], 0xbeef");
    x_mov_mi8(&e, m, 0x80);
    expect("mov byte ptr [rbp - 8], 0x80");
    x_setcc_m(&e, X_O, m);
    expect("seto byte ptr [rbp - 8]");
    x_jmp_m(&e, x_at(RSP, 0));
    expect("jmp qword ptr [rsp]");
    x_call_m(&e, x_at(RSP, 16));
    expect("call qword ptr [rsp + 0x10]");
    x_lock_or0(&e, x_at(RSP, 24));
    expect("lock or dword ptr [rsp + 0x18], 0");
    x_ldmxcsr(&e, m);
    expect("ldmxcsr dword ptr [rbp - 8]");
    x_stmxcsr(&e, x);
    expect("stmxcsr dword ptr [r15 + r12*2 + 0x40]");
}

Test(emit, control_flow, .init = setup)
{
    static const char *const cc[] = {"o", "no", "b", "ae", "e", "ne", "be", "a",
                                     "s", "ns", "p", "np", "l", "ge", "le", "g"};
    for (unsigned k = 0; k < 16; k++) {
        x_jcc(&e, (enum x_cc)k, 0x100);
        expect("j%s 0x%x", cc[k], AT + 6 + 0x100);
        x_jcc8(&e, (enum x_cc)k, -2);
        expect("j%s 0x%x", cc[k], AT);
        x_setcc(&e, (enum x_cc)k, RBX);
        expect("set%s bl", cc[k]);
        x_cmov_rr(&e, (enum x_cc)k, X_32, R8, RDI);
        expect("cmov%s r8d, edi", cc[k]);
    }
    x_jmp(&e, -5);
    expect("jmp 0x%x", AT);
    x_jmp8(&e, 0x7f);
    expect("jmp 0x%x", AT + 2 + 0x7f);
    x_call(&e, 0x1000);
    expect("call 0x%x", AT + 5 + 0x1000);
    x_ret(&e);
    expect("ret");
    x_pushfq(&e);
    expect("pushfq");
    x_popfq(&e);
    expect("popfq");
    x_stc(&e);
    expect("stc");
    x_clc(&e);
    expect("clc");
    x_cmc(&e);
    expect("cmc");
    x_cdq(&e, X_32);
    expect("cdq");
    x_cdq(&e, X_64);
    expect("cqo");
}

Test(emit, nops_have_their_length, .init = setup)
{
    for (unsigned n = 0; n <= 24; n++) {
        x_nop(&e, n);
        cr_assert_eq((size_t)(e.p - code), n);
        cs_insn *in;
        size_t count = cs_disasm(handle, code, n, AT, 0, &in);
        size_t bytes = 0;
        for (size_t k = 0; k < count; k++) {
            cr_assert_str_eq(in[k].mnemonic, "nop");
            bytes += in[k].size;
        }
        cr_assert_eq(bytes, n);
        cr_assert_leq(count, (n + 7) / 8);
        if (count)
            cs_free(in, count);
        e.p = code;
    }
}

Test(emit, vectors, .init = setup)
{
    struct x_mem m = x_at(RSP, 0x40);
    FOR_D FOR_S
    {
        x_sse_rr(&e, X_MOVAPS, X(d), X(s));
        expect("movaps xmm%u, xmm%u", d, s);
        x_sse_rr(&e, 0xfeu | X_0F | X_66, X(d), X(s));
        expect("paddd xmm%u, xmm%u", d, s);
        x_sse_rr(&e, 0x40u | X_0F38 | X_66, X(d), X(s));
        expect("pmulld xmm%u, xmm%u", d, s);
        x_sse_rr(&e, 0x58u | X_0F | X_F3, X(d), X(s));
        expect("addss xmm%u, xmm%u", d, s);
        x_sse_rri(&e, 0x0fu | X_0F3A | X_66, X(d), X(s), 5);
        expect("palignr xmm%u, xmm%u, 5", d, s);
        x_pextrw(&e, G(d), X(s), 3);
        expect("pextrw %s, xmm%u, 3", names[0][d], s);
        x_fmadd(&e, true, X(d), X(s), X(15 - s));
        expect("vfmadd231sd xmm%u, xmm%u, xmm%u", d, s, 15 - s);
        x_fmadd(&e, false, X(d), X(15 - d), X(s));
        expect("vfmadd231ss xmm%u, xmm%u, xmm%u", d, 15 - d, s);
        x_fmadd_packed(&e, X(d), X(s), X(15 - d));
        expect("vfmadd231ps xmm%u, xmm%u, xmm%u", d, s, 15 - d);
        x_lane_shift(&e, X_SHL, X_32, X(d), X(s), X(15 - d));
        expect("vpsllvd xmm%u, xmm%u, xmm%u", d, s, 15 - d);
        x_lane_shift(&e, X_SHR, X_64, X(d), X(15 - s), X(s));
        expect("vpsrlvq xmm%u, xmm%u, xmm%u", d, 15 - s, s);
        x_lane_shift(&e, X_SAR, X_32, X(d), X(s), X(15 - s));
        expect("vpsravd xmm%u, xmm%u, xmm%u", d, s, 15 - s);
        x_movmskps(&e, G(d), X(s));
        expect("movmskps %s, xmm%u", names[0][d], s);
        x_fmadd_m(&e, true, X(d), X(s), m);
        expect("vfmadd231sd xmm%u, xmm%u, qword ptr [rsp + 0x40]", d, s);
        x_fmadd_m(&e, false, X(d), X(s), x_at_index(G(s == 5 ? 6 : s), R12, 2, 0));
        expect("vfmadd231ss xmm%u, xmm%u, dword ptr [%s + r12*4]", d, s, names[1][s == 5 ? 6 : s]);
        FOR_W
        {
            x_cvt_rx(&e, 0x2cu | X_0F | X_F2, W, G(d), X(s));
            expect("cvttsd2si %s, xmm%u", names[w][d], s);
            x_cvt_xr(&e, 0x2au | X_0F | X_F3, W, X(d), G(s));
            expect("cvtsi2ss xmm%u, %s", d, names[w][s]);
        }
        x_sse_rri(&e, 0x70u | X_0F | X_66, X(d), X(s), 0x44);
        expect("pshufd xmm%u, xmm%u, 0x44", d, s);
        FOR_W
        {
            x_movd_xr(&e, W, X(d), G(s));
            expect("mov%s xmm%u, %s", w ? "q" : "d", d, names[w][s]);
            x_movd_rx(&e, W, G(d), X(s));
            expect("mov%s %s, xmm%u", w ? "q" : "d", names[w][d], s);
        }
    }
    FOR_D
    {
        x_sse_rm(&e, X_MOVUPS_LOAD, X(d), m);
        expect("movups xmm%u, xmmword ptr [rsp + 0x40]", d);
        x_sse_rm(&e, X_MOVUPS_STORE, X(d), m);
        expect("movups xmmword ptr [rsp + 0x40], xmm%u", d);
        x_sse_rm(&e, X_MOVAPS, X(d), m);
        expect("movaps xmm%u, xmmword ptr [rsp + 0x40]", d);
        x_sse_rm(&e, X_MOVAPS + 1, X(d), m);
        expect("movaps xmmword ptr [rsp + 0x40], xmm%u", d);
        x_sse_rm(&e, X_MOVSS_LOAD, X(d), m);
        expect("movss xmm%u, dword ptr [rsp + 0x40]", d);
        x_sse_rm(&e, X_MOVSD_STORE, X(d), m);
        expect("movsd qword ptr [rsp + 0x40], xmm%u", d);
        x_sse_shift(&e, 0x72u | X_0F | X_66, 6, X(d), 7);
        expect("pslld xmm%u, 7", d);
        x_sse_shift(&e, 0x73u | X_0F | X_66, 2, X(d), 7);
        expect("psrlq xmm%u, 7", d);
    }
}
