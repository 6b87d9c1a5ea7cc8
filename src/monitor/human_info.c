/* SPDX-License-Identifier: MIT */
/*
 * The monitor's info command: one table; each entry asks the module that owns what is shown.
 */
#include "monitor_internal.h"

#include "board.h"
#include "dev/virtio.h"
#include "io/block.h"
#include "tcg/tcg.h"
#include "vcpu/arm.h"
#include "vm_control.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>

static void for_cpus(struct command_call *c, void (*show)(struct vcpu *v, FILE *f))
{
    bool all = strcmp(c->args, "-a") == 0;

    if (!all && c->args[0] != '\0') {
        fputs("error: the only argument is -a, for all CPUs\n", c->out);
        return;
    }
    for (unsigned i = 0; i < c->vm->ncpus; i++) {
        if (all || i == *c->cpu) {
            show(c->vm->cpu[i], c->out);
        }
    }
}

static void info_registers(struct command_call *c)
{
    for_cpus(c, arm_dump_registers_stopped);
}

static void info_tlb(struct command_call *c)
{
    for_cpus(c, mmu_dump_tlb_stopped);
}

static void info_spt(struct command_call *c)
{
    for_cpus(c, mmu_dump_spt_stopped);
}

static void info_jit(struct command_call *c)
{
    for_cpus(c, tcg_dump_stopped);
}

static void info_cpus(struct command_call *c)
{
    for (unsigned i = 0; i < c->vm->ncpus; i++) {
        const struct vcpu *v = c->vm->cpu[i];
        char name[32];
        fprintf(c->out, "%c CPU #%u: thread_id=%d ", i == *c->cpu ? '*' : ' ', i,
                atomic_load(&v->host_tid));
        if (atomic_load(&v->powered) != VCPU_ON) {
            fputs("off\n", c->out);
            continue;
        }
        arm_psr_name(arm_cpsr_read(v), name);
        fprintf(c->out, "pc=%08x %s\n", v->r[15], name);
    }
}

static void info_mtree(struct command_call *c)
{
    const struct ram *r = &c->vm->ram;

    bus_dump(c->vm->bus, c->out);
    fprintf(c->out, "%016" PRIx64 "-%016" PRIx64 " ram\n", r->base, r->base + (r->size - 1));
}

static void info_irq(struct command_call *c)
{
    board_dump_irq(c->vm, c->out);
}

static void info_block(struct command_call *c)
{
    const struct vm_options *o = c->vm->opt;

    for (unsigned i = 0; i < o->ndrives; i++) {
        const struct vm_drive *d = &o->drive[i];
        const struct block *b = virtio_blk_drive(c->vm, d->id);
        if (b == NULL) {
            fprintf(c->out, "%s: %s (no device has it)\n", d->id, d->file);
            continue;
        }
        fprintf(c->out, "%s: %s (%s%s%s) %" PRIu64 " bytes\n", d->id, d->file, block_format(b),
                d->readonly ? ", read-only" : "", d->snapshot ? ", snapshot" : "",
                block_sectors(b) * BLOCK_SECTOR);
    }
    for (unsigned i = 0; i < VIRTIO_PLACES; i++) {
        virtio_dump(c->vm, i, "virtio-blk", c->out);
    }
    if (o->ndrives == 0) {
        fputs("no drives\n", c->out);
    }
}

static void show_user_network(FILE *f, const struct net_config *n)
{
    char address[INET_ADDRSTRLEN];
    struct in_addr a = {htonl(n->network)};

    inet_ntop(AF_INET, &a, address, sizeof address);
    fprintf(f, "%s: user %s/%d%s", n->id, address, __builtin_popcount(n->netmask),
            n->restricted ? " restricted" : "");
    for (unsigned i = 0; i < n->nforwards; i++) {
        fprintf(f, " hostfwd=%s", n->forward[i].text);
    }
    fputc('\n', f);
}

static void info_network(struct command_call *c)
{
    const struct vm_options *o = c->vm->opt;
    bool any = false;

    for (unsigned i = 0; i < o->nnets; i++) {
        if (o->net[i].kind == NET_USER) {
            show_user_network(c->out, &o->net[i]);
        } else {
            fprintf(c->out, "%s: tap %s\n", o->net[i].id,
                    o->net[i].ifname != NULL ? o->net[i].ifname : "by descriptor");
        }
    }
    for (unsigned i = 0; i < VIRTIO_PLACES; i++) {
        any |= virtio_dump(c->vm, i, "virtio-net", c->out);
    }
    if (!any) {
        fputs("no network devices\n", c->out);
    }
}

static void info_virtio(struct command_call *c)
{
    for (unsigned i = 0; i < VIRTIO_PLACES; i++) {
        virtio_dump(c->vm, i, "", c->out);
    }
}

static void info_chardev(struct command_call *c)
{
    const struct vm_options *o = c->vm->opt;

    fprintf(c->out, "serial0: %s\n", o->serial);
    for (unsigned i = 0; i < o->nchardevs; i++) {
        fprintf(c->out, "%s: %s\n", o->chardev[i].id, o->chardev[i].spec);
    }
}

static void info_name(struct command_call *c)
{
    fprintf(c->out, "%s\n", c->vm->opt->name != NULL ? c->vm->opt->name : "");
}

static void info_status(struct command_call *c)
{
    const char *state = vm_state_name(c->vm);

    if (strcmp(state, "running") == 0 || strcmp(state, "paused") == 0) {
        fprintf(c->out, "VM status: %s\n", state);
    } else {
        fprintf(c->out, "VM status: paused (%s)\n", state);
    }
}

static void info_version(struct command_call *c)
{
    fputs("umbra " UMBRA_VERSION "\n", c->out);
}

static const struct command infos[] = {
    {"block", "", "drives and the disks on them", info_block, false},
    {"chardev", "", "character back ends", info_chardev, false},
    {"cpus", "", "CPUs and their host threads", info_cpus, true},
    {"irq", "", "interrupt controller", info_irq, true},
    {"jit", "[-a]", "translated code of the selected CPU (-a: all CPUs)", info_jit, true},
    {"mtree", "", "physical address map", info_mtree, false},
    {"name", "", "the machine's name", info_name, false},
    {"network", "", "network devices", info_network, false},
    {"registers", "[-a]", "registers of the selected CPU (-a: all CPUs)", info_registers, true},
    {"spt", "[-a]", "shadow page tables of the selected CPU (-a: all CPUs)", info_spt, true},
    {"status", "", "whether the machine runs", info_status, false},
    {"tlb", "[-a]", "software TLB of the selected CPU (-a: all CPUs)", info_tlb, true},
    {"version", "", "the emulator's version", info_version, false},
    {"virtio", "", "virtio devices and their queues", info_virtio, false},
};

void human_info(struct command_call *c)
{
    char name[32];
    size_t n = strcspn(c->args, " \t");

    if (n == 0) {
        command_list(c->out, infos, ARRAY_SIZE(infos), "info ");
        return;
    }
    snprintf(name, sizeof name, "%.*s", (int)n, c->args);
    const struct command *cmd = command_find(infos, ARRAY_SIZE(infos), name);
    if (cmd == NULL || n >= sizeof name) {
        fprintf(c->out, "error: info %.*s: there is no such thing; \"info\" lists all\n", (int)n,
                c->args);
        return;
    }
    struct command_call inner = *c;
    inner.args = c->args + n + strspn(c->args + n, " \t");
    command_run(cmd, &inner);
}
