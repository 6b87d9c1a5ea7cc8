/* SPDX-License-Identifier: MIT */
/*
 * The physical bus: finds the device of an address and gives it accesses of a size it accepts.
 *
 * Owns: the map, a sorted array that never changes once published (I-9). Lookups are RCU readers
 * and take no lock; bus_add() copies the array under the update lock and publishes the copy.
 * Devices live as long as the bus, so a region may be used after the read section that found it.
 */
#include "dev/bus.h"
#include "base/log.h"
#include "base/rcu.h"
#include "tcg/tcg.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct bus_map {
    unsigned n;
    struct bus_region region[]; /* by base, disjoint */
};

struct bus {
    struct bus_map *map; /* published by RCU; never NULL */
    pthread_mutex_t lock; /* serialises bus_add(); held by nobody else, nests nothing */
};

struct bus *bus_create(void)
{
    struct bus *bus = calloc(1, sizeof *bus);
    struct bus_map *map = calloc(1, sizeof *map);

    if (bus == NULL || map == NULL) {
        free(bus);
        free(map);
        return NULL;
    }
    pthread_mutex_init(&bus->lock, NULL);
    rcu_publish(&bus->map, map);
    return bus;
}

void bus_destroy(struct bus *bus)
{
    if (bus == NULL) {
        return;
    }
    free(bus->map);
    pthread_mutex_destroy(&bus->lock);
    free(bus);
}

/* Index of the first region that ends above gpa; n when there is none. */
static unsigned first_above(const struct bus_map *m, gpa_t gpa)
{
    unsigned lo = 0, hi = m->n;

    while (lo < hi) {
        unsigned mid = lo + (hi - lo) / 2;
        if (m->region[mid].base + (m->region[mid].size - 1) < gpa) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

int bus_add(struct bus *bus, const struct bus_region *r)
{
    gpa_t last = r->base + (r->size - 1);
    int err = 0;

    if (r->size == 0 || last < r->base) {
        return -EINVAL;
    }
    pthread_mutex_lock(&bus->lock);
    struct bus_map *old = bus->map;
    unsigned at = first_above(old, r->base);
    struct bus_map *map = malloc(sizeof *map + (old->n + 1) * sizeof map->region[0]);
    if (map == NULL) {
        err = -ENOMEM;
    } else if (at < old->n && old->region[at].base <= last) {
        free(map);
        err = -EEXIST;
    } else {
        map->n = old->n + 1;
        memcpy(map->region, old->region, at * sizeof map->region[0]);
        map->region[at] = *r;
        memcpy(map->region + at + 1, old->region + at, (old->n - at) * sizeof map->region[0]);
        rcu_publish(&bus->map, map);
        rcu_free_later(old);
    }
    pthread_mutex_unlock(&bus->lock);
    return err;
}

/* The region that holds all of [gpa, gpa + size), by value. */
static bool find(struct bus *bus, gpa_t gpa, unsigned size, struct bus_region *out)
{
    bool found = false;

    rcu_enter();
    const struct bus_map *m = rcu_read(&bus->map);
    unsigned at = first_above(m, gpa);
    if (at < m->n && m->region[at].base <= gpa &&
        size - 1 <= m->region[at].size - 1 - (gpa - m->region[at].base)) {
        *out = m->region[at];
        found = true;
    }
    rcu_leave();
    return found;
}

bool bus_has(struct bus *bus, gpa_t gpa)
{
    struct bus_region r;

    return find(bus, gpa, 1, &r);
}

static bool too_narrow(const struct bus_region *r, gpa_t gpa, unsigned size, const char *what)
{
    if (r->ops->min_size <= size) {
        return false;
    }
    if (log_on(LOG_GUEST_ERROR)) {
        log_printf("%s: %u-byte %s at 0x%" PRIx64 " ignored: too narrow\n", r->name, size, what,
                   gpa);
    }
    return true;
}

static unsigned step(const struct bus_region *r, unsigned size)
{
    unsigned max = r->ops->max_size;

    return max != 0 && max < size ? max : size;
}

bool bus_read(struct bus *bus, struct vcpu *cpu, gpa_t gpa, unsigned size, uint64_t *value)
{
    struct bus_region r;
    uint64_t v = 0;

    if (!find(bus, gpa, size, &r)) {
        return false;
    }
    if (!too_narrow(&r, gpa, size, "read")) {
        unsigned n = step(&r, size);
        uint64_t mask = n < 8 ? ((uint64_t)1 << 8 * n) - 1 : UINT64_MAX;
        for (unsigned i = 0; i < size; i += n) {
            v |= (r.ops->read(r.dev, cpu, gpa - r.base + i, n) & mask) << 8 * i;
        }
    }
    *value = v;
    return true;
}

bool bus_write(struct bus *bus, struct vcpu *cpu, gpa_t gpa, unsigned size, uint64_t value)
{
    struct bus_region r;

    if (!find(bus, gpa, size, &r)) {
        return false;
    }
    if (!too_narrow(&r, gpa, size, "write")) {
        unsigned n = step(&r, size);
        uint64_t mask = n < 8 ? ((uint64_t)1 << 8 * n) - 1 : UINT64_MAX;
        for (unsigned i = 0; i < size; i += n) {
            r.ops->write(r.dev, cpu, gpa - r.base + i, value >> 8 * i & mask, n);
        }
    }
    return true;
}

void bus_dump(struct bus *bus, FILE *f)
{
    rcu_enter();
    const struct bus_map *m = rcu_read(&bus->map);
    for (unsigned i = 0; i < m->n; i++) {
        const struct bus_region *r = &m->region[i];
        fprintf(f, "%016" PRIx64 "-%016" PRIx64 " %s\n", r->base, r->base + (r->size - 1),
                r->name);
    }
    rcu_leave();
}
