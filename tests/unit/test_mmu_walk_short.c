/* SPDX-License-Identifier: MIT */
/*
 * Short-descriptor walks on hand-made tables: every descriptor type, every fault with its status,
 * rights by AP, AFE, domain, XN, PXN, WXN and UWXN against the tables of the manual. Arm ARM
 * DDI0406C B3.5, B3.7, B3.13.
 */
#include "mmu_rig.h"

#include <criterion/criterion.h>

#define L1  (RIG_RAM_BASE + 0x10000) /* 16 KiB aligned */
#define L1B (RIG_RAM_BASE + 0x20000)
#define L2  (RIG_RAM_BASE + 0x30000)
#define R   (1u << MMU_READ)
#define W   (1u << MMU_WRITE)
#define X   (1u << MMU_EXEC)

#define SECTION(pa, ap, dom) \
    ((uint32_t)(pa) | 2u | (uint32_t)(dom) << 5 | ((ap)&3u) << 10 | ((ap) >> 2 & 1u) << 15)
#define SMALL(pa, ap) ((uint32_t)(pa) | 2u | ((ap)&3u) << 4 | ((ap) >> 2 & 1u) << 9)
#define LARGE(pa, ap) ((uint32_t)(pa) | 1u | ((ap)&3u) << 4 | ((ap) >> 2 & 1u) << 9)
#define NORMAL        (3u << 2) /* C, B */

static struct vcpu *v;
static struct arm_mmu_regs *r;
static struct mmu_translation t;

static void setup(void)
{
    rig_start(MMU_SOFT, 4 << 20, 1, 0);
    v = rig_vm.cpu[0];
    r = arm_mmu_regs(v);
    r->sctlr = SCTLR_M;
    r->ttbr0 = L1 | 0x6a; /* attribute bits of TTBR are no address */
    r->dacr = 0x55555555;
}

static void teardown(void)
{
    rig_stop();
}

static void l1(uint32_t va, uint32_t d)
{
    rig_put32(L1 + (va >> 20) * 4, d);
}

static void l2(uint32_t va, uint32_t d)
{
    l1(va, (uint32_t)L2 | 1u);
    rig_put32(L2 + (va >> 12 & 0xff) * 4, d);
}

static bool walk(uint32_t va, enum mmu_access a, bool priv)
{
    return mmu_translate(v, va, a, priv, &t);
}

static void expect_fault(uint32_t va, enum mmu_access a, bool priv, uint32_t fsr)
{
    cr_expect(!walk(va, a, priv), "va %x must fault", va);
    cr_expect_eq(t.fsr, fsr, "va %x: fsr %x, expected %x", va, t.fsr, fsr);
    cr_expect_eq(t.far, va);
}

TestSuite(short_walk, .init = setup, .fini = teardown);

Test(short_walk, section)
{
    l1(0x12300000, SECTION(0x40100000, 3, 0) | NORMAL | 1u << 17);
    cr_assert(walk(0x12345678, MMU_READ, false));
    cr_expect_eq(t.gpa, 0x40145678);
    cr_expect_eq(t.page_size, 1 << 20);
    cr_expect_eq(t.prot, R | W | X);
    cr_expect(!t.global);
    cr_expect(!t.device);
    l1(0x12300000, SECTION(0x40100000, 3, 0) | NORMAL);
    cr_assert(walk(0x12345678, MMU_READ, false));
    cr_expect(t.global);
}

Test(short_walk, supersection_has_40_bits_and_domain_0)
{
    uint32_t d = 0x56000000u | 2u | 1u << 18 | 3u << 10 | 0xau << 20 | 0xbu << 5;

    for (uint32_t i = 0; i < 16; i++)
        l1(0x20000000 + (i << 20), d);
    r->dacr = 1; /* domain 0 only: the bits of the domain field are address bits here */
    cr_assert(walk(0x20abcdef, MMU_READ, true));
    cr_expect_eq(t.gpa, UINT64_C(0xba56abcdef));
    cr_expect_eq(t.page_size, 1 << 24);
}

Test(short_walk, pages)
{
    l2(0x00101000, SMALL(0x40002000, 3) | NORMAL);
    cr_assert(walk(0x00101abc, MMU_WRITE, false));
    cr_expect_eq(t.gpa, 0x40002abc);
    cr_expect_eq(t.page_size, 4096);
    for (uint32_t i = 0; i < 16; i++)
        l2(0x00110000 + (i << 12), LARGE(0x40030000, 3) | NORMAL | 1u << 11);
    cr_assert(walk(0x0011f123, MMU_WRITE, false));
    cr_expect_eq(t.gpa, 0x4003f123);
    cr_expect_eq(t.page_size, 65536);
    cr_expect(!t.global);
}

Test(short_walk, translation_faults)
{
    expect_fault(0x30000000, MMU_READ, true, 0x05);
    expect_fault(0x30000000, MMU_WRITE, true, 0x805);
    expect_fault(0x30000000, MMU_EXEC, true, 0x05);
    l1(0x30000000, (uint32_t)L2 | 1u | 3u << 5);
    r->dacr = 0; /* translation before domain */
    expect_fault(0x30000000, MMU_READ, true, 0x37);
    expect_fault(0x30000000, MMU_EXEC, true, 0x07); /* no domain in IFSR */
}

Test(short_walk, external_abort_on_walk)
{
    r->ttbr0 = RIG_DEVICE;
    expect_fault(0x00000000, MMU_READ, true, 0x0c);
    r->ttbr0 = L1;
    l1(0x00100000, (uint32_t)RIG_DEVICE | 1u | 2u << 5);
    expect_fault(0x00100000, MMU_WRITE, true, 0x82e);
}

Test(short_walk, domains)
{
    l1(0x10000000, SECTION(0x40000000, 0, 5) | 1u << 4); /* AP: no access; XN */
    l2(0x00200000, SMALL(0x40000000, 0));
    l1(0x00200000, (uint32_t)L2 | 1u | 6u << 5);
    for (unsigned mode = 0; mode < 4; mode++) {
        r->dacr = mode << 10 | mode << 12;
        if (mode == 3) { /* manager: no checks, not even XN */
            cr_expect(walk(0x10000000, MMU_EXEC, false));
            cr_expect(walk(0x00200000, MMU_WRITE, false));
            cr_expect_eq(t.prot, R | W | X);
        } else {
            expect_fault(0x10000000, MMU_READ, true, mode == 1 ? 0x5d : 0x59);
            expect_fault(0x00200000, MMU_READ, true, mode == 1 ? 0x6f : 0x6b);
        }
    }
}

Test(short_walk, access_permissions)
{
    /* rights by AP[2:0]: privileged, user */
    static const uint8_t rights[8][2] = {{0, 0}, {R | W, 0}, {R | W, R}, {R | W, R | W},
                                         {0, 0}, {R, 0},     {R, R},     {R, R}};

    for (unsigned ap = 0; ap < 8; ap++)
        for (unsigned priv = 0; priv < 2; priv++)
            for (unsigned a = MMU_READ; a <= MMU_WRITE; a++)
                for (unsigned page = 0; page < 2; page++) {
                    uint8_t want = rights[ap][!priv];
                    uint32_t va = page ? 0x00300000 : 0x10000000;

                    l1(0x10000000, SECTION(0x40000000, ap, 0));
                    l2(0x00300000, SMALL(0x40000000, ap));
                    if (want & 1u << a) {
                        cr_expect(walk(va, a, priv), "ap %u priv %u access %u", ap, priv, a);
                        cr_expect_eq(t.prot & (R | W), want);
                        cr_expect_eq(!!(t.prot & X), !!(want & R));
                    } else {
                        expect_fault(va, a, priv,
                                     (page ? 0x0f : 0x0d) | (a == MMU_WRITE ? 0x800 : 0));
                    }
                }
}

Test(short_walk, access_flag_model)
{
    /* AFE: AP[2:1] decide, AP[0] is the access flag */
    static const uint8_t rights[4][2] = {{R | W, 0}, {R | W, R | W}, {R, 0}, {R, R}};

    r->sctlr |= SCTLR_AFE;
    for (unsigned ap21 = 0; ap21 < 4; ap21++) {
        l1(0x10000000, SECTION(0x40000000, ap21 << 1, 0));
        l2(0x00300000, SMALL(0x40000000, ap21 << 1));
        expect_fault(0x10000000, MMU_READ, true, 0x03);
        expect_fault(0x00300000, MMU_READ, true, 0x06);
        l1(0x10000000, SECTION(0x40000000, ap21 << 1 | 1, 0));
        for (unsigned priv = 0; priv < 2; priv++)
            for (unsigned a = MMU_READ; a <= MMU_WRITE; a++)
                cr_expect_eq(walk(0x10000000, a, priv), !!(rights[ap21][!priv] & 1u << a));
    }
    r->dacr = 0; /* access flag before domain */
    l1(0x10000000, SECTION(0x40000000, 2, 0));
    expect_fault(0x10000000, MMU_READ, true, 0x03);
}

Test(short_walk, execute_never)
{
    l1(0x10000000, SECTION(0x40000000, 3, 0) | 1u << 4);
    expect_fault(0x10000000, MMU_EXEC, true, 0x0d);
    expect_fault(0x10000000, MMU_EXEC, false, 0x0d);
    l1(0x10000000, SECTION(0x40000000, 3, 0) | 1u); /* PXN */
    expect_fault(0x10000000, MMU_EXEC, true, 0x0d);
    cr_expect(walk(0x10000000, MMU_EXEC, false));
    l2(0x00300000, SMALL(0x40000000, 3) | 1u);
    expect_fault(0x00300000, MMU_EXEC, false, 0x0f);
    l2(0x00300000, LARGE(0x40000000, 3) | 1u << 15);
    expect_fault(0x00300000, MMU_EXEC, false, 0x0f);
    l2(0x00300000, SMALL(0x40000000, 3));
    l1(0x00300000, (uint32_t)L2 | 1u | 4u); /* PXN of the table */
    expect_fault(0x00300000, MMU_EXEC, true, 0x0f);
    cr_expect(walk(0x00300000, MMU_EXEC, false));
}

Test(short_walk, write_implies_xn)
{
    l1(0x10000000, SECTION(0x40000000, 3, 0)); /* all may write */
    l1(0x10100000, SECTION(0x40000000, 2, 0)); /* user read-only */
    l1(0x10200000, SECTION(0x40000000, 7, 0)); /* read-only */
    r->sctlr |= SCTLR_WXN;
    cr_expect(!walk(0x10000000, MMU_EXEC, false));
    cr_expect(!walk(0x10000000, MMU_EXEC, true));
    cr_expect(walk(0x10100000, MMU_EXEC, false));
    cr_expect(!walk(0x10100000, MMU_EXEC, true));
    cr_expect(walk(0x10200000, MMU_EXEC, true));
    r->sctlr = (r->sctlr & ~SCTLR_WXN) | SCTLR_UWXN;
    cr_expect(walk(0x10000000, MMU_EXEC, false));
    cr_expect(!walk(0x10000000, MMU_EXEC, true));
    cr_expect(walk(0x10100000, MMU_EXEC, true));
}

Test(short_walk, ttbcr_split)
{
    r->ttbr1 = L1B;
    rig_put32(L1B + (0x40000000u >> 20) * 4, SECTION(0x40200000, 3, 0));
    rig_put32(L1B + (0xfff00000u >> 20) * 4, SECTION(0x40300000, 3, 0));
    for (unsigned n = 1; n < 8; n++) {
        uint32_t top = 1u << (32 - n); /* first address of TTBR1 */

        r->ttbcr = n;
        r->ttbr0 = L1 + 0x80; /* smaller tables need less alignment: N = 7 keeps bit 7 */
        cr_expect(walk(0xfff00000, MMU_READ, true), "n %u", n);
        cr_expect_eq(t.gpa, 0x40300000);
        if (top <= 0x40000000) {
            cr_expect(walk(0x40000000, MMU_READ, true));
            cr_expect_eq(t.gpa, 0x40200000);
        }
        rig_put32((((L1 + 0x80) >> (14 - n)) << (14 - n)) + ((top - 1) >> 20) * 4,
                  SECTION(0x40100000, 3, 0));
        cr_expect(walk(top - 1, MMU_READ, true));
        cr_expect_eq(t.gpa, 0x401fffff);
        r->ttbcr = n | 1u << 4;
        expect_fault(top - 1, MMU_READ, true, 0x05);
        cr_expect(walk(0xfff00000, MMU_READ, true));
        r->ttbcr = n | 1u << 5;
        expect_fault(0xfff00000, MMU_READ, true, 0x05);
        cr_expect(walk(top - 1, MMU_READ, true));
    }
}

Test(short_walk, big_endian_tables)
{
    r->sctlr |= SCTLR_EE;
    l1(0x10000000, __builtin_bswap32((uint32_t)L2 | 1u));
    rig_put32(L2, __builtin_bswap32(SMALL(0x40005000, 3)));
    cr_assert(walk(0x10000004, MMU_READ, true));
    cr_expect_eq(t.gpa, 0x40005004);
}

Test(short_walk, memory_types)
{
    /* TEX:C:B without remap: 0 strongly-ordered, 1 and 8 device, others normal */
    for (unsigned tex = 0; tex < 32; tex++) {
        bool device = tex == 0 || tex == 1 || tex == 8;

        l1(0x10000000, SECTION(0x40000000, 3, 0) | (tex & 3) << 2 | (tex >> 2) << 12);
        cr_expect(walk(0x10000000, MMU_READ, true));
        cr_expect_eq(t.device, device, "tex %u", tex);
        l2(0x00300000, SMALL(0x40000000, 3) | (tex & 3) << 2 | (tex >> 2) << 6);
        cr_expect(walk(0x00300000, MMU_READ, true));
        cr_expect_eq(t.device, device, "small tex %u", tex);
        l2(0x00300000, LARGE(0x40000000, 3) | (tex & 3) << 2 | (tex >> 2) << 12);
        cr_expect(walk(0x00300000, MMU_READ, true));
        cr_expect_eq(t.device, device, "large tex %u", tex);
    }
    r->sctlr |= SCTLR_TRE;
    r->prrr = 2u << (2 * 0) | 1u << (2 * 1) | 0u << (2 * 2) | 2u << (2 * 3);
    for (unsigned n = 0; n < 4; n++) {
        l1(0x10000000, SECTION(0x40000000, 3, 0) | n << 2);
        cr_expect(walk(0x10000000, MMU_READ, true));
        cr_expect_eq(t.device, n == 1 || n == 2);
    }
}

Test(short_walk, par_attributes)
{
    l1(0x10000000, SECTION(0x40000000, 3, 0) | 1u << 12 | NORMAL |
                       1u << 16); /* TEX=001 C=B=1: WBWA, shareable */
    cr_expect(walk(0x10000000, MMU_READ, true));
    cr_expect_eq(t.par_attr, 5u << 4 | 1u << 2 | 1u << 7);
    l1(0x10000000, SECTION(0x40000000, 3, 0));
    cr_expect(walk(0x10000000, MMU_READ, true));
    cr_expect_eq(t.par_attr & 0x70, 1u << 4);
}

Test(short_walk, mmu_off)
{
    r->sctlr = 0;
    r->ttbr0 = RIG_NOTHING;
    cr_assert(walk(0xdeadbeef, MMU_EXEC, false));
    cr_expect_eq(t.gpa, 0xdeadbeef);
    cr_expect_eq(t.prot, R | W | X);
    cr_expect_eq(t.page_size, UINT64_C(1) << 32);
}
