/* SPDX-License-Identifier: MIT */
/*
 * Split virtqueues: taking chains from the available ring, returning them through the used ring,
 * suppressing notifications both ways. Virtio 1.2, section 2.7.
 *
 * All functions run with the device's lock. The other side is the guest's driver on vCPU threads,
 * without any lock: the acquire load of avail.idx pairs with the driver's barrier before it
 * publishes entries, the release store of used.idx with its barrier after it reads used.idx; the
 * full fences order our write of one ring's field before our read of the driver's answer, as its
 * own fences do in the other direction. Whatever a driver does wrong ends in
 * virtio_device_broken(), and costs at most one ring of work.
 */
#include "virtio_internal.h"

#include "vm.h"

#include <inttypes.h>
#include <string.h>

#define DESC_SIZE 16u
#define DESC_NEXT 1u
#define DESC_WRITE 2u
#define DESC_INDIRECT 4u

/* Offsets in the rings; an entry of the available ring has 2 bytes, of the used ring 8. */
#define RING_FLAGS 0u
#define RING_IDX 2u
#define RING_ENTRY 4u
#define AVAIL_NO_INTERRUPT 1u
#define USED_NO_NOTIFY 1u

struct desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
};
_Static_assert(sizeof(struct desc) == DESC_SIZE, "the guest's layout");

/* ---- fields in guest memory; the parts of a ring are aligned (virtio_queue_enable) ---- */
static uint16_t load16(const uint8_t *p)
{
    return __atomic_load_n((const uint16_t *)(const void *)p, __ATOMIC_ACQUIRE);
}

static void store16(uint8_t *p, uint16_t v)
{
    __atomic_store_n((uint16_t *)(void *)p, v, __ATOMIC_RELEASE);
}

static uint64_t avail_size(const struct virtio_queue *q)
{
    return RING_ENTRY + 2u * q->num + 2;
}

static uint64_t used_size(const struct virtio_queue *q)
{
    return RING_ENTRY + 8u * q->num + 2;
}

/* The driver's used_event, after the available ring; our avail_event, after the used ring. */
static const uint8_t *used_event(const struct virtio_queue *q)
{
    return q->avail + RING_ENTRY + 2u * q->num;
}

static void store_used16(struct virtio_device *d, struct virtio_queue *q, uint64_t off, uint16_t v)
{
    store16(q->used + off, v);
    mmu_dma_written(d->vm, q->used_gpa + off, 2);
}

bool virtio_queue_enable(struct virtio_device *d, struct virtio_queue *q)
{
    const struct ram *ram = &d->vm->ram;

    if (q->num == 0 || q->num > d->cls->queue_max || (q->num & (q->num - 1)) != 0 ||
        q->desc_gpa % 16 != 0 || q->avail_gpa % 2 != 0 || q->used_gpa % 4 != 0) {
        return false;
    }
    q->desc = ram_ptr(ram, q->desc_gpa, (uint64_t)DESC_SIZE * q->num);
    q->avail = ram_ptr(ram, q->avail_gpa, avail_size(q));
    q->used = ram_ptr(ram, q->used_gpa, used_size(q));
    q->ready = q->desc != NULL && q->avail != NULL && q->used != NULL;
    q->last_avail = q->used_idx = q->signalled = 0;
    q->signalled_valid = false;
    q->in_flight = 0;
    return q->ready;
}

/* ---- taking ---- */
/* Copied once: the guest may change it meanwhile, so what was checked must be what is used. */
static struct desc read_desc(const uint8_t *table, unsigned i)
{
    struct desc t;

    memcpy(&t, table + (size_t)i * DESC_SIZE, sizeof t);
    __asm__ volatile("" ::: "memory");
    return t;
}

static bool add_segment(struct virtio_device *d, const struct desc *t)
{
    struct virtio_chain *c = &d->chain;
    bool write = (t->flags & DESC_WRITE) != 0;

    if (t->len == 0) {
        return true;
    }
    if (!write && c->nin > 0) {
        virtio_device_broken(d, "a readable descriptor after a writable one");
        return false;
    }
    if (c->nout + c->nin == VIRTIO_CHAIN_MAX) {
        virtio_device_broken(d, "a chain of more than %u descriptors", VIRTIO_CHAIN_MAX);
        return false;
    }
    void *host = ram_ptr(&d->vm->ram, t->addr, t->len);
    if (host == NULL) {
        virtio_device_broken(d, "a buffer outside RAM: 0x%" PRIx64 ", %" PRIu32 " bytes", t->addr,
                             t->len);
        return false;
    }
    c->iov[c->nout + c->nin] = (struct iovec){host, t->len};
    *(write ? &c->nin : &c->nout) += 1;
    *(write ? &c->in_len : &c->out_len) += t->len;
    return true;
}

struct table {
    const uint8_t *base;
    unsigned n;
    bool indirect;
};

static bool enter_indirect(struct virtio_device *d, const struct desc *t, struct table *tab)
{
    if (tab->indirect || (t->flags & DESC_NEXT) || !(d->features & VIRTIO_F_INDIRECT_DESC)) {
        virtio_device_broken(d, "an indirect descriptor %s",
                             tab->indirect ? "in an indirect table"
                             : t->flags & DESC_NEXT ? "that has a next one"
                                                    : "without that feature");
        return false;
    }
    uint32_t n = t->len / DESC_SIZE;
    const void *base = n > 0 ? ram_ptr(&d->vm->ram, t->addr, t->len) : NULL;
    if (t->len % DESC_SIZE != 0 || n > VIRTIO_CHAIN_MAX || base == NULL) {
        virtio_device_broken(d, "an indirect table at 0x%" PRIx64 " of %" PRIu32 " bytes", t->addr,
                             t->len);
        return false;
    }
    *tab = (struct table){base, n, true};
    return true;
}

static bool walk_chain(struct virtio_device *d, const struct virtio_queue *q, uint16_t head)
{
    struct table tab = {q->desc, q->num, false};
    unsigned i = head, seen = 0;

    d->chain.head = head;
    d->chain.nout = d->chain.nin = 0;
    d->chain.out_len = d->chain.in_len = 0;
    for (;;) {
        struct desc t = read_desc(tab.base, i);
        if (t.flags & DESC_INDIRECT) {
            if (!enter_indirect(d, &t, &tab)) {
                return false;
            }
            i = seen = 0;
            continue;
        }
        if (!add_segment(d, &t)) {
            return false;
        }
        if (!(t.flags & DESC_NEXT)) {
            return true;
        }
        i = t.next;
        if (i >= tab.n || ++seen >= tab.n) {
            virtio_device_broken(d, i >= tab.n ? "a descriptor's next is %u of %u"
                                               : "a loop of descriptors at %u of %u",
                                 i, tab.n);
            return false;
        }
    }
}

bool virtio_queue_pop(struct virtio_device *d, struct virtio_queue *q)
{
    if (!q->ready || !virtio_device_running(d)) {
        return false;
    }
    uint16_t pending = (uint16_t)(load16(q->avail + RING_IDX) - q->last_avail);
    if (pending == 0) {
        return false;
    }
    if (pending > q->num || q->in_flight >= q->num) {
        virtio_device_broken(d, "%u chains available and %u in work in a queue of %u", pending,
                             q->in_flight, q->num);
        return false;
    }
    uint16_t head = load16(q->avail + RING_ENTRY + 2u * (q->last_avail & (q->num - 1u)));
    if (head >= q->num) {
        virtio_device_broken(d, "a chain that starts at %u of %u", head, q->num);
        return false;
    }
    if (!walk_chain(d, q, head)) {
        return false;
    }
    q->last_avail++;
    q->in_flight++;
    return true;
}

void virtio_queue_unpop(struct virtio_queue *q)
{
    q->last_avail--;
    q->in_flight--;
}

/* ---- returning ---- */
void virtio_queue_fill(struct virtio_device *d, struct virtio_queue *q, unsigned i, uint16_t head,
                       uint32_t written)
{
    uint64_t off = RING_ENTRY + 8u * ((q->used_idx + i) & (q->num - 1u));
    uint32_t entry[2] = {head, written};

    memcpy(q->used + off, entry, sizeof entry);
    mmu_dma_written(d->vm, q->used_gpa + off, sizeof entry);
}

void virtio_queue_publish(struct virtio_device *d, struct virtio_queue *q, unsigned n)
{
    q->in_flight -= n;
    q->used_idx = (uint16_t)(q->used_idx + n);
    store_used16(d, q, RING_IDX, q->used_idx);
}

void virtio_queue_push(struct virtio_device *d, struct virtio_queue *q, uint16_t head,
                       uint32_t written)
{
    virtio_queue_fill(d, q, 0, head, written);
    virtio_queue_publish(d, q, 1);
}

/* Does the driver want to hear of the entries since it was last interrupted? 2.7.7.2. */
static bool wants_interrupt(struct virtio_device *d, struct virtio_queue *q)
{
    /* Our store of used.idx before our look at what the driver asks for. */
    atomic_thread_fence(memory_order_seq_cst);
    if (!(d->features & VIRTIO_F_EVENT_IDX)) {
        return !(load16(q->avail + RING_FLAGS) & AVAIL_NO_INTERRUPT);
    }
    uint16_t old = q->signalled, now = q->used_idx, event = load16(used_event(q));
    bool valid = q->signalled_valid;

    q->signalled = now;
    q->signalled_valid = true;
    return !valid || (uint16_t)(now - event - 1) < (uint16_t)(now - old);
}

void virtio_queue_signal(struct virtio_device *d, struct virtio_queue *q)
{
    if (wants_interrupt(d, q)) {
        virtio_device_interrupt_queue_locked(d, (unsigned)(q - d->queue));
    }
}

/* ---- notifications from the driver ---- */
void virtio_queue_quiet(struct virtio_device *d, struct virtio_queue *q)
{
    /* With event index nothing is to be done: avail_event stays behind. */
    if (q->ready && !(d->features & VIRTIO_F_EVENT_IDX)) {
        store_used16(d, q, RING_FLAGS, USED_NO_NOTIFY);
    }
}

bool virtio_queue_listen(struct virtio_device *d, struct virtio_queue *q)
{
    if (!q->ready) {
        return false;
    }
    if (d->features & VIRTIO_F_EVENT_IDX) {
        store_used16(d, q, RING_ENTRY + 8u * q->num, q->last_avail);
    } else {
        store_used16(d, q, RING_FLAGS, 0);
    }
    /* Our wish before our last look at avail.idx. */
    atomic_thread_fence(memory_order_seq_cst);
    return load16(q->avail + RING_IDX) != q->last_avail;
}
