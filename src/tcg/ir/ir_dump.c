/* SPDX-License-Identifier: MIT */
/*
 * Text form of a block, one node a line, for -d op and for golden tests:
 *     v12:i32 = add v3, 0x10
 *     put [0x40]:4 v12
 * Constants are written where they are used and get no line of their own.
 */
#include "ir_internal.h"
#include <ctype.h>
#include <inttypes.h>

static const char *const type_names[] = {"void", "i32", "i64", "v128"};
static const char *const rel_names[] = {"eq",  "ne",  "ltu", "geu", "leu",   "gtu",
                                        "lts", "ges", "les", "gts", "tsteq", "tstne"};

static void dump_name(const char *name, FILE *f)
{
    for (; *name; name++)
        fputc(tolower((unsigned char)*name), f);
}

static void dump_arg(const struct ir_block *b, ir_ref r, const char *sep, FILE *f)
{
    const struct ir_node *n = &b->node[r];
    if (r && n->op == IR_CONST)
        fprintf(f, "%s0x%" PRIx64, sep, n->imm);
    else
        fprintf(f, "%sv%u", sep, r);
}

static void dump_memop(uint64_t m, FILE *f)
{
    fprintf(f, " .%u%s%s%s%s%s%s%s", 8u << MEMOP_SIZE(m), m & MEMOP_SIGN ? "s" : "",
            m & MEMOP_BSWAP ? " be" : "", m & MEMOP_ALIGN ? " align" : "",
            m & MEMOP_ALIGN4 ? " align4" : "", m & MEMOP_USER ? " user" : "",
            m & MEMOP_PRIV ? " priv" : "", m & MEMOP_PAIR ? " pair" : "");
    if (MEMOP_ELEMENT(m) != MEMOP_SIZE(m))
        fprintf(f, " of%u", 8u << MEMOP_ELEMENT(m));
}

static void dump_float(const struct ir_node *n, FILE *f)
{
    fprintf(f, ".%u%s%s%s%s", n->size * 8u, n->rel & IR_FP_FZ ? " fz" : "",
            n->rel & IR_FP_UNSIGNED ? " unsigned" : "", n->rel & IR_FP_NEAREST ? " nearest" : "",
            n->rel & IR_FP_SIGNALLING ? " signalling" : "");
    for (unsigned k = 0; k < 3; k++)
        if (n->rel & IR_FP_SUBNORMAL << k)
            fprintf(f, " %c", "abc"[k]);
}

/* What stands between the op's name and its arguments. */
static void dump_detail(const struct ir_block *b, const struct ir_node *n, FILE *f)
{
    switch (n->op) {
    case IR_INSN:
        fprintf(f, " 0x%" PRIx64 " extra 0x%" PRIx64, n->imm & 0xffffffffu, n->imm >> 32);
        break;
    case IR_GET:
    case IR_PUT:
    case IR_DEFER:
        fprintf(f, " [0x%x]:%u", n->off, n->size);
        break;
    case IR_EXTRACT:
    case IR_SEXTRACT:
    case IR_DEPOSIT:
        fprintf(f, " %u:%u", (unsigned)(n->imm & 0xff), (unsigned)(n->imm >> 8));
        break;
    case IR_SETC:
    case IR_SELECT:
    case IR_BRCOND:
    case IR_GOTO_IF:
        fprintf(f, " %s", rel_names[n->rel]);
        break;
    case IR_LD:
    case IR_ST:
        dump_memop(n->imm, f);
        break;
    case IR_CALL:
        fprintf(f, " %s", b->call[n->imm].name);
        break;
    case IR_LABEL:
    case IR_BR:
        fprintf(f, " L%" PRIu64, n->imm);
        break;
    case IR_GOTO:
    case IR_EXIT:
        fprintf(f, " 0x%" PRIx64, n->imm);
        break;
    default:
        if (n->op >= IR_FADD)
            dump_float(n, f);
        else if (n->size)
            fprintf(f, ".%u", n->size * 8u);
        break;
    }
}

void ir_dump(const struct ir_block *b, FILE *f)
{
    fprintf(f, "block 0x%" PRIx64 " flags 0x%x%s\n", b->pc, b->exec_flags,
            b->privileged ? " priv" : "");
    for (unsigned i = 1; i < b->n; i++) {
        const struct ir_node *n = &b->node[i];
        if (n->op == IR_NOP || n->op == IR_CONST)
            continue;
        fputs(n->op == IR_INSN || n->op == IR_LABEL ? "" : "    ", f);
        if (n->type != IR_VOID)
            fprintf(f, "v%u:%s = ", i, type_names[n->type]);
        dump_name(ir_op_name((enum ir_op)n->op), f);
        dump_detail(b, n, f);
        unsigned nargs = n->op == IR_CALL ? b->call[n->imm].nargs : ir_ops[n->op].nargs;
        for (unsigned k = 0; k < nargs; k++)
            dump_arg(b, n->arg[k], k ? ", " : " ", f);
        if (n->op == IR_BRCOND)
            fprintf(f, ", L%" PRIu64, n->imm);
        if (n->op == IR_GOTO_IF || n->op == IR_BX_UNLESS)
            fprintf(f, ", 0x%" PRIx64, n->imm);
        if (n->op == IR_VSHLI || n->op == IR_VSHRI || n->op == IR_VSARI || n->op == IR_VSHUFD ||
            n->op == IR_VALIGN)
            fprintf(f, ", %" PRIu64, n->imm);
        for (unsigned k = 0; n->op == IR_VCONST && k < 16; k++)
            fprintf(f, "%s%02x", k ? "" : " ", ((const uint8_t *)(uintptr_t)n->imm)[k]);
        fputc('\n', f);
    }
}
