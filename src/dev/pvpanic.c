/* SPDX-License-Identifier: MIT */
/*
 * pvpanic-mmio: reading gives the events that there are, writing one of them reports it. No state;
 * what follows is vm_panic()'s. Any vCPU, no locks.
 */
#include "pvpanic.h"

#include "dev/dt.h"
#include "vm.h"
#include "vm_control.h"

#define PVPANIC_SIZE 2u
enum { PANICKED = 1, CRASH_LOADED = 2 };

static uint64_t pvpanic_read(void *dev, struct vcpu *v, uint64_t off, unsigned size)
{
    (void)dev;
    (void)v;
    (void)size;
    return off == 0 ? PANICKED | CRASH_LOADED : 0;
}

static void pvpanic_write(void *dev, struct vcpu *v, uint64_t off, uint64_t value, unsigned size)
{
    struct vm *vm = dev;

    (void)v;
    (void)size;
    if (off != 0) {
        return;
    }
    if (value & PANICKED) {
        vm_panic(vm);
    } else if (value & CRASH_LOADED) {
        vm_notify(vm, VM_EVENT_CRASH_LOADED, VM_RUNNING);
    }
}

int pvpanic_create(struct vm *vm, gpa_t base)
{
    static const struct bus_ops ops = {
        .read = pvpanic_read, .write = pvpanic_write, .max_size = 1};

    return bus_add(vm->bus, &(struct bus_region){.name = "pvpanic", .base = base,
                                                 .size = PVPANIC_SIZE, .ops = &ops, .dev = vm});
}

void pvpanic_fdt(struct dt *d, gpa_t base)
{
    dt_begin(d, "pvpanic-mmio@%llx", (unsigned long long)base);
    dt_string(d, "compatible", "qemu,pvpanic-mmio");
    dt_reg(d, base, PVPANIC_SIZE);
    dt_end(d);
}
