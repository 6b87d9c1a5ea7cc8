/* SPDX-License-Identifier: MIT */
/*
 * Random programs: a list of abstract instructions is executed by the oracle below, and given to
 * the builder, the passes and the back end. Guest state, memory, helper calls, exits and the state
 * seen at every slow access must agree, in each memory mode, with all host features and with none.
 * The seed that fails is the last one printed; UMBRA_SEED runs one seed and shows its IR;
 * UMBRA_SEEDS says how many, from UMBRA_FIRST on.
 */
#include "rig.c.inc"
#include <stdio.h>

#define MAX_INSNS   900
#define STATE_BYTES 512

struct insn {
    uint8_t op, type, rel, size;
    uint16_t a[5];
    uint32_t off;
    uint64_t imm;
};

/* Ops of the generator beyond enum ir_op. */
enum { OP_CALL_PURE = IR_OP_COUNT, OP_CALL_READ, OP_CALL_WRITE };

static struct insn prog[MAX_INSNS];
static unsigned n_insns;
static uint64_t rng_state;

static uint64_t rnd(void)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return rng_state * 0x2545f4914f6cdd1du >> 8;
}

static unsigned below(unsigned n)
{
    return (unsigned)(rnd() % n);
}

static uint64_t random_value(unsigned type)
{
    static const uint64_t edge[] = {0,
                                    1,
                                    2,
                                    0x7f,
                                    0x80,
                                    0xff,
                                    0x7fff,
                                    0x8000,
                                    0xffff,
                                    0x7fffffff,
                                    0x80000000,
                                    0xffffffff,
                                    0xfffffffe,
                                    0x100000000,
                                    0x7fffffffffffffff,
                                    0x8000000000000000,
                                    0xffffffffffffffff,
                                    0xffffffff80000000};
    uint64_t v = below(3) ? edge[below(ARRAY_SIZE(edge))] : rnd() << 8 ^ rnd();
    return type == IR_I32 ? (uint32_t)v : v;
}

#include "random_gen.c.inc"

#include "random_oracle.c.inc"

/* ---- helpers called by the generated code ---- */
static void check_event(uint32_t pc, uint32_t extra, bool exact)
{
    cr_assert(at_event < n_events, "more observations than the oracle made");
    const struct event *e = &events[at_event++];
    if (exact)
        cr_assert_eq(e->hash, state_hash((const uint8_t *)rig.v), "state at observation %u",
                     at_event - 1);
    cr_assert(e->pc == pc && e->extra == extra, "side table: pc %#x extra %#x, expected %#x %#x",
              pc, extra, e->pc, e->extra);
}

static void on_slow(struct rig *r, uint32_t gva, uint64_t value, uint32_t memop, uintptr_t ra)
{
    (void)gva;
    (void)value;
    (void)memop;
    const struct tcg_site *s = rig_site(ra);
    if (r->mode == RIG_ALL_SLOW)
        /* The first word of a load pair is put together with the second. */
        check_event(s->pc, s->extra, !(s->memop & MEMOP_PAIR));
}

static bool count_calls_only;

static uint64_t helper(struct vcpu *v, unsigned op, unsigned nargs, const uint64_t *a, uintptr_t ra)
{
    uint64_t h = call_result(op, nargs, a);
    cr_assert_eq(v, rig.v);
    if (op != OP_CALL_PURE) {
        const struct tcg_site *s = rig_site(ra);
        cr_assert(s && s->kind == SITE_CALL);
        call_log = mix(call_log, h ^ state_hash((const uint8_t *)v));
        if (!count_calls_only)
            check_event(s->pc, s->extra, true);
    }
    if (op == OP_CALL_WRITE)
        call_write((uint8_t *)v, h);
    /* Clobber what the ABI lets a helper clobber. */
    __asm__ volatile("" ::: "rsi", "rdi", "r8", "r9", "r10", "r11", "xmm2", "xmm3", "xmm9", "cc");
    __asm__ volatile("mov $-1, %%rsi\n\tmov %%rsi, %%rdi\n\tmov %%rsi, %%r8\n\tmov %%rsi, %%r9\n\t"
                     "mov %%rsi, %%r10\n\tmov %%rsi, %%r11" ::
                         : "rsi", "rdi", "r8", "r9", "r10", "r11", "cc");
    return h;
}

#define HELPERS(X) X(PURE) X(READ) X(WRITE)
#define X(K)                                                                              \
    static uint64_t K##_0(struct vcpu *v)                                                 \
    {                                                                                     \
        return helper(v, OP_CALL_##K, 0, NULL, VCPU_RA());                                \
    }                                                                                     \
    static uint64_t K##_1(struct vcpu *v, uint64_t a)                                     \
    {                                                                                     \
        return helper(v, OP_CALL_##K, 1, &a, VCPU_RA());                                  \
    }                                                                                     \
    static uint64_t K##_2(struct vcpu *v, uint64_t a, uint64_t b)                         \
    {                                                                                     \
        return helper(v, OP_CALL_##K, 2, (uint64_t[]){a, b}, VCPU_RA());                  \
    }                                                                                     \
    static uint64_t K##_3(struct vcpu *v, uint64_t a, uint64_t b, uint64_t c)             \
    {                                                                                     \
        return helper(v, OP_CALL_##K, 3, (uint64_t[]){a, b, c}, VCPU_RA());               \
    }                                                                                     \
    static uint64_t K##_4(struct vcpu *v, uint64_t a, uint64_t b, uint64_t c, uint64_t d) \
    {                                                                                     \
        return helper(v, OP_CALL_##K, 4, (uint64_t[]){a, b, c, d}, VCPU_RA());            \
    }                                                                                     \
    static uint64_t K##_5(struct vcpu *v, uint64_t a, uint64_t b, uint64_t c, uint64_t d, \
                          uint64_t e)                                                     \
    {                                                                                     \
        return helper(v, OP_CALL_##K, 5, (uint64_t[]){a, b, c, d, e}, VCPU_RA());         \
    }
HELPERS(X)
#undef X
static void *const helper_fn[3][6] = {
#define X(K) \
    {(void *)K##_0, (void *)K##_1, (void *)K##_2, (void *)K##_3, (void *)K##_4, (void *)K##_5},
    HELPERS(X)
#undef X
};

/* ---- the program through the builder ---- */
static ir_ref build_op(struct ir_block *b, const struct insn *in, const ir_ref *a)
{
    unsigned pos = in->imm & 0xff, len = (unsigned)(in->imm >> 8);
    switch (in->op) {
    case IR_CONST:
        return in->type == IR_I32 ? ir_const32(b, (uint32_t)in->imm) : ir_const64(b, in->imm);
    case IR_GET:
        return ir_get(b, (enum ir_type)in->type, in->off, in->size);
    case IR_LD:
        return ir_load(b, (enum ir_type)in->type, a[0], (uint32_t)in->imm);
    case IR_EXTRACT:
        return ir_extract(b, a[0], pos, len);
    case IR_SEXTRACT:
        return ir_sextract(b, a[0], pos, len);
    case IR_DEPOSIT:
        return ir_deposit(b, a[0], a[1], pos, len);
    case IR_SETC:
        return ir_setc(b, (enum ir_rel)in->rel, a[0], a[1]);
    case IR_SELECT:
        return ir_select(b, (enum ir_rel)in->rel, a[0], a[1], a[2], a[3]);
    case IR_ADC:
    case IR_ADC_C:
    case IR_ADC_V:
        return ir_op3(b, (enum ir_op)in->op, a[0], a[1], a[2]);
    case OP_CALL_PURE:
    case OP_CALL_READ:
    case OP_CALL_WRITE: {
        static const unsigned flags[] = {CALL_PURE, CALL_READS, CALL_STATE};
        unsigned k = in->op - OP_CALL_PURE;
        return ir_call(b, (enum ir_type)in->type, "helper", helper_fn[k][in->size], flags[k],
                       in->size, a);
    }
    default:
        if (ir_ops[in->op].nargs == 1)
            return ir_op1(b, (enum ir_op)in->op, a[0]);
        return ir_op2(b, (enum ir_op)in->op, a[0], a[1]);
    }
}

static void build(bool priv)
{
    static ir_ref ref[MAX_INSNS];
    struct ir_block *b = rig.b;
    ir_block_reset(b, 0x1000, priv ? EXEC_PRIV : 0, priv);
    for (unsigned k = 0; k < n_labels; k++)
        ir_label_new(b);
    for (unsigned i = 1; i < n_insns; i++) {
        const struct insn *in = &prog[i];
        ir_ref a[5];
        for (unsigned k = 0; k < 5; k++)
            a[k] = ref[in->a[k]];
        switch (in->op) {
        case IR_INSN:
            ir_insn(b, in->imm, in->off);
            break;
        case IR_PUT:
            ir_put(b, in->off, in->size, a[0]);
            break;
        case IR_ST:
            ir_store(b, a[0], a[1], (uint32_t)in->imm);
            break;
        case IR_LABEL:
            ir_label(b, (unsigned)in->imm);
            break;
        case IR_BR:
            ir_br(b, (unsigned)in->imm);
            break;
        case IR_BRCOND:
            ir_brcond(b, (enum ir_rel)in->rel, a[0], a[1], (unsigned)in->imm);
            break;
        case IR_GOTO_IF:
            ir_goto_if(b, (enum ir_rel)in->rel, a[0], a[1], in->imm);
            break;
        case IR_BX_UNLESS:
            ir_bx_unless(b, a[0], a[1], (uint32_t)in->imm);
            break;
        case IR_EXIT:
            ir_exit(b, (unsigned)in->imm);
            break;
        case IR_GOTO:
            ir_goto(b, in->imm);
            break;
        case IR_GOTO_IND:
            ir_goto_ind(b);
            break;
        default:
            ref[i] = build_op(b, in, a);
            break;
        }
    }
    cr_assert(!b->full);
}

/* ---- comparison ---- */
static uint8_t init_state[STATE_BYTES], init_mem[RIG_SIZE];

static void check_exit(enum tcg_exit why)
{
    const struct insn *in = &prog[o_exit];
    if (in->op == IR_EXIT) {
        cr_assert_eq((unsigned)why, in->imm);
    } else if (in->op == IR_GOTO_IND || in->op == IR_BX_UNLESS) {
        cr_assert_eq(why, TCG_EXIT_LOOKUP);
        cr_assert(!memcmp(&rig.v->r[15], o_state + offsetof(struct vcpu, r[15]), 4));
        if (in->op == IR_BX_UNLESS)
            cr_assert(!memcmp(&rig.v->exec_flags, o_state + offsetof(struct vcpu, exec_flags), 4));
    } else {
        cr_assert_eq(rig.v->r[15], (uint32_t)in->imm);
        cr_assert_eq(why, TCG_EXIT_LINK);
        cr_assert_eq(rig.v->exit_tb, (void *)&rig);
    }
}

/* Which words differ, for the reader of a failure. */
static void show_difference(void)
{
    for (unsigned k = 0; k < offsetof(struct vcpu, vfp) + 64; k += 4) {
        uint32_t got, want;
        memcpy(&got, (uint8_t *)rig.v + k, 4);
        memcpy(&want, o_state + k, 4);
        bool guest = k < offsetof(struct vcpu, exec_flags) || k >= offsetof(struct vcpu, vfp);
        if (guest && k != offsetof(struct vcpu, r[15]) && got != want)
            fprintf(stderr, "\nmode %u, state [%#x]: %#x, expected %#x", rig.mode, k, got, want);
    }
}

static void run_once(enum rig_mode mode, bool priv)
{
    rig_reset_memory(mode);
    memcpy(rig.flat, init_mem, RIG_SIZE);
    memcpy(rig.v, init_state, offsetof(struct vcpu, exec_flags));
    memcpy(&rig.v->vfp, init_state + offsetof(struct vcpu, vfp), 64);
    rig.v->exec_flags = priv ? EXEC_PRIV : 0;
    rig.on_slow = on_slow;
    at_event = 0;
    call_log = 0;
    count_calls_only = mode != RIG_ALL_SLOW;
    int err = rig_compile();
    cr_assert_eq(err, 0, "x64_compile: %d", err);
    enum tcg_exit why = rig_run();
    check_exit(why);
    show_difference();
    cr_assert_eq(call_log, o_call_log, "helper calls differ");
    cr_assert_eq(state_hash((uint8_t *)rig.v), state_hash(o_state), "guest state differs");
    cr_assert(!memcmp(rig.flat, o_mem, RIG_SIZE), "guest memory differs");
    if (mode == RIG_ALL_SLOW)
        cr_assert_eq(at_event, n_events);
    if (mode == RIG_SPT || mode == RIG_ALL_SLOW)
        cr_assert_eq(rig.unaligned_slow, o_unaligned);
}

static void run_seed(uint64_t seed)
{
    struct x64_cpu host = x64_cpu;
    rng_state = seed * 0x9e3779b97f4a7c15u + 1;
    for (unsigned k = 0; k < 8; k++)
        rnd();
    bool memory = seed % 3 != 0, priv = below(2);
    generate(memory, priv);
    for (unsigned k = 0; k < STATE_BYTES; k += 4) {
        uint32_t x = (uint32_t)random_value(IR_I32);
        if (k == offsetof(struct vcpu, cf) || k == offsetof(struct vcpu, vf))
            x &= 1;
        memcpy(init_state + k, &x, 4);
    }
    for (unsigned k = 0; k < RIG_SIZE; k++)
        init_mem[k] = (uint8_t)rnd();
    memcpy(o_state, init_state, STATE_BYTES);
    memcpy(o_mem, init_mem, RIG_SIZE);
    run_oracle();
    for (unsigned pass = 0; pass < 2; pass++) {
        build(priv);
        const char *bad = ir_verify(rig.b);
        cr_assert_null(bad, "builder: %s", bad);
        if (pass) {
            ir_optimize(rig.b);
            bad = ir_verify(rig.b);
            cr_assert_null(bad, "optimizer: %s", bad);
        }
        if (getenv("UMBRA_SEED"))
            ir_dump(rig.b, stderr);
        x64_cpu = pass == (seed & 1) ? host : (struct x64_cpu){0};
        for (unsigned mode = 0; mode < (memory ? RIG_MODES : 1u); mode++)
            run_once((enum rig_mode)mode, priv);
        x64_cpu = host;
    }
}

Test(random, programs)
{
    const char *one = getenv("UMBRA_SEED"), *many = getenv("UMBRA_SEEDS");
    const char *from = getenv("UMBRA_FIRST");
    unsigned count = many ? (unsigned)strtoul(many, NULL, 0) : 2000;
    unsigned first = from ? (unsigned)strtoul(from, NULL, 0) : 1;
    rig_init();
    if (one) {
        run_seed(strtoull(one, NULL, 0));
        return;
    }
    for (unsigned s = first; s < first + count; s++) {
        fprintf(stderr, "\rseed %u ", s); /* a crash leaves the number on the screen */
        run_seed(s);
    }
    fputc('\n', stderr);
}
