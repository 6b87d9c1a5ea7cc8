/* SPDX-License-Identifier: MIT */
/*
 * A bare-metal program that uses semihosting only: files, console, command line, exit status. Built
 * by semihosting.py for A32 and T32, with SVC or HLT (USE_HLT) as the call,
 * without the nonsense for others (IS_PEER). Its status is the number
 * of the first thing that is wrong, 42 when nothing is.
 */
#include <stdint.h>

static uint32_t call(uint32_t op, const volatile void *arg)
{
    register uint32_t r0 __asm__("r0") = op;
    register const volatile void *r1 __asm__("r1") = arg;

#if USE_HLT && defined(__thumb__)
    __asm__ volatile(".inst.n 0xbabc" : "+r"(r0) : "r"(r1) : "memory", "lr");
#elif USE_HLT
    __asm__ volatile(".inst 0xe10f0070" : "+r"(r0) : "r"(r1) : "memory", "lr");
#elif defined(__thumb__)
    __asm__ volatile("svc 0xab" : "+r"(r0) : "r"(r1) : "memory", "lr");
#else
    __asm__ volatile("svc 0x123456" : "+r"(r0) : "r"(r1) : "memory", "lr");
#endif
    return r0;
}

#define UNUSED __attribute__((unused))
#define CALL(op, ...) call(op, (const volatile uint32_t[]){__VA_ARGS__})
#define P(p) ((uint32_t)(uintptr_t)(p))

static unsigned length(const char *s)
{
    unsigned n = 0;

    while (s[n] != '\0') {
        n++;
    }
    return n;
}

static uint32_t open_file(const char *name, uint32_t mode)
{
    return CALL(0x01, P(name), mode, length(name));
}

static void leave(uint32_t code)
{
    CALL(0x20, 0x20026, code);
    call(0x18, (void *)0x20026);
}

static uint8_t big[20000], back[20000];

static unsigned files(const char *folder)
{
    static char name[256], other[256];
    unsigned n = 0;

    for (; folder[n] != '\0'; n++) {
        name[n] = other[n] = folder[n];
    }
    name[n] = other[n] = '/';
    name[n + 1] = 'a';
    other[n + 1] = 'b';
    for (unsigned i = 0; i < sizeof big; i++) {
        big[i] = (uint8_t)(i * 7);
    }
    uint32_t f = open_file(name, 4);
    if (f == 0 || f > 1000) {
        return 10;
    }
    if (CALL(0x05, f, P(big), sizeof big) != 0 || CALL(0x0c, f) != sizeof big) {
        return 11;
    }
    if (CALL(0x02, f) != 0 || CALL(0x02, f) != UINT32_MAX) {
        return 12;
    }
    f = open_file(name, 1);
    if (CALL(0x0a, f, 5) != 0 || CALL(0x06, f, P(back), sizeof back) != 5) {
        return 13;
    }
    for (unsigned i = 0; i < sizeof big - 5; i++) {
        if (back[i] != big[i + 5]) {
            return 14;
        }
    }
    if (CALL(0x06, f, P(back), 100) != 100 || CALL(0x09, f) != 0) {
        return 15;
    }
    CALL(0x02, f);
    if (CALL(0x0f, P(name), n + 2, P(other), n + 2) != 0 || open_file(name, 0) != UINT32_MAX ||
        call(0x13, 0) != 2) {
        return 16;
    }
    return 0;
}

/* What must be refused, without harm. */
UNUSED static unsigned nonsense(void)
{
    static const uint32_t address[] = {0xfffffffc, 0x00000000, 0x09000000, 0x3ffffffe};

    for (unsigned i = 0; i < 4; i++) {
        for (uint32_t op = 1; op < 0x32; op++) {
            if (op != 0x18 && op != 0x20) {
                call(op, (const void *)(uintptr_t)address[i]);
            }
        }
        CALL(0x05, 1, address[i], 100);
        CALL(0x06, 1, address[i], UINT32_MAX);
        CALL(0x01, address[i], 0, UINT32_MAX);
        CALL(0x04, address[i]);
    }
    if (CALL(0x02, UINT32_MAX) != UINT32_MAX || CALL(0x02, 0) != UINT32_MAX ||
        CALL(0x02, 999) != UINT32_MAX || CALL(0x05, 77, P(big), 10) != 10) {
        return 30;
    }
    for (unsigned i = 0; i < 100; i++) {
        open_file(":tt", 4);
    }
    if (open_file(":tt", 4) != UINT32_MAX) {
        return 31;
    }
    for (uint32_t i = 1; i <= 64; i++) {
        CALL(0x02, i);
    }
    return call(0x99, 0) != UINT32_MAX ? 32 : 0;
}

static unsigned rest(char *line, unsigned len)
{
    uint32_t info[4] = {0}, block[2] = {P(line), len};
    uint64_t ticks[2] = {0, 0};
    uint8_t magic[5] = {0};

    if (call(0x15, block) != 0 || block[1] != length(line)) {
        return 20;
    }
    CALL(0x16, P(info));
    if (info[0] < 0x40000000 || info[1] <= info[0] || info[2] <= info[3]) {
        return 21;
    }
    uint32_t f = open_file(":semihosting-features", 0);
    if (CALL(0x06, f, P(magic), 5) != 0 || magic[0] != 'S' || magic[3] != 'B' || magic[4] != 3) {
        return 22;
    }
    if (call(0x30, &ticks[0]) != 0 || call(0x30, &ticks[1]) != 0 || ticks[1] < ticks[0] ||
        call(0x31, 0) != 1000000000 || call(0x11, 0) < 1600000000) {
        return 23;
    }
    f = open_file(":tt", 4);
    CALL(0x05, f, P("to the console\n"), 15);
    call(0x04, "a string\n");
    call(0x03, "x");
    return 0;
}

__attribute__((used)) void payload_main(void)
{
    static char line[128];
    unsigned wrong = rest(line, sizeof line), at = 0;

    while (line[at] != '\0' && line[at] != ' ') {
        at++;
    }
    wrong = wrong != 0 ? wrong : files(line + at + 1);
    wrong = wrong != 0 || IS_PEER ? wrong : nonsense();
    leave(wrong != 0 ? wrong : 42);
    for (;;) {
    }
}

__attribute__((naked, section(".text.start"), target("arm"))) void _start(void)
{
    __asm__("ldr sp, =0x40800000\n\tldr r0, =payload_main\n\tblx r0\n\t.ltorg");
}
