/* SPDX-License-Identifier: MIT */
/*
 * Drives from Android sparse images: every kind of chunk reads as what it stands for, also across
 * chunks and under an overlay; damaged and hostile lists are refused in one sentence. SEED and
 * ROUNDS vary the random test.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/block.h"

#define BLOCK 4096u
#define MOST (4u << 20)
#define RAW 0xcac1u
#define FILL 0xcac2u
#define SKIP 0xcac3u
#define CRC 0xcac4u

static char path[64];
static struct block *b;
static uint8_t file[2 * MOST], model[MOST];
static size_t used, size;   /* bytes of file, of model */
static unsigned chunks;
static char message[1024];

static void put16(size_t at, unsigned v)
{
    file[at] = (uint8_t)v;
    file[at + 1] = (uint8_t)(v >> 8);
}

static void put32(size_t at, uint32_t v)
{
    put16(at, v & 0xffff);
    put16(at + 2, v >> 16);
}

static void begin(void)
{
    memset(file, 0, sizeof file);
    put32(0, 0xed26ff3a);
    put16(4, 1);
    put16(8, 28);
    put16(10, 12);
    put32(12, BLOCK);
    used = 28;
    size = 0;
    chunks = 0;
}

/* One more chunk in file and model. */
static void add(unsigned type, unsigned blocks, uint32_t word)
{
    size_t bytes = (size_t)blocks * BLOCK, data = type == RAW ? bytes : type == SKIP ? 0 : 4;

    put16(used, type);
    put32(used + 4, blocks);
    put32(used + 8, (uint32_t)(12 + data));
    if (type == RAW) {
        for (size_t i = 0; i < bytes; i++) {
            file[used + 12 + i] = (uint8_t)(word + i * 13 + i / 512);
        }
        memcpy(model + size, file + used + 12, bytes);
    } else if (type != SKIP) {
        put32(used + 12, word);
    }
    for (size_t i = 0; type == FILL && i < bytes; i++) {
        model[size + i] = (uint8_t)(word >> i % 4 * 8);
    }
    if (type == SKIP) {
        memset(model + size, 0, bytes);
    }
    size += bytes;
    used += 12 + data;
    put32(16, (uint32_t)(size / BLOCK));
    put32(20, ++chunks);
}

static void save(size_t bytes)
{
    FILE *f = fopen(path, "wb");

    cr_assert_eq(fwrite(file, 1, bytes, f), bytes);
    fclose(f);
}

static void example(void)
{
    begin();
    add(RAW, 3, 1);
    add(FILL, 2, 0x04030201);
    add(SKIP, 5, 0);
    add(CRC, 0, 0x12345678);
    add(RAW, 1, 9);
    add(FILL, 1, 0);
    add(SKIP, 1, 0);
}

static void setup(void)
{
    snprintf(path, sizeof path, "/tmp/umbra-sparse-XXXXXX");
    close(mkstemp(path));
    example();
}

static void teardown(void)
{
    block_close(b);
    unlink(path);
}

TestSuite(block_sparse, .init = setup, .fini = teardown, .timeout = 60);

struct waited {
    struct block_request r;
    sem_t done;
    int err;
};

static void done(struct block_request *r, int err)
{
    struct waited *w = container_of(r, struct waited, r);

    w->err = err;
    sem_post(&w->done);
}

static int transfer(enum block_op op, uint64_t at, uint8_t *buf, size_t len)
{
    size_t part = len / 3 + 1; /* odd, so that words are cut */
    struct iovec iov[3] = {{buf, part}, {buf + part, 1}, {buf + part + 1, len - part - 1}};
    struct waited w = {.r = {.op = op, .offset = at, .length = len, .iov = iov, .niov = 3}};

    w.r.done = done;
    sem_init(&w.done, 0, 0);
    block_submit(b, &w.r);
    sem_wait(&w.done);
    return w.err;
}

static void expect_model(uint64_t at, size_t len)
{
    static uint8_t got[MOST];

    memset(got, 0xee, len);
    cr_assert_eq(transfer(BLOCK_READ, at, got, len), 0);
    cr_assert_eq(memcmp(got, model + at, len), 0, "%zu bytes at %llu", len,
                 (unsigned long long)at);
}

static void open_it(unsigned flags)
{
    cr_assert_eq(block_open("d", path, flags, &b), 0);
    cr_assert_eq(block_sectors(b), size / 512);
}

Test(block_sparse, all_kinds)
{
    uint8_t data[512] = {0};

    save(used);
    open_it(BLOCK_READONLY);
    expect_model(0, size);
    expect_model(3 * BLOCK - 512, 1024);
    expect_model(size - 512, 512);
    cr_expect_eq(transfer(BLOCK_WRITE, 0, data, sizeof data), -EROFS);
}

Test(block_sparse, longer_headers)
{
    /* A later minor version may have more in its headers. */
    begin();
    memmove(file + 32, file + 28, 100);
    put16(8, 32);
    used = 32;
    add(FILL, 4, 0xa5a5a5a5);
    save(used);
    open_it(BLOCK_READONLY);
    expect_model(0, size);
}

Test(block_sparse, overlay)
{
    uint8_t data[1024];

    save(used);
    open_it(BLOCK_SNAPSHOT);
    memset(data, 0x77, sizeof data);
    cr_assert_eq(transfer(BLOCK_WRITE, 3 * BLOCK - 512, data, sizeof data), 0);
    memcpy(model + 3 * BLOCK - 512, data, sizeof data);
    expect_model(0, size);
}

Test(block_sparse, at_random)
{
    const char *s = getenv("SEED"), *r = getenv("ROUNDS");
    unsigned rounds = r != NULL ? (unsigned)atoi(r) : 20;

    srand(s != NULL ? (unsigned)atoi(s) : 1);
    for (unsigned i = 0; i < rounds; i++) {
        static const unsigned type[] = {RAW, FILL, SKIP, CRC};
        unsigned n = 1 + (unsigned)rand() % 300;
        begin();
        add(RAW, 1, 3);
        while (n-- > 0 && size + 8 * BLOCK < MOST) {
            unsigned t = type[rand() % 4];
            add(t, t == CRC ? 0 : (unsigned)rand() % 7, (uint32_t)rand());
        }
        save(used);
        open_it(BLOCK_READONLY);
        for (unsigned k = 0; k < 50; k++) {
            size_t first = (size_t)rand() % (size / 512), most = size / 512 - first;
            expect_model(first * 512, (1 + (size_t)rand() % most) * 512);
        }
        expect_model(0, size);
        block_close(b);
        b = NULL;
    }
}

/* ---- what is refused ---- */
static int open_caught(unsigned flags)
{
    char capture[80];

    snprintf(capture, sizeof capture, "%s.err", path);
    fflush(stderr);
    int saved = dup(2);
    cr_assert_not_null(freopen(capture, "w+", stderr));
    int err = block_open("d", path, flags, &b);
    fflush(stderr);
    rewind(stderr);
    message[fread(message, 1, sizeof message - 1, stderr)] = '\0';
    dup2(saved, 2);
    close(saved);
    unlink(capture);
    return err;
}

static void expect_refused(size_t bytes, const char *word)
{
    save(bytes);
    cr_assert_lt(open_caught(BLOCK_READONLY), 0, "%s", word);
    cr_expect_not_null(strstr(message, word), "'%s' says: %s", word, message);
    cr_expect_eq(strchr(message, '\n'), message + strlen(message) - 1, "one line: %s", message);
    example();
}

Test(block_sparse, writable)
{
    save(used);
    cr_expect_eq(open_caught(0), -EINVAL);
    cr_expect_not_null(strstr(message, "snapshot=on"), "%s", message);
}

Test(block_sparse, damaged_header)
{
    expect_refused(20, "within its header");
    put16(4, 2);
    expect_refused(used, "version is 2");
    put16(8, 27);
    expect_refused(used, "too few bytes: 27");
    put16(10, 11);
    expect_refused(used, "too few bytes: 11");
    put32(12, 0);
    expect_refused(used, "block size is 0");
    put32(12, 0xfffffe00);
    expect_refused(used, "block size is");
    put32(12, 4098);
    expect_refused(used, "block size is 4098");
    put32(16, 0);
    expect_refused(used, "number of blocks is 0");
    put32(16, (uint32_t)(size / BLOCK) + 1);
    expect_refused(used, "end before the drive");
    put32(16, (uint32_t)(size / BLOCK) - 1);
    expect_refused(used, "beyond the end of the drive");
}

Test(block_sparse, damaged_chunks)
{
    put32(20, 0xffffffff);
    expect_refused(used, "within its list of chunks");
    expect_refused(used - 1, "within its list of chunks");
    put16(28, 0xcac5);
    expect_refused(used, "unknown type at byte 28");
    put32(28 + 4, 0xffffffff); /* with any block size, more than the file */
    expect_refused(used, "wrong size at byte 28");
    put32(28 + 8, 11);
    expect_refused(used, "wrong size at byte 28");
    begin();
    add(RAW, 2, 1);
    expect_refused(used - 1, "wrong size at byte 28");
    begin();
    add(FILL, 2, 1);
    expect_refused(used - 2, "wrong size at byte 28");
}

Test(block_sparse, file_becomes_shorter)
{
    static uint8_t got[BLOCK];

    save(used);
    open_it(BLOCK_READONLY);
    cr_assert_eq(truncate(path, 100), 0);
    cr_expect_lt(open_caught(BLOCK_READONLY), 0);
    cr_expect_eq(transfer(BLOCK_READ, 2 * BLOCK, got, BLOCK), -ENODATA);
    cr_expect_eq(transfer(BLOCK_READ, 3 * BLOCK, got, BLOCK), 0, "a fill needs no file");
}
