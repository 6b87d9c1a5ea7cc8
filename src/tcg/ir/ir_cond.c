/* SPDX-License-Identifier: MIT */
/*
 * Conditions of SETC, SELECT and BRCOND in canonical form: constants on the right, a SETC that is
 * compared with 0 or 1 replaced by its own condition, differences and masks compared directly. The
 * back end then finds the compare that set the guest flags again.
 */
#include "ir_internal.h"

enum ir_rel ir_rel_invert(enum ir_rel rel)
{
    return (enum ir_rel)(rel ^ 1); /* the enum pairs each relation with its inverse */
}

_Static_assert((IR_EQ ^ 1) == IR_NE && (IR_LTU ^ 1) == IR_GEU && (IR_LEU ^ 1) == IR_GTU &&
                   (IR_LTS ^ 1) == IR_GES && (IR_LES ^ 1) == IR_GTS && (IR_TSTEQ ^ 1) == IR_TSTNE,
               "relations come in inverse pairs");

static enum ir_rel rel_swap(enum ir_rel rel)
{
    switch (rel) {
    case IR_LTU:
        return IR_GTU;
    case IR_GTU:
        return IR_LTU;
    case IR_LEU:
        return IR_GEU;
    case IR_GEU:
        return IR_LEU;
    case IR_LTS:
        return IR_GTS;
    case IR_GTS:
        return IR_LTS;
    case IR_LES:
        return IR_GES;
    case IR_GES:
        return IR_LES;
    default:
        return rel;
    }
}

/* x rel x */
static enum ir_cond_result cond_same(struct ir_block *b, enum ir_rel *rel, ir_ref x, ir_ref *y)
{
    switch (*rel) {
    case IR_EQ:
    case IR_GEU:
    case IR_LEU:
    case IR_GES:
    case IR_LES:
        return COND_TRUE;
    case IR_NE:
    case IR_GTU:
    case IR_LTU:
    case IR_GTS:
    case IR_LTS:
        return COND_FALSE;
    case IR_TSTEQ:
    case IR_TSTNE:
        *rel = *rel == IR_TSTEQ ? IR_EQ : IR_NE;
        *y = ir_const(b, (enum ir_type)b->node[x].type, 0);
        break;
    }
    return COND_OPEN;
}

/* Unsigned relations with 0 and all ones that are constant or an equality. (x < 1 stays: it is the
 * carry of a comparison with 1, whose host flags answer it.) */
static enum ir_cond_result cond_bounds(struct ir_block *b, enum ir_rel *rel, enum ir_type t,
                                       uint64_t v, ir_ref *y)
{
    if (v == 0) {
        switch (*rel) {
        case IR_LTU:
        case IR_TSTNE:
            return COND_FALSE;
        case IR_GEU:
        case IR_TSTEQ:
            return COND_TRUE;
        case IR_LEU:
            *rel = IR_EQ;
            break;
        case IR_GTU:
            *rel = IR_NE;
            break;
        default:
            break;
        }
    } else if (v == ir_type_mask(t) && (*rel == IR_TSTEQ || *rel == IR_TSTNE)) {
        *rel = *rel == IR_TSTEQ ? IR_EQ : IR_NE;
        *y = ir_const(b, t, 0);
    }
    return COND_OPEN;
}

/* One step through the node that computes x, for an (in)equality with 0; true when something
 * changed. */
static bool cond_through(struct ir_block *b, enum ir_rel *rel, ir_ref *x, ir_ref *y)
{
    const struct ir_node *n = &b->node[*x];
    uint64_t v;
    if (!ir_is_const(b, *y, &v))
        return false;
    bool eq = *rel == IR_EQ, ne = *rel == IR_NE;
    if (n->op == IR_SETC) {
        if ((*rel == IR_TSTEQ || *rel == IR_TSTNE) && (v & 1)) {
            eq = *rel == IR_TSTEQ;
            ne = !eq;
            v = 0;
        }
        if ((!eq && !ne) || v > 1)
            return false;
        bool inverted = (eq && v == 0) || (ne && v == 1);
        *rel = inverted ? ir_rel_invert((enum ir_rel)n->rel) : (enum ir_rel)n->rel;
        *x = n->arg[0];
        *y = n->arg[1];
        return true;
    }
    if ((!eq && !ne) || v != 0)
        return false;
    switch (n->op) {
    case IR_SUB:
    case IR_XOR:
        *x = n->arg[0];
        *y = n->arg[1];
        return true;
    case IR_AND:
        *rel = eq ? IR_TSTEQ : IR_TSTNE;
        *x = n->arg[0];
        *y = n->arg[1];
        return true;
    case IR_NEG:
    case IR_BSWAP:
    case IR_ZEXT32:
    case IR_SEXT32:
        *x = n->arg[0];
        *y = ir_const(b, (enum ir_type)b->node[*x].type, 0);
        return true;
    default:
        return false;
    }
}

enum ir_cond_result ir_cond_simplify(struct ir_block *b, enum ir_rel *rel, ir_ref *x, ir_ref *y)
{
    uint64_t vx, vy;
    do {
        if (ir_is_const(b, *x, &vx)) {
            if (ir_is_const(b, *y, &vy))
                return ir_eval_rel(*rel, b->node[*x].type, vx, vy) ? COND_TRUE : COND_FALSE;
            ir_ref t = *x;
            *x = *y;
            *y = t;
            *rel = rel_swap(*rel);
        }
        enum ir_cond_result r = COND_OPEN;
        if (*x == *y)
            r = cond_same(b, rel, *x, y);
        else if (ir_is_const(b, *y, &vy))
            r = cond_bounds(b, rel, (enum ir_type)b->node[*x].type, vy, y);
        if (r != COND_OPEN)
            return r;
    } while (cond_through(b, rel, x, y));
    return COND_OPEN;
}
