/* SPDX-License-Identifier: MIT */
/*
 * Drives with snapshot=on: what is written reads back, what is not comes from the file, whatever
 * the mix; the file never changes, and several may use it. SEED and ROUNDS vary the random test.
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

#define SIZE (1u << 20)

static char path[64];
static struct block *b;
static uint8_t original[SIZE], model[SIZE];

static void setup(void)
{
    snprintf(path, sizeof path, "/tmp/umbra-snapshot-XXXXXX");
    int fd = mkstemp(path);

    for (unsigned i = 0; i < SIZE; i++) {
        original[i] = (uint8_t)(i * 7 + i / 512);
    }
    memcpy(model, original, SIZE);
    cr_assert_eq(write(fd, original, SIZE), SIZE);
    close(fd);
    cr_assert_eq(block_open("d", path, BLOCK_SNAPSHOT, &b), 0);
}

static void teardown(void)
{
    static uint8_t now[SIZE];
    int fd = open(path, O_RDONLY);

    block_close(b);
    cr_expect_eq(read(fd, now, SIZE), SIZE);
    cr_expect_eq(memcmp(now, original, SIZE), 0, "the file is as it was");
    close(fd);
    unlink(path);
}

TestSuite(block_snapshot, .init = setup, .fini = teardown, .timeout = 60);

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

static int run(struct block_request r)
{
    struct waited w = {.r = r};

    w.r.done = done;
    sem_init(&w.done, 0, 0);
    block_submit(b, &w.r);
    sem_wait(&w.done);
    return w.err;
}

static int transfer(enum block_op op, uint64_t at, uint8_t *buf, size_t len)
{
    size_t half = len / 3;
    struct iovec iov[2] = {{buf, half}, {buf + half, len - half}};

    return run((struct block_request){.op = op, .offset = at, .length = len, .iov = iov,
                                      .niov = 2});
}

static int range(enum block_op op, uint64_t at, uint64_t len, bool unmap)
{
    struct block_range g = {at, len};

    return run((struct block_request){.op = op, .range = &g, .nranges = 1, .unmap = unmap});
}

static void expect_model(uint64_t at, size_t len)
{
    static uint8_t got[SIZE];

    memset(got, 0xee, len);
    cr_assert_eq(transfer(BLOCK_READ, at, got, len), 0);
    cr_assert_eq(memcmp(got, model + at, len), 0, "%zu bytes at %llu", len,
                 (unsigned long long)at);
}

Test(block_snapshot, written_and_not)
{
    uint8_t data[1536];

    cr_expect_not(block_readonly(b));
    memset(data, 0x55, sizeof data);
    memcpy(model + 4096 + 512, data, sizeof data);
    cr_expect_eq(transfer(BLOCK_WRITE, 4096 + 512, data, sizeof data), 0);
    expect_model(0, 16384);
    memset(model + 5120, 0, 1024);
    cr_expect_eq(range(BLOCK_ZERO, 5120, 1024, true), 0);
    memset(model + 100 * 512, 0, 512 * 200);
    cr_expect_eq(range(BLOCK_ZERO, 100 * 512, 512 * 200, false), 0);
    cr_expect_eq(run((struct block_request){.op = BLOCK_FLUSH}), 0);
    expect_model(0, SIZE);
}

Test(block_snapshot, at_random)
{
    const char *s = getenv("SEED"), *r = getenv("ROUNDS");
    unsigned rounds = r != NULL ? (unsigned)atoi(r) : 3000;
    static uint8_t data[SIZE];

    srand(s != NULL ? (unsigned)atoi(s) : 1);
    for (unsigned i = 0; i < rounds; i++) {
        unsigned first = (unsigned)rand() % (SIZE / 512);
        unsigned most = rand() % 4 == 0 ? 400 : 5;
        unsigned n = 1 + (unsigned)rand() % most;
        n = n < SIZE / 512 - first ? n : SIZE / 512 - first;
        size_t at = (size_t)first * 512, len = (size_t)n * 512;
        switch (rand() % 4) {
        case 0:
            memset(data, rand(), len);
            memcpy(model + at, data, len);
            cr_assert_eq(transfer(BLOCK_WRITE, at, data, len), 0);
            break;
        case 1:
            if (rand() % 4 == 0) {
                memset(model + at, 0, len);
                cr_assert_eq(range(BLOCK_ZERO, at, len, rand() % 2), 0);
            }
            break;
        default: expect_model(at, len); break;
        }
    }
    expect_model(0, SIZE);
}

Test(block_snapshot, who_else_may)
{
    struct block *other;
    uint8_t data[512] = {1};

    cr_assert_eq(transfer(BLOCK_WRITE, 0, data, sizeof data), 0);
    cr_expect_eq(block_open("w", path, 0, &other), -EBUSY, "a writer");
    cr_assert_eq(block_open("r", path, BLOCK_READONLY, &other), 0, "a reader");
    block_close(other);
    cr_assert_eq(chmod(path, 0400), 0);
    cr_assert_eq(block_open("s", path, BLOCK_SNAPSHOT, &other), 0, "another one like this");
    block_close(other);
    memcpy(model, data, sizeof data);
    expect_model(0, 1024);
    setenv("TMPDIR", "/nowhere", 1);
    cr_expect_eq(block_open("t", path, BLOCK_SNAPSHOT, &other), -ENOENT);
    unsetenv("TMPDIR");
}
