/* SPDX-License-Identifier: MIT */
/*
 * Command line: "help" or "?" as the value of an option lists what there is, on standard output and
 * in the mainstream emulator's form: scripts look there for what they need before they start.
 */
#include "options_internal.h"

#include "dev/virtio.h"
#include "vcpu/arm.h"

#include <stdio.h>
#include <string.h>

static void list_machines(FILE *f)
{
    fputs("Supported machines are:\n"
          "ranchu               Android emulator's ARM board\n"
          "virt                 ARM Virtual Machine\n",
          f);
}

static void list_cpus(FILE *f)
{
    fputs("Available CPUs:\n", f);
    for (const char *p = arm_cpu_model_names(); *p != '\0'; p += strspn(p, ", ")) {
        size_t n = strcspn(p, ",");
        fprintf(f, "  %.*s\n", (int)n, p);
        p += n;
    }
}

static void list_devices(FILE *f)
{
    virtio_list_drivers(f);
    fputs("name \"virtconsole\", bus virtio-serial-bus\n"
          "name \"virtserialport\", bus virtio-serial-bus\n"
          "name \"simple-framebuffer\"\n"
          "name \"pvpanic-mmio\"\n",
          f);
}

static void list_chardevs(FILE *f)
{
    fputs("Available chardev backend types:\n"
          "  file\n  memory\n  null\n  pty\n  ringbuf\n  socket\n  stdio\n  testdev\n",
          f);
}

static void list_accelerators(FILE *f)
{
    fputs("Accelerators supported:\ntcg\n", f);
}

static void list_networks(FILE *f)
{
    fputs("Available netdev backend types:\ntap\nuser\n", f);
}

static void list_objects(FILE *f)
{
    fputs("List of user creatable objects:\n  iothread\n  rng-builtin\n  rng-random\n", f);
}

bool options_list(const char *option, const char *value)
{
    static const struct {
        const char *option;
        void (*list)(FILE *f);
    } lists[] = {
        {"M", list_machines},      {"machine", list_machines}, {"cpu", list_cpus},
        {"device", list_devices},  {"chardev", list_chardevs}, {"accel", list_accelerators},
        {"netdev", list_networks}, {"nic", list_networks},     {"object", list_objects},
    };

    if (!options_one_of("help|?", value)) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        if (strcmp(lists[i].option, option) == 0) {
            lists[i].list(stdout);
            return true;
        }
    }
    return false;
}
