/* SPDX-License-Identifier: MIT */
/*
 * Access to VFP and Advanced SIMD: CPACR and FPEXC enables, what is UNDEF when off, lazy switching
 * by the UNDEF handler, FPSCR fields, rounding modes, cumulative flags, flush-to-zero and default
 * NaN. Arm ARM A2.6, A2.7, B1.11.  Results of single instructions are left to the differential
 * tests.
 */
#include "lib/snip.h"
#include "lib/vfp.h"

const char payload_name[] = "vfp";

SNIP(vadd, "vadd.f32 s0, s1, s2\n");
SNIP(vaddd, "vadd.f64 d0, d1, d2\n");
SNIP(neon, "vadd.i32 d0, d1, d2\n");
SNIP(neon_ld, "vld1.8 {d0}, [r0]\n");
SNIP(vldr, "vldr d0, [r0]\n");
SNIP(vmov, "vmov r1, s0\n");
SNIP(d16, "vadd.f64 d16, d17, d18\n");
SNIP(get_fpscr, "vmrs r1, fpscr\n");
SNIP(get_fpexc, "vmrs r1, fpexc\n");
SNIP(get_fpsid, "vmrs r1, fpsid\n");
SNIP(get_mvfr0, "vmrs r1, mvfr0\n");
SNIP(set_fpexc, "vmsr fpexc, r1\n");
SNIP(set_fpscr, "vmsr fpscr, r1\n");

enum class { VFP, SIMD, SYS_PRIV };
static const struct {
    struct snip s;
    enum class class;
} all[] = {
    {SNIP_BOTH(vadd), VFP},
    {SNIP_BOTH(vaddd), VFP},
    {SNIP_BOTH(neon), SIMD},
    {SNIP_BOTH(neon_ld), SIMD},
    {SNIP_BOTH(vldr), VFP},
    {SNIP_BOTH(vmov), VFP},
    {SNIP_BOTH(d16), VFP},
    {SNIP_BOTH(get_fpscr), VFP},
    {SNIP_BOTH(set_fpscr), VFP},
    {SNIP_BOTH(get_fpexc), SYS_PRIV},
    {SNIP_BOTH(get_fpsid), SYS_PRIV},
    {SNIP_BOTH(get_mvfr0), SYS_PRIV},
    {SNIP_BOTH(set_fpexc), SYS_PRIV},
};

static uint64_t buffer[4];

static void set_enables(uint32_t cpacr, bool en)
{
    vfp_enable(true);
    vfp_write_fpexc(en ? FPEXC_EN : 0);
    write_cpacr((read_cpacr() & ~0x00f00000u) | cpacr << 20 | cpacr << 22);
    isb();
}

static void test_enables(void)
{
    struct matrix m = {.name = "CPACR and FPEXC.EN"};
    static const uint32_t cpacrs[] = {0, 1, 3};
    for (unsigned c = 0; c < 3; c++) {
        for (unsigned en = 0; en < 2; en++) {
            for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
                for (unsigned k = 0; k < 4; k++) {
                    bool user = k >> 1;
                    struct regs in;
                    set_enables(cpacrs[c], en);
                    regs_init(&in, user ? MODE_USR : MODE_SYS);
                    in.r[0] = (uint32_t)buffer;
                    in.r[1] = all[i].s.code[0] == set_fpexc_arm && en ? FPEXC_EN : 0;
                    bool access = cpacrs[c] == 3 || (cpacrs[c] == 1 && !user);
                    bool ok = access && (all[i].class == SYS_PRIV ? !user : en);
                    enum trap_kind kind = snip_run(&in, all[i].s.code[k & 1]);
                    case_eq(&m, kind, ok ? TRAP_SVC : TRAP_UNDEF, "%s cpacr %u en %u user %u",
                            all[i].s.name, (unsigned)cpacrs[c], en, user);
                    if (!ok)
                        case_eq(&m, regs_diff(&in, &this_cpu()->trap.regs), 0, "%s registers",
                                all[i].s.name);
                }
            }
        }
    }
    vfp_enable(true);
    matrix_end(&m);
}

/* CPACR.ASEDIS, where it exists: Advanced SIMD is UNDEF, VFP works. */
static void test_asedis(void)
{
    struct regs in;
    uint32_t keep = read_cpacr();
    write_cpacr(keep | 1u << 31);
    isb();
    bool exists = read_cpacr() >> 31;
    regs_init(&in, MODE_SYS);
    in.r[0] = (uint32_t)buffer;
    enum trap_kind simd = snip_run(&in, neon_arm), vfp = snip_run(&in, vadd_thumb);
    write_cpacr(keep);
    isb();
    tap_eq(vfp, TRAP_SVC, "CPACR.ASEDIS leaves VFP alone");
    tap_eq(simd, exists ? TRAP_UNDEF : TRAP_SVC,
           "CPACR.ASEDIS makes Advanced SIMD undefined if it is kept");
}

/* The first use enables the unit in the UNDEF handler and runs again, as kernels do. */
static bool lazy_hook(struct cpu *cpu, struct regs *r)
{
    uint32_t *count = cpu->hook_arg;
    if (r->kind != TRAP_UNDEF || *count)
        return false;
    ++*count;
    vfp_write_fpexc(FPEXC_EN);
    return true;
}

static void test_lazy(void)
{
    struct matrix m = {.name = "lazy enabling"};
    struct regs in;
    uint64_t d[32] = {0};
    for (unsigned i = 0; i < 40; i++) {
        uint32_t count = 0;
        vfp_enable(true);
        d[1] = 0x3ff0000000000000ull; /* 1.0 */
        d[2] = 0x4000000000000000ull; /* 2.0 */
        vfp_load(d);
        vfp_write_fpexc(0);
        this_cpu()->hook_arg = &count;
        this_cpu()->hook = lazy_hook;
        regs_init(&in, i & 2 ? MODE_USR : MODE_SYS);
        enum trap_kind k = snip_run(&in, i & 1 ? vaddd_thumb : vaddd_arm);
        this_cpu()->hook = NULL;
        uint64_t out[32];
        vfp_store(out);
        case_eq(&m, k, TRAP_SVC, "kind");
        case_eq(&m, count, 1, "one UNDEF");
        case_eq(&m, (uint32_t)(out[0] >> 32), 0x40080000, "1 + 2");
    }
    matrix_end(&m);
}

static void test_fpscr(void)
{
    struct matrix m = {.name = "FPSCR fields"};
    static const uint32_t values[] = {0,          0xffc0009f, 0xf8000000, 0x07c00000,
                                      0x0000009f, 0x50400011, 0xa8800082};
    for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
        vfp_write_fpscr(values[i]);
        case_eq(&m, vfp_read_fpscr(), values[i], "value");
    }
    /* trapped exceptions do not exist (MVFR0): the enable bits read as zero */
    vfp_write_fpscr(0x00009f00);
    case_eq(&m, vfp_read_fpscr(), 0, "trap enables");
    vfp_write_fpscr(0);
    matrix_end(&m);
}

/* --- arithmetic with FPSCR: s0 op s1 --- */
SNIP(f_add, "vmov s0, r0\n vmov s1, r1\n vadd.f32 s2, s0, s1\n vmov r2, s2\n vmrs r3, fpscr\n");
SNIP(f_mul, "vmov s0, r0\n vmov s1, r1\n vmul.f32 s2, s0, s1\n vmov r2, s2\n vmrs r3, fpscr\n");
SNIP(f_div, "vmov s0, r0\n vmov s1, r1\n vdiv.f32 s2, s0, s1\n vmov r2, s2\n vmrs r3, fpscr\n");
SNIP(f_sqrt, "vmov s0, r0\n vsqrt.f32 s2, s0\n vmov r2, s2\n vmrs r3, fpscr\n");
SNIP(f_cvt, "vmov s0, r0\n vcvtr.s32.f32 s2, s0\n vmov r2, s2\n vmrs r3, fpscr\n");
SNIP(f_cmp, "vmov s0, r0\n vmov s1, r1\n vcmp.f32 s0, s1\n vmrs APSR_nzcv, fpscr\n mrs r2, cpsr\n"
            " and r2, r2, #0xf0000000\n vmrs r3, fpscr\n");
SNIP(f_cmpe, "vmov s0, r0\n vmov s1, r1\n vcmpe.f32 s0, s1\n mov r2, #0\n vmrs r3, fpscr\n");
SNIP(n_add, "vmov s0, r0\n vmov s2, r1\n vadd.f32 d2, d0, d1\n vmov r2, s4\n vmrs r3, fpscr\n");

#define IOC 1u
#define DZC 2u
#define OFC 4u
#define UFC 8u
#define IXC 16u
#define IDC 128u
#define FZ  (1u << 24)
#define DN  (1u << 25)
#define RP  (1u << 22)
#define RM  (2u << 22)
#define RZ  (3u << 22)

static void test_arithmetic(void)
{
    static const struct {
        struct snip s;
        uint32_t fpscr, a, b, result, flags;
    } c[] = {
        {SNIP_BOTH(f_add), 0, 0x3f800000, 0x33800000, 0x3f800000, IXC}, /* 1 + 2^-24: tie to even */
        {SNIP_BOTH(f_add), RP, 0x3f800000, 0x33800000, 0x3f800001, IXC}, /* up */
        {SNIP_BOTH(f_add), RM, 0x3f800000, 0x33800000, 0x3f800000, IXC},
        {SNIP_BOTH(f_add), RZ, 0xbf800000, 0xb3800000, 0xbf800000, IXC},
        {SNIP_BOTH(f_add), RM, 0xbf800000, 0xb3800000, 0xbf800001, IXC},
        {SNIP_BOTH(f_add), RM, 0x3f800000, 0xbf800000, 0x80000000, 0}, /* exact zero */
        {SNIP_BOTH(f_add), 0, 0x7f7fffff, 0x7f7fffff, 0x7f800000, OFC | IXC},
        {SNIP_BOTH(f_add), RZ, 0x7f7fffff, 0x7f7fffff, 0x7f7fffff, OFC | IXC},
        {SNIP_BOTH(f_add), 0, 0x7f800000, 0xff800000, 0x7fc00000, IOC}, /* inf - inf */
        {SNIP_BOTH(f_add), 0, 0x7f800001, 0x3f800000, 0x7fc00001, IOC}, /* signalling NaN */
        {SNIP_BOTH(f_add), 0, 0xffc00123, 0x3f800000, 0xffc00123, 0},   /* quiet NaN goes through */
        {SNIP_BOTH(f_add), DN, 0xffc00123, 0x3f800000, 0x7fc00000, 0},  /* default NaN */
        {SNIP_BOTH(f_add), 0, 0x00000001, 0x00000001, 0x00000002, 0},   /* denormals */
        {SNIP_BOTH(f_add), FZ, 0x00000001, 0x00000001, 0x00000000, IDC},
        {SNIP_BOTH(f_mul), 0, 0x00800000, 0x3f000000, 0x00400000, 0}, /* exact denormal result */
        {SNIP_BOTH(f_mul), 0, 0x00800001, 0x3f000000, 0x00400000, UFC | IXC},
        {SNIP_BOTH(f_mul), FZ, 0x80800001, 0x3f000000, 0x80000000, UFC},
        {SNIP_BOTH(f_div), 0, 0x3f800000, 0x00000000, 0x7f800000, DZC},
        {SNIP_BOTH(f_div), 0, 0x00000000, 0x80000000, 0x7fc00000, IOC},
        {SNIP_BOTH(f_div), RP, 0x3f800000, 0x40400000, 0x3eaaaaab, IXC},
        {SNIP_BOTH(f_div), RM, 0x3f800000, 0x40400000, 0x3eaaaaaa, IXC},
        {SNIP_BOTH(f_sqrt), 0, 0xbf800000, 0, 0x7fc00000, IOC},
        {SNIP_BOTH(f_sqrt), 0, 0x80000000, 0, 0x80000000, 0},
        {SNIP_BOTH(f_cvt), 0, 0x40200000, 0, 2, IXC}, /* 2.5 */
        {SNIP_BOTH(f_cvt), RP, 0x40200000, 0, 3, IXC},
        {SNIP_BOTH(f_cvt), RM, 0xc0200000, 0, 0xfffffffd, IXC},
        {SNIP_BOTH(f_cvt), RZ, 0xc0200000, 0, 0xfffffffe, IXC},
        {SNIP_BOTH(f_cvt), 0, 0x7fc00000, 0, 0, IOC},
        {SNIP_BOTH(f_cvt), 0, 0x4f800000, 0, 0x7fffffff, IOC},
        {SNIP_BOTH(f_cmp), 0, 0x3f800000, 0x40000000, 0x80000000, 0x80000000},
        {SNIP_BOTH(f_cmp), 0, 0x3f800000, 0x3f800000, 0x60000000, 0x60000000},
        {SNIP_BOTH(f_cmp), 0, 0x40000000, 0x3f800000, 0x20000000, 0x20000000},
        {SNIP_BOTH(f_cmp), 0, 0x7fc00000, 0x3f800000, 0x30000000, 0x30000000},
        {SNIP_BOTH(f_cmp), 0, 0x80000000, 0x00000000, 0x60000000, 0x60000000},
        {SNIP_BOTH(f_cmpe), 0, 0x7fc00000, 0x3f800000, 0, 0x30000000 | IOC},
        /* Advanced SIMD: always flush-to-zero, default NaN, round to nearest */
        {SNIP_BOTH(n_add), 0, 0x00000001, 0x00000001, 0x00000000, IDC},
        {SNIP_BOTH(n_add), RP, 0x3f800000, 0x33800000, 0x3f800000, IXC},
        {SNIP_BOTH(n_add), 0, 0xffc00123, 0x3f800000, 0x7fc00000, 0},
    };
    struct matrix m = {.name = "rounding modes, flags, NaN and denormal rules"};
    struct regs in;
    for (unsigned i = 0; i < ARRAY_SIZE(c); i++) {
        for (unsigned k = 0; k < 4; k++) {
            uint64_t zero[32] = {0};
            vfp_load(zero);
            /* k & 2: with a flag that is already set and must stay */
            uint32_t sticky = k & 2 ? (c[i].flags & OFC ? DZC : OFC) : 0;
            vfp_write_fpscr(c[i].fpscr | sticky);
            regs_init(&in, MODE_USR);
            in.r[0] = c[i].a;
            in.r[1] = c[i].b;
            case_eq(&m, snip_run(&in, c[i].s.code[k & 1]), TRAP_SVC, "%u %s", i, c[i].s.name);
            case_eq(&m, this_cpu()->trap.regs.r[2], c[i].result, "%u %s result", i, c[i].s.name);
            case_eq(&m, this_cpu()->trap.regs.r[3], c[i].flags | sticky | c[i].fpscr, "%u %s FPSCR",
                    i, c[i].s.name);
        }
    }
    vfp_write_fpscr(0);
    matrix_end(&m);
}

/* Each CPU has its own registers and FPSCR. */
static volatile uint32_t bad[MAX_CPUS];
static struct barrier gate;
static void per_cpu(unsigned cpu, void *arg)
{
    (void)arg;
    uint64_t d[32], out[32];
    vfp_enable(true);
    for (uint32_t round = 0; round < 200; round++) {
        for (unsigned i = 0; i < 32; i++)
            d[i] = (uint64_t)(cpu * 1000 + i) << 32 | round;
        vfp_load(d);
        vfp_write_fpscr(cpu << 28);
        if (round % 50 == 0)
            barrier_wait(&gate);
        vfp_store(out);
        bad[cpu] += memcmp(d, out, sizeof(d)) != 0 || vfp_read_fpscr() != cpu << 28;
    }
}

void payload_main(void)
{
    tap_eq(read_cpacr() & 0x00f00000, 0, "CPACR: no access at reset");
    vfp_enable(true);
    test_enables();
    test_asedis();
    test_lazy();
    test_fpscr();
    test_arithmetic();
    unsigned n = smp_start(MAX_CPUS), sum = 0;
    barrier_init(&gate, n);
    smp_run_all(n, per_cpu, NULL);
    for (unsigned i = 0; i < n; i++)
        sum += bad[i];
    tap_eq(sum, 0, "registers of each CPU are its own");
}
