/* SPDX-License-Identifier: MIT */
/*
 * RAM pool above the image, the string functions the compiler calls, cache maintenance for written
 * code, time and random numbers.  mem_alloc() is for CPU 0 only.
 */
#include "guest.h"

#define POOL_BASE (RAM_BASE + 0x02000000u)

static uint32_t pool_next = POOL_BASE;

void *mem_alloc(size_t size, size_t align)
{
    uint32_t p = (pool_next + (uint32_t)align - 1) & ~((uint32_t)align - 1);
    if (p + size > RAM_BASE + RAM_SIZE || p + size < p)
        bail("out of memory");
    pool_next = p + (uint32_t)size;
    return memset((void *)p, 0, size);
}

__attribute__((optimize("no-tree-loop-distribute-patterns"))) void *memset(void *p, int c, size_t n)
{
    uint8_t *d = p;
    if (!((uint32_t)p & 3) && !(n & 3)) {
        uint32_t v = (uint8_t)c * 0x01010101u, *w = p;
        for (size_t i = 0; i < n / 4; i++)
            w[i] = v;
        return p;
    }
    for (size_t i = 0; i < n; i++)
        d[i] = (uint8_t)c;
    return p;
}

__attribute__((optimize("no-tree-loop-distribute-patterns"))) void *memcpy(void *d, const void *s,
                                                                            size_t n)
{
    uint8_t *a = d;
    const uint8_t *b = s;
    for (size_t i = 0; i < n; i++)
        a[i] = b[i];
    return d;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const uint8_t *x = a, *y = b;
    for (size_t i = 0; i < n; i++)
        if (x[i] != y[i])
            return x[i] - y[i];
    return 0;
}

void code_sync(const void *p, size_t n)
{
    uint32_t a = (uint32_t)p & ~31u, end = (uint32_t)p + (uint32_t)n;
    for (uint32_t i = a; i < end; i += 32)
        do_dccmvau(i);
    dsb();
    for (uint32_t i = a; i < end; i += 32)
        do_icimvau(i);
    do_bpiall(0);
    dsb();
    isb();
}

uint64_t now(void)
{
    isb();
    return read_cntvct();
}

uint32_t ticks_per_ms(void)
{
    return 62500; /* the board's 62.5 MHz; hello checks CNTFRQ against it */
}

void delay_ms(uint32_t ms)
{
    uint64_t end = now() + (uint64_t)ms * ticks_per_ms();
    while (now() < end)
        ;
}

uint32_t rnd(uint32_t *state)
{
    uint32_t x = *state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *state = x;
}
