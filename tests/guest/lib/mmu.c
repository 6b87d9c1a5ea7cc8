/* SPDX-License-Identifier: MIT */
/*
 * The flat map and switching between page tables.  flat_l1 is written by CPU 0; other CPUs only
 * load it into TTBR0.  mmu_flat_build() and mmu_flat_enable() run before there are caches: straight
 * code.
 */
#include "mmu.h"

uint32_t flat_l1[4096] __attribute__((aligned(16384)));

void mmu_flat_build(void)
{
    for (uint32_t i = 0x080; i < 0x100; i++)
        flat_l1[i] = L1_SECTION(i << 20) | S_DEVICE | S_XN | S_AP(AP_RW_RW);
    for (uint32_t i = 0; i < RAM_SIZE >> 20; i++)
        flat_l1[(RAM_BASE >> 20) + i] =
            L1_SECTION(RAM_BASE + (i << 20)) | S_NORMAL | S_AP(AP_RW_RW);
    dsb();
}

void mmu_flat_enable(void)
{
    write_ttbcr(0);
    write_ttbr0((uint32_t)flat_l1 | TTBR_ATTR);
    write_ttbr1((uint32_t)flat_l1 | TTBR_ATTR);
    write_dacr(1);
    write_contextidr(0);
    isb();
    do_tlbiall(0);
    do_iciallu(0);
    do_bpiall(0);
    dsb();
    isb();
    write_sctlr(read_sctlr() | SCTLR_M | SCTLR_C | SCTLR_I | SCTLR_Z);
    isb();
}

/* No stack use between off and on; the code is identity-mapped in every table the tests make. */
void mmu_switch(uint64_t ttbr0, uint64_t ttbr1, uint32_t ttbcr)
{
    uint32_t sctlr = read_sctlr();
    dsb();
    write_sctlr(sctlr & ~SCTLR_M);
    isb();
    write_ttbcr(ttbcr);
    isb();
    if (ttbcr >> 31) {
        write_mair0(MAIR0_LONG);
        write_mair1(0);
        write_ttbr0_64(ttbr0);
        write_ttbr1_64(ttbr1);
    } else {
        write_ttbr0((uint32_t)ttbr0);
        write_ttbr1((uint32_t)ttbr1);
    }
    isb();
    do_tlbiall(0);
    do_bpiall(0);
    dsb();
    isb();
    write_sctlr(sctlr | SCTLR_M);
    isb();
}

void mmu_flat_restore(void)
{
    mmu_switch((uint32_t)flat_l1 | TTBR_ATTR, (uint32_t)flat_l1 | TTBR_ATTR, 0);
    write_contextidr(0);
    write_dacr(1);
    isb();
    tlb_flush_all();
}
