/* SPDX-License-Identifier: MIT */
/*
 * Copies between devices and guest RAM. Addresses and lengths come from the guest. No state, no
 * locks; a guest that touches the bytes meanwhile gets what it asked for. Any thread.
 */
#include "dev/dma.h"
#include "vm.h"

#include <string.h>

bool dma_read(struct vm *vm, gpa_t gpa, void *buf, uint64_t len)
{
    const void *p = len > 0 ? ram_ptr(&vm->ram, gpa, len) : buf;

    if (p == NULL) {
        return false;
    }
    if (len > 0) {
        memcpy(buf, p, len);
    }
    return true;
}

bool dma_write(struct vm *vm, gpa_t gpa, const void *buf, uint64_t len)
{
    if (len == 0) {
        return true;
    }
    void *p = ram_ptr(&vm->ram, gpa, len);
    if (p == NULL) {
        return false;
    }
    memcpy(p, buf, len);
    mmu_dma_written(vm, gpa, len);
    return true;
}
