/* SPDX-License-Identifier: MIT */
/*
 * Guest memory for semihosting: by virtual address with the rights of the code that calls, page by
 * page through the flat view. Devices are not reached. The calling vCPU's thread.
 */
#include "semihosting_internal.h"

#include "mmu/mmu.h"
#include "vm.h"

#include <string.h>

uint8_t *semihosting_piece(struct vcpu *v, uint32_t va, uint32_t len, bool write, uint32_t *n)
{
    struct mmu_translation t;
    uint32_t left = GUEST_PAGE_SIZE - (va & ~(uint32_t)GUEST_PAGE_MASK);

    *n = len < left ? len : left;
    if (!mmu_translate(v, va, write ? MMU_WRITE : MMU_READ, (v->exec_flags & EXEC_PRIV) != 0, &t)) {
        return NULL;
    }
    return ram_ptr(&v->vm->ram, t.gpa, *n);
}

void semihosting_written(struct vcpu *v, const uint8_t *p, uint32_t n)
{
    mmu_dma_written(v->vm, v->vm->ram.base + (uint64_t)(p - v->vm->ram.flat), n);
}

static bool copy(struct vcpu *v, uint32_t va, uint8_t *buf, size_t len, bool write)
{
    while (len > 0) {
        uint32_t n;
        uint8_t *p = semihosting_piece(v, va, len > UINT32_MAX ? UINT32_MAX : (uint32_t)len, write,
                                       &n);
        if (p == NULL) {
            return false;
        }
        if (write) {
            memcpy(p, buf, n);
            semihosting_written(v, p, n);
        } else {
            memcpy(buf, p, n);
        }
        va += n;
        buf += n;
        len -= n;
    }
    return true;
}

bool semihosting_read(struct vcpu *v, uint32_t va, void *buf, size_t len)
{
    return copy(v, va, buf, len, false);
}

bool semihosting_write(struct vcpu *v, uint32_t va, const void *buf, size_t len)
{
    return copy(v, va, (uint8_t *)(uintptr_t)buf, len, true);
}

bool semihosting_block(struct vcpu *v, uint32_t va, uint32_t *word, unsigned words)
{
    return semihosting_read(v, va, word, words * sizeof *word);
}
