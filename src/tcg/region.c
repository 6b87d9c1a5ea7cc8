/* SPDX-License-Identifier: MIT */
/*
 * Tier 2: regions. A hot block is translated again as a region, which goes on behind branches, into
 * the way that was taken more often, as far as is known; other ways become side exits. A region has
 * code of a few pages, and of all but the first only behind a guard that compares where it is
 * mapped: so it depends on its first page as a block does (mapping, writes), and on writes to the
 * others. A path that comes back to its beginning goes round until the region is long enough.
 *
 * What is hot: when a vCPU stops at a poll for an interrupt (the guest's timer, most of all), it
 * goes on for some more blocks, each of which stops at its poll, too, and has a sample. So samples
 * tell which way branches go, indirect ones as well, and cost next to nothing. With
 * -tier2-threshold N blocks count their entries down in a word of the vCPU (vcpu.hot) instead,
 * which slows programs with much code by a tenth to a third.
 *
 * Owning vCPU thread.
 */
#include "base/log.h"
#include "base/stats.h"
#include "mmu/mmu.h"
#include "tcg/tcg_internal.h"
#include "vcpu/vcpu.h"
#include "vm.h"

#include <string.h>
#include <time.h>

#define UNROLL_INSNS    48        /* a loop is repeated up to about this length */
#define COUNTED_OUT     INT32_MAX /* of a block that has been made a region */
#define FOLLOWED        32        /* blocks that are sampled one after the other */
#define SAMPLES         4         /* make a block hot */
#define FOLLOW_EVERY_NS 3000000   /* of CPU time, so that a busy host makes no difference */
#define LIKELY_LEAD     2         /* samples by which the target of an indirect branch must lead */
#define NO_TARGET       UINT64_MAX

/* IT state in the execution flags would have to be left at each exit; -d exec shows every block. */
bool region_may_begin(const struct vcpu *v)
{
    return v->tcg->threshold && !v->tcg->stepping && !log_on(LOG_EXEC) &&
           !(v->exec_flags & (EXEC_IT_MASK | EXEC_FPOFF));
}

void region_count(struct vcpu *v, struct tb *tb)
{
    if (!region_may_begin(v) || v->tcg->threshold == 1 || v->tcg->threshold == VM_TIER2_SAMPLED)
        return;
    tb->counts = true;
    tb->counter = (uint16_t)(v->tcg->next_counter++ % HOT_COUNTERS);
    v->hot[tb->counter] = v->tcg->threshold;
}

static bool same_page(gva_t a, gva_t b)
{
    return ((a ^ b) & GUEST_PAGE_MASK) == 0;
}

static bool has_physical_page(const struct region_path *path, gpa_t page)
{
    for (unsigned i = 0; i < path->npages; i++)
        if (path->page[i].gpa == page)
            return true;
    return false;
}

/*
 * The page of pc, if the region may have code of it; else NULL. When it has none yet, it is the one
 * behind the last. Its place among virtual addresses is checked where the region enters it, which
 * PC-relative code cannot do for an address that it does not know.
 */
static struct region_page *page_of(const struct tcg_source *src, gva_t pc)
{
    struct region_path *path = src->profile;
    struct region_page *fresh = &path->page[path->npages];
    struct mmu_fetch f;

    for (struct region_page *p = path->page; p < fresh; p++)
        if (same_page(pc, p->va))
            return p;
    if (path->npages == TCG_PAGES || src->pc_relative || !mmu_fetch_page(path->v, pc, &f) ||
        has_physical_page(path, f.gpa & GUEST_PAGE_MASK))
        return NULL;
    *fresh = (struct region_page){
        .va = pc & GUEST_PAGE_MASK, .gpa = f.gpa & GUEST_PAGE_MASK, .code = f.page};
    return fresh;
}

static struct tb *block_at(const struct tcg_source *src, gva_t pc)
{
    const struct region_path *path = src->profile;
    const struct region_page *p = page_of(src, pc);

    if (!p)
        return NULL;
    return tb_find(path->v->tcg, pc, p->gpa | (pc & ~GUEST_PAGE_MASK), src->exec_flags);
}

/* How often the block at pc was entered, or sampled; 0 when there is none, so that it never was. */
static uint32_t heat(const struct tcg_source *src, gva_t pc)
{
    const struct region_path *path = src->profile;
    struct tcg *t = path->v->tcg;
    const struct tb *tb;

    if (pc == src->pc)
        return t->threshold;
    tb = block_at(src, pc);
    if (t->threshold == VM_TIER2_SAMPLED)
        return tb ? 1 + tb->samples : 0;
    if (!tb || !tb->counts)
        return tb && tb->region ? t->threshold : 0;
    uint32_t left = path->v->hot[tb->counter];
    if (left > COUNTED_OUT / 2)
        return t->threshold;
    return left < t->threshold ? t->threshold - left : 0;
}

static uint64_t *seen_word(struct region_page *p, gva_t pc)
{
    return &p->seen[(pc & ~GUEST_PAGE_MASK) / 2 / 64];
}

static uint64_t seen_bit(gva_t pc)
{
    return (uint64_t)1 << (pc / 2 % 64);
}

/* Is pc a place to go on at? Other loops than the region's own are left. */
static bool can_follow(const struct tcg_source *src, gva_t pc)
{
    struct region_page *p;
    const struct tb *tb;

    if (pc & (src->exec_flags & EXEC_T ? 1 : 3))
        return false;
    if (pc == src->pc)
        return src->n_insns < UNROLL_INSNS;
    p = page_of(src, pc);
    if (!p || (*seen_word(p, pc) & seen_bit(pc)))
        return false;
    tb = block_at(src, pc);
    return !tb || !tb->loops;
}

/* The path goes on at pc, which can be followed. A page is announced before its code is read. */
static void enter(const struct tcg_source *src, gva_t pc)
{
    struct region_path *path = src->profile;
    struct region_page *p = page_of(src, pc);

    path->at = pc;
    if (pc == src->pc) {
        for (unsigned i = 0; i < path->npages; i++)
            memset(path->page[i].seen, 0, sizeof(path->page[i].seen)); /* once more round */
        path->loops = true;
        return;
    }
    *seen_word(p, pc) |= seen_bit(pc);
    if (p < path->page + path->npages)
        return;
    mmu_code_page_translate(path->v, p->gpa);
    path->npages++;
}

/* Without a profile (-tier2-threshold 1): loops go round, other branches are not taken. */
static enum tcg_follow guess(const struct tcg_source *src, gva_t taken, gva_t next)
{
    bool backward = taken <= src->pc;

    if (can_follow(src, taken) && (backward || !can_follow(src, next)))
        return FOLLOW_TAKEN;
    return can_follow(src, next) ? FOLLOW_NEXT : FOLLOW_NONE;
}

static enum tcg_follow by_profile(const struct tcg_source *src, gva_t taken, gva_t next)
{
    uint32_t a = heat(src, taken), b = heat(src, next);

    if (a > b)
        return can_follow(src, taken) ? FOLLOW_TAKEN : FOLLOW_NONE;
    return b && can_follow(src, next) ? FOLLOW_NEXT : FOLLOW_NONE;
}

static enum tcg_follow follow(const struct tcg_source *src, gva_t taken, gva_t next)
{
    const struct region_path *path = src->profile;
    enum tcg_follow way;

    if (src->n_insns >= src->max_insns)
        return FOLLOW_NONE;
    if (taken == next)
        way = can_follow(src, taken) ? FOLLOW_TAKEN : FOLLOW_NONE;
    else if (path->v->tcg->threshold == 1)
        way = guess(src, taken, next);
    else
        way = by_profile(src, taken, next);
    if (way != FOLLOW_NONE)
        enter(src, way == FOLLOW_TAKEN ? taken : next);
    return way;
}

/* Where the indirect branch of the block that the path entered last goes, most likely. */
static gva_t likely_target(const struct tcg_source *src)
{
    const struct region_path *path = src->profile;
    const struct vcpu *v = path->v;
    const struct tb *tb;

    /* Without a profile: as if this were a return from what the region begins with. */
    if (v->tcg->threshold == 1)
        return (v->r[14] & 1) == !(src->exec_flags & EXEC_T) ? NO_TARGET : v->r[14] & ~1u;
    tb = block_at(src, path->at);
    if (!tb || tb->lead < LIKELY_LEAD)
        return NO_TARGET;
    return src->pc_relative ? (path->at & GUEST_PAGE_MASK) | (tb->to & ~GUEST_PAGE_MASK) : tb->to;
}

static gva_t follow_indirect(const struct tcg_source *src)
{
    gva_t to = src->n_insns < src->max_insns ? likely_target(src) : NO_TARGET;

    if (to == NO_TARGET || !can_follow(src, to))
        return NO_TARGET;
    enter(src, to);
    return to;
}

static const uint8_t *region_page(const struct tcg_source *src, gva_t pc, uint32_t *gpa_page)
{
    const struct region_path *path = src->profile;

    for (unsigned i = 0; i < path->npages; i++)
        if (same_page(pc, path->page[i].va)) {
            *gpa_page = (uint32_t)(path->page[i].gpa >> GUEST_PAGE_BITS);
            return path->page[i].code;
        }
    return NULL;
}

void region_begin(struct vcpu *v, struct tcg_source *src, gpa_t gpa, struct region_path *path)
{
    path->v = v;
    path->at = src->pc;
    path->loops = false;
    path->npages = 1;
    path->page[0] = (struct region_page){
        .va = src->pc & GUEST_PAGE_MASK, .gpa = gpa & GUEST_PAGE_MASK, .code = src->page};
    src->follow = follow;
    src->follow_indirect = follow_indirect;
    src->region_page = region_page;
    src->profile = path;
}

/* NULL without an exception pending: what was fetched became stale on the way, or declined. */
static struct tb *promote_once(struct vcpu *v, const struct tb *hot)
{
    uint32_t epoch = mmu_epoch(v);
    struct mmu_fetch f;

    if (!tcg_fetch_here(v, &f))
        return NULL;
    return tcg_translate_region(v, f.gpa, f.page, epoch, hot->pc_relative);
}

/* The region that begins where `hot` does; NULL: there is none, or an exception is pending. */
static struct tb *become_region(struct vcpu *v, struct tb *hot)
{
    struct tb_ref ref = tb_ref(v->tcg, hot);
    struct tb *tb;

    v->tcg->declined = false; /* of an attempt before */
    do
        tb = promote_once(v, hot);
    while (!tb && v->exc == ARM_EXC_NONE && !v->tcg->declined && tb_deref(v->tcg, ref));
    hot = tb_deref(v->tcg, ref);
    if (tb && hot) {
        tb->to = hot->to;
        tb->lead = hot->lead;
        tb_supersede(v, hot);
    }
    return tb ? tcg_remember(v, tb) : NULL;
}

struct tb *region_promote(struct vcpu *v)
{
    struct tb *hot = tcg_lookup(v), *tb;

    if (!hot || !hot->counts || !region_may_begin(v))
        return hot;
    v->hot[hot->counter] = COUNTED_OUT;
    tb = become_region(v, hot);
    /* Not `hot`, which may have been evicted. */
    return tb || v->exc != ARM_EXC_NONE ? tb : tcg_lookup(v);
}

static uint64_t cpu_time_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* May the blocks from here on be followed, though an interrupt wants the vCPU? It waits 2 to 5 us.
 */
static bool begin_following(struct vcpu *v)
{
    uint64_t now;

    if (v->tcg->threshold != VM_TIER2_SAMPLED || !region_may_begin(v) ||
        atomic_load_explicit(&v->poll, memory_order_relaxed) != POLL_IRQ)
        return false;
    now = cpu_time_ns();
    if (now - v->tcg->followed_ns < FOLLOW_EVERY_NS)
        return false;
    v->tcg->followed_ns = now;
    return true;
}

/* The majority of what an indirect branch was seen to go to, in the space of one (Boyer and Moore):
 * a target that has it leads in the end. */
static void count_target(struct tb *tb, uint32_t to)
{
    if (tb->to == to)
        tb->lead += tb->lead != UINT8_MAX;
    else if (tb->lead)
        tb->lead--;
    else {
        tb->to = to;
        tb->lead = 1;
    }
}

/* The block at the state PC runs after the one that was sampled last: is that an indirect branch's
 * doing, of a kind that a region can go on behind? */
static void note_target(struct vcpu *v, const struct tb *tb)
{
    struct tb *from = v->tcg->sampled.tb ? tb_deref(v->tcg, v->tcg->sampled) : NULL;
    gva_t at = v->tcg->sampled_pc, pc = v->r[15];

    if (!from || !from->indirect || from->region || tb->exec_flags != from->exec_flags ||
        pc == at + from->guest_bytes || (from->pc_relative && !same_page(at, pc)))
        return;
    count_target(from, (uint32_t)pc);
}

struct tb *region_sample(struct vcpu *v, unsigned *left)
{
    struct tb *tb, *region;

    if (!*left && begin_following(v)) {
        *left = FOLLOWED + 1;
        v->tcg->sampled.tb = NULL;
    }
    if (!*left || !--*left)
        return NULL;
    tb = tcg_lookup(v);
    if (!tb)
        return NULL;
    note_target(v, tb);
    v->tcg->sampled = tb_ref(v->tcg, tb);
    v->tcg->sampled_pc = v->r[15];
    if (tb->samples == UINT16_MAX)
        return tb;
    tb->samples++;
    if (tb->region || tb->tried || tb->page[1] != NO_FRAME || tb->samples < SAMPLES ||
        !region_may_begin(v))
        return tb;
    tb->tried = true;
    region = become_region(v, tb);
    return region || v->exc != ARM_EXC_NONE ? region : tcg_lookup(v);
}
