/* SPDX-License-Identifier: MIT */
/*
 * Goldfish battery: what Android shows as charge and mains. It changes only when the host says so.
 *
 * Threads: registers from vCPUs, goldfish_battery_set() from any. Numbers are those of Linux's
 * power_supply.h; microvolts, microamperes, tenths of a degree.
 */
#include "dev/goldfish.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

enum {
    BATTERY_INT_STATUS = 0x00, BATTERY_INT_ENABLE = 0x04, BATTERY_AC_ONLINE = 0x08,
    BATTERY_STATUS = 0x0c, BATTERY_HEALTH = 0x10, BATTERY_PRESENT = 0x14, BATTERY_CAPACITY = 0x18,
    BATTERY_VOLTAGE = 0x1c, BATTERY_TEMPERATURE = 0x20, BATTERY_CHARGE = 0x24,
    BATTERY_VOLTAGE_MAX = 0x28, BATTERY_CURRENT_MAX = 0x2c,
};

#define INT_BATTERY 1u
#define INT_AC      2u

/* power_supply.h */
enum { STATUS_CHARGING = 1, STATUS_DISCHARGING = 2, STATUS_FULL = 4 };
#define HEALTH_GOOD 1u

#define VOLTAGE     4000000u
#define VOLTAGE_MAX 5000000u
#define CURRENT_MAX 900000u
#define TEMPERATURE 250u
#define CHARGE_FULL 3000000u /* microampere hours */

struct goldfish_battery {
    pthread_mutex_t lock;
    struct irq_line irq;
    uint32_t pending, enable;
    unsigned percent;
    bool mains;
};

static void update_irq(struct goldfish_battery *b)
{
    irq_set(&b->irq, (b->pending & b->enable) != 0);
}

static uint32_t status(const struct goldfish_battery *b)
{
    if (!b->mains) {
        return STATUS_DISCHARGING;
    }
    return b->percent == 100 ? STATUS_FULL : STATUS_CHARGING;
}

static uint32_t read_pending(struct goldfish_battery *b)
{
    uint32_t r = b->pending & b->enable;

    b->pending &= ~r;
    update_irq(b);
    return r;
}

static uint64_t battery_read(void *dev, struct vcpu *v, uint64_t off, unsigned size)
{
    struct goldfish_battery *b = dev;
    uint32_t r = 0;

    (void)v;
    (void)size;
    pthread_mutex_lock(&b->lock);
    switch (off) {
    case BATTERY_INT_STATUS: r = read_pending(b); break;
    case BATTERY_INT_ENABLE: r = b->enable; break;
    case BATTERY_AC_ONLINE: r = b->mains; break;
    case BATTERY_STATUS: r = status(b); break;
    case BATTERY_HEALTH: r = HEALTH_GOOD; break;
    case BATTERY_PRESENT: r = 1; break;
    case BATTERY_CAPACITY: r = b->percent; break;
    case BATTERY_VOLTAGE: r = VOLTAGE; break;
    case BATTERY_TEMPERATURE: r = TEMPERATURE; break;
    case BATTERY_CHARGE: r = CHARGE_FULL / 100 * b->percent; break;
    case BATTERY_VOLTAGE_MAX: r = VOLTAGE_MAX; break;
    case BATTERY_CURRENT_MAX: r = CURRENT_MAX; break;
    default: break;
    }
    pthread_mutex_unlock(&b->lock);
    return r;
}

static void battery_write(void *dev, struct vcpu *v, uint64_t off, uint64_t value, unsigned size)
{
    struct goldfish_battery *b = dev;

    (void)v;
    (void)size;
    pthread_mutex_lock(&b->lock);
    if (off == BATTERY_INT_ENABLE) {
        b->enable = value & (INT_BATTERY | INT_AC);
        update_irq(b);
    }
    pthread_mutex_unlock(&b->lock);
}

static const struct bus_ops battery_ops = {
    .read = battery_read, .write = battery_write, .max_size = 4};

void goldfish_battery_set(struct goldfish_battery *b, unsigned percent, bool mains)
{
    pthread_mutex_lock(&b->lock);
    percent = percent < 100 ? percent : 100;
    b->pending |= mains != b->mains ? INT_AC | INT_BATTERY : 0;
    b->pending |= percent != b->percent ? INT_BATTERY : 0;
    b->percent = percent;
    b->mains = mains;
    update_irq(b);
    pthread_mutex_unlock(&b->lock);
}

void goldfish_battery_reset(struct goldfish_battery *b)
{
    pthread_mutex_lock(&b->lock);
    b->pending = b->enable = 0;
    update_irq(b);
    pthread_mutex_unlock(&b->lock);
}

int goldfish_battery_create(struct bus *bus, gpa_t base, const struct irq_line *irq,
                            struct goldfish_battery **out)
{
    struct goldfish_battery *b = calloc(1, sizeof *b);

    if (b == NULL) {
        return -ENOMEM;
    }
    pthread_mutex_init(&b->lock, NULL);
    b->irq = *irq;
    b->percent = 100;
    b->mains = true;
    int err = bus_add(bus, &(struct bus_region){.name = "goldfish-battery", .base = base,
                                                .size = 0x1000, .ops = &battery_ops, .dev = b});
    if (err != 0) {
        goldfish_battery_destroy(b);
        return err;
    }
    *out = b;
    return 0;
}

void goldfish_battery_destroy(struct goldfish_battery *b)
{
    if (b == NULL) {
        return;
    }
    pthread_mutex_destroy(&b->lock);
    free(b);
}
