/* SPDX-License-Identifier: MIT */
/*
 * What Android's processes do all day, on a Debian kernel: calls through /dev/binder to a server of
 * two threads, each with a descriptor of shared memory (memfd, once ashmem) that both sides map.
 * The server answers with the sum of what it sees there and writes into it; the client knows both.
 * Prints "TEST: binder N calls" and ends with 0, or says what is wrong.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/android/binder.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAPPED (1u << 17)
#define CLIENTS 4u
#define THREADS 2u
#define WORDS 16384u /* of shared memory */

struct message {
    struct binder_fd_object memory;
    uint32_t seed, sum, inline_words[100];
};

static void die(const char *what)
{
    printf("TEST: binder FAILED: %s: %s\n", what, strerror(errno));
    fflush(stdout);
    _exit(1);
}

static void check(int good, const char *what)
{
    if (!good) {
        die(what);
    }
}

static uint32_t next(uint32_t x)
{
    return x * 1664525u + 1013904223u;
}

static int open_binder(void)
{
    struct binder_version v = {0};
    int fd = open("/dev/binder", O_RDWR | O_CLOEXEC);

    check(fd >= 0, "open /dev/binder");
    check(ioctl(fd, BINDER_VERSION, &v) == 0, "BINDER_VERSION");
    check(v.protocol_version == BINDER_CURRENT_PROTOCOL_VERSION, "protocol version");
    check(mmap(NULL, MAPPED, PROT_READ, MAP_PRIVATE, fd, 0) != MAP_FAILED, "mmap /dev/binder");
    return fd;
}

/* ---- commands to the driver ---- */
struct out {
    uint8_t bytes[512];
    size_t len;
};

static void put(struct out *o, uint32_t command, const void *data, size_t size)
{
    memcpy(o->bytes + o->len, &command, 4);
    memcpy(o->bytes + o->len + 4, data, size);
    o->len += 4 + size;
}

static size_t talk(int fd, struct out *o, void *in, size_t room)
{
    struct binder_write_read w = {.write_size = o->len, .write_buffer = (uintptr_t)o->bytes,
                                  .read_size = room, .read_buffer = (uintptr_t)in};

    while (ioctl(fd, BINDER_WRITE_READ, &w) != 0) {
        check(errno == EINTR, "BINDER_WRITE_READ");
    }
    check(w.write_consumed == o->len, "commands left");
    o->len = 0;
    return w.read_consumed;
}

static void put_message(struct out *o, uint32_t command, const struct message *m, int with_memory)
{
    static const binder_size_t at = 0;
    struct binder_transaction_data t = {
        .code = 7, .flags = TF_ACCEPT_FDS, .data_size = sizeof *m,
        .offsets_size = with_memory ? sizeof at : 0,
    };

    t.data.ptr.buffer = (uintptr_t)m;
    t.data.ptr.offsets = (uintptr_t)&at;
    put(o, command, &t, sizeof t);
}

static void put_free(struct out *o, const struct binder_transaction_data *t)
{
    binder_uintptr_t buffer = t->data.ptr.buffer;

    put(o, BC_FREE_BUFFER, &buffer, sizeof buffer);
}

/* ---- the server ---- */
static struct message answer_to(const struct binder_transaction_data *t)
{
    struct message m;

    check(t->code == 7 && t->data_size == sizeof m, "a call's size");
    memcpy(&m, (const void *)(uintptr_t)t->data.ptr.buffer, sizeof m);
    uint32_t *words = mmap(NULL, WORDS * 4, PROT_READ | PROT_WRITE, MAP_SHARED,
                           (int)m.memory.fd, 0);
    check(words != MAP_FAILED, "mmap of the caller's memory");
    for (unsigned i = 0; i < WORDS; i++) {
        m.sum += words[i];
    }
    for (unsigned i = 0; i < 100; i++) {
        m.sum += m.inline_words[i];
    }
    words[0] = ~m.seed;
    munmap(words, WORDS * 4);
    close((int)m.memory.fd);
    return m;
}

static size_t serve_one(int fd, struct out *o, const uint8_t *in)
{
    uint32_t command;
    struct binder_transaction_data t;
    static __thread struct message m; /* the driver reads it at the next talk() */

    memcpy(&command, in, 4);
    switch (command) {
    case BR_INCREFS: put(o, BC_INCREFS_DONE, in + 4, sizeof(struct binder_ptr_cookie)); break;
    case BR_ACQUIRE: put(o, BC_ACQUIRE_DONE, in + 4, sizeof(struct binder_ptr_cookie)); break;
    case BR_TRANSACTION:
        memcpy(&t, in + 4, sizeof t);
        m = answer_to(&t);
        put_free(o, &t);
        put_message(o, BC_REPLY, &m, 0);
        break;
    case BR_FAILED_REPLY:
    case BR_ERROR: die("the driver refuses an answer"); break;
    default: break; /* completions, references dropped */
    }
    (void)fd;
    return 4 + _IOC_SIZE(command);
}

static void *serve(void *opaque)
{
    int fd = *(int *)opaque;
    struct out o = {.len = 0};
    uint8_t in[512];

    put(&o, BC_ENTER_LOOPER, NULL, 0);
    for (;;) {
        size_t n = talk(fd, &o, in, sizeof in);
        for (size_t at = 0; at < n;) {
            at += serve_one(fd, &o, in + at);
        }
    }
    return NULL;
}

static void be_server(int ready)
{
    static int fd;
    struct flat_binder_object self = {.hdr = {BINDER_TYPE_BINDER},
                                      .flags = FLAT_BINDER_FLAG_ACCEPTS_FDS};
    pthread_t thread;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    fd = open_binder();
    check(ioctl(fd, BINDER_SET_CONTEXT_MGR_EXT, &self) == 0, "BINDER_SET_CONTEXT_MGR");
    check(write(ready, "r", 1) == 1, "write to a pipe");
    for (unsigned i = 1; i < THREADS; i++) {
        check(pthread_create(&thread, NULL, serve, &fd) == 0, "pthread_create");
    }
    serve(&fd);
}

/* ---- a client ---- */
static uint32_t fill(struct message *m, uint32_t *words, uint32_t seed)
{
    uint32_t sum = 0, x = seed;

    m->seed = seed;
    m->sum = 0;
    for (unsigned i = 0; i < WORDS; i++) {
        sum += words[i] = x = next(x);
    }
    for (unsigned i = 0; i < 100; i++) {
        sum += m->inline_words[i] = x = next(x);
    }
    return sum;
}

/* The answer to a call, and its buffer given back. */
static struct message call(int fd, const struct message *m)
{
    struct binder_transaction_data t;
    struct message reply;
    struct out o = {.len = 0};
    uint8_t in[512];

    put_message(&o, BC_TRANSACTION, m, 1);
    for (;;) {
        size_t n = talk(fd, &o, in, sizeof in);
        for (size_t at = 0; at < n;) {
            uint32_t command;
            memcpy(&command, in + at, 4);
            check(command != BR_FAILED_REPLY && command != BR_DEAD_REPLY, "a call fails");
            if (command == BR_REPLY) {
                memcpy(&t, in + at + 4, sizeof t);
                check(t.data_size == sizeof reply, "an answer's size");
                memcpy(&reply, (const void *)(uintptr_t)t.data.ptr.buffer, sizeof reply);
                put_free(&o, &t);
                talk(fd, &o, NULL, 0);
                return reply;
            }
            at += 4 + _IOC_SIZE(command);
        }
    }
}

static void be_client(unsigned number, unsigned calls)
{
    struct message m = {.memory = {.hdr = {BINDER_TYPE_FD}}};
    int fd = open_binder();

    for (unsigned i = 0; i < calls; i++) {
        int memory = memfd_create("shared", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        check(memory >= 0 && ftruncate(memory, WORDS * 4) == 0, "memfd_create");
        uint32_t *words = mmap(NULL, WORDS * 4, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
        check(words != MAP_FAILED, "mmap of a memfd");
        m.memory.fd = (uint32_t)memory;
        uint32_t sum = fill(&m, words, number * 1000003u + i);
        struct message reply = call(fd, &m);
        check(reply.seed == m.seed, "an answer to another call");
        check(reply.sum == sum, "the server saw something else");
        check(words[0] == ~m.seed, "what the server wrote is not here");
        check(fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK) == 0, "F_ADD_SEALS");
        check(ftruncate(memory, 4096) != 0 && errno == EPERM, "a sealed memfd shrinks");
        munmap(words, WORDS * 4);
        close(memory);
    }
    _exit(0);
}

int main(int argc, char **argv)
{
    unsigned calls = argc > 1 ? (unsigned)atoi(argv[1]) : 100;
    int ready[2], status, good = 1;
    char byte;

    setvbuf(stdout, NULL, _IOLBF, 0);
    check(pipe(ready) == 0, "pipe");
    pid_t server = fork();
    if (server == 0) {
        be_server(ready[1]);
    }
    close(ready[1]);
    check(read(ready[0], &byte, 1) == 1, "the server does not come up");
    for (unsigned i = 0; i < CLIENTS; i++) {
        if (fork() == 0) {
            be_client(i, calls);
        }
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        pid_t ended = wait(&status);
        good = good && ended > 0 && ended != server && status == 0;
    }
    kill(server, SIGKILL);
    if (good) {
        printf("TEST: binder %u calls\n", CLIENTS * calls);
    }
    return good ? 0 : 1;
}
