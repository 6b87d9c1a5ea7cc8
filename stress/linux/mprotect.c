/* SPDX-License-Identifier: MIT */
/*
 * mprotect() against loads and stores of other threads: a page of eight is made inaccessible,
 * read-only, writable, one or several at a time. Each thread stores to words of its own. While the
 * state of a page stands still an access does what its protection says and nothing else.
 */
#include "common.h"

#define PAGES 8u

static uint8_t *area;
static uint32_t seed;
static _Atomic uint32_t
    state[PAGES]; /* changes << 3 | changing | protection: 0, 1, 3 (as PROT_*) */
#define CHANGING 4u

enum { ALLOWED, REFUSED, VALUE, VERDICTS };
static struct verdict verdict[VERDICTS] = {
    {.name = "what is forbidden faults"},
    {.name = "what is allowed does not"},
    {.name = "a load gives what was stored last"},
};

static void change(void)
{
    static const int prots[4] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE,
                                 PROT_READ | PROT_WRITE};
    uint32_t r = dice(&seed), first = r % PAGES, n = 1 + (r >> 8 & 3);
    int prot = prots[r >> 16 & 3];
    if (first + n > PAGES)
        n = PAGES - first;
    for (uint32_t i = first; i < first + n; i++)
        atomic_store(&state[i], (atomic_load(&state[i]) + 8) | CHANGING);
    if (mprotect(area + first * PAGE, n * PAGE, prot))
        give_up("mprotect");
    for (uint32_t i = first; i < first + n; i++)
        atomic_store(&state[i], (atomic_load(&state[i]) & ~7u) | (uint32_t)prot);
}

static void *use(void *arg)
{
    uint32_t me = (uint32_t)(uintptr_t)arg, mine[PAGES] = {0};
    uint32_t r = run_seed * 0x9e3779b9u + me;
    while (!atomic_load(&run_over)) {
        uint32_t page = dice(&r) % PAGES, got = 0, want = mine[page];
        bool store = dice(&r) & 0x100;
        uintptr_t at = (uintptr_t)area + page * PAGE + 64 * me;
        uint32_t before = atomic_load(&state[page]);
        bool fault = store ? store_faults(at, r) : load_faults(at, &got);
        if (store && !fault)
            mine[page] = r;
        atomic_fetch_add(&checks, 1);
        if (!store && !fault && got != want)
            wrong(&verdict[VALUE], got);
        if (before != atomic_load(&state[page]) || before & CHANGING)
            continue;
        bool may = before & (store ? PROT_WRITE : PROT_READ);
        atomic_fetch_add(&strict, 1);
        if (may && fault)
            wrong(&verdict[REFUSED], before);
        if (!may && !fault)
            wrong(&verdict[ALLOWED], before);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    seed = run_seed;
    area = map(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (unsigned i = 0; i < PAGES; i++)
        atomic_store(&state[i], PROT_READ | PROT_WRITE);
    run_all(change, use);
    return finish(verdict, VERDICTS);
}
