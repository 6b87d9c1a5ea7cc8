/* SPDX-License-Identifier: MIT */
/*
 * The I/O loop: posts in order, timers in time and in order under random changes, descriptors
 * added, changed and removed while events arrive, removal that waits for a running callback. And
 * character back ends that are files.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "io/chardev.h"
#include "io/io.h"

static struct io_loop *io;

static void setup(void)
{
    cr_assert_eq(io_loop_create(&io), 0);
    cr_assert_eq(io_loop_start(io), 0);
}

static void teardown(void)
{
    io_loop_stop(io);
    io_loop_destroy(io);
}

TestSuite(io, .init = setup, .fini = teardown, .timeout = 30);

static void wait_until(const atomic_int *v, int at_least)
{
    for (unsigned i = 0; i < 5000 && atomic_load(v) < at_least; i++) {
        usleep(1000);
    }
    cr_assert_geq(atomic_load(v), at_least);
}

/* ---- posts ---- */
static atomic_int ran;
static int order[100];

static void note(void *opaque)
{
    order[atomic_load(&ran)] = (int)(intptr_t)opaque;
    atomic_fetch_add(&ran, 1);
}

Test(io, posts_run_in_order)
{
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(io_post(io, note, (void *)(intptr_t)i), 0);
    }
    wait_until(&ran, 100);
    for (int i = 0; i < 100; i++) {
        cr_expect_eq(order[i], i);
    }
}

Test(io, posts_left_at_the_end_are_freed)
{
    struct io_loop *idle;

    cr_assert_eq(io_loop_create(&idle), 0);
    cr_assert_eq(io_post(idle, note, NULL), 0);
    io_loop_destroy(idle);
}

/* ---- timers ---- */
#define TIMERS 64
static struct timer {
    struct io_timer t;
    atomic_int fired;
    _Atomic uint64_t at;
} timers[TIMERS];

static void fire(void *opaque)
{
    struct timer *t = opaque;

    atomic_store(&t->at, io_now_ns());
    atomic_fetch_add(&t->fired, 1);
}

Test(io, timers_fire_once_and_not_early)
{
    uint64_t now = io_now_ns();

    for (unsigned i = 0; i < TIMERS; i++) {
        io_timer_init(&timers[i].t, io, fire, &timers[i]);
        io_timer_set(&timers[i].t, now + 1000000u * (1 + i * 37 % TIMERS));
    }
    for (unsigned i = 0; i < TIMERS; i++) {
        wait_until(&timers[i].fired, 1);
        cr_expect_geq(atomic_load(&timers[i].at), now + 1000000u * (1 + i * 37 % TIMERS));
    }
    usleep(20000);
    for (unsigned i = 0; i < TIMERS; i++) {
        cr_expect_eq(atomic_load(&timers[i].fired), 1);
    }
}

Test(io, timers_moved_and_cancelled)
{
    uint64_t now = io_now_ns();

    for (unsigned i = 0; i < TIMERS; i++) {
        io_timer_init(&timers[i].t, io, fire, &timers[i]);
    }
    /* Random moves; even ones end cancelled, odd ones at now + 30 ms. */
    for (unsigned r = 0, x = 1; r < 20000; r++) {
        x = x * 1664525 + 1013904223;
        struct timer *t = &timers[x >> 8 & (TIMERS - 1)];
        if (x >> 20 & 1) {
            io_timer_set(&t->t, now + 10000000000u + (x >> 4));
        } else {
            io_timer_cancel(&t->t);
        }
    }
    for (unsigned i = 0; i < TIMERS; i++) {
        if (i % 2) {
            io_timer_set(&timers[i].t, io_now_ns() + 30000000u);
        } else {
            io_timer_cancel(&timers[i].t);
        }
    }
    for (unsigned i = 1; i < TIMERS; i += 2) {
        wait_until(&timers[i].fired, 1);
    }
    usleep(20000);
    for (unsigned i = 0; i < TIMERS; i++) {
        cr_expect_eq(atomic_load(&timers[i].fired), (int)(i % 2));
    }
}

Test(io, timer_in_the_past_and_never)
{
    io_timer_init(&timers[0].t, io, fire, &timers[0]);
    io_timer_init(&timers[1].t, io, fire, &timers[1]);
    io_timer_set(&timers[1].t, UINT64_MAX);
    io_timer_set(&timers[0].t, 0);
    wait_until(&timers[0].fired, 1);
    io_timer_set(&timers[0].t, 1);
    wait_until(&timers[0].fired, 2);
    cr_expect_eq(atomic_load(&timers[1].fired), 0);
}

static void fire_again(void *opaque)
{
    struct timer *t = opaque;

    if (atomic_fetch_add(&t->fired, 1) < 9) {
        io_timer_set(&t->t, io_now_ns() + 100000);
    }
}

Test(io, timer_sets_itself_again)
{
    io_timer_init(&timers[0].t, io, fire_again, &timers[0]);
    io_timer_set(&timers[0].t, io_now_ns());
    wait_until(&timers[0].fired, 10);
}

/* ---- descriptors ---- */
static atomic_int events_seen;
static int pipe_fd[2];

static void on_pipe(void *opaque, uint32_t events)
{
    char c;

    (void)opaque;
    if ((events & EPOLLIN) && read(pipe_fd[0], &c, 1) == 1) {
        atomic_fetch_add(&events_seen, 1);
    }
}

Test(io, descriptor_events)
{
    cr_assert_eq(pipe(pipe_fd), 0);
    cr_assert_eq(io_fd_add(io, pipe_fd[0], EPOLLIN, on_pipe, NULL), 0);
    cr_expect_eq(io_fd_add(io, pipe_fd[0], EPOLLIN, on_pipe, NULL), -EEXIST);
    cr_assert_eq(write(pipe_fd[1], "abc", 3), 3);
    wait_until(&events_seen, 3);
    cr_assert_eq(io_fd_mod(io, pipe_fd[0], 0), 0);
    cr_assert_eq(write(pipe_fd[1], "d", 1), 1);
    usleep(20000);
    cr_expect_eq(atomic_load(&events_seen), 3, "not asked for");
    cr_assert_eq(io_fd_mod(io, pipe_fd[0], EPOLLIN), 0);
    wait_until(&events_seen, 4);
    io_fd_del(io, pipe_fd[0]);
    cr_assert_eq(write(pipe_fd[1], "e", 1), 1);
    usleep(20000);
    cr_expect_eq(atomic_load(&events_seen), 4);
    cr_expect_eq(io_fd_mod(io, pipe_fd[0], EPOLLIN), -ENOENT);
    io_fd_del(io, pipe_fd[0]);
    FILE *f = tmpfile();
    cr_expect_eq(io_fd_add(io, fileno(f), EPOLLIN, on_pipe, NULL), -EPERM,
                 "regular files never wait");
    fclose(f);
}

static atomic_int inside, left;

static void slow(void *opaque, uint32_t events)
{
    (void)opaque;
    (void)events;
    atomic_store(&inside, 1);
    usleep(50000);
    atomic_store(&left, 1);
}

Test(io, removal_waits_for_a_running_callback)
{
    int fd = eventfd(1, EFD_NONBLOCK);

    cr_assert_eq(io_fd_add(io, fd, EPOLLIN, slow, NULL), 0);
    wait_until(&inside, 1);
    io_fd_del(io, fd);
    cr_expect_eq(atomic_load(&left), 1);
    close(fd);
}

static void remove_self(void *opaque, uint32_t events)
{
    (void)events;
    io_fd_del(io, *(int *)opaque);
    atomic_fetch_add(&events_seen, 1);
}

Test(io, callback_removes_itself)
{
    int fd = eventfd(1, EFD_NONBLOCK);

    cr_assert_eq(io_fd_add(io, fd, EPOLLIN, remove_self, &fd), 0);
    wait_until(&events_seen, 1);
    usleep(10000);
    cr_expect_eq(atomic_load(&events_seen), 1);
    close(fd);
}

/* ---- character back ends without a UART ---- */
TestSuite(chardev, .timeout = 30);

static size_t no_room(void *opaque)
{
    (void)opaque;
    return 0;
}

static void no_receive(void *opaque, const uint8_t *buf, size_t len)
{
    (void)opaque;
    (void)buf;
    (void)len;
}

static const struct chardev_user quiet = {.room = no_room, .receive = no_receive};

Test(chardev, file_gets_everything)
{
    struct chardev *c;
    char path[64], spec[80], back[32];

    snprintf(path, sizeof path, "/tmp/umbra-test-chardev.%d", (int)getpid());
    snprintf(spec, sizeof spec, "file:%s", path);
    setup();
    cr_assert_eq(chardev_open(io, spec, &c), 0);
    chardev_attach(c, &quiet);
    unsigned n = 0;
    while (n < 100000) {
        int len = snprintf(back, sizeof back, "%u\n", n);
        for (size_t done = 0; done < (size_t)len;) {
            done += chardev_write(c, (const uint8_t *)back + done, (size_t)len - done);
        }
        n++;
    }
    io_loop_stop(io);
    chardev_close(c);
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f);
    for (unsigned i = 0; i < n; i++) {
        unsigned v = n;
        cr_assert_eq(fscanf(f, "%u", &v), 1);
        cr_assert_eq(v, i);
    }
    fclose(f);
    unlink(path);
    io_loop_destroy(io);
}

Test(chardev, null_takes_and_forgets)
{
    struct chardev *c;

    setup();
    cr_assert_eq(chardev_open(io, "null", &c), 0);
    chardev_attach(c, &quiet);
    for (unsigned i = 0; i < 100000; i++) {
        cr_assert_eq(chardev_write(c, (const uint8_t *)"abc", 3), 3);
    }
    io_loop_stop(io);
    chardev_close(c);
    io_loop_destroy(io);
}

/* The name of the pseudo-terminal is told on standard error. */
static int open_pty(struct chardev **c)
{
    char text[128] = "", *name;
    int p[2], saved = dup(2);

    cr_assert_eq(pipe(p), 0);
    dup2(p[1], 2);
    cr_assert_eq(chardev_open(io, "pty", c), 0);
    dup2(saved, 2);
    cr_assert_gt(read(p[0], text, sizeof text - 1), 0);
    name = strstr(text, "/dev/");
    cr_assert_not_null(name);
    name[strcspn(name, "\n")] = '\0';
    int fd = open(name, O_RDWR | O_NOCTTY);
    cr_assert_geq(fd, 0);
    return fd;
}

Test(chardev, pty_never_holds_up_the_guest)
{
    struct chardev *c;
    char buf[256];

    setup();
    int fd = open_pty(&c);
    chardev_attach(c, &quiet);
    for (unsigned i = 0; i < 300000; i++) {
        cr_assert_eq(chardev_write(c, (const uint8_t *)"0123456789", 10), 10);
    }
    cr_assert_eq(chardev_write(c, (const uint8_t *)"the end\n", 8), 8);
    char *seen = NULL;
    for (unsigned i = 0; i < 10000 && seen == NULL; i++) {
        ssize_t n = read(fd, buf, sizeof buf - 1);
        cr_assert_gt(n, 0);
        buf[n] = '\0';
        seen = strchr(buf, '\n');
    }
    cr_expect_not_null(seen, "what is dropped is the oldest");
    io_loop_stop(io);
    chardev_close(c);
    io_loop_destroy(io);
    close(fd);
}

Test(chardev, full_disk_does_not_stop_the_guest)
{
    struct chardev *c;
    size_t sent = 0;

    setup();
    cr_assert_eq(chardev_open(io, "file:/dev/full", &c), 0);
    chardev_attach(c, &quiet);
    while (sent < 1u << 20) {
        sent += chardev_write(c, (const uint8_t *)"abcdefgh", 8);
    }
    io_loop_stop(io);
    chardev_close(c);
    io_loop_destroy(io);
}

Test(chardev, bad_places_are_refused)
{
    struct chardev *c;

    setup();
    cr_expect_eq(chardev_open(io, "file:/no/such/dir/x", &c), -ENOENT);
    cr_expect_eq(chardev_open(io, "unix:/no/such/dir/x", &c), -ENOENT);
    cr_expect_lt(chardev_open(io, "unix:/no/such/dir/x,server,nowait", &c), 0);
    cr_expect_eq(chardev_open(io, "tcp:127.0.0.1:1", &c), -ECONNREFUSED);
    cr_expect_eq(chardev_open(io, "tcp:127.0.0.1", &c), -EINVAL);
    cr_expect_eq(chardev_open(io, "unix:/tmp/x,bogus=on", &c), -EINVAL);
    char spec[300];
    memset(spec, 'a', sizeof spec - 1);
    spec[sizeof spec - 1] = '\0';
    memcpy(spec, "unix:/", 6);
    cr_expect_eq(chardev_open(io, spec, &c), -EINVAL);
    cr_expect_eq(chardev_open(io, "wat", &c), -EINVAL);
    teardown();
}

/* ---- the terminal's escape key, through a pipe as standard input ---- */
static char typed[64], keys[8];
static atomic_int ntyped, nkeys;

static size_t much_room(void *opaque)
{
    (void)opaque;
    return 16;
}

static void take(void *opaque, const uint8_t *buf, size_t len)
{
    (void)opaque;
    for (size_t i = 0; i < len; i++) {
        typed[atomic_load(&ntyped)] = (char)buf[i];
        atomic_fetch_add(&ntyped, 1);
    }
}

static void key(void *opaque, char k)
{
    (void)opaque;
    keys[atomic_load(&nkeys)] = k;
    atomic_fetch_add(&nkeys, 1);
}

Test(chardev, escape_key)
{
    struct chardev *c;
    int in[2], out[2];

    cr_assert_eq(pipe(in), 0);
    cr_assert_eq(pipe(out), 0);
    dup2(in[0], 0);
    dup2(out[1], 1);
    setup();
    cr_assert_eq(chardev_open(io, "stdio", &c), 0);
    chardev_attach(c, &(struct chardev_user){.room = much_room, .receive = take, .escape = key});
    cr_assert_eq(write(in[1], "a\001", 2), 2);
    wait_until(&ntyped, 1);
    cr_assert_eq(write(in[1], "xb\001a\001pc\001\001\001q\001hz", 15), 15);
    wait_until(&ntyped, 7);
    cr_expect_arr_eq(typed, "ab\001c\001qz", 7);
    cr_expect_eq(atomic_load(&nkeys), 2);
    cr_expect_arr_eq(keys, "xp", 2);
    close(in[1]); /* end of input is quiet */
    cr_expect_eq(chardev_write(c, (const uint8_t *)"out", 3), 3);
    char got[4] = "";
    cr_expect_eq(read(out[0], got, 3), 3);
    cr_expect_str_eq(got, "out");
    io_loop_stop(io);
    chardev_close(c);
    io_loop_destroy(io);
}

/* ---- a console shared with a monitor ---- */
static char to_monitor[64];
static atomic_int nmonitor, nfocus, front_room;

static size_t some_room(void *opaque)
{
    (void)opaque;
    return (size_t)atomic_load(&front_room);
}

static void take_with_room(void *opaque, const uint8_t *buf, size_t len)
{
    atomic_fetch_sub(&front_room, (int)len);
    take(opaque, buf, len);
}

static void monitor_takes(void *opaque, const uint8_t *buf, size_t len)
{
    (void)opaque;
    for (size_t i = 0; i < len; i++) {
        to_monitor[atomic_load(&nmonitor)] = (char)buf[i];
        atomic_fetch_add(&nmonitor, 1);
    }
}

static void monitor_focus(void *opaque)
{
    (void)opaque;
    atomic_fetch_add(&nfocus, 1);
}

/* The guest has no room: keys are seen none the less, and nothing is lost or goes astray. */
Test(chardev, shared_console)
{
    struct chardev *c;
    int in[2], out[2];

    cr_assert_eq(pipe(in), 0);
    cr_assert_eq(pipe(out), 0);
    dup2(in[0], 0);
    dup2(out[1], 1);
    setup();
    cr_assert_eq(chardev_open(io, "mon:stdio", &c), 0);
    chardev_attach(c, &(struct chardev_user){.room = some_room, .receive = take_with_room,
                                             .escape = key});
    chardev_share(c, &(struct chardev_sharer){.receive = monitor_takes, .focus = monitor_focus});
    cr_assert_eq(write(in[1], "guest", 5), 5);
    usleep(100000); /* seen, and not taken */
    cr_assert_eq(write(in[1], "\001cmon\001a\001x\001cmore", 15), 15);
    wait_until(&nmonitor, 4);
    wait_until(&nkeys, 1);
    cr_expect_arr_eq(to_monitor, "mon\001", 4);
    cr_expect_eq(atomic_load(&nfocus), 1);
    cr_expect_eq(keys[0], 'x');
    cr_expect_eq(atomic_load(&ntyped), 0);
    atomic_store(&front_room, 7);
    chardev_accept_input(c);
    wait_until(&ntyped, 7);
    atomic_store(&front_room, 50);
    chardev_accept_input(c);
    wait_until(&ntyped, 9);
    cr_expect_arr_eq(typed, "guestmore", 9);
    io_loop_stop(io);
    chardev_share(c, NULL);
    chardev_close(c);
    io_loop_destroy(io);
}

static atomic_int ncounted, nwrong;

static void count_in_order(void *opaque, const uint8_t *buf, size_t len)
{
    (void)opaque;
    atomic_fetch_sub(&front_room, (int)len);
    for (size_t i = 0; i < len; i++) {
        atomic_fetch_add(&nwrong, buf[i] != 'a' + atomic_load(&ncounted) % 23);
        atomic_fetch_add(&ncounted, 1);
    }
}

/* More than may wait: reading stops, and goes on when the guest reads. */
Test(chardev, typed_ahead_without_loss)
{
    static uint8_t text[20000];
    struct chardev *c;
    int in[2];

    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = (uint8_t)('a' + i % 23);
    }
    cr_assert_eq(pipe(in), 0);
    dup2(in[0], 0);
    setup();
    cr_assert_eq(chardev_open(io, "stdio", &c), 0);
    chardev_attach(c, &(struct chardev_user){.room = some_room, .receive = count_in_order});
    cr_assert_eq(write(in[1], text, sizeof text), (ssize_t)sizeof text);
    for (unsigned round = 0; round < 400; round++) {
        atomic_store(&front_room, 50);
        chardev_accept_input(c);
        wait_until(&ncounted, (int)(round + 1) * 50);
        cr_assert_eq(atomic_load(&ncounted), (int)(round + 1) * 50, "no more than there is room");
    }
    cr_expect_eq(atomic_load(&nwrong), 0);
    io_loop_stop(io);
    chardev_close(c);
    io_loop_destroy(io);
}
