/* SPDX-License-Identifier: MIT */
/*
 * Changing code that exists: linking and unlinking jumps, turning an access site into a jump to its
 * slow path. Only the cache's owner calls these, so nobody runs the bytes meanwhile; it does so
 * through the writable alias, and serialises before it may run a changed site again (SDM vol.
 * 3, 9.1.3).
 */
#include "x64_internal.h"
#include "base/log.h"

void x64_patch_jump(uint8_t *rw_patch, const uint8_t *rx_patch, const uint8_t *target)
{
    intptr_t rel = target - (rx_patch + 4);
    VM_CHECK(x_fits32(rel));
    /* One aligned store: old and new target are both whole at any time. */
    __atomic_store_n((int32_t *)(void *)rw_patch, (int32_t)rel, __ATOMIC_RELEASE);
}

/*
 * The bytes were written through another address than the one they are executed at, so a
 * serialising instruction must come before they run: a return to here, since CPUID traps in virtual
 * machines.
 */
void x64_serialise(void)
{
    uint64_t scratch;

    __asm__ volatile("mov %%ss, %k0\n\t"
                     "lea -128(%%rsp), %%rsp\n\t"
                     "push %0\n\t"
                     "lea 136(%%rsp), %0\n\t"
                     "push %0\n\t"
                     "pushfq\n\t"
                     "mov %%cs, %k0\n\t"
                     "push %0\n\t"
                     "lea 1f(%%rip), %0\n\t"
                     "push %0\n\t"
                     "iretq\n\t"
                     "1:"
                     : "=&r"(scratch)
                     :
                     : "memory", "cc");
}

void x64_patch_guard(uint8_t *rw_guard, uint32_t gpa_page)
{
    memcpy(rw_guard, &gpa_page, sizeof(gpa_page));
    x64_serialise();
}

void x64_patch_site_to_slow(uint8_t *rw_site, const uint8_t *rx_site, const uint8_t *slow,
                            uint8_t old[X64_SITE_PATCH])
{
    intptr_t rel = slow - (rx_site + X64_SITE_PATCH);
    struct x_buf e = {rw_site};

    VM_CHECK(x_fits32(rel));
    memcpy(old, rw_site, X64_SITE_PATCH);
    x_jmp(&e, (int32_t)rel);
    x64_serialise();
}

void x64_unpatch_site(uint8_t *rw_site, const uint8_t old[X64_SITE_PATCH])
{
    memcpy(rw_site, old, X64_SITE_PATCH);
    x64_serialise();
}
