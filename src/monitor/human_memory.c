/* SPDX-License-Identifier: MIT */
/*
 * The monitor's x and xp: memory by virtual address of the selected CPU, or by physical address, as
 * numbers or as instructions. Where there is a device both read its registers, with whatever a read
 * does there. Called while the machine is paused.
 */
#include "monitor_internal.h"

#include "vm.h"

#include <capstone/capstone.h>
#include <inttypes.h>
#include <string.h>

#define PER_LINE 16u /* bytes */

struct memory {
    struct vm *vm;
    struct vcpu *v;
    bool is_virtual;
    bool was_virtual_fault;
};

/* The page may be the user's only. */
static bool to_physical(struct memory *m, uint64_t at, gpa_t *gpa)
{
    struct mmu_translation t;

    if (!m->is_virtual) {
        *gpa = at;
        return true;
    }
    if (at > UINT32_MAX || (!mmu_translate(m->v, at, MMU_READ, true, &t) &&
                            !mmu_translate(m->v, at, MMU_READ, false, &t))) {
        m->was_virtual_fault = true;
        return false;
    }
    *gpa = t.gpa;
    return true;
}

/* len bytes that lie in one page. */
static bool read_piece(struct memory *m, uint64_t at, void *buf, unsigned len)
{
    gpa_t gpa;

    if (!to_physical(m, at, &gpa)) {
        return false;
    }
    const void *p = ram_ptr(&m->vm->ram, gpa, len);
    if (p != NULL) {
        memcpy(buf, p, len);
        return true;
    }
    uint64_t value;
    if (len > 8 || (len & (len - 1)) != 0 || gpa % len != 0 ||
        !bus_read(m->vm->bus, m->v, gpa, len, &value)) {
        return false;
    }
    memcpy(buf, &value, len); /* both little-endian */
    return true;
}

static bool read_memory(struct memory *m, uint64_t at, void *buf, unsigned len)
{
    unsigned left = (unsigned)(GUEST_PAGE_SIZE - (at & ~GUEST_PAGE_MASK));

    if (len <= left) {
        return read_piece(m, at, buf, len);
    }
    return read_piece(m, at, buf, left) &&
           read_piece(m, at + left, (char *)buf + left, len - left);
}

static void unreadable(const struct memory *m, uint64_t at, FILE *f)
{
    if (m->was_virtual_fault) {
        fprintf(f, "error: 0x%08" PRIx64 " is not mapped on CPU %u\n", at, m->v->index);
    } else {
        fprintf(f, "error: nothing can be read at 0x%08" PRIx64 "\n", at);
    }
}

static void print_value(FILE *f, const struct examine_format *fmt, uint64_t u)
{
    unsigned bits = 8 * fmt->size;
    int64_t s = (int64_t)(u << (64 - bits)) >> (64 - bits);

    switch (fmt->show) {
    case 'd': fprintf(f, " %*" PRId64, (int)fmt->size * 5 / 2 + 1, s); break;
    case 'u': fprintf(f, " %*" PRIu64, (int)fmt->size * 5 / 2 + 1, u); break;
    case 'o': fprintf(f, " 0%0*" PRIo64, (int)(bits + 2) / 3, u); break;
    case 'c':
        if (u >= ' ' && u < 0x7f) {
            fprintf(f, " '%c'", (char)u);
        } else {
            fprintf(f, " '\\x%02x'", (unsigned)u & 0xff);
        }
        break;
    default: fprintf(f, " 0x%0*" PRIx64, (int)fmt->size * 2, u); break;
    }
}

static void show_numbers(struct memory *m, const struct examine_format *fmt, uint64_t at, FILE *f)
{
    unsigned per_line = PER_LINE / fmt->size;

    for (unsigned i = 0; i < fmt->count; i++, at += fmt->size) {
        uint64_t u = 0;
        if (!read_memory(m, at, &u, fmt->size)) {
            fputs(i % per_line != 0 ? "\n" : "", f);
            unreadable(m, at, f);
            return;
        }
        if (i % per_line == 0) {
            fprintf(f, "%08" PRIx64 ":", at);
        }
        print_value(f, fmt, u);
        if (i % per_line == per_line - 1 || i + 1 == fmt->count) {
            fputc('\n', f);
        }
    }
}

/* One instruction; its length, 0 when nothing can be read. */
static unsigned show_instruction(struct memory *m, csh h, bool thumb, uint64_t at, FILE *f)
{
    uint8_t code[4];
    cs_insn *insn;
    unsigned have = read_memory(m, at, code, 4) ? 4 : thumb && read_memory(m, at, code, 2) ? 2 : 0;

    if (have == 0) {
        unreadable(m, at, f);
        return 0;
    }
    size_t n = cs_disasm(h, code, have, at, 1, &insn);
    unsigned len = n != 0 ? insn->size : thumb ? 2 : 4;
    fprintf(f, "0x%08" PRIx64 ":  ", at);
    for (unsigned i = len; i > 0; i--) {
        fprintf(f, "%02x", code[i - 1]);
    }
    fprintf(f, "%*s%s %s\n", 10 - 2 * (int)len, "", n != 0 ? insn->mnemonic : ".byte",
            n != 0 ? insn->op_str : "");
    if (n != 0) {
        cs_free(insn, n);
    }
    return len;
}

static void show_instructions(struct memory *m, unsigned count, uint64_t at, FILE *f)
{
    bool thumb = (m->v->exec_flags & EXEC_T) != 0;
    unsigned len = 1;
    csh h;

    if (cs_open(CS_ARCH_ARM, (thumb ? CS_MODE_THUMB : CS_MODE_ARM) | CS_MODE_V8, &h) !=
        CS_ERR_OK) {
        fputs("error: the disassembler does not start\n", f);
        return;
    }
    for (unsigned i = 0; i < count && len != 0; i++, at += len) {
        len = show_instruction(m, h, thumb, at, f);
    }
    cs_close(&h);
}

static void examine(struct command_call *c, bool is_virtual)
{
    struct memory m = {.vm = c->vm, .v = c->vm->cpu[*c->cpu], .is_virtual = is_virtual};
    const char *text = c->args, *why;
    struct examine_format fmt;
    uint64_t at;

    if (!examine_format_parse(&text, &fmt)) {
        fputs("error: a format is /[COUNT][x|d|u|o|c|i][b|h|w|g], COUNT at most 65536\n", c->out);
        return;
    }
    if (expression_value(text, m.v, &at, &why) != 0) {
        fprintf(c->out, "error: %s\n", why);
        return;
    }
    if (fmt.show == 'i') {
        show_instructions(&m, fmt.count, at, c->out);
    } else {
        fmt.size = fmt.show == 'c' ? 1 : fmt.size;
        show_numbers(&m, &fmt, at, c->out);
    }
}

void human_examine_virtual(struct command_call *c)
{
    examine(c, true);
}

void human_examine_physical(struct command_call *c)
{
    examine(c, false);
}
