/* SPDX-License-Identifier: MIT */
/*
 * Vector nodes against plain C on lanes, with SSE4.1 and without, with operands in registers,
 * overlapping the result, and on the stack.
 */
#include "rig.c.inc"

#define OFF_V(n) ((uint32_t)(offsetof(struct vcpu, vfp) + 16 * (n)))

static uint64_t seed = 88172645463325252u;
static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static uint64_t lane_of(const uint8_t *v, unsigned size, unsigned k)
{
    uint64_t x = 0;
    memcpy(&x, v + k * size, size);
    return x;
}

static int64_t sx(uint64_t v, unsigned size)
{
    return (int64_t)(v << (64 - size * 8)) >> (64 - size * 8);
}

static int64_t clamp(int64_t v, unsigned size, bool is_signed)
{
    int64_t max = is_signed ? ((int64_t)1 << (size * 8 - 1)) - 1 : ((int64_t)1 << size * 8) - 1;
    int64_t min = is_signed ? -max - 1 : 0;
    return v < min ? min : v > max ? max : v;
}

static uint64_t lane_op(unsigned op, unsigned size, uint64_t x, uint64_t y, unsigned imm)
{
    int64_t a = sx(x, size), b = sx(y, size);
    switch (op) {
    case IR_VAND:
        return x & y;
    case IR_VANDN:
        return x & ~y;
    case IR_VOR:
        return x | y;
    case IR_VXOR:
        return x ^ y;
    case IR_VADD:
        return x + y;
    case IR_VSUB:
        return x - y;
    case IR_VMUL:
        return x * y;
    case IR_VCMPEQ:
        return x == y ? ~0ull : 0;
    case IR_VCMPGTS:
        return a > b ? ~0ull : 0;
    case IR_VMINS:
        return a < b ? x : y;
    case IR_VMAXS:
        return a > b ? x : y;
    case IR_VMINU:
        return x < y ? x : y;
    case IR_VMAXU:
        return x > y ? x : y;
    case IR_VSHLI:
        return x << imm;
    case IR_VSHRI:
        return x >> imm;
    case IR_VSARI:
        return (uint64_t)(a >> imm);
    case IR_VSHLV:
        return y < size * 8 ? x << y : 0;
    case IR_VSHRV:
        return y < size * 8 ? x >> y : 0;
    case IR_VSARV:
        return (uint64_t)(a >> (y < size * 8 ? y : size * 8 - 1));
    case IR_VQADDS:
        return (uint64_t)clamp(a + b, size, true);
    case IR_VQSUBS:
        return (uint64_t)clamp(a - b, size, true);
    case IR_VQADDU:
        return (uint64_t)clamp((int64_t)(x + y), size, false);
    case IR_VQSUBU:
        return (uint64_t)clamp((int64_t)x - (int64_t)y, size, false);
    case IR_VAVGU:
        return (x + y + 1) >> 1;
    case IR_VMULHS:
        return (uint64_t)(a * b >> 16);
    case IR_VMULHU:
        return x * y >> 16;
    default:
        return x; /* VDUP is made from lane 0 by the caller */
    }
}

static const struct {
    uint8_t op, sizes; /* bit per log2(size) */
    bool unary;
} cases[] = {
    {IR_VAND, 8, 0},  {IR_VANDN, 8, 0},  {IR_VOR, 8, 0},     {IR_VXOR, 8, 0},    {IR_VADD, 15, 0},
    {IR_VSUB, 15, 0}, {IR_VMUL, 6, 0},   {IR_VCMPEQ, 15, 0}, {IR_VCMPGTS, 7, 0}, {IR_VMINS, 7, 0},
    {IR_VMAXS, 7, 0}, {IR_VMINU, 7, 0},  {IR_VMAXU, 7, 0},   {IR_VSHLI, 14, 1},  {IR_VSHRI, 14, 1},
    {IR_VSARI, 6, 1}, {IR_VQADDS, 3, 0}, {IR_VQADDU, 3, 0},  {IR_VQSUBS, 3, 0},  {IR_VQSUBU, 3, 0},
    {IR_VAVGU, 3, 0}, {IR_VMULHS, 2, 0}, {IR_VMULHU, 2, 0},  {IR_VSHLV, 12, 0},  {IR_VSHRV, 12, 0},
    {IR_VSARV, 4, 0},
};

static bool shifts_lanes(unsigned op)
{
    return op == IR_VSHLV || op == IR_VSHRV || op == IR_VSARV;
}

/* Bytes with many equal lanes and extremes. */
static void fill(uint8_t *p)
{
    static const uint8_t edge[] = {0, 1, 0x7f, 0x80, 0xff};
    for (unsigned k = 0; k < 16; k++)
        p[k] = rnd() % 3 ? edge[rnd() % 5] : (uint8_t)rnd();
}

/* op(q0, q1) to q2, op(q1, q0) to q3, with q0 alive after when asked, with 20 other vectors alive
 * when asked. */
static void build(unsigned op, unsigned size, unsigned imm, bool unary, bool pressure)
{
    struct ir_block *b = rig.b;
    ir_ref keep[20];
    ir_block_reset(b, 0x1000, 0, false);
    ir_ref x = ir_get(b, IR_V128, OFF_V(0), 16), y = ir_get(b, IR_V128, OFF_V(1), 16);
    for (unsigned k = 0; pressure && k < 20; k++)
        keep[k] = ir_vop(b, IR_VADD, 1, ir_get(b, IR_V128, OFF_V(4 + k % 8), 16), x, 0);
    ir_ref r1 = ir_vop(b, (enum ir_op)op, size, x, unary ? 0 : y, imm);
    ir_ref r2 = ir_vop(b, (enum ir_op)op, size, y, unary ? 0 : x, imm);
    ir_put(b, OFF_V(2), 16, r1);
    ir_put(b, OFF_V(3), 16, r2);
    for (unsigned k = 0; pressure && k < 20; k++)
        ir_put(b, OFF_V(4 + k % 8), 16, keep[k]);
    ir_exit(b, TCG_EXIT_WFI);
    cr_assert_null(ir_verify(b), "%s", ir_verify(b));
    ir_optimize(b);
    cr_assert_eq(rig_compile(), 0);
}

static void check_case(unsigned op, unsigned size, unsigned imm, bool unary)
{
    for (unsigned round = 0; round < 20; round++) {
        uint8_t *v = rig.v->vfp.v;
        for (unsigned k = 0; k < 16; k++)
            fill(v + 16 * k);
        for (unsigned k = 0; shifts_lanes(op) && k < 16 / size; k++) { /* amounts about the width */
            uint64_t amount = rnd() % (size * 8 + 2);
            memcpy(v + 16 + k * size, &amount, size);
        }
        cr_assert_eq(rig_run(), TCG_EXIT_WFI);
        for (unsigned k = 0; k < 16 / size; k++) {
            uint64_t x = lane_of(v, size, k), y = lane_of(v + 16, size, k);
            uint64_t m = size == 8 ? ~0ull : (1ull << size * 8) - 1;
            cr_assert_eq(lane_of(v + 32, size, k), lane_op(op, size, x, y, imm) & m, "%s.%u",
                         ir_op_name((enum ir_op)op), size * 8);
            cr_assert_eq(lane_of(v + 48, size, k), lane_op(op, size, y, unary ? 0 : x, imm) & m);
        }
    }
}

Test(vector, integer_lanes)
{
    rig_init();
    rig_reset_memory(RIG_SPT);
    struct x64_cpu host = x64_cpu;
    for (unsigned k = 0; k < ARRAY_SIZE(cases) * 16; k++) {
        unsigned c = k / 16, log2 = k % 4, size = 1u << log2;
        if (!(cases[c].sizes >> log2 & 1))
            continue;
        x64_cpu = k & 4 ? host : (struct x64_cpu){0};
        if (shifts_lanes(cases[c].op) && !x64_cpu.avx2)
            continue;
        unsigned imm = cases[c].unary ? (unsigned)(rnd() % (size * 8)) : 0;
        build(cases[c].op, size, imm, cases[c].unary, k & 8);
        check_case(cases[c].op, size, imm, cases[c].unary);
    }
    x64_cpu = host;
}

/* ---- ops whose lanes come from several places: the whole result of a (or c) and b ---- */
static uint64_t narrowed(const uint8_t *v, unsigned size, unsigned k, bool to_signed)
{
    return (uint64_t)clamp(sx(lane_of(v, size, k), size), size / 2, to_signed);
}

static void whole_op(unsigned op, unsigned size, unsigned imm, const uint8_t *a, const uint8_t *b,
                     uint8_t *out)
{
    unsigned lanes = 16 / size;
    for (unsigned k = 0; k < lanes; k++) {
        uint64_t r = 0, pair[2];
        const uint8_t *from = k & 1 ? b : a;
        switch (op) {
        case IR_VUNPKL:
            r = lane_of(from, size, k / 2);
            break;
        case IR_VUNPKH:
            r = lane_of(from, size, lanes / 2 + k / 2);
            break;
        case IR_VSHUFB:
            r = b[k] & 0x80 ? 0 : a[b[k] & 15];
            break;
        case IR_VSHUFD:
            r = lane_of(a, 4, imm >> 2 * k & 3);
            break;
        case IR_VALIGN:
            r = k + imm < 16 ? b[k + imm] : a[k + imm - 16];
            break;
        case IR_VMULWS:
        case IR_VMULWU:
            pair[0] = lane_of(a, 4, k & 2);
            pair[1] = lane_of(b, 4, k & 2);
            r = op == IR_VMULWU ? pair[0] * pair[1] : (uint64_t)(sx(pair[0], 4) * sx(pair[1], 4));
            r = k & 1 ? r >> 32 : r;
            break;
        default: /* VPACK: two narrow lanes at a time */
            from = k < lanes / 2 ? a : b;
            for (unsigned i = 0; i < 2; i++)
                pair[i] = narrowed(from, size, (2 * k + i) % lanes, op == IR_VPACKSS);
            r = (pair[0] & ((1ull << size * 4) - 1)) | pair[1] << size * 4;
            break;
        }
        memcpy(out + k * size, &r, size);
    }
}

static const struct {
    uint8_t op, sizes, immediates; /* of these first_imm to immediates - 1 */
    uint8_t first_imm;
    bool unary, newer;
} moves[] = {
    {IR_VUNPKL, 15, 1, 0, false, false}, {IR_VUNPKH, 15, 1, 0, false, false},
    {IR_VPACKSS, 6, 1, 0, false, false}, {IR_VPACKUS, 2, 1, 0, false, false},
    {IR_VSHUFB, 1, 1, 0, false, true},   {IR_VSHUFD, 4, 255, 0, true, false},
    {IR_VALIGN, 1, 16, 1, false, false}, {IR_VMULWS, 4, 1, 0, false, true},
    {IR_VMULWU, 4, 1, 0, false, false},
};

static void check_move(unsigned m, unsigned size, unsigned imm)
{
    for (unsigned round = 0; round < 6; round++) {
        uint8_t *v = rig.v->vfp.v, want[2][16];
        for (unsigned k = 0; k < 16; k++)
            fill(v + 16 * k);
        whole_op(moves[m].op, size, imm, v, v + 16, want[0]);
        whole_op(moves[m].op, size, imm, v + 16, v, want[1]);
        cr_assert_eq(rig_run(), TCG_EXIT_WFI);
        cr_assert(!memcmp(v + 32, want, 32), "%s.%u %u", ir_op_name((enum ir_op)moves[m].op),
                  size * 8, imm);
    }
}

Test(vector, lanes_that_move)
{
    rig_init();
    rig_reset_memory(RIG_SPT);
    struct x64_cpu host = x64_cpu;
    for (unsigned k = 0; k < ARRAY_SIZE(moves) * 16; k++) {
        unsigned m = k / 16, log2 = k % 4, size = 1u << log2;
        x64_cpu = k & 4 ? host : (struct x64_cpu){0};
        if (!(moves[m].sizes >> log2 & 1) || (moves[m].newer && !x64_cpu.sse41))
            continue;
        for (unsigned imm = moves[m].first_imm; imm<moves[m].immediates; imm += imm> 20 ? 9 : 1) {
            build(moves[m].op, size, imm, moves[m].unary, k & 8);
            check_move(m, size, imm);
        }
    }
    x64_cpu = host;
}

Test(vector, constants)
{
    static const uint8_t bytes[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    rig_init();
    rig_reset_memory(RIG_SPT);
    ir_block_reset(rig.b, 0x1000, 0, false);
    ir_put(rig.b, OFF_V(1), 16, ir_vconst(rig.b, bytes));
    ir_exit(rig.b, TCG_EXIT_WFI);
    cr_assert_null(ir_verify(rig.b));
    cr_assert_eq(rig_compile(), 0);
    cr_assert_eq(rig_run(), TCG_EXIT_WFI);
    cr_assert(!memcmp(rig.v->vfp.v + 16, bytes, 16));
}

/* A vector read where its halves were just written needs no memory, and must be right. */
Test(vector, halves_join)
{
    rig_init();
    rig_reset_memory(RIG_SPT);
    for (unsigned k = 0; k < 2; k++) {
        struct ir_block *b = rig.b;
        ir_block_reset(b, 0x1000, 0, false);
        ir_ref x = ir_get(b, IR_I64, OFF_V(0), 8), y = ir_get(b, IR_V128, OFF_V(1), 8);
        ir_put(b, OFF_V(2), 8, k ? x : y);
        ir_put(b, OFF_V(2) + 8, 8, k ? y : x);
        ir_put(b, OFF_V(3), 16, ir_get(b, IR_V128, OFF_V(2), 16));
        ir_exit(b, TCG_EXIT_WFI);
        cr_assert_null(ir_verify(b), "%s", ir_verify(b));
        cr_assert_eq(rig_compile(), 0);
        rig.v->vfp.d[0] = rnd();
        rig.v->vfp.d[2] = rnd();
        cr_assert_eq(rig_run(), TCG_EXIT_WFI);
        cr_assert(rig.v->vfp.d[6] == rig.v->vfp.d[k ? 0 : 2]);
        cr_assert(rig.v->vfp.d[7] == rig.v->vfp.d[k ? 2 : 0]);
    }
}

Test(vector, dup_and_transfers)
{
    rig_init();
    rig_reset_memory(RIG_SPT);
    for (unsigned size = 1; size <= 4; size *= 2) {
        struct ir_block *b = rig.b;
        ir_block_reset(b, 0x1000, 0, false);
        ir_ref x = ir_get(b, IR_I32, offsetof(struct vcpu, r[0]), 4);
        ir_put(b, OFF_V(0), 16, ir_vop(b, IR_VDUP, size, x, 0, 0));
        ir_ref d = ir_get(b, IR_I64, offsetof(struct vcpu, r[2]), 8);
        ir_put(b, OFF_V(1), 16, ir_op1(b, IR_ITOV, d));
        ir_put(b, OFF_V(2), 16, ir_op1(b, IR_ITOV, x));
        ir_ref q = ir_get(b, IR_V128, OFF_V(4), 16);
        ir_put(b, offsetof(struct vcpu, r[4]), 4, ir_vtoi(b, IR_I32, q));
        ir_put(b, offsetof(struct vcpu, r[6]), 8, ir_vtoi(b, IR_I64, q));
        ir_put(b, OFF_V(5), 16, ir_get(b, IR_V128, OFF_V(4), 8));
        ir_put(b, OFF_V(6), 4, q);
        ir_exit(b, TCG_EXIT_WFI);
        cr_assert_null(ir_verify(b), "%s", ir_verify(b));
        cr_assert_eq(rig_compile(), 0);
        for (unsigned k = 0; k < 16; k++)
            rig.v->r[k] = (uint32_t)rnd();
        for (unsigned k = 0; k < 32; k++)
            rig.v->vfp.d[k] = rnd();
        uint32_t old = rig.v->vfp.s[25];
        cr_assert_eq(rig_run(), TCG_EXIT_WFI);
        for (unsigned k = 0; k < 16 / size; k++)
            cr_assert_eq(lane_of(rig.v->vfp.v, size, k), lane_of((uint8_t *)&rig.v->r[0], size, 0));
        uint64_t pair = rig.v->r[2] | (uint64_t)rig.v->r[3] << 32;
        cr_assert(rig.v->vfp.d[2] == pair && !rig.v->vfp.d[3]);
        cr_assert(rig.v->vfp.d[4] == rig.v->r[0] && !rig.v->vfp.d[5]);
        cr_assert_eq(rig.v->r[4], (uint32_t)rig.v->vfp.d[8]);
        cr_assert(!memcmp(&rig.v->r[6], &rig.v->vfp.d[8], 8));
        cr_assert(rig.v->vfp.d[10] == rig.v->vfp.d[8] && !rig.v->vfp.d[11]);
        cr_assert(rig.v->vfp.s[24] == rig.v->vfp.s[16] && rig.v->vfp.s[25] == old);
    }
}

static uint64_t clobber(struct vcpu *v)
{
    (void)v;
    __asm__ volatile("pxor %%xmm2, %%xmm2\n\tpxor %%xmm3, %%xmm3\n\tpxor %%xmm4, %%xmm4\n\t"
                     "pxor %%xmm5, %%xmm5\n\tpxor %%xmm6, %%xmm6\n\tpxor %%xmm7, %%xmm7" ::
                         : "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7");
    return 0;
}

static void clobber_in_slow_path(struct rig *r, uint32_t gva, uint64_t value, uint32_t memop,
                                 uintptr_t ra)
{
    (void)gva;
    (void)value;
    (void)memop;
    (void)ra;
    clobber(r->v);
}

/* Vectors alive across a guest access, whatever path it takes, and across a helper call. */
Test(vector, survive_accesses_and_calls)
{
    rig_init();
    for (unsigned k = 0; k < RIG_MODES * 2; k++) {
        struct ir_block *b = rig.b;
        ir_ref v[6];
        rig_reset_memory((enum rig_mode)(k / 2));
        rig.on_slow = clobber_in_slow_path;
        memset(rig.flat, 0x5a, RIG_SIZE);
        ir_block_reset(b, 0x1000, 0, false);
        for (unsigned n = 0; n < 6; n++)
            v[n] = ir_vop(b, IR_VADD, 1, ir_get(b, IR_V128, OFF_V(n), 16),
                          ir_get(b, IR_V128, OFF_V(8), 16), 0);
        ir_ref at = ir_get(b, IR_I32, offsetof(struct vcpu, r[0]), 4);
        ir_put(b, offsetof(struct vcpu, r[1]), 4, ir_load(b, IR_I32, at, MEMOP_32));
        if (k & 1)
            ir_call(b, IR_VOID, "clobber", (void *)clobber, 0, 0, NULL);
        for (unsigned n = 0; n < 6; n++)
            ir_put(b, OFF_V(n), 16, v[n]);
        ir_exit(b, TCG_EXIT_WFI);
        ir_optimize(b);
        cr_assert_eq(rig_compile(), 0);
        for (unsigned round = 0; round < 3; round++) {
            uint8_t want[96];
            for (unsigned n = 0; n < 32; n++)
                rig.v->vfp.d[n] = rnd();
            for (unsigned n = 0; n < 96; n++)
                want[n] = (uint8_t)(rig.v->vfp.v[n] + rig.v->vfp.v[128 + n % 16]);
            rig.v->r[0] = RIG_BASE + 0x1000 * round + 8;
            cr_assert_eq(rig_run(), TCG_EXIT_WFI);
            cr_assert_eq(rig.v->r[1], 0x5a5a5a5au);
            cr_assert(!memcmp(rig.v->vfp.v, want, sizeof(want)), "mode %u", k / 2);
        }
    }
}
