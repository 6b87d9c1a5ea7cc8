/* SPDX-License-Identifier: MIT */
/*
 * The table of guest symbols: which names count, where each begins and ends, and files that are
 * damaged at random (for the sanitizers: nothing outside the file is read).
 */
#include <criterion/criterion.h>
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/symbols.h"

static char path[] = "/tmp/umbra-test-symbols.XXXXXX";

static void setup(void)
{
    int fd = mkstemp(path);

    cr_assert_geq(fd, 0);
    close(fd);
}

static void teardown(void)
{
    symbols_close();
    unlink(path);
}

TestSuite(symbols, .init = setup, .fini = teardown);

static int open_bytes(const void *bytes, size_t size, const char **why)
{
    FILE *f = fopen(path, "w");

    cr_assert_not_null(f);
    cr_assert_eq(fwrite(bytes, 1, size, f), size);
    cr_assert_eq(fclose(f), 0);
    *why = NULL;
    return symbols_open(path, why);
}

static int open_text(const char *text, const char **why)
{
    return open_bytes(text, strlen(text), why);
}

static void expect(gva_t pc, const char *wanted)
{
    char buf[64];

    cr_expect_str_eq(symbols_format(pc, buf, sizeof buf), wanted, "%#lx: %s, not %s",
                     (unsigned long)pc, buf, wanted);
}

Test(symbols, text)
{
    const char *why;

    cr_assert_eq(open_text("00000000 t vectors\n"
                           "c0008000 T first\n"
                           "c0008010 d data\n"
                           "00000000c0008020 t second\n"
                           "c0008041 T thumb\n"
                           "c0008060 t $a\n"
                           "bf000000 t probe\t[module]\n"
                           "ffffffffc0008000 T beyond",
                           &why),
                 0);
    expect(0, ":vectors");
    expect(0x7ffc, ":vectors+0x7ffc");
    expect(0x8000, "");
    expect(0x10000, "");
    expect(0xbf000010, ":probe+0x10");
    expect(0xc0007fff, "");
    expect(0xc0008000, ":first");
    expect(0xc0008010, ":first+0x10");
    expect(0xc0008020, ":second");
    expect(0xc0008040, ":thumb");
    expect(0xc0008062, ":thumb+0x22");
    expect(0xffffffff, "");
}

Test(symbols, refusals)
{
    static const struct {
        const char *text, *why;
    } bad[] = {{"", "empty"},
               {"hello\n", "System.map"},
               {"c0008000 T\n", "System.map"},
               {"c0008000\n", "System.map"},
               {"12345678901234567 T x\n", "System.map"},
               {"c0008000 d data\n", "no symbol"},
               {"00000000 T a\n00000000 t b\n", "kptr_restrict"}};
    const char *why;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        cr_expect_neq(open_text(bad[i].text, &why), 0, "%s", bad[i].text);
        cr_expect(why != NULL && strstr(why, bad[i].why) != NULL, "%s: %s", bad[i].text, why);
        expect(0, "");
    }
    cr_expect_eq(symbols_open("/no/such/file", &why), -ENOENT);
}

struct image {
    Elf32_Ehdr h;
    Elf32_Shdr s[4];
    Elf32_Sym y[5];
    char strings[32];
};

/* Sections: 1 code, 2 symbols, 3 their names. */
static struct image make_image(void)
{
    struct image m = {.strings = "\0main\0$a\0data\0tail"};

    memcpy(m.h.e_ident, ELFMAG, SELFMAG);
    m.h.e_ident[EI_CLASS] = ELFCLASS32;
    m.h.e_ident[EI_DATA] = ELFDATA2LSB;
    m.h.e_machine = EM_ARM;
    m.h.e_shoff = offsetof(struct image, s);
    m.h.e_shentsize = sizeof(Elf32_Shdr);
    m.h.e_shnum = 4;
    m.s[1] = (Elf32_Shdr){.sh_type = SHT_PROGBITS, .sh_flags = SHF_EXECINSTR};
    m.s[2] = (Elf32_Shdr){.sh_type = SHT_SYMTAB,
                          .sh_offset = offsetof(struct image, y),
                          .sh_size = sizeof m.y,
                          .sh_link = 3};
    m.s[3] = (Elf32_Shdr){.sh_type = SHT_STRTAB,
                          .sh_offset = offsetof(struct image, strings),
                          .sh_size = sizeof m.strings};
    m.y[1] = (Elf32_Sym){1, 0x8001, 0x20, STT_FUNC, 0, 1};
    m.y[2] = (Elf32_Sym){6, 0x8008, 0, STT_NOTYPE, 0, 1};
    m.y[3] = (Elf32_Sym){9, 0x8010, 4, STT_OBJECT, 0, 1};
    m.y[4] = (Elf32_Sym){14, 0x8040, 0, STT_NOTYPE, 0, 1};
    return m;
}

Test(symbols, elf)
{
    struct image m = make_image();
    const char *why;

    cr_assert_eq(open_bytes(&m, sizeof m, &why), 0, "%s", why);
    expect(0x8000, ":main");
    expect(0x801f, ":main+0x1f");
    expect(0x8020, "");
    expect(0x8044, ":tail+0x4");
    m.s[2].sh_type = SHT_NULL;
    cr_expect_neq(open_bytes(&m, sizeof m, &why), 0);
    cr_expect(strstr(why, "stripped") != NULL, "%s", why);
    expect(0x8000, "");
    m = make_image();
    m.s[2].sh_offset = 0xfffffff0;
    cr_expect_neq(open_bytes(&m, sizeof m, &why), 0);
    cr_expect(strstr(why, "truncated") != NULL, "%s", why);
}

Test(symbols, damaged)
{
    const char *why;

    srandom(1);
    for (unsigned round = 0; round < 3000; round++) {
        struct image m = make_image();
        size_t size = sizeof m;
        char buf[64];

        for (long n = random() % 4 + 1; n > 0; n--) {
            ((uint8_t *)&m)[SELFMAG + random() % (long)(sizeof m - SELFMAG)] = (uint8_t)random();
        }
        if (random() % 4 == 0) {
            size = (size_t)random() % sizeof m;
        }
        if (open_bytes(&m, size, &why) != 0) {
            cr_assert_not_null(why);
        }
        symbols_format((gva_t)random(), buf, sizeof buf);
    }
}
