/* SPDX-License-Identifier: MIT */
/*
 * Firmware configuration device. Registers: data at 0 (bytes in memory order whatever the width),
 * selector at 8 (16 bits, big-endian), DMA address at 16 (64 bits, big-endian; writing the lower
 * half starts the transfer). Items cannot be written by the guest.
 *
 * Threads: any vCPU. Lock: fw_cfg.lock; items never change once the machine runs. The interface is
 * described with its public specification ("QEMU Firmware Configuration (fw_cfg) Device").
 */
#include "dev/fw_cfg.h"

#include "dev/dma.h"
#include "dev/dt.h"
#include "vm.h"

#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEY_SIGNATURE = 0x00, KEY_ID = 0x01, KEY_UUID = 0x02, KEY_RAM_SIZE = 0x03, KEY_NOGRAPHIC = 0x04,
    KEY_NB_CPUS = 0x05, KEY_MAX_CPUS = 0x0f, KEY_FILE_DIR = 0x19, KEY_FILE_FIRST = 0x20,
};

#define MAX_FILES 16
#define NITEMS (KEY_FILE_FIRST + MAX_FILES)
#define NAME_SIZE 56
#define ID_TRADITIONAL 1u
#define ID_DMA 2u
#define REG_DATA 0x00
#define REG_SELECTOR 0x08
#define REG_DMA 0x10
#define REGION_SIZE 0x18
#define DMA_SIGNATURE 0x51454d5520434647ull /* what a read of the DMA register shows */

#define DMA_ERROR 1u
#define DMA_READ 2u
#define DMA_SKIP 4u
#define DMA_SELECT 8u
#define DMA_WRITE 16u

struct fw_item {
    uint8_t *data;
    uint32_t size;
};

/* An entry of the directory, in its big-endian wire form. */
struct fw_file {
    uint32_t size;
    uint16_t select;
    uint16_t reserved;
    char name[NAME_SIZE];
};

struct fw_cfg {
    struct vm *vm;
    struct fw_item item[NITEMS];
    unsigned nfiles;
    pthread_mutex_t lock; /* what follows */
    uint32_t key, offset;
    uint64_t dma_addr;
};

static int set_item(struct fw_cfg *f, unsigned key, const void *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);

    if (copy == NULL || size > UINT32_MAX) {
        free(copy);
        return -ENOMEM;
    }
    memcpy(copy, data, size);
    free(f->item[key].data);
    f->item[key] = (struct fw_item){copy, (uint32_t)size};
    return 0;
}

static int set_le(struct fw_cfg *f, unsigned key, uint64_t value, size_t size)
{
    uint64_t le = htole64(value);

    return set_item(f, key, &le, size);
}

/* The directory item: a big-endian count and the entries; grows by one. */
static int add_entry(struct fw_cfg *f, const struct fw_file *e)
{
    uint8_t dir[4 + MAX_FILES * sizeof(struct fw_file)];
    uint32_t count = htobe32(f->nfiles + 1);
    size_t old = f->nfiles * sizeof *e;

    memcpy(dir, &count, 4);
    if (old > 0) {
        memcpy(dir + 4, f->item[KEY_FILE_DIR].data + 4, old);
    }
    memcpy(dir + 4 + old, e, sizeof *e);
    return set_item(f, KEY_FILE_DIR, dir, 4 + old + sizeof *e);
}

static bool has_file(const struct fw_cfg *f, const char *name)
{
    for (unsigned i = 0; i < f->nfiles; i++) {
        const uint8_t *e = f->item[KEY_FILE_DIR].data + 4 + i * sizeof(struct fw_file);
        if (strcmp((const char *)e + offsetof(struct fw_file, name), name) == 0) {
            return true;
        }
    }
    return false;
}

int fw_cfg_add_file(struct fw_cfg *f, const char *name, const void *data, size_t size)
{
    struct fw_file e = {.size = htobe32((uint32_t)size),
                        .select = htobe16((uint16_t)(KEY_FILE_FIRST + f->nfiles))};

    if (f->nfiles == MAX_FILES) {
        return -ENOSPC;
    }
    if (strlen(name) >= NAME_SIZE) {
        return -ENAMETOOLONG;
    }
    if (has_file(f, name)) {
        return -EEXIST;
    }
    memcpy(e.name, name, strlen(name));
    int err = set_item(f, KEY_FILE_FIRST + f->nfiles, data, size);
    if (err == 0) {
        err = add_entry(f, &e);
    }
    if (err == 0) {
        f->nfiles++;
    }
    return err;
}

/* ---- access ---- */
static void select_key(struct fw_cfg *f, uint32_t key)
{
    f->key = key & 0x3fff; /* without the write and architecture bits */
    f->offset = 0;
}

/* Bytes left of the selected item; beyond its end it reads as zeros. */
static uint32_t remaining(const struct fw_cfg *f)
{
    uint32_t size = f->key < NITEMS ? f->item[f->key].size : 0;

    return f->offset < size ? size - f->offset : 0;
}

static uint8_t next_byte(struct fw_cfg *f)
{
    if (remaining(f) == 0) {
        return 0;
    }
    return f->item[f->key].data[f->offset++];
}

/* Copy `len` bytes of the item to RAM, zeros after its end. */
static bool dma_out(struct fw_cfg *f, gpa_t to, uint32_t len)
{
    static const uint8_t zeros[4096];
    uint32_t n = remaining(f) < len ? remaining(f) : len;

    if (n > 0 && !dma_write(f->vm, to, f->item[f->key].data + f->offset, n)) {
        return false;
    }
    f->offset += n;
    for (to += n, len -= n; len > 0; to += n, len -= n) {
        n = len < sizeof zeros ? len : (uint32_t)sizeof zeros;
        if (!dma_write(f->vm, to, zeros, n)) {
            return false;
        }
    }
    return true;
}

struct dma_request {
    uint32_t control, length;
    uint64_t address;
};

static void run_dma(struct fw_cfg *f, gpa_t at)
{
    struct dma_request r;
    uint32_t status = 0;

    if (!dma_read(f->vm, at, &r, sizeof r)) {
        return; /* nowhere to report to either */
    }
    uint32_t control = be32toh(r.control), len = be32toh(r.length);
    if (control & DMA_SELECT) {
        select_key(f, control >> 16);
    }
    if (control & DMA_READ) {
        status = dma_out(f, be64toh(r.address), len) ? 0 : DMA_ERROR;
    } else if (control & DMA_WRITE) {
        status = DMA_ERROR; /* no item is writable */
    } else if (control & DMA_SKIP) {
        f->offset += len < remaining(f) ? len : remaining(f);
    }
    r.control = htobe32(status);
    dma_write(f->vm, at, &r.control, sizeof r.control);
}

static uint64_t fw_cfg_read(void *dev, struct vcpu *v, uint64_t off, unsigned size)
{
    struct fw_cfg *f = dev;
    uint64_t value = 0;

    (void)v;
    pthread_mutex_lock(&f->lock);
    if (off < REG_SELECTOR) {
        for (unsigned i = 0; i < size; i++) {
            value |= (uint64_t)next_byte(f) << 8 * i;
        }
    } else if (off >= REG_DMA) {
        value = htobe64(DMA_SIGNATURE) >> 8 * (off - REG_DMA);
    }
    pthread_mutex_unlock(&f->lock);
    return value;
}

static void fw_cfg_write(void *dev, struct vcpu *v, uint64_t off, uint64_t value, unsigned size)
{
    struct fw_cfg *f = dev;

    (void)v;
    pthread_mutex_lock(&f->lock);
    if (off == REG_SELECTOR && size == 2) {
        select_key(f, be16toh((uint16_t)value));
    } else if (off == REG_DMA && size == 8) {
        run_dma(f, be64toh(value));
    } else if (off == REG_DMA && size == 4) {
        f->dma_addr = (uint64_t)be32toh((uint32_t)value) << 32;
    } else if (off == REG_DMA + 4 && size == 4) {
        gpa_t at = f->dma_addr | be32toh((uint32_t)value);
        f->dma_addr = 0;
        run_dma(f, at);
    }
    pthread_mutex_unlock(&f->lock);
}

static const struct bus_ops fw_cfg_ops = {.read = fw_cfg_read, .write = fw_cfg_write};

/* ---- life cycle ---- */
static int add_items(struct fw_cfg *f, const struct vm *vm)
{
    static const uint8_t no_uuid[16];
    int err = set_item(f, KEY_SIGNATURE, "QEMU", 4);

    if (err == 0) {
        err = set_le(f, KEY_ID, ID_TRADITIONAL | ID_DMA, 4);
    }
    if (err == 0) {
        err = set_item(f, KEY_UUID, no_uuid, sizeof no_uuid);
    }
    if (err == 0) {
        err = set_le(f, KEY_RAM_SIZE, vm->ram.size, 8);
    }
    if (err == 0) {
        err = set_le(f, KEY_NOGRAPHIC, 1, 2);
    }
    if (err == 0) {
        err = set_le(f, KEY_NB_CPUS, vm->ncpus, 2);
    }
    if (err == 0) {
        err = set_le(f, KEY_MAX_CPUS, vm->ncpus, 2);
    }
    return err == 0 ? fw_cfg_add_file(f, "opt/umbra/version", UMBRA_VERSION, strlen(UMBRA_VERSION))
                    : err;
}

int fw_cfg_create(struct vm *vm, gpa_t base, struct fw_cfg **out)
{
    struct fw_cfg *f = calloc(1, sizeof *f);

    if (f == NULL) {
        return -ENOMEM;
    }
    f->vm = vm;
    pthread_mutex_init(&f->lock, NULL);
    int err = add_items(f, vm);
    if (err == 0) {
        err = bus_add(vm->bus, &(struct bus_region){.name = "fw-cfg", .base = base,
                                                    .size = REGION_SIZE, .ops = &fw_cfg_ops,
                                                    .dev = f});
    }
    if (err != 0) {
        fw_cfg_destroy(f);
        return err;
    }
    *out = f;
    return 0;
}

void fw_cfg_destroy(struct fw_cfg *f)
{
    if (f == NULL) {
        return;
    }
    for (unsigned i = 0; i < NITEMS; i++) {
        free(f->item[i].data);
    }
    pthread_mutex_destroy(&f->lock);
    free(f);
}

void fw_cfg_reset(struct fw_cfg *f)
{
    pthread_mutex_lock(&f->lock);
    select_key(f, KEY_SIGNATURE);
    f->dma_addr = 0;
    pthread_mutex_unlock(&f->lock);
}

void fw_cfg_fdt(struct dt *d, gpa_t base)
{
    dt_begin(d, "fw-cfg@%llx", (unsigned long long)base);
    dt_string(d, "compatible", "qemu,fw-cfg-mmio");
    dt_reg(d, base, REGION_SIZE);
    dt_flag(d, "dma-coherent");
    dt_end(d);
}
