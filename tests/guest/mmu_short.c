/* SPDX-License-Identifier: MIT */
/*
 * Short-descriptor translation: all entry sizes, faults and their status, access flag, TTBCR
 * splits, the full matrix of permissions and domains, LDRT/STRT, address translation operations,
 * TEX remap. Arm ARM B3.5, B3.7, B3.13.  One CPU; test addresses from 0x80000000 up, nothing else
 * is there.
 */
#include "lib/mmu.h"
#include "lib/probe.h"

const char payload_name[] = "mmu_short";

#define VA  0x80000000u
#define DOM 5u

static uint32_t *l2;
static uint8_t *big; /* 16 MiB, aligned: one supersection */

/* Every entry that covers the test addresses, for one kind of mapping of `big`. */
enum kind { SUPER, SECTION, LARGE, SMALL, KINDS };
static const char *const kind_names[KINDS] = {"supersection", "section", "large page",
                                              "small page"};
static const uint32_t kind_size[KINDS] = {1u << 24, 1u << 20, 1u << 16, 1u << 12};

static void map(enum kind k, unsigned ap, bool xn, bool pxn, unsigned dom, uint32_t extra)
{
    uint32_t pa = (uint32_t)big;
    uint32_t *l1 = &flat_l1[VA >> 20];
    memset(l1, 0, 16 * 4);
    memset(l2, 0, 1024);
    switch (k) {
    case SUPER:
        for (unsigned i = 0; i < 16; i++)
            l1[i] =
                L1_SUPER(pa) | S_NORMAL | S_AP(ap) | (xn ? S_XN : 0) | (pxn ? S_PXN : 0) | extra;
        break;
    case SECTION:
        l1[0] = L1_SECTION(pa) | S_NORMAL | S_AP(ap) | (xn ? S_XN : 0) | (pxn ? S_PXN : 0) |
                S_DOM(dom) | extra;
        break;
    case LARGE:
        l1[0] = L1_TABLE(l2, dom) | (pxn ? 4u : 0);
        for (unsigned i = 0; i < 16; i++)
            l2[i] = L2_LARGE(pa) | LP_NORMAL | P_AP(ap) | (xn ? LP_XN : 0) | extra;
        break;
    default:
        l1[0] = L1_TABLE(l2, dom) | (pxn ? 4u : 0);
        l2[0] = L2_SMALL(pa) | P_NORMAL | P_AP(ap) | (xn ? P_XN : 0) | extra;
    }
    tlb_flush_all();
}

static void test_formats(void)
{
    for (enum kind k = SUPER; k < KINDS; k++) {
        struct matrix m = {.name = kind_names[k]};
        map(k, AP_RW_RW, false, false, DOM, 0);
        uint32_t seed = 0x1234567;
        for (unsigned i = 0; i < 200; i++) {
            uint32_t off = i == 0 ? 0 : i == 1 ? kind_size[k] - 4 : rnd(&seed) & (kind_size[k] - 4);
            store32((uint32_t)big + off, ~off);
            case_eq(&m, probe(ACC_READ, i & 1, VA + off, 0), TRAP_NONE, "read %x", (unsigned)off);
            case_eq(&m, this_cpu()->result, ~off, "value at %x", (unsigned)off);
            case_eq(&m, probe(ACC_WRITE, i & 1, VA + off, off + 7), TRAP_NONE, "write %x",
                    (unsigned)off);
            case_eq(&m, load32((uint32_t)big + off), off + 7, "stored at %x", (unsigned)off);
        }
        case_eq(&m, probe(ACC_READ, false, VA + kind_size[k], 0), TRAP_DABT, "end");
        case_eq(&m, FSR_FS(this_cpu()->trap.dfsr),
                k == SMALL || k == LARGE ? FS_TRANS_PAGE : FS_TRANS_SECTION,
                "fault behind the end");
        code_returning(big + 64, 0x123);
        case_eq(&m, probe(ACC_EXEC, true, VA + 64, 0), TRAP_NONE, "exec");
        case_eq(&m, this_cpu()->result, 0x123, "exec result");
        matrix_end(&m);
    }
}

static void test_translation_faults(void)
{
    struct trap *t = &this_cpu()->trap;
    struct matrix m = {.name = "translation faults"};
    memset(&flat_l1[VA >> 20], 0, 64);
    memset(l2, 0, 1024);
    flat_l1[(VA >> 20) + 1] = L1_TABLE(l2, DOM);
    tlb_flush_all();
    for (unsigned user = 0; user < 2; user++) {
        for (enum access a = ACC_READ; a < ACC_KINDS; a++) {
            if (user && a >= ACC_LDRT)
                continue;
            for (unsigned page = 0; page < 2; page++) {
                uint32_t va = VA + (page << 20) + 0xabc;
                uint32_t fs = page ? FS_TRANS_PAGE : FS_TRANS_SECTION;
                case_eq(&m, probe(a, user, va, 0), a == ACC_EXEC ? TRAP_PABT : TRAP_DABT, "kind");
                case_eq(&m, a == ACC_EXEC ? t->ifar : t->dfar, va, "FAR");
                case_eq(&m, FSR_FS(a == ACC_EXEC ? t->ifsr : t->dfsr), fs, "FS");
                if (a != ACC_EXEC) {
                    case_eq(&m, t->dfsr & FSR_WNR, access_is_write(a) ? FSR_WNR : 0, "WnR");
                    case_eq(&m, t->dfsr & 1u << 9, 0, "LPAE bit");
                }
                if (page && a != ACC_EXEC)
                    case_eq(&m, FSR_DOMAIN(t->dfsr), DOM, "domain");
            }
        }
    }
    matrix_end(&m);
}

/* What the Arm ARM says (B3.7.1, B3.7.3): 0 or the fault status. */
static uint32_t expected(enum kind k, unsigned ap, bool xn, bool pxn, unsigned dacr, enum access a,
                         bool user)
{
    bool page = k >= LARGE;
    bool u = access_is_user(a, user);
    if (dacr == 0)
        return page ? FS_DOMAIN_PAGE : FS_DOMAIN_SECTION;
    if (dacr == 3)
        return 0;
    bool read = u ? ap == 2 || ap == 3 || ap == 6 || ap == 7 : ap != 0;
    bool write = u ? ap == 3 : ap == 1 || ap == 2 || ap == 3;
    bool ok = a == ACC_EXEC ? read && !xn && !(pxn && !u) : access_is_write(a) ? write : read;
    return ok ? 0 : page ? FS_PERM_PAGE : FS_PERM_SECTION;
}

static void check_one(struct matrix *m, enum kind k, unsigned ap, bool xn, bool pxn, unsigned dacr,
                      enum access a, bool user)
{
    struct trap *t = &this_cpu()->trap;
    uint32_t va = VA + 0x80, want = expected(k, ap, xn, pxn, dacr, a, user);
    uint32_t before = load32((uint32_t)big + 0x80);
    enum trap_kind got = probe(a, user, va, before);
    enum trap_kind kind = want == 0 ? TRAP_NONE : a == ACC_EXEC ? TRAP_PABT : TRAP_DABT;
    const char *who = user ? "user" : "priv";
    if (!case_eq(m, got, kind, "ap %u xn %d pxn %d dacr %u %s %s", ap, xn, pxn, dacr, who,
                 access_names[a]))
        return;
    if (kind == TRAP_DABT) {
        case_eq(m, FSR_FS(t->dfsr), want, "ap %u dacr %u %s %s DFSR", ap, dacr, who,
                access_names[a]);
        case_eq(m, t->dfsr & FSR_WNR, access_is_write(a) ? FSR_WNR : 0, "WnR");
        case_eq(m, t->dfar, va, "DFAR");
        if (k != SUPER)
            case_eq(m, FSR_DOMAIN(t->dfsr), DOM, "domain");
    } else if (kind == TRAP_PABT) {
        case_eq(m, FSR_FS(t->ifsr), want, "ap %u xn %d pxn %d dacr %u %s IFSR", ap, xn, pxn, dacr,
                who);
        case_eq(m, t->ifar, va, "IFAR");
    }
}

static void test_permissions(void)
{
    static const unsigned aps[] = {0, 1, 2, 3, 5, 6, 7};
    static const unsigned dacrs[] = {0, 1, 3};
    code_returning(big + 0x80, 0x55);
    for (enum kind k = SUPER; k < KINDS; k++) {
        struct matrix m = {.name = kind_names[k]};
        for (unsigned i = 0; i < ARRAY_SIZE(aps); i++)
            for (unsigned x = 0; x < 4; x++)
                for (unsigned d = 0; d < 3; d++) {
                    unsigned dom = k == SUPER ? 0 : DOM;
                    if (k == SUPER && dacrs[d] == 0)
                        continue; /* its domain is 0, which is ours too */
                    map(k, aps[i], x & 1, x >> 1, dom, 0);
                    write_dacr(dom ? 1 | dacrs[d] << 2 * dom : dacrs[d]);
                    isb();
                    for (enum access a = ACC_READ; a < ACC_KINDS; a++)
                        for (unsigned user = 0; user < 2; user++)
                            if (!user || a < ACC_LDRT)
                                check_one(&m, k, aps[i], x & 1, x >> 1, dacrs[d], a, user);
                    write_dacr(1);
                    isb();
                }
        tap_ok(m.bad == 0, "permission matrix: %s", kind_names[k]);
        tap_diag("%u cases, %u wrong", m.cases, m.bad);
    }
}

/* DACR written between accesses, as software PAN does, with no TLB maintenance. */
static void test_dacr_flips(void)
{
    struct matrix m = {.name = "DACR changes take effect without TLB maintenance"};
    static const unsigned seq[] = {1, 0, 1, 3, 0, 3, 1};
    map(SMALL, AP_RO_RO, false, false, DOM, 0);
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < ARRAY_SIZE(seq); i++)
            for (unsigned user = 0; user < 2; user++)
                for (enum access a = ACC_READ; a <= ACC_EXEC; a++) {
                    write_dacr(1 | seq[i] << 2 * DOM);
                    isb();
                    uint32_t want = expected(SMALL, AP_RO_RO, false, false, seq[i], a, user);
                    enum trap_kind got = probe(a, user, VA + 0x80, load32((uint32_t)big + 0x80));
                    case_eq(&m, got != TRAP_NONE, want != 0, "step %u %s", i, access_names[a]);
                    if (got != TRAP_NONE)
                        case_eq(
                            &m,
                            FSR_FS(a == ACC_EXEC ? this_cpu()->trap.ifsr : this_cpu()->trap.dfsr),
                            want, "step %u status", i);
                }
    write_dacr(1);
    isb();
    matrix_end(&m);
}

/* SCTLR.AFE: AP[0] is the access flag, AP[2:1] the simplified permissions. */
static void test_access_flag(void)
{
    struct trap *t = &this_cpu()->trap;
    struct matrix m = {.name = "access flag (SCTLR.AFE)"},
                  m2 = {.name = "access flag checked before domains"};
    write_sctlr(read_sctlr() | SCTLR_AFE);
    isb();
    tlb_flush_all();
    for (enum kind k = SUPER; k < KINDS; k++) {
        for (unsigned ap = 0; ap < 8; ap++) {
            map(k, ap, false, false, k == SUPER ? 0 : DOM, 0);
            write_dacr(1 | 1u << 2 * DOM);
            isb();
            for (enum access a = ACC_READ; a < ACC_KINDS; a++) {
                for (unsigned user = 0; user < 2; user++) {
                    if (user && a >= ACC_LDRT)
                        continue;
                    bool u = access_is_user(a, user);
                    bool ok = (!u || (ap & 2)) && !(access_is_write(a) && (ap & 4));
                    uint32_t want = !(ap & 1) ? (k >= LARGE ? FS_AF_PAGE : FS_AF_SECTION)
                                    : ok      ? 0
                                              : (k >= LARGE ? FS_PERM_PAGE : FS_PERM_SECTION);
                    enum trap_kind got = probe(a, user, VA + 0x80, load32((uint32_t)big + 0x80));
                    uint32_t fs = got == TRAP_NONE ? 0 : FSR_FS(a == ACC_EXEC ? t->ifsr : t->dfsr);
                    case_eq(&m, fs, want, "%s ap %u %s user %u", kind_names[k], ap, access_names[a],
                            user);
                }
            }
            /* The flag is checked in the walk: before the domain, whatever the domain allows. */
            for (unsigned dom = 0; k != SUPER && !(ap & 1) && dom < 4; dom += 3) {
                write_dacr(1 | dom << 2 * DOM);
                isb();
                case_eq(&m2, probe(ACC_READ, false, VA + 0x80, 0), TRAP_DABT, "ap %u domain %u", ap,
                        dom);
                case_eq(&m2, FSR_FS(t->dfsr), k >= LARGE ? FS_AF_PAGE : FS_AF_SECTION,
                        "FS domain %u", dom);
            }
        }
    }
    write_dacr(1);
    write_sctlr(read_sctlr() & ~SCTLR_AFE);
    isb();
    tlb_flush_all();
    matrix_end(&m);
    matrix_end(&m2);
}

/* TTBCR.N = 1..7: the table of TTBR0 shrinks; the boundary, PD0 and PD1. */
static void test_split(void)
{
    uint32_t *area = mem_alloc(32768, 32768), *t1 = mem_alloc(16384, 16384);
    uint32_t *page = mem_alloc(4 << 20, 1 << 20);
    struct trap *t = &this_cpu()->trap;
    for (unsigned n = 1; n < 8; n++) {
        struct matrix m = {.name = "split"};
        uint32_t edge = 1u << (32 - n);
        /* TTBR0's table starts at a multiple of its own size, not of 16 KiB. */
        uint32_t *t0 = area + 4096 / (1u << n);
        memset(area, 0, 32768);
        memcpy(t0, flat_l1, 16384 >> n);
        memcpy(t1, flat_l1, 16384);
        memset(&t1[0], 0, (edge >> 20) * 4); /* what TTBR0 covers must not be looked for in TTBR1 */
        uint32_t low = edge - (1 << 20), high = n == 2 ? 0xd0000000u : n == 5 ? 0x10000000u : edge;
        t0[low >> 20] = L1_SECTION(page) | S_NORMAL | S_AP(AP_RW_RW);
        t1[high >> 20] = L1_SECTION((uint32_t)page + (1 << 20)) | S_NORMAL | S_AP(AP_RW_RW);
        store32((uint32_t)page + 16, 0x1000 + n);
        store32((uint32_t)page + (1 << 20) + 16, 0x2000 + n);
        mmu_switch((uint32_t)t0 | TTBR_ATTR, (uint32_t)t1 | TTBR_ATTR, n);
        case_eq(&m, probe(ACC_READ, false, low + 16, 0), TRAP_NONE, "low");
        case_eq(&m, this_cpu()->result, 0x1000 + n, "low value");
        case_eq(&m, probe(ACC_READ, true, high + 16, 0), TRAP_NONE, "high");
        case_eq(&m, this_cpu()->result, 0x2000 + n, "high value");
        case_eq(&m, probe(ACC_READ, true, high + (1 << 20), 0), TRAP_DABT, "high fault");
        case_eq(&m, FSR_FS(t->dfsr), FS_TRANS_SECTION, "high FS");
        case_eq(&m, read_ttbcr(), n, "TTBCR");
        /* The half that does not hold our code may be switched off: PD0 or PD1. */
        uint32_t pd = n == 1 ? 1u << 5 : 1u << 4;
        uint32_t off = n == 1 ? high : low;
        mmu_switch((uint32_t)t0 | TTBR_ATTR, (uint32_t)t1 | TTBR_ATTR, n | pd);
        /* Without the Security Extensions the two bits do not exist. */
        bool exists = read_ttbcr() & pd;
        case_eq(&m, probe(ACC_READ, false, off + 16, 0), exists ? TRAP_DABT : TRAP_NONE,
                "walk disabled");
        if (exists)
            case_eq(&m, FSR_FS(t->dfsr), FS_TRANS_SECTION, "walk disabled FS");
        mmu_flat_restore();
        tap_ok(m.bad == 0, "TTBCR.N = %u", n);
    }
}

/* ATS1C*: PAR for every permission and for each kind of entry. */
static void test_ats(void)
{
    static const unsigned aps[] = {0, 1, 2, 3, 5, 6, 7};
    struct matrix m = {.name = "ATS1CPR, ATS1CPW, ATS1CUR, ATS1CUW"};
    for (enum kind k = SUPER; k < KINDS; k++) {
        for (unsigned i = 0; i < ARRAY_SIZE(aps); i++) {
            map(k, aps[i], false, false, k == SUPER ? 0 : DOM, 0);
            write_dacr(1 | 1u << 2 * DOM);
            isb();
            for (unsigned op = 0; op < 4; op++) {
                uint32_t off = kind_size[k] - PAGE_SIZE + 0x124;
                bool user = op >= 2;
                enum access a = op & 1 ? ACC_WRITE : ACC_READ;
                switch (op) {
                case 0:
                    do_ats1cpr(VA + off);
                    break;
                case 1:
                    do_ats1cpw(VA + off);
                    break;
                case 2:
                    do_ats1cur(VA + off);
                    break;
                default:
                    do_ats1cuw(VA + off);
                }
                isb();
                uint32_t par = read_par();
                uint32_t want = expected(k, aps[i], false, false, 1, a, user);
                case_eq(&m, par & 1, want != 0, "%s ap %u op %u F", kind_names[k], aps[i], op);
                if (want)
                    case_eq(&m, par >> 1 & 0x1f, want, "%s ap %u op %u FS", kind_names[k], aps[i],
                            op);
                else if (k == SUPER)
                    case_eq(&m, par & 0xff000002, (uint32_t)big | 2, "PA and SS of a supersection");
                else
                    case_eq(&m, par & 0xfffff002, ((uint32_t)big + off) & ~0xfffu, "%s op %u PA",
                            kind_names[k], op);
            }
        }
    }
    flat_l1[VA >> 20] = 0;
    tlb_flush_all();
    do_ats1cpr(VA);
    isb();
    case_eq(&m, read_par() & 0x3f, FS_TRANS_SECTION << 1 | 1, "unmapped");
    write_dacr(1);
    isb();
    matrix_end(&m);
}

/*
 * With TRE the memory type comes from PRRR and NMRR, chosen by TEX[0], C, B; PAR shows it.  n = 6
 * is implementation defined.
 */
static void test_tex_remap(void)
{
    /* PAR[6:4]: 1 strongly-ordered, 3 device, 0 non-cacheable, 5 WBWA, 6 WT, 7 WB */
    static const uint8_t want[8] = {1, 3, 0, 5, 6, 7, 0, 5};
    struct matrix m = {.name = "TEX remap: accesses"}, m2 = {.name = "TEX remap: type in PAR"};
    uint32_t prrr = read_prrr(), nmrr = read_nmrr();
    write_prrr(0x000a0000u | 1 << 2 | 2 << 4 | 2 << 6 | 2 << 8 | 2 << 10 | 2 << 12 | 2 << 14);
    write_nmrr((1u << 6 | 2u << 8 | 3u << 10 | 1u << 14) * 0x00010001u);
    write_sctlr(read_sctlr() | SCTLR_TRE);
    isb();
    for (unsigned n = 0; n < 8; n++) {
        if (n == 6)
            continue;
        memset(l2, 0, 1024);
        flat_l1[VA >> 20] = L1_TABLE(l2, 0);
        l2[0] = L2_SMALL(big) | P_AP(AP_RW_RW) | P_TEX(n >> 2) | (n & 2 ? P_C : 0) |
                (n & 1 ? P_B : 0) | P_S;
        tlb_flush_all();
        store32((uint32_t)big + 0x80, n + 0x700);
        case_eq(&m, probe(ACC_READ, false, VA + 0x80, 0), TRAP_NONE, "read, n = %u", n);
        case_eq(&m, this_cpu()->result, n + 0x700, "value, n = %u", n);
        do_ats1cpr(VA);
        isb();
        case_eq(&m2, read_par() >> 4 & 7, want[n], "inner attribute, n = %u", n);
    }
    write_sctlr(read_sctlr() & ~SCTLR_TRE);
    write_prrr(prrr);
    write_nmrr(nmrr);
    isb();
    flat_l1[VA >> 20] = 0;
    tlb_flush_all();
    matrix_end(&m);
    matrix_end(&m2);
}

/* A new valid entry where there was a fault needs no TLB maintenance. */
static void test_no_fault_caching(void)
{
    struct matrix m = {.name = "a fault is not cached"};
    memset(l2, 0, 1024);
    flat_l1[VA >> 20] = L1_TABLE(l2, 0);
    tlb_flush_all();
    for (unsigned i = 0; i < 256; i++) {
        uint32_t va = VA + i * PAGE_SIZE;
        case_eq(&m, probe(i & 1 ? ACC_EXEC : ACC_READ, i & 2, va, 0), i & 1 ? TRAP_PABT : TRAP_DABT,
                "before");
        code_returning(big + i * PAGE_SIZE, (uint16_t)i);
        pte_set(&l2[i], L2_SMALL(big + i * PAGE_SIZE) | P_NORMAL | P_AP(AP_RW_RW));
        case_eq(&m, probe(i & 1 ? ACC_EXEC : ACC_READ, i & 2, va, 0), TRAP_NONE, "after");
        case_eq(&m, this_cpu()->result, i & 1 ? i : load32(va), "value");
    }
    flat_l1[VA >> 20] = 0;
    tlb_flush_all();
    matrix_end(&m);
}

static uint32_t with_mmu_off(uint32_t addr)
{
    uint32_t s = read_sctlr();
    dsb();
    write_sctlr(s & ~SCTLR_M);
    isb();
    uint32_t v = load32(addr);
    store32(addr, v + 1);
    dsb();
    write_sctlr(s);
    isb();
    return v;
}

static void test_mmu_off(void)
{
    uint32_t pa = (uint32_t)big + 0x40;
    map(SMALL, AP_RW_RW, false, false, 0, 0);
    /* With the MMU on, the flat address of `big` leads elsewhere; off, it is physical. */
    uint32_t keep = flat_l1[pa >> 20];
    store32(pa, 77);
    store32(pa + (1 << 20), 88);
    pte_set(&flat_l1[pa >> 20],
            L1_SECTION((pa & 0xfff00000) + (1 << 20)) | S_NORMAL | S_AP(AP_RW_RW));
    tlb_flush_all();
    uint32_t mapped = load32(pa), raw = with_mmu_off(pa);
    tap_eq(mapped, 88, "remapped address while the MMU is on");
    tap_eq(raw, 77, "flat address while the MMU is off");
    pte_set(&flat_l1[pa >> 20], keep);
    tlb_flush_all();
    tap_eq(load32(pa), 78, "store with the MMU off went to the physical address");
}

void payload_main(void)
{
    l2 = mem_alloc(1024, 1024);
    big = mem_alloc(1u << 24, 1u << 24);
    write_dacr(1 | 1u << 2 * DOM);
    isb();
    test_formats();
    test_translation_faults();
    write_dacr(1);
    isb();
    test_permissions();
    test_dacr_flips();
    test_access_flag();
    test_split();
    test_ats();
    test_tex_remap();
    test_no_fault_caching();
    test_mmu_off();
}
