/* SPDX-License-Identifier: MIT */
/*
 * Counters of each vCPU, from one table: names, units and meaning. A counter is written by its
 * vCPU's thread only (plain add on a relaxed atomic), read by anybody. Text and JSON come from
 * the same table.
 */
#pragma once

#include "base/types.h"
#include <stdatomic.h>
#include <stdio.h>

/* X(name, description) */
#define STATS(X) \
    X(translations, "blocks translated") \
    X(translated_insns, "guest instructions translated") \
    X(translate_ns, "time spent translating, ns") \
    X(regions, "hot regions translated (tier 2)") \
    X(region_insns, "guest instructions translated into regions") \
    X(region_ns, "time of translating spent on regions, ns") \
    X(host_code_bytes, "host code emitted, bytes") \
    X(cache_flushes, "code cache flushes") \
    X(segments_evicted, "segments of the code cache evicted") \
    X(blocks_evicted, "blocks in them") \
    X(blocks_invalidated, "blocks invalidated by writes to their page") \
    X(lookups, "run-loop block lookups (jump cache misses)") \
    X(links, "direct links made") \
    X(exceptions, "guest exceptions taken") \
    X(interrupts, "guest interrupts taken") \
    X(mmio_exits, "MMIO accesses") \
    X(soft_misses, "soft TLB misses") \
    X(spt_fills, "SPT fills") \
    X(spt_fill_pages, "pages mapped by SPT fills") \
    X(spt_global_fills, "SPT fills of global pages") \
    X(spt_prefills, "SPT fills replayed for an address space that got a window again") \
    X(spt_drops, "SPT pages dropped") \
    X(spt_retires, "SPT windows retired or cleared") \
    X(spt_evictions, "SPT windows evicted for the VMA budget") \
    X(sites_patched, "access sites sent to the soft TLB") \
    X(sites_unpatched, "access sites returned to their window") \
    X(sites_settled, "access sites that stay on the soft TLB") \
    X(spt_promotions, "address spaces whose user code moved to windows") \
    X(spt_demotions, "address spaces whose user code moved back to the soft TLB") \
    X(spt_faults, "host faults taken in generated code") \
    X(fill_stall_max_ns, "longest fill, ns") \
    X(tlbi_local, "TLB maintenance operations, local") \
    X(tlbi_broadcast, "TLB maintenance operations, inner shareable") \
    X(shootdowns_sent, "requests sent to other vCPUs") \
    X(shootdowns_served, "requests served for other vCPUs") \
    X(shootdown_wait_ns, "time waited at DSB for other vCPUs, ns") \
    X(context_switches, "changes of translation context") \
    X(code_page_dirtied, "writes caught on pages with translated code") \
    X(icache_ops, "guest instruction-cache maintenance operations") \
    X(wfi_sleeps, "sleeps in WFI or WFE") \
    X(excl_fused, "loops of exclusives done as one atomic operation")

struct stats {
#define X(name, text) _Atomic uint64_t name;
    STATS(X)
#undef X
};
#define STAT_ADD(s, field, n)                                                            \
    atomic_store_explicit(&(s)->field,                                                   \
                          atomic_load_explicit(&(s)->field, memory_order_relaxed) + (n), \
                          memory_order_relaxed)
#define STAT_INC(s, field) STAT_ADD(s, field, 1)
#define STAT_MAX(s, field, val) \
    do { if ((val) > atomic_load_explicit(&(s)->field, memory_order_relaxed)) \
        atomic_store_explicit(&(s)->field, (val), memory_order_relaxed); } while (0)

#define STATS_VCPUS 8 /* as many as VCPU_MAX */
/* The counters of a vCPU; index below VCPU_MAX. */
extern struct stats stats_vcpu[STATS_VCPUS];
void stats_print_text(FILE *f, unsigned nvcpus);
/* -errno; to a temporary file that is renamed then, but to a device or pipe directly. `more`,
   unless NULL, adds members to the object, each after a comma. */
int stats_write_json(const char *path, unsigned nvcpus,
                     void (*more)(const void *opaque, FILE *f), const void *opaque) MUST_CHECK;
/* The counters in the text format of Prometheus, version 0.0.4. */
void stats_print_prometheus(FILE *f, unsigned nvcpus);
uint64_t stats_now_ns(void);
