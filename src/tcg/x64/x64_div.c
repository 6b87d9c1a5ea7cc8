/* SPDX-License-Identifier: MIT */
/*
 * UDIV and SDIV with ARM's results: x / 0 = 0, INT_MIN / -1 = INT_MIN; the host would trap on both.
 */
#include "x64_internal.h"

/* Emit jcc8 with an unknown distance; returns where to patch. */
static uint8_t *skip_start(struct x64_ctx *c, enum x_cc cc)
{
    x_jcc8(&c->e, cc, 0);
    return c->e.p;
}

static void skip_end(struct x64_ctx *c, uint8_t *from)
{
    from[-1] = (uint8_t)(c->e.p - from);
}

void x64_emit_div(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    enum x_width w = x64_width(c, i);
    x64_load(c, RCX, n->arg[1]);
    x_alu_rr(&c->e, X_XOR, X_32, RAX, RAX);
    x_test_rr(&c->e, w, RCX, RCX);
    uint8_t *zero = skip_start(c, X_E);
    x64_load(c, RAX, n->arg[0]);
    if (n->op == IR_UDIV) {
        x_alu_rr(&c->e, X_XOR, X_32, RDX, RDX);
        x_div(&c->e, w, RCX);
        skip_end(c, zero);
    } else {
        x_alu_ri(&c->e, X_CMP, w, RCX, -1);
        uint8_t *plain = skip_start(c, X_NE);
        x_neg(&c->e, w, RAX);
        x_jmp8(&c->e, 0);
        uint8_t *done = c->e.p;
        skip_end(c, plain);
        x_cdq(&c->e, w);
        x_idiv(&c->e, w, RCX);
        skip_end(c, done);
        skip_end(c, zero);
    }
    x64_finish(c, i, RAX);
}
