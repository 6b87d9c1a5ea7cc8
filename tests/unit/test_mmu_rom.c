/* SPDX-License-Identifier: MIT */
/*
 * Flash in the MMU: what is read and fetched directly, what goes to the bus, how vCPUs learn that a
 * bank shows something else, and that code in it is dropped when it is programmed.
 */
#include "mmu_rig.h"

#include <criterion/criterion.h>

#define P32 (MEMOP_32 | MEMOP_PRIV)
#define BANK1 (uint32_t)MMU_ROM_BANK
#define OTHER (BANK1 + 0x1000) /* not at the place of page 0 in the soft TLB */

static unsigned invalidated;
static gpa_t invalidated_page;

static void note(struct vcpu *v, gpa_t page)
{
    (void)v;
    invalidated++;
    invalidated_page = page;
}

/* With the MMU off: addresses are physical. */
static void setup(void)
{
    invalidated = 0;
    rig_on_invalidate = note;
    rig_rom_size = 2 * MMU_ROM_BANK;
    rig_start(MMU_SOFT, 4 << 20, 2, 0);
    for (uint32_t i = 0; i < 4096; i += 4) {
        memcpy(rig_vm.ram.rom + i, &(uint32_t){0x1000 + i}, 4);
        memcpy(rig_vm.ram.rom + BANK1 + i, &(uint32_t){0x2000 + i}, 4);
    }
}

TestSuite(mmu_rom, .init = setup, .fini = rig_stop);

static struct vcpu *cpu(unsigned i)
{
    return rig_vm.cpu[i];
}

/* The value, or nothing where the bus had no device (the rig's has none in flash). */
static bool load(unsigned i, uint32_t va, uint32_t *value)
{
    return RIG_TRY(*value = (uint32_t)mmu_slow_load(cpu(i), va, P32, 1));
}

static bool fetch(unsigned i, uint32_t va)
{
    struct mmu_fetch f;

    return mmu_fetch_page(cpu(i), va, &f);
}

/* Would generated code load without a call? */
static bool inline_hit(unsigned i, uint32_t va, enum mmu_access access)
{
    struct vcpu *v = cpu(i);
    unsigned place = (va >> 12 & (SOFTTLB_SIZE - 1)) ^ v->soft_bank / 32;

    uint64_t tag = v->softtlb[1][place].tag[access], page = va & (uint32_t)GUEST_PAGE_MASK;

    return tag == (page | v->ctx_tag) || (access == MMU_EXEC && tag == (page | v->class_tag));
}

Test(mmu_rom, the_array_is_read_directly_and_written_by_the_bus)
{
    uint32_t value = 0;

    cr_assert(load(0, 0x10, &value));
    cr_expect_eq(value, 0x1010);
    cr_expect(inline_hit(0, 0x10, MMU_READ));
    cr_assert(fetch(0, 0x10));
    cr_expect(inline_hit(0, 0x10, MMU_READ));
    cr_expect(inline_hit(0, 0x10, MMU_EXEC));
    cr_expect_not(inline_hit(0, 0x10, MMU_WRITE));
    cr_expect_not(RIG_TRY(mmu_slow_store(cpu(0), 0x10, 1, P32, 1)), "reaches the bus");
    cr_expect_eq(rig_exc.e, ARM_EXC_DABT);
    cr_expect_eq(*(uint32_t *)(void *)(rig_vm.ram.rom + 0x10), 0x1010);
    gpa_t gpa = 0;
    cr_expect_null(mmu_helper_host(cpu(0), 0x20, MMU_WRITE, P32, 1, &gpa));
    cr_expect_eq(gpa, 0x20);
    cr_expect_eq(mmu_helper_host(cpu(0), BANK1 + 4, MMU_READ, P32, 1, &gpa),
                 rig_vm.ram.rom + BANK1 + 4);
    cr_expect_eq(gpa, BANK1 + 4);
}

Test(mmu_rom, bounds)
{
    const struct ram *ram = &rig_vm.ram;
    uint32_t value;

    cr_expect_eq(ram_read_ptr(ram, 2 * MMU_ROM_BANK - 4, 4), ram->rom + 2 * MMU_ROM_BANK - 4);
    cr_expect_null(ram_read_ptr(ram, 2 * MMU_ROM_BANK - 4, 5));
    cr_expect_null(ram_read_ptr(ram, 2 * MMU_ROM_BANK, 1));
    cr_expect_null(ram_read_ptr(ram, 0, UINT64_MAX));
    cr_expect_null(ram_ptr(ram, 0, 4));
    cr_expect_eq(ram_read_ptr(ram, RIG_RAM_BASE, 4), ram->flat);
    cr_expect_not(load(0, 2 * BANK1, &value));
    cr_expect(load(0, (uint32_t)RIG_RAM_BASE, &value));
}

Test(mmu_rom, a_bank_that_shows_something_else_goes_to_the_bus)
{
    uint32_t value = 0;

    memcpy(rig_vm.ram.rom + OTHER, &(uint32_t){0x3000}, 4);
    cr_assert(load(0, 0, &value) && load(1, 0, &value) && load(1, OTHER, &value));
    mmu_rom_read_directly(&rig_vm, cpu(0), 0, false);
    cr_expect_not(inline_hit(0, 0, MMU_READ), "at once");
    cr_expect_not(load(0, 0, &value));
    cr_expect_not(inline_hit(0, 0, MMU_READ), "and it stays so");
    cr_assert(fetch(0, 0));
    cr_expect_not(inline_hit(0, 0, MMU_READ), "a fetch does not change that");
    cr_expect(inline_hit(0, 0, MMU_EXEC), "fetched all the same");
    cr_expect(inline_hit(1, 0, MMU_READ), "the other has not been asked to serve");
    mmu_dsb(cpu(0)); /* the other is quiescent */
    mmu_serve_requests(cpu(1));
    cr_expect_not(load(1, 0, &value));
    cr_assert(load(1, OTHER, &value), "the other bank is as before");
    cr_expect_eq(value, 0x3000);
    mmu_rom_read_directly(&rig_vm, cpu(0), 0, true);
    context_renew_all(cpu(0));
    context_renew_all(cpu(1));
    cr_assert(load(0, 0, &value) && load(1, 0, &value));
    cr_expect(inline_hit(0, 0, MMU_READ) && inline_hit(1, 0, MMU_READ));
}

Test(mmu_rom, code_is_dropped_when_its_page_is_programmed)
{
    struct mmu_fetch f;

    cr_assert(mmu_fetch_page(cpu(0), BANK1 + 0x1234, &f));
    cr_expect_eq(f.page, rig_vm.ram.rom + BANK1 + 0x1000);
    cr_expect_eq(f.gpa, BANK1 + 0x1234);
    mmu_code_page_translate(cpu(0), f.gpa);
    mmu_rom_written(&rig_vm, BANK1 + 0x800, 0x800);
    mmu_icache_invalidate(cpu(0), false);
    cr_expect_eq(invalidated, 0, "the page before");
    mmu_rom_written(&rig_vm, BANK1 + 0xffc, 8);
    cr_expect_eq(invalidated, 0, "not before the guest asks for it");
    mmu_icache_invalidate(cpu(0), false);
    cr_expect_eq(invalidated, 1);
    cr_expect_eq(invalidated_page, BANK1 + 0x1000);
    mmu_rom_written(&rig_vm, 2 * MMU_ROM_BANK - 4, 100);
}

Test(mmu_rom, last_page_has_a_descriptor)
{
    mmu_code_page_translate(cpu(1), 2 * MMU_ROM_BANK - 4);
    mmu_rom_written(&rig_vm, 2 * MMU_ROM_BANK - 1, 1);
    mmu_icache_invalidate(cpu(1), false);
    cr_expect_eq(invalidated, 1);
    cr_expect_eq(invalidated_page, 2 * MMU_ROM_BANK - GUEST_PAGE_SIZE);
}
