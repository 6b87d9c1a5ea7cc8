/* SPDX-License-Identifier: MIT */
/*
 * Run-time parameters: words "name=number" of the kernel command line (-append "seed=7 ms=2000"),
 * which the board hands over as /chosen/bootargs of its device tree. The tree is where r2 pointed
 * at start, or at the start of RAM, where emulators put it for an ELF image. CPU 0 copies the line
 * before the payload runs, because the payload may use that memory. Devicetree Specification 0.4,
 * chapter 5.
 */
#include "guest.h"

#define FDT_MAGIC      0xd00dfeedu
#define FDT_BEGIN_NODE 1u
#define FDT_END_NODE   2u
#define FDT_PROP       3u
#define FDT_NOP        4u
#define FDT_SIZE_MAX   0x200000u

uint32_t boot_r2; /* start.S */
static char line[256];

static uint32_t be32(uint32_t a)
{
    return __builtin_bswap32(load32(a));
}

static bool same(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

static void copy_line(uint32_t from, uint32_t len)
{
    uint32_t n = len < sizeof(line) ? len : sizeof(line) - 1;
    memcpy(line, (const void *)from, n);
}

/* Walks the structure block; only a node directly below the root is /chosen. */
static void find_bootargs(uint32_t fdt)
{
    uint32_t at = fdt + be32(fdt + 8), end = at + be32(fdt + 36), strings = fdt + be32(fdt + 12);
    unsigned depth = 0;
    bool chosen = false;

    while (at < end) {
        uint32_t token = be32(at);
        at += 4;
        if (token == FDT_BEGIN_NODE) {
            const char *name = (const char *)at;
            chosen = ++depth == 2 && same(name, "chosen");
            while (*name)
                name++;
            at = ((uint32_t)name + 4) & ~3u;
        } else if (token == FDT_END_NODE) {
            depth--;
            chosen = false;
        } else if (token == FDT_PROP) {
            uint32_t len = be32(at);
            if (chosen && same((const char *)strings + be32(at + 4), "bootargs"))
                copy_line(at + 8, len);
            at += (8 + len + 3) & ~3u;
        } else if (token != FDT_NOP) {
            return;
        }
    }
}

static bool is_tree(uint32_t a)
{
    return !(a & 3) && a >= RAM_BASE && a < RAM_BASE + RAM_SIZE - FDT_SIZE_MAX &&
           be32(a) == FDT_MAGIC && be32(a + 4) <= FDT_SIZE_MAX;
}

void param_init(void)
{
    if (is_tree(boot_r2))
        find_bootargs(boot_r2);
    else if (is_tree(RAM_BASE))
        find_bootargs(RAM_BASE);
}

/* The text after "name=", or NULL. */
static const char *value_of(const char *name)
{
    for (const char *p = line; *p;) {
        const char *n = name;
        while (*n && *p == *n)
            p++, n++;
        if (!*n && *p == '=')
            return p + 1;
        while (*p && *p != ' ')
            p++;
        while (*p == ' ')
            p++;
    }
    return NULL;
}

uint32_t param(const char *name, uint32_t otherwise)
{
    const char *p = value_of(name);
    uint32_t v = 0;

    if (!p)
        return otherwise;
    for (; *p && *p != ' '; p++) {
        if (*p < '0' || *p > '9')
            bail("parameter %s is not a decimal number", name);
        v = v * 10 + (uint32_t)(*p - '0');
    }
    return v;
}
