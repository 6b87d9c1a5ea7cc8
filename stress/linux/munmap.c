/* SPDX-License-Identifier: MIT */
/*
 * munmap() and mmap() over what is there, against loads and stores of other threads. A page shows
 * one of two pages of a memfd, or nothing. What is not shown holds poison, seen through a second
 * mapping: a load of poison, or poison that changed, went through an old translation.
 */
#include "common.h"

#define PAGES  8u
#define FRAMES 2u

static uint8_t *area, *frames; /* frame f of page p: frames + (p * FRAMES + f) * PAGE */
static int fd;
static uint32_t seed, shown[PAGES];   /* FRAMES: none */
static _Atomic uint32_t state[PAGES]; /* even: (changes << 2 | mapped << 1) */

enum { OLD_LOAD, OLD_STORE, ALLOWED, REFUSED, VALUE, VERDICTS };
static struct verdict verdict[VERDICTS] = {
    {.name = "no load through an old mapping"},   {.name = "no store through an old mapping"},
    {.name = "what is unmapped faults"},          {.name = "what is mapped does not"},
    {.name = "a load gives what the page shows"},
};

static word *frame(uint32_t page, uint32_t f)
{
    return (word *)(frames + (page * FRAMES + f) * PAGE);
}

static void fill(uint32_t page, uint32_t f, uint32_t value)
{
    for (unsigned i = 0; i < PAGE / 4; i += 16)
        frame(page, f)[i] = value;
}

static void look(uint32_t page, uint32_t f)
{
    for (unsigned i = 0; i < PAGE / 4; i += 16)
        if (frame(page, f)[i] != POISON)
            wrong(&verdict[OLD_STORE], frame(page, f)[i]);
}

/* Word 0 of a page is its state, and each thread has a word to store to. */
static void change(void)
{
    uint32_t r = dice(&seed), page = r % PAGES, next = (r >> 8) % (FRAMES + 1), old = shown[page];
    uint32_t tag = (atomic_load(&state[page]) & ~3u) + 4;
    uint8_t *at = area + page * PAGE;
    atomic_fetch_or(&state[page], 1);
    if (old < FRAMES && next < FRAMES && old != next && !(r >> 16 & 1)) {
        fill(page, next, tag | 2); /* at once, over the old one */
        map(at, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (page * FRAMES + next) * PAGE);
        fill(page, old, POISON);
    } else {
        if (old < FRAMES) {
            if (munmap(at, PAGE))
                give_up("munmap");
            fill(page, old, POISON);
        }
        if (next < FRAMES) {
            fill(page, next, tag | 2);
            map(at, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (page * FRAMES + next) * PAGE);
        }
    }
    shown[page] = next;
    atomic_store(&state[page], tag | (next < FRAMES ? 2 : 0));
    for (uint32_t f = 0; f < FRAMES; f++)
        if (f != next)
            look(page, f);
}

static void *use(void *arg)
{
    uint32_t me = (uint32_t)(uintptr_t)arg, r = run_seed * 0x9e3779b9u + me;
    while (!atomic_load(&run_over)) {
        uint32_t page = dice(&r) % PAGES, got = 0;
        bool store = dice(&r) & 0x100;
        uintptr_t at = (uintptr_t)area + page * PAGE + (store ? 64 * me : 0);
        uint32_t before = atomic_load(&state[page]);
        bool fault = store ? store_faults(at, r) : load_faults(at, &got);
        atomic_fetch_add(&checks, 1);
        if (!store && !fault && got == POISON)
            wrong(&verdict[OLD_LOAD], got);
        if (before != atomic_load(&state[page]) || before & 1)
            continue;
        atomic_fetch_add(&strict, 1);
        if (!(before & 2) && !fault)
            wrong(&verdict[ALLOWED], got);
        if (before & 2 && fault)
            wrong(&verdict[REFUSED], before);
        if (before & 2 && !fault && !store && got != before)
            wrong(&verdict[VALUE], got);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    seed = run_seed;
    fd = memory(PAGES * FRAMES * PAGE);
    frames = map(NULL, PAGES * FRAMES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    area = island(PAGES);
    for (uint32_t i = 0; i < PAGES; i++) {
        fill(i, 0, POISON);
        fill(i, 1, POISON);
        shown[i] = FRAMES;
    }
    run_all(change, use);
    return finish(verdict, VERDICTS);
}
