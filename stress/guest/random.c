/* SPDX-License-Identifier: MIT */
/*
 * Random programs. umbra-stress random writes them into a copy of this image (random.h says how),
 * and each CPU runs its operations of a program in order, again and again until the time is over:
 * owners map, move, protect, patch and unmap their slots, everybody accesses all of them. Whatever
 * operations are left out, a program stays free of races: the history of a slot tells what an
 * access may find that began after state s1 was there and ended before state s2 + 1 began. A frame
 * that no mapping reaches holds poison, and the increments of a counter add up over moves.
 * Parameters: LPAE.
 */
#include "random.inc.c"

const char payload_name[] = "random";

static struct {
    uint32_t magic[4], programs, data[BLOB_WORDS];
} blob = {{MAGIC}, 0, {0}};

enum bad { OLD_FRAME, VALUE, NO_ABORT, ABORT, CAUSE, LOST_STORE, OLD_STORE, COUNT, BADS };
static const char *const bad_names[BADS] = {
    "reads a frame that is out of reach",
    "reads or runs what was not there",
    "must abort",
    "must not abort",
    "aborts with the wrong cause or address",
    "stores what does not arrive",
    "finds that somebody wrote into a frame that is out of reach",
    "increments were lost or doubled",
};

static const struct program *program;
static struct barrier gate;
static uint64_t started, deadline;
static volatile uint32_t go_on;
static bool meets; /* the program has operations for everybody */

/* The first thing that was wrong. */
static struct {
    volatile uint32_t taken;
    enum bad bad;
    unsigned op, cpu;
    uint32_t got, want, from, to;
    uint64_t when;
} failure;

static struct {
    uint32_t seed, rounds, checks, strict, changes, space;
} own[MAX_CPUS];

/* ---- accesses; r1 is where to put what is read, or what to write ---- */
void acc_ldr(uint32_t va, uint32_t *v);
void acc_ldrt(uint32_t va, uint32_t *v);
void acc_ldm(uint32_t va, uint32_t *v);
void acc_str(uint32_t va, uint32_t v);
void acc_strt(uint32_t va, uint32_t v);
void acc_stm(uint32_t va, uint32_t v);
uint32_t acc_add(uint32_t va, uint32_t tries);
uint32_t acc_burst(uint32_t va, uint32_t n, uint32_t poison);
__asm__(".pushsection .text.acc,\"ax\",%progbits\n .syntax unified\n .arm\n .balign 4\n"
        ".macro FN n\n .global \\n\n .type \\n,%function\n\\n:\n.endm\n"
        " FN acc_ldr\n ldr r2, [r0]\n str r2, [r1]\n bx lr\n"
        " FN acc_ldrt\n ldrt r2, [r0]\n str r2, [r1]\n bx lr\n"
        " FN acc_ldm\n ldm r0, {r2, r3, r12}\n stm r1, {r2, r3, r12}\n bx lr\n"
        " FN acc_str\n str r1, [r0]\n bx lr\n"
        " FN acc_strt\n strt r1, [r0]\n bx lr\n"
        " FN acc_stm\n add r2, r1, #1\n add r3, r1, #2\n stm r0, {r1, r2, r3}\n bx lr\n"
        " FN acc_add\n1: ldrex r2, [r0]\n add r2, r2, #1\n strex r3, r2, [r0]\n cmp r3, #0\n"
        " moveq r0, #1\n bxeq lr\n subs r1, r1, #1\n bne 1b\n mov r0, #0\n bx lr\n"
        " FN acc_burst\n1: ldr r3, [r0]\n cmp r3, r2\n beq 2f\n subs r1, r1, #1\n bne 1b\n"
        " mov r0, #0\n bx lr\n2: mov r0, r2\n bx lr\n"
        " .popsection\n");

enum why { FINE, TRANSLATION, PERMISSION, OTHER };
struct outcome {
    enum why why;
    unsigned words;
    uint32_t v[3];
};

static void fail(enum bad bad, const struct op *op, uint32_t got, uint32_t want, uint32_t s1,
                 uint32_t s2)
{
    if (!atomic_cas(&failure.taken, 0, 1))
        return;
    failure.bad = bad;
    failure.op = op ? (unsigned)(op - program->op) : program->ops;
    failure.cpu = this_cpu()->index;
    failure.got = got;
    failure.want = want;
    failure.from = s1;
    failure.to = s2;
    failure.when = now();
    dmb();
}

static bool writes(const struct op *op)
{
    return op->op >= OP_STORE;
}

static bool as_user(const struct op *op)
{
    return op->user || op->op == OP_LDRT || op->op == OP_STRT;
}

static enum why cause(enum trap_kind t, uint32_t va)
{
    const struct trap *trap = &this_cpu()->trap;
    uint32_t fsr = t == TRAP_PABT ? trap->ifsr : trap->dfsr;
    uint32_t far = t == TRAP_PABT ? trap->ifar : trap->dfar;
    uint32_t status = LPAE ? fsr & 0x3c : FSR_FS(fsr);
    if (t == TRAP_NONE)
        return FINE;
    if ((t != TRAP_PABT && t != TRAP_DABT) || (far ^ va) >= PAGE_SIZE)
        return OTHER;
    if (LPAE ? status == 4 : status == FS_TRANS_SECTION || status == FS_TRANS_PAGE)
        return TRANSLATION;
    if (LPAE ? status == 12 : status == FS_PERM_SECTION || status == FS_PERM_PAGE)
        return PERMISSION;
    return OTHER;
}

static void perform(const struct op *op, uint32_t va, uint32_t value, struct outcome *out)
{
    const void *fn[OP_KINDS] = {
        [OP_LOAD] = (const void *)acc_ldr,    [OP_LDRT] = (const void *)acc_ldrt,
        [OP_LDM] = (const void *)acc_ldm,     [OP_EXEC] = (const void *)va,
        [OP_BURST] = (const void *)acc_burst, [OP_STORE] = (const void *)acc_str,
        [OP_STRT] = (const void *)acc_strt,   [OP_STM] = (const void *)acc_stm,
        [OP_ADD] = (const void *)acc_add,
    };
    bool reads = op->op == OP_LOAD || op->op == OP_LDRT || op->op == OP_LDM;
    uint32_t b = reads                ? (uint32_t)out->v
                 : op->op == OP_ADD   ? 64
                 : op->op == OP_BURST ? op->count
                                      : value;
    enum trap_kind t =
        op->user ? catch_user(fn[op->op], va, b, POISON) : catch_call(fn[op->op], va, b, POISON);
    out->why = cause(t, va);
    out->words = op->op == OP_LDM ? 3 : 1;
    if (!reads)
        out->v[0] = this_cpu()->result;
}

/* ---- the oracle ---- */
static enum why expected(const struct op *op, const struct state *st)
{
    if (st->kind == NONE)
        return TRANSLATION;
    if ((writes(op) && st->kind == RO) || (as_user(op) && st->kind == PRIV) ||
        (op->op == OP_EXEC && st->kind == DEVICE))
        return PERMISSION;
    return FINE;
}

static uint32_t word_of(const struct state *st, unsigned i)
{
    static const uint32_t id[3] = {0x0d, 0xf0, 0x05};
    return st->kind == DEVICE ? id[i] : i == 0 ? st->tag : i == 1 ? ~st->tag : st->tag ^ 0x55555555;
}

/* May the access end like this, as far as one state is concerned? */
static bool why_fits(const struct op *op, const struct state *st, const struct outcome *out)
{
    enum why want = expected(op, st);
    if (op->op == OP_ADD && want == PERMISSION && st->kind == RO && out->why == FINE && !out->v[0])
        return true; /* the store-exclusive failed before it looked at the rights */
    return out->why == want;
}

/* Word i of what was read, or the value that code returned, against the states a to b. */
static bool value_fits(const struct op *op, const struct slot *s, uint32_t a, uint32_t b,
                       const struct outcome *out, unsigned i)
{
    bool high = false, low = false;
    for (uint32_t k = a; k <= b; k++) {
        const struct state *st = &s->past[k % HISTORY];
        if (st->kind == NONE)
            continue;
        if (op->op != OP_EXEC && out->v[i] == word_of(st, i))
            return true;
        high |= out->v[0] >> 3 == st->code >> 3;
        low |= (out->v[0] & 7) == (st->code & 7);
    }
    return op->op == OP_EXEC && high && low; /* the branch of one state, the function of another */
}

static bool outcome_fits(const struct op *op, const struct slot *s, uint32_t s1, uint32_t s2,
                         const struct outcome *out)
{
    uint32_t a = s1 >> 1, b = (s2 + 1) >> 1;
    bool good = out->why == TRANSLATION && a != b; /* break before make */
    for (uint32_t k = a; k <= b && !good; k++)
        good = why_fits(op, &s->past[k % HISTORY], out);
    if (op->op == OP_BURST)
        return good && (out->why != FINE || out->v[0] != POISON);
    if (out->why == FINE && !writes(op))
        for (unsigned i = 0; i < out->words; i++)
            good &= value_fits(op, s, a, b, out, i);
    return good;
}

static void complain(const struct op *op, const struct slot *s, uint32_t s1, uint32_t s2,
                     const struct outcome *out)
{
    const struct state *st = &s->past[(s1 >> 1) % HISTORY];
    enum why want = expected(op, st);
    uint32_t value = op->op == OP_EXEC ? st->code : word_of(st, 0);
    enum bad bad = out->why != FINE && want == FINE   ? ABORT
                   : out->why == FINE && want != FINE ? NO_ABORT
                   : out->why != want                 ? CAUSE
                                                      : VALUE;
    if (out->why == FINE && !writes(op) && out->v[0] == POISON)
        bad = OLD_FRAME;
    fail(bad, op, out->why == FINE ? out->v[0] : (uint32_t)out->why, value, s1, s2);
}

/* The state was the same all the time and allowed it: the store is where the frame is. */
static void check_arrived(const struct op *op, const struct slot *s, uint32_t s1, uint32_t offset,
                          uint32_t value)
{
    const struct state *st = &s->past[(s1 >> 1) % HISTORY];
    uint32_t at = (uint32_t)frame_of(s, st->frame) + offset;
    for (unsigned i = 0; i < (op->op == OP_STM ? 3 : 1); i++) {
        uint32_t got = load32(at + 4 * i);
        dmb();
        if (got != value + i && s->seq == s1)
            fail(LOST_STORE, op, got, value + i, s1, s1);
    }
}

static void access_slot(unsigned cpu, const struct op *op)
{
    struct slot *s = &slots[op->slot];
    unsigned at = op->op == OP_ADD ? 0 : op->op == OP_EXEC ? op->at & 4 : op->at;
    uint32_t offset = probe_offset(s, at) + (op->op == OP_ADD    ? AT_COUNTER
                                             : op->op == OP_EXEC ? AT_CODE
                                             : writes(op)        ? AT_STORE(cpu)
                                                                 : AT_TAG);
    uint32_t value = rnd(&own[cpu].seed) >> 1;
    struct outcome out;
    uint32_t s1 = s->seq;
    dmb();
    isb();
    perform(op, s->va + offset, value, &out);
    dmb();
    uint32_t s2 = s->seq;
    bool stable = s1 == s2 && !(s1 & 1), good = outcome_fits(op, s, s1, s2, &out);
    dmb();
    own[cpu].checks++;
    own[cpu].strict += stable;
    if (!good && ((s->seq + 1) >> 1) - (s1 >> 1) < HISTORY - 2)
        complain(op, s, s1, s2, &out);
    if (op->op == OP_ADD)
        s->added[cpu] += out.why == FINE && out.v[0];
    else if (good && stable && writes(op) && out.why == FINE &&
             s->past[(s1 >> 1) % HISTORY].kind != DEVICE)
        check_arrived(op, s, s1, offset, value);
}

/* ---- frames, while they are out of reach ---- */
static void write_code(uint8_t *page, uint32_t code)
{
    volatile uint32_t *w = (uint32_t *)(page + AT_CODE);
    w[0] = 0xea000000u | ((32 + 8 * (code & 7) - 8) >> 2); /* b to one of the functions */
    for (unsigned i = 0; i < FUNCTIONS; i++) {
        uint32_t v = (code & ~7u) | i;
        w[8 + 2 * i] = 0xe3000000u | (v & 0xf000u) << 4 | (v & 0xfffu); /* movw r0, #v */
        w[9 + 2 * i] = 0xe12fff1e;                                      /* bx lr */
    }
}

/* Clean and invalidate what holds code, on all CPUs. */
static void sync_code(const struct slot *s, unsigned frame, uint32_t bytes, bool all)
{
    for (unsigned at = 0; at < probes(s); at += 4)
        for (uint32_t i = 0; i < bytes; i += 32)
            do_dccmvau((uint32_t)frame_of(s, frame) + probe_offset(s, at) + AT_CODE + i);
    dsb();
    for (unsigned at = 0; at < probes(s) && !all; at += 4)
        for (uint32_t i = 0; i < bytes; i += 32)
            do_icimvau((uint32_t)frame_of(s, frame) + probe_offset(s, at) + AT_CODE + i);
    if (all)
        do_icialluis(0);
    do_bpiallis(0);
    dsb();
    isb();
}

static void fill(struct slot *s, const struct state *st)
{
    for (unsigned at = 0; at < probes(s); at++) {
        uint8_t *page = frame_of(s, st->frame) + probe_offset(s, at);
        for (unsigned i = 0; i < 3; i++)
            *(volatile uint32_t *)(page + AT_TAG + 4 * i) = word_of(st, i);
        for (unsigned c = 0; c < cpus_used; c++)
            for (unsigned i = 0; i < 3; i++)
                *(volatile uint32_t *)(page + AT_STORE(c) + 4 * i) = 0;
        if (s->def.code && !(at & 3))
            write_code(page, st->code);
    }
    *(volatile uint32_t *)(frame_of(s, st->frame) + AT_COUNTER) = s->counter;
    if (s->def.code)
        sync_code(s, st->frame, 32 + 8 * FUNCTIONS, st->tag & 1);
}

static void poison(struct slot *s, unsigned frame)
{
    for (unsigned at = 0; at < probes(s); at++) {
        uint8_t *page = frame_of(s, frame) + probe_offset(s, at);
        for (unsigned i = 0; i < 3; i++)
            *(volatile uint32_t *)(page + AT_TAG + 4 * i) = POISON;
        for (unsigned c = 0; c < cpus_used; c++)
            for (unsigned i = 0; i < 3; i++)
                *(volatile uint32_t *)(page + AT_STORE(c) + 4 * i) = POISON;
        if (s->def.code)
            *(volatile uint32_t *)(page + AT_CODE) = POISON;
    }
    *(volatile uint32_t *)(frame_of(s, frame) + AT_COUNTER) = POISON;
}

static void check_poison(const struct slot *s, unsigned frame, const struct op *op)
{
    uint32_t got = load32((uint32_t)frame_of(s, frame) + AT_COUNTER);
    for (unsigned at = 0; at < probes(s) && got == POISON; at++) {
        uint32_t page = (uint32_t)frame_of(s, frame) + probe_offset(s, at);
        got = load32(page + AT_TAG);
        for (unsigned c = 0; c < cpus_used && got == POISON; c++)
            for (unsigned i = 0; i < 3 && got == POISON; i++)
                got = load32(page + AT_STORE(c) + 4 * i);
    }
    if (got != POISON)
        fail(OLD_STORE, op, got, POISON, s->seq, s->seq);
}

/* ---- changes ---- */
static void begin(struct slot *s, const struct state *next)
{
    s->past[((s->seq >> 1) + 1) % HISTORY] = *next;
    dmb();
    s->seq++;
    dmb();
}

static void end(struct slot *s, const struct state *next)
{
    s->now = *next;
    dmb();
    s->seq++;
    dmb();
}

static void take_away(struct slot *s, const struct op *op)
{
    static const struct state none;
    entries_write(s, &none);
    invalidate(s, op->way, op->at);
    if (s->now.kind == DEVICE)
        return;
    s->counter = load32((uint32_t)frame_of(s, s->now.frame) + AT_COUNTER);
    poison(s, s->now.frame);
}

static void move(struct slot *s, const struct op *op)
{
    enum kind kind = op->op == OP_MAP ? (enum kind)op->kind : op->op == OP_DEVICE ? DEVICE : NONE;
    uint32_t gen = ++s->gen;
    struct state next = {kind, (gen << 3 | op->slot) & 0x7fffffff,
                         (gen << 3 & 0xfff8) | op->arg % FUNCTIONS, op->frame & 1};
    if (kind == DEVICE && s->def.class != SMALL)
        return;
    begin(s, &next);
    if (s->now.kind != NONE)
        take_away(s, op);
    check_poison(s, 0, op);
    check_poison(s, 1, op);
    if (kind != NONE) {
        s->leaf = op->leaf;
        s->global = op->global && s->def.space == COMMON;
        if (kind != DEVICE)
            fill(s, &next);
        entries_write(s, &next);
    }
    end(s, &next);
}

static void change(unsigned cpu, const struct op *op)
{
    struct slot *s = &slots[op->slot];
    struct state next = s->now;
    own[cpu].changes++;
    if (op->op != OP_PROTECT && op->op != OP_PATCH) {
        move(s, op);
        return;
    }
    if (s->now.kind == NONE || s->now.kind == DEVICE || (op->op == OP_PATCH && !s->def.code))
        return;
    if (op->op == OP_PROTECT) {
        next.kind = (enum kind)op->kind;
        begin(s, &next);
        entries_write(s, &next);
        invalidate(s, op->way, op->at);
    } else {
        next.code = (s->now.code & ~7u) | op->arg % FUNCTIONS;
        begin(s, &next);
        for (unsigned at = 0; at < probes(s); at += 4)
            *(volatile uint32_t *)(frame_of(s, next.frame) + probe_offset(s, at) + AT_CODE) =
                0xea000000u | ((32 + 8 * (next.code & 7) - 8) >> 2);
        sync_code(s, next.frame, 4, op->at & 1);
    }
    end(s, &next);
}

/* ---- running a program ---- */
static void step(unsigned cpu, const struct op *op)
{
    if (op->op == OP_SYNC) {
        barrier_wait(&gate);
        return;
    }
    if (failure.taken)
        return;
    if (op->op == OP_SPACE) {
        own[cpu].space = op->arg % SPACES;
        space_enter(own[cpu].space);
    } else if (op->op == OP_PAUSE) {
        for (volatile uint32_t i = op->count; i; i--)
            ;
    } else if (op->op < OP_SPACE) {
        change(cpu, op);
    } else {
        unsigned space = slots[op->slot].def.space;
        if (space != COMMON && space != own[cpu].space) {
            own[cpu].space = space;
            space_enter(space);
        }
        uint32_t n = op->op == OP_BURST ? op->count != 0 : op->count;
        for (uint32_t i = 0; i < n && !failure.taken; i++)
            access_slot(cpu, op);
    }
}

static bool another_round(unsigned cpu)
{
    bool more = now() < deadline && !failure.taken;
    own[cpu].rounds++;
    if (!meets)
        return more;
    barrier_wait(&gate);
    if (cpu == 0)
        go_on = more;
    barrier_wait(&gate);
    return go_on;
}

static void worker(unsigned cpu, void *arg)
{
    (void)arg;
    own[cpu].space = cpu % SPACES;
    space_begin(own[cpu].space);
    gic_init_cpu();
    this_cpu()->irq = on_irq;
    irq_enable();
    barrier_wait(&gate);
    do {
        for (unsigned i = 0; i < program->ops; i++)
            if (program->op[i].cpu == cpu || program->op[i].cpu == EVERYBODY)
                step(cpu, &program->op[i]);
    } while (another_round(cpu));
    barrier_wait(&gate); /* others may still wait for our answer */
    irq_disable();
    space_leave();
}

/* A program comes from a file that people edit. */
static void load(const uint32_t *at)
{
    program = (const struct program *)at;
    if (program->slots > SLOTS_MAX || !program->cpus || program->cpus > smp_cpus())
        bail("a program for %u CPUs with %u slots", (unsigned)program->cpus,
             (unsigned)program->slots);
    memset(slots, 0, sizeof(slots));
    tables_clear();
    cpus_used = program->cpus;
    meets = false;
    failure.taken = 0;
    for (unsigned i = 0; i < program->slots; i++) {
        struct slot *s = &slots[i];
        s->def = program->slot[i];
        s->va = VA + i * SLOT_SIZE;
        if (s->def.class > SUPER || (s->def.class == SUPER && i) ||
            (s->def.space != COMMON && s->def.space >= SPACES))
            bail("slot %u is not possible", i);
        poison(s, 0);
        poison(s, 1);
    }
    for (unsigned i = 0; i < program->ops; i++) {
        const struct op *op = &program->op[i];
        meets |= op->op == OP_SYNC;
        if (op->op >= OP_KINDS || (op->cpu >= cpus_used && op->cpu != EVERYBODY) ||
            (op->slot >= program->slots && (op->op < OP_SPACE || op->op > OP_SYNC)))
            bail("operation %u is not possible", i);
    }
}

static void check_end(struct slot *s)
{
    uint32_t sum = 0;
    if (s->now.kind != NONE && s->now.kind != DEVICE)
        s->counter = load32((uint32_t)frame_of(s, s->now.frame) + AT_COUNTER);
    else
        check_poison(s, s->now.frame, NULL);
    check_poison(s, !s->now.frame, NULL);
    for (unsigned i = 0; i < cpus_used; i++)
        sum += s->added[i];
    if (sum != s->counter)
        fail(COUNT, NULL, s->counter, sum, s->seq, s->seq);
}

static void report(unsigned number)
{
    uint32_t rounds = 0, checks = 0, strict = 0, changes = 0;
    for (unsigned i = 0; i < cpus_used; i++) {
        rounds += own[i].rounds;
        checks += own[i].checks;
        strict += own[i].strict;
        changes += own[i].changes;
    }
    tap_diag("program %u: %u rounds, %u accesses (%u with one legal outcome), %u changes", number,
             (unsigned)rounds, (unsigned)checks, (unsigned)strict, (unsigned)changes);
    if (!failure.taken) {
        tap_ok(true, "program %u", number);
        return;
    }
    tap_ok(false, "program %u operation %u: CPU %u %s", number, failure.op + 1, failure.cpu,
           bad_names[failure.bad]);
    tap_diag("failed after %u ms", (unsigned)(failure.when - started) / ticks_per_ms());
    tap_diag("got 0x%x, want 0x%x or what states %u to %u allow", (unsigned)failure.got,
             (unsigned)failure.want, (unsigned)failure.from, (unsigned)failure.to);
}

/* Programs are to run for so long; on a starved host the last ones are left out. */
static uint64_t time_for_all(void)
{
    const uint32_t *at = blob.data;
    uint64_t ms = 3000;
    for (unsigned i = 0; i < blob.programs; i++) {
        const struct program *p = (const struct program *)at;
        ms += 3 * (uint64_t)p->ms;
        at = (const uint32_t *)&p->op[p->ops];
    }
    return now() + ms * ticks_per_ms();
}

static void run_program(unsigned number, const uint32_t *at, unsigned n)
{
    load(at);
    memset(own, 0, sizeof(own));
    for (unsigned c = 0; c < n; c++)
        own[c].seed = number * 0x9e3779b9u + c * 0x7f4a7c15u + 1;
    barrier_init(&gate, cpus_used);
    started = now();
    deadline = started + (uint64_t)program->ms * ticks_per_ms();
    smp_run_all(cpus_used, worker, NULL);
    for (unsigned s = 0; s < program->slots; s++)
        check_end(&slots[s]);
    report(number);
}

void payload_main(void)
{
    const uint32_t *at = blob.data;
    unsigned n = smp_start(MAX_CPUS);
    uint64_t end;
    /* Written from outside: the compiler must not take it for the zero it sees. */
    __asm__ volatile("" : : "r"(&blob) : "memory");
    if (!blob.programs)
        bail("no program in the image; umbra-stress random writes them");
    end = time_for_all();
    tables_make();
    gic_init_dist();
    for (unsigned i = 1; i <= blob.programs; i++) {
        const struct program *p = (const struct program *)at;
        if (i == 1 || now() < end)
            run_program(i, at, n);
        else
            tap_skip("program", "the host is too slow");
        at = (const uint32_t *)&p->op[p->ops];
    }
}
