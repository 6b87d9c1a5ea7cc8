/* SPDX-License-Identifier: MIT */
/*
 * Guest images: each kind is recognised and placed, and malformed, foreign, truncated or
 * oversized files end in one sentence that names the file, with RAM's neighbours untouched.
 */
#include <criterion/criterion.h>
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "loader.h"

#define MIB ((uint64_t)1 << 20)
#define RAM_BASE 0x40000000u
#define GUARD 4096u

static struct ram ram;
static char dir[64], path[128];
static char message[2048];

/* RAM of `size` bytes with guards on both sides. */
static void make_ram(uint64_t size)
{
    uint8_t *p = malloc(size + 2 * GUARD);

    cr_assert_not_null(p);
    memset(p, 0xa5, GUARD);
    memset(p + GUARD, 0, size);
    memset(p + GUARD + size, 0xa5, GUARD);
    ram = (struct ram){.fd = -1, .flat = p + GUARD, .base = RAM_BASE, .size = size};
}

static void check_guards(void)
{
    for (unsigned i = 0; i < GUARD; i++) {
        cr_assert_eq(ram.flat[-1 - (int)i], 0xa5);
        cr_assert_eq(ram.flat[ram.size + i], 0xa5);
    }
}

void *ram_ptr(const struct ram *r, gpa_t gpa, uint64_t len)
{
    if (gpa < r->base || gpa - r->base > r->size || len > r->size - (gpa - r->base)) {
        return NULL;
    }
    return r->flat + (gpa - r->base);
}

static void setup(void)
{
    strcpy(dir, "/tmp/umbra-test-loader.XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/image", dir);
    make_ram(16 * MIB);
}

static void teardown(void)
{
    check_guards();
    free(ram.flat - GUARD);
    unlink(path);
    rmdir(dir);
}

static void put_file(const void *data, size_t size)
{
    FILE *f = fopen(path, "wb");

    cr_assert_not_null(f);
    cr_assert_eq(fwrite(data, 1, size, f), size);
    fclose(f);
}

static void put_gzip(const void *data, size_t size)
{
    gzFile f = gzopen(path, "wb");

    cr_assert_not_null(f);
    cr_assert_eq(gzwrite(f, data, (unsigned)size), (int)size);
    gzclose(f);
}

/* Load with stderr caught in `message`. */
static int load_from(const char *file, struct loader_kernel *k)
{
    char capture[160];

    snprintf(capture, sizeof capture, "%s.err", path);
    fflush(stderr);
    int saved = dup(2);
    cr_assert_not_null(freopen(capture, "w+", stderr));
    int err = loader_load_kernel(&ram, file, k);
    fflush(stderr);
    rewind(stderr);
    message[fread(message, 1, sizeof message - 1, stderr)] = '\0';
    dup2(saved, 2);
    close(saved);
    unlink(capture);
    return err;
}

static void expect_refusal(const char *what, const char *word)
{
    struct loader_kernel k;
    int err = load_from(path, &k);

    cr_expect_lt(err, 0, "%s", what);
    cr_expect_eq(strncmp(message, "umbra: kernel /tmp/", 19), 0, "%s: %s", what, message);
    cr_expect_not_null(strstr(message, path), "%s names the file: %s", what, message);
    cr_expect_not_null(strstr(message, word), "%s says '%s': %s", what, word, message);
    cr_expect_eq(strchr(message, '\n'), message + strlen(message) - 1, "%s: one line: %s", what,
                 message);
}

static void put32(uint8_t *p, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++) {
        p[i] = (uint8_t)(v >> 8 * i);
    }
}

/* ---- zImage ---- */
static void make_zimage(uint8_t *z, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++) {
        z[i] = (uint8_t)(i * 7);
    }
    put32(z + 0x24, 0x016f2818);
    put32(z + 0x28, 0);
    put32(z + 0x2c, size);
    put32(z + 0x30, 0x04030201);
    put32(z + 0x34, 0);
}

TestSuite(loader, .init = setup, .fini = teardown);

Test(loader, zimage_in_small_ram)
{
    static uint8_t z[8192];
    struct loader_kernel k;

    make_zimage(z, sizeof z);
    put_file(z, sizeof z);
    cr_assert_eq(load_from(path, &k), 0);
    cr_expect_eq(k.kind, LOADER_ZIMAGE);
    cr_expect_eq(k.entry, RAM_BASE + 0x10000);
    cr_expect_eq(k.low, k.entry);
    cr_expect_eq(k.end, k.entry + sizeof z);
    cr_expect_arr_eq(ram.flat + 0x10000, z, sizeof z);
    cr_expect_eq(loader_initrd_base(&ram, &k), RAM_BASE + 8 * MIB);
}

Test(loader, zimage_in_big_ram_with_tail)
{
    static uint8_t z[8192 + 100];
    struct loader_kernel k;

    free(ram.flat - GUARD);
    make_ram(512 * MIB);
    make_zimage(z, 8192);
    put_gzip(z, sizeof z);
    cr_assert_eq(load_from(path, &k), 0);
    cr_expect_eq(k.entry, RAM_BASE + 32 * MIB);
    cr_expect_eq(k.end, k.entry + sizeof z,
                 "what follows the image is kept (an appended device tree)");
    cr_expect_arr_eq(ram.flat + 32 * MIB, z, sizeof z, "unpacked");
    cr_expect_eq(loader_initrd_base(&ram, &k), RAM_BASE + 128 * MIB);
}

Test(loader, zimage_damaged)
{
    static uint8_t z[8192];

    make_zimage(z, sizeof z);
    put_file(z, sizeof z - 1);
    expect_refusal("one byte short", "truncated");
    for (size_t size = 0x28; size < 0x100; size++) {
        put_file(z, size);
        expect_refusal("little more than the magic number", "truncated");
    }
    put32(z + 0x2c, 16);
    put_file(z, sizeof z);
    expect_refusal("impossible size", "truncated");
    put32(z + 0x28, 0xf0000000);
    put32(z + 0x2c, 0x1000);
    put_file(z, sizeof z);
    expect_refusal("end before start", "truncated");
    make_zimage(z, sizeof z);
    put32(z + 0x30, 0x01020304);
    put_file(z, sizeof z);
    expect_refusal("big-endian", "little-endian");
}

/* A zImage with a packed kernel that has these texts, far apart; the first lies across 64 KiB. */
static void put_packed_kernel(const char *first, const char *second)
{
    static uint8_t kernel[200000], z[8192];
    z_stream s = {.next_in = kernel, .avail_in = sizeof kernel, .next_out = z + 0x100,
                  .avail_out = sizeof z - 0x100};

    memset(kernel, 0, sizeof kernel);
    memcpy(kernel + 65536 - 5, first, strlen(first));
    memcpy(kernel + 190000, second, strlen(second));
    make_zimage(z, sizeof z);
    cr_assert_eq(deflateInit2(&s, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    cr_assert_eq(deflate(&s, Z_FINISH), Z_STREAM_END);
    deflateEnd(&s);
    put_file(z, sizeof z);
}

Test(loader, kernels_of_the_older_android_board)
{
    struct loader_kernel k;

    put_packed_kernel("goldfish_pdev_bus", "goldfish_timer");
    expect_refusal("goldfish", "older board goldfish");
    put_packed_kernel("goldfish_pdev_bus", "generic,goldfish-fb");
    cr_expect_eq(load_from(path, &k), 0, "its successor's");
    put_packed_kernel("virtio,mmio", "goldfish_pdev_bus");
    cr_expect_eq(load_from(path, &k), 0);
    put_packed_kernel("goldfish", "pdev_bus");
    cr_expect_eq(load_from(path, &k), 0);
}

/* The table of newer images: what the kernel unpacks to. */
static void add_table(uint8_t *z, uint32_t unpacked)
{
    static const uint32_t table[] = {6, 0x5a534c4b, 0x1f00, 0x1000, 0x8000, 0x10000};

    put32(z + 0x34, 0x45454545);
    put32(z + 0x38, 0x1000);
    for (unsigned i = 0; i < 6; i++) {
        put32(z + 0x1000 + 4 * i, table[i]);
    }
    put32(z + 0x1f00, unpacked);
}

Test(loader, zimage_says_what_it_unpacks_to)
{
    static uint8_t z[8192];
    struct loader_kernel k;

    make_zimage(z, sizeof z);
    add_table(z, 12 * MIB);
    put_file(z, sizeof z);
    cr_assert_eq(load_from(path, &k), 0);
    cr_expect_geq(k.work_end, RAM_BASE + 0x8000 + 12 * MIB + 0x1000 + sizeof z + 0x10000);
    cr_expect_geq(loader_initrd_base(&ram, &k), k.work_end, "the initrd lies behind");
    add_table(z, 16 * MIB);
    put_file(z, sizeof z);
    expect_refusal("more than RAM", "-m");
    add_table(z, 0xffffffff);
    put_file(z, sizeof z);
    expect_refusal("far more than RAM", "-m");
    make_zimage(z, sizeof z);
    add_table(z, 12 * MIB);
    put32(z + 0x1008, 0xfffffffd);
    put_file(z, sizeof z);
    cr_expect_eq(load_from(path, &k), 0, "a table that points outside is not believed");
    put32(z + 0x38, 0xfffffff0);
    put_file(z, sizeof z);
    cr_expect_eq(load_from(path, &k), 0, "nor one that lies outside");
}

/* ---- raw ---- */
Test(loader, raw_binary)
{
    struct loader_kernel k;

    put_file("\x01\x02\x03", 3);
    cr_assert_eq(load_from(path, &k), 0);
    cr_expect_eq(k.kind, LOADER_RAW);
    cr_expect_eq(k.entry, RAM_BASE + 0x10000);
    cr_expect_eq(k.end, k.entry + 3);
    cr_expect_arr_eq(ram.flat + 0x10000, "\x01\x02\x03", 3);
}

Test(loader, raw_binary_that_reaches_the_initrd)
{
    struct loader_kernel k;
    size_t size = 10 * MIB + 1;
    uint8_t *p = calloc(1, size);

    put_file(p, size);
    free(p);
    cr_assert_eq(load_from(path, &k), 0);
    cr_expect_eq(loader_initrd_base(&ram, &k), RAM_BASE + 0x10000 + 10 * MIB + 4096,
                 "moved behind it");
}

Test(loader, too_big)
{
    size_t size = 16 * MIB - 0x10000 + 1;
    uint8_t *p = calloc(1, size);

    put_file(p, size);
    expect_refusal("a byte more than fits", "-m");
    cr_assert_eq(truncate(path, (off_t)(64ull << 30)), 0);
    expect_refusal("a huge sparse file", "-m");
    put_gzip(p, size);
    expect_refusal("the same gzip'd", "-m");
    free(p);
}

Test(loader, gzip_bomb_is_bounded)
{
    size_t size = 64 * MIB;
    uint8_t *p = calloc(1, size);

    put_gzip(p, size);
    free(p);
    expect_refusal("unpacks to more than RAM", "-m");
}

Test(loader, gzip_damaged)
{
    uint8_t buf[4096];
    struct stat st;

    for (unsigned i = 0; i < sizeof buf; i++) {
        buf[i] = (uint8_t)(i * i >> 3);
    }
    put_gzip(buf, sizeof buf);
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(truncate(path, st.st_size / 2), 0);
    expect_refusal("half", "gzip");
    put_file("\x1f\x8b\x08\0\0\0\0\0\0\0garbage-garbage", 25);
    expect_refusal("garbage", "gzip");
    put_gzip("", 0);
    expect_refusal("nothing inside", "empty");
}

Test(loader, no_such_file_and_others)
{
    put_file("", 0);
    expect_refusal("empty", "empty");
    unlink(path);
    expect_refusal("missing", "No such file");
    cr_assert_eq(mkdir(path, 0700), 0);
    expect_refusal("a directory", "directory");
    rmdir(path);
}

Test(loader, foreign_formats_are_named)
{
    static const struct {
        size_t at;
        const char *magic;
        size_t n;
        const char *word;
    } c[] = {
        {0x38, "ARM\x64", 4, "arm64"},
        {0x202, "HdrS", 4, "x86"},
        {0x30, "RISCV\0\0\0", 8, "RISC-V"},
        {0, "\x27\x05\x19\x56", 4, "uImage"},
        {0, "\xd0\x0d\xfe\xed", 4, "device tree"},
        {0, "\xfd\x37zXZ\0", 6, "xz"},
        {0, "\x28\xb5\x2f\xfd", 4, "zstd"},
    };

    for (size_t i = 0; i < sizeof c / sizeof c[0]; i++) {
        uint8_t buf[1024] = {0};
        memcpy(buf + c[i].at, c[i].magic, c[i].n);
        put_file(buf, sizeof buf);
        expect_refusal(c[i].word, c[i].word);
    }
}

/* ---- ELF ---- */
struct elf {
    Elf32_Ehdr h;
    Elf32_Phdr p[2];
    uint8_t data[64];
};

static struct elf make_elf(void)
{
    struct elf e = {
        .h = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT},
              .e_type = ET_EXEC,
              .e_machine = EM_ARM,
              .e_version = EV_CURRENT,
              .e_entry = 0x80008004,
              .e_phoff = offsetof(struct elf, p),
              .e_ehsize = sizeof(Elf32_Ehdr),
              .e_phentsize = sizeof(Elf32_Phdr),
              .e_phnum = 2},
        .p = {{.p_type = PT_LOAD, .p_offset = offsetof(struct elf, data), .p_vaddr = 0x80008000,
               .p_paddr = RAM_BASE + 0x8000, .p_filesz = 64, .p_memsz = 128},
              {.p_type = PT_NOTE, .p_offset = 0xffffff00, .p_filesz = 0xffffffff}},
    };

    memset(e.data, 0x5c, sizeof e.data);
    return e;
}

Test(loader, elf)
{
    struct elf e = make_elf();
    struct loader_kernel k;

    memset(ram.flat + 0x8000, 0xff, 256);
    put_file(&e, sizeof e);
    cr_assert_eq(load_from(path, &k), 0, "%s", message);
    cr_expect_eq(k.kind, LOADER_ELF);
    cr_expect_eq(k.entry, RAM_BASE + 0x8004, "the physical address of the entry");
    cr_expect_eq(k.low, RAM_BASE + 0x8000);
    cr_expect_eq(k.end, RAM_BASE + 0x8080);
    cr_expect_eq(ram.flat[0x8000 + 63], 0x5c);
    cr_expect_eq(ram.flat[0x8000 + 64], 0, ".bss is cleared");
    cr_expect_eq(ram.flat[0x8000 + 127], 0);
    cr_expect_eq(ram.flat[0x8000 + 128], 0xff);
    cr_expect_eq(ram.flat[0x7fff], 0);
    e.h.e_entry = 0x40009001;
    put_file(&e, sizeof e);
    cr_assert_eq(load_from(path, &k), 0);
    cr_expect_eq(k.entry, 0x40009001, "outside all segments: as it is, Thumb bit kept");
}

static void refuse_elf(const char *what, const struct elf *e, size_t size, const char *word)
{
    put_file(e, size);
    expect_refusal(what, word);
}

Test(loader, elf_of_other_machines)
{
    struct elf e = make_elf();

    e.h.e_machine = EM_X86_64;
    e.h.e_ident[EI_CLASS] = ELFCLASS64;
    refuse_elf("x86-64", &e, sizeof e, "x86-64");
    e.h.e_machine = EM_AARCH64;
    refuse_elf("arm64", &e, sizeof e, "AArch64");
    e = make_elf();
    e.h.e_machine = EM_386;
    refuse_elf("x86", &e, sizeof e, "x86");
    e = make_elf();
    e.h.e_ident[EI_DATA] = ELFDATA2MSB;
    refuse_elf("big-endian", &e, sizeof e, "big-endian");
    e = make_elf();
    e.h.e_type = ET_REL;
    refuse_elf("object file", &e, sizeof e, "executable");
}

Test(loader, elf_damaged)
{
    struct elf e = make_elf();

    for (size_t size = 4; size < offsetof(struct elf, data) + 64; size += 7) {
        refuse_elf("truncated", &e, size, "truncated");
    }
    e.h.e_phnum = 0;
    refuse_elf("no program headers", &e, sizeof e, "program headers");
    e = make_elf();
    e.h.e_phoff = 0xfffffff0;
    refuse_elf("headers far outside", &e, sizeof e, "program headers");
    e = make_elf();
    e.h.e_phentsize = 8;
    refuse_elf("odd header size", &e, sizeof e, "program headers");
    e = make_elf();
    e.h.e_phnum = 0xffff;
    refuse_elf("too many headers", &e, sizeof e, "program headers");
    e = make_elf();
    e.p[0].p_filesz = 0xffffffff;
    refuse_elf("size wraps", &e, sizeof e, "outside the file");
    e = make_elf();
    e.p[0].p_offset = 0xfffffff0;
    refuse_elf("offset outside", &e, sizeof e, "outside the file");
    e = make_elf();
    e.p[0].p_memsz = 8;
    refuse_elf("more in the file than in memory", &e, sizeof e, "outside the file");
    e = make_elf();
    e.p[0].p_paddr = 0xc0008000;
    refuse_elf("linked elsewhere", &e, sizeof e, "outside RAM");
    e = make_elf();
    e.p[0].p_memsz = 0xffffffff;
    refuse_elf("bigger than RAM", &e, sizeof e, "outside RAM");
    e = make_elf();
    e.p[0].p_paddr = RAM_BASE + 16 * MIB - 64;
    refuse_elf("over the end of RAM", &e, sizeof e, "outside RAM");
    e = make_elf();
    e.p[0].p_type = PT_NULL;
    refuse_elf("nothing to load", &e, sizeof e, "nothing");
}

/* Any byte of a good file changed: loads or is refused, never writes outside RAM (guards,
   sanitizers). */
Test(loader, mutations_stay_inside)
{
    struct elf good = make_elf();
    uint32_t rnd = 1;

    for (unsigned i = 0; i < 4000; i++) {
        struct elf e = good;
        struct loader_kernel k;
        for (unsigned n = 0; n < 3; n++) {
            rnd = rnd * 1664525 + 1013904223;
            ((uint8_t *)&e)[rnd / 65536 % offsetof(struct elf, data)] ^= (uint8_t)(rnd >> 8);
        }
        put_file(&e, sizeof e);
        if (load_from(path, &k) == 0 && k.kind == LOADER_ELF) {
            cr_assert(k.low >= RAM_BASE && k.end <= RAM_BASE + ram.size && k.low < k.end);
        }
    }
}

/* ---- initrd and device tree ---- */
Test(loader, other_files)
{
    gpa_t end;
    void *dtb;
    size_t size;

    put_file("0123456789", 10);
    cr_assert_eq(loader_load_file(&ram, "initrd", path, RAM_BASE + 0x1000, &end), 0);
    cr_expect_eq(end, RAM_BASE + 0x100a);
    cr_expect_arr_eq(ram.flat + 0x1000, "0123456789", 10);
    cr_expect_eq(loader_load_file(&ram, "initrd", path, RAM_BASE + ram.size - 9, &end), -ENOSPC);
    cr_expect_eq(loader_load_file(&ram, "initrd", path, RAM_BASE + 2 * ram.size, &end), -ENOSPC);
    cr_assert_eq(loader_read_dtb(path, &dtb, &size), 0);
    cr_expect_eq(size, 10);
    free(dtb);
    cr_assert_eq(truncate(path, 3 << 20), 0);
    cr_expect_eq(loader_read_dtb(path, &dtb, &size), -EFBIG);
    cr_assert_eq(truncate(path, 0), 0);
    cr_expect_lt(loader_load_file(&ram, "initrd", path, RAM_BASE, &end), 0, "empty");
}

/* ---- Android boot image ---- */
#define KERNEL 8192u
#define RAMDISK 5000u

static uint8_t boot_image[65536];

/* Kernel and RAM disk behind a header of that version; returns the size. */
static size_t make_boot_image(unsigned version, uint32_t page)
{
    static const uint32_t header_size[] = {0, 1648, 1660, 1580, 1584};
    uint8_t *h = boot_image;
    bool old = version <= 2;

    memset(h, 0, sizeof boot_image);
    memcpy(h, "ANDROID!", 8);
    put32(h + 8, KERNEL);
    put32(h + (old ? 16 : 12), RAMDISK);
    put32(h + 40, version);
    if (old) {
        put32(h + 36, page);
        memset(h + 64, 'a', 512); /* no NUL before the second part */
        strcpy((char *)h + 608, " b=c");
    } else {
        strcpy((char *)h + 44, "d=e");
    }
    if (version > 0) {
        put32(h + (old ? 1644 : 20), header_size[version]);
    }
    make_zimage(h + page, KERNEL);
    uint8_t *ramdisk = h + page + (KERNEL + page - 1) / page * page;
    for (unsigned i = 0; i < RAMDISK; i++) {
        ramdisk[i] = (uint8_t)(i * 11 + 1);
    }
    return (size_t)(ramdisk - h) + RAMDISK;
}

static void expect_boot_image(unsigned version, uint32_t page)
{
    struct loader_kernel k;
    gpa_t end, at = RAM_BASE + 8 * MIB;
    size_t size = make_boot_image(version, page);

    put_file(boot_image, size);
    cr_assert_eq(load_from(path, &k), 0, "version %u: %s", version, message);
    cr_expect_eq(k.kind, LOADER_ZIMAGE);
    cr_expect_eq(k.end - k.low, KERNEL);
    cr_expect_arr_eq(ram.flat + 0x10000, boot_image + page, KERNEL);
    cr_assert_eq(k.boot.ramdisk_size, RAMDISK);
    cr_assert_eq(loader_load_ramdisk(&ram, path, &k.boot, at, &end), 0);
    cr_expect_eq(end, at + RAMDISK);
    cr_expect_arr_eq(ram.flat + 8 * MIB, boot_image + size - RAMDISK, RAMDISK);
    if (version <= 2) {
        cr_expect_eq(strlen(k.boot.cmdline), 516);
        cr_expect_str_eq(k.boot.cmdline + 511, "a b=c");
    } else {
        cr_expect_str_eq(k.boot.cmdline, "d=e");
    }
    loader_free_kernel(&k);
}

Test(loader, boot_image)
{
    for (unsigned version = 0; version <= 4; version++) {
        expect_boot_image(version, 4096);
    }
    expect_boot_image(0, 2048);
    expect_boot_image(2, 16384);
    /* A vendor's device tree table instead of the version. */
    make_boot_image(0, 2048);
    put32(boot_image + 40, 1 << 20);
    struct loader_kernel k;
    put_file(boot_image, sizeof boot_image);
    cr_assert_eq(load_from(path, &k), 0);
    loader_free_kernel(&k);
}

Test(loader, boot_image_ramdisk_does_not_fit)
{
    struct loader_kernel k;
    gpa_t end;

    put_file(boot_image, make_boot_image(0, 2048));
    cr_assert_eq(load_from(path, &k), 0);
    cr_expect_eq(loader_load_ramdisk(&ram, path, &k.boot, RAM_BASE + ram.size - RAMDISK + 1, &end),
                 -ENOSPC);
    loader_free_kernel(&k);
}

static void damage(unsigned version, uint32_t at, uint32_t value, const char *word)
{
    size_t size = make_boot_image(version, 4096);

    put32(boot_image + at, value);
    put_file(boot_image, size);
    expect_refusal("damaged boot image", word);
}

Test(loader, boot_image_damaged)
{
    for (unsigned version = 0; version <= 4; version++) {
        size_t size = make_boot_image(version, 4096);
        put_file(boot_image, 1500);
        expect_refusal("cut in the header", "within its header, at byte 1500");
        put_file(boot_image, 41);
        expect_refusal("cut early", "within its header, at byte 41");
        put_file(boot_image, size - 1);
        expect_refusal("cut in the RAM disk", "its RAM disk of 5000 bytes");
        put_file(boot_image, 4096 + 100);
        expect_refusal("cut in the kernel", "its kernel of 8192 bytes");
        damage(version, 8, 0xffffffff, "its kernel of 4294967295 bytes");
        damage(version, 8, 0xfffff001, "its kernel of");
        damage(version, version <= 2 ? 16 : 12, 0xffffffff, "its RAM disk of 4294967295 bytes");
        damage(version, 8, 0, "without a kernel");
        if (version > 0) {
            damage(version, version <= 2 ? 1644 : 20, 0, "its header size is 0");
            damage(version, version <= 2 ? 1644 : 20, 4097, "its header size is 4097");
        }
        if (version <= 2) {
            damage(version, 36, 0, "its page size is 0");
            damage(version, 36, 4095, "its page size is 4095");
            damage(version, 36, 0x80000000, "its page size is 2147483648");
        }
    }
    damage(0, 40, 5, "header version 5");
    damage(0, 40, 1023, "header version 1023");
}

Test(loader, boot_image_of_another_machine)
{
    size_t size = make_boot_image(2, 4096);

    memset(boot_image + 4096, 0, KERNEL);
    memcpy(boot_image + 4096 + 0x38, "ARM\x64", 4);
    put_file(boot_image, size);
    expect_refusal("arm64", "arm64");
    memcpy(boot_image, "VNDRBOOT", 8);
    put_file(boot_image, size);
    expect_refusal("vendor_boot", "vendor_boot");
    put32(boot_image, 0xed26ff3a);
    put_file(boot_image, size);
    expect_refusal("sparse", "sparse");
}
