/* SPDX-License-Identifier: MIT */
/*
 * fork() against stores of other threads. Each thread counts in private pages, a word at the
 * beginning and then one at the end of a page. The child's pages are those of one moment: the two
 * words differ by one at most, and nothing that the parent's threads store afterwards may reach
 * them, nor the other way round. A thread that keeps a writable translation over the fork writes
 * into the child's memory.
 */
#include "common.h"

#define PAGES 4u /* of each thread */

static uint8_t *area;
static word *told; /* shared: what the child found */
static uint32_t child_mark;

enum { TORN, CHANGED, LEAKED, LOST, DIED, VERDICTS };
static struct verdict verdict[VERDICTS] = {
    {.name = "the child's copy is that of one moment"},
    {.name = "nothing changes in the child's copy"},
    {.name = "the child's stores stay with the child"},
    {.name = "the parent's stores are not lost"},
    {.name = "children end well"},
};

static word *page_of(unsigned thread, unsigned page)
{
    return (word *)(area + (thread * PAGES + page) * PAGE);
}

#define LAST (PAGE / 4 - 1)
#define MARK (PAGE / 8) /* the child's word */

static void child(void)
{
    uint32_t copy[THREAD_MAX * PAGES];
    for (unsigned i = 0; i < run_threads * PAGES; i++) {
        word *p = page_of(0, 0) + i * PAGE / 4;
        copy[i] = p[0];
        if (p[0] - p[LAST] > 1) {
            told[1] = p[0] - p[LAST];
            told[0] |= 1;
        }
        if (p[MARK])
            told[0] |= 4;
        if (i & 1)
            p[MARK] = child_mark; /* a copy of our own */
    }
    for (unsigned round = 0; round < 4; round++) {
        sched_yield();
        for (unsigned i = 0; i < run_threads * PAGES; i++) {
            word *p = page_of(0, 0) + i * PAGE / 4;
            if (p[0] != copy[i] || (i & 1 && p[MARK] != child_mark)) {
                told[1] = p[0];
                told[0] |= 2;
            }
        }
    }
    _exit(0);
}

static void change(void)
{
    int status;
    child_mark += 0x10001;
    told[0] = 0;
    pid_t pid = fork();
    if (pid < 0)
        give_up("fork");
    if (!pid)
        child();
    if (waitpid(pid, &status, 0) != pid || status)
        wrong(&verdict[DIED], (uint32_t)status);
    if (told[0] & 1)
        wrong(&verdict[TORN], told[1]);
    if (told[0] & 2)
        wrong(&verdict[CHANGED], told[1]);
    if (told[0] & 4)
        wrong(&verdict[LEAKED], told[1]);
}

static void *use(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg - 1;
    uint32_t n[PAGES] = {0}, r = run_seed + me;
    while (!atomic_load(&run_over)) {
        unsigned page = dice(&r) % PAGES;
        word *p = page_of(me, page);
        for (unsigned i = dice(&r) & 15; i; i--) {
            p[0] = n[page] + 1;
            atomic_thread_fence(memory_order_seq_cst);
            p[LAST] = ++n[page];
        }
        if (p[0] != n[page] || p[LAST] != n[page])
            wrong(&verdict[LOST], p[0]);
        if (p[MARK])
            wrong(&verdict[LEAKED], p[MARK]);
        atomic_fetch_add(&checks, 1);
        atomic_fetch_add(&strict, 1);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    area = map(NULL, THREAD_MAX * PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
               -1, 0);
    told = map(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    run_all(change, use);
    return finish(verdict, VERDICTS);
}
