/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Page tables.  The flat map (short descriptors, sections) that every payload starts with: RAM
 * identity-mapped, normal, shareable, full access in domain 0; 0x08000000-0x0fffffff device memory.
 * Tests add entries at other addresses.  Formats: Arm ARM B3.5 (short) and B3.6 (long).
 */
#include "guest.h"

extern uint32_t flat_l1[4096];
void mmu_flat_build(void);
void mmu_flat_enable(void);
/* Turn the MMU off, load the three registers (64-bit TTBRs when TTBCR.EAE), turn it on. */
void mmu_switch(uint64_t ttbr0, uint64_t ttbr1, uint32_t ttbcr);
void mmu_flat_restore(void); /* back to the flat map after mmu_switch(); flushes the TLB */
static inline void tlb_flush_all(void)
{
    dsb();
    do_tlbiall(0);
    do_bpiall(0);
    dsb();
    isb();
}
/* Write one descriptor, make it visible to the walker; no TLB maintenance. */
static inline void pte_set(volatile uint32_t *p, uint32_t v)
{
    *p = v;
    dsb();
    isb();
}
static inline void pte_set64(volatile uint64_t *p, uint64_t v)
{
    uint32_t lo = (uint32_t)v, hi = (uint32_t)(v >> 32);
    register uint32_t r0 __asm__("r0") = lo;
    register uint32_t r1 __asm__("r1") = hi;
    __asm__ volatile("strd r0, r1, [%2]" : : "r"(r0), "r"(r1), "r"(p) : "memory");
    dsb();
    isb();
}

/* TTBR attributes: inner and outer write-back write-allocate, shareable. */
#define TTBR_ATTR 0x6au

/* Short descriptors. */
#define L1_TABLE(pa, dom) ((uint32_t)(pa) | (uint32_t)(dom) << 5 | 1)
#define L1_SECTION(pa) ((uint32_t)(pa) | 2)
#define L1_SUPER(pa) ((uint32_t)(pa) | 1u << 18 | 2)
#define S_PXN 1u
#define S_B (1u << 2)
#define S_C (1u << 3)
#define S_XN (1u << 4)
#define S_DOM(d) ((uint32_t)(d) << 5)
#define S_AP(ap) ((uint32_t)((ap) & 3) << 10 | (uint32_t)((ap) >> 2 & 1) << 15)
#define S_TEX(t) ((uint32_t)(t) << 12)
#define S_S (1u << 16)
#define S_NG (1u << 17)
#define S_NORMAL (S_TEX(1) | S_C | S_B | S_S)
#define S_DEVICE S_B
#define L2_LARGE(pa) ((uint32_t)(pa) | 1)
#define L2_SMALL(pa) ((uint32_t)(pa) | 2)
#define P_XN 1u
#define P_B (1u << 2)
#define P_C (1u << 3)
#define P_AP(ap) ((uint32_t)((ap) & 3) << 4 | (uint32_t)((ap) >> 2 & 1) << 9)
#define P_TEX(t) ((uint32_t)(t) << 6)
#define P_S (1u << 10)
#define P_NG (1u << 11)
#define P_NORMAL (P_TEX(1) | P_C | P_B | P_S)
#define P_DEVICE P_B
#define LP_XN (1u << 15)
#define LP_TEX(t) ((uint32_t)(t) << 12)
#define LP_NORMAL (LP_TEX(1) | P_C | P_B | P_S)
#define AP_RW_NA 1u /* AP[2:0]: privileged, user */
#define AP_RW_RO 2u
#define AP_RW_RW 3u
#define AP_RO_NA 5u
#define AP_RO_RO 7u

/* Fault status, short format: FS[4:0] with FS[4] at bit 10, WnR at bit 11, domain at 7:4. */
#define FSR_FS(f) (((f) & 15u) | ((f) >> 6 & 16u))
#define FSR_WNR (1u << 11)
#define FSR_DOMAIN(f) ((f) >> 4 & 15u)
enum {
    FS_ALIGN = 1,
    FS_AF_SECTION = 3,
    FS_TRANS_SECTION = 5,
    FS_AF_PAGE = 6,
    FS_TRANS_PAGE = 7,
    FS_DOMAIN_SECTION = 9,
    FS_DOMAIN_PAGE = 11,
    FS_PERM_SECTION = 13,
    FS_PERM_PAGE = 15,
    FS_DEBUG = 2,
};

/* Long descriptors. */
#define LD_TABLE 3ull
#define LD_BLOCK 1ull
#define LD_PAGE 3ull
#define LD_ATTR(n) ((uint64_t)(n) << 2)
#define LD_AP1 (1ull << 6) /* user access */
#define LD_AP2 (1ull << 7) /* read-only */
#define LD_SH_IS (3ull << 8)
#define LD_AF (1ull << 10)
#define LD_NG (1ull << 11)
#define LD_PXN (1ull << 53)
#define LD_XN (1ull << 54)
#define LD_PXNTABLE (1ull << 59)
#define LD_XNTABLE (1ull << 60)
#define LD_APTABLE(n) ((uint64_t)(n) << 61)
#define LD_NORMAL (LD_ATTR(0) | LD_SH_IS | LD_AF)
#define LD_DEVICE (LD_ATTR(1) | LD_AF)
/* TTBCR with EAE, write-back walks, inner shareable for both halves. */
#define TTBCR_LONG 0xb5003500u
#define MAIR0_LONG 0x004404ffu /* 0: normal WB, 1: device, 2: normal NC, 3: strongly ordered */
