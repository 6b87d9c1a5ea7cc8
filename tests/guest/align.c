/* SPDX-License-Identifier: MIT */
/*
 * Unaligned accesses, alignment faults and big-endian data: which accesses may be unaligned with
 * SCTLR.A clear, which never, what Device memory and a disabled MMU change, priority over MMU
 * faults; SETEND BE for every access size.  Arm ARM A3.2, A3.3, B3.12.  One CPU.
 */
#include "lib/mmu.h"
#include "lib/snip.h"
#include "lib/vfp.h"

const char payload_name[] = "align";

#define VA 0x80000000u
static uint32_t *l2;
static uint8_t *phys;

/* name, text; r0 is the address, r1.. data */
#define FREE(X) /* may be unaligned when SCTLR.A is clear: name, text, size */ \
    X(f_ldr, "ldr r1, [r0]", 4)                                                \
    X(f_str, "str r1, [r0]", 4)                                                \
    X(f_ldrh, "ldrh r1, [r0]", 2)                                              \
    X(f_ldrsh, "ldrsh r1, [r0]", 2)                                            \
    X(f_strh, "strh r1, [r0]", 2)                                              \
    X(f_vld1_16, "vld1.16 {d0}, [r0]", 2)                                      \
    X(f_vld1_32, "vld1.32 {d0}, [r0]", 4)                                      \
    X(f_vld1_64, "vld1.64 {d0}, [r0]", 8)                                      \
    X(f_vst1_32, "vst1.32 {d0}, [r0]", 4)                                      \
    X(f_vld2_16, "vld2.16 {d0,d1}, [r0]", 2)
#define STRICT(X) /* always checked: name, text, alignment */ \
    X(s_ldm, "ldm r0, {r1-r4}", 4)                            \
    X(s_stm, "stm r0, {r1-r4}", 4)                            \
    X(s_ldmdb, "ldmdb r0, {r1-r4}", 4)                        \
    X(s_ldrd, "ldrd r2, r3, [r0]", 4)                         \
    X(s_strd, "strd r2, r3, [r0]", 4)                         \
    X(s_vldr, "vldr d0, [r0]", 4)                             \
    X(s_vldr_s, "vldr s0, [r0]", 4)                           \
    X(s_vstr, "vstr d0, [r0]", 4)                             \
    X(s_vldm, "vldm r0, {d0-d3}", 4)                          \
    X(s_vstm, "vstm r0, {d0-d3}", 4)                          \
    X(s_vld1a64, "vld1.8 {d0}, [r0:64]", 8)                   \
    X(s_vld1a128, "vld1.8 {d0,d1}, [r0:128]", 16)             \
    X(s_vst1a64, "vst1.8 {d0}, [r0:64]", 8)                   \
    X(s_vld4a128, "vld4.16 {d0-d3}, [r0:128]", 16)            \
    X(s_vld1lane, "vld1.32 {d0[0]}, [r0:32]", 4)
#define EXCLUSIVE(X) /* the same, but not for Device memory */ \
    X(s_ldrex, "ldrex r1, [r0]", 4)                            \
    X(s_ldrexh, "ldrexh r1, [r0]", 2)                          \
    X(s_ldrexd, "ldrexd r2, r3, [r0]", 8)
#define DEF(n, text, size) SNIP(n, text);
FREE(DEF)
STRICT(DEF)
EXCLUSIVE(DEF)
SNIP(s_vld1a256, "vld1.32 {d0-d3}, [r0:256]\n");

struct kase {
    const char *name;
    const char *code[2];
    unsigned size;
};
#define ROW(n, text, size) {#n, {n##_arm, n##_thumb}, size},
static const struct kase freely[] = {FREE(ROW)};
static const struct kase strict[] = {STRICT(ROW) EXCLUSIVE(ROW)};
#define EXCLUSIVES 3 /* at the end */

static const struct kase wide[] = {ROW(s_vld1a256, "", 32)};

static bool is_store(const struct kase *k)
{
    return k->name[2] == 's' || (k->name[2] == 'v' && k->name[3] == 's');
}

static void set_page(uint32_t attr)
{
    l2[0] = attr ? L2_SMALL(phys) | attr : 0;
    tlb_flush_all();
}

/* Run at addr: want 0 or a fault status. */
static void one(struct matrix *m, const struct kase *k, unsigned thumb, uint32_t mode,
                uint32_t addr, uint32_t want)
{
    struct regs in;
    struct trap *t = &this_cpu()->trap;
    regs_init(&in, mode);
    in.r[0] = addr;
    enum trap_kind kind = snip_run(&in, k->code[thumb]);
    if (!want) {
        case_eq(m, kind, TRAP_SVC, "%s %s +%u kind", k->name, thumb ? "thumb" : "arm",
                (unsigned)addr & 31);
        return;
    }
    if (!case_eq(m, kind, TRAP_DABT, "%s %s +%u kind", k->name, thumb ? "thumb" : "arm",
                 (unsigned)addr & 31))
        return;
    case_eq(m, FSR_FS(t->dfsr), want, "%s +%u DFSR", k->name, (unsigned)addr & 31);
    case_eq(m, t->dfsr & FSR_WNR, is_store(k) ? FSR_WNR : 0, "%s WnR", k->name);
    case_eq(m, regs_diff(&in, &t->regs), 0, "%s registers", k->name);
    case_eq(m, t->regs.pc, (uint32_t)k->code[thumb] & ~1u, "%s address", k->name);
    if (k->name[2] == 'l' && k->name[4] == 'm' && k->name[5])
        return; /* LDMDB starts below its base */
    case_eq(m, t->dfar, addr, "%s DFAR", k->name);
}

static void run_set(const char *name, const struct kase *list, unsigned n, uint32_t page,
                    bool a_bit, bool all_fault)
{
    struct matrix m = {.name = name};
    set_page(page);
    if (a_bit)
        write_sctlr(read_sctlr() | SCTLR_A);
    isb();
    for (unsigned i = 0; i < n; i++) {
        for (unsigned off = 0; off<32; off += list[i].size> 8 ? 4 : 1) {
            uint32_t want = all_fault && off % list[i].size ? FS_ALIGN : 0;
            tlb_flush_all(); /* the first of the four finds nothing cached */
            for (unsigned thumb = 0; thumb < 2; thumb++) {
                one(&m, &list[i], thumb, MODE_SYS, VA + 64 + off, want);
                one(&m, &list[i], thumb, MODE_USR, VA + 64 + off, want);
            }
        }
    }
    write_sctlr(read_sctlr() & ~SCTLR_A);
    isb();
    matrix_end(&m);
}

/* Alignment faults come before translation and permission faults. */
static void test_priority(void)
{
    struct matrix m = {.name = "alignment faults come before MMU faults"};
    set_page(0);
    for (unsigned i = 0; i < ARRAY_SIZE(strict); i++)
        one(&m, &strict[i], i & 1, MODE_USR, VA + 64 + 1, FS_ALIGN);
    for (unsigned i = 0; i < ARRAY_SIZE(strict); i++)
        if (strict[i].size <= 4) /* aligned for its kind */
            one(&m, &strict[i], i & 1, MODE_USR, VA + 64, FS_TRANS_PAGE);
    write_sctlr(read_sctlr() | SCTLR_A);
    isb();
    for (unsigned i = 0; i < 5; i++)
        one(&m, &freely[i], i & 1, MODE_SYS, VA + 64 + 1, FS_ALIGN);
    write_sctlr(read_sctlr() & ~SCTLR_A);
    isb();
    matrix_end(&m);
}

/* Values of unaligned loads and stores at all 64 offsets around a cache line and a page edge. */
static void test_values(void)
{
    struct matrix m = {.name = "unaligned loads and stores move the right bytes"};
    struct regs in;
    l2[0] = L2_SMALL(phys) | P_NORMAL | P_AP(AP_RW_RW);
    l2[1] = L2_SMALL(phys + 2 * PAGE_SIZE) | P_NORMAL | P_AP(AP_RW_RW); /* not contiguous */
    tlb_flush_all();
    for (unsigned off = 0; off < 64; off++) {
        uint32_t va = VA + PAGE_SIZE - 32 + off;
        for (unsigned i = 0; i < 3 * PAGE_SIZE; i++)
            if (i < 64 || (i > PAGE_SIZE - 64 && i < PAGE_SIZE) ||
                (i >= 2 * PAGE_SIZE && i < 2 * PAGE_SIZE + 64))
                phys[i] = (uint8_t)(i * 7 + 3);
#define BYTE(a) \
    (*(volatile uint8_t *)((a) < VA + PAGE_SIZE ? phys + ((a)-VA) : phys + PAGE_SIZE + ((a)-VA)))
        for (unsigned k = 0; k < 4; k++) {
            static const char *const code[4][2] = {{f_ldr_arm, f_ldr_thumb},
                                                   {f_ldrh_arm, f_ldrh_thumb},
                                                   {f_ldrsh_arm, f_ldrsh_thumb},
                                                   {f_str_arm, f_str_thumb}};
            uint32_t want = 0;
            for (unsigned b = 0; b < (k == 0 ? 4u : 2u); b++)
                want |= (uint32_t)BYTE(va + b) << 8 * b;
            if (k == 2)
                want = (uint32_t)(int16_t)want;
            regs_init(&in, MODE_USR);
            in.r[0] = va;
            in.r[1] = 0xa1b2c3d4;
            case_eq(&m, snip_run(&in, code[k][off & 1]), TRAP_SVC, "kind");
            if (k < 3) {
                case_eq(&m, this_cpu()->trap.regs.r[1], want, "load %u at +%u", k, off);
            } else {
                for (unsigned b = 0; b < 4; b++)
                    case_eq(&m, BYTE(va + b), 0xa1b2c3d4 >> 8 * b & 255, "store at +%u byte %u",
                            off, b);
            }
        }
    }
    l2[1] = 0;
    matrix_end(&m);
}

/* --- big-endian data --- */
#define BE_LOADS(X) /* name, text, want r2, want r3; memory holds 01 02 03 .. 10 */            \
    X(be_ldr, "ldr r2, [r0]", 0x01020304, 0)                                                   \
    X(be_ldr_u, "ldr r2, [r0, #1]", 0x02030405, 0)                                             \
    X(be_ldrh, "ldrh r2, [r0, #2]", 0x0304, 0)                                                 \
    X(be_ldrsh, "ldrsh r2, [r0, #6]", 0x0708, 0)                                               \
    X(be_ldrb, "ldrb r2, [r0, #3]", 0x04, 0)                                                   \
    X(be_ldrd, "ldrd r2, r3, [r0]", 0x01020304, 0x05060708)                                    \
    X(be_ldm, "ldm r0, {r2, r3}", 0x01020304, 0x05060708)                                      \
    X(be_ldrex, "ldrex r2, [r0]", 0x01020304, 0)                                               \
    X(be_ldrexh, "ldrexh r2, [r0]", 0x0102, 0)                                                 \
    X(be_ldrexd, "ldrexd r2, r3, [r0]", 0x01020304, 0x05060708)                                \
    X(be_vldr_s, "vldr s4, [r0]\n vmov r2, s4", 0x01020304, 0)                                 \
    X(be_vldr_d, "vldr d2, [r0]\n vmov r2, r3, d2", 0x05060708, 0x01020304)                    \
    X(be_vldm_d, "vldm r0, {d2}\n vmov r2, r3, d2", 0x05060708, 0x01020304)                    \
    X(be_vldm_s, "vldm r0, {s4,s5}\n vmov r2, r3, d2", 0x01020304, 0x05060708)                 \
    X(be_vld1_8, "vld1.8 {d2}, [r0]\n vmov r2, r3, d2", 0x04030201, 0x08070605)                \
    X(be_vld1_16, "vld1.16 {d2}, [r0]\n vmov r2, r3, d2", 0x03040102, 0x07080506)              \
    X(be_vld1_32, "vld1.32 {d2}, [r0]\n vmov r2, r3, d2", 0x01020304, 0x05060708)              \
    X(be_vld1_64, "vld1.64 {d2}, [r0]\n vmov r2, r3, d2", 0x05060708, 0x01020304)              \
    X(be_vld2_16, "vld2.16 {d2,d3}, [r0]\n vmov r2, s4\n vmov r3, s6", 0x05060102, 0x07080304) \
    X(be_vld1_lane, "vmov.i8 d2, #0\n vld1.16 {d2[1]}, [r0]\n vmov r2, r3, d2", 0x01020000, 0) \
    X(be_vld1_dup, "vld1.16 {d2[]}, [r0]\n vmov r2, r3, d2", 0x01020102, 0x01020102)
#define BE_STORES(                                                                           \
    X) /* name, text, bytes as words read little-endian; r2 = 0x11223344, r3 = 0x55667788 */ \
    X(be_str, "str r2, [r0]", 0x44332211, 0)                                                 \
    X(be_strh, "strh r2, [r0]", 0x4433, 0)                                                   \
    X(be_strb, "strb r2, [r0]", 0x44, 0)                                                     \
    X(be_strd, "strd r2, r3, [r0]", 0x44332211, 0x88776655)                                  \
    X(be_stm, "stm r0, {r2, r3}", 0x44332211, 0x88776655)                                    \
    X(be_strex, "ldrex r4, [r0]\n strex r4, r2, [r0]", 0x44332211, 0)                        \
    X(be_strexd, "ldrexd r4, r5, [r0]\n strexd r6, r2, r3, [r0]", 0x44332211, 0x88776655)    \
    X(be_vstr_s, "vmov s4, r2\n vstr s4, [r0]", 0x44332211, 0)                               \
    X(be_vstr_d, "vmov d2, r2, r3\n vstr d2, [r0]", 0x88776655, 0x44332211)                  \
    X(be_vstm_d, "vmov d2, r2, r3\n vstm r0, {d2}", 0x88776655, 0x44332211)                  \
    X(be_vst1_8, "vmov d2, r2, r3\n vst1.8 {d2}, [r0]", 0x11223344, 0x55667788)              \
    X(be_vst1_16, "vmov d2, r2, r3\n vst1.16 {d2}, [r0]", 0x22114433, 0x66558877)            \
    X(be_vst1_32, "vmov d2, r2, r3\n vst1.32 {d2}, [r0]", 0x44332211, 0x88776655)            \
    X(be_vst1_64, "vmov d2, r2, r3\n vst1.64 {d2}, [r0]", 0x88776655, 0x44332211)
#define DEF_BE(n, text, a, b) SNIP(n, "setend be\n" text "\n setend le\n");
BE_LOADS(DEF_BE)
BE_STORES(DEF_BE)

struct be_case {
    const char *name;
    const char *code[2];
    uint32_t a, b;
};
#define ROW_BE(n, text, a, b) {#n, {n##_arm, n##_thumb}, a, b},
static const struct be_case be_loads[] = {BE_LOADS(ROW_BE)};
static const struct be_case be_stores[] = {BE_STORES(ROW_BE)};

static void test_big_endian(void)
{
    struct regs in;
    set_page(P_NORMAL | P_AP(AP_RW_RW));
    for (unsigned i = 0; i < ARRAY_SIZE(be_loads); i++) {
        struct matrix m = {.name = be_loads[i].name};
        for (unsigned k = 0; k < 4; k++) {
            for (unsigned b = 0; b < 16; b++)
                phys[64 + b] = (uint8_t)(b + 1);
            regs_init(&in, k & 2 ? MODE_USR : MODE_SYS);
            in.r[0] = VA + 64;
            in.r[3] = 0;
            case_eq(&m, snip_run(&in, be_loads[i].code[k & 1]), TRAP_SVC, "kind");
            case_eq(&m, this_cpu()->trap.regs.r[2], be_loads[i].a, "first");
            case_eq(&m, this_cpu()->trap.regs.r[3], be_loads[i].b, "second");
        }
        matrix_end(&m);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(be_stores); i++) {
        struct matrix m = {.name = be_stores[i].name};
        for (unsigned k = 0; k < 4; k++) {
            memset(phys + 64, 0, 16);
            regs_init(&in, k & 2 ? MODE_USR : MODE_SYS);
            in.r[0] = VA + 64;
            in.r[2] = 0x11223344;
            in.r[3] = 0x55667788;
            case_eq(&m, snip_run(&in, be_stores[i].code[k & 1]), TRAP_SVC, "kind");
            case_eq(&m, load32((uint32_t)phys + 64), be_stores[i].a, "first");
            case_eq(&m, load32((uint32_t)phys + 68), be_stores[i].b, "second");
        }
        matrix_end(&m);
    }
}

/* With the MMU off all data is Strongly-ordered: unaligned accesses fault. */
static void test_mmu_off(void)
{
    struct matrix m = {.name = "unaligned accesses fault with the MMU off"};
    struct regs in;
    uint32_t s = read_sctlr();
    dsb();
    write_sctlr(s & ~SCTLR_M);
    isb();
    for (unsigned i = 0; i < 5; i++) {
        regs_init(&in, MODE_SYS);
        in.r[0] = (uint32_t)phys + 65;
        case_eq(&m, snip_run(&in, freely[i].code[i & 1]), TRAP_DABT, "%s", freely[i].name);
        in.r[0] = (uint32_t)phys + 64;
        case_eq(&m, snip_run(&in, freely[i].code[i & 1]), TRAP_SVC, "%s aligned", freely[i].name);
    }
    dsb();
    write_sctlr(s);
    isb();
    matrix_end(&m);
}

void payload_main(void)
{
    const uint32_t normal = P_NORMAL | P_AP(AP_RW_RW), device = P_DEVICE | P_AP(AP_RW_RW),
                   so = P_AP(AP_RW_RW);
    l2 = mem_alloc(1024, 1024);
    phys = mem_alloc(3 * PAGE_SIZE, PAGE_SIZE);
    flat_l1[VA >> 20] = L1_TABLE(l2, 0);
    tlb_flush_all();
    vfp_enable(true);
    run_set("unaligned accesses to Normal memory work with SCTLR.A clear", freely,
            ARRAY_SIZE(freely), normal, false, false);
    run_set("unaligned accesses fault with SCTLR.A set", freely, ARRAY_SIZE(freely), normal, true,
            true);
    run_set("multiple, dual, exclusive and VFP accesses always check", strict, ARRAY_SIZE(strict),
            normal, false, true);
    run_set("the same with SCTLR.A set", strict, ARRAY_SIZE(strict), normal, true, true);
    run_set("256-bit alignment is checked", wide, 1, normal, false, true);
    run_set("unaligned accesses to Device memory fault", freely, ARRAY_SIZE(freely), device, false,
            true);
    run_set("unaligned accesses to Strongly-ordered memory fault", freely, ARRAY_SIZE(freely), so,
            false, true);
    run_set("words of a multiple, dual or VFP access to Device memory", strict,
            ARRAY_SIZE(strict) - EXCLUSIVES, device, false, true);
    test_priority();
    test_values();
    test_big_endian();
    test_mmu_off();
}
