/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Code snippets for tests of exact state: SNIP(name, "text") assembles the same UAL text as
 * name_arm and name_thumb, each followed by SVC #0x52; snip_run() enters one with a chosen set of
 * registers and returns the trap that ended it.  SNIP_A / SNIP_T make only one of the two.
 */
#include "guest.h"

#define SNIP_TAIL "\n svc #0x52\n .popsection\n"
#define SNIP_A(name, text)                                                                      \
    __asm__(                                                                                    \
        ".pushsection .text.snip,\"ax\",%progbits\n .syntax unified\n .fpu neon-vfpv4\n .arm\n" \
        ".balign 4\n .global " #name "_arm\n .type " #name "_arm,%function\n" #name             \
        "_arm:\n" text SNIP_TAIL);                                                              \
    extern char name##_arm[]
#define SNIP_T(name, text)                                                                        \
    __asm__(                                                                                      \
        ".pushsection .text.snip,\"ax\",%progbits\n .syntax unified\n .fpu neon-vfpv4\n .thumb\n" \
        ".balign 4\n .global " #name "_thumb\n .thumb_func\n" #name "_thumb:\n" text SNIP_TAIL);  \
    extern char name##_thumb[]
#define SNIP(name, text) \
    SNIP_A(name, text);  \
    SNIP_T(name, text)

struct snip {
    const char *name;
    const char *code[2]; /* ARM, Thumb (bit 0 set) */
};
#define SNIP_BOTH(name)              \
    {                                \
#name,                       \
        {                            \
            name##_arm, name##_thumb \
        }                            \
    }

/* Different recognisable values in r0-r12, lr; sp in the user stack; mode with A, I, F masked. */
void regs_init(struct regs *r, uint32_t mode);
/* Run code (bit 0: Thumb) with *in; the trap is in this_cpu()->trap. */
enum trap_kind snip_run(const struct regs *in, const char *code);
/* Names of registers in which a and b differ, as a bit mask: r0-r12, 13 sp, 14 lr. */
uint32_t regs_diff(const struct regs *a, const struct regs *b);
