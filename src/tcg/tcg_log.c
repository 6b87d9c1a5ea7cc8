/* SPDX-License-Identifier: MIT */
/*
 * -d in_asm, op, out_asm: a block's guest code, IR and host code, disassembled with Capstone, which
 * also counts host instructions for -d tb-stats. Any vCPU thread; one piece of the log is written
 * at a time. A Capstone handle is opened per piece: this is a debugging aid.
 */
#include "base/log.h"
#include "tcg/tcg_internal.h"
#include "vcpu/vcpu.h"

#include <capstone/capstone.h>

static void disassemble(FILE *f, cs_arch arch, cs_mode mode, const uint8_t *code, size_t len,
                        uint64_t address)
{
    csh h;
    cs_insn *insn;
    size_t n;

    if (cs_open(arch, mode, &h) != CS_ERR_OK) {
        fprintf(f, "  (no disassembler)\n");
        return;
    }
    cs_option(h, CS_OPT_SKIPDATA, CS_OPT_ON);
    n = cs_disasm(h, code, len, address, 0, &insn);
    for (size_t i = 0; i < n; i++)
        fprintf(f, "  %08llx  %-8s %s\n", (unsigned long long)insn[i].address, insn[i].mnemonic,
                insn[i].op_str);
    if (n)
        cs_free(insn, n);
    cs_close(&h);
}

static void print_head(FILE *f, const char *what, const struct tb *tb)
{
    fprintf(f, "%s: pc %08llx flags %04x\n", what, (unsigned long long)tb->pc, tb->exec_flags);
}

void tcg_log_guest(const struct tb *tb, const uint8_t *page, unsigned len)
{
    size_t off = tb->pc & ~GUEST_PAGE_MASK, room = GUEST_PAGE_SIZE - off;
    cs_mode mode =
        (tb->exec_flags & EXEC_T) ? CS_MODE_THUMB | CS_MODE_V8 : CS_MODE_ARM | CS_MODE_V8;
    FILE *f;

    if (!log_on(LOG_IN_ASM))
        return;
    f = log_begin();
    print_head(f, "guest code", tb);
    disassemble(f, CS_ARCH_ARM, mode, page + off, len < room ? len : room, tb->pc);
    log_end(f);
}

void tcg_log_ir(const struct tb *tb, const struct ir_block *b, const char *title)
{
    FILE *f;

    if (!log_on(LOG_OP))
        return;
    f = log_begin();
    print_head(f, title, tb);
    ir_dump(b, f);
    log_end(f);
}

void tcg_log_host(const struct tcg *t, const struct tb *tb)
{
    const uint8_t *cold = t->rx + tb->cold;
    FILE *f;

    if (!log_on(LOG_OUT_ASM))
        return;
    f = log_begin();
    print_head(f, "host code", tb);
    disassemble(f, CS_ARCH_X86, CS_MODE_64, tb->code, tb->straight_bytes, (uintptr_t)tb->code);
    disassemble(f, CS_ARCH_X86, CS_MODE_64, cold, tb->host_bytes - tb->straight_bytes,
                (uintptr_t)cold);
    log_end(f);
}

unsigned tcg_host_insns(const struct tb *tb)
{
    const uint8_t *code = tb->code;
    size_t left = tb->straight_bytes;
    uint64_t address = 0;
    unsigned count = 0;
    cs_insn *insn;
    csh h;

    if (cs_open(CS_ARCH_X86, CS_MODE_64, &h) != CS_ERR_OK)
        return 0;
    insn = cs_malloc(h);
    while (insn && cs_disasm_iter(h, &code, &left, &address, insn))
        count++;
    if (insn)
        cs_free(insn, 1);
    cs_close(&h);
    return count;
}
