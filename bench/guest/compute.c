/* SPDX-License-Identifier: MIT */
/*
 * Small programs with the memory behaviour of those CINT2006 members that Debian has no likeness
 * of, and two loops at the extremes. Each prints a number that depends on all it computed, so
 * that results of different emulators can be compared.
 *
 *   chase    dependent loads in random order through 1 MiB
 *   memcpy   copies between two blocks of 8 MiB
 *   quantum  gates over a register of a quantum computer: a stream of conditional bit flips (462)
 *   events   discrete-event simulation of a network of queues: a heap, lists, malloc (471)
 *   astar    shortest paths on grids with obstacles (473)
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t seed = 1;

static uint32_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed;
}

/* ---- chase ---- */
static uint32_t chase(unsigned steps)
{
    enum { N = 1 << 18 };
    static unsigned next[N];
    unsigned at = 0;

    for (unsigned i = 0; i < N; i++) {
        next[i] = i;
    }
    for (unsigned i = N - 1; i > 0; i--) { /* Sattolo: one cycle */
        unsigned j = next_random() % i, t = next[i];

        next[i] = next[j];
        next[j] = t;
    }
    for (unsigned n = 0; n < steps * 1000; n++) {
        at = next[at];
    }
    return at;
}

/* ---- memcpy ---- */
static uint32_t copy(unsigned times)
{
    size_t len = (size_t)8 << 20;
    unsigned char *a = malloc(len), *b = malloc(len);

    memset(a, 1, len);
    for (unsigned i = 0; i < times; i++) {
        unsigned char *to = i & 1 ? a : b;

        memcpy(to, i & 1 ? b : a, len);
        to[i % len] ^= (unsigned char)i;
    }
    uint32_t sum = 0;
    for (size_t i = 0; i < len; i += 61) {
        sum = sum * 31 + a[i] + b[i];
    }
    free(a);
    free(b);
    return sum;
}

/* ---- quantum ---- */
struct amplitude {
    float re, im;
    uint64_t state;
};

static uint32_t quantum(unsigned gates)
{
    enum { N = 1 << 17 };
    struct amplitude *reg = calloc(N, sizeof *reg);

    for (unsigned i = 0; i < N; i++) {
        reg[i] = (struct amplitude){1.0f, 0.0f, (uint64_t)i * 0x9e3779b97f4a7c15u >> 20};
    }
    for (unsigned g = 0; g < gates; g++) {
        uint64_t control = (uint64_t)1 << next_random() % 44 | (uint64_t)1 << next_random() % 44;
        uint64_t target = (uint64_t)1 << next_random() % 44;

        for (unsigned i = 0; i < N; i++) {
            if ((reg[i].state & control) == control) {
                reg[i].state ^= target;
            }
            if (g % 4 == 0 && reg[i].state & target) {
                float re = reg[i].re;

                reg[i].re = -reg[i].im;
                reg[i].im = re;
            }
        }
    }
    uint32_t sum = 0;
    for (unsigned i = 0; i < N; i++) {
        sum = sum * 31 + (uint32_t)(reg[i].state >> 7) + (uint32_t)(int)(reg[i].re * 3 + reg[i].im);
    }
    free(reg);
    return sum;
}

/* ---- events ---- */
struct message {
    struct message *next;
    unsigned hops;
    char payload[40];
};

struct event {
    uint32_t when, module;
    struct message *message;
};

struct module {
    struct message *head, *tail;
    unsigned waiting, served;
};

static struct event heap[1 << 16];
static unsigned heap_len;

static void heap_push(struct event e)
{
    unsigned i = heap_len++;

    while (i > 0 && heap[(i - 1) / 2].when > e.when) {
        heap[i] = heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    heap[i] = e;
}

static struct event heap_pop(void)
{
    struct event first = heap[0], last = heap[--heap_len];
    unsigned i = 0, child;

    while ((child = 2 * i + 1) < heap_len) {
        if (child + 1 < heap_len && heap[child + 1].when < heap[child].when) {
            child++;
        }
        if (heap[child].when >= last.when) {
            break;
        }
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = last;
    return first;
}

/* A message arrives and waits, or one has been served and goes on to another module. */
static void module_handle(struct module *modules, unsigned count, struct event e)
{
    struct module *m = &modules[e.module];
    struct message *done = m->head;

    if (e.message) {
        e.message->next = NULL;
        *(m->head ? &m->tail->next : &m->head) = e.message;
        m->tail = e.message;
        if (m->waiting++ == 0) {
            heap_push((struct event){e.when + 1 + next_random() % 97, e.module, NULL});
        }
        return;
    }
    m->head = done->next;
    m->served++;
    struct message *copied = malloc(sizeof *copied + done->hops % 64);
    memcpy(copied, done, sizeof *copied);
    copied->hops++;
    copied->payload[copied->hops % sizeof copied->payload]++;
    free(done);
    heap_push((struct event){e.when + 1 + next_random() % 31, next_random() % count, copied});
    if (--m->waiting > 0) {
        heap_push((struct event){e.when + 1 + next_random() % 97, e.module, NULL});
    }
}

static uint32_t events(unsigned thousands)
{
    enum { MODULES = 6000, MESSAGES = 20000 };
    struct module *modules = calloc(MODULES, sizeof *modules);
    uint32_t sum = 0;

    for (unsigned i = 0; i < MESSAGES; i++) {
        heap_push((struct event){next_random() % 1000, next_random() % MODULES,
                                 calloc(1, sizeof(struct message))});
    }
    for (unsigned n = 0; n < thousands * 1000; n++) {
        struct event e = heap_pop();

        sum = sum * 31 + e.when;
        module_handle(modules, MODULES, e);
    }
    for (unsigned i = 0; i < MODULES; i++) {
        sum = sum * 31 + modules[i].served;
    }
    free(modules);
    return sum;
}

/* ---- astar ---- */
enum { SIDE = 512, CELLS = SIDE * SIDE };
static unsigned char wall[CELLS], closed[CELLS];
static uint32_t cost[CELLS];

static uint32_t estimate(unsigned cell, unsigned goal)
{
    int dx = (int)(cell % SIDE) - (int)(goal % SIDE), dy = (int)(cell / SIDE) - (int)(goal / SIDE);

    return (uint32_t)(abs(dx) + abs(dy));
}

static void astar_visit(unsigned cell, uint32_t so_far, unsigned goal)
{
    if (wall[cell] || closed[cell] || cost[cell] <= so_far ||
        heap_len == sizeof heap / sizeof *heap) {
        return;
    }
    cost[cell] = so_far;
    heap_push((struct event){so_far + estimate(cell, goal), cell, NULL});
}

static uint32_t astar_path(unsigned start, unsigned goal)
{
    memset(closed, 0, sizeof closed);
    memset(cost, 0xff, sizeof cost);
    heap_len = 0;
    astar_visit(start, 0, goal);
    while (heap_len > 0) {
        unsigned cell = heap_pop().module;

        if (cell == goal) {
            return cost[cell];
        }
        if (closed[cell]) {
            continue;
        }
        closed[cell] = 1;
        uint32_t step = cost[cell] + 1;
        astar_visit(cell + 1, step, goal); /* the border is wall: no cell beyond it is reached */
        astar_visit(cell - 1, step, goal);
        astar_visit(cell + SIDE, step, goal);
        astar_visit(cell - SIDE, step, goal);
    }
    return UINT32_MAX;
}

static uint32_t astar(unsigned paths)
{
    uint32_t sum = 0;

    for (unsigned i = 0; i < CELLS; i++) {
        unsigned x = i % SIDE, y = i / SIDE;

        wall[i] = x == 0 || y == 0 || x == SIDE - 1 || y == SIDE - 1 || next_random() % 100 < 30;
    }
    for (unsigned n = 0; n < paths; n++) {
        unsigned from = next_random() % CELLS, to = next_random() % CELLS;

        sum = sum * 31 + astar_path(from, to);
    }
    return sum;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        uint32_t (*run)(unsigned size);
    } programs[] = {{"chase", chase}, {"memcpy", copy}, {"quantum", quantum},
                    {"events", events}, {"astar", astar}};

    for (unsigned i = 0; argc == 3 && i < sizeof programs / sizeof *programs; i++) {
        if (!strcmp(argv[1], programs[i].name)) {
            printf("%s %s %08x\n", argv[1], argv[2], programs[i].run((unsigned)atoi(argv[2])));
            return 0;
        }
    }
    fprintf(stderr, "usage: %s chase|memcpy|quantum|events|astar SIZE\n", argv[0]);
    return 2;
}
