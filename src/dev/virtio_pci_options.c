/* SPDX-License-Identifier: MIT */
/*
 * The options of a virtio device that belong to PCI: taken out of the text before the device's own
 * are read (virtio_options.c). Main thread.
 */
#include "virtio_pci.h"

#include "base/log.h"
#include "vm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Options that change nothing here, and the values they may have. */
static const struct {
    const char *key, *accepted[4];
} ignored[] = {
    {"bus", {"pcie.0", "pcie", "pci.0"}},
    {"disable-legacy", {"on", "off", "auto", "true"}},
    {"disable-modern", {"off", "false"}},
    {"romfile", {""}},
};

static int refuse(const struct vm_device *dev, size_t i, const char *value)
{
    char known[64];
    size_t n = 0;

    for (size_t k = 0; k < ARRAY_SIZE(ignored[i].accepted); k++) {
        const char *s = ignored[i].accepted[k];
        if (s != NULL && n < sizeof known) {
            n += (size_t)snprintf(known + n, sizeof known - n, "%s%s", n ? ", " : "",
                                  *s != '\0' ? s : "nothing");
        }
    }
    log_error("-device %s: %s=%s: accepted: %s", dev->driver, ignored[i].key, value, known);
    return -EINVAL;
}

/* 1: not an option of PCI. */
static int check_ignored(const struct vm_device *dev, const char *key, size_t len,
                         const char *value)
{
    for (size_t i = 0; i < ARRAY_SIZE(ignored); i++) {
        if (strlen(ignored[i].key) != len || memcmp(ignored[i].key, key, len) != 0) {
            continue;
        }
        for (size_t k = 0; k < ARRAY_SIZE(ignored[i].accepted); k++) {
            const char *s = ignored[i].accepted[k];
            if (s != NULL && strcmp(s, value) == 0) {
                return 0;
            }
        }
        return refuse(dev, i, value);
    }
    return 1;
}

/* The length of an item: up to a comma that is not doubled. */
static size_t item_length(const char *s)
{
    size_t n = 0;

    while (s[n] != '\0' && (s[n] != ',' || s[n + 1] == ',')) {
        n += s[n] == ',' ? 2 : 1;
    }
    return n;
}

static int take_item(struct virtio_pci_options *o, const struct vm_device *dev, const char *item,
                     size_t len)
{
    char *text = strndup(item, len);
    size_t key = text != NULL ? strcspn(text, "=") : 0;
    int err = text == NULL ? -ENOMEM : 1;

    if (err == 1 && text[key] == '=') {
        if (key == 4 && memcmp(text, "addr", 4) == 0) {
            free(o->addr);
            o->addr = strdup(text + 5);
            err = o->addr == NULL ? -ENOMEM : 0;
        } else {
            err = check_ignored(dev, text, key, text + key + 1);
        }
    }
    if (err == 1) { /* the device's own */
        strcat(strcat(o->rest.options, o->rest.options[0] != '\0' ? "," : ""), text);
        err = 0;
    }
    free(text);
    return err;
}

int virtio_pci_options_read(const struct vm_device *dev, struct virtio_pci_options *o)
{
    const char *p = dev->options != NULL ? dev->options : "";
    int err = 0;

    *o = (struct virtio_pci_options){.rest = {.driver = dev->driver,
                                              .options = calloc(1, strlen(p) + 1)}};
    if (o->rest.options == NULL) {
        return -ENOMEM;
    }
    while (err == 0 && *p != '\0') {
        size_t n = item_length(p);
        err = take_item(o, dev, p, n);
        p += n + (p[n] == ',');
    }
    if (err != 0) {
        virtio_pci_options_free(o);
    }
    return err;
}

void virtio_pci_options_free(struct virtio_pci_options *o)
{
    free(o->addr);
    free(o->rest.options);
    o->addr = o->rest.options = NULL;
}
