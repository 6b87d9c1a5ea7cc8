/* SPDX-License-Identifier: MIT */
/*
 * Checks a block against the rules of ir.h: debug builds run it after the front end and after every
 * pass, tests feed it bad blocks. Returns a sentence in a thread's own buffer.
 */
#include "ir_internal.h"
#include <stdarg.h>
#include <string.h>

static _Thread_local char verify_text[160];

static const char *PRINTF_LIKE(1, 2) complain(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(verify_text, sizeof(verify_text), fmt, ap);
    va_end(ap);
    return verify_text;
}

struct labels {
    ir_ref first[IR_MAX_LABELS]; /* earliest branch */
    bool placed[IR_MAX_LABELS];
    uint64_t hidden[IR_MAX_NODES / 64];
};

static unsigned arg_count(const struct ir_block *b, const struct ir_node *n)
{
    return n->op == IR_CALL ? b->call[n->imm].nargs : ir_ops[n->op].nargs;
}

static const char *verify_args(const struct ir_block *b, const struct labels *l, unsigned i)
{
    const struct ir_node *n = &b->node[i];
    const char *name = ir_op_name((enum ir_op)n->op);
    for (unsigned k = 0; k < arg_count(b, n); k++) {
        ir_ref a = n->arg[k];
        if (!a || a >= i)
            return complain("node %u %s: argument %u is v%u, not an earlier value", i, name, k, a);
        const struct ir_node *d = &b->node[a];
        if (d->type == IR_VOID)
            return complain("node %u %s: argument %u (v%u) has no value", i, name, k, a);
        if (d->op != IR_CONST && (l->hidden[a / 64] >> (a % 64) & 1))
            return complain("node %u %s: v%u was defined between a branch and its label", i, name,
                            a);
    }
    return NULL;
}

/* Types of the arguments, by op. */
static const char *verify_types(const struct ir_block *b, unsigned i)
{
    const struct ir_node *n = &b->node[i];
    unsigned t[6] = {0};
    for (unsigned k = 0; k < arg_count(b, n); k++)
        t[k] = b->node[n->arg[k]].type;
    bool ok = true;
    bool int0 = t[0] == IR_I32 || t[0] == IR_I64;
    switch (n->op) {
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
    case IR_ROR:
        ok = int0 && n->type == t[0] && t[1] == IR_I32;
        break;
    case IR_ADC:
        ok = int0 && n->type == t[0] && t[1] == t[0] && t[2] == IR_I32;
        break;
    case IR_ADC_C:
    case IR_ADC_V:
        ok = int0 && n->type == IR_I32 && t[1] == t[0] && t[2] == IR_I32;
        break;
    case IR_ADD_C:
    case IR_ADD_V:
    case IR_SUB_V:
    case IR_SETC:
        ok = int0 && n->type == IR_I32 && t[1] == t[0];
        break;
    case IR_BRCOND:
    case IR_GOTO_IF:
        ok = int0 && t[1] == t[0];
        break;
    case IR_BX_UNLESS:
        ok = t[0] == IR_I32 && t[1] == IR_I32;
        break;
    case IR_SELECT:
        ok = int0 && t[1] == t[0] && t[2] == t[3] && n->type == t[2];
        break;
    case IR_ZEXT32:
    case IR_SEXT32:
        ok = t[0] == IR_I32 && n->type == IR_I64;
        break;
    case IR_TRUNC:
    case IR_HI32:
        ok = t[0] == IR_I64 && n->type == IR_I32;
        break;
    case IR_PAIR:
        ok = t[0] == IR_I32 && t[1] == IR_I32 && n->type == IR_I64;
        break;
    case IR_LD:
        ok = t[0] != IR_V128 && (n->type == IR_I32 || n->type == IR_I64);
        break;
    case IR_ST:
        ok = t[0] != IR_V128 && t[1] != IR_V128;
        break;
    case IR_PUT:
    case IR_DEFER:
        break;
    case IR_CALL:
        for (unsigned k = 0; k < arg_count(b, n); k++)
            ok = ok && t[k] != IR_V128;
        break;
    case IR_VDUP:
        ok = t[0] == IR_I32 && n->type == IR_V128;
        break;
    case IR_ITOV:
        ok = int0 && n->type == IR_V128;
        break;
    case IR_VTOI:
        ok = t[0] == IR_V128 && n->type != IR_V128;
        break;
    case IR_FCMP:
    case IR_FTOI:
        ok = t[0] == IR_V128 && (n->op == IR_FTOI || t[1] == IR_V128) && n->type == IR_I32;
        break;
    case IR_ITOF:
        ok = t[0] == IR_I32 && n->type == IR_V128;
        break;
    default:
        for (unsigned k = 0; k < arg_count(b, n); k++)
            ok = ok && t[k] == n->type;
        if (ir_ops[n->op].res == 'I')
            ok = ok && (n->type == IR_I32 || n->type == IR_I64 ||
                        (n->op == IR_GET && n->type == IR_V128));
        break;
    }
    return ok ? NULL
              : complain("node %u %s: wrong operand or result type", i,
                         ir_op_name((enum ir_op)n->op));
}

/* Lane sizes that an op has, one bit each; 0: any. */
static const uint16_t lane_sizes[IR_OP_COUNT] = {
    [IR_VADD] = 0x116,   [IR_VSUB] = 0x116,   [IR_VMUL] = 0x14,    [IR_VCMPEQ] = 0x116,
    [IR_VCMPGTS] = 0x16, [IR_VMINS] = 0x16,   [IR_VMAXS] = 0x16,   [IR_VMINU] = 0x16,
    [IR_VMAXU] = 0x16,   [IR_VSHLI] = 0x114,  [IR_VSHRI] = 0x114,  [IR_VSARI] = 0x14,
    [IR_VDUP] = 0x116,   [IR_VQADDS] = 0x06,  [IR_VQADDU] = 0x06,  [IR_VQSUBS] = 0x06,
    [IR_VQSUBU] = 0x06,  [IR_VAVGU] = 0x06,   [IR_VMULHS] = 0x04,  [IR_VMULHU] = 0x04,
    [IR_VMULWS] = 0x10,  [IR_VMULWU] = 0x10,  [IR_VUNPKL] = 0x116, [IR_VUNPKH] = 0x116,
    [IR_VPACKSS] = 0x14, [IR_VPACKUS] = 0x04, [IR_VSHUFB] = 0x02,  [IR_VSHUFD] = 0x10,
    [IR_VALIGN] = 0x02,  [IR_VCONST] = 0x02,  [IR_VSHLV] = 0x110,  [IR_VSHRV] = 0x110,
    [IR_VSARV] = 0x10,
};

static bool lane_ok(const struct ir_node *n)
{
    if (lane_sizes[n->op] && (n->size > 8 || !(lane_sizes[n->op] >> n->size & 1)))
        return false;
    switch (n->op) {
    case IR_VSHLI:
    case IR_VSHRI:
    case IR_VSARI:
        return n->imm < n->size * 8u;
    case IR_VALIGN:
        return n->imm >= 1 && n->imm <= 15;
    case IR_VSHUFD:
        return n->imm <= 0xff;
    case IR_VCONST:
        return n->imm != 0;
    default:
        return true;
    }
}

static const char *verify_float(const struct ir_block *b, unsigned i)
{
    const struct ir_node *n = &b->node[i];
    const char *name = ir_op_name((enum ir_op)n->op);
    unsigned args = ir_ops[n->op].nargs;
    if (n->size != 4 && n->size != 8)
        return complain("node %u %s: lane size %u is not a float's", i, name, n->size);
    if (n->op >= IR_VFADD && n->size != 4)
        return complain("node %u %s: lanes are singles", i, name);
    if (n->op == IR_ITOF || n->op == IR_VITOF)
        return NULL;
    if (n->imm >= b->ncalls || !b->call[n->imm].fn || b->call[n->imm].flags ||
        b->call[n->imm].nargs < args || b->call[n->imm].nargs > args + 1)
        return complain("node %u %s: no suitable helper", i, name);
    return NULL;
}

/* Sizes, immediates, table indices. */
static const char *verify_fields(const struct ir_block *b, unsigned i)
{
    const struct ir_node *n = &b->node[i];
    const char *name = ir_op_name((enum ir_op)n->op);
    unsigned pos = n->imm & 0xff, len = (unsigned)(n->imm >> 8);
    uint64_t v;
    if (n->op >= IR_FADD)
        return verify_float(b, i);
    switch (n->op) {
    case IR_CALL:
        if (n->imm >= b->ncalls || b->call[n->imm].nargs > 5 || !b->call[n->imm].fn)
            return complain("node %u CALL: no such helper", i);
        break;
    case IR_GET:
    case IR_PUT:
    case IR_DEFER: {
        unsigned t = n->op == IR_GET ? n->type : b->node[n->arg[0]].type, s = n->size;
        bool ok = t == IR_V128 ? s == 4 || s == 8 || s == 16
                               : s == 1 || s == 2 || s == 4 || (s == 8 && t == IR_I64);
        return ok ? NULL : complain("node %u %s: slot size %u does not suit the type", i, name, s);
    }
    case IR_EXTRACT:
    case IR_SEXTRACT:
    case IR_DEPOSIT:
        if (!len || pos + len > ir_type_bits(n->type))
            return complain("node %u %s: field %u:%u is outside the value", i, name, pos, len);
        break;
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
        if (ir_is_const(b, n->arg[1], &v) && v >= ir_type_bits(n->type))
            return complain("node %u %s: shift amount is not below the width", i, name);
        break;
    case IR_SETC:
    case IR_SELECT:
    case IR_BRCOND:
    case IR_GOTO_IF:
        if (n->rel > IR_TSTNE)
            return complain("node %u %s: no such relation", i, name);
        break;
    case IR_LD:
    case IR_ST: {
        unsigned t = n->op == IR_LD ? n->type : b->node[n->arg[1]].type;
        if (t == IR_I32 && MEMOP_SIZE(n->imm) == MEMOP_64)
            return complain("node %u %s: 8 bytes do not fit an I32", i, name);
        break;
    }
    default:
        if (!lane_ok(n))
            return complain("node %u %s: lane size %u or amount not supported", i, name, n->size);
        break;
    }
    return NULL;
}

static const char *verify_label(const struct ir_block *b, struct labels *l, unsigned i)
{
    const struct ir_node *n = &b->node[i];
    if (n->imm >= b->nlabels)
        return complain("node %u %s: no such label", i, ir_op_name((enum ir_op)n->op));
    if (l->placed[n->imm])
        return complain("node %u %s: label L%u was placed before", i, ir_op_name((enum ir_op)n->op),
                        (unsigned)n->imm);
    if (n->op != IR_LABEL) {
        if (!l->first[n->imm])
            l->first[n->imm] = (ir_ref)i;
        return NULL;
    }
    l->placed[n->imm] = true;
    for (unsigned r = l->first[n->imm] + 1u; l->first[n->imm] && r < i; r++)
        l->hidden[r / 64] |= (uint64_t)1 << (r % 64);
    return NULL;
}

const char *ir_verify(const struct ir_block *b)
{
    struct labels l;
    memset(&l, 0, sizeof(l));
    bool open = true;
    for (unsigned i = 1; i < b->n; i++) {
        const struct ir_node *n = &b->node[i];
        if (n->op >= IR_OP_COUNT || n->type > IR_V128)
            return complain("node %u: no such op or type", i);
        if (n->op == IR_NOP)
            continue;
        const char *why = n->op == IR_CALL ? verify_fields(b, i) : NULL;
        if (!why)
            why = verify_args(b, &l, i);
        if (!why)
            why = verify_types(b, i);
        if (!why)
            why = verify_fields(b, i);
        if (!why && (n->op == IR_LABEL || n->op == IR_BR || n->op == IR_BRCOND))
            why = verify_label(b, &l, i);
        if (why)
            return why;
        if (n->op == IR_LABEL)
            open = true;
        else if (n->op == IR_BR || n->op == IR_GOTO || n->op == IR_GOTO_IND || n->op == IR_EXIT)
            open = false;
    }
    for (unsigned k = 0; k < b->nlabels; k++)
        if (l.first[k] && !l.placed[k])
            return complain("node %u: branch to label L%u, which is not placed", l.first[k], k);
    return open ? complain("the block does not end in an exit") : NULL;
}
