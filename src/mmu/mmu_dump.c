/* SPDX-License-Identifier: MIT */
/*
 * Cached translations of a vCPU as text, for the monitor: soft TLB and shadow page tables. Called
 * while the vCPU is parked (suffix _stopped), so its own state stands still; windows are read
 * through their atomic fields, as other vCPUs read them.
 */
#include "spt.h"

#include <inttypes.h>

static const struct context *context_of(const struct mmu_vcpu *m, uint32_t id)
{
    for (unsigned i = 0; i < CONTEXT_COUNT; i++) {
        if (m->ctx[i].used && m->ctx[i].id == id && m->ctx[i].epoch == m->epoch) {
            return &m->ctx[i];
        }
    }
    return NULL;
}

static bool of_class(const struct mmu_vcpu *m, uint32_t id)
{
    for (unsigned i = 0; i < m->classes; i++) {
        if (m->class[i].id == id && m->class[i].numbering == m->numbering) {
            return true;
        }
    }
    return false;
}

/* Tags of one entry are made for the same page, or are invalid. */
static uint64_t valid_tag(const struct softtlb_entry *e)
{
    for (unsigned a = 0; a < 3; a++) {
        if (e->tag[a] != SOFT_INVALID) {
            return e->tag[a];
        }
    }
    return SOFT_INVALID;
}

static void dump_entry(struct vcpu *v, const struct softtlb_entry *e, unsigned privileged, FILE *f)
{
    uint64_t tag = valid_tag(e);

    if (tag == SOFT_INVALID) {
        return;
    }
    gva_t gva = (uint32_t)tag & GUEST_PAGE_MASK;
    bool mmio = tag & SOFT_MMIO;
    const struct context *c = context_of(v->mmu, (uint32_t)(tag >> 32));
    uint64_t to = e->addend + gva;
    gpa_t gpa = mmio && !(tag & SOFT_ROM) ? to : rom_or_ram_gpa(v->vm, (uint8_t *)(uintptr_t)to);

    char asid[16] = "global";

    if (c != NULL) {
        snprintf(asid, sizeof(asid), "asid %3u", c->key.asid);
    } else if (!privileged || !of_class(v->mmu, (uint32_t)(tag >> 32))) {
        return; /* of a context that was flushed: never matches again */
    }
    fprintf(f, "  %08" PRIx64 " %010" PRIx64 " %c%c%c %s %s%s%s\n", gva, gpa,
            e->tag[MMU_READ] != SOFT_INVALID ? 'r' : '-',
            e->tag[MMU_WRITE] != SOFT_INVALID ? 'w' : '-',
            e->tag[MMU_EXEC] != SOFT_INVALID ? 'x' : '-', privileged ? "priv" : "user", asid,
            tag & SOFT_DEVICE ? " device" : "", mmio ? " not RAM" : "");
}

void mmu_dump_tlb_stopped(struct vcpu *v, FILE *f)
{
    fprintf(f, "CPU %u: virtual  physical   access\n", v->index);
    for (unsigned p = 0; p < 2; p++) {
        for (unsigned i = 0; i < SOFTTLB_SIZE; i++) {
            dump_entry(v, &v->softtlb[p][i], p, f);
        }
    }
}

static void dump_window(const struct spt_vcpu *s, unsigned i, FILE *f)
{
    const struct window *w = &s->win[i];
    uint32_t tag = atomic_load(&s->tag[i]);

    if (!(tag & WINDOW_USED)) {
        return;
    }
    fprintf(f, "  window %3u at %012" PRIxPTR ": %s", i, w->base,
            tag & WINDOW_USER ? "user" : "privileged");
    if (tag & WINDOW_USER) {
        fprintf(f, " asid %u", tag & WINDOW_ASID);
    }
    fprintf(f, ", %u pages mapped%s%s\n", atomic_load(&w->mapped),
            atomic_load(&w->current) ? ", current" : "",
            atomic_load(&w->stale) ? ", to be revalidated" : "");
}

void mmu_dump_spt_stopped(struct vcpu *v, FILE *f)
{
    const struct spt_vcpu *s = v->mmu->spt;

    if (s == NULL) {
        fputs("no shadow page tables (-mmu soft)\n", f);
        return;
    }
    fprintf(f, "CPU %u: %u of %u windows were used\n", v->index, atomic_load(&s->nused) - 1,
            s->nwindows - 1);
    for (unsigned i = 1; i < atomic_load(&s->nused); i++) {
        dump_window(s, i, f);
    }
    fprintf(f, "host mappings of all windows: %" PRIu64 " of %" PRIu64 "\n",
            atomic_load(&v->vm->mmu->spt->vmas), v->vm->mmu->spt->budget);
}
