/* SPDX-License-Identifier: MIT */
/*
 * The table of guest symbols: read from the file whole, sorted by address, searched by halves.
 * Every field of the file is checked. Addresses are those the code was linked for, which are the
 * ones it runs at for a kernel and for programs at a fixed address.
 *
 * Text files have addresses only: such a symbol ends where the next begins, or LONGEST_UNSIZED
 * bytes on, so that the exception vectors (at 0 in System.map) do not name user programs.
 * TIS ELF 1.2; ELF for the ARM Architecture (mapping symbols); nm(1).
 */
#include "base/symbols.h"

#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define LONGEST_UNSIZED 0x8000u
#define LONGEST_NAME    120

struct symbol {
    uint32_t start, size; /* size 0: not known yet */
    char *name;
};

static struct symbol *table;
static size_t count, room;

struct file {
    const uint8_t *data;
    size_t size;
};

static int add(uint32_t start, uint32_t size, const char *name, size_t length)
{
    if (count == room) {
        size_t bigger = room ? 2 * room : 4096;
        struct symbol *p = realloc(table, bigger * sizeof(*p));

        if (p == NULL) {
            return -ENOMEM;
        }
        table = p;
        room = bigger;
    }
    char *copy = strndup(name, length < LONGEST_NAME ? length : LONGEST_NAME);
    if (copy == NULL) {
        return -ENOMEM;
    }
    table[count++] = (struct symbol){.start = start, .size = size, .name = copy};
    return 0;
}

/* ---- ELF ---- */
static bool section_header(const struct file *f, const Elf32_Ehdr *h, unsigned i, Elf32_Shdr *out)
{
    uint64_t at = h->e_shoff + (uint64_t)i * sizeof *out;

    if (i >= h->e_shnum || at + sizeof *out > f->size) {
        return false;
    }
    memcpy(out, f->data + at, sizeof *out);
    return out->sh_type == SHT_NOBITS || (uint64_t)out->sh_offset + out->sh_size <= f->size;
}

/* Code, and not one of the marks $a, $t, $d. */
static bool names_code(const struct file *f, const Elf32_Ehdr *h, const Elf32_Sym *s,
                       const char *name)
{
    unsigned type = ELF32_ST_TYPE(s->st_info);
    Elf32_Shdr section;

    if (*name == '\0' || *name == '$' || (type != STT_FUNC && type != STT_NOTYPE)) {
        return false;
    }
    return section_header(f, h, s->st_shndx, &section) && section.sh_flags & SHF_EXECINSTR;
}

static int add_table(const struct file *f, const Elf32_Ehdr *h, const Elf32_Shdr *symtab)
{
    Elf32_Shdr strings;
    int err = 0;

    if (!section_header(f, h, symtab->sh_link, &strings) || strings.sh_type != SHT_STRTAB) {
        return -ENOEXEC;
    }
    for (uint32_t at = 0; err == 0 && symtab->sh_size - at >= sizeof(Elf32_Sym);
         at += sizeof(Elf32_Sym)) {
        Elf32_Sym s;
        memcpy(&s, f->data + symtab->sh_offset + at, sizeof s);
        if (s.st_name >= strings.sh_size) {
            continue;
        }
        const char *name = (const char *)f->data + strings.sh_offset + s.st_name;
        size_t length = strnlen(name, strings.sh_size - s.st_name);
        if (length < strings.sh_size - s.st_name && names_code(f, h, &s, name)) {
            err = add(s.st_value & ~1u, s.st_size, name, length);
        }
    }
    return err;
}

static int read_elf(const struct file *f, const char **why)
{
    Elf32_Shdr section;
    Elf32_Ehdr h;

    if (f->size >= sizeof h) {
        memcpy(&h, f->data, sizeof h);
    }
    if (f->size < sizeof h || h.e_ident[EI_CLASS] != ELFCLASS32 || h.e_machine != EM_ARM ||
        h.e_ident[EI_DATA] != ELFDATA2LSB || h.e_shentsize != sizeof section) {
        *why = "an ELF file, but not one for 32-bit little-endian ARM";
        return -ENOEXEC;
    }
    for (unsigned i = 0; i < h.e_shnum; i++) {
        if (!section_header(f, &h, i, &section)) {
            *why = "the ELF file's sections lie outside the file; it is truncated";
            return -ENOEXEC;
        }
        if (section.sh_type == SHT_SYMTAB) {
            *why = "the ELF file's symbol table is damaged";
            return add_table(f, &h, &section);
        }
    }
    *why = "the ELF file has no symbol table (it is stripped)";
    return -ENOEXEC;
}

/* ---- System.map, /proc/kallsyms: "c0101234 T name", then perhaps a tab and "[module]" ---- */
static int read_line(const char *line, size_t length)
{
    size_t digits = 0, end;
    uint64_t address = 0;

    for (; digits < length && isxdigit((unsigned char)line[digits]); digits++) {
        unsigned c = (unsigned char)line[digits];
        address = address << 4 | (c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
    }
    if (digits == 0 || digits > 16 || length < digits + 4 || line[digits] != ' ' ||
        line[digits + 2] != ' ') {
        return -ENOEXEC;
    }
    for (end = digits + 3; end < length && line[end] != '\t' && line[end] != ' '; end++) {
    }
    if (address > UINT32_MAX || strchr("tTwW", line[digits + 1]) == NULL ||
        line[digits + 3] == '$') {
        return 0;
    }
    return add((uint32_t)address & ~1u, 0, line + digits + 3, end - digits - 3);
}

static int read_text(const struct file *f, const char **why)
{
    const char *p = (const char *)f->data, *end = p + f->size;
    int err = 0;

    *why = "neither an ELF file nor lines of \"address type name\" as in System.map";
    while (p < end && err == 0) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        const char *stop = newline != NULL ? newline : end;
        if (stop > p) {
            err = read_line(p, (size_t)(stop - p));
        }
        p = stop + 1;
    }
    return err;
}

/* ---- the table ---- */
static int by_address(const void *a, const void *b)
{
    const struct symbol *x = a, *y = b;

    if (x->start != y->start) {
        return x->start < y->start ? -1 : 1;
    }
    return (x->size < y->size) - (x->size > y->size);
}

/* Of several names at one address the longest symbol's stays. */
static void settle(void)
{
    size_t kept = 0;

    qsort(table, count, sizeof *table, by_address);
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && table[kept - 1].start == table[i].start) {
            free(table[i].name);
        } else {
            table[kept++] = table[i];
        }
    }
    count = kept;
    for (size_t i = 0; i < count; i++) {
        uint32_t gap = i + 1 < count ? table[i + 1].start - table[i].start : LONGEST_UNSIZED;
        if (table[i].size == 0) {
            table[i].size = gap < LONGEST_UNSIZED ? gap : LONGEST_UNSIZED;
        }
    }
}

static int read_symbols(const struct file *f, const char **why)
{
    bool elf = f->size >= SELFMAG && memcmp(f->data, ELFMAG, SELFMAG) == 0;
    int err = elf ? read_elf(f, why) : read_text(f, why);

    if (err == -ENOMEM) {
        *why = strerror(ENOMEM);
    } else if (err == 0 && count == 0) {
        *why = "no symbol of code in it";
        err = -ENOEXEC;
    } else if (err == 0 && table[0].start == 0 && table[count - 1].start == 0) {
        *why = "all addresses are 0: read /proc/kallsyms as root, with kernel.kptr_restrict=0";
        err = -ENOEXEC;
    }
    return err;
}

/* Files of /proc have no size: the guest's own kallsyms is a copy, a regular file. */
static int map_file(const char *path, struct file *f)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int err = 0;

    if (fd < 0 || fstat(fd, &st) != 0) {
        err = -errno;
    } else if (!S_ISREG(st.st_mode)) {
        err = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
    } else if (st.st_size > 0) {
        f->size = (size_t)st.st_size;
        void *p = mmap(NULL, f->size, PROT_READ, MAP_PRIVATE, fd, 0);
        err = p == MAP_FAILED ? -errno : 0;
        f->data = p;
    }
    if (fd >= 0) {
        close(fd);
    }
    return err;
}

int symbols_open(const char *path, const char **why)
{
    struct file f = {NULL, 0};
    int err = map_file(path, &f);

    symbols_close();
    if (err != 0) {
        *why = err == -EINVAL ? "not a regular file" : strerror(-err);
        return err;
    }
    if (f.size == 0) {
        *why = "the file is empty";
        return -ENOEXEC;
    }
    err = read_symbols(&f, why);
    munmap((void *)(uintptr_t)f.data, f.size);
    if (err != 0) {
        symbols_close();
        return err;
    }
    settle();
    return 0;
}

void symbols_close(void)
{
    for (size_t i = 0; i < count; i++) {
        free(table[i].name);
    }
    free(table);
    table = NULL;
    count = room = 0;
}

const char *symbols_find(gva_t pc, uint32_t *offset)
{
    size_t lo = 0, hi = count;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (table[mid].start <= pc) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    if (lo == 0 || pc - table[lo - 1].start >= table[lo - 1].size) {
        return NULL;
    }
    *offset = (uint32_t)(pc - table[lo - 1].start);
    return table[lo - 1].name;
}

const char *symbols_format(gva_t pc, char *buf, size_t size)
{
    uint32_t offset;
    const char *name = symbols_find(pc, &offset);

    if (name == NULL) {
        buf[0] = '\0';
    } else if (offset == 0) {
        snprintf(buf, size, ":%s", name);
    } else {
        snprintf(buf, size, ":%s+%#x", name, offset);
    }
    return buf;
}
