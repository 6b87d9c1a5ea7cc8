/* SPDX-License-Identifier: MIT */
/*
 * Registers by the debugger's numbers, and the target description that names them: the features
 * arm.core, arm.vfp and arm.neon that GDB knows, and org.umbra.arm.system of our own. Values are
 * little-endian.
 *
 * The stub's thread, while all vCPUs are parked.
 */
#include "gdb/gdb_internal.h"

#include "vcpu/arm.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { REG_PC = 15, REG_CPSR = 16, REG_D0 = 17, REG_FPSCR = 49, REG_Q0 = 50, REG_SYS = 66 };

static const struct gdb_sysreg *sysreg_of(unsigned n)
{
    return n >= REG_SYS && n - REG_SYS < gdb_sysregs_count ? &gdb_sysregs[n - REG_SYS] : NULL;
}

unsigned gdb_reg_size(unsigned n)
{
    const struct gdb_sysreg *r = sysreg_of(n);

    if (n < REG_D0 || n == REG_FPSCR)
        return 4;
    if (n < REG_FPSCR)
        return 8;
    if (n < REG_SYS)
        return 16;
    return r ? r->bits / 8u : 0;
}

static bool read_value(struct vcpu *v, unsigned n, uint64_t *value)
{
    const struct gdb_sysreg *r = sysreg_of(n);

    if (n <= REG_PC)
        *value = v->r[n];
    else if (n == REG_CPSR)
        *value = arm_cpsr_read(v);
    else if (n < REG_FPSCR)
        *value = v->vfp.d[n - REG_D0];
    else if (n == REG_FPSCR)
        *value = arm_fpscr_peek_stopped(v);
    else
        return r && gdb_sysreg_read_stopped(v, r, value);
    return true;
}

bool gdb_reg_read_stopped(struct vcpu *v, unsigned n, uint8_t out[GDB_REG_MAX])
{
    uint64_t value;

    if (n >= REG_Q0 && n < REG_SYS) {
        memcpy(out, &v->vfp.d[2 * (n - REG_Q0)], 16);
        return true;
    }
    if (!read_value(v, n, &value))
        return false;
    memcpy(out, &value, sizeof(value));
    return true;
}

bool gdb_reg_write_stopped(struct vcpu *v, unsigned n, const uint8_t in[GDB_REG_MAX])
{
    const struct gdb_sysreg *r = sysreg_of(n);
    uint64_t value = 0;

    if (n >= REG_Q0 && n < REG_SYS) {
        memcpy(&v->vfp.d[2 * (n - REG_Q0)], in, 16);
        return true;
    }
    memcpy(&value, in, gdb_reg_size(n));
    if (n < REG_PC) {
        v->r[n] = (uint32_t)value;
    } else if (n == REG_PC) {
        v->r[n] = (uint32_t)value & ~1u;
    } else if (n == REG_CPSR) {
        if (!arm_mode_valid(value & 0x1f))
            return false;
        arm_cpsr_write(v, (uint32_t)value, ~0u);
    } else if (n < REG_FPSCR) {
        v->vfp.d[n - REG_D0] = value;
    } else if (n == REG_FPSCR) {
        arm_fpscr_poke_stopped(v, (uint32_t)value);
    } else {
        return r && gdb_sysreg_write_stopped(v, r, value);
    }
    return true;
}

/* ---- target description ---- */
struct text {
    char data[12288];
    size_t len;
};

static void add(struct text *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void add(struct text *t, const char *fmt, ...)
{
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(t->data + t->len, sizeof(t->data) - t->len, fmt, args);
    va_end(args);
    if (n > 0 && (size_t)n < sizeof(t->data) - t->len)
        t->len += (size_t)n;
}

static void add_core(struct text *t)
{
    add(t, "<feature name=\"org.gnu.gdb.arm.core\">\n");
    for (unsigned i = 0; i < 13; i++)
        add(t, "<reg name=\"r%u\" bitsize=\"32\"/>\n", i);
    add(t, "<reg name=\"sp\" bitsize=\"32\" type=\"data_ptr\"/>\n"
           "<reg name=\"lr\" bitsize=\"32\"/>\n"
           "<reg name=\"pc\" bitsize=\"32\" type=\"code_ptr\"/>\n"
           "<reg name=\"cpsr\" bitsize=\"32\"/>\n</feature>\n");
}

static void add_vfp(struct text *t)
{
    add(t, "<feature name=\"org.gnu.gdb.arm.vfp\">\n");
    for (unsigned i = 0; i < 32; i++)
        add(t, "<reg name=\"d%u\" bitsize=\"64\" type=\"ieee_double\"/>\n", i);
    add(t, "<reg name=\"fpscr\" bitsize=\"32\" type=\"int\" group=\"float\"/>\n</feature>\n");
}

/* Every Q register is the pair of D registers that it overlaps. */
static void add_neon(struct text *t)
{
    static const struct {
        const char *name, *type;
        unsigned count;
    } view[] = {{"u8", "uint8", 16},  {"u16", "uint16", 8},      {"u32", "uint32", 4},
                {"u64", "uint64", 2}, {"f32", "ieee_single", 4}, {"f64", "ieee_double", 2}};

    add(t, "<feature name=\"org.gnu.gdb.arm.neon\">\n");
    for (unsigned i = 0; i < ARRAY_SIZE(view); i++)
        add(t, "<vector id=\"v%s\" type=\"%s\" count=\"%u\"/>\n", view[i].name, view[i].type,
            view[i].count);
    add(t, "<union id=\"neon_q\">\n");
    for (unsigned i = 0; i < ARRAY_SIZE(view); i++)
        add(t, "<field name=\"%s\" type=\"v%s\"/>\n", view[i].name, view[i].name);
    add(t, "</union>\n");
    for (unsigned i = 0; i < 16; i++)
        add(t, "<reg name=\"q%u\" bitsize=\"128\" type=\"neon_q\"/>\n", i);
    add(t, "</feature>\n");
}

static void add_system(struct text *t)
{
    add(t, "<feature name=\"org.umbra.arm.system\">\n");
    for (unsigned i = 0; i < gdb_sysregs_count; i++)
        add(t, "<reg name=\"%s\" bitsize=\"%u\" type=\"uint%u\" group=\"system\"/>\n",
            gdb_sysregs[i].name, gdb_sysregs[i].bits, gdb_sysregs[i].bits);
    add(t, "</feature>\n");
}

const char *gdb_regs_xml(void)
{
    static struct text t; /* made once, by the stub's thread */

    if (t.len)
        return t.data;
    add(&t, "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n"
            "<target version=\"1.0\">\n<architecture>armv7</architecture>\n");
    add_core(&t);
    add_vfp(&t);
    add_neon(&t);
    add_system(&t);
    add(&t, "</target>\n");
    return t.data;
}
