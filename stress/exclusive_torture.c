/* SPDX-License-Identifier: MIT */
/*
 * Torture of the exclusive monitor: threads that stand for vCPUs run the guest's classic LL/SC
 * algorithms on shared words through exclusive_*_at().
 *
 *  counters  every size, neighbours in one granule: no increment is lost, no neighbour is touched
 *  stack     a lock-free stack of indices without tags, the victim of ABA when STREX is a plain
 *            compare-and-swap: every node is owned by one thread at a time, none is lost
 *  swap      tokens change hands by SWP against LL/SC of the same word: the set of tokens stays
 *
 * usage: stress_exclusive_torture [rounds [threads]]   (default 20000, 4)
 */
#include "tcg/ir/ir.h"
#include "vcpu/exclusive.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_THREADS 16
#define NODES       24
#define NIL         0u
#define BASE_GPA    0x40000000u

static struct {
    _Alignas(64) uint64_t words[8]; /* the counters: byte, half, word, double in each half */
    _Alignas(64) uint32_t head;     /* stack: index of the top node, NIL = empty */
    uint32_t next[NODES + 1];
    _Alignas(64) uint32_t cell; /* swap: a token */
} ram;

static _Atomic int owner[NODES + 1]; /* 0: in the stack, else thread + 1 */
static _Atomic unsigned errors;
static unsigned rounds = 20000, nthreads = 4;
static uint64_t retries[MAX_THREADS];
static unsigned pops[MAX_THREADS];

struct torture {
    const char *name;
    void (*setup)(void);
    void (*run)(struct vcpu *v, unsigned self);
    void (*check)(void);
};
static const struct torture *current;

static void fail(const char *what, uint64_t got, uint64_t want)
{
    fprintf(stderr, "%s: %s: %llu, expected %llu\n", current->name, what, (unsigned long long)got,
            (unsigned long long)want);
    atomic_fetch_add(&errors, 1);
}

static gpa_t gpa_of(const void *p)
{
    return BASE_GPA + (gpa_t)((const char *)p - (const char *)&ram);
}

static uint64_t load(struct vcpu *v, const void *p, unsigned size)
{
    return exclusive_load_at(v, p, gpa_of(p), size);
}

static bool store(struct vcpu *v, void *p, unsigned size, uint64_t value)
{
    bool ok = exclusive_store_at(v, p, gpa_of(p), size, value);

    if (!ok) {
        retries[v->index]++;
    }
    return ok;
}

/* ---- counters ---- */
static void counters_setup(void)
{
    memset(ram.words, 0, sizeof(ram.words));
}

static void counters_run(struct vcpu *v, unsigned self)
{
    (void)self;
    for (unsigned i = 0; i < rounds; i++) {
        unsigned size = i & 3;
        char *p = (char *)&ram.words[size];
        uint64_t value;

        do {
            value = load(v, p, size);
        } while (!store(v, p, size, value + 1));
    }
}

static void counters_check(void)
{
    for (unsigned size = 0; size < 4; size++) {
        uint64_t total = 0, mask = size == 3 ? ~0ull : (1ull << (8u << size)) - 1;

        for (unsigned i = size; i < rounds; i += 4) {
            total += nthreads;
        }
        if (ram.words[size] != (total & mask)) {
            fail("counter", ram.words[size], total & mask);
        }
    }
}

/* ---- stack ---- */
static void push(struct vcpu *v, uint32_t node)
{
    uint32_t top;

    do {
        top = (uint32_t)load(v, &ram.head, MEMOP_32);
        __atomic_store_n(&ram.next[node], top, __ATOMIC_RELAXED);
    } while (!store(v, &ram.head, MEMOP_32, node));
}

/* Between LDREX and STREX others may pop the node, push another and push the node back. */
static uint32_t pop(struct vcpu *v)
{
    uint32_t top, next;

    do {
        top = (uint32_t)load(v, &ram.head, MEMOP_32);
        if (top == NIL) {
            exclusive_clear(v);
            return NIL;
        }
        next = __atomic_load_n(&ram.next[top], __ATOMIC_RELAXED);
        if (++pops[v->index] % 16 == 0) {
            sched_yield(); /* open the window wide, whatever the host's processors do */
        }
    } while (!store(v, &ram.head, MEMOP_32, next));
    return top;
}

static void stack_setup(void)
{
    ram.head = NIL;
    for (unsigned i = 1; i <= NODES; i++) {
        ram.next[i] = ram.head;
        ram.head = i;
        atomic_store(&owner[i], 0);
    }
}

static void take(uint32_t node, unsigned self)
{
    int expected = 0;

    if (!atomic_compare_exchange_strong(&owner[node], &expected, (int)self + 1)) {
        fail("popped node has an owner", (uint64_t)expected, 0);
    }
}

static void stack_run(struct vcpu *v, unsigned self)
{
    for (unsigned i = 0; i < rounds && atomic_load(&errors) == 0; i++) {
        uint32_t held[3];
        unsigned n = 0;

        while (n < 3 && (held[n] = pop(v)) != NIL) {
            take(held[n++], self);
        }
        /* The first one popped goes back last but one: the top comes back with another successor.
         */
        for (unsigned k = 0; k < n; k++) {
            atomic_store(&owner[held[k]], 0);
            push(v, held[k]);
        }
    }
}

static void stack_check(void)
{
    unsigned n = 0;

    for (uint32_t i = ram.head; i != NIL && n <= NODES; i = ram.next[i]) {
        n++;
    }
    if (n != NODES) {
        fail("nodes in the stack", n, NODES);
    }
}

/* ---- swap ---- */
static uint64_t token_sum[MAX_THREADS];

static void swap_setup(void)
{
    ram.cell = 1000;
}

/* Half of the threads exchange their token by SWP, half by LL/SC. */
static void swap_run(struct vcpu *v, unsigned self)
{
    uint64_t token = self;

    for (unsigned i = 0; i < rounds; i++) {
        uint64_t old;

        if (self & 1) {
            old = exclusive_swap_at(&ram.cell, gpa_of(&ram.cell), MEMOP_32, token);
        } else {
            do {
                old = load(v, &ram.cell, MEMOP_32);
            } while (!store(v, &ram.cell, MEMOP_32, token));
        }
        token = old;
    }
    token_sum[self] = token;
}

static void swap_check(void)
{
    uint64_t got = ram.cell, want = 1000;

    for (unsigned i = 0; i < nthreads; i++) {
        got += token_sum[i];
        want += i;
    }
    if (got != want) {
        fail("sum of tokens", got, want);
    }
}

static const struct torture tortures[] = {
    {"counters", counters_setup, counters_run, counters_check},
    {"stack", stack_setup, stack_run, stack_check},
    {"swap", swap_setup, swap_run, swap_check},
};

static void *thread_main(void *arg)
{
    struct vcpu *v = arg;

    current->run(v, v->index);
    return NULL;
}

static void run_torture(const struct torture *t)
{
    pthread_t thread[MAX_THREADS];
    struct vcpu *v[MAX_THREADS];
    uint64_t failed = 0;

    current = t;
    memset(retries, 0, sizeof(retries));
    t->setup();
    for (unsigned i = 0; i < nthreads; i++) {
        v[i] =
            aligned_alloc(CACHE_LINE, (sizeof(struct vcpu) + CACHE_LINE - 1) & ~(CACHE_LINE - 1ul));
        if (!v[i]) {
            exit(2);
        }
        v[i]->index = i;
        v[i]->excl.armed = false;
        if (pthread_create(&thread[i], NULL, thread_main, v[i])) {
            exit(2);
        }
    }
    for (unsigned i = 0; i < nthreads; i++) {
        pthread_join(thread[i], NULL);
        free(v[i]);
        failed += retries[i];
    }
    t->check();
    printf("%-9s %u threads x %u rounds, %llu failed STREX\n", t->name, nthreads, rounds,
           (unsigned long long)failed);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        rounds = (unsigned)strtoul(argv[1], NULL, 0);
    }
    if (argc > 2) {
        nthreads = (unsigned)strtoul(argv[2], NULL, 0);
    }
    if (nthreads < 1 || nthreads > MAX_THREADS || rounds < 1) {
        fprintf(stderr, "usage: %s [rounds [threads: 1..%d]]\n", argv[0], MAX_THREADS);
        return 2;
    }
    for (size_t i = 0; i < ARRAY_SIZE(tortures); i++) {
        run_torture(&tortures[i]);
    }
    return atomic_load(&errors) ? 1 : 0;
}
