/* SPDX-License-Identifier: MIT */
/*
 * Slow paths over the soft TLB: sizes, byte order, alignment, page crossing, devices, faults; what
 * TLB maintenance kills and what it keeps; contexts. Short descriptors with 4 KiB pages unless said
 * otherwise.
 */
#include "mmu_rig.h"

#include <criterion/criterion.h>

#define L1            (RIG_RAM_BASE + 0x10000)
#define L1B           (RIG_RAM_BASE + 0x20000)
#define L2            (RIG_RAM_BASE + 0x30000)
#define DATA          (RIG_RAM_BASE + 0x100000)
#define VA            0x00100000u /* second-level table L2 */
#define NG            (1u << 11)
#define SMALL(pa, ap) ((uint32_t)(pa) | 2u | (3u << 2) | ((ap)&3u) << 4 | ((ap) >> 2 & 1u) << 9)
#define P32           (MEMOP_32 | MEMOP_PRIV)
#define P64_WORDS     (MEMOP_64 | MEMOP_PRIV | MEMOP_ALIGN4 | MEMOP_OF(MEMOP_32)) /* LDRD, STRD */

static struct vcpu *v;
static struct arm_mmu_regs *r;

static void setup(void)
{
    rig_start(MMU_SOFT, 4 << 20, 2, 0);
    v = rig_vm.cpu[0];
    r = arm_mmu_regs(v);
    r->sctlr = SCTLR_M;
    r->ttbr0 = L1;
    r->dacr = 1;
    rig_put32(L1 + (VA >> 20) * 4, (uint32_t)L2 | 1u);
    mmu_context_changed(v);
}

static void teardown(void)
{
    rig_stop();
}

static void map(uint32_t va, gpa_t pa, unsigned ap, uint32_t more)
{
    rig_put32(L2 + (va >> 12 & 0xff) * 4, SMALL(pa, ap) | more);
}

static uint64_t load(uint32_t va, uint32_t memop)
{
    return mmu_slow_load(v, va, memop, 1);
}

static bool load_ok(uint32_t va, uint32_t memop)
{
    return RIG_TRY(load(va, memop));
}

static bool store_ok(uint32_t va, uint64_t value, uint32_t memop)
{
    return RIG_TRY(mmu_slow_store(v, va, value, memop, 1));
}

TestSuite(mmu_soft, .init = setup, .fini = teardown);

Test(mmu_soft, sizes_sign_and_byte_order)
{
    map(VA, DATA, 3, 0);
    rig_put64(DATA, UINT64_C(0x8877665584838281));
    cr_expect_eq(load(VA, MEMOP_8), 0x81);
    cr_expect_eq(load(VA, MEMOP_8 | MEMOP_SIGN), UINT64_C(0xffffffffffffff81));
    cr_expect_eq(load(VA, MEMOP_16), 0x8281);
    cr_expect_eq(load(VA, MEMOP_16 | MEMOP_SIGN), UINT64_C(0xffffffffffff8281));
    cr_expect_eq(load(VA, MEMOP_16 | MEMOP_BSWAP | MEMOP_SIGN), UINT64_C(0xffffffffffff8182));
    cr_expect_eq(load(VA, MEMOP_32), 0x84838281);
    cr_expect_eq(load(VA, MEMOP_32 | MEMOP_BSWAP), 0x81828384);
    cr_expect_eq(load(VA, MEMOP_64), UINT64_C(0x8877665584838281));
    cr_expect_eq(load(VA, MEMOP_64 | MEMOP_BSWAP), UINT64_C(0x8182838455667788));
    cr_expect_eq(load(VA + 1, MEMOP_32), 0x55848382); /* unaligned inside the page */
    cr_assert(store_ok(VA + 16, 0x1122334455667788, MEMOP_16 | MEMOP_BSWAP));
    cr_expect_eq(rig_get32(DATA + 16), 0x8877);
    cr_assert(store_ok(VA + 24, 0x1122334455667788, MEMOP_64 | MEMOP_BSWAP));
    cr_expect_eq(rig_get32(DATA + 24), 0x44332211);
    cr_assert(store_ok(VA + 32, 0xfff12, MEMOP_8));
    cr_expect_eq(rig_get32(DATA + 32), 0x12);
}

Test(mmu_soft, crossing_access_uses_both_pages)
{
    map(VA, DATA + 0x3000, 3, 0);
    map(VA + 0x1000, DATA, 3, 0);
    cr_assert(store_ok(VA + 0xffe, 0x44332211, P32));
    cr_expect_eq(rig_get32(DATA + 0x3ffc) >> 16, 0x2211);
    cr_expect_eq(rig_get32(DATA) & 0xffff, 0x4433);
    cr_expect_eq(load(VA + 0xffe, P32), 0x44332211);
    cr_expect_eq(load(VA + 0xffe, P32 | MEMOP_BSWAP), 0x11223344);
}

Test(mmu_soft, crossing_store_writes_nothing_when_the_second_page_faults)
{
    map(VA, DATA + 0x3000, 3, 0);
    map(VA + 0x1000, DATA, 7, 0); /* read-only */
    cr_expect(!store_ok(VA + 0xffe, 0x44332211, P32));
    cr_expect_eq(rig_exc.e, ARM_EXC_DABT);
    cr_expect_eq(rig_exc.fsr, 0x80f);
    cr_expect_eq(rig_exc.far, VA + 0x1000);
    cr_expect_eq(rig_get32(DATA + 0x3ffc), 0);
}

Test(mmu_soft, wraps_at_4_gib)
{
    rig_put32(L1 + 0xfff * 4, (uint32_t)L2 | 1u);
    rig_put32(L1, (uint32_t)L2 | 1u);
    rig_put32(L2 + 0xff * 4, SMALL(DATA, 3));
    rig_put32(L2, SMALL(DATA + 0x1000, 3));
    cr_assert(store_ok(0xfffffffe, 0x44332211, P32));
    cr_expect_eq(rig_get32(DATA + 0xffc) >> 16, 0x2211);
    cr_expect_eq(rig_get32(DATA + 0x1000), 0x4433);
}

Test(mmu_soft, alignment_faults)
{
    map(VA, DATA, 3, 0);
    cr_expect(load_ok(VA + 2, P32));
    cr_expect(!load_ok(VA + 2, P32 | MEMOP_ALIGN));
    cr_expect_eq(rig_exc.fsr, 0x01);
    cr_expect_eq(rig_exc.far, VA + 2);
    cr_expect(!store_ok(VA + 4, 0, MEMOP_64 | MEMOP_PRIV | MEMOP_ALIGN));
    cr_expect_eq(rig_exc.fsr, 0x801);
    cr_expect(store_ok(VA + 4, 0, MEMOP_64 | MEMOP_PRIV | MEMOP_ALIGN4));
    cr_expect(!store_ok(VA + 2, 0, MEMOP_64 | MEMOP_PRIV | MEMOP_ALIGN4));
    cr_expect(load_ok(VA + 1, MEMOP_8 | MEMOP_PRIV | MEMOP_ALIGN));
    /* SCTLR.A does not ask for more than a word of what is made of words */
    v->exec_flags |= EXEC_ALIGN;
    cr_expect(load_ok(VA + 4, P64_WORDS));
    /* alignment comes before the translation fault */
    cr_expect(!load_ok(0x55500002, P32 | MEMOP_ALIGN));
    cr_expect_eq(rig_exc.fsr, 0x01);
    r->ttbcr = TTBCR_EAE;
    cr_expect(!load_ok(0x55500002, P32 | MEMOP_ALIGN));
    cr_expect_eq(rig_exc.fsr, 0x221);
}

Test(mmu_soft, device_memory)
{
    map(VA, RIG_DEVICE, 3, 0);
    rig_put32(L2, (uint32_t)RIG_DEVICE | 2u | 3u << 4 | 1u << 2); /* shareable device */
    cr_expect_eq(load(VA + 0x124, P32), 0x124);
    cr_expect_eq(load(VA + 0x12c, P32), 0x12c);
    cr_assert(store_ok(VA + 0x40, 0xabcd, MEMOP_16 | MEMOP_PRIV));
    cr_expect_eq(rig_device_last_write, RIG_DEVICE + 0x40);
    cr_expect_eq(rig_device_last_value, 0xabcd);
    cr_expect_eq(rig_device_last_size, 2);
    cr_expect(!load_ok(VA + 0x121, P32));
    cr_expect_eq(rig_exc.fsr, 0x01);
    /* device bytes behind a Normal mapping: unaligned goes byte by byte */
    map(VA + 0x1000, RIG_DEVICE, 3, 0);
    cr_assert(store_ok(VA + 0x1041, 0x44332211, P32));
    cr_expect_eq(rig_device_last_size, 1);
    cr_expect_eq(rig_device_last_write, RIG_DEVICE + 0x44);
    cr_expect_eq(rig_device_last_value, 0x44);
    /* RAM mapped as device: aligned works, unaligned faults */
    rig_put32(L2 + 2 * 4, (uint32_t)DATA | 2u | 3u << 4 | 1u << 2);
    cr_expect(load_ok(VA + 0x2004, P32));
    cr_expect(!load_ok(VA + 0x2006, P32));
    cr_expect_eq(rig_exc.fsr, 0x01);
}

Test(mmu_soft, device_memory_by_elements)
{
    const uint32_t device = 2u | 3u << 4 | 1u << 2;

    rig_put32(L2, (uint32_t)RIG_DEVICE | device);
    rig_put32(L2 + 4, (uint32_t)DATA | device);
    rig_device_writes = 0;
    cr_assert(store_ok(VA + 0x124, UINT64_C(0x5555666611112222), P64_WORDS));
    cr_expect_eq(rig_device_writes, 2);
    cr_expect_eq(rig_device_last_size, 4);
    cr_expect_eq(rig_device_last_write, RIG_DEVICE + 0x128);
    cr_expect_eq(rig_device_last_value, 0x55556666);
    cr_expect_eq(load(VA + 0x124, P64_WORDS), UINT64_C(0x0000012800000124));
    cr_expect_eq(load(VA + 0x124, P64_WORDS | MEMOP_BSWAP), UINT64_C(0x2401000028010000));
    cr_expect(!load_ok(VA + 0x124, MEMOP_64 | MEMOP_PRIV), "one doubleword");
    cr_expect(!load_ok(VA + 0x122, MEMOP_64 | MEMOP_PRIV | MEMOP_OF(MEMOP_32)));
    cr_expect_eq(rig_exc.fsr, 0x01);
    cr_expect_eq(load(VA + 0x122, MEMOP_64 | MEMOP_PRIV | MEMOP_OF(MEMOP_16)),
                 UINT64_C(0x0128012601240122));
    rig_device_writes = 0;
    cr_assert(store_ok(VA + 0x128, 1, P64_WORDS));
    cr_expect_eq(rig_device_writes, 1, "aligned: one access");
    /* RAM, and across pages into it */
    cr_assert(store_ok(VA + 0x1044, UINT64_C(0x8877665544332211), P64_WORDS));
    cr_expect_eq(rig_get32(DATA + 0x44), 0x44332211);
    cr_expect_eq(rig_get32(DATA + 0x48), 0x88776655);
    rig_put32(DATA, 0xaabbccdd);
    cr_expect_eq(load(VA + 0xffc, P64_WORDS), UINT64_C(0xaabbccdd00000ffc));
    cr_expect(!load_ok(VA + 0xffc, MEMOP_64 | MEMOP_PRIV));
    cr_expect_eq(rig_exc.fsr, 0x01);
}

Test(mmu_soft, nothing_on_the_bus_is_an_external_abort)
{
    map(VA, RIG_NOTHING, 3, 0);
    cr_expect(!store_ok(VA + 4, 0, P32));
    cr_expect_eq(rig_exc.fsr, 0x808);
    cr_expect_eq(rig_exc.far, VA + 4);
}

Test(mmu_soft, privilege_of_the_access)
{
    map(VA, DATA, 1, 0); /* privileged only */
    cr_expect(load_ok(VA, P32));
    cr_expect(!load_ok(VA, P32 | MEMOP_USER));
    cr_expect_eq(rig_exc.fsr, 0x0f);
    cr_expect(!load_ok(VA, MEMOP_32));
}

Test(mmu_soft, helper_host)
{
    gpa_t gpa = 0;

    map(VA, DATA, 3, 0);
    cr_expect_eq(mmu_helper_host(v, VA + 8, MMU_WRITE, MEMOP_64 | MEMOP_PRIV, 1, &gpa),
                 rig_ram(DATA + 8));
    cr_expect_eq(gpa, DATA + 8);
    cr_expect(!RIG_TRY(mmu_helper_host(v, VA + 4, MMU_READ, MEMOP_64 | MEMOP_PRIV, 1, &gpa)));
    cr_expect_eq(rig_exc.fsr, 0x01);
    map(VA + 0x1000, RIG_DEVICE, 3, 0);
    cr_expect_null(mmu_helper_host(v, VA + 0x1000, MMU_READ, P32, 1, &gpa));
}

Test(mmu_soft, fetch)
{
    struct mmu_fetch f;

    map(VA, DATA + 0x2000, 3, 0);
    cr_assert(mmu_fetch_page(v, VA + 0x123, &f));
    cr_expect_eq((const void *)f.page, rig_ram(DATA + 0x2000));
    cr_expect_eq(f.gpa, DATA + 0x2123);
    map(VA + 0x1000, DATA, 3, 1); /* XN */
    cr_expect(!mmu_fetch_page(v, VA + 0x1004, &f));
    cr_expect_eq(f.fsr, 0x0f);
    cr_expect_eq(f.far, VA + 0x1004);
    map(VA + 0x2000, RIG_DEVICE, 3, 0);
    cr_expect(!mmu_fetch_page(v, VA + 0x2000, &f));
    cr_expect_eq(f.fsr, 0x08);
    map(VA + 0x3000, DATA, 1, 0);
    v->exec_flags &= ~EXEC_PRIV;
    cr_expect(!mmu_fetch_page(v, VA + 0x3000, &f));
}

/* ---- the inline hit, as generated code does it ---- */
static bool inline_hit(uint32_t va, unsigned size, unsigned align, enum mmu_access a, bool priv)
{
    unsigned place = (va >> 12 & (SOFTTLB_SIZE - 1)) ^ v->soft_bank / 32;
    const struct softtlb_entry *e = &v->softtlb[priv][place];
    uint64_t want = ((va + size - align) & ((uint32_t)GUEST_PAGE_MASK | (align - 1))) | v->ctx_tag;

    return e->tag[a] == want;
}

Test(mmu_soft, inline_compare)
{
    map(VA, DATA, 3, 0);
    map(VA + 0x1000, RIG_DEVICE, 3, 0);
    cr_expect(!inline_hit(VA, 4, 1, MMU_READ, true));
    load(VA, P32);
    cr_expect(inline_hit(VA + 0xffc, 4, 1, MMU_READ, true));
    cr_expect(inline_hit(VA, 4, 1, MMU_WRITE, true));
    cr_expect(!inline_hit(VA + 0xffd, 4, 1, MMU_READ, true));
    cr_expect(!inline_hit(VA + 2, 4, 4, MMU_READ, true));
    cr_expect(!inline_hit(VA, 4, 1, MMU_READ, false));
    load(VA + 0x1000, P32);
    for (unsigned off = 0; off < 16; off++)
        for (unsigned align = 1; align <= 8; align *= 2)
            cr_expect(!inline_hit(VA + 0x1000 + off, 8, align, MMU_READ, true), "device must miss");
}

/* ---- maintenance ---- */
static bool cached(uint32_t va)
{
    return inline_hit(va, 4, 1, MMU_READ, true);
}

static void asid(uint32_t n, gpa_t table)
{
    r->contextidr = n;
    r->ttbr0 = table;
    mmu_context_changed(v);
}

Test(mmu_soft, context_switch_flushes_nothing_and_leaks_nothing)
{
    map(VA, DATA, 3, NG);
    asid(1, L1);
    load(VA, P32);
    asid(2, L1B);
    cr_expect(!cached(VA));
    asid(1, L1);
    cr_expect(cached(VA));
    r->dacr = 3;
    mmu_context_changed(v);
    cr_expect(!cached(VA));
    r->dacr = 1;
    mmu_context_changed(v);
    cr_expect(cached(VA));
    /* each part of the key matters */
    asid(1, L1B);
    cr_expect(!cached(VA));
    asid(3, L1);
    cr_expect(!cached(VA));
    r->contextidr = 1;
    r->prrr = 0xff;
    mmu_context_changed(v);
    cr_expect(!cached(VA));
}

Test(mmu_soft, tlbi_by_address)
{
    map(VA, DATA, 3, NG);
    map(VA + 0x1000, DATA, 3, NG);
    asid(1, L1);
    load(VA, P32);
    load(VA + 0x1000, P32);
    mmu_tlbi(v, TLBI_VA, VA + 0x1234 - 0x1000, 1, false);
    cr_expect(!cached(VA));
    cr_expect(cached(VA + 0x1000));
}

Test(mmu_soft, tlbi_by_asid_and_all)
{
    map(VA, DATA, 3, NG);
    asid(1, L1);
    load(VA, P32);
    asid(2, L1);
    load(VA + 0, P32);
    mmu_tlbi(v, TLBI_ASID, 0, 1, false);
    cr_expect(cached(VA));
    mmu_tlbi(v, TLBI_ASID, 0, 2, false);
    cr_expect(!cached(VA));
    load(VA, P32);
    mmu_tlbi(v, TLBI_ALL, 0, 0, false);
    cr_expect(!cached(VA));
    asid(1, L1);
    cr_expect(!cached(VA));
}

Test(mmu_soft, tlbi_by_address_kills_the_whole_leaf_and_global_entries)
{
    uint32_t section = 0x20000000;

    rig_put32(L1 + (section >> 20) * 4, (uint32_t)RIG_RAM_BASE | 2u | 3u << 2 | 3u << 10);
    asid(1, L1);
    load(section + 0x1000, P32);
    load(section + 0xfe000, P32);
    map(VA, DATA, 3, 0);
    load(VA, P32);
    mmu_tlbi(v, TLBI_VA, section + 0x80000, 77, false); /* another page, another ASID */
    cr_expect(!cached(section + 0x1000));
    cr_expect(!cached(section + 0xfe000));
    cr_expect(cached(VA));
    /* a large page */
    for (uint32_t i = 16; i < 32; i++)
        rig_put32(L2 + i * 4, (uint32_t)RIG_RAM_BASE | 1u | 3u << 2 | 3u << 4);
    load(VA + 0x10000, P32);
    load(VA + 0x1f000, P32);
    mmu_tlbi(v, TLBI_VA_ALL_ASID, VA + 0x15000, 0, false);
    cr_expect(!cached(VA + 0x10000));
    cr_expect(!cached(VA + 0x1f000));
    cr_expect(cached(VA));
}

Test(mmu_soft, ids_run_out)
{
    map(VA, DATA, 3, NG);
    asid(1, L1);
    load(VA, P32);
    for (unsigned i = 0; i < 0x10000; i++) {
        mmu_tlbi(v, TLBI_ASID, 0, 1, false);
        cr_assert(!cached(VA), "round %u", i);
        cr_assert(v->ctx_id && v->ctx_id <= 0xffff && v->ctx_tag == (uint64_t)v->ctx_id << 32);
        if (i % 1000 == 0)
            load(VA, P32);
    }
}

Test(mmu_soft, more_contexts_than_the_table)
{
    map(VA, DATA, 3, NG);
    for (unsigned n = 0; n < 2000; n++) {
        asid(n & 0xff, L1);
        r->dacr = 1 | (n >> 8) << 4;
        mmu_context_changed(v);
        cr_assert(!cached(VA), "context %u is new", n);
        load(VA, P32);
        cr_assert(cached(VA));
    }
}

Test(mmu_soft, upgrade_without_maintenance_is_seen)
{
    map(VA, DATA, 7, 0);
    load(VA, P32);
    cr_expect(!store_ok(VA, 1, P32));
    map(VA, DATA, 3, 0);
    cr_expect(store_ok(VA, 1, P32));
}

/* ---- requests between vCPUs ---- */
Test(mmu_soft, broadcast_reaches_a_sleeping_vcpu_before_it_goes_on)
{
    struct vcpu *u = rig_vm.cpu[1], *self = v;

    *arm_mmu_regs(u) = *r;
    vcpu_quiescent_end(u);
    mmu_context_changed(u);
    map(VA, DATA, 3, 0);
    v = u;
    load(VA, P32);
    cr_assert(cached(VA));
    vcpu_quiescent_begin(u);
    mmu_tlbi(self, TLBI_VA, VA, 0, true);
    mmu_dsb(self); /* does not hang: the target is quiescent */
    cr_expect(cached(VA));
    vcpu_quiescent_end(u);
    cr_expect(!cached(VA));
}

Test(mmu_soft, request_overflow_drops_everything)
{
    struct vcpu *u = rig_vm.cpu[1], *self = v;

    *arm_mmu_regs(u) = *r;
    mmu_context_changed(u);
    map(VA, DATA, 3, 0);
    map(VA + 0x1000, DATA, 3, 0);
    v = u;
    load(VA, P32);
    load(VA + 0x1000, P32);
    for (unsigned i = 0; i < 10; i++)
        mmu_tlbi(self, TLBI_VA, VA + 0x1000, 0, true);
    cr_expect(atomic_load(&u->poll) & POLL_MMU);
    mmu_serve_requests(u);
    cr_expect(cached(VA));
    load(VA + 0x1000, P32);
    for (unsigned i = 0; i < 100; i++)
        mmu_tlbi(self, TLBI_VA, VA + 0x1000, 0, true);
    mmu_serve_requests(u);
    cr_expect(!cached(VA));
    mmu_dsb(self);
}

/* Nobody is asked, or waited for, about what it cannot have cached. */
Test(mmu_soft, broadcast_asks_only_whom_it_concerns)
{
    struct vcpu *u = rig_vm.cpu[1], *self = v;
    uint64_t sent;

    *arm_mmu_regs(u) = *r;
    arm_mmu_regs(u)->contextidr = 4;
    mmu_context_changed(u);
    map(VA, DATA, 3, NG);
    map(VA + 0x1000, DATA, 3, 0);
    rig_put32(L1 + 0x200 * 4, (uint32_t)RIG_RAM_BASE | 2u | 3u << 2 | 3u << 10);
    v = u;
    load(VA, P32);
    load(VA + 0x1000, P32);
    load(0x20001000, P32);
    mmu_serve_requests(u);
#define ASKED(...)                                                            \
    (sent = stats_vcpu[0].shootdowns_sent, mmu_tlbi(self, __VA_ARGS__, true), \
     stats_vcpu[0].shootdowns_sent - sent)
    cr_expect_eq(ASKED(TLBI_VA, VA + 0x5000, 4), 0);
    cr_expect_eq(ASKED(TLBI_VA, VA, 9), 0, "non-global, of an ASID it never ran");
    cr_expect_eq(ASKED(TLBI_VA, VA, 4), 1);
    cr_expect_eq(ASKED(TLBI_VA_ALL_ASID, VA, 0), 1);
    cr_expect_eq(ASKED(TLBI_VA, VA + 0x1000, 9), 1, "global");
    cr_expect_eq(ASKED(TLBI_VA, 0x20080000, 9), 1, "another page of a leaf it used");
    cr_expect_eq(ASKED(TLBI_ASID, 0, 9), 0);
    cr_expect_eq(ASKED(TLBI_ASID, 0, 4), 1);
    cr_expect_eq(ASKED(TLBI_ALL, 0, 0), 1);
    mmu_serve_requests(u);
    cr_expect_eq(ASKED(TLBI_VA, VA + 0x1000, 9), 0, "everything died with the last one");
    mmu_dsb(self);
}

/* A kernel's code that is where it was stays known over a flush of everything, and stays noted. */
Test(mmu_soft, a_class_is_kept_over_maintenance_of_all)
{
    struct vcpu *u = rig_vm.cpu[1];
    uint64_t tag, context = v->ctx_tag, sent;
    struct mmu_fetch f;

    map(VA, DATA, 3, 0);
    map(VA + 0x1000, DATA, 3, 0);
    load(VA + 0x1000, P32);
    cr_assert(mmu_fetch_page(v, VA, &f));
    tag = v->class_tag;
    mmu_tlbi(v, TLBI_ALL, 0, 0, false);
    cr_expect_eq(v->class_tag, tag);
    cr_expect_neq(v->ctx_tag, context);
    mmu_serve_requests(v); /* notes are thrown away */
    cr_expect_eq(v->class_tag, tag);
    atomic_store(&u->in_guest, 0);
    sent = stats_vcpu[1].shootdowns_sent;
    mmu_tlbi(u, TLBI_VA, VA, 0, true);
    cr_expect_eq(stats_vcpu[1].shootdowns_sent, sent + 1, "noted again");
    mmu_tlbi(u, TLBI_VA, VA + 0x1000, 0, true);
    cr_expect_eq(stats_vcpu[1].shootdowns_sent, sent + 1, "never fetched from");
    mmu_serve_requests(v);
    map(VA, DATA + 0x1000, 3, 0);
    cr_assert(mmu_fetch_page(v, VA, &f));
    cr_expect_eq(f.gpa, DATA + 0x1000);
    mmu_dsb(u);
}

/* Each way in which what was fetched may be wrong after a flush: another page, none, not global,
 * not executable; also one whose entry was dropped and made anew from elsewhere. */
Test(mmu_soft, a_class_dies_when_a_page_of_its_changed)
{
    static const struct {
        gpa_t page;
        uint32_t more;
    } now[] = {{DATA + 0x2000, 0}, {0, 0}, {DATA, NG}, {DATA, 1}};
    struct mmu_fetch f;
    uint64_t tag;

    for (unsigned i = 0; i <= ARRAY_SIZE(now); i++) {
        map(VA, DATA, 3, 0);
        mmu_tlbi(v, TLBI_ALL, 0, 0, false);
        cr_assert(mmu_fetch_page(v, VA, &f));
        tag = v->class_tag;
        if (i == ARRAY_SIZE(now)) {
            map(VA, DATA + 0x2000, 3, 0);
            mmu_tlbi(v, TLBI_VA, VA, 0, false);
            cr_assert(mmu_fetch_page(v, VA, &f));
            map(VA, DATA, 3, 0); /* as it was when the class first heard of it */
        } else if (now[i].page) {
            map(VA, now[i].page, 3, now[i].more);
        } else {
            rig_put32(L2 + (VA >> 12 & 0xff) * 4, 0);
        }
        mmu_tlbi(v, TLBI_ALL, 0, 0, false);
        cr_expect_neq(v->class_tag, tag, "change %u", i);
    }
}

/* Maintenance by address finds what was kept, by any page of its leaf. */
Test(mmu_soft, what_a_class_kept_dies_by_address)
{
    struct mmu_fetch f;

    rig_put32(L1 + 0x200 * 4, (uint32_t)RIG_RAM_BASE | 2u | 3u << 2 | 3u << 10);
    map(VA, DATA, 3, 0);
    cr_assert(mmu_fetch_page(v, 0x20001000, &f));
    cr_assert(mmu_fetch_page(v, VA, &f));
    mmu_tlbi(v, TLBI_ALL, 0, 0, false);
    mmu_serve_requests(v);
    cr_expect(v->mmu->fetched[VA >> 12 >> 6] >> (VA >> 12 & 63) & 1);
    cr_expect_eq(v->mmu->fetched[0x20001 >> 6], UINT64_MAX);
    rig_put32(L1 + 0x200 * 4, (uint32_t)(RIG_RAM_BASE + 0x200000) | 2u | 3u << 2 | 3u << 10);
    mmu_tlbi(v, TLBI_VA, 0x20080000, 0, false);
    cr_assert(mmu_fetch_page(v, 0x20001000, &f));
    cr_expect_eq(f.gpa, RIG_RAM_BASE + 0x201000);
}

/* Another class is walked when it is used again, under its own registers. */
Test(mmu_soft, a_class_that_is_not_current_waits)
{
    struct mmu_fetch f;
    uint64_t tag;

    map(VA, DATA, 3, 0);
    cr_assert(mmu_fetch_page(v, VA, &f));
    tag = v->class_tag;
    r->dacr |= 1u << 8;
    mmu_context_changed(v);
    mmu_tlbi(v, TLBI_ALL, 0, 0, false);
    mmu_serve_requests(v);
    r->dacr &= ~(1u << 8);
    mmu_context_changed(v);
    cr_expect_eq(v->class_tag, tag);
    r->dacr |= 1u << 8;
    mmu_context_changed(v);
    map(VA, DATA + 0x1000, 3, 0);
    mmu_tlbi(v, TLBI_ALL, 0, 0, false);
    r->dacr &= ~(1u << 8);
    mmu_context_changed(v);
    cr_expect_neq(v->class_tag, tag);
    cr_assert(mmu_fetch_page(v, VA, &f));
    cr_expect_eq(f.gpa, DATA + 0x1000);
}

static atomic_bool forgetting;

static void *forget_often(void *seen)
{
    for (unsigned i = 0; i < 20000; i++)
        seen_forget_all(seen, 70);
    atomic_store(&forgetting, false);
    return NULL;
}

/* Maintenance by ASID of another CPU at any moment while the owner starts afresh. */
Test(mmu_soft, the_current_asid_is_noted_without_a_gap)
{
    static struct seen seen;
    unsigned missed = 0;
    pthread_t owner;

    seen_note_asid(&seen, 70);
    atomic_store(&forgetting, true);
    cr_assert(!pthread_create(&owner, NULL, forget_often, &seen));
    while (atomic_load(&forgetting))
        missed += !seen_concerns(&seen, TLBI_ASID, 0, 70);
    pthread_join(owner, NULL);
    cr_expect_eq(missed, 0, "missed %u times", missed);
    cr_expect(!seen_concerns(&seen, TLBI_ASID, 0, 71));
}
