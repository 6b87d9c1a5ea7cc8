/* SPDX-License-Identifier: MIT */
/*
 * TLB maintenance on one CPU, short descriptors: every TLBI form makes a changed entry visible
 * after DSB and ISB, for global and non-global entries of every size; address spaces switched by
 * CONTEXTIDR and TTBR0.  Only what the Arm ARM guarantees is checked (B3.10): that stale entries
 * are gone, never that untouched ones survive.
 */
#include "lib/mmu.h"
#include "lib/probe.h"

const char payload_name[] = "tlb";

#define VA 0x80000000u
enum { OP_NONE, OP_MVA_ASID, OP_ASID, OP_MVA };
enum { DATA = 1, CODE = 2, BOTH = 3 };

struct form {
    const char *name;
    void (*op)(uint32_t v);
    int operand;
    int covers;
};
static const struct form forms[] = {
    {"TLBIALL", do_tlbiall, OP_NONE, BOTH},       {"TLBIMVA", do_tlbimva, OP_MVA_ASID, BOTH},
    {"TLBIASID", do_tlbiasid, OP_ASID, BOTH},     {"TLBIMVAA", do_tlbimvaa, OP_MVA, BOTH},
    {"TLBIALLIS", do_tlbiallis, OP_NONE, BOTH},   {"TLBIMVAIS", do_tlbimvais, OP_MVA_ASID, BOTH},
    {"TLBIASIDIS", do_tlbiasidis, OP_ASID, BOTH}, {"TLBIMVAAIS", do_tlbimvaais, OP_MVA, BOTH},
    {"ITLBIALL", do_itlbiall, OP_NONE, CODE},     {"ITLBIMVA", do_itlbimva, OP_MVA_ASID, CODE},
    {"ITLBIASID", do_itlbiasid, OP_ASID, CODE},   {"DTLBIALL", do_dtlbiall, OP_NONE, DATA},
    {"DTLBIMVA", do_dtlbimva, OP_MVA_ASID, DATA}, {"DTLBIASID", do_dtlbiasid, OP_ASID, DATA},
};

enum kind { SUPER, SECTION, LARGE, SMALL, KINDS };
static const uint32_t kind_size[KINDS] = {1u << 24, 1u << 20, 1u << 16, 1u << 12};
static uint32_t *l2;
static uint8_t *phys[2]; /* two 16 MiB areas */

/* Write the entries of one mapping without any TLB maintenance. */
static void set_entries(enum kind k, uint32_t pa, bool global)
{
    volatile uint32_t *l1 = &flat_l1[VA >> 20];
    uint32_t ng = global ? 0 : k <= SECTION ? S_NG : P_NG;
    switch (k) {
    case SUPER:
        for (unsigned i = 0; i < 16; i++)
            l1[i] = pa ? L1_SUPER(pa) | S_NORMAL | S_AP(AP_RW_RW) | ng : 0;
        break;
    case SECTION:
        l1[0] = pa ? L1_SECTION(pa) | S_NORMAL | S_AP(AP_RW_RW) | ng : 0;
        break;
    case LARGE:
        for (unsigned i = 0; i < 16; i++)
            l2[i] = pa ? L2_LARGE(pa) | LP_NORMAL | P_AP(AP_RW_RW) | ng : 0;
        l1[0] = L1_TABLE(l2, 0);
        break;
    default:
        l2[0] = pa ? L2_SMALL(pa) | P_NORMAL | P_AP(AP_RW_RW) | ng : 0;
        l1[0] = L1_TABLE(l2, 0);
    }
    dsb();
}

static void clear_region(void)
{
    memset(&flat_l1[VA >> 20], 0, 64);
    memset(l2, 0, 1024);
    tlb_flush_all();
}

static void do_form(const struct form *f, uint32_t va, uint32_t asid)
{
    static const uint32_t junk = 0xdeadbe00;
    uint32_t operand = f->operand == OP_NONE       ? junk
                       : f->operand == OP_ASID     ? asid
                       : f->operand == OP_MVA_ASID ? (va & ~0xfffu) | asid
                                                   : (va & ~0xfffu);
    f->op(operand);
    do_bpiall(0);
    dsb();
    isb();
}

static void expect(struct matrix *m, const struct form *f, uint32_t va, unsigned which, bool user)
{
    if (f->covers & DATA) {
        case_eq(m, probe(ACC_READ, user, va + 16, 0), TRAP_NONE, "%s read", f->name);
        case_eq(m, this_cpu()->result, 0x1000 * (which + 1), "%s value", f->name);
        case_eq(m, probe(ACC_WRITE, user, va + 20, which + 0x77), TRAP_NONE, "%s write", f->name);
    }
    if (f->covers & CODE) {
        case_eq(m, probe(ACC_EXEC, user, va, 0), TRAP_NONE, "%s exec", f->name);
        case_eq(m, this_cpu()->result, which + 1, "%s code", f->name);
    }
}

static void fill(uint32_t off)
{
    for (unsigned i = 0; i < 2; i++) {
        code_returning(phys[i] + off, (uint16_t)(i + 1));
        store32((uint32_t)phys[i] + off + 16, 0x1000 * (i + 1));
    }
}

static void one_form(struct matrix *m, const struct form *f, enum kind k, bool global,
                     uint32_t asid, bool far)
{
    /* Touch at `off`; far: name another page of the same entry in the operation. */
    uint32_t off = kind_size[k] - PAGE_SIZE, named = VA + (far ? kind_size[k] / 2 : off);
    if (global && f->operand == OP_ASID)
        return;
    fill(off);
    for (unsigned step = 0; step < 6; step++) {
        unsigned which = step & 1;
        bool user = step & 2;
        set_entries(k, (uint32_t)phys[which], global);
        /* for a global entry the ASID in the operand does not matter */
        do_form(f, named, global ? (asid + step) & 255 : asid);
        expect(m, f, VA + off, which, user);
    }
    /* unmapping, then mapping again without maintenance */
    set_entries(k, 0, global);
    do_form(f, named, asid);
    if (f->covers & DATA)
        case_eq(m, probe(ACC_READ, false, VA + off + 16, 0), TRAP_DABT, "%s unmapped read",
                f->name);
    if (f->covers & CODE)
        case_eq(m, probe(ACC_EXEC, true, VA + off, 0), TRAP_PABT, "%s unmapped exec", f->name);
    set_entries(k, (uint32_t)phys[1], global);
    isb();
    expect(m, f, VA + off, 1, true);
    clear_region();
}

static void test_forms(bool far)
{
    for (unsigned i = 0; i < ARRAY_SIZE(forms); i++) {
        if (far && forms[i].operand != OP_MVA && forms[i].operand != OP_MVA_ASID)
            continue;
        struct matrix m = {.name = forms[i].name};
        for (enum kind k = SUPER; k < (far ? SMALL : KINDS); k++) {
            for (unsigned g = 0; g < 2; g++) {
                write_contextidr(17 + i);
                isb();
                one_form(&m, &forms[i], k, g, 17 + i, far);
            }
        }
        write_contextidr(0);
        isb();
        tap_ok(m.bad == 0, "%s%s", forms[i].name, far ? " naming another page of the entry" : "");
        tap_diag("%u cases, %u wrong", m.cases, m.bad);
    }
}

/* The permissions of an entry change, not its address: RW to RO to none and back. */
static void test_permission_change(void)
{
    static const unsigned aps[] = {AP_RW_RW, AP_RO_RO, AP_RW_NA, AP_RW_RO, AP_RO_NA};
    struct matrix m = {.name = "permission changes by TLBIMVA and TLBIMVAIS"};
    for (unsigned round = 0; round < 40; round++) {
        unsigned ap = aps[round * 3 % 5];
        flat_l1[VA >> 20] = L1_TABLE(l2, 0);
        l2[0] = L2_SMALL(phys[0]) | P_NORMAL | P_AP(ap);
        dsb();
        do_form(&forms[round & 1 ? 1 : 5], VA, 0);
        for (unsigned user = 0; user < 2; user++) {
            bool read = !user || ap == AP_RW_RW || ap == AP_RO_RO || ap == AP_RW_RO;
            bool write = user ? ap == AP_RW_RW : ap != AP_RO_RO && ap != AP_RO_NA;
            case_eq(&m, probe(ACC_READ, user, VA + 16, 0) == TRAP_NONE, read, "ap %u user %u read",
                    ap, user);
            case_eq(&m, probe(ACC_WRITE, user, VA + 16, 5) == TRAP_NONE, write,
                    "ap %u user %u write", ap, user);
        }
    }
    clear_region();
    matrix_end(&m);
}

/* A level 1 table entry replaced by a section and by another table. */
static void test_table_change(void)
{
    struct matrix m = {.name = "table replaced by section and by another table"};
    uint32_t *other = mem_alloc(1024, 1024);
    fill(0);
    for (unsigned round = 0; round < 12; round++) {
        unsigned which = round & 1;
        memset(&flat_l1[VA >> 20], 0, 64);
        tlb_flush_all(); /* break before make */
        if (round % 3 == 0) {
            set_entries(SECTION, (uint32_t)phys[which], true);
        } else {
            uint32_t *t = round % 3 == 1 ? l2 : other;
            t[0] = L2_SMALL(phys[which]) | P_NORMAL | P_AP(AP_RW_RW);
            pte_set(&flat_l1[VA >> 20], L1_TABLE(t, 0));
        }
        isb();
        expect(&m, &forms[0], VA, which, round & 2);
    }
    clear_region();
    matrix_end(&m);
}

/* Address spaces with the same virtual address, switched as Linux does it, no TLB maintenance. */
#define SPACES 12
static void test_spaces(void)
{
    struct matrix m = {.name = "address spaces by ASID"};
    uint32_t *tabs[SPACES];
    for (unsigned i = 0; i < SPACES; i++) {
        uint32_t *t = tabs[i] = mem_alloc(16384, 16384), *p = mem_alloc(1024, 1024);
        memcpy(t, flat_l1, 16384);
        t[VA >> 20] = L1_TABLE(p, 0);
        p[1] = L2_SMALL(phys[0] + i * PAGE_SIZE) | P_NORMAL | P_AP(AP_RW_RW) | P_NG;
        /* some spaces map a page that others do not */
        if (i & 1)
            p[2] = L2_SMALL(phys[0]) | P_NORMAL | P_AP(AP_RO_RO) | P_NG;
        code_returning(phys[0] + i * PAGE_SIZE, (uint16_t)(0x100 + i));
        store32((uint32_t)phys[0] + i * PAGE_SIZE + 16, i);
    }
    uint32_t seed = 99;
    for (unsigned round = 0; round < 600; round++) {
        unsigned i = rnd(&seed) % SPACES;
        write_ttbr0((uint32_t)flat_l1 | TTBR_ATTR);
        isb();
        write_contextidr(0x123400 | (i + 1));
        isb();
        write_ttbr0((uint32_t)tabs[i] | TTBR_ATTR);
        isb();
        bool user = round & 1;
        case_eq(&m, probe(ACC_READ, user, VA + PAGE_SIZE + 16, 0), TRAP_NONE, "read");
        case_eq(&m, this_cpu()->result, i, "round %u value", round);
        case_eq(&m, probe(ACC_EXEC, user, VA + PAGE_SIZE, 0), TRAP_NONE, "exec");
        case_eq(&m, this_cpu()->result, 0x100 + i, "round %u code", round);
        case_eq(&m, probe(ACC_READ, user, VA + 2 * PAGE_SIZE, 0), i & 1 ? TRAP_NONE : TRAP_DABT,
                "private page");
        case_eq(&m, probe(ACC_WRITE, user, VA + 2 * PAGE_SIZE, 0), TRAP_DABT, "read-only page");
        if (round % 50 == 49) { /* remap one page of an address space that is not running */
            unsigned j = (i + 1) % SPACES;
            uint32_t *p = (uint32_t *)(tabs[j][VA >> 20] & ~1023u);
            p[3] = L2_SMALL(phys[0] + (round % 7) * PAGE_SIZE) | P_NORMAL | P_AP(AP_RW_RW) | P_NG;
            dsb();
            do_tlbimva((VA + 3 * PAGE_SIZE) | (j + 1));
            dsb();
            isb();
            write_ttbr0((uint32_t)flat_l1 | TTBR_ATTR);
            isb();
            write_contextidr(j + 1);
            isb();
            write_ttbr0((uint32_t)tabs[j] | TTBR_ATTR);
            isb();
            case_eq(&m, probe(ACC_READ, true, VA + 3 * PAGE_SIZE + 16, 0), TRAP_NONE, "remapped");
            case_eq(&m, this_cpu()->result, round % 7, "remapped value");
        }
    }
    mmu_flat_restore();
    matrix_end(&m);
}

/* An ASID is used again for another address space after TLBIASID. */
static void test_asid_reuse(void)
{
    struct matrix m = {.name = "ASID reuse after TLBIASID"};
    flat_l1[VA >> 20] = L1_TABLE(l2, 0);
    memset(l2, 0, 1024);
    tlb_flush_all();
    write_contextidr(200);
    isb();
    for (unsigned round = 0; round < 30; round++) {
        for (unsigned p = 0; p < 64; p++) {
            l2[p] = L2_SMALL(phys[0] + ((p + round) % 64) * PAGE_SIZE) | P_NORMAL | P_AP(AP_RW_RW) |
                    P_NG;
            store32((uint32_t)phys[0] + p * PAGE_SIZE + 32, p);
        }
        dsb();
        do_form(&forms[round & 1 ? 2 : 6], 0, 200);
        for (unsigned p = 0; p < 64; p++)
            case_eq(&m, load32(VA + p * PAGE_SIZE + 32), (p + round) % 64, "page %u", p);
    }
    write_contextidr(0);
    isb();
    clear_region();
    matrix_end(&m);
}

void payload_main(void)
{
    l2 = mem_alloc(1024, 1024);
    phys[0] = mem_alloc(1u << 24, 1u << 24);
    phys[1] = mem_alloc(1u << 24, 1u << 24);
    test_forms(false);
    test_forms(true);
    test_permission_change();
    test_table_change();
    test_spaces();
    test_asid_reuse();
}
