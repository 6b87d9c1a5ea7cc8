/* SPDX-License-Identifier: MIT */
/*
 * userfaultfd: pages are filled by a thread of ours when somebody touches them, and thrown away by
 * madvise() meanwhile. A page's number grows with each time it is thrown away; who touches it finds
 * a number between the one that was complete before the access and the one that was begun after it.
 */
#include "common.h"

#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>

#define PAGES 8u

static uint8_t *area;
static int uffd;
static uint32_t seed;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of fills against throwing away */
static uint32_t content[PAGES];
static _Atomic uint32_t begun[PAGES], complete[PAGES], fills;

enum { OLD, FUTURE, VERDICTS };
static struct verdict verdict[VERDICTS] = {
    {.name = "nothing is read that was thrown away"},
    {.name = "nothing is read that was not there yet"},
};

static void fill_page(uintptr_t at)
{
    static uint32_t page[PAGE / 4] __attribute__((aligned(4096)));
    uint32_t number = (at - (uintptr_t)area) / PAGE;
    pthread_mutex_lock(&lock);
    page[0] = content[number];
    page[PAGE / 4 - 1] = content[number];
    struct uffdio_copy copy = {
        .dst = at & ~(uint64_t)(PAGE - 1), .src = (uintptr_t)page, .len = PAGE};
    if (ioctl(uffd, UFFDIO_COPY, &copy) && errno != EEXIST)
        give_up("UFFDIO_COPY");
    pthread_mutex_unlock(&lock);
    atomic_fetch_add(&fills, 1);
}

static void *filler(void *arg)
{
    struct pollfd p = {.fd = uffd, .events = POLLIN};
    struct uffd_msg message;
    (void)arg;
    for (;;) {
        if (poll(&p, 1, -1) < 0)
            give_up("poll");
        if (read(uffd, &message, sizeof(message)) != (ssize_t)sizeof(message))
            continue;
        if (message.event == UFFD_EVENT_PAGEFAULT)
            fill_page((uintptr_t)message.arg.pagefault.address);
    }
    return NULL;
}

static void change(void)
{
    uint32_t page = dice(&seed) % PAGES;
    pthread_mutex_lock(&lock);
    atomic_fetch_add(&begun[page], 1);
    content[page]++;
    if (madvise(area + page * PAGE, PAGE, MADV_DONTNEED))
        give_up("madvise");
    atomic_fetch_add(&complete[page], 1);
    pthread_mutex_unlock(&lock);
    if (!(seed & 3))
        usleep(seed >> 8 & 255);
}

static void *use(void *arg)
{
    uint32_t r = run_seed * 0x9e3779b9u + (uint32_t)(uintptr_t)arg;
    while (!atomic_load(&run_over)) {
        uint32_t page = dice(&r) % PAGES, low = atomic_load(&complete[page]);
        uint32_t got = *(word *)(area + page * PAGE + (r & 0x100 ? PAGE - 4 : 0));
        uint32_t high = atomic_load(&begun[page]);
        if (got < low)
            wrong(&verdict[OLD], got);
        if (got > high)
            wrong(&verdict[FUTURE], got);
        atomic_fetch_add(&checks, 1);
        if (low == high)
            atomic_fetch_add(&strict, 1);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    struct uffdio_api api = {.api = UFFD_API};
    pthread_t thread;
    begin(argc, argv);
    seed = run_seed;
    uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    if (uffd < 0)
        return skip("this kernel has no userfaultfd for us");
    if (ioctl(uffd, UFFDIO_API, &api))
        give_up("UFFDIO_API");
    area = map(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct uffdio_register reg = {.range = {.start = (uintptr_t)area, .len = PAGES * PAGE},
                                  .mode = UFFDIO_REGISTER_MODE_MISSING};
    if (ioctl(uffd, UFFDIO_REGISTER, &reg))
        give_up("UFFDIO_REGISTER");
    run_thread(&thread, filler, 0);
    run_all(change, use);
    printf("# %u fills\n", atomic_load(&fills));
    return finish(verdict, VERDICTS);
}
