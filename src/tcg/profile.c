/* SPDX-License-Identifier: MIT */
/*
 * -d tb-stats: how often each block was run, and the lists of the hottest blocks and functions made
 * of it. Generated code increments tb_runs() at the entry of a block; when blocks are evicted
 * their counts move to the vCPU's past, a table that is kept. Blocks are the
 * same when physical address, virtual address, instruction set and privilege are.
 *
 * Threads: a vCPU's counts and past are its own; the lists are made while all are parked or ended.
 */
#include "tcg/profile.h"

#include "base/log.h"
#include "base/symbols.h"
#include "tcg/tcg_internal.h"
#include "vcpu/vcpu.h"
#include "vm.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define KEY_FLAGS      (EXEC_T | EXEC_PRIV)
#define FIRST_ROOM     4096u
#define COUNTING_INSNS 2 /* at the entry, so that there is something to list */

struct entry {
    gpa_t gpa;
    gva_t pc;
    const char *name; /* of a function: its symbol; the other keys are 0 then */
    uint32_t flags;
    uint32_t insns, host_bytes; /* of the latest translation */
    uint32_t translations;
    uint32_t host_insns; /* the same, on the straight path */
    uint64_t runs, run_insns, run_host;
    uint64_t region_insns; /* of run_insns, in regions */
};

struct profile {
    struct entry *entry; /* open hash, translations = 0: free */
    size_t room, used;
    uint64_t lost; /* blocks there was no memory for */
};

static size_t hash(const struct entry *e)
{
    uint64_t h = e->gpa * 0x9e3779b97f4a7c15u ^ (e->pc + e->flags) * 0x165667b19e3779f9u ^
                 (uint64_t)(uintptr_t)e->name * 0xd6e8feb86659fd93u;

    return (size_t)(h >> 20);
}

static struct entry *slot_of(const struct profile *p, const struct entry *e)
{
    for (size_t i = hash(e);; i++) {
        struct entry *s = &p->entry[i & (p->room - 1)];

        if (!s->translations ||
            (s->gpa == e->gpa && s->pc == e->pc && s->flags == e->flags && s->name == e->name))
            return s;
    }
}

static bool grow(struct profile *p)
{
    struct profile bigger = {.room = p->room ? 2 * p->room : FIRST_ROOM, .used = p->used};

    bigger.entry = calloc(bigger.room, sizeof(*bigger.entry));
    if (!bigger.entry)
        return false;
    for (size_t i = 0; i < p->room; i++)
        if (p->entry[i].translations)
            *slot_of(&bigger, &p->entry[i]) = p->entry[i];
    free(p->entry);
    p->entry = bigger.entry;
    p->room = bigger.room;
    return true;
}

static void add(struct profile *p, const struct entry *e)
{
    struct entry *s;

    if (p->used * 2 >= p->room && !grow(p)) {
        p->lost++;
        return;
    }
    s = slot_of(p, e);
    if (!s->translations) {
        *s = *e;
        p->used++;
        return;
    }
    s->insns = e->insns;
    s->host_bytes = e->host_bytes;
    s->host_insns = e->host_insns;
    s->translations += e->translations;
    s->runs += e->runs;
    s->run_insns += e->run_insns;
    s->run_host += e->run_host;
    s->region_insns += e->region_insns;
}

static void add_block(struct profile *p, const struct tb *tb)
{
    uint64_t runs = tb->profiled ? *tb_runs(tb) : 0;
    unsigned host = runs ? tcg_host_insns(tb) - COUNTING_INSNS : 0;

    add(p, &(struct entry){.gpa = tb_gpa(tb),
                           .pc = tb->pc,
                           .flags = tb->exec_flags & KEY_FLAGS,
                           .insns = tb->n_insns,
                           .host_bytes = tb->host_bytes,
                           .host_insns = host,
                           .translations = 1,
                           .runs = runs,
                           .run_host = runs * host,
                           .region_insns = tb->region ? runs * tb->n_insns : 0,
                           .run_insns = runs * tb->n_insns});
}

static void add_blocks(struct profile *p, const struct code_segment *s)
{
    for (uint32_t i = 0; i < s->nblocks; i++)
        add_block(p, s->by_code[i]);
}

void profile_keep(struct tcg *t, const struct code_segment *s)
{
    if (!log_on(LOG_TB_STATS))
        return;
    if (!t->past)
        t->past = calloc(1, sizeof(*t->past));
    if (t->past)
        add_blocks(t->past, s);
}

void profile_free(struct tcg *t)
{
    if (t->past)
        free(t->past->entry);
    free(t->past);
    t->past = NULL;
}

static void gather(struct profile *p, const struct vcpu *v)
{
    const struct profile *past = v->tcg->past;

    for (size_t i = 0; past && i < past->room; i++)
        if (past->entry[i].translations)
            add(p, &past->entry[i]);
    p->lost += past ? past->lost : 0;
    for (unsigned i = 0; i < v->tcg->nsegments; i++)
        add_blocks(p, &v->tcg->segment[i]);
}

/* ---- lists ---- */
static int by_heat(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    if (x->run_insns != y->run_insns)
        return x->run_insns < y->run_insns ? 1 : -1;
    return x->pc < y->pc ? -1 : x->pc > y->pc;
}

/* The table becomes a list without holes, hottest first. */
static void sort(struct profile *p)
{
    size_t n = 0;

    for (size_t i = 0; i < p->room; i++)
        if (p->entry[i].translations)
            p->entry[n++] = p->entry[i];
    p->used = n;
    if (n)
        qsort(p->entry, n, sizeof(*p->entry), by_heat);
}

/* Of everything, or of the blocks of one privilege. */
static struct entry totals(const struct profile *p, const uint32_t *privilege)
{
    struct entry sum = {0};

    for (size_t i = 0; i < p->used; i++) {
        if (privilege && (p->entry[i].flags & EXEC_PRIV) != *privilege)
            continue;
        sum.runs += p->entry[i].runs;
        sum.run_insns += p->entry[i].run_insns;
        sum.run_host += p->entry[i].run_host;
        sum.region_insns += p->entry[i].region_insns;
        sum.translations += p->entry[i].translations;
    }
    return sum;
}

static double percent(uint64_t part, uint64_t all)
{
    return all ? 100.0 * (double)part / (double)all : 0;
}

static const char *mode_name(uint32_t flags)
{
    if (flags & EXEC_PRIV)
        return flags & EXEC_T ? "priv/T" : "priv";
    return flags & EXEC_T ? "user/T" : "user";
}

static double ratio(uint64_t a, uint64_t b)
{
    return b ? (double)a / (double)b : 0;
}

/* How much host code an instruction takes, without slow paths, helpers and the run loop. */
static void print_density(const struct profile *p, FILE *f)
{
    const uint32_t modes[] = {0, EXEC_PRIV};

    for (unsigned k = 0; k < ARRAY_SIZE(modes); k++) {
        struct entry sum = totals(p, &modes[k]);

        fprintf(f,
                "%s: %" PRIu64 " instructions, %.1f in a run, %.2f host instructions for one, "
                "%.1f%% in regions\n",
                mode_name(modes[k]), sum.run_insns, ratio(sum.run_insns, sum.runs),
                ratio(sum.run_host, sum.run_insns), percent(sum.region_insns, sum.run_insns));
    }
}

static void print_blocks(const struct profile *p, const struct entry *sum, unsigned top, FILE *f)
{
    uint64_t so_far = 0;

    fprintf(f,
            "hottest guest blocks: %" PRIu64 " instructions in %" PRIu64 " runs of %zu blocks, "
            "translated %u times\n",
            sum->run_insns, sum->runs, p->used, sum->translations);
    print_density(p, f);
    fprintf(f, "  share    sum           runs insns  host bytes  xlat where\n");
    for (size_t i = 0; i < p->used && i < top && p->entry[i].runs; i++) {
        const struct entry *e = &p->entry[i];
        char name[160];

        so_far += e->run_insns;
        fprintf(f, "%6.2f%% %5.1f%% %14" PRIu64 " %5u %5u %5u %5u %-6s %08" PRIx64 "%s\n",
                percent(e->run_insns, sum->run_insns), percent(so_far, sum->run_insns), e->runs,
                e->insns, e->host_insns, e->host_bytes, e->translations, mode_name(e->flags), e->pc,
                symbols_format(e->pc, name, sizeof(name)));
    }
    if (p->lost)
        fprintf(f, "no memory for the counts of %" PRIu64 " blocks\n", p->lost);
}

/* Blocks without a name count for "no symbol" of their privilege. */
static bool by_function(const struct profile *blocks, struct profile *out)
{
    bool named = false;

    for (size_t i = 0; i < blocks->used; i++) {
        const struct entry *b = &blocks->entry[i];
        uint32_t offset = 0;
        struct entry e = {.flags = b->flags & EXEC_PRIV,
                          .translations = b->translations,
                          .runs = b->runs,
                          .run_insns = b->run_insns};

        e.name = symbols_find(b->pc, &offset);
        e.pc = e.name ? b->pc - offset : 0;
        named |= e.name != NULL;
        add(out, &e);
    }
    sort(out);
    return named;
}

static void print_functions(const struct profile *blocks, const struct entry *sum, unsigned top,
                            FILE *f)
{
    struct profile p = {0};

    if (by_function(blocks, &p)) {
        fprintf(f, "hottest guest functions\n  share           runs  xlat where\n");
        for (size_t i = 0; i < p.used && i < top && p.entry[i].runs; i++) {
            const struct entry *e = &p.entry[i];

            fprintf(f, "%6.2f%% %14" PRIu64 " %5u %-4s %08" PRIx64 "%s%s\n",
                    percent(e->run_insns, sum->run_insns), e->runs, e->translations,
                    mode_name(e->flags), e->pc, e->name ? ":" : " no symbol",
                    e->name ? e->name : "");
        }
    }
    free(p.entry);
}

void tcg_profile_dump_stopped(struct vcpu *v, unsigned top, FILE *f)
{
    struct profile p = {0};
    struct entry sum;

    gather(&p, v);
    sort(&p);
    sum = totals(&p, NULL);
    print_blocks(&p, &sum, top, f);
    free(p.entry);
}

static void gather_all(const struct vm *vm, struct profile *p)
{
    for (unsigned i = 0; i < vm->ncpus; i++)
        gather(p, vm->cpu[i]);
    sort(p);
}

void tcg_profile_log(const struct vm *vm)
{
    struct profile p = {0};
    struct entry sum;
    FILE *f;

    if (!log_on(LOG_TB_STATS))
        return;
    gather_all(vm, &p);
    sum = totals(&p, NULL);
    f = log_begin();
    print_blocks(&p, &sum, PROFILE_TOP, f);
    print_functions(&p, &sum, PROFILE_TOP, f);
    log_end(f);
    free(p.entry);
}

void tcg_profile_json(const struct vm *vm, FILE *f)
{
    struct profile p = {0};

    if (!log_on(LOG_TB_STATS))
        return;
    gather_all(vm, &p);
    fprintf(f, ",\n  \"hot_blocks\": [");
    for (size_t i = 0; i < p.used && i < PROFILE_TOP && p.entry[i].runs; i++) {
        const struct entry *e = &p.entry[i];
        uint32_t offset = 0;
        const char *name = symbols_find(e->pc, &offset);

        fprintf(f,
                "%s\n    {\"pc\": %" PRIu64 ", \"mode\": \"%s\", \"runs\": %" PRIu64
                ", \"insns\": %u, \"host_insns\": %u, \"host_bytes\": %u, \"translations\": %u",
                i ? "," : "", e->pc, mode_name(e->flags), e->runs, e->insns, e->host_insns,
                e->host_bytes, e->translations);
        if (name && !strpbrk(name, "\"\\"))
            fprintf(f, ", \"symbol\": \"%s\", \"offset\": %u", name, offset);
        fputc('}', f);
    }
    fprintf(f, "\n  ]");
    free(p.entry);
}
