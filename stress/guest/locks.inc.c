/* SPDX-License-Identifier: MIT */
/*
 * Part of aliases.c: locks and a queue made of LDREX and STREX.  Each CPU uses them through another
 * alias of the page, as processes that share memory do; pointers inside the page are offsets.
 * Waiters give way with YIELD and WFE, since a CPU may be without a host thread for long.
 */
struct lock_page {
    volatile uint32_t ticket, serving __attribute__((aligned(64)));
    volatile uint32_t tail __attribute__((aligned(64))); /* MCS: offset of the last waiter */
    struct {
        volatile uint32_t next, locked;
    } waiter[MAX_CPUS] __attribute__((aligned(64)));
    struct guarded {
        volatile uint32_t a, b; /* what a lock protects: b == 3 * a */
    } by_ticket __attribute__((aligned(64))), by_mcs;
    volatile uint32_t q_head __attribute__((aligned(64)));
    volatile uint32_t q_tail __attribute__((aligned(64)));
    struct {
        volatile uint32_t next, value, pad[2];
    } node[2 * MAX_CPUS + 1] __attribute__((aligned(64)));
};
#define AT(p, off) ((volatile uint32_t *)((uint32_t)(p) + (off)))

static uint32_t load_ex(volatile uint32_t *p)
{
    uint32_t v;
    __asm__ volatile("ldrex %0, [%1]" : "=r"(v) : "r"(p) : "memory");
    return v;
}
static bool store_ex(volatile uint32_t *p, uint32_t v)
{
    uint32_t fail;
    __asm__ volatile("strex %0, %2, [%1]" : "=&r"(fail) : "r"(p), "r"(v) : "memory");
    return !fail;
}
static void clear_ex(void)
{
    __asm__ volatile("clrex" : : : "memory");
}
static uint32_t swap(volatile uint32_t *p, uint32_t v)
{
    uint32_t old;
    dmb();
    do
        old = load_ex(p);
    while (!store_ex(p, v));
    dmb();
    return old;
}

static void critical(unsigned cpu, struct guarded *p, unsigned verdict)
{
    uint32_t a = p->a;
    if (p->b != a * 3)
        count(cpu, verdict);
    p->a = a + 1;
    p->b = (a + 1) * 3;
}

static void ticket_lock(unsigned cpu, struct lock_page *p)
{
    uint32_t mine = atomic_add(&p->ticket, 1) - 1;
    while (p->serving != mine)
        wfe();
    dmb();
    critical(cpu, &p->by_ticket, BAD_TICKET);
    dmb();
    p->serving = mine + 1;
    sev();
    count(cpu, TICKETS);
}

static void mcs_lock(unsigned cpu, struct lock_page *p)
{
    uint32_t me = (uint32_t)&p->waiter[cpu] - (uint32_t)p;
    p->waiter[cpu].next = 0;
    p->waiter[cpu].locked = 1;
    uint32_t before = swap(&p->tail, me);
    if (before) {
        *AT(p, before) = me;
        sev();
        while (p->waiter[cpu].locked)
            wfe();
    }
    dmb();
    critical(cpu, &p->by_mcs, BAD_MCS);
    dmb();
    if (!p->waiter[cpu].next && atomic_cas(&p->tail, me, 0)) {
        count(cpu, MCS_LOCKS);
        return;
    }
    while (!p->waiter[cpu].next)
        wfe();
    *AT(p, p->waiter[cpu].next + 4) = 0;
    sev();
    count(cpu, MCS_LOCKS);
}

/* --- the queue: q_head is a dummy, node offsets, 0 ends it --- */
static volatile uint32_t queue_broken; /* the others leave it alone */

/* The tail lags behind by at most one node, and never behind the head. */
static void push_tail(struct lock_page *p)
{
    uint32_t tail = load_ex(&p->q_tail), next = *AT(p, tail);
    if (next)
        store_ex(&p->q_tail, next);
    else
        clear_ex();
}

static void enqueue(struct lock_page *p, uint32_t node, uint32_t value)
{
    *AT(p, node + 4) = value;
    *AT(p, node) = 0;
    dmb();
    for (; !queue_broken; cpu_yield()) {
        uint32_t tail = p->q_tail;
        uint32_t next = load_ex(AT(p, tail));
        dmb();
        /* Only when it is still the tail after the exclusive load is its end the queue's end. */
        if (p->q_tail == tail && !next && store_ex(AT(p, tail), node))
            break;
        clear_ex();
        push_tail(p);
    }
    dmb();
    push_tail(p);
}

/* The old dummy, free from now on, or 0 when the queue is empty. */
static uint32_t dequeue(struct lock_page *p, uint32_t *value)
{
    while (!queue_broken) {
        uint32_t head = load_ex(&p->q_head), tail = p->q_tail;
        dmb();
        uint32_t next = *AT(p, head);
        if (!next && store_ex(&p->q_head, head)) /* nobody took the head: it is the end */
            return 0;
        if (!next || head == tail) {
            clear_ex();
            push_tail(p);
            continue;
        }
        *value = *AT(p, next + 4);
        dmb();
        if (store_ex(&p->q_head, next)) {
            dmb();
            return head;
        }
    }
    return 0;
}

static struct lock_page *locks;
static volatile uint32_t put[MAX_CPUS], sum_in[MAX_CPUS], sum_out[MAX_CPUS];

/*
 * Each CPU owns one node to start with: puts an item, takes one, keeps the node that comes free.
 * Everybody puts before he takes, so nobody can find the queue empty.
 */
static void queue_round(unsigned cpu, struct lock_page *p, uint32_t *node, uint32_t *last)
{
    uint32_t value = cpu << 28 | (++put[cpu] & 0x0fffffff), got;
    sum_in[cpu] += value;
    enqueue(p, *node, value);
    *node = dequeue(p, &got);
    if (!*node) {
        count(cpu, BAD_QUEUE);
        queue_broken = 1;
        return;
    }
    sum_out[cpu] += got;
    unsigned from = got >> 28;
    if (from >= stage_cpus || (got & 0x0fffffff) <= last[from]) {
        count(cpu, BAD_FIFO);
        queue_broken = 1;
    } else {
        last[from] = got & 0x0fffffff;
    }
    count(cpu, ITEMS);
}

static void locks_worker(unsigned cpu, void *arg)
{
    (void)arg;
    struct lock_page *p = (struct lock_page *)ALIAS_VA(cpu % ALIASES);
    uint32_t node = (uint32_t)&locks->node[1 + cpu] - (uint32_t)locks, last[MAX_CPUS] = {0};
    stage_enter(cpu);
    stage_meet();
    while (stage_time_left()) {
        for (unsigned i = 0; i < 4; i++)
            ticket_lock(cpu, p);
        for (unsigned i = 0; i < 4; i++)
            mcs_lock(cpu, p);
        for (unsigned i = 0; i < 64 && !queue_broken; i++)
            queue_round(cpu, p, &node, last);
    }
    stage_meet();
    stage_leave();
}

static bool locked_enough(void)
{
    return stage_total(ITEMS) > 100;
}

static void test_locks(void)
{
    uint32_t in = 0, out = 0;
    locks = (struct lock_page *)page;
    memset(page, 0, PAGE_SIZE);
    locks->q_head = locks->q_tail = (uint32_t)&locks->node[0] - (uint32_t)locks;
    stage_enough = locked_enough;
    stage_run(locks_worker, NULL, 3, 8);
    for (unsigned i = 0; i < stage_cpus; i++) {
        in += sum_in[i];
        out += sum_out[i];
    }
    if (in != out || *AT(locks, locks->q_head))
        count(0, BAD_QUEUE);
    tap_eq(locks->by_ticket.a + locks->by_mcs.a, stage_total(TICKETS) + stage_total(MCS_LOCKS),
           "every passage through a lock counts");
}
