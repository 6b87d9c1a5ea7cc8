/* SPDX-License-Identifier: MIT */
/* Single accesses for page-table tests (see probe.h).  CPU-local. */
#include "probe.h"

const char *const access_names[ACC_KINDS] = {"read", "write", "exec", "ldrt", "strt"};

uint32_t probe_ldr(uint32_t va);
void probe_str(uint32_t va, uint32_t v);
uint32_t probe_ldrt(uint32_t va);
void probe_strt(uint32_t va, uint32_t v);
__asm__(
    ".pushsection .text.probe,\"ax\",%progbits\n .syntax unified\n .arm\n .balign 4\n"
    ".macro FN n, insn:vararg\n .global \\n\n .type \\n,%function\n\\n: \\insn\n bx lr\n .endm\n"
    " FN probe_ldr, ldr r0, [r0]\n FN probe_str, str r1, [r0]\n"
    " FN probe_strt, strt r1, [r0]\n"
    " .global probe_ldrt\n .type probe_ldrt,%function\nprobe_ldrt: mov r1, r0\n ldrt r0, [r1]\n bx "
    "lr\n"
    " .popsection\n");

enum trap_kind probe(enum access acc, bool user, uint32_t va, uint32_t value)
{
    const void *fn[ACC_KINDS] = {(const void *)probe_ldr, (const void *)probe_str, (const void *)va,
                                 (const void *)probe_ldrt, (const void *)probe_strt};
    return user ? catch_user(fn[acc], va, value, 0) : catch_call(fn[acc], va, value, 0);
}

void code_returning(void *p, uint16_t id)
{
    volatile uint32_t *w = p;
    w[0] = 0xe3000000u | (id & 0xf000u) << 4 | (id & 0xfffu);
    w[1] = 0xe12fff1e;
    code_sync(p, 8);
}
