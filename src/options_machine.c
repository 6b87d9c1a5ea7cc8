/* SPDX-License-Identifier: MIT */
/*
 * Command line: the machine, its CPUs, memory and accelerator.
 */
#include "options_internal.h"

#include "base/log.h"
#include "vcpu/arm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MIB         ((uint64_t)1 << 20)
#define GIB         ((uint64_t)1 << 30)
#define MAX_RAM     (32 * GIB)
#define MIN_TB_SIZE ((uint64_t)128 << 10)

/* ---- machine ---- */
#define MACHINE_HELP                                                                             \
    "virt[,gic-version=2][,highmem=on|off][,watchdog=on|off][,virtio=mmio|pci][,dumpdtb=FILE], " \
    "ranchu[,xres=W][,yres=H][,format=r5g6b5|x8r8g8b8][,wav=FILE][,adb=[ADDR:]PORT]"             \
    "[,prop=NAME=VALUE]..."

/* "virt" or one of its versions there, "virt-7.2": what differs between them is not here. */
static bool is_virt(const char *name)
{
    unsigned major, minor;
    int end = 0;

    return strcmp(name, "virt") == 0 ||
           (sscanf(name, "virt-%2u.%2u%n", &major, &minor, &end) == 2 && name[end] == '\0');
}

static int machine_name(struct options *o, const char *name)
{
    if (strcmp(name, "ranchu") == 0) {
        o->vm.machine = "ranchu";
        o->vm.ranchu.on = true;
        o->vm.virtio_legacy = true; /* as that board; -global after it has the last word */
        return 0;
    }
    return is_virt(name) ? 0 : options_bad_value("M", name, MACHINE_HELP);
}

static int machine_key(struct options *o, const struct options_list *l)
{
    const char *v = l->value != NULL ? l->value : "";

    if (strcmp(l->key, "type") == 0 || l->value == NULL) {
        return machine_name(o, l->value == NULL ? l->key : v);
    }
    if (o->vm.ranchu.on && options_ranchu_knows(l->key)) {
        return options_parse_ranchu(o, l->key, v);
    }
    if (strcmp(l->key, "gic-version") == 0) {
        return strcmp(v, "2") == 0 ? 0 : options_bad_value("M gic-version", v, "2");
    }
    if (strcmp(l->key, "highmem") == 0) {
        return strcmp(v, "on") == 0 || strcmp(v, "off") == 0
                   ? 0
                   : options_bad_value("M highmem", v, "on, off");
    }
    if (strcmp(l->key, "watchdog") == 0) {
        o->vm.watchdog = strcmp(v, "on") == 0;
        return o->vm.watchdog || strcmp(v, "off") == 0
                   ? 0
                   : options_bad_value("M watchdog", v, "on, off");
    }
    if (strcmp(l->key, "virtio") == 0) {
        o->vm.virtio_pci = strcmp(v, "pci") == 0;
        return o->vm.virtio_pci || strcmp(v, "mmio") == 0
                   ? 0
                   : options_bad_value("M virtio", v, "mmio, pci");
    }
    if (strcmp(l->key, "dumpdtb") == 0 && *v != '\0') {
        free(o->vm.dumpdtb);
        o->vm.dumpdtb = strdup(v);
        return o->vm.dumpdtb != NULL ? 0 : -ENOMEM;
    }
    int err = options_as_is("M", l->key, v);
    return err == 1 ? options_bad_value("M", l->key, MACHINE_HELP) : err;
}

int options_parse_machine(struct options *o, const char *value)
{
    struct options_list l = {.rest = value};
    int err = 0;

    while (err == 0 && options_list_next(&l)) {
        err = machine_key(o, &l);
    }
    options_list_end(&l);
    if (err == 0 && o->vm.ranchu.on && o->vm.watchdog) {
        return options_bad_value("M ranchu,watchdog", "on", "off (the board has none)");
    }
    return err;
}

int options_parse_cpu(struct options *o, const char *value)
{
    if (arm_cpu_model_find(value) == NULL) {
        return options_bad_value("cpu", value, arm_cpu_model_names());
    }
    return (o->vm.cpu = value, 0);
}

#define SMP_HELP                                                                                \
    "a number of CPUs from 1 to 8, or cpus=N, also with sockets=, clusters=, cores=, threads= " \
    "whose product it is, and maxcpus= of the same number"

/* What -smp says: cpus 0, the product of the others 0: not given. */
struct smp_parse {
    uint64_t cpus, maxcpus, product;
};

static bool smp_key(struct smp_parse *s, const struct options_list *l)
{
    uint64_t n;

    if (!options_parse_number(l->value != NULL ? l->value : l->key, &n) || n > UINT32_MAX) {
        return false;
    }
    if (l->value == NULL || strcmp(l->key, "cpus") == 0) {
        s->cpus = n;
        return n > 0;
    }
    if (strcmp(l->key, "maxcpus") == 0) {
        s->maxcpus = n;
        return n > 0;
    }
    s->product = (s->product != 0 ? s->product : 1) * n;
    return n > 0 && n <= 256 && s->product <= 256 &&
           options_one_of("sockets|clusters|cores|threads|dies", l->key);
}

static int set_smp(struct options *o, const struct smp_parse *s, const char *value)
{
    uint64_t n = s->cpus != 0 ? s->cpus : s->product;

    if (n > VCPU_MAX) {
        log_error("-smp %s: the GICv2 interrupt controller of this board serves at most %d CPUs; "
                  "accepted: 1 to %d",
                  value, VCPU_MAX, VCPU_MAX);
        return -EINVAL;
    }
    if (n == 0 || (s->product != 0 && s->product != n) || (s->maxcpus != 0 && s->maxcpus != n)) {
        return options_bad_value("smp", value, SMP_HELP);
    }
    o->vm.smp = (unsigned)n;
    return 0;
}

int options_parse_smp(struct options *o, const char *value)
{
    struct options_list l = {.rest = value};
    struct smp_parse s = {0};
    bool ok = true;

    if (strcmp(value, "0") == 0 || strcmp(value, "cpus=0") == 0) {
        log_error("-smp %s: a machine needs at least one CPU; accepted: 1 to %d", value, VCPU_MAX);
        return -EINVAL;
    }
    while (ok && options_list_next(&l)) {
        ok = smp_key(&s, &l);
    }
    options_list_end(&l);
    return ok ? set_smp(o, &s, value) : options_bad_value("smp", value, SMP_HELP);
}

int options_parse_memory(struct options *o, const char *value)
{
    const char *size = strncmp(value, "size=", 5) == 0 ? value + 5 : value;
    uint64_t n;
    int err = options_parse_size(size, MIB, &n);

    if (err == -EINVAL) {
        return options_bad_value("m", value, "a size such as 1024 (MiB), 512M or 4G");
    }
    if (err != 0 || n > MAX_RAM) {
        log_error("-m %s: the board has room for at most 32G of RAM", value);
        return -EINVAL;
    }
    if (n < MIB || n % GUEST_PAGE_SIZE != 0) {
        log_error("-m %s: RAM is at least 1M and a multiple of 4K", value);
        return -EINVAL;
    }
    o->vm.ram_size = n;
    return 0;
}

static int accel_key(struct options *o, const struct options_list *l)
{
    const char *v = l->value != NULL ? l->value : "";
    uint64_t n;

    if (l->value == NULL && strcmp(l->key, "tcg") == 0) {
        return 0;
    }
    if (strcmp(l->key, "thread") == 0) {
        return strcmp(v, "multi") == 0 ? 0 : options_bad_value("accel thread", v, "multi");
    }
    if (strcmp(l->key, "tb-size") == 0) {
        if (options_parse_size(v, MIB, &n) != 0 || n < MIN_TB_SIZE || n > 2048 * MIB) {
            return options_bad_value("accel tb-size", v,
                                     "1 to 2048 (MiB for each CPU), or 128K and more");
        }
        o->vm.tb_size = n;
        return 0;
    }
    return options_bad_value("accel", l->key, "tcg[,thread=multi][,tb-size=MIB]");
}

int options_parse_accel(struct options *o, const char *value)
{
    struct options_list l = {.rest = value};
    int err = 0;

    while (err == 0 && options_list_next(&l)) {
        err = accel_key(o, &l);
    }
    options_list_end(&l);
    return err;
}
