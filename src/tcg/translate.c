/* SPDX-License-Identifier: MIT */
/*
 * One translation: guest code at the vCPU's PC to IR to host code in its cache. Reading path:
 * tcg_translate() > arm_translate_block() (arm/) > ir_optimize() (ir/) > x64_compile() (x64/).
 *
 * The page is announced to mmu_code_page_translate() before its bytes are read, so that a write
 * after that is caught; a write before it is seen.
 */
#include "base/inject.h"
#include "base/log.h"
#include "base/stats.h"
#include "mmu/mmu.h"
#include "tcg/tcg_internal.h"
#include "vcpu/arm.h"
#include "vm.h"

#include <errno.h>
#include <string.h>

#define MAX_INSNS 64

/* struct tcg_source.next_page: the page after the one that holds the block's PC. */
static const uint8_t *fetch_next_page(struct vcpu *v)
{
    gva_t va = (uint32_t)((v->r[15] & GUEST_PAGE_MASK) + GUEST_PAGE_SIZE);
    struct mmu_fetch f;

    if (!mmu_fetch_page(v, va, &f)) {
        v->exc = ARM_EXC_PABT;
        v->exc_fsr = f.fsr;
        v->exc_far = f.far;
        return NULL;
    }
    mmu_code_page_translate(v, f.gpa);
    v->tcg->next_page_gpa = f.gpa & GUEST_PAGE_MASK;
    return f.page;
}

/* struct tcg_source.breakpoint */
static bool at_breakpoint(const struct tcg_source *src, gva_t pc)
{
    return debug_breaks(&src->vcpu->vm->debug, pc, src->pc_relative);
}

/* Front end and passes; false when the one instruction crosses into a page that cannot be fetched.
 */
static bool make_ir(struct vcpu *v, gpa_t gpa, const uint8_t *page, unsigned max_insns,
                    bool pc_relative, bool region, struct tcg_source *src)
{
    struct ir_block *b = v->tcg->ir;
    struct region_path path;

    *src = (struct tcg_source){.pc = v->r[15],
                               .exec_flags = v->exec_flags,
                               .page = page,
                               .max_insns = max_insns,
                               .pc_relative = pc_relative,
                               .features = arm_cpu_features(v),
                               .next_page = fetch_next_page,
                               .vcpu = v};
    if (v->vm->debug.nbreak && !v->tcg->stepping)
        src->breakpoint = at_breakpoint;
    if (region)
        region_begin(v, src, gpa, &path);
    v->tcg->next_page_gpa = NO_PAGE;
    ir_block_reset(b, src->pc, src->exec_flags, v->exec_flags & EXEC_PRIV);
    arm_translate_block(src, b);
    src->loops = region && path.loops;
    return v->exc == ARM_EXC_NONE;
}

static uint32_t frame_of(gpa_t gpa)
{
    return (uint32_t)(gpa >> GUEST_PAGE_BITS);
}

static struct tb *new_block(struct vcpu *v, const struct tcg_source *src, gpa_t gpa)
{
    bool profiled = log_on(LOG_TB_STATS);
    struct tb *tb = code_cache_alloc(v->tcg, sizeof(*tb) + (profiled ? sizeof(uint64_t) : 0));

    if (!tb)
        return NULL;
    if (profiled)
        tb = (struct tb *)((uint64_t *)tb + 1);
    tb->profiled = profiled;
    tb->pc = src->pc;
    tb->exec_flags = src->exec_flags;
    tb->page[0] = frame_of(gpa);
    tb->loops = src->loops;
    tb->indirect = src->indirect;
    tb->guarded = src->nguarded != 0;
    for (unsigned i = 1; i < TCG_PAGES; i++)
        tb->page[i] = i <= src->nguarded ? frame_of(src->guarded[i - 1]) : NO_FRAME;
    if (src->crosses_page)
        tb->page[1] = frame_of(v->tcg->next_page_gpa);
    tb->pc_relative = src->pc_relative;
    tb->guest_bytes = (uint16_t)src->guest_bytes;
    tb->n_insns = (uint8_t)src->n_insns;
    tb->region = src->follow;
    if (!tb->region && tb->page[1] == NO_FRAME)
        region_count(v, tb);
    return tb;
}

static unsigned count_accesses(const struct x64_result *r)
{
    unsigned n = 0;

    for (unsigned i = 0; i < r->nsites; i++)
        n += r->site[i].kind != SITE_CALL;
    return n;
}

static uint32_t place_in_cache(const struct tcg *t, const struct tb *tb, uint32_t off)
{
    return (uint32_t)(tb_place(t, tb, off) - t->rx);
}

static void keep_links(const struct tcg *t, struct tb *tb, const struct x64_result *r)
{
    for (unsigned i = 0; i < r->nslots; i++) {
        const struct tcg_jump_slot *s = &r->slot[i];

        tb_links(tb)[i] =
            (struct tb_link){.patch_off = place_in_cache(t, tb, s->patch_off),
                             .unlinked_off = place_in_cache(t, tb, s->unlinked_off),
                             .guard_off = s->guard_off ? place_in_cache(t, tb, s->guard_off) : 0};
    }
}

static void keep_sites(struct tb *tb, const struct x64_result *r)
{
    struct tb_access *a = tb_accesses(tb);
    struct tb_call *c = tb_calls(tb);

    for (unsigned i = 0; i < r->nsites; i++) {
        const struct tcg_site *s = &r->site[i];

        if (s->kind == SITE_CALL)
            *c++ =
                (struct tb_call){.pc = s->pc, .host_off = (uint16_t)s->host_off, .extra = s->extra};
        else
            *a++ = (struct tb_access){.pc = s->pc,
                                      .host_off = (uint16_t)s->host_off,
                                      .slow_off = (uint16_t)s->slow_off,
                                      .extra = s->extra,
                                      .memop = s->memop,
                                      .store = s->kind == SITE_STORE};
    }
}

/* Right behind the block. */
static bool keep_tables(struct tcg *t, struct tb *tb, const struct x64_result *r)
{
    unsigned naccesses = count_accesses(r), ncalls = r->nsites - naccesses;

    if (!code_cache_alloc(t, r->nslots * sizeof(struct tb_link) +
                                 naccesses * sizeof(struct tb_access) +
                                 ncalls * sizeof(struct tb_call)))
        return false;
    tb->nlinks = (uint8_t)r->nslots;
    tb->naccesses = (uint16_t)naccesses;
    tb->ncalls = (uint16_t)ncalls;
    keep_links(t, tb, r);
    keep_sites(tb, r);
    return true;
}

/* Host code and tables for the IR; -ENOSPC: evict and come back; -E2BIG: fewer instructions. */
static int make_code(struct vcpu *v, struct tb *tb)
{
    struct tcg *t = v->tcg;
    struct code_buffer buf = code_cache_room(t);
    struct x64_options o = {
        .stubs = &t->stubs,
        .soft_mmu = !(tb->exec_flags & EXEC_WINDOW),
        .soft_ldrt = mmu_is_tiered(v),
        .settled = &t->settled,
        .gpa = tb_gpa(tb),
        .tb = tb,
        .runs = tb_runs(tb),
        .counter_off =
            tb->counts ? (uint32_t)(offsetof(struct vcpu, hot) + 4 * (size_t)tb->counter) : 0,
        .link_page_bits = INJECT(LINK_ACROSS_PAGES) ? 32 : GUEST_PAGE_BITS};
    struct x64_result r = {.site = t->sites};
    int err = x64_compile(t->ir, &o, &buf, &r);

    if (err)
        return err;
    if (r.host_bytes > TB_HOST_BYTES)
        return -E2BIG;
    tb->code = buf.rx;
    tb->host_bytes = (uint16_t)r.host_bytes;
    tb->straight_bytes = (uint16_t)r.straight_bytes;
    tb->cold = (uint32_t)(buf.cold_rx - t->rx);
    tb->unpolled_off = (uint8_t)r.unpolled_off;
    if (!keep_tables(t, tb, &r) || !tb_register(t, tb))
        return -ENOSPC;
    code_cache_take(t, r.straight_bytes, r.host_bytes - r.straight_bytes);
    if (t->segment[t->current].evictions)
        x64_serialise();
    return 0;
}

static int try_translate(struct vcpu *v, gpa_t gpa, const uint8_t *page, unsigned max_insns,
                         bool pc_relative, bool region, struct tb **out)
{
    struct tcg_source src;
    struct tb *tb;
    int err;

    if (!make_ir(v, gpa, page, max_insns, pc_relative, region, &src))
        return -EFAULT;
    if (v->tcg->ir->full)
        return -E2BIG;
    if (region && !src.n_followed && v->tcg->threshold != 1)
        return -ECANCELED; /* the block that is there is as good */
    tb = new_block(v, &src, gpa);
    if (!tb)
        return -ENOSPC;
    tcg_log_guest(tb, page, src.guest_bytes);
    tcg_log_ir(tb, v->tcg->ir, "IR");
    ir_optimize(v->tcg->ir);
    tcg_log_ir(tb, v->tcg->ir, "IR after passes");
    err = make_code(v, tb);
    if (err)
        return err;
    tcg_log_host(v->tcg, tb);
    perf_map_add(v, tb);
    STAT_INC(&stats_vcpu[v->index], translations);
    STAT_ADD(&stats_vcpu[v->index], translated_insns, tb->n_insns);
    STAT_ADD(&stats_vcpu[v->index], host_code_bytes, tb->host_bytes);
    if (region) {
        STAT_INC(&stats_vcpu[v->index], regions);
        STAT_ADD(&stats_vcpu[v->index], region_insns, tb->n_insns);
    }
    *out = tb;
    return 0;
}

/* One attempt after another with less, until the block fits. NULL: the fetch faults, or no region.
 */
static struct tb *translate_to_fit(struct vcpu *v, gpa_t gpa, const uint8_t *page, bool pc_relative,
                                   bool region)
{
    unsigned max_insns = v->tcg->stepping ? 1 : region ? REGION_INSNS : MAX_INSNS;
    struct tb *tb = NULL;
    bool fresh = false;

    for (;;) {
        int err = try_translate(v, gpa, page, max_insns, pc_relative, region, &tb);

        v->tcg->declined = err == -ECANCELED;
        if (!err || err == -EFAULT || err == -ECANCELED)
            return tb;
        if (err == -ENOSPC && !fresh) {
            tb_evict_oldest(v);
            mmu_code_page_translate(v, gpa); /* it may have been this page's last block */
            fresh = true;
        } else if (max_insns > 1) {
            max_insns /= 2;
        } else {
            vm_bug("one instruction at %#lx does not fit: %d", (unsigned long)v->r[15], err);
        }
    }
}

static struct tb *translate(struct vcpu *v, gpa_t gpa, const uint8_t *page, uint32_t epoch,
                            bool pc_relative, bool region)
{
    uint64_t start = stats_now_ns();
    struct tb *tb;

    mmu_code_page_translate(v, gpa);
    if (mmu_epoch(v) != epoch && !INJECT(SKIP_EPOCH_CHECK))
        return NULL;
    tb = translate_to_fit(v, gpa, page, pc_relative, region);
    INJECT_MEET(TRANSLATED);
    if (tb && mmu_epoch(v) != epoch && !INJECT(SKIP_EPOCH_CHECK)) {
        tb_invalidate(v, tb);
        tb = NULL;
    }
    start = stats_now_ns() - start;
    mmu_not_run(v, start);
    STAT_ADD(&stats_vcpu[v->index], translate_ns, start);
    if (region)
        STAT_ADD(&stats_vcpu[v->index], region_ns, start);
    return tb;
}

struct tb *tcg_translate(struct vcpu *v, gpa_t gpa, const uint8_t *page, uint32_t epoch,
                         bool pc_relative)
{
    return translate(v, gpa, page, epoch, pc_relative,
                     v->tcg->threshold == 1 && region_may_begin(v));
}

struct tb *tcg_translate_region(struct vcpu *v, gpa_t gpa, const uint8_t *page, uint32_t epoch,
                                bool pc_relative)
{
    return translate(v, gpa, page, epoch, pc_relative, true);
}
