/* SPDX-License-Identifier: MIT */
/*
 * See ir_interp.h. Values are kept zero-extended to 64 bits; a node is evaluated when it is
 * reached, so a value defined on a path not taken reads as a poison pattern that stands out.
 */
#include "ir_interp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tcg/ir/ir_internal.h"
#include "vcpu/vcpu.h"

#define POISON 0xdeadbeefdeadbeefu

static uint64_t mask_of(unsigned bits)
{
    return bits >= 64 ? ~0ull : (1ull << bits) - 1;
}

static uint64_t call_helper(struct ir_interp *in, const struct ir_block *b, const struct ir_node *n,
                            const uint64_t *a)
{
    const struct ir_call *c = &b->call[n->imm];
    uint64_t r;

    switch (c->nargs) {
    case 0:
        r = ((uint64_t(*)(struct vcpu *))c->fn)(in->v);
        break;
    case 1:
        r = ((uint64_t(*)(struct vcpu *, uint64_t))c->fn)(in->v, a[0]);
        break;
    case 2:
        r = ((uint64_t(*)(struct vcpu *, uint64_t, uint64_t))c->fn)(in->v, a[0], a[1]);
        break;
    case 3:
        r = ((uint64_t(*)(struct vcpu *, uint64_t, uint64_t, uint64_t))c->fn)(in->v, a[0], a[1],
                                                                              a[2]);
        break;
    case 4:
        r = ((uint64_t(*)(struct vcpu *, uint64_t, uint64_t, uint64_t, uint64_t))c->fn)(
            in->v, a[0], a[1], a[2], a[3]);
        break;
    default:
        r = ((uint64_t(*)(struct vcpu *, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t))c->fn)(
            in->v, a[0], a[1], a[2], a[3], a[4]);
        break;
    }
    return n->type == IR_I64 ? r : (uint32_t)r;
}

static uint64_t get_slot(const struct vcpu *v, const struct ir_node *n)
{
    uint64_t r = 0;

    memcpy(&r, (const char *)v + n->off, n->size);
    return r;
}

static uint32_t find_label(const struct ir_block *b, uint64_t label)
{
    for (uint32_t i = 1; i < b->n; i++) {
        if (b->node[i].op == IR_LABEL && b->node[i].imm == label) {
            return i;
        }
    }
    return b->n;
}

static uint64_t field(const struct ir_node *n, uint64_t a, bool is_signed)
{
    unsigned pos = n->imm & 0xff, len = n->imm >> 8 & 0xff;
    uint64_t f = a >> pos & mask_of(len);

    return is_signed ? (uint64_t)ir_sext(f, len) & ir_type_mask(n->type) : f;
}

static uint64_t deposit(const struct ir_node *n, uint64_t a, uint64_t v)
{
    unsigned pos = n->imm & 0xff, len = n->imm >> 8 & 0xff;
    uint64_t m = mask_of(len) << pos;

    return ((a & ~m) | (v << pos & m)) & ir_type_mask(n->type);
}

static uint64_t load(struct ir_interp *in, const struct ir_node *n, uint64_t gva)
{
    uint64_t r = in->load(in, gva, (uint32_t)n->imm);

    if (n->imm & MEMOP_SIGN) {
        r = (uint64_t)ir_sext(r, 8u << MEMOP_SIZE(n->imm));
    }
    return r & ir_type_mask(n->type);
}

/* One node without control flow. */
static bool eval(struct ir_interp *in, const struct ir_block *b, const struct ir_node *n,
                 const uint64_t *a, unsigned arg_type, uint64_t *result)
{
    switch (n->op) {
    case IR_NOP:
    case IR_LABEL:
    case IR_FENCE:
        return true;
    case IR_INSN:
        in->insn_pc = n->imm & 0xffffffffu;
        in->insn_extra = (uint32_t)(n->imm >> 32);
        return true;
    case IR_CONST:
        *result = n->imm;
        return true;
    case IR_GET:
        *result = get_slot(in->v, n);
        return n->size <= 8;
    case IR_PUT:
    case IR_DEFER:
        memcpy((char *)in->v + n->off, &a[0], n->size);
        return n->size <= 8;
    case IR_MOV:
    case IR_NOT:
    case IR_NEG:
    case IR_CLZ:
    case IR_BSWAP:
    case IR_ZEXT8:
    case IR_ZEXT16:
    case IR_SEXT8:
    case IR_SEXT16:
    case IR_ZEXT32:
    case IR_SEXT32:
    case IR_TRUNC:
    case IR_HI32:
        *result =
            ir_eval1(n->op, n->op == IR_SEXT32 || n->op == IR_ZEXT32 ? IR_I32 : n->type, a[0]);
        if (n->op == IR_SEXT32) {
            *result = (uint64_t)ir_sext(a[0], 32);
        }
        return true;
    case IR_ADD:
    case IR_SUB:
    case IR_AND:
    case IR_ANDN:
    case IR_OR:
    case IR_XOR:
    case IR_MUL:
    case IR_UDIV:
    case IR_SDIV:
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
    case IR_ROR:
    case IR_PAIR:
        *result = ir_eval2(n->op, n->type, a[0], a[1]);
        return true;
    case IR_ADD_C:
    case IR_ADD_V:
    case IR_SUB_V:
        *result = ir_eval2(n->op, arg_type, a[0], a[1]);
        return true;
    case IR_ADC:
    case IR_ADC_C:
    case IR_ADC_V:
        *result = ir_eval_adc(n->op, arg_type, a[0], a[1], a[2]);
        return true;
    case IR_EXTRACT:
    case IR_SEXTRACT:
        *result = field(n, a[0], n->op == IR_SEXTRACT);
        return true;
    case IR_DEPOSIT:
        *result = deposit(n, a[0], a[1]);
        return true;
    case IR_SETC:
        *result = ir_eval_rel(n->rel, arg_type, a[0], a[1]);
        return true;
    case IR_SELECT:
        *result = ir_eval_rel(n->rel, arg_type, a[0], a[1]) ? a[2] : a[3];
        return true;
    case IR_LD:
        *result = load(in, n, a[0]);
        return true;
    case IR_ST:
        in->store(in, a[0], a[1], (uint32_t)n->imm);
        return true;
    case IR_CALL:
        *result = call_helper(in, b, n, a);
        return true;
    default:
        return false;
    }
}

bool ir_interp_run(struct ir_interp *in, const struct ir_block *b)
{
    static uint64_t value[IR_MAX_NODES]; /* static: a helper may leave by longjmp */
    bool ok = true;

    for (uint32_t i = 0; i < b->n;
         i++) { /* constants are valid on every path, wherever they stand */
        value[i] = b->node[i].op == IR_CONST ? b->node[i].imm : POISON;
    }
    in->left_by = IR_NOP;
    for (uint32_t i = 1; ok && i < b->n; i++) {
        const struct ir_node *n = &b->node[i];
        uint64_t a[6];
        unsigned arg_type = b->node[n->arg[0]].type;

        for (unsigned k = 0; k < 6; k++) {
            a[k] = n->arg[k] ? value[n->arg[k]] : 0;
        }
        if (n->op == IR_BR || (n->op == IR_BRCOND && ir_eval_rel(n->rel, arg_type, a[0], a[1]))) {
            i = find_label(b, n->imm);
        } else if (n->op == IR_GOTO || n->op == IR_GOTO_IND || n->op == IR_EXIT ||
                   (n->op == IR_GOTO_IF && ir_eval_rel(n->rel, arg_type, a[0], a[1]))) {
            in->left_by = n->op == IR_GOTO_IF ? IR_GOTO : n->op;
            in->left_imm = n->imm;
            break;
        } else if (n->op == IR_BX_UNLESS && a[0] != a[1]) {
            in->left_by = IR_GOTO_IND;
            in->v->r[15] = (uint32_t)a[0] & ~1u;
            in->v->exec_flags = (uint32_t)n->imm | (a[0] & EXEC_T);
            break;
        } else if (n->op != IR_BRCOND && n->op != IR_GOTO_IF && n->op != IR_BX_UNLESS) {
            ok = eval(in, b, n, a, arg_type, &value[i]);
            if (!ok) {
                fprintf(stderr, "ir_interp: %s (node %u) is not known\n", ir_op_name(n->op), i);
            }
        }
    }
    return ok && in->left_by != IR_NOP;
}
