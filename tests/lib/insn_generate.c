/* SPDX-License-Identifier: MIT */
/*
 * See insn_generate.h. Fields are known by their names in the tables (r* = register, list =
 * register list, shim/shty = shift); memory operands point into the data area.
 */
#include "insn_generate.h"

#include <string.h>

uint32_t insn_next_random(struct insn_random *r)
{
    r->state = r->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(r->state >> 32);
}

static uint32_t below(struct insn_random *r, uint32_t n)
{
    return (uint32_t)((uint64_t)insn_next_random(r) * n >> 32);
}

const char *insn_excluded(const struct decode_encoding *e, const char *cpu)
{
    static const struct {
        const char *name, *why;
    } list[] = {
        {"SVC", "a system call of the oracle"},
        {"BKPT", "a debugger trap of the oracle"},
        {"UDF", "some are breakpoints of Linux; the words around each test are UDF"},
        {"HVC", "UNDEF in user mode: tests/guest"},
        {"SMC", "UNDEF in user mode: tests/guest"},
        {"MCR", "coprocessor registers: tests/guest"},
        {"MRC", "coprocessor registers: tests/guest"},
        {"MCRR", "coprocessor registers: tests/guest"},
        {"MRRC", "coprocessor registers: tests/guest"},
        {"MRS", "the oracle's CPSR has other control bits"},
        {"WFI", "sleeps"},
        {"WFE", "sleeps"},
        {"CPS", "no effect in user mode, and the oracle is there"},
        {"SRS", "UNPREDICTABLE in user mode"},
        {"RFE", "UNPREDICTABLE in user mode"},
        {"SUBS_PC", "UNPREDICTABLE in user mode"},
        {"SWP", "SCTLR.SW decides: tests/guest"},
        {"SWPB", "SCTLR.SW decides: tests/guest"},
    };

    for (unsigned i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        if (!strcmp(e->name, list[i].name)) {
            return list[i].why;
        }
    }
    if (!strncmp(e->name, "CRC32", 5) && strcmp(cpu, "max") != 0) {
        return "the oracle's Cortex-A15 has it, which is wrong";
    }
    return NULL;
}

bool insn_is_vfp(const struct arm_table *table)
{
    return strstr(table->name, "vfp") || strstr(table->name, "asimd") ||
           strstr(table->name, "neon");
}

static unsigned width(const struct decode_field *f)
{
    unsigned n = 0;

    for (unsigned i = 0; i < f->segments; i++) {
        n += f->segment[i].len;
    }
    return n;
}

static uint32_t set_field(uint32_t insn, const struct decode_field *f, uint32_t value)
{
    unsigned low = width(f);

    for (unsigned i = 0; i < f->segments; i++) {
        uint32_t ones = (1u << f->segment[i].len) - 1;

        low -= f->segment[i].len;
        insn = (insn & ~(ones << f->segment[i].pos)) | (value >> low & ones) << f->segment[i].pos;
    }
    return insn;
}

static uint32_t get_field(uint32_t insn, const struct decode_field *f)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < f->segments; i++) {
        value =
            value << f->segment[i].len | decode_ubits(insn, f->segment[i].pos, f->segment[i].len);
    }
    return value;
}

/* Registers: mostly R0-R12, sometimes LR; SP and PC have their own rules in too many instructions.
 */
static uint32_t random_register(struct insn_random *r)
{
    uint32_t n = below(r, 14);

    return n == 13 ? 14 : n;
}

static bool is_memory(const struct arm_table *table, const struct decode_encoding *e)
{
    static const char *const prefix[] = {"TB", "VLD", "VST", "VPUSH", "VPOP"};

    for (unsigned i = 0; i < sizeof(prefix) / sizeof(prefix[0]); i++) {
        if (!strncmp(e->name, prefix[i], strlen(prefix[i]))) {
            return true;
        }
    }
    return strstr(table->name, "ldst");
}

/* Where SP and PC are ordinary operands (A32 with an immediate or an immediate shift, T16 high
 * registers). */
static bool any_register(const struct arm_table *table, const struct decode_encoding *e)
{
    size_t n = strlen(e->name);

    if (!strcmp(table->name, "a32_dp")) {
        return n < 4 || strcmp(e->name + n - 4, "_rrr") != 0;
    }
    return n > 3 && !strcmp(e->name + n - 3, "_hi");
}

static uint32_t random_field(struct insn_random *r, const struct arm_table *table,
                             const struct decode_encoding *e, const struct decode_field *f)
{
    bool memory = is_memory(table, e);
    unsigned bits = width(f);
    uint32_t any = insn_next_random(r) & (bits < 32 ? (1u << bits) - 1 : ~0u);

    if (!strcmp(f->name, "cond")) {
        return below(r, 4) ? 14 : below(r, 14);
    }
    if (strstr(table->name, "asimd_ldst") && !strcmp(f->name, "rm") && below(r, 2)) {
        return 13 + 2 * below(r, 2); /* write-back by the size, none */
    }
    if (!strcmp(e->name, "VMRS") && !strcmp(f->name, "rt") && below(r, 2)) {
        return 15;
    }
    if (f->name[0] == 'r' && bits == 4 && any_register(table, e) && below(r, 4) == 0) {
        return any;
    }
    if (f->name[0] == 'r' && bits == 4 && f->name[1] != 'o') {
        return random_register(r);
    }
    if (!strcmp(f->name, "firstcond")) {
        return below(r, 14);
    }
    if (!strcmp(f->name, "list")) {
        return any & (below(r, 4) ? 0x5fff : 0xdfff);
    }
    if (memory && !strcmp(f->name, "shim")) {
        return below(r, 4);
    }
    if (memory && !strcmp(f->name, "shty")) {
        return below(r, 3);
    }
    return any;
}

static uint32_t field_or(const struct decode_encoding *e, uint32_t insn, const char *name,
                         uint32_t fallback)
{
    for (unsigned i = 0; i < e->fields; i++) {
        if (!strcmp(e->field[i].name, name)) {
            return (get_field(insn, &e->field[i]) << e->field[i].shift) + e->field[i].add;
        }
    }
    return fallback;
}

/* UNPREDICTABLE by registers that are the same: write-back into a transferred one, results on
 * operands. */
static bool vfp_clashes(const struct decode_encoding *e, uint32_t insn)
{
    uint32_t rt = field_or(e, insn, "rt", 98), rt2 = field_or(e, insn, "rt2", 99);
    uint32_t fm = field_or(e, insn, "fm", 0), fd = field_or(e, insn, "fd", 0);

    if (!strncmp(e->name, "VCVT_fixed", 10)) { /* more fraction bits than there are bits */
        return !field_or(e, insn, "sx", 1) && field_or(e, insn, "imm", 0) > 16;
    }
    if (strstr(e->name, "core2")) { /* two of the same, or beyond the last register */
        return rt == rt2 ||
               (fm == 31 && (!strcmp(e->name, "VMOV_core2_s") || !strcmp(e->name, "VMOV_s_core2")));
    }
    if (!strncmp(e->name, "VTRN", 4) || !strncmp(e->name, "VZIP", 4) ||
        !strncmp(e->name, "VUZP", 4)) {
        return fd == fm; /* UNKNOWN results */
    }
    return (!strncmp(e->name, "VLDn", 4) || !strncmp(e->name, "VSTn", 4)) && fd > 24;
}

static bool clashes(const struct decode_encoding *e, uint32_t insn, bool memory)
{
    uint32_t rn = field_or(e, insn, "rn", 99), rt = field_or(e, insn, "rt", 98);
    uint32_t rt2 = field_or(e, insn, "rt2", rt + 1), rd = field_or(e, insn, "rd", 97);
    uint32_t rm = field_or(e, insn, "rm", 96), w = field_or(e, insn, "w", 0),
             p = field_or(e, insn, "p", 1);
    bool exclusive = !strncmp(e->name, "STREX", 5) || !strncmp(e->name, "STLEX", 5);

    if (rd == 15 && (field_or(e, insn, "s", 0) || !strncmp(e->name, "MOVW", 4) ||
                     !strncmp(e->name, "MOVT", 4))) { /* exception return, or UNPREDICTABLE */
        return true;
    }
    if (e->name[0] == 'V') {
        return (memory && rm == rn) || vfp_clashes(e, insn);
    }
    if (memory && rm == rn) { /* both the base and a small offset */
        return true;
    }
    if ((w || !p) && (rn == rt || rn == rt2)) {
        return true;
    }
    if (exclusive && (rd == rn || rd == rt || rd == rt2)) {
        return true;
    }
    return !strncmp(e->name, "LDRD", 4) && (rt == 14 || rm == rt || rm == rt2 || rt == rt2);
}

static bool excluded_word(const struct decode_encoding *e, uint32_t insn)
{
    uint32_t low = insn & 0xff00;

    /* A32 that branches to its own low half as T32: no BKPT (semihosting) or SVC there. */
    if (e->width == 32 && (low == 0xbe00 || low == 0xdf00)) {
        return true;
    }
    for (unsigned i = 0; i < e->excludes; i++) {
        if ((insn & e->exclude[i].mask) == e->exclude[i].value) {
            return true;
        }
    }
    return false;
}

static uint32_t random_word(struct insn_random *r, enum arm_isa isa, const struct arm_table *table,
                            const struct decode_encoding *e, bool memory)
{
    uint32_t insn;

    do {
        insn = e->value | e->sb_value;
        for (unsigned i = 0; i < e->fields; i++) {
            insn = set_field(insn, &e->field[i], random_field(r, table, e, &e->field[i]));
            if (isa == ARM_ISA_T32 && insn_is_vfp(table) &&
                !strcmp(e->field[i].name, "cond")) { /* AL */
                insn = set_field(insn, &e->field[i], 14);
            }
        }
    } while (excluded_word(e, insn) || clashes(e, insn, memory));
    return insn;
}

static uint32_t edge_value(struct insn_random *r)
{
    static const uint32_t edges[] = {
        0,          1,          2,          0x7f,       0x80,       0xff,       0x7fff,
        0x8000,     0xffff,     0x7fffffff, 0x80000000, 0x80000001, 0xfffffffe, 0xffffffff,
        0x7fff7fff, 0x80008000, 0x80ff7f01, 31,         32,         33,
    };

    return below(r, 2) ? edges[below(r, sizeof(edges) / sizeof(edges[0]))] : insn_next_random(r);
}

/* Numbers that floating point treats specially, in each precision; sometimes two singles. */
static uint64_t vector_value(struct insn_random *r)
{
    static const uint64_t edges[] = {
        0,
        0x8000000000000000u,
        0x3ff0000000000000u,
        0xbff0000000000000u,
        0x7ff0000000000000u,
        0xfff0000000000000u,
        0x7ff8000000000000u,
        0x7ff0000000000001u,
        0x0000000000000001u,
        0x000fffffffffffffu,
        0x0010000000000000u,
        0x7fefffffffffffffu,
        0x41dfffffffc00000u,
        0x3f8000003f800000u,
        0xbf80000000000000u,
        0x7f800000ff800000u,
        0x7fc000007f800001u,
        0x0000000100800000u,
        0x007fffff7f7fffffu,
        0x4effffff4f000000u,
        0x3c007bff7c007e01u,
        0x00ff00ff7f807f80u,
        0xffffffffffffffffu,
        0x8000000080000000u,
    };
    uint64_t any = (uint64_t)insn_next_random(r) << 32 | insn_next_random(r);

    switch (below(r, 4)) {
    case 0:
        return any;
    case 1: /* near 1: results that neither overflow nor vanish */
        return (any & 0x800fffff807fffffu) | 0x3f00000040000000u | (any & 0x00f0000001800000u);
    default:
        return edges[below(r, sizeof(edges) / sizeof(edges[0]))];
    }
}

static uint32_t random_address(struct insn_random *r)
{
    return INSN_DATA_AT + (below(r, 4) ? below(r, 32) * 4 : below(r, 128));
}

/* Base registers point into the data area, offset registers are small. */
static void set_addresses(struct insn_random *r, const struct decode_encoding *e, uint32_t insn,
                          struct insn_state *in)
{
    in->r[13] = random_address(r) & ~3u;
    for (unsigned i = 0; i < e->fields; i++) {
        uint32_t n = get_field(insn, &e->field[i]) & 15;

        if (!strcmp(e->field[i].name, "rm")) {
            in->r[n] = below(r, 64);
        }
    }
    for (unsigned i = 0; i < e->fields; i++) {
        uint32_t n = get_field(insn, &e->field[i]) & 15;

        if (!strcmp(e->field[i].name, "rn")) {
            in->r[n] = random_address(r);
            if (!strncmp(e->name, "STREX", 5) ||
                !strncmp(e->name, "STLEX", 5)) { /* the oracle checks alignment only when armed */
                in->r[n] &= ~7u;
            }
            if (field_or(e, insn, "align", 0) ==
                3) { /* @256: the oracle does not check it in VST2 */
                in->r[n] &= ~31u;
            }
        }
    }
}

static void random_state(struct insn_random *r, enum arm_isa isa, const struct arm_table *table,
                         struct insn_state *in)
{
    for (unsigned i = 0; i < 15; i++) {
        in->r[i] = edge_value(r);
        if (strstr(table->name, "branch")) {
            in->r[i] = INSN_CODE_AT + 8 + below(r, 64) * 4 + below(r, 2);
        }
    }
    for (unsigned i = 0; i < 32; i++) {
        in->d[i] = vector_value(r);
    }
    in->fpscr = insn_next_random(r) & 0xf0000000u;
    if (below(r, 4) == 0) { /* DN, FZ, RMode */
        in->fpscr |= insn_next_random(r) & 0x03c00000u;
    }
    if (below(r, 8) == 0) { /* AHP, QC, cumulative flags */
        in->fpscr |= insn_next_random(r) & 0x0c00009fu;
    }
    if (below(r, 32) == 0) { /* Stride, Len */
        in->fpscr |= insn_next_random(r) & 0x00370000u;
    }
    in->cpsr = (insn_next_random(r) & 0xf80f0000u) | (isa == ARM_ISA_A32 ? 0 : INSN_CPSR_T);
}

static void put_half(struct insn_test *t, uint32_t half)
{
    t->code[t->code_len++] = (uint8_t)half;
    t->code[t->code_len++] = (uint8_t)(half >> 8);
}

/* UNPREDICTABLE inside an IT block. */
static bool may_be_in_it(const struct decode_encoding *e)
{
    static const char *const never[] = {"CBZ", "IT", "B_cond", "CPS", "SETEND"};

    for (unsigned i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        if (!strcmp(e->name, never[i])) {
            return false;
        }
    }
    return true;
}

static void put_word(struct insn_random *r, enum arm_isa isa, const struct decode_encoding *e,
                     uint32_t insn, struct insn_test *t)
{
    if (isa == ARM_ISA_A32) {
        put_half(t, insn & 0xffff);
        put_half(t, insn >> 16);
        return;
    }
    if (below(r, 4) == 0 && may_be_in_it(e)) { /* IT cond, one instruction */
        put_half(t, 0xbf08 | below(r, 14) << 4);
    }
    if (isa == ARM_ISA_T32) {
        put_half(t, insn >> 16);
    }
    put_half(t, insn & 0xffff);
}

/* The tables of Advanced SIMD hold A32 words; the T32 word differs in the top byte (A7.1). */
static uint32_t asimd_to_t32(uint32_t insn)
{
    uint32_t top = insn >> 24;

    return (insn & 0x00ffffff) | (top == 0xf4 ? 0xf9u : 0xefu | (top & 1) << 4) << 24;
}

void insn_generate(struct insn_random *r, enum arm_isa isa, const struct arm_table *table,
                   const struct decode_encoding *e, struct insn_test *t)
{
    bool memory = is_memory(table, e);
    uint32_t insn = random_word(r, isa, table, e, memory);

    memset(t, 0, sizeof(*t));
    if (strstr(table->name, "asimd") && below(r, 2)) {
        isa = ARM_ISA_T32;
        insn = asimd_to_t32(insn);
    }
    random_state(r, isa, table, &t->in);
    if (insn_is_vfp(table)) {
        t->flags |= INSN_USES_VFP;
    }
    if (memory) {
        t->flags |= INSN_USES_MEMORY;
        set_addresses(r, e, insn, &t->in);
    }
    put_word(r, isa, e, insn, t);
}

/* ---- sequences ---- */
#define SEQUENCE_MAX  8

static bool in_sequences(const struct arm_table *t)
{
    static const char *const parts[] = {"_dp", "_bits", "_mul", "_media"};

    for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (strstr(t->name, parts[i]) && !insn_is_vfp(t)) {
            return true;
        }
    }
    return false;
}

/* R13 and R15 appear in no field: the one is the fault address, the other leaves the sequence. */
static bool plain_registers(const struct decode_encoding *e, uint32_t insn)
{
    for (unsigned i = 0; i < e->fields; i++) {
        uint32_t n = get_field(insn, &e->field[i]);

        if (e->field[i].name[0] == 'r' && e->field[i].name[1] != 'o' && (n == 13 || n == 15)) {
            return false;
        }
    }
    return true;
}

bool insn_names_register(const struct decode_encoding *e, uint32_t insn, unsigned first,
                         unsigned last)
{
    for (unsigned i = 0; i < e->fields; i++) {
        uint32_t n = get_field(insn, &e->field[i]);

        if (e->field[i].name[0] == 'r' && e->field[i].name[1] != 'o' && n >= first && n <= last) {
            return true;
        }
    }
    return false;
}

uint32_t insn_plain_word(struct insn_random *r, enum arm_isa *isa,
                         const struct decode_encoding **of)
{
    for (;;) {
        unsigned n;
        enum arm_isa from = *isa == ARM_ISA_A32 ? ARM_ISA_A32
                            : below(r, 2)       ? ARM_ISA_T16
                                                : ARM_ISA_T32;
        const struct arm_table *t = arm_tables(from, &n);
        const struct decode_encoding *e;
        uint32_t insn;

        t += below(r, n);
        e = &t->encoding[below(r, *t->count)];
        if (!in_sequences(t) || insn_excluded(e, "cortex-a15")) {
            continue;
        }
        insn = random_word(r, from, t, e, false);
        /* ADD and SUB of the stack pointer have it as a constant. */
        if (plain_registers(e, insn) && (from != ARM_ISA_T16 || (insn & 0xff00) != 0xb000)) {
            *isa = from;
            *of = e;
            return insn;
        }
    }
}

/* An ordinary integer instruction of the set; T32 has both widths. */
static uint32_t sequence_word(struct insn_random *r, enum arm_isa *isa)
{
    const struct decode_encoding *e;

    return insn_plain_word(r, isa, &e);
}

void insn_random_plain_state(struct insn_random *r, enum arm_isa isa, struct insn_state *in)
{
    static const struct arm_table plain = {.name = "sequence"};

    random_state(r, isa, &plain, in);
    in->r[13] = INSN_FAULT_ADDRESS;
}

static void put_plain(enum arm_isa isa, uint32_t insn, struct insn_test *t)
{
    if (isa == ARM_ISA_T32) {
        put_half(t, insn >> 16);
    }
    put_half(t, insn & 0xffff);
    if (isa == ARM_ISA_A32) {
        put_half(t, insn >> 16);
    }
}

/* LDR r0, [sp] */
static uint32_t faulting_load(enum arm_isa isa)
{
    return isa == ARM_ISA_A32 ? 0xe59d0000u : 0x9800u;
}

static void sequence_a32(struct insn_random *r, struct insn_test *t, unsigned n)
{
    uint32_t cond = below(r, 14);

    for (unsigned i = 0; i < n; i++) {
        enum arm_isa isa = ARM_ISA_A32;
        uint32_t insn = below(r, 2 * n) ? sequence_word(r, &isa) : faulting_load(isa);

        if (below(r, 4) == 0) {
            cond = below(r, 14); /* else runs of one condition */
        }
        put_plain(isa, (insn & 0x0fffffff) | (below(r, 3) ? cond : 14) << 28, t);
    }
}

static void sequence_t32(struct insn_random *r, struct insn_test *t, unsigned n)
{
    unsigned left = 0; /* in the IT block */

    for (unsigned i = 0; i < n; i++) {
        enum arm_isa isa = ARM_ISA_T32;
        uint32_t insn;

        if (left == 0 && below(r, 2)) {
            left = 1 + below(r, 4);
            put_half(
                t, 0xbf00 | below(r, 14) << 4 |
                       ((insn_next_random(r) & 14 & ~((1u << (4 - left)) - 1)) | 1u << (4 - left)));
        }
        insn = sequence_word(r, &isa);
        if (below(r, 2 * n) == 0) {
            isa = ARM_ISA_T16;
            insn = faulting_load(isa);
        }
        put_plain(isa, insn, t);
        left -= left != 0;
    }
}

void insn_generate_sequence(struct insn_random *r, enum arm_isa isa, struct insn_test *t)
{
    unsigned n = 2 + below(r, SEQUENCE_MAX - 1);

    memset(t, 0, sizeof(*t));
    insn_random_plain_state(r, isa, &t->in);
    if (isa == ARM_ISA_A32) {
        sequence_a32(r, t, n);
    } else {
        sequence_t32(r, t, n);
    }
}

/* ---- sequences of VFP and Advanced SIMD data processing ---- */
static bool in_vector_sequences(const struct arm_table *t, const struct decode_encoding *e)
{
    static const char *const out[] = {"VLD", "VST", "VMSR"};

    for (unsigned i = 0; i < sizeof(out) / sizeof(out[0]); i++) {
        if (!strncmp(e->name, out[i], strlen(out[i]))) {
            return false;
        }
    }
    return insn_is_vfp(t) && strcmp(t->name, "vfp_v8") != 0 && strcmp(t->name, "asimd_crypto") != 0;
}

/* Few registers, so that S, D and Q registers of neighbouring instructions overlap: S0-S7, D0-D3.
 */
static uint32_t overlapping(struct insn_random *r, const struct arm_table *t,
                            const struct decode_encoding *e, uint32_t insn)
{
    bool vfp = strstr(t->name, "vfp") != NULL, single = strstr(e->name, "_s") != NULL;

    for (unsigned i = 0; i < e->fields; i++) {
        const struct decode_field *f = &e->field[i];

        if (f->name[0] != 'f' || width(f) != 5) {
            continue;
        }
        if (vfp) {
            insn = set_field(insn, f, below(r, single ? 8 : 4));
        } else {
            insn = set_field(insn, f, below(r, 4) & (below(r, 8) ? 2 : 3));
        }
    }
    return insn;
}

static uint32_t vector_word(struct insn_random *r, enum arm_isa isa)
{
    for (;;) {
        unsigned n;
        const struct arm_table *t = arm_tables(ARM_ISA_A32, &n);
        const struct decode_encoding *e;
        uint32_t insn;

        t += below(r, n);
        e = &t->encoding[below(r, *t->count)];
        if (!in_vector_sequences(t, e) || insn_excluded(e, "cortex-a15")) {
            continue;
        }
        insn = overlapping(r, t, e, random_word(r, isa, t, e, false));
        if (clashes(e, insn, false) || !plain_registers(e, insn)) {
            continue;
        }
        return strstr(t->name, "asimd") && isa == ARM_ISA_T32 ? asimd_to_t32(insn) : insn;
    }
}

void insn_generate_vector_sequence(struct insn_random *r, enum arm_isa isa, struct insn_test *t)
{
    static const struct arm_table plain = {.name = "vfp sequence"};
    unsigned n = 2 + below(r, SEQUENCE_MAX - 1);

    memset(t, 0, sizeof(*t));
    random_state(r, isa, &plain, &t->in);
    t->in.r[13] = INSN_FAULT_ADDRESS;
    t->flags |= INSN_USES_VFP;
    for (unsigned i = 0; i < n; i++) {
        if (below(r, 2 * n)) {
            put_plain(isa, vector_word(r, isa), t);
        } else {
            put_plain(isa == ARM_ISA_A32 ? isa : ARM_ISA_T16, faulting_load(isa), t);
        }
    }
}
