/* SPDX-License-Identifier: MIT */
/*
 * Flash as memory: its array lies in host memory of its own, below RAM in the guest's map. The soft
 * TLB maps it for reading and fetching, no window does; a write always reaches the device. While
 * a bank shows something else than its array (status, identification), its reads go to the device
 * too; instructions are fetched from the array at any time.
 *
 * A vCPU that caches a direct entry looks at rom_shows_other before; who lets a bank show something
 * else changes that first, then asks all vCPUs to drop their direct entries, which they do on their
 * own threads: so an entry made by an earlier look is dropped after it was made.
 */
#include "mmu_internal.h"

static uint32_t bank_bit(gpa_t gpa)
{
    return 1u << gpa / MMU_ROM_BANK;
}

bool rom_shows_array(const struct vm *vm, gpa_t page)
{
    return !(atomic_load(&vm->mmu->rom_shows_other) & bank_bit(page));
}

static void ask_others(struct vm *vm, struct vcpu *v)
{
    struct request rq = {.kind = REQ_ROM};

    for (unsigned i = 0; i < VCPU_MAX; i++) {
        struct vcpu *u = vm->cpu[i];

        if (!u || u == v || !u->mmu)
            continue;
        v->mmu->wait_seq[i] = request_post(v, u, &rq);
        v->mmu->wait_mask |= 1u << i;
    }
}

void mmu_rom_read_directly(struct vm *vm, struct vcpu *v, gpa_t gpa, bool direct)
{
    struct mmu_vm *m = vm->mmu;
    uint32_t bit = bank_bit(gpa);

    if (direct) {
        atomic_fetch_and(&m->rom_shows_other, ~bit);
        return;
    }
    atomic_fetch_or(&m->rom_shows_other, bit);
    if (v) {
        softtlb_drop_rom(v);
        ask_others(vm, v);
    }
}

void mmu_rom_written(struct vm *vm, gpa_t gpa, uint64_t len)
{
    gpa_t end = gpa + len;

    for (gpa &= GUEST_PAGE_MASK; gpa < end && gpa < vm->ram.rom_size; gpa += GUEST_PAGE_SIZE)
        page_mark_dirty(vm, gpa, 0);
}
