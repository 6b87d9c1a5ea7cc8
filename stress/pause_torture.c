/* SPDX-License-Identifier: MIT */
/*
 * Pausing a running machine of 4 CPUs at random, by two threads at once, with resets and stops in
 * between. The guest counts, broadcasts TLB maintenance, sleeps in WFI until its timer fires, and
 * switches CPUs off and on. Checked:
 *  - while paused, every CPU is quiescent, and nothing it owns changes: registers, its counter in
 *    RAM, guest time;
 *  - guest time never goes backwards on a CPU, and leaves out at least the time that was paused;
 *  - in between every CPU runs on, and sleepers are woken by their timers.
 * usage: pause_torture [MILLISECONDS]
 */
#include "base/inject.h"
#include "io/io.h"
#include "vcpu/arm.h"
#include "vm.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NCPUS     4u
#define PAUSERS   2u
#define SLOTS     UINT64_C(0x40100000)
#define SLOT_STEP 256u
#define TIMER_ROUNDS 50
#define STUCK_NS  UINT64_C(10000000000)
enum { SLOT_ROUNDS, SLOT_BACKWARDS, SLOT_NAPS };

/* A raw kernel in A32. */
static const uint32_t guest_code[] = {
    /* start: CPU 0; slots at RAM + 1 MiB; interrupt controller on */
    0xe3a09000, 0xe3a08101, 0xe3888601, 0xe3a00302, 0xe3a01001, 0xe5801000, 0xea000002,
    /* secondary: CPU number in r0 */
    0xe1a09000, 0xe3a08101, 0xe3888601,
    /* common: own slot; PPI 27 and the CPU interface on */
    0xe0888409, 0xe3a00302, 0xe3a01302, 0xe5801100, 0xe3800801, 0xe3a01001, 0xe5801000,
    0xe3a010ff, 0xe5801004, 0xe3a0a000, 0xec554f1e,
    /* loop: slot[0] counts */
    0xe5980000, 0xe2800001, 0xe5880000,
    /* slot[1]: CNTVCT went backwards */
    0xec576f1e, 0xe1560004, 0xe0d71005, 0x33a01001, 0x35881004, 0xe1a04006, 0xe1a05007,
    /* every 256 rounds: TLBIALLIS; DSB */
    0xe28aa001, 0xe31a00ff, 0x1a000001, 0xee080f13, 0xf57ff04f,
    /* every 512: timer on, 1 ms; WFI until it says so; slot[2] counts */
    0xe7e8005a, 0xe3500000, 0x1a00000d, 0xe3a00b3d, 0xee0e0f13, 0xe3a00001, 0xee0e0f33,
    0xf57ff06f, 0xe320f003, 0xee1e0f33, 0xe3100004, 0x0afffffb, 0xe3a00000, 0xee0e0f33,
    0xe5980008, 0xe2800001, 0xe5880008,
    /* every 2048: CPU 3 switches itself off, CPU 0 switches the others on */
    0xe7ea005a, 0xe3500000, 0x1affffdc, 0xe3590000, 0x0a000004, 0xe3590003, 0x1affffd8,
    0xe3000002, 0xe3480400, 0xe1400070, 0xe3a0b001, 0xe3000003, 0xe3480400, 0xe1a0100b,
    0xe24f20f8, 0xe1a0300b, 0xe1400070, 0xe28bb001, 0xe35b0004, 0x1afffff6, 0xeaffffca,
};

static struct vm *vm;
static uint64_t end_ns;
static _Atomic uint64_t paused_ns, pauses, resets;

static void fail(const char *what, unsigned cpu)
{
    fprintf(stderr, "pause_torture: %s (CPU %u)\n", what, cpu);
    abort();
}

static uint32_t slot(unsigned cpu, unsigned word)
{
    const uint32_t *p = ram_ptr(&vm->ram, SLOTS + cpu * SLOT_STEP, SLOT_STEP);

    return __atomic_load_n(&p[word], __ATOMIC_RELAXED);
}

struct look {
    uint32_t r[NCPUS][16], rounds[NCPUS];
    uint64_t count;
};

static void look_stopped(struct look *l)
{
    memset(l, 0, sizeof *l);
    for (unsigned i = 0; i < NCPUS; i++) {
        if (atomic_load(&vm->cpu[i]->in_guest)) {
            fail("not quiescent while paused", i);
        }
        memcpy(l->r[i], vm->cpu[i]->r, sizeof l->r[i]);
        l->rounds[i] = slot(i, SLOT_ROUNDS);
    }
    l->count = arm_counter_now();
}

static void check_standstill(unsigned hold_us)
{
    struct look before, after;

    vm_stopped_begin(vm);
    look_stopped(&before);
    usleep(hold_us);
    look_stopped(&after);
    vm_stopped_end(vm);
    if (memcmp(&before, &after, sizeof before) != 0) {
        fail("something moved while paused", 0);
    }
    for (unsigned i = 0; i < NCPUS; i++) {
        if (slot(i, SLOT_BACKWARDS)) {
            fail("guest time went backwards", i);
        }
    }
}

static void one_pause(unsigned *seed)
{
    uint64_t from, to;

    vm_pause(vm);
    from = io_now_ns();
    if (rand_r(seed) % 64 == 0) {
        vm_request_stop(vm, VM_RESET);
        atomic_fetch_add(&resets, 1);
    }
    check_standstill((unsigned)rand_r(seed) % 300);
    if (rand_r(seed) % 8 == 0) { /* nested */
        vm_pause(vm);
        check_standstill(0);
        vm_resume(vm);
    }
    to = io_now_ns();
    vm_resume(vm);
    atomic_fetch_add(&paused_ns, to - from);
    atomic_fetch_add(&pauses, 1);
}

static void *pauser(void *opaque)
{
    unsigned seed = (unsigned)(uintptr_t)opaque;

    while (io_now_ns() < end_ns) {
        one_pause(&seed);
        usleep((useconds_t)rand_r(&seed) % 2000);
        if (rand_r(&seed) % 64 == 0) {
            vm_request_stop(vm, VM_RESET);
            atomic_fetch_add(&resets, 1);
        }
    }
    return NULL;
}

/* A timer lost in one pause, with no other to come, would leave its CPU asleep for good. */
static void check_timers(void)
{
    uint64_t limit = io_now_ns() + STUCK_NS;
    uint32_t naps[NCPUS];

    vm_pause(vm);
    vm_resume(vm);
    for (unsigned i = 0; i < NCPUS; i++) {
        naps[i] = slot(i, SLOT_NAPS);
    }
    for (unsigned i = 0; i < NCPUS; i++) {
        while (slot(i, SLOT_NAPS) == naps[i]) {
            if (io_now_ns() > limit) {
                fail("asleep for good", i);
            }
            usleep(1000);
        }
    }
}

static void *conductor(void *opaque)
{
    pthread_t thread[PAUSERS];
    uint64_t guest = arm_guest_ns(), host = io_now_ns();

    (void)opaque;
    for (uintptr_t i = 0; i < PAUSERS; i++) {
        pthread_create(&thread[i], NULL, pauser, (void *)(i + 1));
    }
    for (unsigned i = 0; i < PAUSERS; i++) {
        pthread_join(thread[i], NULL);
    }
    guest = arm_guest_ns() - guest;
    host = io_now_ns() - host;
    /* Pauses of the two overlap: at least half of their sum stood still. */
    if (guest + atomic_load(&paused_ns) / PAUSERS > host) {
        fail("guest time ran while paused", 0);
    }
    for (unsigned i = 0; i < TIMER_ROUNDS; i++) {
        check_timers();
    }
    vm_request_stop(vm, VM_SHUTDOWN);
    return NULL;
}

static void write_kernel(char *path)
{
    int fd = mkstemp(path);

    if (fd < 0 || write(fd, guest_code, sizeof guest_code) != (ssize_t)sizeof guest_code) {
        fail("cannot write the guest's code", 0);
    }
    close(fd);
}

int main(int argc, char **argv)
{
    char path[] = "/tmp/pause_torture.XXXXXX";
    struct vm_options opt = {.machine = "virt", .cpu = "cortex-a15", .smp = NCPUS,
                             .ram_size = UINT64_C(64) << 20, .kernel = path, .serial = "null",
                             .pin = "none", .mmu = {.mode = MMU_SPT}};
    uint64_t ms = argc > 1 ? strtoull(argv[1], NULL, 10) : 3000;
    pthread_t thread;
    int status;

#if UMBRA_FAULT_INJECTION
    if (getenv("UMBRA_INJECT") && inject_parse(getenv("UMBRA_INJECT"))) {
        return EXIT_FAILURE;
    }
#endif
    write_kernel(path);
    if (vm_create(&opt, &vm) != 0) {
        fail("no machine", 0);
    }
    end_ns = io_now_ns() + ms * 1000000;
    pthread_create(&thread, NULL, conductor, NULL);
    status = vm_run(vm);
    pthread_join(thread, NULL);
    unlink(path);
    printf("pause_torture: %lu pauses, %lu resets\n", (unsigned long)atomic_load(&pauses),
           (unsigned long)atomic_load(&resets));
    for (unsigned i = 0; i < NCPUS; i++) {
        printf("  CPU %u: %u rounds, %u naps\n", i, slot(i, SLOT_ROUNDS), slot(i, SLOT_NAPS));
        if (slot(i, SLOT_ROUNDS) < 1000 || slot(i, SLOT_NAPS) == 0) {
            fail("a CPU made no progress", i);
        }
    }
    vm_destroy(vm);
    return status;
}
