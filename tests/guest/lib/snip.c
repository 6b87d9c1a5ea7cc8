/* SPDX-License-Identifier: MIT */
/* Entering snippets with chosen registers (see snip.h).  CPU-local, no state of its own. */
#include "snip.h"

void regs_init(struct regs *r, uint32_t mode)
{
    memset(r, 0, sizeof(*r));
    for (unsigned i = 0; i < 13; i++)
        r->r[i] = 0xa5000000u | i << 16 | i * 0x111u;
    r->sp = this_cpu()->user_sp - 256;
    r->lr = 0xa50e0eeeu;
    r->cpsr = mode | PSR_A | PSR_I | PSR_F;
}

enum trap_kind snip_run(const struct regs *in, const char *code)
{
    struct regs r = *in;
    r.pc = (uint32_t)code & ~1u;
    if ((uint32_t)code & 1)
        r.cpsr |= PSR_T;
    return catch_frame(&r);
}

uint32_t regs_diff(const struct regs *a, const struct regs *b)
{
    uint32_t diff = 0;
    for (unsigned i = 0; i < 13; i++)
        diff |= (uint32_t)(a->r[i] != b->r[i]) << i;
    return diff | (uint32_t)(a->sp != b->sp) << 13 | (uint32_t)(a->lr != b->lr) << 14;
}
