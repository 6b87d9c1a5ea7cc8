/* SPDX-License-Identifier: MIT */
/*
 * Long-descriptor walks on hand-made tables: start level and region by T0SZ/T1SZ, blocks and pages,
 * every fault with its status, hierarchical attributes, rights. Arm ARM DDI0406C B3.6, B3.7, B3.13.
 */
#include "mmu_rig.h"

#include <criterion/criterion.h>

#define T1        (RIG_RAM_BASE + 0x1000)
#define T2        (RIG_RAM_BASE + 0x2000)
#define T3        (RIG_RAM_BASE + 0x3000)
#define U2        (RIG_RAM_BASE + 0x4000)
#define R         (1u << MMU_READ)
#define W         (1u << MMU_WRITE)
#define X         (1u << MMU_EXEC)
#define AF        (UINT64_C(1) << 10)
#define AP(n)     ((uint64_t)(n) << 6)
#define NORMAL    (UINT64_C(1) << 2) /* AttrIndx 1 */
#define BLOCK(pa) ((uint64_t)(pa) | 1u | AF | AP(1) | NORMAL)
#define PAGE(pa)  ((uint64_t)(pa) | 3u | AF | AP(1) | NORMAL)
#define TABLE(pa) ((uint64_t)(pa) | 3u)

static struct vcpu *v;
static struct arm_mmu_regs *r;
static struct mmu_translation t;

static void setup(void)
{
    rig_start(MMU_SOFT, 4 << 20, 1, 0);
    v = rig_vm.cpu[0];
    r = arm_mmu_regs(v);
    r->sctlr = SCTLR_M;
    r->ttbcr = TTBCR_EAE;
    r->ttbr0 = T1 | UINT64_C(0x42) << 48;
    r->mair0 = 0x0400ff00; /* 0 strongly-ordered, 1 normal, 2 strongly-ordered, 3 device */
    rig_put64(T1, TABLE(T2));
    rig_put64(T2, TABLE(T3));
}

static void teardown(void)
{
    rig_stop();
}

static bool walk(uint32_t va, enum mmu_access a, bool priv)
{
    return mmu_translate(v, va, a, priv, &t);
}

static void expect_fault(uint32_t va, enum mmu_access a, bool priv, uint32_t status)
{
    uint32_t fsr = 0x200 | status | (a == MMU_WRITE ? 0x800 : 0);

    cr_expect(!walk(va, a, priv), "va %x must fault", va);
    cr_expect_eq(t.fsr, fsr, "va %x: fsr %x, expected %x", va, t.fsr, fsr);
    cr_expect_eq(t.far, va);
}

TestSuite(long_walk, .init = setup, .fini = teardown);

Test(long_walk, block_sizes_and_pages)
{
    rig_put64(T1 + 8, BLOCK(UINT64_C(0xab40000000)) | UINT64_C(1) << 11);
    cr_assert(walk(0x7fedcba9, MMU_READ, false));
    cr_expect_eq(t.gpa, UINT64_C(0xab7fedcba9));
    cr_expect_eq(t.page_size, 1 << 30);
    cr_expect(!t.global);
    rig_put64(T2 + 8 * 3, BLOCK(0x40200000));
    cr_assert(walk(0x0065ffff, MMU_WRITE, false));
    cr_expect_eq(t.gpa, 0x4025ffff);
    cr_expect_eq(t.page_size, 1 << 21);
    cr_expect(t.global);
    rig_put64(T3 + 8 * 0x1ff, PAGE(UINT64_C(0xff40123000)) | UINT64_C(1)
                                                                 << 52); /* contiguous: ignored */
    cr_assert(walk(0x001ff008, MMU_READ, false));
    cr_expect_eq(t.gpa, UINT64_C(0xff40123008));
    cr_expect_eq(t.page_size, 4096);
}

Test(long_walk, translation_faults_by_level)
{
    rig_put64(T1 + 8, 0);
    expect_fault(0x40000000, MMU_READ, true, 0x05);
    rig_put64(T1 + 8, BLOCK(0) & ~UINT64_C(1));
    expect_fault(0x40000000, MMU_WRITE, true, 0x05);
    expect_fault(0x00200000, MMU_READ, true, 0x06);
    expect_fault(0x00001000, MMU_EXEC, true, 0x07);
    rig_put64(T3 + 8, PAGE(0x40000000) & ~UINT64_C(2)); /* "block" at level 3 is reserved */
    expect_fault(0x00001000, MMU_READ, true, 0x07);
}

Test(long_walk, external_abort_by_level)
{
    r->ttbr0 = RIG_NOTHING;
    expect_fault(0, MMU_READ, true, 0x15);
    r->ttbr0 = T1;
    rig_put64(T1, TABLE(RIG_NOTHING));
    expect_fault(0, MMU_READ, true, 0x16);
    rig_put64(T1, TABLE(T2));
    rig_put64(T2, TABLE(UINT64_C(0xff00000000)));
    expect_fault(0, MMU_WRITE, true, 0x17);
}

Test(long_walk, access_flag)
{
    rig_put64(T1 + 8, BLOCK(0x40000000) & ~AF);
    expect_fault(0x40000000, MMU_READ, true, 0x09);
    rig_put64(T2 + 8, BLOCK(0x40000000) & ~AF);
    expect_fault(0x00200000, MMU_READ, true, 0x0a);
    rig_put64(T3, (PAGE(0x40000000) & ~AF & ~AP(3)) | AP(2)); /* before permission */
    expect_fault(0x00000000, MMU_WRITE, false, 0x0b);
}

Test(long_walk, permissions)
{
    static const uint8_t rights[4][2] = {{R | W, 0}, {R | W, R | W}, {R, 0}, {R, R}};

    for (unsigned ap = 0; ap < 4; ap++)
        for (unsigned priv = 0; priv < 2; priv++)
            for (unsigned a = 0; a < 3; a++) {
                uint8_t want = rights[ap][!priv];

                if (want & R)
                    want |= X;
                rig_put64(T3, (PAGE(0x40000000) & ~AP(3)) | AP(ap));
                if (want & 1u << a) {
                    cr_expect(walk(0, a, priv));
                    cr_expect_eq(t.prot, want);
                } else {
                    expect_fault(0, a, priv, 0x0f);
                }
            }
}

Test(long_walk, hierarchical_permissions)
{
    rig_put64(T3, PAGE(0x40000000));              /* RW for all */
    rig_put64(T1, TABLE(T2) | UINT64_C(1) << 61); /* no user access below */
    expect_fault(0, MMU_READ, false, 0x0f);
    cr_expect(walk(0, MMU_WRITE, true));
    rig_put64(T1, TABLE(T2));
    rig_put64(T2, TABLE(T3) | UINT64_C(2) << 61); /* read-only below */
    cr_expect(walk(0, MMU_READ, false));
    expect_fault(0, MMU_WRITE, true, 0x0f);
    rig_put64(T2, TABLE(T3) | UINT64_C(1) << 60); /* XNTable */
    expect_fault(0, MMU_EXEC, false, 0x0f);
    rig_put64(T2, TABLE(T3) | UINT64_C(1) << 59); /* PXNTable */
    expect_fault(0, MMU_EXEC, true, 0x0f);
    cr_expect(walk(0, MMU_EXEC, false));
    rig_put64(T2, TABLE(T3));
    rig_put64(T3, PAGE(0x40000000) | UINT64_C(1) << 54);
    expect_fault(0, MMU_EXEC, false, 0x0f);
    rig_put64(T3, PAGE(0x40000000) | UINT64_C(1) << 53);
    expect_fault(0, MMU_EXEC, true, 0x0f);
    cr_expect(walk(0, MMU_EXEC, false));
}

Test(long_walk, write_implies_xn)
{
    rig_put64(T3, PAGE(0x40000000));
    rig_put64(T3 + 8, (PAGE(0x40000000) & ~AP(3))); /* privileged only */
    r->sctlr |= SCTLR_WXN;
    cr_expect(!walk(0, MMU_EXEC, false));
    cr_expect(!walk(0x1000, MMU_EXEC, true));
    r->sctlr = SCTLR_M | SCTLR_UWXN;
    cr_expect(!walk(0, MMU_EXEC, true));
    cr_expect(walk(0x1000, MMU_EXEC, true));
}

Test(long_walk, regions)
{
    /* T0SZ = 2, T1SZ = 2: low and high GiB start at level 2; a hole between */
    r->ttbcr = TTBCR_EAE | 2 | 2u << 16;
    r->ttbr0 = T2;
    r->ttbr1 = U2;
    rig_put64(T2 + 8, BLOCK(0x40000000));
    rig_put64(U2 + 8 * 511, BLOCK(0x40200000));
    cr_expect(walk(0x00200000, MMU_READ, true));
    cr_expect_eq(t.gpa, 0x40000000);
    cr_expect(walk(0xffe00010, MMU_READ, true));
    cr_expect_eq(t.gpa, 0x40200010);
    expect_fault(0x40000000, MMU_READ, true, 0x05);
    expect_fault(0xbfffffff, MMU_READ, true, 0x05);
    r->ttbcr |= 1u << 7; /* EPD0 */
    expect_fault(0x00200000, MMU_READ, true, 0x05);
    r->ttbcr = (r->ttbcr & ~(1u << 7)) | 1u << 23; /* EPD1 */
    expect_fault(0xffe00010, MMU_READ, true, 0x05);
    cr_expect(walk(0x00200000, MMU_READ, true));
}

Test(long_walk, t1sz_zero_takes_the_rest)
{
    /* T0SZ = 1: TTBR0 has the low half; T1SZ = 0: TTBR1 everything else, level 1 */
    r->ttbcr = TTBCR_EAE | 1;
    r->ttbr0 = T1;
    r->ttbr1 = U2;
    rig_put64(U2 + 8 * 2, BLOCK(0x40000000));
    rig_put64(T1 + 8, BLOCK(0xc0000000));
    cr_expect(walk(0x80000123, MMU_READ, true));
    cr_expect_eq(t.gpa, 0x40000123);
    cr_expect(walk(0x40000123, MMU_READ, true));
    cr_expect_eq(t.gpa, 0xc0000123);
}

Test(long_walk, small_level2_tables)
{
    /* T0SZ = 7: 32 MiB, 16 entries, table aligned to 128 bytes */
    r->ttbcr = TTBCR_EAE | 7;
    r->ttbr0 = T2 + 0x80;
    rig_put64(T2 + 0x80 + 15 * 8, BLOCK(0x40000000));
    cr_expect(walk(0x01e00000, MMU_READ, true));
    cr_expect_eq(t.gpa, 0x40000000);
}

Test(long_walk, memory_types)
{
    static const bool device[4] = {true, false, true, true};

    for (unsigned i = 0; i < 4; i++) {
        rig_put64(T3, (PAGE(0x40000000) & ~UINT64_C(0x1c)) | i << 2 | UINT64_C(3) << 8);
        cr_expect(walk(0, MMU_READ, true));
        cr_expect_eq(t.device, device[i]);
        cr_expect_eq(t.par_attr >> 56, r->mair0 >> (8 * i) & 0xff);
    }
    r->mair1 = 0xff;
    rig_put64(T3, (PAGE(0x40000000) & ~UINT64_C(0x1c)) | 4 << 2 | UINT64_C(3) << 8);
    cr_expect(walk(0, MMU_READ, true));
    cr_expect(!t.device);
    cr_expect_eq(t.par_attr, UINT64_C(0xff) << 56 | UINT64_C(3) << 7);
}

Test(long_walk, big_endian_tables)
{
    r->sctlr |= SCTLR_EE;
    rig_put64(T1, __builtin_bswap64(BLOCK(0x40000000)));
    cr_assert(walk(0x00000010, MMU_READ, true));
    cr_expect_eq(t.gpa, 0x40000010);
}
