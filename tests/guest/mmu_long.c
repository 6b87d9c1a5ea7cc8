/* SPDX-License-Identifier: MIT */
/*
 * Long-descriptor (LPAE) translation: 1 GiB, 2 MiB and 4 KiB mappings, contiguous hint, faults by
 * level, T0SZ/T1SZ splits and EPD, permissions with hierarchical control, WXN/UWXN, access flag,
 * ATS1C* with the 64-bit PAR, ASIDs in the TTBRs.  Arm ARM B3.6, B3.7.  One CPU.
 */
#include "lib/mmu.h"
#include "lib/probe.h"

const char payload_name[] = "mmu_long";

static uint64_t *l1, *l2, *l3; /* for 0, 1, 2, 3 GiB; for 0x80000000; for 0x80000000 */
static uint8_t *big;           /* 2 MiB of test data */
#define VA 0x80000000u

enum kind { BLOCK1G, BLOCK2M, PAGE4K, KINDS };
static const char *const kind_names[KINDS] = {"1 GiB block", "2 MiB block", "4 KiB page"};

/* Fault status, long format: STATUS[5:0], LPAE bit 9, WnR bit 11. */
#define ST(f)           ((f)&0x3fu)
#define ST_TRANS(level) (4u | (level))
#define ST_AF(level)    (8u | (level))
#define ST_PERM(level)  (12u | (level))
#define FSR_LPAE        (1u << 9)

static void flat_long(uint64_t *t)
{
    memset(t, 0, 32);
    t[0] = LD_BLOCK | LD_DEVICE | LD_AP1 | LD_XN;
    t[1] = RAM_BASE | LD_BLOCK | LD_NORMAL | LD_AP1;
}

/* Where the test data is for a kind: a 1 GiB block shows all of RAM. */
static uint32_t va_of(enum kind k, uint32_t off)
{
    return k == BLOCK1G ? VA + ((uint32_t)big - RAM_BASE) + off : VA + off;
}

/* leaf: attribute bits of the entry; tables: bits for the table entries on the way (1: L1, 2: L2).
 */
static void map(enum kind k, uint64_t leaf, uint64_t table1, uint64_t table2)
{
    uint32_t pa = (uint32_t)big;
    memset(l2, 0, PAGE_SIZE);
    memset(l3, 0, PAGE_SIZE);
    l1[2] = k == BLOCK1G ? (RAM_BASE | LD_BLOCK | LD_ATTR(0) | LD_SH_IS | leaf)
                         : ((uint32_t)l2 | LD_TABLE | table1);
    if (k == BLOCK2M)
        l2[0] = pa | LD_BLOCK | LD_ATTR(0) | LD_SH_IS | leaf;
    else
        l2[0] = (uint32_t)l3 | LD_TABLE | table2;
    l3[0] = pa | LD_PAGE | LD_ATTR(0) | LD_SH_IS | leaf;
    l3[1] = 0;
    tlb_flush_all();
}

static void test_formats(void)
{
    static const uint32_t sizes[KINDS] = {RAM_SIZE, 1u << 21, 1u << 12};
    for (enum kind k = BLOCK1G; k < KINDS; k++) {
        struct matrix m = {.name = kind_names[k]};
        uint32_t seed = 0x7654321, size = k == BLOCK1G ? 1u << 21 : sizes[k];
        map(k, LD_AF | LD_AP1, 0, 0);
        for (unsigned i = 0; i < 200; i++) {
            uint32_t off = i == 0 ? 0 : i == 1 ? size - 4 : rnd(&seed) & (size - 4);
            store32((uint32_t)big + off, ~off);
            case_eq(&m, probe(ACC_READ, i & 1, va_of(k, off), 0), TRAP_NONE, "read %x",
                    (unsigned)off);
            case_eq(&m, this_cpu()->result, ~off, "value at %x", (unsigned)off);
            case_eq(&m, probe(ACC_WRITE, i & 1, va_of(k, off), off + 9), TRAP_NONE, "write %x",
                    (unsigned)off);
            case_eq(&m, load32((uint32_t)big + off), off + 9, "stored at %x", (unsigned)off);
        }
        code_returning(big + 64, 0x321);
        case_eq(&m, probe(ACC_EXEC, true, va_of(k, 64), 0), TRAP_NONE, "exec");
        case_eq(&m, this_cpu()->result, 0x321, "exec result");
        if (k != BLOCK1G) {
            case_eq(&m, probe(ACC_READ, false, VA + size, 0), TRAP_DABT, "end");
            case_eq(&m, ST(this_cpu()->trap.dfsr), ST_TRANS(k == BLOCK2M ? 2 : 3),
                    "fault behind the end");
        }
        matrix_end(&m);
    }
}

/* Sixteen entries with the contiguous hint: any entry must serve its own page correctly. */
static void test_contiguous(void)
{
    struct matrix m = {.name = "contiguous hint"};
    map(PAGE4K, LD_AF, 0, 0);
    for (unsigned i = 0; i < 16; i++)
        l3[i] = ((uint32_t)big + i * PAGE_SIZE) | LD_PAGE | LD_NORMAL | LD_AP1 | 1ull << 52;
    tlb_flush_all();
    for (unsigned i = 0; i < 16; i++) {
        store32((uint32_t)big + i * PAGE_SIZE + 4 * i, i + 100);
        case_eq(&m, probe(ACC_READ, true, VA + i * PAGE_SIZE + 4 * i, 0), TRAP_NONE, "page %u", i);
        case_eq(&m, this_cpu()->result, i + 100, "page %u value", i);
    }
    matrix_end(&m);
}

static void test_translation_faults(void)
{
    struct trap *t = &this_cpu()->trap;
    struct matrix m = {.name = "translation faults by level"};
    map(PAGE4K, LD_AF | LD_AP1, 0, 0);
    /* level 1: l1[3] empty; level 2: second 2 MiB; level 3: second page; reserved block at level 3
     */
    l3[2] = (uint32_t)big | LD_BLOCK | LD_NORMAL;
    l2[5] = (uint32_t)big | 2;
    dsb();
    static const struct {
        uint32_t va;
        unsigned level;
    } where[] = {{0xc0001234, 1},
                 {VA + (3 << 21) + 0x444, 2},
                 {VA + 0x1ffc, 3},
                 {VA + 0x2008, 3},
                 {VA + (5 << 21) + 16, 2}};
    for (unsigned i = 0; i < ARRAY_SIZE(where); i++) {
        for (enum access a = ACC_READ; a < ACC_KINDS; a++) {
            for (unsigned user = 0; user < 2; user++) {
                if (user && a >= ACC_LDRT)
                    continue;
                uint32_t va = where[i].va;
                case_eq(&m, probe(a, user, va, 0), a == ACC_EXEC ? TRAP_PABT : TRAP_DABT, "kind");
                uint32_t fsr = a == ACC_EXEC ? t->ifsr : t->dfsr;
                case_eq(&m, ST(fsr), ST_TRANS(where[i].level), "%x status", (unsigned)va);
                case_eq(&m, fsr & FSR_LPAE, FSR_LPAE, "LPAE bit");
                case_eq(&m, a == ACC_EXEC ? t->ifar : t->dfar, va, "FAR");
                if (a != ACC_EXEC)
                    case_eq(&m, fsr & FSR_WNR, access_is_write(a) ? FSR_WNR : 0, "WnR");
            }
        }
    }
    matrix_end(&m);
}

struct rights {
    bool user, ro, xn, pxn, af;
};

static uint32_t expected(enum kind k, const struct rights *r, enum access a, bool user)
{
    unsigned level = (unsigned)k + 1;
    bool u = access_is_user(a, user);
    if (!r->af)
        return ST_AF(level);
    bool ok = !u || r->user;
    if (access_is_write(a))
        ok = ok && !r->ro;
    if (a == ACC_EXEC)
        ok = ok && !r->xn && !(r->pxn && !u);
    return ok ? 0 : ST_PERM(level);
}

static void check(struct matrix *m, enum kind k, const struct rights *r, unsigned id)
{
    struct trap *t = &this_cpu()->trap;
    uint32_t va = va_of(k, 0x80), keep = load32((uint32_t)big + 0x80);
    for (enum access a = ACC_READ; a < ACC_KINDS; a++) {
        for (unsigned user = 0; user < 2; user++) {
            if (user && a >= ACC_LDRT)
                continue;
            uint32_t want = expected(k, r, a, user);
            enum trap_kind got = probe(a, user, va, keep);
            uint32_t st = got == TRAP_NONE ? 0 : ST(a == ACC_EXEC ? t->ifsr : t->dfsr);
            if (!case_eq(m, st, want, "config %x %s %s", id, user ? "user" : "priv",
                         access_names[a]) ||
                !want)
                continue;
            case_eq(m, got, a == ACC_EXEC ? TRAP_PABT : TRAP_DABT, "kind");
            case_eq(m, a == ACC_EXEC ? t->ifar : t->dfar, va, "FAR");
            if (a != ACC_EXEC)
                case_eq(m, t->dfsr & FSR_WNR, access_is_write(a) ? FSR_WNR : 0, "WnR");
        }
    }
}

static void test_permissions(void)
{
    code_returning(big + 0x80, 0x55);
    for (enum kind k = BLOCK1G; k < KINDS; k++) {
        struct matrix m = {.name = kind_names[k]};
        for (unsigned bits = 0; bits < 32; bits++) {
            struct rights r = {bits & 1, bits & 2, bits & 4, bits & 8, bits & 16};
            map(k,
                (r.user ? LD_AP1 : 0) | (r.ro ? LD_AP2 : 0) | (r.xn ? LD_XN : 0) |
                    (r.pxn ? LD_PXN : 0) | (r.af ? LD_AF : 0),
                0, 0);
            check(&m, k, &r, bits);
        }
        tap_ok(m.bad == 0, "permission matrix: %s", kind_names[k]);
        tap_diag("%u cases, %u wrong", m.cases, m.bad);
    }
}

/* APTable, XNTable and PXNTable of both levels only take rights away. */
static void test_hierarchical(void)
{
    struct matrix m = {.name = "hierarchical permissions"};
    for (unsigned t1 = 0; t1 < 16; t1++) {
        for (unsigned t2 = 0; t2 < 16; t2 += t1 ? 5 : 1) {
            for (unsigned k = BLOCK2M; k < KINDS; k++) {
                uint64_t b1 = (t1 & 1 ? LD_APTABLE(1) : 0) | (t1 & 2 ? LD_APTABLE(2) : 0) |
                              (t1 & 4 ? LD_XNTABLE : 0) | (t1 & 8 ? LD_PXNTABLE : 0);
                uint64_t b2 = (t2 & 1 ? LD_APTABLE(1) : 0) | (t2 & 2 ? LD_APTABLE(2) : 0) |
                              (t2 & 4 ? LD_XNTABLE : 0) | (t2 & 8 ? LD_PXNTABLE : 0);
                unsigned all = k == PAGE4K ? t1 | t2 : t1;
                struct rights r = {!(all & 1), all & 2, all & 4, all & 8, true};
                map(k, LD_AP1 | LD_AF, b1, b2);
                check(&m, k, &r, t1 << 8 | t2 << 4 | k);
            }
        }
    }
    matrix_end(&m);
}

/*
 * SCTLR.WXN: writable is never executable; UWXN: user-writable is not privileged-executable.  Our
 * own text must be read-only for that: RAM in 2 MiB blocks, the image in pages.
 */
extern char __text_end[];

static void map_ram_wxn(uint64_t *r2, uint64_t *r3)
{
    uint32_t image = (uint32_t)__text_end & ~0x1fffffu;
    for (uint32_t i = 0; i < 512; i++) {
        r2[i] = (RAM_BASE + (i << 21)) | LD_BLOCK | LD_NORMAL | LD_AP1;
        uint32_t pa = image + (i << 12);
        r3[i] = pa | LD_PAGE | LD_NORMAL | LD_AP1 | (pa < (uint32_t)__text_end ? LD_AP2 : 0);
    }
    r2[(image - RAM_BASE) >> 21] = (uint32_t)r3 | LD_TABLE;
    dsb();
}

static void test_wxn(void)
{
    struct matrix m = {.name = "SCTLR.WXN and UWXN"};
    uint32_t sctlr = read_sctlr();
    uint64_t *r2 = mem_alloc(PAGE_SIZE, PAGE_SIZE), *r3 = mem_alloc(PAGE_SIZE, PAGE_SIZE),
             own = l1[1];
    map_ram_wxn(r2, r3);
    pte_set64(&l1[1], (uint32_t)r2 | LD_TABLE);
    tlb_flush_all();
    for (unsigned which = 0; which < 3; which++) {
        for (unsigned bits = 0; bits < 4; bits++) {
            bool user = bits & 1, ro = bits & 2;
            map(PAGE4K, LD_AF | (user ? LD_AP1 : 0) | (ro ? LD_AP2 : 0), 0, 0);
            write_sctlr(sctlr | (which == 1 ? SCTLR_WXN : which == 2 ? SCTLR_UWXN : 0));
            isb();
            tlb_flush_all();
            for (unsigned u = 0; u < 2; u++) {
                bool no = (u && !user) || (which == 1 && !ro) || (which == 2 && !u && user && !ro);
                enum trap_kind got = probe(ACC_EXEC, u, VA + 0x80, 0);
                uint32_t st = got == TRAP_NONE ? 0 : ST(this_cpu()->trap.ifsr);
                case_eq(&m, st, no ? ST_PERM(3) : 0, "control %u bits %u user %u", which, bits, u);
            }
        }
    }
    write_sctlr(sctlr);
    isb();
    pte_set64(&l1[1], own);
    tlb_flush_all();
    matrix_end(&m);
}

/* T0SZ, T1SZ: which table serves an address, the hole between them, EPD. */
static void test_split(void)
{
    uint64_t *t0 = mem_alloc(PAGE_SIZE, PAGE_SIZE), *t1 = mem_alloc(PAGE_SIZE, PAGE_SIZE);
    uint64_t *t1l2 = mem_alloc(PAGE_SIZE, PAGE_SIZE);
    struct trap *t = &this_cpu()->trap;
    map(BLOCK2M, LD_AF | LD_AP1, 0, 0);
    struct matrix m = {.name = "T0SZ = 1, T1SZ = 0: TTBR1 above 2 GiB"};
    flat_long(t0);
    memset(t1, 0, 32);
    t1[2] = l1[2];
    store32((uint32_t)big + 32, 0xabcd);
    mmu_switch((uint32_t)t0, (uint32_t)t1, TTBCR_LONG | 1);
    case_eq(&m, probe(ACC_READ, true, VA + 32, 0), TRAP_NONE, "read");
    case_eq(&m, this_cpu()->result, 0xabcd, "value");
    case_eq(&m, probe(ACC_READ, true, 0xc0000000, 0), TRAP_DABT, "empty");
    case_eq(&m, ST(t->dfsr), ST_TRANS(1), "status");
    matrix_end(&m);

    m = (struct matrix){.name =
                            "T0SZ = 0, T1SZ = 2: TTBR1 for the last GiB, walk starts at level 2"};
    memset(t1l2, 0, PAGE_SIZE);
    t1l2[5] = (uint32_t)big | LD_BLOCK | LD_NORMAL | LD_AP1;
    mmu_switch((uint32_t)t0, (uint32_t)t1l2, TTBCR_LONG | 2u << 16);
    case_eq(&m, probe(ACC_READ, true, 0xc0000000 + (5 << 21) + 32, 0), TRAP_NONE, "read");
    case_eq(&m, this_cpu()->result, 0xabcd, "value");
    case_eq(&m, probe(ACC_READ, false, 0xc0000000 + (4 << 21), 0), TRAP_DABT, "empty");
    case_eq(&m, ST(t->dfsr), ST_TRANS(2), "status");
    case_eq(&m, probe(ACC_READ, false, VA, 0), TRAP_DABT, "TTBR0 part");
    case_eq(&m, ST(t->dfsr), ST_TRANS(1), "TTBR0 status");
    matrix_end(&m);

    m = (struct matrix){.name = "T0SZ = 1, T1SZ = 2: nothing between the two ranges"};
    mmu_switch((uint32_t)t0, (uint32_t)t1l2, TTBCR_LONG | 2u << 16 | 1);
    case_eq(&m, probe(ACC_READ, true, 0xc0000000 + (5 << 21) + 32, 0), TRAP_NONE, "read");
    case_eq(&m, probe(ACC_READ, false, 0x80000000, 0), TRAP_DABT, "first byte of the hole");
    case_eq(&m, ST(t->dfsr), ST_TRANS(1), "status");
    case_eq(&m, probe(ACC_READ, false, 0xbffffffc, 0), TRAP_DABT, "last word of the hole");
    case_eq(&m, ST(t->dfsr), ST_TRANS(1), "status");
    matrix_end(&m);

    m = (struct matrix){.name = "EPD1: walks through TTBR1 fault"};
    mmu_switch((uint32_t)t0, (uint32_t)t1l2, TTBCR_LONG | 2u << 16 | 1u << 23);
    case_eq(&m, probe(ACC_READ, false, 0xc0000000 + (5 << 21), 0), TRAP_DABT, "read");
    case_eq(&m, ST(t->dfsr), ST_TRANS(1), "status");
    matrix_end(&m);

    m = (struct matrix){.name = "T0SZ = 7: a small level 2 table"};
    /* TTBR0 serves 0-32 MiB with 16 entries; our code is reached through TTBR1 */
    uint64_t *small = mem_alloc(128, 128);
    memset(small, 0, 128);
    small[15] = (uint32_t)big | LD_BLOCK | LD_NORMAL | LD_AP1;
    flat_long(t1);
    mmu_switch((uint32_t)small, (uint32_t)t1, TTBCR_LONG | 7);
    case_eq(&m, probe(ACC_READ, true, (15 << 21) + 32, 0), TRAP_NONE, "last entry");
    case_eq(&m, this_cpu()->result, 0xabcd, "value");
    case_eq(&m, probe(ACC_READ, false, (14 << 21) + 32, 0), TRAP_DABT, "empty entry");
    case_eq(&m, ST(t->dfsr), ST_TRANS(2), "status");
    matrix_end(&m);
    mmu_switch((uint32_t)l1, 0, TTBCR_LONG);
}

static void test_ats(void)
{
    struct matrix m = {.name = "ATS1C* with the 64-bit PAR"};
    for (enum kind k = BLOCK1G; k < KINDS; k++) {
        for (unsigned bits = 0; bits < 8; bits++) {
            struct rights r = {bits & 1, bits & 2, false, false, bits & 4};
            map(k, (r.user ? LD_AP1 : 0) | (r.ro ? LD_AP2 : 0) | (r.af ? LD_AF : 0), 0, 0);
            for (unsigned op = 0; op < 4; op++) {
                uint32_t off = k == PAGE4K ? 0xabc : 0x13abc, va = va_of(k, off);
                switch (op) {
                case 0:
                    do_ats1cpr(va);
                    break;
                case 1:
                    do_ats1cpw(va);
                    break;
                case 2:
                    do_ats1cur(va);
                    break;
                default:
                    do_ats1cuw(va);
                }
                isb();
                uint64_t par = read_par_64();
                uint32_t want = expected(k, &r, op & 1 ? ACC_WRITE : ACC_READ, op >= 2);
                case_eq(&m, (uint32_t)par & 1, want != 0, "%s bits %u op %u F", kind_names[k], bits,
                        op);
                case_eq(&m, (uint32_t)par >> 11 & 1, 1, "LPAE bit");
                if (want) {
                    case_eq(&m, (uint32_t)par >> 1 & 0x3f, want, "%s bits %u op %u FST",
                            kind_names[k], bits, op);
                } else {
                    case_eq(&m, (uint32_t)par & 0xfffff000, ((uint32_t)big + off) & 0xfffff000,
                            "PA");
                    case_eq(&m, (uint32_t)(par >> 32) & 0xff, 0, "PA[39:32]");
                    case_eq(&m, (uint32_t)(par >> 56), 0xff, "ATTR");
                    case_eq(&m, (uint32_t)par >> 7 & 3, 3, "SH");
                }
            }
        }
    }
    matrix_end(&m);
}

/* The ASID is in TTBR0[55:48], or in TTBR1 with TTBCR.A1; switching needs no TLB maintenance. */
static void test_asid(void)
{
    struct matrix m = {.name = "ASID in the TTBRs"};
    uint64_t *ta[4];
    for (unsigned i = 0; i < 4; i++) {
        uint64_t *x1 = mem_alloc(PAGE_SIZE, PAGE_SIZE), *x2 = mem_alloc(PAGE_SIZE, PAGE_SIZE);
        flat_long(x1);
        x1[2] = (uint32_t)x2 | LD_TABLE;
        uint64_t *x3 = mem_alloc(PAGE_SIZE, PAGE_SIZE);
        x2[0] = (uint32_t)x3 | LD_TABLE;
        x3[0] = ((uint32_t)big + i * PAGE_SIZE) | LD_PAGE | LD_NORMAL | LD_AP1 | LD_NG;
        code_returning(big + i * PAGE_SIZE, (uint16_t)(0x40 + i));
        store32((uint32_t)big + i * PAGE_SIZE + 16, i);
        ta[i] = x1;
    }
    for (unsigned a1 = 0; a1 < 2; a1++) {
        mmu_switch((uint32_t)l1, 0, TTBCR_LONG | a1 << 22);
        for (unsigned round = 0; round < 40; round++) {
            unsigned i = round * 7 % 4;
            uint64_t asid = (uint64_t)(10 + i) << 48;
            if (a1) {
                /* via the reserved table so that no walk mixes ASID and tables */
                write_ttbr0_64((uint32_t)l1);
                isb();
                write_ttbr1_64(asid);
                isb();
                write_ttbr0_64((uint32_t)ta[i]);
            } else {
                write_ttbr0_64((uint32_t)ta[i] | asid);
            }
            isb();
            case_eq(&m, probe(ACC_READ, round & 1, VA + 16, 0), TRAP_NONE, "read");
            case_eq(&m, this_cpu()->result, i, "value, A1 %u round %u", a1, round);
            case_eq(&m, probe(ACC_EXEC, round & 1, VA, 0), TRAP_NONE, "exec");
            case_eq(&m, this_cpu()->result, 0x40 + i, "code, A1 %u round %u", a1, round);
        }
    }
    mmu_switch((uint32_t)l1, 0, TTBCR_LONG);
    matrix_end(&m);
}

void payload_main(void)
{
    tap_eq(read_id_mmfr0() & 15, 5, "ID_MMFR0 announces LPAE");
    l1 = mem_alloc(PAGE_SIZE, PAGE_SIZE);
    l2 = mem_alloc(PAGE_SIZE, PAGE_SIZE);
    l3 = mem_alloc(PAGE_SIZE, PAGE_SIZE);
    big = mem_alloc(1u << 21, 1u << 21);
    flat_long(l1);
    mmu_switch((uint32_t)l1, 0, TTBCR_LONG);
    tap_eq(read_ttbcr(), TTBCR_LONG, "TTBCR reads back with EAE");
    tap_ok(read_ttbr0_64() == (uint32_t)l1, "64-bit TTBR0 reads back");
    test_formats();
    test_contiguous();
    test_translation_faults();
    test_permissions();
    test_hierarchical();
    test_wxn();
    test_split();
    test_ats();
    test_asid();
    mmu_flat_restore();
    tap_eq(read_ttbcr(), 0, "back to short descriptors");
}
