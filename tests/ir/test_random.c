/* SPDX-License-Identifier: MIT */
/*
 * Random programs: a list of abstract instructions is executed by the oracle below, and given to
 * the builder, the passes and the back end. Guest state, memory, helper calls, exits and the state
 * seen at every slow access must agree, in each memory mode, with all host features and with none.
 * A failure prints its seed; UMBRA_SEED runs one seed, UMBRA_SEEDS says how many.
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

/* ---- generator ---- */
static uint16_t avail[MAX_INSNS];
static unsigned n_avail;

static unsigned add(struct insn in)
{
    if (n_insns == MAX_INSNS - 1)
        n_insns--; /* never reached by the sizes below; keeps the array safe */
    prog[n_insns] = in;
    return n_insns++;
}

static uint16_t add_value(struct insn in)
{
    uint16_t r = (uint16_t)add(in);
    avail[n_avail++] = r;
    return r;
}

static uint16_t add_const(unsigned type, uint64_t v)
{
    return add_value((struct insn){.op = IR_CONST, .type = (uint8_t)type, .imm = v});
}

/* An available value of a type: often a recent one, sometimes an old one (pressure), or a constant.
 */
static uint16_t pick(unsigned type)
{
    for (unsigned k = 0; k < 12 && n_avail; k++) {
        unsigned at = below(3) ? below(n_avail) : n_avail - 1 - below(n_avail < 6 ? n_avail : 6);
        if (prog[avail[at]].type == type && (prog[avail[at]].op != IR_CONST || !below(4)))
            return avail[at];
    }
    return add_const(type, random_value(type));
}

static uint32_t slot_offset(unsigned size)
{
    if (below(3))
        return (uint32_t)offsetof(struct vcpu, r) + below(size == 8 ? 7 : 15) * 4;
    if (below(2) && size <= 4)
        return (uint32_t)(below(2) ? offsetof(struct vcpu, nf) + below(2) * 4
                                   : offsetof(struct vcpu, qf));
    return (uint32_t)offsetof(struct vcpu, vfp) + below(64 / size) * size;
}

static void gen_int(void)
{
    static const uint8_t ops[] = {
        IR_ADD,   IR_ADD,   IR_SUB,     IR_SUB,      IR_ADC,     IR_ADD_C,  IR_ADD_V,  IR_SUB_V,
        IR_ADC_C, IR_ADC_V, IR_AND,     IR_ANDN,     IR_OR,      IR_XOR,    IR_NOT,    IR_NEG,
        IR_MUL,   IR_UDIV,  IR_SDIV,    IR_SHL,      IR_SHR,     IR_SAR,    IR_ROR,    IR_CLZ,
        IR_BSWAP, IR_ZEXT8, IR_ZEXT16,  IR_SEXT8,    IR_SEXT16,  IR_ZEXT32, IR_SEXT32, IR_TRUNC,
        IR_HI32,  IR_PAIR,  IR_EXTRACT, IR_SEXTRACT, IR_DEPOSIT, IR_SETC,   IR_SELECT, IR_MOV,
    };
    unsigned op = ops[below(ARRAY_SIZE(ops))], t = below(3) ? IR_I32 : IR_I64,
             bits = t == IR_I32 ? 32 : 64;
    struct insn in = {.op = (uint8_t)op, .type = (uint8_t)t, .rel = (uint8_t)below(12)};
    unsigned pos = below(bits), len = 1 + below(bits - pos);
    if (!below(3)) {
        pos = below(2) ? 0 : 8;
        len = below(2) ? 8 : 16;
    }
    switch (op) {
    case IR_NOT:
    case IR_NEG:
    case IR_CLZ:
    case IR_BSWAP:
    case IR_ZEXT8:
    case IR_ZEXT16:
    case IR_SEXT8:
    case IR_SEXT16:
    case IR_MOV:
        in.a[0] = pick(t);
        break;
    case IR_ZEXT32:
    case IR_SEXT32:
        in.type = IR_I64;
        in.a[0] = pick(IR_I32);
        break;
    case IR_TRUNC:
    case IR_HI32:
        in.type = IR_I32;
        in.a[0] = pick(IR_I64);
        break;
    case IR_PAIR:
        in.type = IR_I64;
        in.a[0] = pick(IR_I32);
        in.a[1] = pick(IR_I32);
        break;
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
    case IR_ROR:
        in.a[0] = pick(t);
        if (op == IR_ROR && below(2)) {
            in.a[1] = pick(IR_I32);
        } else {
            uint16_t amount = below(2) ? pick(IR_I32) : add_const(IR_I32, below(bits));
            in.a[1] = add_value((struct insn){
                .op = IR_AND, .type = IR_I32, .a = {amount, add_const(IR_I32, bits - 1)}});
        }
        break;
    case IR_EXTRACT:
    case IR_SEXTRACT:
    case IR_DEPOSIT:
        in.a[0] = pick(t);
        in.a[1] = op == IR_DEPOSIT ? pick(t) : 0;
        in.imm = pos | len << 8;
        break;
    case IR_ADC:
    case IR_ADC_C:
    case IR_ADC_V: {
        uint16_t carry = pick(IR_I32);
        in.a[2] = add_value(
            (struct insn){.op = IR_AND, .type = IR_I32, .a = {carry, add_const(IR_I32, 1)}});
        in.a[0] = pick(t);
        in.a[1] = pick(t);
        in.type = op == IR_ADC ? (uint8_t)t : IR_I32;
        break;
    }
    case IR_SELECT:
        in.a[2] = pick(t);
        in.a[3] = pick(t);
        t = below(2) ? IR_I32 : IR_I64;
        in.a[0] = pick(t);
        in.a[1] = pick(t);
        break;
    default:
        in.a[0] = pick(t);
        in.a[1] = pick(t);
        if (op == IR_ADD_C || op == IR_ADD_V || op == IR_SUB_V || op == IR_SETC)
            in.type = IR_I32;
        break;
    }
    add_value(in);
}

/* ADDS, SUBS, ADCS as a front end writes them: result, then flags of the same operands. */
static void gen_flag_group(void)
{
    uint16_t a = pick(IR_I32), b = pick(IR_I32), carry = 0;
    unsigned kind = below(3);
    if (kind == 2)
        carry = add_value(
            (struct insn){.op = IR_AND, .type = IR_I32, .a = {pick(IR_I32), add_const(IR_I32, 1)}});
    unsigned op = kind == 0 ? IR_ADD : kind == 1 ? IR_SUB : IR_ADC;
    uint16_t r = add_value((struct insn){.op = (uint8_t)op, .type = IR_I32, .a = {a, b, carry}});
    add((struct insn){.op = IR_PUT, .off = offsetof(struct vcpu, nf), .size = 4, .a = {r}});
    if (below(2))
        add((struct insn){.op = IR_PUT, .off = offsetof(struct vcpu, zf), .size = 4, .a = {r}});
    struct insn c = {.op = kind == 0   ? IR_ADD_C
                           : kind == 1 ? IR_SETC
                                       : IR_ADC_C,
                     .type = IR_I32,
                     .rel = IR_GEU,
                     .a = {a, b, carry}};
    struct insn v = {.op = kind == 0   ? IR_ADD_V
                           : kind == 1 ? IR_SUB_V
                                       : IR_ADC_V,
                     .type = IR_I32,
                     .a = {a, b, carry}};
    uint16_t rc = add_value(c);
    add((struct insn){.op = IR_PUT, .off = offsetof(struct vcpu, cf), .size = 4, .a = {rc}});
    uint16_t rv = add_value(v);
    add((struct insn){.op = IR_PUT, .off = offsetof(struct vcpu, vf), .size = 4, .a = {rv}});
    if (below(2))
        add_value((struct insn){.op = IR_SETC,
                                .type = IR_I32,
                                .rel = (uint8_t)below(12),
                                .a = {kind == 1 ? a : r, kind == 1 ? b : add_const(IR_I32, 0)}});
}

static void gen_state(void)
{
    unsigned t = below(4) ? IR_I32 : IR_I64;
    unsigned size = below(5) ? (t == IR_I32 ? 4 : 8) : 1u << below(t == IR_I32 ? 3 : 4);
    uint32_t flag = below(2) ? offsetof(struct vcpu, cf) : offsetof(struct vcpu, vf);
    if (!below(6)) { /* the slots that hold 0 or 1 */
        uint16_t one = add_const(IR_I32, 1), v = pick(IR_I32);
        struct insn get = {.op = IR_GET, .type = IR_I32, .off = flag, .size = 4};
        struct insn low = {.op = IR_AND, .type = IR_I32, .a = {v, one}};
        if (below(3))
            add_value(get);
        else
            add((struct insn){.op = IR_PUT, .a = {add_value(low)}, .off = flag, .size = 4});
    } else if (below(2))
        add_value((struct insn){
            .op = IR_GET, .type = (uint8_t)t, .off = slot_offset(size), .size = (uint8_t)size});
    else
        add((struct insn){
            .op = IR_PUT, .a = {pick(t)}, .off = slot_offset(size), .size = (uint8_t)size});
}

/* r op= x, as most guest instructions are. */
static void gen_update(void)
{
    static const uint8_t ops[] = {IR_ADD, IR_SUB, IR_AND, IR_OR, IR_XOR, IR_ANDN, IR_SHL};
    unsigned op = ops[below(ARRAY_SIZE(ops))], t = below(4) ? IR_I32 : IR_I64;
    unsigned size = t == IR_I32 ? 4 : 8;
    uint32_t off = slot_offset(size);
    struct insn get = {.op = IR_GET, .type = (uint8_t)t, .off = off, .size = (uint8_t)size};
    uint16_t a = add_value(get);
    uint16_t b = op == IR_SHL ? add_const(IR_I32, below(32))
                 : below(2)   ? pick(t)
                              : add_const(t, random_value(t));
    uint16_t r = add_value((struct insn){.op = (uint8_t)op, .type = (uint8_t)t, .a = {a, b}});
    add((struct insn){.op = IR_PUT, .off = off, .size = (uint8_t)size, .a = {r}});
    if (below(2)) /* out of later picks: its only use is the PUT */
        n_avail--;
}

/* Long additions and subtractions: the carry of one word goes into the next. */
static void gen_carry_chain(void)
{
    unsigned t = below(3) ? IR_I32 : IR_I64, size = t == IR_I32 ? 4 : 8, words = 2 + below(3);
    bool subtract = below(3) == 0;
    uint16_t carry = 0;
    for (unsigned k = 0; k < words; k++) {
        uint16_t a = pick(t), b = pick(t);
        unsigned op = k ? IR_ADC : subtract ? IR_SUB : IR_ADD;
        unsigned flag = k ? IR_ADC_C : subtract ? IR_SETC : IR_ADD_C;
        struct insn sum = {.op = (uint8_t)op, .type = (uint8_t)t, .a = {a, b, carry}};
        struct insn c = {.op = (uint8_t)flag,
                         .type = IR_I32,
                         .rel = below(4) ? IR_GEU : IR_LTU,
                         .a = {a, b, carry}};
        uint16_t r = add_value(sum);
        if (below(2))
            add((struct insn){
                .op = IR_PUT, .off = slot_offset(size), .size = (uint8_t)size, .a = {r}});
        carry = add_value(c);
        if (below(2))
            add((struct insn){
                .op = IR_PUT, .off = offsetof(struct vcpu, cf), .size = 4, .a = {carry}});
        if (!below(5))
            gen_int();
        if (below(2))
            n_avail--;
    }
}

static bool is_address[MAX_INSNS];

/* An address made before, still in scope; 0 = none. */
static uint16_t old_address(void)
{
    for (unsigned k = n_avail; k-- > 0;)
        if (is_address[avail[k]] && below(2))
            return avail[k];
    return 0;
}

static void gen_memory(bool priv)
{
    bool load = below(2);
    unsigned t = below(3) ? IR_I32 : IR_I64, size = below(t == IR_I32 ? 3 : 4);
    uint32_t memop = size;
    if (load && below(2))
        memop |= MEMOP_SIGN;
    if (!below(6))
        memop |= MEMOP_BSWAP;
    if (!below(4))
        memop |= MEMOP_ALIGN;
    if (!below(4) && size >= 2)
        memop |= MEMOP_ALIGN4;
    if (priv && !below(4))
        memop |= MEMOP_USER;
    uint16_t x = pick(IR_I32), mask = add_const(IR_I32, below(2) ? 0x7ff8 : 0x7fff);
    uint16_t low = add_value((struct insn){.op = IR_AND, .type = IR_I32, .a = {x, mask}});
    /* base + constant: added twice, negative, or wrapping at 2^32 inside the access */
    static const struct {
        uint8_t op;
        uint32_t base, disp;
    } shape[] = {{IR_ADD, RIG_BASE, 0},
                 {IR_ADD, RIG_BASE, 0x20},
                 {IR_OR, 0x8000, 0xffffd000u},
                 {IR_OR, 0x8000, 3},
                 {IR_OR, 0xffff8000u, 0xd000}};
    unsigned k = below(ARRAY_SIZE(shape));
    uint16_t sum = add_value((struct insn){
        .op = shape[k].op, .type = IR_I32, .a = {low, add_const(IR_I32, shape[k].base)}});
    if (shape[k].disp)
        sum = add_value((struct insn){
            .op = IR_ADD, .type = IR_I32, .a = {sum, add_const(IR_I32, shape[k].disp)}});
    uint16_t again = below(3) ? 0 : old_address();
    is_address[sum] = true;
    if (again)
        sum = again;
    if (load)
        add_value((struct insn){.op = IR_LD, .type = (uint8_t)t, .a = {sum}, .imm = memop});
    else
        add((struct insn){.op = IR_ST, .a = {sum, pick(t)}, .imm = memop});
}

/* LDM or STM: one instruction, words at rising addresses, registers mostly neighbours. */
static void gen_multiple(bool priv)
{
    bool load = below(2);
    unsigned words = 1 + below(6), reg = below(4), off = 0;
    uint32_t memop = MEMOP_32 | (priv && !below(4) ? MEMOP_USER : 0) | (below(8) ? 0 : MEMOP_BSWAP);
    add((struct insn){.op = IR_INSN, .imm = 0x1000 + n_insns * 4, .off = below(256)});
    uint16_t x = pick(IR_I32), mask = add_const(IR_I32, below(4) ? 0x7ffc : 0x7fff);
    uint16_t low = add_value((struct insn){.op = IR_AND, .type = IR_I32, .a = {x, mask}});
    uint16_t base = add_const(IR_I32, RIG_BASE + 8);
    uint16_t at = add_value((struct insn){.op = IR_ADD, .type = IR_I32, .a = {low, base}});
    for (unsigned k = 0; k < words; k++, off += 4) {
        uint16_t step = add_const(IR_I32, off), sum = at;
        uint32_t op = memop | (k == 0 ? MEMOP_ALIGN4 : 0);
        struct insn get = {.op = IR_GET, .type = IR_I32, .off = reg * 4, .size = 4};
        if (k)
            sum = add_value((struct insn){.op = IR_ADD, .type = IR_I32, .a = {at, step}});
        if (load) {
            struct insn ld = {.op = IR_LD, .type = IR_I32, .a = {sum}, .imm = op};
            uint16_t v = add_value(ld);
            add((struct insn){.op = IR_PUT, .off = reg * 4, .size = 4, .a = {v}});
            if (below(6))
                n_avail--;
        } else {
            uint16_t v = add_value(get);
            add((struct insn){.op = IR_ST, .a = {sum, v}, .imm = op});
            if (below(6))
                n_avail--;
        }
        reg += below(5) ? 1 : 2;
    }
}

/* Halves of a 64-bit value to or from neighbouring slots, as LDRD, STRD and UMULL do. */
static void gen_dual(void)
{
    uint32_t off = below(14) * 4, lo = off, hi = off + 4;
    bool swapped = below(2), skewed = !below(6);
    if (skewed)
        hi = below(14) * 4;
    if (below(2)) {
        uint16_t x = pick(IR_I64);
        uint16_t l = add_value((struct insn){.op = IR_TRUNC, .type = IR_I32, .a = {x}});
        uint16_t h = add_value((struct insn){.op = IR_HI32, .type = IR_I32, .a = {x}});
        struct insn put_l = {.op = IR_PUT, .off = lo, .size = 4, .a = {l}};
        struct insn put_h = {.op = IR_PUT, .off = hi, .size = 4, .a = {h}};
        add(swapped ? put_h : put_l);
        if (!below(4))
            gen_int();
        add(swapped ? put_l : put_h);
    } else {
        uint16_t l = add_value((struct insn){.op = IR_GET, .type = IR_I32, .off = lo, .size = 4});
        uint16_t h = add_value((struct insn){.op = IR_GET, .type = IR_I32, .off = hi, .size = 4});
        if (!below(4))
            gen_update();
        add_value((struct insn){.op = IR_PAIR, .type = IR_I64, .a = {l, h}});
    }
}

static void gen_call(void)
{
    unsigned op = OP_CALL_PURE + below(3), nargs = below(6);
    struct insn in = {
        .op = (uint8_t)op, .size = (uint8_t)nargs, .type = (uint8_t)(below(2) ? IR_I32 : IR_I64)};
    for (unsigned k = 0; k < nargs; k++)
        in.a[k] = pick(below(2) ? IR_I32 : IR_I64);
    add_value(in);
}

static unsigned n_labels;

static void gen_block(unsigned depth, unsigned len, bool memory, bool priv);

/* if (cond) skip [else]; values of the region end with it */
static void gen_branch(unsigned depth, bool memory, bool priv)
{
    unsigned t = below(2) ? IR_I32 : IR_I64, skip = n_labels++, end = n_labels++;
    uint16_t x = pick(t), y = pick(t);
    bool has_else = below(2);
    add((struct insn){.op = IR_BRCOND, .rel = (uint8_t)below(12), .a = {x, y}, .imm = skip});
    unsigned keep = n_avail;
    gen_block(depth + 1, 1 + below(6), memory, priv);
    if (!below(8))
        add((struct insn){.op = IR_EXIT, .imm = TCG_EXIT_STATE});
    else if (!below(8))
        add((struct insn){.op = IR_GOTO, .imm = 0x1020 + 4 * below(8)});
    if (has_else)
        add((struct insn){.op = IR_BR, .imm = end});
    n_avail = keep;
    add((struct insn){.op = IR_LABEL, .imm = skip});
    if (has_else) {
        gen_block(depth + 1, 1 + below(6), memory, priv);
        n_avail = keep;
        add((struct insn){.op = IR_LABEL, .imm = end});
    }
}

static void gen_block(unsigned depth, unsigned len, bool memory, bool priv)
{
    for (unsigned k = 0; k < len && n_insns < MAX_INSNS - 80; k++) {
        unsigned what = below(20);
        if (what < 6)
            gen_int();
        else if (what == 6 && below(2))
            gen_dual();
        else if (what == 6)
            gen_carry_chain();
        else if (what < 9)
            gen_update();
        else if (what < 13)
            gen_state();
        else if (what < 15)
            gen_flag_group();
        else if (what == 15)
            gen_call();
        else if (what == 16 && depth < 3)
            gen_branch(depth, memory, priv);
        else if (what == 17 && memory && !depth && below(2))
            gen_multiple(priv);
        else if (what == 17 && !depth)
            add((struct insn){.op = IR_INSN, .imm = 0x1000 + n_insns * 4, .off = below(256)});
        else if (memory)
            gen_memory(priv);
        else
            gen_int();
    }
}

/* Many values at once, all used at the end: spills. */
static void gen_pressure(void)
{
    uint16_t v[60];
    for (unsigned k = 0; k < ARRAY_SIZE(v); k++) {
        if (below(2))
            gen_int();
        v[k] = add_value(
            (struct insn){.op = IR_ADD, .type = IR_I32, .a = {pick(IR_I32), pick(IR_I32)}});
        if (!below(3))
            gen_memory(false);
    }
    uint16_t sum = v[0];
    for (unsigned k = 1; k < ARRAY_SIZE(v); k++)
        sum = add_value(
            (struct insn){.op = below(2) ? IR_SUB : IR_XOR, .type = IR_I32, .a = {sum, v[k]}});
    add((struct insn){.op = IR_PUT, .off = 0, .size = 4, .a = {sum}});
}

static void generate(bool memory, bool priv)
{
    n_insns = 1; /* index 0 is "no value" */
    n_avail = n_labels = 0;
    memset(is_address, 0, sizeof(is_address));
    for (unsigned k = 0; k < 8; k++)
        add_value((struct insn){.op = IR_GET,
                                .type = k < 6 ? IR_I32 : IR_I64,
                                .off = k < 6 ? k * 4 : 32 + (k & 1) * 8,
                                .size = k < 6 ? 4 : 8});
    gen_block(0, 10 + below(60), memory, priv);
    if (!below(4) && n_insns < 500)
        gen_pressure();
    static const uint8_t last[] = {IR_EXIT, IR_GOTO, IR_GOTO, IR_GOTO_IND};
    unsigned op = last[below(4)];
    if (op == IR_GOTO_IND && below(2))
        add((struct insn){
            .op = IR_PUT, .off = offsetof(struct vcpu, r[15]), .size = 4, .a = {pick(IR_I32)}});
    add((struct insn){.op = (uint8_t)op,
                      .imm = op == IR_EXIT ? TCG_EXIT_WFI
                             : below(2)    ? 0x1010
                                           : 0x80002010});
}

/* ---- oracle ---- */
static uint8_t o_state[STATE_BYTES];
static uint8_t o_mem[RIG_SIZE];
static unsigned o_unaligned, o_exit;
static uint32_t o_pc, o_extra;

struct event {
    uint64_t hash; /* state at a slow access or reading helper */
    uint32_t pc;
    uint32_t extra;
};
static struct event events[MAX_INSNS];
static unsigned n_events, at_event;
static uint64_t call_log, o_call_log;

static uint64_t mix(uint64_t h, uint64_t v)
{
    return (h ^ v) * 0x9e3779b97f4a7c15u + (h >> 29);
}

/* Guest-visible bytes only: not the fields of the emulator between them. */
static uint64_t state_hash(const uint8_t *s)
{
    uint64_t h = 1, w;
    for (unsigned k = 0; k < offsetof(struct vcpu, r[15]); k += 4) {
        uint32_t x;
        memcpy(&x, s + k, 4);
        h = mix(h, x);
    }
    for (unsigned k = offsetof(struct vcpu, nf); k < offsetof(struct vcpu, qf); k += 8) {
        memcpy(&w, s + k, 8);
        h = mix(h, w);
    }
    for (unsigned k = offsetof(struct vcpu, vfp); k < offsetof(struct vcpu, vfp) + 64; k += 8) {
        memcpy(&w, s + k, 8);
        h = mix(h, w);
    }
    return h;
}

static uint64_t call_result(unsigned op, unsigned nargs, const uint64_t *a)
{
    uint64_t h = op;
    for (unsigned k = 0; k < nargs; k++)
        h = mix(h, a[k]);
    return h ^ h >> 31;
}

static void call_write(uint8_t *s, uint64_t h)
{
    uint32_t x = (uint32_t)h, off = (uint32_t)(h >> 33) % 15 * 4;
    memcpy(s + off, &x, 4);
    memcpy(s + offsetof(struct vcpu, vfp) + 16, &h, 8);
}

static uint64_t mask(uint64_t v, unsigned type)
{
    return type == IR_I32 ? (uint32_t)v : v;
}

static int64_t sign(uint64_t v, unsigned bits)
{
    return bits == 64 ? (int64_t)v
                      : (int64_t)(v ^ (1ull << (bits - 1))) - (int64_t)(1ull << (bits - 1));
}

static bool o_rel(unsigned rel, uint64_t x, uint64_t y, unsigned bits)
{
    int64_t sx = sign(x, bits), sy = sign(y, bits);
    switch (rel) {
    case IR_EQ:
        return x == y;
    case IR_NE:
        return x != y;
    case IR_LTU:
        return x < y;
    case IR_GEU:
        return x >= y;
    case IR_LEU:
        return x <= y;
    case IR_GTU:
        return x > y;
    case IR_LTS:
        return sx < sy;
    case IR_GES:
        return sx >= sy;
    case IR_LES:
        return sx <= sy;
    case IR_GTS:
        return sx > sy;
    case IR_TSTEQ:
        return !(x & y);
    default:
        return x & y;
    }
}

static bool o_carry(uint64_t x, uint64_t y, uint64_t c, unsigned bits)
{
    return (((unsigned __int128)x + y + c) >> bits) & 1;
}

static bool o_overflow(__int128 exact, unsigned bits)
{
    __int128 limit = (__int128)1 << (bits - 1);
    return exact < -limit || exact >= limit;
}

static uint64_t o_div(bool is_signed, uint64_t x, uint64_t y, unsigned bits)
{
    if (!y)
        return 0;
    return is_signed ? (uint64_t)((__int128)sign(x, bits) / sign(y, bits)) : x / y;
}

static uint64_t o_int(const struct insn *in, unsigned at, const uint64_t *a)
{
    unsigned bits = at == IR_I32 ? 32 : 64, pos = in->imm & 0xff, len = (unsigned)(in->imm >> 8);
    uint64_t x = a[0], y = a[1], f = len >= 64 ? ~0ull : (1ull << len) - 1;
    __int128 sx = sign(x, bits), sy = sign(y, bits);
    switch (in->op) {
    case IR_MOV:
        return x;
    case IR_ADD:
        return x + y;
    case IR_SUB:
        return x - y;
    case IR_ADC:
        return x + y + a[2];
    case IR_ADD_C:
        return o_carry(x, y, 0, bits);
    case IR_ADC_C:
        return o_carry(x, y, a[2], bits);
    case IR_ADD_V:
        return o_overflow(sx + sy, bits);
    case IR_ADC_V:
        return o_overflow(sx + sy + (int64_t)a[2], bits);
    case IR_SUB_V:
        return o_overflow(sx - sy, bits);
    case IR_AND:
        return x & y;
    case IR_ANDN:
        return x & ~y;
    case IR_OR:
        return x | y;
    case IR_XOR:
        return x ^ y;
    case IR_NOT:
        return ~x;
    case IR_NEG:
        return 0 - x;
    case IR_MUL:
        return x * y;
    case IR_UDIV:
    case IR_SDIV:
        return o_div(in->op == IR_SDIV, x, y, bits);
    case IR_SHL:
        return x << y;
    case IR_SHR:
        return x >> y;
    case IR_SAR:
        return (uint64_t)(sign(x, bits) >> y);
    case IR_ROR:
        y %= bits;
        return y ? x >> y | x << (bits - y) : x;
    case IR_CLZ:
        for (y = 0; y < bits && !(x >> (bits - 1 - y) & 1); y++)
            ;
        return y;
    case IR_BSWAP:
        return __builtin_bswap64(x) >> (64 - bits);
    case IR_ZEXT8:
        return (uint8_t)x;
    case IR_ZEXT16:
        return (uint16_t)x;
    case IR_SEXT8:
        return (uint64_t)(int8_t)x;
    case IR_SEXT16:
        return (uint64_t)(int16_t)x;
    case IR_ZEXT32:
        return x;
    case IR_SEXT32:
        return (uint64_t)(int32_t)x;
    case IR_TRUNC:
        return (uint32_t)x;
    case IR_HI32:
        return x >> 32;
    case IR_PAIR:
        return x | y << 32;
    case IR_EXTRACT:
        return x >> pos & f;
    case IR_SEXTRACT:
        return (uint64_t)sign(x >> pos & f, len);
    case IR_DEPOSIT:
        return (x & ~(f << pos)) | (y & f) << pos;
    case IR_SETC:
        return o_rel(in->rel, x, y, bits);
    case IR_SELECT:
        return o_rel(in->rel, x, y, bits) ? a[2] : a[3];
    default:
        cr_assert_fail("oracle: op %s", ir_op_name(in->op));
    }
    return 0;
}

static void note_event(void)
{
    events[n_events].hash = state_hash(o_state);
    events[n_events].pc = o_pc;
    events[n_events++].extra = o_extra;
}

static uint64_t o_memory(const struct insn *in, const uint64_t *a)
{
    uint32_t memop = (uint32_t)in->imm, gva = (uint32_t)a[0];
    unsigned bytes = 1u << MEMOP_SIZE(memop);
    unsigned need = memop & MEMOP_ALIGN ? bytes : (memop & MEMOP_ALIGN4) && bytes >= 4 ? 4 : 1;
    cr_assert(gva >= RIG_BASE && gva + bytes <= RIG_BASE + RIG_SIZE, "generator made address %#x",
              gva);
    uint8_t *p = &o_mem[gva - RIG_BASE];
    o_unaligned += gva % need != 0;
    note_event();
    uint64_t v = 0;
    for (unsigned k = 0; k < bytes; k++) {
        unsigned shift = 8 * (memop & MEMOP_BSWAP ? bytes - 1 - k : k);
        if (in->op == IR_ST)
            p[k] = (uint8_t)(a[1] >> shift);
        else
            v |= (uint64_t)p[k] << shift;
    }
    return memop & MEMOP_SIGN ? (uint64_t)sign(v, 8 * bytes) : v;
}

static unsigned find_label(unsigned from, uint64_t label)
{
    while (prog[from].op != IR_LABEL || prog[from].imm != label)
        from++;
    return from;
}

static void run_oracle(void)
{
    static uint64_t val[MAX_INSNS];
    n_events = o_unaligned = 0;
    o_call_log = 0;
    o_pc = 0x1000;
    o_extra = 0;
    for (unsigned i = 1; i < n_insns; i++) {
        const struct insn *in = &prog[i];
        uint64_t a[5], h;
        for (unsigned k = 0; k < 5; k++)
            a[k] = val[in->a[k]];
        unsigned at = prog[in->a[0]].type;
        switch (in->op) {
        case IR_CONST:
            val[i] = in->imm;
            break;
        case IR_INSN:
            o_pc = (uint32_t)in->imm;
            o_extra = in->off;
            break;
        case IR_GET:
            val[i] = 0;
            memcpy(&val[i], o_state + in->off, in->size);
            break;
        case IR_PUT:
            memcpy(o_state + in->off, &a[0], in->size);
            break;
        case IR_LD:
            val[i] = mask(o_memory(in, a), in->type);
            break;
        case IR_ST:
            o_memory(in, a);
            break;
        case IR_LABEL:
            break;
        case IR_BRCOND:
            if (o_rel(in->rel, a[0], a[1], at == IR_I32 ? 32 : 64))
                i = find_label(i, in->imm);
            break;
        case IR_BR:
            i = find_label(i, in->imm);
            break;
        case IR_EXIT:
        case IR_GOTO:
        case IR_GOTO_IND:
            o_exit = i;
            return;
        case OP_CALL_PURE:
        case OP_CALL_READ:
        case OP_CALL_WRITE:
            h = call_result(in->op, in->size, a);
            if (in->op != OP_CALL_PURE) {
                note_event();
                o_call_log = mix(o_call_log, h ^ state_hash(o_state));
            }
            if (in->op == OP_CALL_WRITE)
                call_write(o_state, h);
            val[i] = mask(h, in->type);
            break;
        default:
            val[i] = mask(o_int(in, at, a), in->type);
            break;
        }
    }
}

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
    } else if (in->op == IR_GOTO_IND) {
        cr_assert_eq(why, TCG_EXIT_LOOKUP);
        cr_assert(!memcmp(&rig.v->r[15], o_state + offsetof(struct vcpu, r[15]), 4));
    } else {
        cr_assert_eq(rig.v->r[15], (uint32_t)in->imm);
        cr_assert_eq(why, in->imm >> 12 == 1 ? TCG_EXIT_LINK : TCG_EXIT_LOOKUP);
        if (why == TCG_EXIT_LINK)
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
    unsigned count = many ? (unsigned)strtoul(many, NULL, 0) : 2000;
    rig_init();
    if (one) {
        run_seed(strtoull(one, NULL, 0));
        return;
    }
    for (unsigned s = 1; s <= count; s++) {
        fprintf(stderr, "\rseed %u ", s); /* a crash leaves the number on the screen */
        run_seed(s);
    }
    fputc('\n', stderr);
}
