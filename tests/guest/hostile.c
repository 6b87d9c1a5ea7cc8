/* SPDX-License-Identifier: MIT */
/*
 * Things no decent guest does: accesses that wrap around the address space, page tables in devices
 * and over themselves, translations to nowhere, exclusive and multiple accesses to device memory,
 * code that runs off the end of RAM, random reads and writes of device registers, DMA requests to
 * wild addresses.  Most results are unpredictable; checked are only that every access ends (with or
 * without a trap), that our own memory stays whole, and that the machine still works afterwards.
 */
#include "lib/gic.h"
#include "lib/mmu.h"
#include "lib/probe.h"
#include "lib/snip.h"
#include "lib/vfp.h"

const char payload_name[] = "hostile";

#ifndef SEED
#define SEED 1u
#endif
static uint32_t *guard; /* a page nobody may change */
static struct matrix m;

SNIP(h_ldr, "ldr r1, [r0]\n");
SNIP(h_str, "str r1, [r0]\n");
SNIP(h_ldm, "ldm r0, {r1-r7}\n");
SNIP(h_stm, "stm r0!, {r1-r7}\n");
SNIP(h_ldmdb, "ldmdb r0!, {r1-r7}\n");
SNIP(h_ldrd, "ldrd r2, r3, [r0]\n");
SNIP(h_strd, "strd r2, r3, [r0]\n");
SNIP(h_ldrex, "ldrex r1, [r0]\n");
SNIP(h_strex, "ldrex r1, [r0]\n strex r2, r1, [r0]\n");
SNIP(h_strex_only, "strex r2, r1, [r0]\n");
SNIP(h_ldrexd, "ldrexd r2, r3, [r0]\n strexd r4, r2, r3, [r0]\n");
SNIP(h_ldrexb, "ldrexb r1, [r0]\n strexb r2, r1, [r0]\n");
SNIP(h_vldm, "vldm r0, {d0-d15}\n");
SNIP(h_vstm, "vstm r0, {d0-d15}\n");
SNIP(h_vld4, "vld4.8 {d0-d3}, [r0]!\n");
SNIP(h_vst1, "vst1.64 {d0-d3}, [r0]!\n");
SNIP(h_ldrb, "ldrb r1, [r0]\n");
SNIP(h_ldrh, "ldrh r1, [r0]\n");
SNIP(h_push, "mov sp, r0\n push {r1-r7, lr}\n");
SNIP(h_bx, "bx r0\n");
SNIP(h_ldr_pc, "ldr pc, [r0]\n");

static const struct snip all[] = {
    SNIP_BOTH(h_ldr),    SNIP_BOTH(h_ldrb),  SNIP_BOTH(h_ldrh),       SNIP_BOTH(h_ldm),
    SNIP_BOTH(h_ldmdb),  SNIP_BOTH(h_ldrd),  SNIP_BOTH(h_ldrex),      SNIP_BOTH(h_vldm),
    SNIP_BOTH(h_vld4),   SNIP_BOTH(h_strex), SNIP_BOTH(h_strex_only), SNIP_BOTH(h_ldrexd),
    SNIP_BOTH(h_ldrexb), SNIP_BOTH(h_str),   SNIP_BOTH(h_stm),        SNIP_BOTH(h_strd),
    SNIP_BOTH(h_vstm),   SNIP_BOTH(h_vst1),  SNIP_BOTH(h_push),
};
#define READS 9u /* the first of them only load */

/* Any end is good but an IRQ or a reset. */
static void attempt(const char *code, uint32_t mode, uint32_t addr)
{
    struct regs in;
    regs_init(&in, mode);
    in.r[0] = addr;
    enum trap_kind k = snip_run(&in, code);
    case_eq(&m, k == TRAP_SVC || k == TRAP_UNDEF || k == TRAP_PABT || k == TRAP_DABT, 1,
            "kind %u at %x", k, (unsigned)addr);
}

static void attempt_all(unsigned n, uint32_t addr)
{
    for (unsigned i = 0; i < n; i++)
        for (unsigned k = 0; k < 4; k++)
            attempt(all[i].code[k & 1], k & 2 ? MODE_USR : MODE_SYS, addr);
}

static void done(const char *name)
{
    for (unsigned i = 0; i < PAGE_SIZE / 4; i++)
        case_eq(&m, guard[i], 0x600d0000 + i, "%s: guard page", name);
    m.name = name;
    matrix_end(&m);
    memset(&m, 0, sizeof(m));
}

/* Over the top of the address space and below its bottom, with either side mapped or not. */
static void test_wrap(void)
{
    uint32_t *low = mem_alloc(1024, 1024), *high = mem_alloc(1024, 1024),
             *page = mem_alloc(2 * PAGE_SIZE, PAGE_SIZE);
    for (unsigned which = 0; which < 4; which++) {
        flat_l1[0] = which & 1 ? L1_TABLE(low, 0) : 0;
        flat_l1[4095] = which & 2 ? L1_TABLE(high, 0) : 0;
        low[0] = L2_SMALL(page) | P_NORMAL | P_AP(AP_RW_RW);
        high[255] = L2_SMALL((uint32_t)page + PAGE_SIZE) | P_NORMAL | P_AP(AP_RW_RW);
        tlb_flush_all();
        for (uint32_t a = 0xffffffc0; a != 0x40; a += a > 0xfffffff0 || a < 16 ? 1 : 4)
            attempt_all(ARRAY_SIZE(all), a);
        /* code that runs over the top */
        uint32_t *end = page + 2047;
        *end = 0xe1a00000; /* nop */
        page[0] = 0xef000052;
        code_sync(page, 2 * PAGE_SIZE);
        attempt(h_bx_arm, MODE_SYS, 0xfffffffc);
        attempt(h_bx_thumb, MODE_USR, 0xffffffff);
        attempt(h_ldr_pc_arm, MODE_USR, 0xfffffffe);
    }
    flat_l1[0] = flat_l1[4095] = 0;
    tlb_flush_all();
    done("accesses around the ends of the address space");
}

#define VA 0x80000000u
static void set_section(uint32_t entry)
{
    pte_set(&flat_l1[VA >> 20], entry);
    tlb_flush_all();
}

static void test_wild_entries(void)
{
    uint32_t seed = SEED;
    uint32_t *l2 = mem_alloc(1024, 1024);
    /* sections anywhere, every attribute */
    static const uint32_t where[] = {0,          0x00100000, 0x10000000, 0x3ff00000,
                                     0x50000000, 0x80000000, 0xfff00000, 0x07f00000};
    for (unsigned i = 0; i < ARRAY_SIZE(where); i++) {
        for (unsigned type = 0; type < 3; type++) {
            set_section(L1_SECTION(where[i]) |
                        (type == 0   ? S_NORMAL
                         : type == 1 ? S_DEVICE
                                     : 0) |
                        S_AP(AP_RW_RW));
            attempt_all(READS, VA + 0x100);
            attempt(h_bx_arm, MODE_USR, VA + 0x100);
        }
    }
    /* supersections with extended addresses */
    for (unsigned i = 0; i < 16; i++) {
        for (unsigned k = 0; k < 16; k++)
            flat_l1[(VA >> 20) + k] =
                L1_SUPER(i << 24) | i << 20 | i << 5 | S_NORMAL | S_AP(AP_RW_RW);
        tlb_flush_all();
        attempt_all(READS, VA + 0x01000000 - 16);
        attempt_all(ARRAY_SIZE(all), VA + 0x00800000);
    }
    memset(&flat_l1[VA >> 20], 0, 64);
    /* level 2 tables in devices and nowhere */
    static const uint32_t tables[] = {0x08000000, 0x08010000, 0x09000000, 0x09010000, 0x0a000000,
                                      0x0c000000, 0x4ffffc00, 0x50000000, 0xfffffc00, 0};
    for (unsigned i = 0; i < ARRAY_SIZE(tables); i++) {
        set_section(L1_TABLE(tables[i], 0));
        for (unsigned k = 0; k < 256; k += 5)
            attempt_all(2, VA + k * PAGE_SIZE);
    }
    /* random entries */
    set_section(L1_TABLE(l2, 0));
    for (unsigned i = 0; i < 400; i++) {
        l2[0] = (rnd(&seed) & 0xfff) | RAM_BASE | 0x0f000000 | (rnd(&seed) & 0x00fff000);
        l2[1] = rnd(&seed);
        tlb_flush_all();
        attempt_all(READS, VA + 0xff8);
    }
    set_section(0);
    done("translations to anywhere");
}

/* A level 2 table that maps itself: change entries through the mapping. */
static void test_self_map(void)
{
    uint32_t *page = mem_alloc(PAGE_SIZE, PAGE_SIZE), *data = mem_alloc(4 * PAGE_SIZE, PAGE_SIZE);
    uint32_t *view = (uint32_t *)(VA + 255 * PAGE_SIZE);
    page[255] = L2_SMALL(page) | P_NORMAL | P_AP(AP_RW_RW);
    set_section(L1_TABLE(page, 0));
    for (unsigned i = 0; i < 4; i++)
        data[i * 1024] = 0x100 + i;
    for (unsigned i = 0; i < 400; i++) {
        view[i & 127] = L2_SMALL((uint32_t)data + (i & 3) * PAGE_SIZE) | P_NORMAL | P_AP(AP_RW_RW);
        dsb();
        do_tlbimva(VA + (i & 127) * PAGE_SIZE);
        dsb();
        isb();
        case_eq(&m, load32(VA + (i & 127) * PAGE_SIZE), 0x100 + (i & 3), "round %u", i);
    }
    view[255] = 0; /* the mapping removes itself */
    dsb();
    do_tlbimva((uint32_t)view);
    dsb();
    isb();
    case_eq(&m, probe(ACC_READ, false, (uint32_t)view, 0), TRAP_DABT, "gone");
    set_section(0);
    done("a table that maps itself");
}

static void test_wild_registers(void)
{
    uint32_t seed = SEED + 7;
    /* TTBR1 is not used while TTBCR.N = 0; everything else is put back at once */
    for (unsigned i = 0; i < 200; i++) {
        write_ttbr1(rnd(&seed));
        write_prrr(rnd(&seed));
        write_nmrr(rnd(&seed));
        write_dfar(rnd(&seed));
        write_ifar(rnd(&seed));
        write_dfsr(rnd(&seed));
        write_ifsr(rnd(&seed));
        write_csselr(rnd(&seed));
        write_pmselr(rnd(&seed));
        write_pmxevtyper(rnd(&seed));
        write_pmxevcntr(rnd(&seed));
        write_pmcr(rnd(&seed));
        write_pmcntenset(rnd(&seed));
        write_pmccntr(rnd(&seed));
        write_cntv_cval((uint64_t)rnd(&seed) << 32 | rnd(&seed));
        write_cntv_ctl(rnd(&seed));
        write_cntp_tval(rnd(&seed));
        write_cntp_ctl(rnd(&seed));
        write_cntkctl(rnd(&seed));
        write_contextidr(rnd(&seed));
        isb();
        (void)catch_call((const void *)read_pmxevcntr, 0, 0, 0);
        (void)read_ccsidr();
        (void)read_cntv_tval();
        do_ats1cpr(rnd(&seed));
        do_ats1cuw(rnd(&seed));
        isb();
        (void)read_par();
        do_tlbimva(rnd(&seed));
        do_tlbiasid(rnd(&seed));
        do_tlbimvaais(rnd(&seed));
        do_dccsw(rnd(&seed));
        do_dcisw(rnd(&seed) & 0); /* invalidating our own data is our fault */
        m.cases++;
    }
    write_cntv_ctl(0);
    write_cntp_ctl(0);
    write_cntkctl(0);
    write_pmcr(6);
    write_pmcntenclr(~0u);
    write_contextidr(0);
    write_prrr(0x00098aa4);
    write_nmrr(0x44e048e0);
    write_csselr(0);
    isb();
    /* TTBCR and long descriptors with every pair of sizes: our code by TTBR0 or not at all */
    uint64_t *l1 = mem_alloc(PAGE_SIZE, PAGE_SIZE);
    l1[0] = LD_BLOCK | LD_DEVICE | LD_AP1 | LD_XN;
    l1[1] = RAM_BASE | LD_BLOCK | LD_NORMAL | LD_AP1;
    for (unsigned t1 = 0; t1 < 8; t1++) {
        mmu_switch((uint32_t)l1, 0x0c000000 | (uint64_t)t1 << 48, TTBCR_LONG | t1 << 16 | 1);
        for (uint32_t a = 0x80000000; a >= 0x80000000; a += 0x07ffff00)
            attempt_all(3, a);
    }
    /* entries with addresses above 4 GiB and reserved bits */
    uint32_t lseed = SEED;
    for (unsigned i = 0; i < 200; i++) {
        mmu_switch((uint32_t)l1, 0, TTBCR_LONG);
        l1[2] = (uint64_t)(rnd(&lseed) & 0x00ff) << 32 | (uint64_t)rnd(&lseed) << 40 | rnd(&lseed) |
                LD_AF;
        if (i & 1)
            l1[2] &= ~(1ull << 1);
        dsb();
        tlb_flush_all();
        attempt_all(3, 0x80000000 + (rnd(&lseed) & 0x3ffffffc));
    }
    mmu_flat_restore();
    done("wild system register values");
}

/* Exclusive, multiple and unaligned accesses to devices. */
static void test_device_access(void)
{
    static const uint32_t regs[] = {GICD + GICD_TYPER, GICD + GICD_IPRIORITYR + 64,
                                    0x09010000,        0x09000018,
                                    0x0a000000,        0x0a000100,
                                    0x09030000,        0x08020000 + 8,
                                    GICC + GICC_HPPIR};
    for (unsigned i = 0; i < ARRAY_SIZE(regs); i++)
        for (unsigned off = 0; off < 4; off++)
            attempt_all(READS, regs[i] + off);
    for (unsigned i = 9; i < ARRAY_SIZE(all); i++)
        for (unsigned k = 0; k < 4; k++)
            attempt(all[i].code[k & 1], k & 2 ? MODE_USR : MODE_SYS,
                    GICD + GICD_IPRIORITYR + 64 + (k & 2));
    /* execution from devices: XN here, so an abort */
    case_eq(&m, probe(ACC_EXEC, false, 0x09010000, 0), TRAP_PABT, "execute from a device");
    done("all kinds of accesses to devices");
}

/* Random reads over all device space; random writes where they cannot stop the test. */
static void test_device_fuzz(void)
{
    uint32_t seed = SEED + 99;
    for (unsigned i = 0; i < 20000; i++) {
        uint32_t r = rnd(&seed), a = 0x08000000 + (r & 0x03ffffff);
        if (i & 1) /* where the devices really are */
            a = (i & 2   ? 0x0a000000
                 : i & 4 ? 0x08000000
                         : 0x09000000) +
                (r & (i & 4 ? 0x2ffff : 0x3ffff));
        attempt(all[r >> 28 & 3 ? 0 : (r >> 26) % 3].code[i >> 3 & 1], i & 16 ? MODE_USR : MODE_SYS,
                a);
    }
    for (unsigned i = 0; i < 20000; i++) {
        uint32_t r = rnd(&seed), a, v = rnd(&seed);
        switch (i & 3) {
        case 0:
            a = GICD + (r & 0xfff);
            break;
        case 1:
            a = 0x0a000000 + (r & 0x3fff);
            break; /* virtio-mmio */
        case 2:
            a = 0x09010000 + (r & 0xfff);
            break; /* PL031 */
        default:
            a = 0x09020000 + (r & 0xf);
            v = v & 0x0fffffff; /* fw_cfg: DMA addresses outside of RAM */
        }
        if ((i & 3) != 2 && (r >> 30) == 0)
            (void)catch_call((const void *)load32, a & ~3u, 0, 0);
        if (r >> 31)
            (void)catch_call((const void *)store32, a & ~3u, v, 0);
        else
            attempt(r & 1 << 29 ? h_strd_arm : h_stm_arm, MODE_SYS, (a & ~7u) & 0xfffffff0);
        m.cases++;
    }
    done("random accesses to devices");
}

#define ECAM 0x3f000000u
#define FUNCTION 0x8000u /* slot 1 */
#define BAR 0x10000000u
#define FLASH 0x04000000u

static void map_devices(uint32_t base, unsigned mib, uint32_t bits)
{
    for (unsigned i = 0; i < mib; i++)
        flat_l1[(base >> 20) + i] = bits ? L1_SECTION(base + (i << 20)) | bits : 0;
    tlb_flush_all();
}

static void map_pci_and_flash(uint32_t bits)
{
    map_devices(ECAM, 16, bits);
    map_devices(BAR, 1, bits);
    map_devices(FLASH, 1, bits);
}

/* PCI configuration space, regions that move about, and flash: where the machine has them. */
static void test_pci_and_flash_fuzz(void)
{
    static const uint32_t command[] = {0x40, 0x10, 0xe8, 0x20, 0xd0, 0x60, 0x90, 0x98, 0x70, 0xff};
    uint32_t seed = SEED + 17;

    map_pci_and_flash(S_DEVICE | S_XN | S_AP(AP_RW_RW));
    if (probe(ACC_READ, false, ECAM, 0) == TRAP_DABT ||
        probe(ACC_READ, false, FLASH, 0) == TRAP_DABT) {
        map_pci_and_flash(0);
        return;
    }
    for (unsigned i = 0; i < 20000; i++) {
        uint32_t r = rnd(&seed), v = rnd(&seed), a;
        if (i % 8 == 0) { /* regions where we look for them, decoded */
            store32(ECAM + FUNCTION + 0x20, BAR);
            store32(ECAM + FUNCTION + 0x14, BAR + 0x8000);
            store32(ECAM + FUNCTION + 4, 0x00000006);
        }
        switch (i & 3) {
        case 0:
            a = ECAM + FUNCTION + (r & 0xff);
            break;
        case 1:
            a = BAR + (r & (i & 4 ? 0x3f : 0x8fff));
            break;
        case 2:
            a = ECAM + (r & 0xffffff);
            break;
        default:
            a = FLASH + (r & 0x7ffff);
            v = i & 4 ? command[v % ARRAY_SIZE(command)] * 0x10001u : v;
        }
        if ((r >> 30) == 0)
            (void)catch_call((const void *)load32, a & ~3u, 0, 0);
        if (r >> 31)
            (void)catch_call((const void *)store32, a & ~3u, v, 0);
        else
            attempt(all[(r >> 24) % ARRAY_SIZE(all)].code[r >> 29 & 1], MODE_SYS,
                    a & (r >> 28 & 1 ? ~0u : ~7u));
        m.cases++;
    }
    map_pci_and_flash(0);
    done("random accesses to PCI and flash");
}

/* Code at the very end of RAM, running into nothing. */
static void test_end_of_ram(void)
{
    uint32_t end = RAM_BASE + RAM_SIZE;
    uint32_t keep[4];
    memcpy(keep, (void *)(end - 16), 16);
    set_section(0);
    pte_set(&flat_l1[end >> 20], L1_SECTION(end) | S_NORMAL | S_AP(AP_RW_RW));
    tlb_flush_all();
    for (unsigned i = 1; i < 5; i++)
        store32(end - 4 * i, 0xe1a00000);
    code_sync((void *)(end - 16), 16);
    struct regs in;
    regs_init(&in, MODE_SYS);
    case_eq(&m, snip_run(&in, (char *)(end - 16)), TRAP_PABT, "run off the end");
    case_eq(&m, this_cpu()->trap.regs.pc, end, "address");
    attempt_all(ARRAY_SIZE(all) - 2, end - 2);
    attempt_all(ARRAY_SIZE(all) - 2, end - 8);
    attempt_all(ARRAY_SIZE(all) - 2, end);
    memcpy((void *)(end - 16), keep, 16);
    pte_set(&flat_l1[end >> 20], 0);
    tlb_flush_all();
    done("the end of RAM");
}

static void test_alive(void)
{
    gicd_write(GICD_CTLR, 0);
    tap_eq(gic_try_timer(5), 5, "the timer and the interrupt controller still work");
    unsigned n = smp_start(2);
    tap_ok(n == 1 || psci(PSCI_AFFINITY_INFO, 1, 0, 0) == 0, "another CPU can still be started");
}

void payload_main(void)
{
    guard = mem_alloc(PAGE_SIZE, PAGE_SIZE);
    for (unsigned i = 0; i < PAGE_SIZE / 4; i++)
        guard[i] = 0x600d0000 + i;
    vfp_enable(true);
    tap_diag("seed %u", SEED);
    test_wrap();
    test_wild_entries();
    test_self_map();
    test_wild_registers();
    test_device_access();
    test_end_of_ram();
    test_device_fuzz();
    test_pci_and_flash_fuzz();
    test_alive();
}
