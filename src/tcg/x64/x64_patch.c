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

void x64_patch_site_to_slow(uint8_t *rw_site, const uint8_t *rx_site, unsigned len,
                            const uint8_t *slow)
{
    intptr_t rel = slow - (rx_site + 5);
    VM_CHECK(len >= 5 && x_fits32(rel));
    struct x_buf e = {rw_site};
    x_jmp(&e, (int32_t)rel);
    x_nop(&e, len - 5);
    unsigned a = 0, b, c = 0, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d) : : "memory");
}
