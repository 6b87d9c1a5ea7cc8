/* SPDX-License-Identifier: MIT */
/*
 * NOR flash with the Intel command set (CFI command set 1) on a 32-bit bus: two x16 chips that get
 * every command together and show the same status. Reading the array is not the device's business:
 * the MMU does that directly (mmu/rom.c), and is told when a bank shows something else.
 *
 * Programming clears bits, erasing a block sets them, both at once: the status is always "ready".
 * Suspend and block locks are accepted and change nothing. A bank that is read-only reports its
 * blocks as locked when something is tried on them.
 *
 * vCPU threads. Lock: cfi_flash.lock. A program may wait for the page of the host's file; only the
 * vCPU that asked for it does. JESD68.01 and JEP137; commands as in the data sheets of Intel's
 * StrataFlash (J3, P30).
 */
#include "cfi_flash_internal.h"

#include "base/log.h"
#include "dev/dt.h"
#include "tcg/tcg.h"
#include "vm.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    READ_ARRAY = 0xff, READ_ARRAY_AMD = 0xf0, READ_STATUS = 0x70, CLEAR_STATUS = 0x50,
    READ_ID = 0x90, READ_QUERY = 0x98, PROGRAM = 0x40, PROGRAM_ALT = 0x10, BUFFER = 0xe8,
    ERASE = 0x20, CONFIRM = 0xd0, SUSPEND = 0xb0, LOCK = 0x60,
};
enum { READY = 0x80, ERASE_ERROR = 0x20, PROGRAM_ERROR = 0x10, BLOCK_LOCKED = 0x02 };

#define MAKER 0x89u
#define DEVICE 0x18u

/*
 * The query table of one chip, from entry 0x10 on: identification, supply and timing (typical
 * microseconds, milliseconds and their maximal factors, as powers of two), geometry, and the
 * command set's own table.
 */
static const uint8_t query[] = {
    /* 10: command set 1, its table at 31 */
    'Q', 'R', 'Y', 0x01, 0x00, 0x31, 0x00, 0, 0, 0, 0,
    /* 1b: supply, timing */
    0x45, 0x55, 0, 0, 7, 7, 10, 0, 4, 4, 4, 0,
    /* 27: 32 MiB, x16, buffer of 1 KiB, one region */
    25, 0x01, 0x00, 10, 0x00, 1,
    /* 2d: 256 blocks of 128 KiB */
    0xff, 0x00, 0x00, 0x02,
    /* 31: no optional features */
    'P', 'R', 'I', '1', '0', 0, 0, 0, 0, 0, 0, 0, 0, 0,
};
#define QUERY_FIRST 0x10u
_Static_assert(CFI_FLASH_SIZE == 2ull << 25 && FLASH_BUFFER == 2u << 10 &&
               FLASH_BLOCK == 2u * (0x200u << 8) && CFI_FLASH_SIZE / FLASH_BLOCK == 0x100,
               "the table");

static void guest_error(const struct cfi_flash *f, const char *what, uint64_t off, uint32_t value)
{
    if (log_on(LOG_GUEST_ERROR)) {
        log_printf("flash at 0x%" PRIx64 ": %s: 0x%x written at 0x%" PRIx64 "\n", f->base, what,
                   value, off);
    }
}

/* ---- reading ---- */
static uint16_t chip_shows(const struct cfi_flash *f, uint64_t word)
{
    switch (f->view) {
    case SHOW_ID: {
        unsigned i = (unsigned)(word & 0xff);
        return i == 0 ? MAKER : i == 1 ? DEVICE : 0;
    }
    case SHOW_QUERY: {
        uint64_t i = (word & 0xff) - QUERY_FIRST;
        return i < sizeof query ? query[i] : 0;
    }
    default: return f->status;
    }
}

static uint64_t flash_read(void *dev, struct vcpu *v, uint64_t off, unsigned size)
{
    struct cfi_flash *f = dev;
    uint64_t value = 0;

    (void)v;
    pthread_mutex_lock(&f->lock);
    for (unsigned i = 0; i < size; i++) {
        uint64_t at = off + i;
        uint8_t byte = f->array[at % CFI_FLASH_SIZE];
        if (f->view != SHOW_ARRAY) {
            byte = (uint8_t)(chip_shows(f, at / (2 * FLASH_CHIPS)) >> 8 * (at & 1));
        }
        value |= (uint64_t)byte << 8 * i;
    }
    pthread_mutex_unlock(&f->lock);
    return value;
}

/* ---- changing the array ---- */
static void show(struct cfi_flash *f, struct vcpu *v, enum flash_view view)
{
    bool array = view == SHOW_ARRAY;

    if (array != (f->view == SHOW_ARRAY)) {
        mmu_rom_read_directly(f->vm, v, f->base, array);
    }
    f->view = view;
}

static void fail(struct cfi_flash *f, uint8_t bits)
{
    f->status |= bits;
}

/* May these bytes change? */
static bool writable(struct cfi_flash *f, uint32_t off, uint32_t len, uint8_t error)
{
    if (f->readonly) {
        fail(f, error | BLOCK_LOCKED);
        return false;
    }
    int err = flash_image_reserve(f, off, len);
    if (err != 0) {
        log_warn("flash at 0x%" PRIx64 ": the guest's write fails: %s", f->base, strerror(-err));
        fail(f, error);
    }
    return err == 0;
}

static void program(struct cfi_flash *f, uint32_t off, const uint8_t *data, uint32_t len)
{
    if (!writable(f, off, len, PROGRAM_ERROR)) {
        return;
    }
    for (uint32_t i = 0; i < len; i++) {
        f->array[off + i] &= data[i];
    }
    mmu_rom_written(f->vm, f->base + off, len);
}

static void erase(struct cfi_flash *f, uint32_t off)
{
    off &= ~(FLASH_BLOCK - 1);
    if (writable(f, off, FLASH_BLOCK, ERASE_ERROR)) {
        memset(f->array + off, 0xff, FLASH_BLOCK);
        mmu_rom_written(f->vm, f->base + off, FLASH_BLOCK);
    }
}

/* ---- commands ---- */
/* Back to commands, with the status to be seen. */
static void done(struct cfi_flash *f, struct vcpu *v)
{
    f->state = EXPECT_COMMAND;
    show(f, v, SHOW_STATUS);
}

static void sequence_error(struct cfi_flash *f, struct vcpu *v, uint64_t off, uint32_t value)
{
    guest_error(f, "not what was expected", off, value);
    fail(f, ERASE_ERROR | PROGRAM_ERROR);
    done(f, v);
}

static void expect(struct cfi_flash *f, struct vcpu *v, enum flash_state state)
{
    f->state = state;
    show(f, v, SHOW_STATUS);
}

static void command(struct cfi_flash *f, struct vcpu *v, uint64_t off, uint32_t value)
{
    switch (value & 0xff) {
    case READ_ARRAY: case READ_ARRAY_AMD: case 0: show(f, v, SHOW_ARRAY); break;
    case READ_STATUS: case SUSPEND: case CONFIRM: show(f, v, SHOW_STATUS); break;
    case CLEAR_STATUS: f->status = READY; break;
    case READ_ID: show(f, v, SHOW_ID); break;
    case READ_QUERY: show(f, v, SHOW_QUERY); break;
    case PROGRAM: case PROGRAM_ALT: expect(f, v, EXPECT_WORD); break;
    case BUFFER: expect(f, v, EXPECT_COUNT); break;
    case ERASE: expect(f, v, EXPECT_ERASE_CONFIRM); break;
    case LOCK: expect(f, v, EXPECT_LOCK); break;
    default:
        guest_error(f, "unknown command", off, value);
        show(f, v, SHOW_ARRAY);
        break;
    }
}

static void begin_data(struct cfi_flash *f, struct vcpu *v, uint64_t off, uint32_t value)
{
    uint32_t words = (value & 0xffff) + 1; /* of both chips together */

    if (words > FLASH_BUFFER / (2 * FLASH_CHIPS)) {
        sequence_error(f, v, off, value);
        return;
    }
    memset(f->buffer, 0xff, sizeof f->buffer);
    f->left = words;
    f->window_set = false;
    f->state = EXPECT_DATA;
}

static void take_data(struct cfi_flash *f, struct vcpu *v, uint64_t off, uint32_t value,
                      unsigned size)
{
    uint32_t at = (uint32_t)off & (FLASH_BUFFER - 1), window = (uint32_t)off - at;

    if (!f->window_set) {
        f->window = window;
        f->window_set = true;
    }
    if (window != f->window || size > FLASH_BUFFER - at) {
        sequence_error(f, v, off, value);
        return;
    }
    memcpy(f->buffer + at, &value, size); /* both little-endian */
    if (--f->left == 0) {
        f->state = EXPECT_BUFFER_CONFIRM;
    }
}

static void confirm(struct cfi_flash *f, struct vcpu *v, uint64_t off, uint32_t value)
{
    if ((value & 0xff) != CONFIRM) {
        sequence_error(f, v, off, value);
        return;
    }
    if (f->state == EXPECT_ERASE_CONFIRM) {
        erase(f, (uint32_t)off);
    } else {
        program(f, f->window, f->buffer, FLASH_BUFFER);
    }
    done(f, v);
}

static void take_word(struct cfi_flash *f, struct vcpu *v, uint64_t off, uint32_t value,
                      unsigned size)
{
    uint8_t data[sizeof value];

    memcpy(data, &value, sizeof value);
    program(f, (uint32_t)off, data, size);
    done(f, v);
}

/* The bus keeps off + size inside the bank, and size at 4 at most. */
static void flash_write(void *dev, struct vcpu *v, uint64_t off, uint64_t value64, unsigned size)
{
    struct cfi_flash *f = dev;
    uint32_t value = (uint32_t)value64;

    pthread_mutex_lock(&f->lock);
    switch (f->state) {
    case EXPECT_COMMAND: command(f, v, off, value); break;
    case EXPECT_WORD: take_word(f, v, off, value, size); break;
    case EXPECT_COUNT: begin_data(f, v, off, value); break;
    case EXPECT_DATA: take_data(f, v, off, value, size); break;
    case EXPECT_BUFFER_CONFIRM: case EXPECT_ERASE_CONFIRM: confirm(f, v, off, value); break;
    case EXPECT_LOCK: done(f, v); break;
    }
    pthread_mutex_unlock(&f->lock);
}

static const struct bus_ops flash_ops = {.read = flash_read, .write = flash_write, .max_size = 4};

/* ---- life cycle ---- */
int cfi_flash_create(struct vm *vm, gpa_t base, const struct cfi_flash_image *image,
                     struct cfi_flash **out)
{
    struct cfi_flash *f = calloc(1, sizeof *f);

    if (f == NULL) {
        return -ENOMEM;
    }
    *f = (struct cfi_flash){.vm = vm, .base = base, .array = vm->ram.rom + base, .fd = -1,
                            .status = READY};
    pthread_mutex_init(&f->lock, NULL);
    int err = flash_image_open(f, image);
    if (err == 0) {
        err = bus_add(vm->bus, &(struct bus_region){.name = "cfi-flash", .base = base,
                                                    .size = CFI_FLASH_SIZE, .ops = &flash_ops,
                                                    .dev = f});
    }
    if (err != 0) {
        cfi_flash_destroy(f);
        return err;
    }
    *out = f;
    return 0;
}

void cfi_flash_destroy(struct cfi_flash *f)
{
    if (f == NULL) {
        return;
    }
    flash_image_close(f);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

void cfi_flash_reset(struct cfi_flash *f)
{
    pthread_mutex_lock(&f->lock);
    f->state = EXPECT_COMMAND;
    f->status = READY;
    show(f, NULL, SHOW_ARRAY);
    pthread_mutex_unlock(&f->lock);
}

void cfi_flash_fdt(struct dt *d, gpa_t bank0, gpa_t bank1)
{
    dt_begin(d, "flash@%llx", (unsigned long long)bank0);
    dt_string(d, "compatible", "cfi-flash");
    DT_CELLS(d, "reg", (uint32_t)(bank0 >> 32), (uint32_t)bank0, 0, (uint32_t)CFI_FLASH_SIZE,
             (uint32_t)(bank1 >> 32), (uint32_t)bank1, 0, (uint32_t)CFI_FLASH_SIZE);
    DT_CELLS(d, "bank-width", 4);
    dt_end(d);
}
