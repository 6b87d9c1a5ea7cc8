/* SPDX-License-Identifier: MIT */
/*
 * The generic PCI Express host: finds the device of an access to configuration space (by bus,
 * device and function in the address) or to the memory window (by what the guest wrote into the
 * base address registers). Where nothing is, reads give all ones and writes are lost.
 *
 * The memory window is looked up without a lock, in an immutable list that is made anew (RCU) when
 * a base address or a command register is written. Regions that overlap because the guest put them
 * so: the lowest slot has the access. vCPU threads. Binding: pci-host-ecam-generic.
 */
#include "pci_internal.h"

#include "base/rcu.h"
#include "dev/dt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_STRIDE 4096u /* of one function */
#define FUNCTIONS 8u
#define BRIDGE_VENDOR 0x1b36u
#define BRIDGE_DEVICE 0x0008u
#define BRIDGE_CLASS 0x0600u

static uint64_t all_ones(unsigned size)
{
    return UINT64_MAX >> (64 - 8 * size);
}

/* ---- configuration space ---- */
static struct pci_device *config_of(struct pci_host *h, uint64_t off)
{
    uint64_t function = off / CONFIG_STRIDE;

    return function % FUNCTIONS == 0 && function / FUNCTIONS < PCI_SLOTS
               ? h->slot[function / FUNCTIONS]
               : NULL;
}

static uint64_t ecam_read(void *opaque, struct vcpu *v, uint64_t off, unsigned size)
{
    struct pci_host *h = opaque;
    struct pci_device *p = config_of(h, off);

    (void)v;
    if (p == NULL) {
        return all_ones(size);
    }
    if (p->config_read != NULL) {
        p->config_read(p, off % CONFIG_STRIDE, size);
    }
    pthread_mutex_lock(&h->lock);
    uint64_t value = pci_config_read_locked(p, off % CONFIG_STRIDE, size);
    pthread_mutex_unlock(&h->lock);
    return value;
}

uint32_t pci_config_get(struct pci_device *p, unsigned off, unsigned size)
{
    pthread_mutex_lock(&p->host->lock);
    uint32_t value = pci_config_read_locked(p, off, size);
    pthread_mutex_unlock(&p->host->lock);
    return value;
}

void pci_config_set(struct pci_device *p, unsigned off, uint32_t value, unsigned size)
{
    pthread_mutex_lock(&p->host->lock);
    memcpy(p->config + off, &value, size);
    pthread_mutex_unlock(&p->host->lock);
}

/* Without memory the old list stays, which does no harm but to the guest. */
static void make_map_locked(struct pci_host *h)
{
    struct pci_map *old = h->map;
    struct pci_map *map = calloc(1, sizeof *map + PCI_SLOTS * PCI_BARS * sizeof map->range[0]);

    if (map == NULL) {
        return;
    }
    for (unsigned s = 0; s < PCI_SLOTS; s++) {
        struct pci_device *p = h->slot[s];
        for (unsigned b = 0; p != NULL && b < PCI_BARS; b++) {
            gpa_t base;
            if (pci_config_bar(p, b, &base)) {
                map->range[map->n++] = (struct pci_map_range){base, p->bar_size[b], b, p};
            }
        }
    }
    rcu_publish(&h->map, map);
    if (old != NULL) {
        rcu_free_later(old);
    }
}

static void ecam_write(void *opaque, struct vcpu *v, uint64_t off, uint64_t value, unsigned size)
{
    struct pci_host *h = opaque;
    struct pci_device *p = config_of(h, off);

    (void)v;
    if (p == NULL) {
        return;
    }
    pthread_mutex_lock(&h->lock);
    if (pci_config_write_locked(p, off % CONFIG_STRIDE, (uint32_t)value, size)) {
        make_map_locked(h);
    }
    pthread_mutex_unlock(&h->lock);
    if (p->config_written != NULL) {
        p->config_written(p, off % CONFIG_STRIDE, size);
    }
}

/* ---- the windows ---- */
static bool find(struct pci_host *h, gpa_t at, unsigned size, struct pci_map_range *out)
{
    bool found = false;

    rcu_enter();
    const struct pci_map *map = rcu_read(&h->map);
    for (unsigned i = 0; i < map->n && !found; i++) {
        const struct pci_map_range *r = &map->range[i];
        if (at >= r->base && at - r->base < r->size && size <= r->size - (at - r->base)) {
            *out = *r;
            found = true;
        }
    }
    rcu_leave();
    return found;
}

static uint64_t memory_read(void *opaque, struct vcpu *v, uint64_t off, unsigned size)
{
    struct pci_host *h = opaque;
    struct pci_map_range r;

    (void)v;
    if (!find(h, h->c.memory + off, size, &r)) {
        return all_ones(size);
    }
    uint32_t at = (uint32_t)(h->c.memory + off - r.base);
    if (r.dev->nvectors != 0 && r.bar == r.dev->msix_bar) {
        return pci_msix_read(r.dev, at, size);
    }
    return r.dev->read(r.dev, r.bar, at, size);
}

static void memory_write(void *opaque, struct vcpu *v, uint64_t off, uint64_t value, unsigned size)
{
    struct pci_host *h = opaque;
    struct pci_map_range r;

    (void)v;
    if (!find(h, h->c.memory + off, size, &r)) {
        return;
    }
    uint32_t at = (uint32_t)(h->c.memory + off - r.base);
    if (r.dev->nvectors != 0 && r.bar == r.dev->msix_bar) {
        pci_msix_write(r.dev, at, value, size);
    } else {
        r.dev->write(r.dev, r.bar, at, value, size);
    }
}

static uint64_t ports_read(void *opaque, struct vcpu *v, uint64_t off, unsigned size)
{
    (void)opaque;
    (void)v;
    (void)off;
    return all_ones(size);
}

static void ports_write(void *opaque, struct vcpu *v, uint64_t off, uint64_t value, unsigned size)
{
    (void)opaque;
    (void)v;
    (void)off;
    (void)value;
    (void)size;
}

static const struct bus_ops ecam_ops = {.read = ecam_read, .write = ecam_write, .max_size = 4};
static const struct bus_ops memory_ops = {
    .read = memory_read, .write = memory_write, .max_size = 4};
static const struct bus_ops ports_ops = {.read = ports_read, .write = ports_write, .max_size = 4};

/* ---- life cycle ---- */
static int add_regions(struct pci_host *h, struct bus *bus)
{
    const struct pci_host_config *c = &h->c;
    const struct bus_region region[] = {
        {"pci-config", c->ecam, c->ecam_size, &ecam_ops, h},
        {"pci-memory", c->memory, c->memory_size, &memory_ops, h},
        {"pci-ports", c->ports, c->ports_size, &ports_ops, h},
    };
    int err = 0;

    for (size_t i = 0; i < ARRAY_SIZE(region) && err == 0; i++) {
        err = bus_add(bus, &region[i]);
    }
    return err;
}

int pci_host_create(struct bus *bus, const struct pci_host_config *c, struct pci_host **out)
{
    struct pci_host *h = calloc(1, sizeof *h);

    if (h == NULL) {
        return -ENOMEM;
    }
    h->c = *c;
    pthread_mutex_init(&h->lock, NULL);
    pthread_mutex_init(&h->irq_lock, NULL);
    h->bridge.name = "pci-bridge";
    pci_config_init(&h->bridge, BRIDGE_VENDOR, BRIDGE_DEVICE, BRIDGE_CLASS);
    pci_host_add(h, 0, &h->bridge);
    int err = h->map == NULL ? -ENOMEM : add_regions(h, bus);
    if (err != 0) {
        pci_host_destroy(h);
        return err;
    }
    *out = h;
    return 0;
}

void pci_host_destroy(struct pci_host *h)
{
    if (h == NULL) {
        return;
    }
    free(h->map);
    pthread_mutex_destroy(&h->irq_lock);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

bool pci_host_slot_free(const struct pci_host *h, unsigned slot)
{
    return slot < PCI_SLOTS && h->slot[slot] == NULL;
}

void pci_host_add(struct pci_host *h, unsigned slot, struct pci_device *p)
{
    p->host = h;
    p->slot = slot;
    if (p->read != NULL) {
        p->config[PCI_INTERRUPT_PIN] = 1;
    }
    pci_irq_reset(p);
    pthread_mutex_lock(&h->lock);
    h->slot[slot] = p;
    make_map_locked(h);
    pthread_mutex_unlock(&h->lock);
}

void pci_host_reset(struct pci_host *h)
{
    pthread_mutex_lock(&h->lock);
    for (unsigned i = 0; i < PCI_SLOTS; i++) {
        if (h->slot[i] != NULL) {
            pci_config_reset_locked(h->slot[i]);
            pci_irq_reset(h->slot[i]);
        }
    }
    make_map_locked(h);
    pthread_mutex_unlock(&h->lock);
}

/* ---- device tree ---- */
#define MAP_CELLS 10u /* address 3, pin 1, controller 1, its address 2, its specifier 3 */

/* Pin 1..4 of slots 0..3; the mask leaves no more of the slot's number. */
static void write_interrupt_map(struct dt *d, unsigned spi)
{
    uint32_t map[PCI_LINES * PCI_LINES * MAP_CELLS], *p = map;

    for (uint32_t slot = 0; slot < PCI_LINES; slot++) {
        for (uint32_t pin = 0; pin < PCI_LINES; pin++) {
            const uint32_t entry[MAP_CELLS] = {slot << 11, 0, 0, pin + 1, DT_GIC, 0, 0, DT_SPI,
                                               spi + (slot + pin) % PCI_LINES, DT_LEVEL_HIGH};
            memcpy(p, entry, sizeof entry);
            p += MAP_CELLS;
        }
    }
    dt_cells(d, "interrupt-map", map, ARRAY_SIZE(map));
    DT_CELLS(d, "interrupt-map-mask", (PCI_LINES - 1) << 11, 0, 0, 7);
    DT_CELLS(d, "#interrupt-cells", 1);
}

void pci_host_fdt(struct dt *d, const struct pci_host *h)
{
    const struct pci_host_config *c = &h->c;

    dt_begin(d, "pcie@%llx", (unsigned long long)c->memory);
    dt_string(d, "compatible", "pci-host-ecam-generic");
    dt_string(d, "device_type", "pci");
    DT_CELLS(d, "#address-cells", 3);
    DT_CELLS(d, "#size-cells", 2);
    DT_CELLS(d, "linux,pci-domain", 0);
    DT_CELLS(d, "bus-range", 0, (uint32_t)(c->ecam_size >> 20) - 1);
    dt_reg(d, c->ecam, c->ecam_size);
    DT_CELLS(d, "ranges", 0x01000000, 0, 0, 0, (uint32_t)c->ports, 0, (uint32_t)c->ports_size,
             0x02000000, 0, (uint32_t)c->memory, 0, (uint32_t)c->memory, 0,
             (uint32_t)c->memory_size);
    DT_CELLS(d, "msi-map", 0, DT_V2M, 0, 0x10000);
    dt_flag(d, "dma-coherent");
    write_interrupt_map(d, c->spi);
    dt_end(d);
}
