/* SPDX-License-Identifier: MIT */
/*
 * The command line, from one table that gives parsing, the help text and the list in error
 * messages. Runs before anything else exists; reports its own errors.
 */
#include "options_internal.h"

#include "base/inject.h"
#include "base/log.h"
#include "base/symbols.h"
#include "gdb/gdb.h"
#include "io/chardev.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MIB ((uint64_t)1 << 20)

static int set_string(const char **slot, const char *value)
{
    *slot = value;
    return 0;
}

int options_bad_value(const char *option, const char *value, const char *accepted)
{
    log_error("-%s %s: not supported; accepted: %s", option, value, accepted);
    return -EINVAL;
}

static int parse_mmu(struct options *o, const char *value)
{
    const char *why;

    return mmu_options_parse(&o->vm.mmu, value, &why) == 0 ? 0
                                                           : options_bad_value("mmu", value, why);
}

static int parse_vma_budget(struct options *o, const char *value)
{
    uint64_t n;

    if (!options_parse_number(value, &n) || n == 0) {
        return options_bad_value("vma-budget", value, "a number of mappings, 1 or more");
    }
    o->vm.mmu.vma_budget = n;
    return 0;
}

static int parse_tier2(struct options *o, const char *value)
{
    uint64_t n;

    if (strcmp(value, "sampled") == 0) {
        o->vm.tier2_threshold = VM_TIER2_SAMPLED;
        return 0;
    }
    if (!options_parse_number(value, &n) || n > 1000000000) {
        return options_bad_value("tier2-threshold", value,
                         "sampled, 0 (off), 1 (at once) to 1000000000 (entries)");
    }
    o->vm.tier2_threshold = (uint32_t)n;
    return 0;
}

static int parse_exclusive(struct options *o, const char *value)
{
    if (strcmp(value, "strict") != 0 && strcmp(value, "fast") != 0) {
        return options_bad_value("exclusive", value, "fast, strict");
    }
    o->vm.exclusive_strict = value[0] == 's';
    return 0;
}

static int parse_pin(struct options *o, const char *value)
{
    bool list = value[0] != '\0' && strspn(value, "0123456789,-") == strlen(value);

    if (!list && strcmp(value, "none") != 0 && strcmp(value, "spread") != 0 &&
        strcmp(value, "compact") != 0) {
        return options_bad_value("pin", value,
                         "none, spread, compact, or a list of host CPUs such as 0,2,4-7");
    }
    return set_string(&o->vm.pin, value);
}

/* ---- images ---- */
#define PARSE_STRING(name, field)                                                                  \
    static int parse_##name(struct options *o, const char *value)                                  \
    {                                                                                              \
        return set_string(&o->field, value);                                                       \
    }
PARSE_STRING(kernel, vm.kernel)
PARSE_STRING(initrd, vm.initrd)
PARSE_STRING(append, vm.append)
PARSE_STRING(dtb, vm.dtb)
PARSE_STRING(stats, vm.stats_path)
PARSE_STRING(log_path, log_path)

static int parse_dumpdtb(struct options *o, const char *value)
{
    free(o->vm.dumpdtb);
    o->vm.dumpdtb = strdup(value);
    return o->vm.dumpdtb != NULL ? 0 : -ENOMEM;
}

/* ---- devices ---- */
static int parse_serial(struct options *o, const char *value)
{
    const char *why;

    if (strncmp(value, "chardev:", 8) != 0 && !chardev_spec_valid(value, &why)) {
        return options_bad_value("serial", value, why);
    }
    if (o->vm.serial != NULL && options_one_of("null|none", value)) {
        return 0; /* a further port that is connected to nothing */
    }
    if (o->vm.serial != NULL) {
        log_error("-serial %s: the board has one serial port, already given as %s", value,
                  o->vm.serial);
        return -EINVAL;
    }
    return set_string(&o->vm.serial, value);
}

/* Options of scripts written for other displays and so on: only "nothing" is accepted. */
#define PARSE_NONE(name, spelled)                                                                  \
    static int parse_##name(struct options *o, const char *value)                                  \
    {                                                                                              \
        (void)o;                                                                                   \
        return strcmp(value, "none") == 0 ? 0 : options_bad_value(spelled, value, "none");         \
    }
PARSE_NONE(parallel, "parallel")
PARSE_NONE(vga, "vga")

/* Defaults of device properties; one is known. */
static int parse_global(struct options *o, const char *value)
{
    static const char name[] = "virtio-mmio.force-legacy=";
    const char *v = value + sizeof name - 1;

    if (strncmp(value, name, sizeof name - 1) == 0) {
        o->vm.virtio_legacy = strcmp(v, "true") == 0 || strcmp(v, "on") == 0;
        if (o->vm.virtio_legacy || strcmp(v, "false") == 0 || strcmp(v, "off") == 0) {
            return 0;
        }
    }
    return options_bad_value("global", value, "virtio-mmio.force-legacy=true|false");
}

static int parse_nothing(struct options *o, const char *value)
{
    (void)o;
    (void)value;
    return 0;
}

#define PARSE_FLAG(name, field)                                                                    \
    static int parse_##name(struct options *o, const char *value)                                  \
    {                                                                                              \
        (void)value;                                                                               \
        o->field = true;                                                                           \
        return 0;                                                                                  \
    }
PARSE_FLAG(snapshot, snapshot)
PARSE_FLAG(no_reboot, vm.no_reboot)
PARSE_FLAG(no_shutdown, vm.no_shutdown)

/* ---- debugger ---- */
static int parse_gdb(struct options *o, const char *value)
{
    const char *why;

    return gdb_spec_valid(value, &why) ? set_string(&o->vm.gdb, value)
                                       : options_bad_value("gdb", value, why);
}

static int parse_gdb_default(struct options *o, const char *value)
{
    (void)value;
    return set_string(&o->vm.gdb, "tcp::1234");
}

static int parse_paused(struct options *o, const char *value)
{
    (void)value;
    o->vm.paused = true;
    return 0;
}

/* ---- observation ---- */
static int parse_perf_map(struct options *o, const char *value)
{
    (void)value;
    o->perf_map = true;
    return 0;
}

static int parse_symbols(struct options *o, const char *value)
{
    const char *why;

    (void)o;
    if (symbols_open(value, &why) != 0) {
        log_error("-symbols %s: %s", value, why);
        return -EINVAL;
    }
    return 0;
}

static int parse_log(struct options *o, const char *value)
{
    const char *bad;
    unsigned mask;

    if (!log_mask_parse(value, &mask, &bad)) {
        log_error("-d %s: unknown class \"%.*s\"; accepted: %s", value, (int)strcspn(bad, ","), bad,
                  log_mask_names());
        return -EINVAL;
    }
    o->log_mask |= mask;
    return 0;
}

static int parse_help(struct options *o, const char *value)
{
    (void)value;
    o->action = OPTIONS_HELP;
    return 0;
}

static int parse_version(struct options *o, const char *value)
{
    (void)value;
    o->action = OPTIONS_VERSION;
    return 0;
}

#if UMBRA_FAULT_INJECTION
static int parse_inject(struct options *o, const char *value)
{
    (void)o;
    return inject_parse(value);
}
#endif

/* name, value (NULL: takes none), what it does (NULL: not in the help) */
static const struct option {
    const char *name, *value;
    int (*parse)(struct options *o, const char *value);
    const char *help;
} option[] = {
    {"M", "NAME", options_parse_machine,
     "the machine: virt[,watchdog=on][,virtio=pci][,dumpdtb=FILE], ranchu (the Android "
     "emulator's)[,xres=,yres=][,wav=FILE][,adb=PORT][,prop=NAME=VALUE]"},
    {"machine", "NAME", options_parse_machine, NULL},
    {"cpu", "MODEL", options_parse_cpu, "guest CPU: cortex-a15 (default), cortex-a7, max"},
    {"rtc", "OPTS", options_parse_rtc, NULL},
    {"boot", "OPTS", options_parse_boot, NULL},
    {"object", "OPTS", options_parse_object, NULL},
    {"smp", "N", options_parse_smp, "number of CPUs, 1 to 8 (default 1)"},
    {"m", "SIZE", options_parse_memory, "RAM in MiB, or with suffix K, M, G (default 256M)"},
    {"accel", "tcg", options_parse_accel,
     "tcg[,thread=multi][,tb-size=MIB]: code cache of each CPU (128K or more; default 128)"},
    {"kernel", "FILE", parse_kernel, "zImage, ELF, raw binary, also gzip'd, or Android boot image"},
    {"initrd", "FILE", parse_initrd, "initial RAM disk"},
    {"append", "TEXT", parse_append, "kernel command line"},
    {"dtb", "FILE", parse_dtb, "device tree to use instead of the board's own"},
    {"dumpdtb", "FILE", parse_dumpdtb, "write the device tree to FILE and quit"},
    {"drive", "OPTS", options_parse_drive,
     "file=PATH|nbd://HOST/NAME[,format=raw|qcow2][,if=none|virtio|pflash][,id=ID][,readonly=on]"
     "[,snapshot=on][,unit=N]"},
    {"hda", "FILE", options_parse_hda, NULL},
    {"hdb", "FILE", options_parse_hda, NULL},
    {"cdrom", "FILE", options_parse_cdrom, NULL},
    {"pflash", "FILE", options_parse_pflash, NULL},
    {"snapshot", NULL, parse_snapshot, "forget what the guest writes to any drive"},
    {"bios", "FILE", options_parse_bios, "firmware, run from flash in place of a kernel"},
    {"device", "DRIVER", options_parse_device, "add a device: DRIVER[,drive=ID][,...]"},
    {"nic", "KIND", options_parse_nic,
     "a network card: user[,hostfwd=tcp::PORT-:PORT], tap,ifname=NAME|fd=N, none; [,mac=]"},
    {"netdev", "KIND", options_parse_netdev, "the network of -device virtio-net-device,netdev=ID"},
    {"virtfs", "OPTS", options_parse_virtfs,
     "share a folder: local,path=DIR,mount_tag=TAG,security_model=none|mapped-xattr[,readonly=on]"},
    {"fsdev", "OPTS", options_parse_fsdev,
     "the folder of -device virtio-9p-device,fsdev=ID,mount_tag="},
    {"semihosting", NULL, options_parse_semihosting_on,
     "serve semihosting calls (files, exit status)"},
    {"semihosting-config", "OPTS", options_parse_semihosting,
     "enable=on[,target=native][,userspace=on][,chardev=ID][,arg=WORD]..."},
    {"serial", "DEV", parse_serial,
     "mon:stdio (default), stdio, null, pty, file:PATH, unix:PATH[,server=on][,wait=off], "
     "chardev:ID"},
    {"monitor", "DEV", options_parse_monitor,
     "monitor for people: stdio, pty, none, unix:PATH or tcp:HOST:PORT[,server=on][,wait=off]"},
    {"qmp", "DEV", options_parse_qmp, "JSON control socket, at the same places"},
    {"qmp-pretty", "DEV", options_parse_qmp_pretty, NULL},
    {"chardev", "OPTS", options_parse_chardev,
     "BACKEND,id=ID[,...]: socket (path= or host=, port=), stdio, pty, null, file, testdev"},
    {"mon", "OPTS", options_parse_mon, "chardev=ID[,mode=readline|control][,pretty=on|off]"},
    {"metrics", "PORT", options_parse_metrics, "counters for Prometheus at [HOST:]PORT"},
    {"global", "PROP", parse_global, "virtio-mmio.force-legacy=true|false (default false)"},
    {"nographic", NULL, parse_nothing, "console in the terminal (as always)"},
    {"display", "WHERE", options_parse_display,
     "show the screen: none (default), sdl (a window), vnc=[ADDR]:N, web=[ADDR:]PORT; or several"},
    {"no-reboot", NULL, parse_no_reboot, "quit when the guest resets"},
    {"gdb", "DEV", parse_gdb, "serve a debugger: tcp:[HOST]:PORT (HOST: loopback), unix:PATH"},
    {"s", NULL, parse_gdb_default, "short for -gdb tcp::1234"},
    {"S", NULL, parse_paused, "start with all CPUs paused"},
    {"no-shutdown", NULL, parse_no_shutdown, "stay when the guest powers off"},
    {"action", "OPTS", options_parse_action,
     "reboot=reset|shutdown, shutdown=poweroff|pause, watchdog=reset|..."},
    {"perf-map", NULL, parse_perf_map, "write /tmp/perf-PID.map, by which perf names guest blocks"},
    {"mmu", "MODE", parse_mmu,
     "guest memory: auto (default), soft (software TLB), spt[=private], spt=shared or "
     "spt=group,windows=N[,prefill=W]"},
    {"vma-budget", "N", parse_vma_budget, "host mappings the shadow page tables may use"},
    {"tier2-threshold", "N", parse_tier2,
     "entries after which code is optimised (0: never, 1: at once; default: sampled)"},
    {"exclusive", "MODE", parse_exclusive, "exclusive monitor: fast (default), strict"},
    {"pin", "WHERE", parse_pin, "place CPU threads: none, spread, compact, or a list of host CPUs"},
    {"d", "LIST", parse_log, "log: in_asm,op,out_asm,int,mmu,guest_error,exec,tb-stats"},
    {"D", "FILE", parse_log_path, "write the log to FILE instead of stderr"},
    {"symbols", "FILE", parse_symbols,
     "names of guest code for -d tb-stats and -perf-map: vmlinux, System.map or kallsyms"},
    {"stats", "FILE", parse_stats, "write counters as JSON to FILE at exit (-: text on stderr)"},
#if UMBRA_FAULT_INJECTION
    {"inject", "LIST", parse_inject, "break rules: NAME[:PROBABILITY][,...]; help lists them"},
#endif
    {"net", "KIND", options_parse_net, NULL},
    {"parallel", "none", parse_parallel, NULL},
    {"vnc", "WHERE", options_parse_vnc, NULL},
    {"no-acpi", NULL, parse_nothing, NULL},
    {"vga", "none", parse_vga, NULL},
    {"nodefaults", NULL, parse_nothing, NULL},
    {"no-user-config", NULL, parse_nothing, NULL},
    {"name", "TEXT", options_parse_name, "the machine's name"},
    {"h", NULL, parse_help, NULL},
    {"help", NULL, parse_help, "this text"},
    {"version", NULL, parse_version, "the version"},
};

static void list_options(char *buf, size_t size)
{
    size_t at = 0;

    for (size_t i = 0; i < ARRAY_SIZE(option) && at < size; i++) {
        if (option[i].help != NULL) {
            at += (size_t)snprintf(buf + at, size - at, "%s-%s", at ? " " : "", option[i].name);
        }
    }
}

static int unknown_option(const char *arg)
{
    char list[640];

    list_options(list, sizeof list);
    if (arg[0] != '-') {
        log_error("unexpected argument \"%s\" (a kernel is given with -kernel FILE); accepted: %s",
                  arg, list);
    } else {
        log_error("unknown option %s; accepted: %s", arg, list);
    }
    return -EINVAL;
}

static const struct option *find_option(const char *arg)
{
    if (arg[0] != '-' || arg[1] == '\0') {
        return NULL;
    }
    const char *name = arg + 1 + (arg[1] == '-');
    for (size_t i = 0; i < ARRAY_SIZE(option); i++) {
        if (strcmp(option[i].name, name) == 0) {
            return &option[i];
        }
    }
    return NULL;
}

static int check_combination(const struct options *o)
{
    if (o->action != OPTIONS_RUN || o->vm.dumpdtb != NULL) {
        return 0;
    }
    if (o->vm.kernel == NULL && o->vm.flash[0].option == NULL) {
        log_error("nothing to run: give a kernel with -kernel FILE (--help lists the options)");
        return -EINVAL;
    }
    if (o->vm.kernel == NULL && (o->vm.initrd != NULL || o->vm.append != NULL)) {
        log_error("-initrd and -append belong to -kernel; firmware finds its own");
        return -EINVAL;
    }
    return 0;
}

int options_parse(int argc, char *const *argv, struct options *o)
{
    *o = (struct options){.vm = {.machine = "virt",
                                 .ranchu.screen = {480, 800, DISPLAY_R5G6B5},
                                 .cpu = "cortex-a15",
                                 .smp = 1,
                                 .ram_size = 256 * MIB,
                                 .tier2_threshold = VM_TIER2_SAMPLED,
                                 .mmu = {.mode = MMU_SPT, .tiered = true},
                                 .pin = "none"}};
    for (int i = 1; i < argc; i++) {
        const struct option *d = find_option(argv[i]);
        const char *value = NULL;
        if (d == NULL) {
            return unknown_option(argv[i]);
        }
        if (d->value != NULL) {
            if (i + 1 == argc) {
                log_error("%s: its value (%s) is missing", argv[i], d->value);
                return -EINVAL;
            }
            value = argv[++i];
        }
        if (value != NULL && options_list(d->name, value)) {
            o->action = OPTIONS_LISTED;
            continue;
        }
        int err = d->parse(o, value);
        if (err != 0) {
            return err;
        }
    }
    int err = options_settle_console(o);
    if (err == 0) {
        err = options_settle_networks(o);
    }
    if (err == 0) {
        err = options_settle_drives(o);
    }
    return err == 0 ? check_combination(o) : err;
}

void options_free(struct options *o)
{
    for (unsigned i = 0; i < o->vm.ndrives; i++) {
        free(o->vm.drive[i].id);
        free(o->vm.drive[i].file);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(o->vm.flash); i++) {
        free(o->vm.flash[i].file);
    }
    for (unsigned i = 0; i < o->vm.ndevices; i++) {
        free(o->vm.device[i].driver);
        free(o->vm.device[i].options);
    }
    for (unsigned i = 0; i < o->vm.nnets; i++) {
        options_free_net(&o->vm.net[i]);
    }
    options_free_shares(o);
    options_free_ranchu(o);
    free(o->vm.semihosting.args);
    free(o->vm.dumpdtb);
    options_free_chardevs(o);
}

void options_print_help(FILE *f)
{
    fputs("usage: umbra -kernel FILE [options]\n\n", f);
    for (size_t i = 0; i < ARRAY_SIZE(option); i++) {
        if (option[i].help != NULL) {
            char left[32];
            snprintf(left, sizeof left, "-%s %s", option[i].name,
                     option[i].value != NULL ? option[i].value : "");
            fprintf(f, "  %-18s %s\n", left, option[i].help);
        }
    }
    fputs("\nIn the terminal, Ctrl-A x quits and Ctrl-A h lists the other keys. SIGUSR1 prints "
          "counters.\n",
          f);
}
