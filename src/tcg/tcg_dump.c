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

struct sums {
    size_t hot, cold;
    unsigned blocks, dead, bytes, links, linked;
};

static void add_segment(struct sums *n, const struct code_segment *s)
{
    n->hot += s->hot.used - s->hot.begin;
    n->cold += s->cold.used - s->cold.begin;
    n->blocks += s->nblocks;
    for (uint32_t i = 0; i < s->nblocks; i++) {
        const struct tb *tb = s->by_code[i];

        n->dead += tb->dead;
        n->bytes += tb->guest_bytes;
        for (unsigned l = 0; !tb->dead && l < tb->nlinks; l++) {
            n->links++;
            n->linked += tb_links(tb)[l].to != 0;
        }
    }
}

void tcg_dump_stopped(struct vcpu *v, FILE *f)
{
    const struct tcg *t = v->tcg;
    const struct stats *s = &stats_vcpu[v->index];
    struct sums n = {0};

    for (unsigned i = 0; i < t->nsegments; i++)
        add_segment(&n, &t->segment[i]);
    fprintf(f, "CPU %u: code cache %zu of %zu KiB, %u blocks (%u invalidated) of at most %u\n",
            v->index, (n.hot + n.cold) >> 10, t->cache_bytes >> 10, n.blocks, n.dead,
            t->max_blocks);
    fprintf(f, "  %u bytes of guest code; %zu KiB out of line; %u of %u direct exits linked\n",
            n.bytes, n.cold >> 10, n.linked, n.links);
    fprintf(f,
            "  since the start: %" PRIu64 " translations in %" PRIu64 " ms, %" PRIu64
            " lookups, %" PRIu64 " blocks evicted in %" PRIu64 " segments\n",
            counted(&s->translations), counted(&s->translate_ns) / 1000000, counted(&s->lookups),
            counted(&s->blocks_evicted), counted(&s->segments_evicted));
    if (log_on(LOG_TB_STATS))
        tcg_profile_dump_stopped(v, MONITOR_TOP, f);
    else
        fprintf(f, "  -d tb-stats counts how often each block runs\n");
}
