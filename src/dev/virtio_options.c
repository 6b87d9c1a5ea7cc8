/* SPDX-License-Identifier: MIT */
/*
 * The options of a virtio -device: "key=value,key=value", ",," for a comma inside a value. A
 * device says in a table what it knows; everything else is an error that lists the table. Main
 * thread, no state.
 */
#include "virtio_internal.h"

#include "base/log.h"
#include "vm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One "key=value" up to the next single comma, with double commas made single; malloc'd. Moves
   *p past it. */
static char *next_item(const char **p)
{
    char *item = malloc(strlen(*p) + 1);
    size_t n = 0;

    if (item == NULL) {
        return NULL;
    }
    for (; **p != '\0'; ++*p) {
        if (**p == ',' && *++*p != ',') {
            break;
        }
        item[n++] = **p;
    }
    item[n] = '\0';
    return item;
}

static struct virtio_option *find(struct virtio_option *table, const char *key, size_t len)
{
    for (; table->key != NULL; table++) {
        if (strlen(table->key) == len && memcmp(table->key, key, len) == 0) {
            return table;
        }
    }
    return NULL;
}

static int refuse(const struct vm_device *dev, const struct virtio_option *table, const char *item,
                  const char *what)
{
    char known[128];
    size_t n = 0;

    for (; table->key != NULL && n < sizeof known; table++) {
        n += (size_t)snprintf(known + n, sizeof known - n, "%s=, ", table->key);
    }
    if (n < sizeof known) {
        snprintf(known + n, sizeof known - n, "id=");
    }
    log_error("-device %s: %s %s; accepted: %s", dev->driver, what, item, known);
    return -EINVAL;
}

/* Properties that change nothing here, by the beginning of a driver's name, and the values they may
   have; NULL: any. */
static const struct {
    const char *driver, *key, *accepted[3];
} as_is[] = {
    {"virtio-", "bootindex", {NULL}}, /* firmware takes disks in the order of their slots */
    {"virtio-", "event_idx", {"on"}},
    {"virtio-", "indirect_desc", {"on"}},
    {"virtio-", "vectors", {NULL}}, /* as many as it has queues, and one */
    {"virtio-blk", "discard", {"on"}},
    {"virtio-blk", "iothread", {NULL}}, /* a drive has threads of its own */
    {"virtio-blk", "logical_block_size", {"512"}},
    {"virtio-blk", "physical_block_size", {"512"}},
    {"virtio-blk", "scsi", {"off"}},
    {"virtio-blk", "write-cache", {"on"}},
    {"virtio-gpu", "edid", {"on", "off"}},
    {"virtio-gpu", "max_outputs", {"1"}},
    {"virtio-net", "mq", {"on", "off"}}, /* as many queues as the network has */
    {"virtio-rng", "max-bytes", {NULL}},
    {"virtio-rng", "period", {NULL}},
    {"virtio-rng", "rng", {NULL}}, /* the source is always the host kernel */
    {"virtio-serial", "max_ports", {NULL}},
    {"virtconsole", "bus", {NULL}}, /* there is one device that has ports */
    {"virtserialport", "bus", {NULL}},
};

/* 0: such a property; 1: another one; -EINVAL: with another value, reported. */
static int check_as_is(const struct vm_device *dev, const char *item, size_t len)
{
    const char *value = item[len] == '=' ? item + len + 1 : "on";

    for (size_t i = 0; i < ARRAY_SIZE(as_is); i++) {
        const char *const *v = as_is[i].accepted;
        if (strncmp(dev->driver, as_is[i].driver, strlen(as_is[i].driver)) != 0 ||
            strlen(as_is[i].key) != len || memcmp(as_is[i].key, item, len) != 0) {
            continue;
        }
        if (v[0] == NULL || strcmp(v[0], value) == 0 ||
            (v[1] != NULL && strcmp(v[1], value) == 0)) {
            return 0;
        }
        log_error("-device %s: %s=%s: accepted: %s%s%s", dev->driver, as_is[i].key, value, v[0],
                  v[1] != NULL ? ", " : "", v[1] != NULL ? v[1] : "");
        return -EINVAL;
    }
    return 1;
}

static int take_item(const struct vm_device *dev, struct virtio_option *table, const char *item)
{
    size_t len = strcspn(item, "=");
    struct virtio_option *o = find(table, item, len);

    if (o == NULL && (len != 2 || memcmp(item, "id", 2) != 0)) {
        int err = check_as_is(dev, item, len);
        return err == 1 ? refuse(dev, table, item, "unknown option") : err;
    }
    if (item[len] == '\0') {
        return refuse(dev, table, item, "no value for");
    }
    if (o != NULL) {
        free(o->value);
        o->value = strdup(item + len + 1);
    }
    return o == NULL || o->value != NULL ? 0 : -ENOMEM;
}

int virtio_options_read(const struct vm_device *dev, struct virtio_option *table)
{
    const char *p = dev->options != NULL ? dev->options : "";
    int err = 0;

    while (err == 0 && *p != '\0') {
        char *item = next_item(&p);
        err = item == NULL ? -ENOMEM : take_item(dev, table, item);
        free(item);
    }
    if (err != 0) {
        virtio_options_free(table);
    }
    return err;
}

void virtio_options_free(struct virtio_option *table)
{
    for (; table->key != NULL; table++) {
        free(table->value);
        table->value = NULL;
    }
}
