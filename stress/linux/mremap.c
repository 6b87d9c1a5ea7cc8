/* SPDX-License-Identifier: MIT */
/*
 * mremap() against loads and stores of other threads: a page moves between two places. When a move
 * has returned the old place faults and the new one holds what was written last at the old one:
 * each thread counts in a word of its own, wherever the page is, and none of its stores may be lost
 * on the way.
 */
#include "common.h"

#define PAGES 4u

static uint8_t *place[2];
static uint32_t seed;
static _Atomic uint32_t state[PAGES]; /* moves << 1 | changing; moves odd: at place 1 */

enum { ALLOWED, REFUSED, VALUE, VERDICTS };
static struct verdict verdict[VERDICTS] = {
    {.name = "the old place faults"},
    {.name = "the new place does not"},
    {.name = "no store is lost in a move"},
};

static void change(void)
{
    uint32_t page = dice(&seed) % PAGES, old = atomic_load(&state[page]), from = old >> 1 & 1;
    atomic_store(&state[page], old | 1);
    if (mremap(place[from] + page * PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
               place[!from] + page * PAGE) == MAP_FAILED)
        give_up("mremap");
    atomic_store(&state[page], old + 2);
}

static void *use(void *arg)
{
    uint32_t me = (uint32_t)(uintptr_t)arg, r = run_seed * 0x9e3779b9u + me, mine[PAGES] = {0};
    while (!atomic_load(&run_over)) {
        uint32_t page = dice(&r) % PAGES, got = 0, where = dice(&r) >> 8 & 1;
        bool store = dice(&r) & 0x100;
        uintptr_t at = (uintptr_t)place[where] + page * PAGE + 64 * me;
        uint32_t before = atomic_load(&state[page]);
        bool fault = store ? store_faults(at, mine[page] + 1) : load_faults(at, &got);
        mine[page] += store && !fault;
        atomic_fetch_add(&checks, 1);
        if (!store && !fault && got != mine[page])
            wrong(&verdict[VALUE], got);
        if (before != atomic_load(&state[page]) || before & 1)
            continue;
        atomic_fetch_add(&strict, 1);
        if ((before >> 1 & 1) == where && fault)
            wrong(&verdict[REFUSED], before);
        if ((before >> 1 & 1) != where && !fault)
            wrong(&verdict[ALLOWED], got);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    seed = run_seed;
    place[0] = island(PAGES);
    place[1] = island(PAGES);
    if (mprotect(place[0], PAGES * PAGE, PROT_READ | PROT_WRITE) || munmap(place[1], PAGES * PAGE))
        give_up("two places");
    run_all(change, use);
    return finish(verdict, VERDICTS);
}
