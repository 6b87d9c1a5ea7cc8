/* SPDX-License-Identifier: MIT */
/*
 * Command line: -drive and -device. A drive is a host file with a name; a device names the drive it
 * uses. What a device's own options mean is the device's business (dev/virtio*.c).
 */
#include "options_internal.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool switch_value(const char *value, bool *out)
{
    if (value == NULL || strcmp(value, "on") == 0) {
        *out = true;
    } else if (strcmp(value, "off") == 0) {
        *out = false;
    } else {
        return false;
    }
    return true;
}

struct drive_parse {
    struct vm_drive drive;
    bool has_format;
    bool attach; /* if=virtio: a device comes with it */
    bool has_interface;
    bool flash;  /* if=pflash */
    uint64_t unit;
    bool has_unit;
};

static int drive_interface(struct drive_parse *d, const char *value)
{
    d->has_interface = true;
    d->attach = strcmp(value, "virtio") == 0;
    d->flash = strcmp(value, "pflash") == 0;
    if (!d->attach && !d->flash && strcmp(value, "none") != 0) {
        log_error("-drive if=%s: not supported; accepted: none, virtio, pflash", value);
        return -EINVAL;
    }
    return 0;
}

static int drive_key(struct drive_parse *d, struct options_list *l)
{
    const char *key = l->key, *value = l->value != NULL ? l->value : "";

    if (strcmp(key, "file") == 0 || strcmp(key, "id") == 0) {
        char **slot = key[0] == 'f' ? &d->drive.file : &d->drive.id;
        free(*slot);
        *slot = strdup(value);
        return *slot != NULL ? 0 : -ENOMEM;
    }
    if (strcmp(key, "format") == 0) {
        d->has_format = true;
        d->drive.qcow2 = strcmp(value, "qcow2") == 0;
        if (!d->drive.qcow2 && strcmp(value, "raw") != 0) {
            log_error("-drive format=%s: not supported; accepted: raw, qcow2", value);
            return -EINVAL;
        }
        return 0;
    }
    if (strcmp(key, "if") == 0) {
        return drive_interface(d, value);
    }
    if (strcmp(key, "unit") == 0 || strcmp(key, "index") == 0) {
        d->has_unit = options_parse_number(value, &d->unit);
        return d->has_unit ? 0 : (log_error("-drive %s=%s: not a number", key, value), -EINVAL);
    }
    if (strcmp(key, "readonly") == 0 || strcmp(key, "read-only") == 0) {
        if (!switch_value(l->value, &d->drive.readonly)) {
            log_error("-drive readonly=%s: accepted: on, off", value);
            return -EINVAL;
        }
        return 0;
    }
    if (strcmp(key, "snapshot") == 0) {
        if (!switch_value(l->value, &d->drive.snapshot)) {
            log_error("-drive snapshot=%s: accepted: on, off", value);
            return -EINVAL;
        }
        return 0;
    }
    if (strcmp(key, "media") == 0) {
        d->drive.readonly |= strcmp(value, "cdrom") == 0;
        return options_one_of("disk|cdrom", value)
                   ? 0
                   : options_bad_value("drive media", value, "disk, cdrom");
    }
    int err = options_as_is("drive", key, value);
    if (err == 1) {
        log_error("-drive: unknown option %s; accepted: file=, format=raw|qcow2, "
                  "if=none|virtio|pflash, unit=, id=, readonly=on|off, snapshot=on|off, "
                  "media=disk|cdrom, cache=, aio=, discard=",
                  key);
    }
    return err == 1 ? -EINVAL : err;
}

int options_add_device(struct options *o, const char *driver, const char *options)
{
    if (o->vm.ndevices == ARRAY_SIZE(o->vm.device)) {
        log_error("-device %s: the board has %zu virtio-mmio slots, all are taken", driver,
                  ARRAY_SIZE(o->vm.device));
        return -EINVAL;
    }
    struct vm_device *d = &o->vm.device[o->vm.ndevices++];
    d->driver = strdup(driver);
    d->options = options != NULL ? strdup(options) : NULL;
    return d->driver != NULL ? 0 : -ENOMEM;
}

static int fill_flash(struct options *o, uint64_t unit, const struct vm_flash *from)
{
    if (unit >= ARRAY_SIZE(o->vm.flash)) {
        log_error("%s %s: the board has two banks of flash; accepted: unit=0, unit=1",
                  from->option, from->file);
        return -EINVAL;
    }
    struct vm_flash *f = &o->vm.flash[unit];
    if (f->option != NULL) {
        log_error("%s %s: bank %u of flash has %s already", from->option, from->file,
                  (unsigned)unit, f->file);
        return -EINVAL;
    }
    *f = *from;
    f->file = strdup(from->file);
    return f->file != NULL ? 0 : -ENOMEM;
}

static int add_flash(struct options *o, const struct drive_parse *d)
{
    const struct vm_flash f = {.option = "-drive if=pflash", .file = d->drive.file,
                               .readonly = d->drive.readonly, .snapshot = d->drive.snapshot};

    if (d->drive.qcow2) {
        log_error("-drive if=pflash,format=qcow2: not supported; accepted: raw");
        return -EINVAL;
    }
    return fill_flash(o, d->has_unit ? d->unit : o->vm.flash[0].option != NULL, &f);
}

int options_parse_bios(struct options *o, const char *value)
{
    return fill_flash(o, 0, &(struct vm_flash){.option = "-bios", .file = (char *)(uintptr_t)value,
                                               .readonly = true, .shorter = true});
}

static int attach(struct options *o, const struct vm_drive *drive)
{
    char text[300];

    snprintf(text, sizeof text, "drive=%s", drive->id);
    return options_add_device(o, "virtio-blk", text);
}

static int add_drive(struct options *o, struct drive_parse *d)
{
    char name[48];

    if (d->drive.file == NULL || d->drive.file[0] == '\0') {
        log_error("-drive: file= is missing");
        return -EINVAL;
    }
    if (d->flash) {
        return add_flash(o, d);
    }
    size_t len = strlen(d->drive.file);
    if (!d->has_format && len > 6 && strcmp(d->drive.file + len - 6, ".qcow2") == 0 &&
        strncmp(d->drive.file, "nbd", 3) != 0) {
        d->drive.qcow2 = true;
    }
    if (o->vm.ndrives == ARRAY_SIZE(o->vm.drive)) {
        log_error("-drive: more than %zu drives", ARRAY_SIZE(o->vm.drive));
        return -EINVAL;
    }
    if (d->drive.id == NULL) {
        snprintf(name, sizeof name, "drive%u", o->vm.ndrives);
        d->drive.id = strdup(name);
    }
    for (unsigned i = 0; i < o->vm.ndrives; i++) {
        if (d->drive.id != NULL && strcmp(o->vm.drive[i].id, d->drive.id) == 0) {
            log_error("-drive: the id %s is used twice", d->drive.id);
            return -EINVAL;
        }
    }
    if (d->drive.id == NULL) {
        return -ENOMEM;
    }
    d->drive.unplaced = !d->has_interface;
    o->vm.drive[o->vm.ndrives++] = d->drive;
    d->drive = (struct vm_drive){0}; /* now owned by o */
    return d->attach ? attach(o, &o->vm.drive[o->vm.ndrives - 1]) : 0;
}

int options_parse_drive(struct options *o, const char *value)
{
    struct options_list l = {.rest = value};
    struct drive_parse d = {0};
    int err = 0;

    while (err == 0 && options_list_next(&l)) {
        err = drive_key(&d, &l);
    }
    options_list_end(&l);
    if (err == 0) {
        err = add_drive(o, &d);
    }
    free(d.drive.file);
    free(d.drive.id);
    return err;
}

/* -hda, -cdrom and -pflash FILE: a -drive, with the commas of the name doubled. */
static int parse_file(struct options *o, const char *file, const char *more)
{
    char *text = malloc(2 * strlen(file) + strlen(more) + sizeof "file=");
    int err = -ENOMEM;

    if (text != NULL) {
        char *p = stpcpy(text, "file=");
        for (; *file != '\0'; file++) {
            *p++ = *file;
            if (*file == ',') {
                *p++ = ',';
            }
        }
        strcpy(p, more);
        err = options_parse_drive(o, text);
    }
    free(text);
    return err;
}

int options_parse_hda(struct options *o, const char *value)
{
    return parse_file(o, value, "");
}

int options_parse_cdrom(struct options *o, const char *value)
{
    return parse_file(o, value, ",media=cdrom");
}

int options_parse_pflash(struct options *o, const char *value)
{
    return parse_file(o, value, ",if=pflash");
}

static bool is_used(const struct options *o, const char *id)
{
    bool used = false;

    for (unsigned i = 0; i < o->vm.ndevices && !used; i++) {
        struct options_list l = {.rest = o->vm.device[i].options};
        while (!used && options_list_next(&l)) {
            used = strcmp(l.key, "drive") == 0 && l.value != NULL && strcmp(l.value, id) == 0;
        }
        options_list_end(&l);
    }
    return used;
}

int options_settle_drives(struct options *o)
{
    int err = 0;

    for (unsigned i = 0; i < o->vm.ndrives && err == 0; i++) {
        struct vm_drive *d = &o->vm.drive[i];
        d->snapshot |= o->snapshot;
        err = d->unplaced && !is_used(o, d->id) ? attach(o, d) : 0;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(o->vm.flash); i++) {
        o->vm.flash[i].snapshot |= o->snapshot;
    }
    return err;
}

int options_parse_device(struct options *o, const char *value)
{
    char driver[64];
    size_t len = strcspn(value, ",");

    if (len == 0 || len >= sizeof driver) {
        log_error("-device %s: no driver name", value);
        return -EINVAL;
    }
    memcpy(driver, value, len);
    driver[len] = '\0';
    if (strcmp(driver, "pvpanic-mmio") == 0) {
        o->vm.pvpanic = value[len] == '\0';
        if (!o->vm.pvpanic) {
            log_error("-device pvpanic-mmio: unknown option %s; it has none", value + len + 1);
        }
        return o->vm.pvpanic ? 0 : -EINVAL;
    }
    if (strcmp(driver, "simple-framebuffer") == 0) { /* no slot of virtio-mmio */
        return options_parse_framebuffer(o, value[len] == ',' ? value + len + 1 : NULL);
    }
    return options_add_device(o, driver, value[len] == ',' ? value + len + 1 : NULL);
}
