/* SPDX-License-Identifier: MIT */
/*
 * Data aborts in the middle of instructions that access memory more than once: the base register
 * and everything but the destinations is as before, and after the page has been mapped the
 * instruction restarts to the same result as without a fault.  Arm ARM B1.9.8 (effects of
 * data-aborted instructions): only destination registers and already stored words may be unknown.
 * One CPU.
 */
#include "lib/mmu.h"
#include "lib/snip.h"
#include "lib/vfp.h"

const char payload_name[] = "precise";

#define VA   0x80000000u
#define EDGE (VA + PAGE_SIZE)
#define ST   1u /* stores */
#define VFP  2u /* destination in the VFP file */
#define PCL  4u /* loads the PC: memory holds the address of the exit */
#define R(n) (1u << (n))

/* name, text, first byte relative to r0, length, step of the sweep, destinations, flags */
#define CASES(X)                                                              \
    X(ldm_ia, "ldmia r0, {r1-r8}", 0, 32, 4, 0x1fe, 0)                        \
    X(ldm_ia_wb, "ldmia r0!, {r1-r8,r12}", 0, 36, 4, 0x11fe, 0)               \
    X(ldm_db_wb, "ldmdb r0!, {r1-r8,lr}", -36, 36, 4, 0x41fe, 0)              \
    X(ldm_db, "ldmdb r0, {r2,r4,r6,r9}", -16, 16, 4, 0x254, 0)                \
    X(ldm_base_first, "ldmia r0, {r0-r3}", 0, 16, 4, 0xe, 0)                  \
    X(ldm_base_mid, "mov r4, r0\n ldmia r4, {r2-r6}", 0, 20, 4, 0x7c, 0)      \
    X(ldm_pc, "ldmia r0!, {r1-r3,pc}", 0, 16, 4, 0xe, PCL)                    \
    X(stm_ia, "stmia r0, {r1-r8}", 0, 32, 4, 0, ST)                           \
    X(stm_ia_wb, "stmia r0!, {r1-r8,r12}", 0, 36, 4, 0, ST)                   \
    X(stm_db_wb, "stmdb r0!, {r1-r8,lr}", -36, 36, 4, 0, ST)                  \
    X(ldrd, "ldrd r2, r3, [r0]", 0, 8, 4, 0xc, 0)                             \
    X(ldrd_base, "ldrd r0, r1, [r0]", 0, 8, 4, 2, 0)                          \
    X(ldrd_base2, "mov r3, r0\n ldrd r2, r3, [r3]", 0, 8, 4, 0xc, 0)          \
    X(ldrd_pre, "ldrd r2, r3, [r0, #8]!", 8, 8, 4, 0xc, 0)                    \
    X(ldrd_post, "ldrd r2, r3, [r0], #8", 0, 8, 4, 0xc, 0)                    \
    X(strd, "strd r2, r3, [r0]", 0, 8, 4, 0, ST)                              \
    X(strd_pre, "strd r2, r3, [r0, #-8]!", -8, 8, 4, 0, ST)                   \
    X(strd_post, "strd r2, r3, [r0], #16", 0, 8, 4, 0, ST)                    \
    X(ldr_u, "ldr r1, [r0]", 0, 4, 1, 2, 0)                                   \
    X(ldr_pre, "ldr r1, [r0, #4]!", 4, 4, 1, 2, 0)                            \
    X(ldr_post, "ldr r1, [r0], #4", 0, 4, 1, 2, 0)                            \
    X(ldr_self, "ldr r0, [r0]", 0, 4, 1, 0, 0)                                \
    X(str_u, "str r1, [r0]", 0, 4, 1, 0, ST)                                  \
    X(str_pre, "str r1, [r0, #-4]!", -4, 4, 1, 0, ST)                         \
    X(str_post, "str r1, [r0], #-4", 0, 4, 1, 0, ST)                          \
    X(ldrh_u, "ldrh r1, [r0]", 0, 2, 1, 2, 0)                                 \
    X(ldrsh_post, "ldrsh r1, [r0], #2", 0, 2, 1, 2, 0)                        \
    X(strh_pre, "strh r1, [r0, #2]!", 2, 2, 1, 0, ST)                         \
    X(ldr_reg, "mov r2, #8\n ldr r1, [r0, r2]", 8, 4, 1, 2, 0)                \
    X(vldm, "vldmia r0, {d0-d7}", 0, 64, 4, 0, VFP)                           \
    X(vldm_wb, "vldmia r0!, {d8-d15}", 0, 64, 4, 0, VFP)                      \
    X(vldm_db, "vldmdb r0!, {d16-d31}", -128, 128, 4, 0, VFP)                 \
    X(vldm_s, "vldmia r0!, {s1-s7}", 0, 28, 4, 0, VFP)                        \
    X(vstm, "vstmia r0, {d0-d7}", 0, 64, 4, 0, ST)                            \
    X(vstm_db, "vstmdb r0!, {d16-d31}", -128, 128, 4, 0, ST)                  \
    X(vstm_s, "vstmia r0!, {s1-s7}", 0, 28, 4, 0, ST)                         \
    X(vldr_d, "vldr d5, [r0]", 0, 8, 4, 0, VFP)                               \
    X(vstr_d, "vstr d5, [r0]", 0, 8, 4, 0, ST)                                \
    X(vld1_8, "vld1.8 {d0-d3}, [r0]!", 0, 32, 1, 0, VFP)                      \
    X(vld1_64, "vld1.64 {d0-d1}, [r0]", 0, 16, 1, 0, VFP)                     \
    X(vst1_8, "vst1.8 {d0-d3}, [r0]!", 0, 32, 1, 0, ST)                       \
    X(vst1_32, "vst1.32 {d0-d3}, [r0]", 0, 32, 1, 0, ST)                      \
    X(vld2_16, "vld2.16 {d0-d3}, [r0]!", 0, 32, 1, 0, VFP)                    \
    X(vld3_8, "vld3.8 {d0-d2}, [r0]!", 0, 24, 1, 0, VFP)                      \
    X(vld4_32, "vld4.32 {d0,d2,d4,d6}, [r0]!", 0, 32, 1, 0, VFP)              \
    X(vst4_16, "vst4.16 {d0-d3}, [r0]!", 0, 32, 1, 0, ST)                     \
    X(vst3_32, "vst3.32 {d1-d3}, [r0]!", 0, 24, 1, 0, ST)                     \
    X(vld4_lane, "vld4.16 {d0[1],d1[1],d2[1],d3[1]}, [r0]!", 0, 8, 1, 0, VFP) \
    X(vld1_dup, "vld1.32 {d0[]}, [r0]", 0, 4, 1, 0, VFP)                      \
    X(vst2_lane, "vst2.32 {d0[1],d1[1]}, [r0]!", 0, 8, 1, 0, ST)
#define ARM_CASES(X)                                                          \
    X(ldm_ib_wb, "ldmib r0!, {r1-r8}", 4, 32, 4, 0x1fe, 0)                    \
    X(ldm_da_wb, "ldmda r0!, {r1-r8}", -28, 32, 4, 0x1fe, 0)                  \
    X(stm_ib_wb, "stmib r0!, {r1-r8}", 4, 32, 4, 0, ST)                       \
    X(stm_da, "stmda r0, {r1-r8}", -28, 32, 4, 0, ST)                         \
    X(stm_base, ".inst 0xe8a0000f /* stmia r0!, {r0-r3} */", 0, 16, 4, 0, ST) \
    X(ldr_scaled, "mov r2, #4\n ldr r1, [r0, r2, lsl #2]!", 16, 4, 1, 2, 0)   \
    X(ldrt_post, "ldrt r1, [r0], #12", 0, 4, 1, 2, 0)                         \
    X(strt_post, "strt r1, [r0], #12", 0, 4, 1, 0, ST)                        \
    X(ldrht_post, "ldrht r1, [r0], #2", 0, 2, 1, 2, 0)

#define DEF_BOTH(n, text, first, len, step, dest, fl) SNIP(n, text);
#define DEF_ARM(n, text, first, len, step, dest, fl)  SNIP_A(n, text);
CASES(DEF_BOTH)
ARM_CASES(DEF_ARM)
SNIP(leave, "nop\n");

struct kase {
    const char *name, *code;
    int first, len;
    unsigned step;
    uint32_t dest;
    unsigned flags;
};
#define ROW_A(n, text, first, len, step, dest, fl) {#n " arm", n##_arm, first, len, step, dest, fl},
#define ROW_T(n, text, first, len, step, dest, fl) \
    {#n " thumb", n##_thumb, first, len, step, dest, fl},
static const struct kase cases[] = {CASES(ROW_A) ARM_CASES(ROW_A) CASES(ROW_T)};

struct state {
    struct regs regs;
    uint64_t d[32];
    uint8_t mem[2 * PAGE_SIZE];
};

static uint32_t *l2;
static uint8_t *phys; /* two pages, mapped at VA and VA + 4096 */
static struct state ref, got;
static uint64_t d_in[32];

static void map_page(unsigned page, unsigned ap)
{
    l2[page] = ap ? L2_SMALL(phys + page * PAGE_SIZE) | P_NORMAL | P_AP(ap) : 0;
    dsb();
    do_tlbimva(VA + page * PAGE_SIZE);
    dsb();
    isb();
}

static void fill(const struct kase *k)
{
    uint32_t seed = 0xc0ffee, *w = (uint32_t *)phys;
    for (unsigned i = 0; i < 2 * PAGE_SIZE / 4; i++)
        w[i] = k->flags & PCL ? (uint32_t)leave_arm : rnd(&seed);
}

static void run(const struct kase *k, uint32_t base, uint32_t mode, struct state *out)
{
    struct regs in;
    fill(k);
    vfp_load(d_in);
    regs_init(&in, mode);
    in.r[0] = base;
    snip_run(&in, k->code);
    out->regs = this_cpu()->trap.regs;
    vfp_store(out->d);
    memcpy(out->mem, phys + PAGE_SIZE - 256, 512);
}

struct repair {
    unsigned count;
    uint32_t dfar[4], dfsr, missing; /* bit per page */
    struct regs at_fault;
    uint64_t d[32];
    uint8_t mem[512];
};

/* Map the page that is named by DFAR and try again. */
static bool repair_hook(struct cpu *cpu, struct regs *r)
{
    struct repair *rep = cpu->hook_arg;
    if (r->kind != TRAP_DABT || rep->count >= 4)
        return false;
    if (rep->count == 0) {
        rep->at_fault = *r;
        rep->dfsr = read_dfsr();
        vfp_store(rep->d);
        memcpy(rep->mem, phys + PAGE_SIZE - 256, 512);
    }
    uint32_t far = read_dfar();
    rep->dfar[rep->count++] = far;
    if (far - VA >= 2 * PAGE_SIZE)
        return false;
    map_page((far - VA) / PAGE_SIZE, AP_RW_RW);
    return true;
}

/* Snippets may start with instructions that set up registers: where is the access itself? */
static uint32_t access_pc(const struct kase *k)
{
    const uint16_t *h = (const uint16_t *)((uint32_t)k->code & ~1u);
    uint32_t a = (uint32_t)h;
    if (!((uint32_t)k->code & 1)) {
        while (load32(a + 4) != 0xef000052)
            a += 4;
        return a;
    }
    for (uint32_t prev = a;; prev = a) {
        a += (*(uint16_t *)a >> 11) >= 0x1d ? 4 : 2;
        if (*(uint16_t *)a == 0xdf52)
            return prev;
    }
}

static void compare(struct matrix *m, const struct kase *k, int at)
{
    case_eq(m, got.regs.kind, TRAP_SVC, "%s at %d: end", k->name, at);
    case_eq(m, regs_diff(&ref.regs, &got.regs), 0, "%s at %d: registers after restart", k->name,
            at);
    case_eq(m, got.regs.cpsr, ref.regs.cpsr, "%s at %d: CPSR after restart", k->name, at);
    case_eq(m, memcmp(ref.d, got.d, sizeof(ref.d)) != 0, 0, "%s at %d: VFP registers after restart",
            k->name, at);
    case_eq(m, memcmp(ref.mem, got.mem, 512) != 0, 0, "%s at %d: memory after restart", k->name,
            at);
}

static void check_fault(struct matrix *m, const struct kase *k, int at, uint32_t base,
                        uint32_t missing, const struct repair *rep, uint32_t mode)
{
    struct regs in;
    regs_init(&in, mode);
    in.r[0] = base;
    uint32_t pc = access_pc(k), lo = base + (uint32_t)k->first;
    case_eq(m, rep->at_fault.pc, pc, "%s at %d: preferred return address", k->name, at);
    case_eq(m, rep->at_fault.exc_lr, pc + 8, "%s at %d: LR", k->name, at);
    case_eq(m, rep->at_fault.cpsr & ~PSR_T, in.cpsr, "%s at %d: SPSR", k->name, at);
    case_eq(m, FSR_FS(rep->dfsr), FS_TRANS_PAGE, "%s at %d: DFSR", k->name, at);
    case_eq(m, rep->dfsr & FSR_WNR, k->flags & ST ? FSR_WNR : 0, "%s at %d: WnR", k->name, at);
    case_eq(m, rep->dfar[0] - lo < (uint32_t)k->len, 1, "%s at %d: DFAR %x in the access", k->name,
            at, (unsigned)rep->dfar[0]);
    case_eq(m, missing >> ((rep->dfar[0] - VA) / PAGE_SIZE & 31) & 1, 1,
            "%s at %d: DFAR in a missing page", k->name, at);
    /* set-up instructions before the access change their registers only */
    uint32_t setup = pc != ((uint32_t)k->code & ~1u) ? R(2) | R(3) | R(4) : 0;
    case_eq(m, regs_diff(&in, &rep->at_fault) & ~k->dest & ~setup, 0,
            "%s at %d: registers at the fault", k->name, at);
    if (!(k->flags & VFP))
        case_eq(m, memcmp(d_in, rep->d, sizeof(d_in)) != 0, 0, "%s at %d: VFP at the fault",
                k->name, at);
    /* memory: outside of the access nothing, in a missing page nothing */
    const uint8_t *orig = got.mem; /* scratch: the pattern again */
    fill(k);
    memcpy(got.mem, phys + PAGE_SIZE - 256, 512);
    unsigned changed = 0;
    for (unsigned i = 0; i < 512; i++) {
        uint32_t a = EDGE - 256 + i;
        bool inside = a - lo < (uint32_t)k->len && !(missing >> (i / 256) & 1) && (k->flags & ST);
        changed += !inside && rep->mem[i] != orig[i];
    }
    case_eq(m, changed, 0, "%s at %d: memory at the fault", k->name, at);
}

static void sweep(struct matrix *m, const struct kase *k, uint32_t mode)
{
    struct cpu *cpu = this_cpu();
    for (int at = -k->len + (k->step == 4 ? 4 : 1); at < 0; at += (int)k->step) {
        if (k->step == 1 && k->len > 8 && at % 3)
            continue;
        uint32_t base = EDGE + (uint32_t)(at - k->first);
        map_page(0, AP_RW_RW);
        map_page(1, AP_RW_RW);
        run(k, base, mode, &ref);
        case_eq(m, ref.regs.kind, TRAP_SVC, "%s at %d: reference", k->name, at);
        for (uint32_t missing = 1; missing < 4; missing++) {
            struct repair rep;
            memset(&rep, 0, sizeof(rep));
            map_page(0, missing & 1 ? 0 : AP_RW_RW);
            map_page(1, missing & 2 ? 0 : AP_RW_RW);
            cpu->hook_arg = &rep;
            cpu->hook = repair_hook;
            run(k, base, mode, &got);
            cpu->hook = NULL;
            case_eq(m, rep.count, missing == 3 ? 2 : 1, "%s at %d missing %u: faults", k->name, at,
                    (unsigned)missing);
            compare(m, k, at);
            if (rep.count)
                check_fault(m, k, at, base, missing, &rep, mode);
        }
    }
}

/* Stores into a page that became read-only: permission fault, then the same result. */
static void sweep_readonly(struct matrix *m, const struct kase *k)
{
    struct cpu *cpu = this_cpu();
    if (!(k->flags & ST))
        return;
    int at = -k->len / 2 & ~3;
    if (k->step == 1)
        at = -1;
    uint32_t base = EDGE + (uint32_t)(at - k->first);
    map_page(0, AP_RW_RW);
    map_page(1, AP_RW_RW);
    run(k, base, MODE_SYS, &ref);
    for (uint32_t ro = 1; ro < 4; ro++) {
        struct repair rep;
        memset(&rep, 0, sizeof(rep));
        map_page(0, ro & 1 ? AP_RO_RO : AP_RW_RW);
        map_page(1, ro & 2 ? AP_RO_RO : AP_RW_RW);
        cpu->hook_arg = &rep;
        cpu->hook = repair_hook;
        run(k, base, MODE_SYS, &got);
        cpu->hook = NULL;
        case_eq(m, rep.count, ro == 3 ? 2 : 1, "%s ro %u: faults", k->name, (unsigned)ro);
        case_eq(m, FSR_FS(rep.dfsr), FS_PERM_PAGE, "%s ro %u: DFSR", k->name, (unsigned)ro);
        compare(m, k, at);
    }
}

void payload_main(void)
{
    l2 = mem_alloc(1024, 1024);
    phys = mem_alloc(2 * PAGE_SIZE, PAGE_SIZE);
    flat_l1[VA >> 20] = L1_TABLE(l2, 0);
    tlb_flush_all();
    vfp_enable(true);
    for (unsigned i = 0; i < 32; i++)
        d_in[i] = 0x1122334400000000ull * (i + 1) + i;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct matrix m = {.name = cases[i].name};
        sweep(&m, &cases[i], MODE_USR);
        sweep(&m, &cases[i], MODE_SYS);
        sweep_readonly(&m, &cases[i]);
        tap_ok(m.bad == 0 && m.cases != 0, "%s", m.name);
    }
}
