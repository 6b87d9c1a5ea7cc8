/* SPDX-License-Identifier: MIT */
/*
 * Address translation by the guest's current registers: chooses the format, and holds what both
 * formats share: descriptor reads, rights, fault status encoding, the MMU-off case. Pure: caches
 * nothing, reads guest tables through the flat view. Owning vCPU thread (it reads the vCPU's
 * registers).
 *
 * Arm ARM DDI0406C B3.2 (MMU off), B3.5-B3.7 (walks, access control), B3.13 (fault status).
 */
#include "mmu_internal.h"

#define LPAE_FSR         (1u << 9)
#define FSR_WNR          (1u << 11)

#define ATTR64_DEVICE_SO UINT64_C(0) /* PAR.ATTR: Strongly-ordered */
#define PAR64_SH_OUTER   (UINT64_C(2) << 7)
#define PAR32_INNER_SO   (UINT64_C(1) << 4)

/* B3-1415: short-descriptor FS[4:0] */
static unsigned status_short(enum walk_fault f, unsigned level)
{
    switch (f) {
    case WALK_TRANSLATION:
        return level == 1 ? 0x05 : 0x07;
    case WALK_ACCESS_FLAG:
        return level == 1 ? 0x03 : 0x06;
    case WALK_DOMAIN:
        return level == 1 ? 0x09 : 0x0b;
    case WALK_PERMISSION:
        return level == 1 ? 0x0d : 0x0f;
    case WALK_EXTERNAL:
        return level == 1 ? 0x0c : 0x0e;
    case FAULT_EXTERNAL:
        return 0x08;
    case FAULT_ALIGNMENT:
        break;
    }
    return 0x01;
}

/* B3-1416: long-descriptor STATUS[5:0] */
static unsigned status_long(enum walk_fault f, unsigned level)
{
    switch (f) {
    case WALK_TRANSLATION:
        return 0x04 | level;
    case WALK_ACCESS_FLAG:
        return 0x08 | level;
    case WALK_DOMAIN: /* no domains in this format */
    case WALK_PERMISSION:
        return 0x0c | level;
    case WALK_EXTERNAL:
        return 0x14 | level;
    case FAULT_EXTERNAL:
        return 0x10;
    case FAULT_ALIGNMENT:
        break;
    }
    return 0x21;
}

uint32_t mmu_fault_status(const struct arm_mmu_regs *r, enum walk_fault f, unsigned level,
                          unsigned domain, enum mmu_access access)
{
    uint32_t wnr = access == MMU_WRITE ? FSR_WNR : 0;
    unsigned fs;

    if (r->ttbcr & TTBCR_EAE)
        return LPAE_FSR | status_long(f, level) | wnr;
    fs = status_short(f, level);
    if (access == MMU_EXEC)
        domain = 0; /* IFSR has no domain field */
    return (fs & 0xf) | (fs & 0x10) << 6 | domain << 4 | wnr;
}

bool walk_fail(struct walk *w, enum walk_fault f, unsigned level)
{
    w->out->fsr = mmu_fault_status(w->r, f, level, w->out->domain, w->access);
    w->out->far = w->va;
    return false;
}

bool walk_read32(const struct walk *w, gpa_t gpa, uint32_t *desc)
{
    const uint32_t *p = ram_read_ptr(w->ram, gpa, 4);

    if (!p)
        return false;
    *desc = __atomic_load_n(p, __ATOMIC_RELAXED);
    if (w->r->sctlr & SCTLR_EE)
        *desc = __builtin_bswap32(*desc);
    return true;
}

bool walk_read64(const struct walk *w, gpa_t gpa, uint64_t *desc)
{
    const uint64_t *p = ram_read_ptr(w->ram, gpa, 8);

    if (!p)
        return false;
    *desc = __atomic_load_n(p, __ATOMIC_RELAXED);
    if (w->r->sctlr & SCTLR_EE)
        *desc = __builtin_bswap64(*desc);
    return true;
}

/*
 * Rights by AP[2:1] (B3.7.1). `ap0_restricts`: the short format without access flag where AP[0] =
 * 0, which takes rights away from user mode (AP[1] = 1: user may only read) or from everybody.
 */
uint8_t walk_rights(const struct walk *w, unsigned ap21, bool ap0_restricts, bool xn, bool pxn)
{
    bool read_only = ap21 & 2, user = ap21 & 1;
    bool priv_read = true, priv_write = !read_only, user_write = user && !read_only;
    bool read, write;
    uint8_t rights;

    if (ap0_restricts) {
        user_write = false;
        if (!user && !read_only) /* AP = 000 */
            priv_read = priv_write = false;
        if (!user && read_only) /* AP = 100, reserved */
            priv_read = false;
    }
    read = w->privileged ? priv_read : user;
    write = w->privileged ? priv_write : user_write;
    if ((w->r->sctlr & SCTLR_WXN) && write)
        xn = true;
    if (w->privileged && (pxn || ((w->r->sctlr & SCTLR_UWXN) && user_write)))
        xn = true;
    rights = (uint8_t)(read << MMU_READ | write << MMU_WRITE);
    if (read && !xn)
        rights |= 1u << MMU_EXEC;
    return rights;
}

/* B3.2.1: identity, data Strongly-ordered, instructions Normal. */
static bool walk_off(struct walk *w)
{
    struct mmu_translation *t = w->out;

    t->gpa = w->va;
    t->page_size = UINT64_C(1) << 32;
    t->prot = 1u << MMU_READ | 1u << MMU_WRITE | 1u << MMU_EXEC;
    t->global = true;
    t->device = true;
    t->par_attr = (w->r->ttbcr & TTBCR_EAE) ? ATTR64_DEVICE_SO | PAR64_SH_OUTER : PAR32_INNER_SO;
    return true;
}

bool mmu_translate(struct vcpu *v, gva_t gva, enum mmu_access access, bool privileged,
                   struct mmu_translation *out)
{
    struct walk w = {.r = arm_mmu_regs(v),
                     .ram = &v->vm->ram,
                     .va = (uint32_t)gva,
                     .access = access,
                     .privileged = privileged,
                     .out = out};

    *out = (struct mmu_translation){0};
    if (!(w.r->sctlr & SCTLR_M))
        return walk_off(&w);
    if (w.r->ttbcr & TTBCR_EAE)
        return walk_long(&w);
    return walk_short(&w);
}
