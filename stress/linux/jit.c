/* SPDX-License-Identifier: MIT */
/*
 * Code that is written while other threads run it, as a just-in-time compiler does. A branch is
 * patched in place through a second, writable mapping; whole functions are written anew in a page
 * that nobody may call at that moment, and pages of code are exchanged by mmap(). After the cache
 * maintenance that the kernel offers, and an ISB of the caller, a call returns the newest value.
 * Arm ARM A3.5.4.
 */
#include "common.h"

#define PAGES          4u
#define FRAMES         2u
#define FUNCTIONS      8u
#define SYS_CACHEFLUSH 0x0f0002

static uint8_t *code, *data; /* one memfd, executable and writable */
static int fd;
static uint32_t seed, shown[PAGES];
static _Atomic uint32_t state[PAGES]; /* even: changes << 1 */
static _Atomic uint32_t value[PAGES]; /* what a call returns; 0: must not be called */
static _Atomic uint32_t inside[PAGES];

enum { OLD, FAULT, VERDICTS };
static struct verdict verdict[VERDICTS] = {
    {.name = "calls run the newest code"},
    {.name = "calls do not fault"},
};

static word *frame(uint32_t page, uint32_t f)
{
    return (word *)(data + (page * FRAMES + f) * PAGE);
}

static void sync_code(uint32_t page)
{
    uint8_t *at = code + page * PAGE;
    if (syscall(SYS_CACHEFLUSH, at, at + PAGE, 0))
        give_up("cacheflush");
}

/* A branch to one of eight functions, each of which returns base + its number. */
static void write_branch(word *w, uint32_t number)
{
    w[0] = 0xea000000u | (6 + 2 * number);
}

static void write_page(word *w, uint32_t base)
{
    for (uint32_t i = 0; i < FUNCTIONS; i++) {
        w[8 + 2 * i] = 0xe3000000u | ((base + i) & 0xf000) << 4 | ((base + i) & 0xfff);
        w[9 + 2 * i] = 0xe12fff1e; /* bx lr */
    }
    write_branch(w, base >> 3 & 7);
}

static void wait_until_left(uint32_t page)
{
    atomic_store(&value[page], 0);
    while (atomic_load(&inside[page]))
        sched_yield();
}

static void change(void)
{
    uint32_t r = dice(&seed), page = r % PAGES, kind = r >> 8 & 3;
    uint32_t old = atomic_load(&value[page]), base = (old & ~7u) + 8;
    if (base > 0xfff0)
        base = 8;
    atomic_fetch_add(&state[page], 1);
    if (kind < 2) { /* in place, while it runs */
        base = old & ~7u;
        write_branch(frame(page, shown[page]), r >> 16 & 7);
        sync_code(page);
        atomic_store(&value[page], base | (r >> 16 & 7));
    } else {
        wait_until_left(page);
        if (kind == 3) {
            shown[page] ^= 1;
            map(code + page * PAGE, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd,
                (page * FRAMES + shown[page]) * PAGE);
        }
        write_page(frame(page, shown[page]), base);
        sync_code(page);
        atomic_store(&value[page], base | (base >> 3 & 7));
    }
    atomic_fetch_add(&state[page], 1);
}

static uint32_t call(uintptr_t at, bool *fault)
{
    uint32_t got = 0;
    *fault = true;
    if (sigsetjmp(caught, 0))
        return 0;
    catching = 1;
    got = ((uint32_t(*)(void))at)();
    catching = 0;
    *fault = false;
    return got;
}

static void *use(void *arg)
{
    uint32_t r = run_seed * 0x9e3779b9u + (uint32_t)(uintptr_t)arg;
    while (!atomic_load(&run_over)) {
        uint32_t page = dice(&r) % PAGES;
        bool fault = false;
        atomic_fetch_add(&inside[page], 1);
        uint32_t before = atomic_load(&state[page]), want = atomic_load(&value[page]), got = want;
        __asm__ volatile("isb" : : : "memory");
        if (want)
            got = call((uintptr_t)code + page * PAGE, &fault);
        bool stable = before == atomic_load(&state[page]) && !(before & 1);
        atomic_fetch_sub(&inside[page], 1);
        atomic_fetch_add(&checks, 1);
        atomic_fetch_add(&strict, stable);
        if (fault)
            wrong(&verdict[FAULT], page);
        else if (stable ? got != want : (got & ~7u) != (want & ~7u))
            wrong(&verdict[OLD], got);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    struct sigaction action;
    begin(argc, argv);
    sigaction(SIGSEGV, NULL, &action);
    sigaction(SIGILL, &action, NULL);
    seed = run_seed;
    fd = memory(PAGES * FRAMES * PAGE);
    data = map(NULL, PAGES * FRAMES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    code = map(NULL, PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (uint32_t i = 0; i < PAGES; i++) {
        map(code + i * PAGE, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, i * FRAMES * PAGE);
        write_page(frame(i, 0), 8);
        sync_code(i);
        atomic_store(&value[i], 8 | (8 >> 3 & 7));
    }
    run_all(change, use);
    return finish(verdict, VERDICTS);
}
