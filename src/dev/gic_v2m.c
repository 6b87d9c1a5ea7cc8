/* SPDX-License-Identifier: MIT */
/*
 * The v2m frame: message-signalled interrupts for a GICv2. A write of an interrupt ID to
 * MSI_SETSPI_NS pulses that SPI. Also the controller's device-tree node, which has the frame as
 * its child. No state of its own. Server Base System Architecture, appendix on GICv2m.
 */
#include "gic_internal.h"

#include "base/log.h"
#include "dev/dt.h"
#include "tcg/tcg.h"

enum { MSI_TYPER = 0x008, MSI_SETSPI_NS = 0x040, MSI_IIDR = 0xfcc };

static uint64_t v2m_read(void *dev, struct vcpu *v, uint64_t off, unsigned size)
{
    const struct gic *g = dev;

    (void)v;
    (void)size;
    switch (off) {
    case MSI_TYPER: return (uint64_t)(32 + g->v2m_first) << 16 | g->v2m_count;
    case MSI_IIDR: return 0x0000043b;
    default: return 0;
    }
}

/* False: an ID that is not the frame's. */
static bool set_spi(struct gic *g, unsigned id)
{
    unsigned first = 32 + g->v2m_first;

    if (id < first || id >= first + g->v2m_count) {
        return false;
    }
    struct irq_line line = gic_spi(g, id - 32);
    irq_pulse(&line);
    return true;
}

bool gic_v2m_message(struct gic *g, uint64_t address, uint32_t data)
{
    return address == g->v2m_base + MSI_SETSPI_NS && set_spi(g, data & 0x3ff);
}

static void v2m_write(void *dev, struct vcpu *v, uint64_t off, uint64_t value, unsigned size)
{
    struct gic *g = dev;

    (void)v;
    (void)size;
    if ((off != MSI_SETSPI_NS || !set_spi(g, (unsigned)(value & 0x3ff))) &&
        log_on(LOG_GUEST_ERROR)) {
        log_printf("gic-v2m: write of 0x%x at 0x%x ignored\n", (unsigned)value, (unsigned)off);
    }
}

const struct bus_ops gic_v2m_ops = {
    .read = v2m_read, .write = v2m_write, .min_size = 4, .max_size = 4};

int gic_v2m_attach(struct gic *g, struct bus *bus, gpa_t base, unsigned first, unsigned count)
{
    VM_CHECK(count > 0 && 32 + first + count <= g->nirqs);
    g->v2m_base = base;
    g->v2m_first = first;
    g->v2m_count = count;
    return bus_add(bus, &(struct bus_region){.name = "gic-v2m", .base = base, .size = 0x1000,
                                             .ops = &gic_v2m_ops, .dev = g});
}

void gic_fdt(struct dt *d, gpa_t dist, gpa_t cpu, gpa_t v2m)
{
    dt_begin(d, "intc@%llx", (unsigned long long)dist);
    dt_string(d, "compatible", "arm,cortex-a15-gic");
    dt_flag(d, "interrupt-controller");
    DT_CELLS(d, "#interrupt-cells", 3);
    DT_CELLS(d, "#address-cells", 2);
    DT_CELLS(d, "#size-cells", 2);
    dt_flag(d, "ranges");
    DT_CELLS(d, "reg", (uint32_t)(dist >> 32), (uint32_t)dist, 0, 0x10000, (uint32_t)(cpu >> 32),
             (uint32_t)cpu, 0, 0x10000);
    DT_CELLS(d, "phandle", DT_GIC);
    if (v2m != 0) {
        dt_begin(d, "v2m@%llx", (unsigned long long)v2m);
        dt_string(d, "compatible", "arm,gic-v2m-frame");
        dt_flag(d, "msi-controller");
        dt_reg(d, v2m, 0x1000);
        DT_CELLS(d, "phandle", DT_V2M);
        dt_end(d);
    }
    dt_end(d);
}
