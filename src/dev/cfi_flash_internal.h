/* SPDX-License-Identifier: MIT */
/*
 * A bank of NOR flash, private to cfi_flash*.c: cfi_flash.c is the command machine, cfi_image.c the
 * file behind the array.
 */
#pragma once

#include "dev/cfi_flash.h"

#include <pthread.h>

#define FLASH_BLOCK (256u << 10)   /* erased at once */
#define FLASH_BUFFER 2048u         /* of a buffered program; a power of two */
#define FLASH_CHIPS 2u

/* What a read shows. */
enum flash_view { SHOW_ARRAY, SHOW_STATUS, SHOW_ID, SHOW_QUERY };
/* What the next write is. */
enum flash_state {
    EXPECT_COMMAND, EXPECT_WORD, EXPECT_COUNT, EXPECT_DATA, EXPECT_BUFFER_CONFIRM,
    EXPECT_ERASE_CONFIRM, EXPECT_LOCK,
};

struct cfi_flash {
    struct vm *vm;
    gpa_t base;
    uint8_t *array;       /* CFI_FLASH_SIZE bytes of vm->ram.rom */
    int fd;               /* of the file; -1: none */
    bool mapped;          /* over its part of the array */
    bool readonly;
    bool shared;          /* what is written reaches the file */
    pthread_mutex_t lock; /* what follows; inside it only the MMU's request queues are taken */
    enum flash_view view;
    enum flash_state state;
    uint8_t status;
    uint32_t window;      /* EXPECT_DATA on: offset of the buffer in the bank */
    uint32_t left;        /* writes of data to come */
    bool window_set;
    uint8_t buffer[FLASH_BUFFER];
};

/* ---- cfi_image.c ---- */
int flash_image_open(struct cfi_flash *f, const struct cfi_flash_image *image) MUST_CHECK;
void flash_image_close(struct cfi_flash *f);
/* Make sure that the host's disk has room for these bytes. -errno */
int flash_image_reserve(const struct cfi_flash *f, uint32_t off, uint32_t len) MUST_CHECK;
