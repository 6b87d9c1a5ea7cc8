/* SPDX-License-Identifier: MIT */
/*
 * Guest images: ELF32 little-endian ARM executables. Loadable segments go to their physical
 * addresses; the entry point is translated the same way when it lies in a segment. Every field of
 * the file is checked before use. ELF for the ARM Architecture; TIS ELF 1.2.
 */
#include "loader_internal.h"
#include "base/log.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

bool loader_is_elf(const struct blob *b)
{
    return b->size >= SELFMAG && memcmp(b->data, ELFMAG, SELFMAG) == 0;
}

static const char *machine_name(unsigned machine)
{
    switch (machine) {
    case EM_386: return "x86";
    case EM_X86_64: return "x86-64";
    case EM_AARCH64: return "64-bit ARM (AArch64)";
    case EM_RISCV: return "RISC-V";
    case EM_PPC:
    case EM_PPC64: return "PowerPC";
    case EM_MIPS: return "MIPS";
    default: return "another architecture";
    }
}

static int bad(const char *path, const char *why)
{
    log_error("kernel %s: %s", path, why);
    return -ENOEXEC;
}

static int check_header(const char *path, const struct blob *b, Elf32_Ehdr *h)
{
    if (b->size < EI_NIDENT + 4) {
        return bad(path, "truncated ELF header; fetch the file again");
    }
    unsigned machine = loader_le16(b->data + EI_NIDENT + 2);
    if (b->data[EI_DATA] != ELFDATA2LSB) {
        return bad(path, "a big-endian ELF file; a little-endian 32-bit ARM one is needed");
    }
    if (machine != EM_ARM || b->data[EI_CLASS] != ELFCLASS32) {
        log_error("kernel %s: an ELF file for %s; this machine needs one for 32-bit ARM", path,
                  machine_name(machine));
        return -ENOEXEC;
    }
    if (b->size < sizeof *h) {
        return bad(path, "truncated ELF header; fetch the file again");
    }
    memcpy(h, b->data, sizeof *h);
    if (h->e_type != ET_EXEC) {
        return bad(path,
                   "the ELF file is not an executable (an object file or shared library?); link it "
                   "to a fixed address");
    }
    if (h->e_phentsize != sizeof(Elf32_Phdr) || h->e_phnum == 0 || h->e_phoff > b->size ||
        (b->size - h->e_phoff) / sizeof(Elf32_Phdr) < h->e_phnum) {
        return bad(path, "the ELF program headers are missing or truncated; fetch the file again");
    }
    return 0;
}

static int load_segment(const struct ram *ram, const char *path, const struct blob *b,
                        const Elf32_Phdr *p)
{
    if (p->p_offset > b->size || p->p_filesz > b->size - p->p_offset || p->p_filesz > p->p_memsz) {
        return bad(path, "an ELF segment lies outside the file; it is truncated, fetch it again");
    }
    uint8_t *host = ram_ptr(ram, p->p_paddr, p->p_memsz);
    if (host == NULL) {
        log_error("kernel %s: an ELF segment at 0x%" PRIx32 " (%" PRIu32
                  " bytes) is outside RAM, which is 0x%" PRIx64 " to 0x%" PRIx64
                  "; link it there or change -m",
                  path, p->p_paddr, p->p_memsz, ram->base, ram->base + ram->size - 1);
        return -ENOEXEC;
    }
    memcpy(host, b->data + p->p_offset, p->p_filesz);
    memset(host + p->p_filesz, 0, p->p_memsz - p->p_filesz);
    return 0;
}

int loader_load_elf(const struct ram *ram, const char *path, const struct blob *b,
                    struct loader_kernel *out)
{
    Elf32_Ehdr h;
    int err = check_header(path, b, &h);

    if (err != 0) {
        return err;
    }
    *out = (struct loader_kernel){.kind = LOADER_ELF, .entry = h.e_entry, .low = UINT64_MAX};
    for (unsigned i = 0; i < h.e_phnum; i++) {
        Elf32_Phdr p;
        memcpy(&p, b->data + h.e_phoff + i * sizeof p, sizeof p);
        if (p.p_type != PT_LOAD || p.p_memsz == 0) {
            continue;
        }
        err = load_segment(ram, path, b, &p);
        if (err != 0) {
            return err;
        }
        if (h.e_entry >= p.p_vaddr && h.e_entry - p.p_vaddr < p.p_memsz) {
            out->entry = h.e_entry - p.p_vaddr + p.p_paddr;
        }
        gpa_t end = (gpa_t)p.p_paddr + p.p_memsz;
        out->low = p.p_paddr < out->low ? p.p_paddr : out->low;
        out->end = out->work_end = end > out->end ? end : out->end;
    }
    if (out->end == 0) {
        return bad(path, "the ELF file has nothing to load");
    }
    return 0;
}
