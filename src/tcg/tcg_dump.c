/* SPDX-License-Identifier: MIT */
/*
 * A vCPU's code cache as text, for the monitor. Called while the vCPU is parked (suffix _stopped).
 */
#include "base/log.h"
#include "base/stats.h"
#include "tcg/profile.h"
#include "tcg/tcg_internal.h"
#include "vcpu/vcpu.h"

#include <inttypes.h>

#define MONITOR_TOP 15

static uint64_t counted(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void tcg_dump_stopped(struct vcpu *v, FILE *f)
{
    const struct tcg *t = v->tcg;
    const struct stats *s = &stats_vcpu[v->index];
    unsigned linked = 0, links = 0, dead = 0, bytes = 0;

    for (uint32_t i = 0; i < t->nblocks; i++) {
        const struct tb *tb = t->by_code[i];
        dead += tb->dead;
        bytes += tb->guest_bytes;
        for (unsigned l = 0; !tb->dead && l < tb->nlinks; l++) {
            links++;
            linked += tb->link[l].to != NULL;
        }
    }
    fprintf(f, "CPU %u: code cache %zu of %zu KiB, %u blocks (%u invalidated) of at most %u\n",
            v->index, t->used >> 10, t->cache_bytes >> 10, t->nblocks, dead, t->max_blocks);
    fprintf(f, "  %u bytes of guest code; %u of %u direct exits linked\n", bytes, linked, links);
    fprintf(f, "  since the start: %" PRIu64 " translations in %" PRIu64 " ms, %" PRIu64
               " lookups, %" PRIu64 " times emptied\n",
            counted(&s->translations), counted(&s->translate_ns) / 1000000, counted(&s->lookups),
            counted(&s->cache_flushes));
    if (log_on(LOG_TB_STATS))
        tcg_profile_dump_stopped(v, MONITOR_TOP, f);
    else
        fprintf(f, "  -d tb-stats counts how often each block runs\n");
}
