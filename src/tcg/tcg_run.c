/* SPDX-License-Identifier: MIT */
/*
 * Entering generated code, finding the next block when it comes back for one, and the answers the
 * fault path needs about host addresses. Owning vCPU thread; *_sig functions run in its SIGSEGV
 * handler.
 */
#include "base/inject.h"
#include "base/log.h"
#include "base/stats.h"
#include "mmu/mmu.h"
#include "tcg/tcg_internal.h"
#include "vcpu/vcpu.h"
#include "vm.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

int tcg_create(struct vcpu *v, size_t cache_bytes)
{
    struct tcg *t =
        mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct code_buffer buf;
    int err;

    if (t == MAP_FAILED)
        return -errno;
    t->ir = ir_block_new();
    err = t->ir ? code_cache_create(t, cache_bytes) : -ENOMEM;
    if (err) {
        ir_block_free(t->ir);
        munmap(t, sizeof(*t));
        return err;
    }
    v->tcg = t;
    buf = (struct code_buffer){.rw = t->rw, .rx = t->rx, .room = t->cache_bytes};
    err = x64_emit_stubs(&t->stubs, &buf);
    if (err) {
        tcg_destroy(v);
        return err;
    }
    code_cache_lay_out(t);
    t->threshold = v->vm->opt->tier2_threshold;
    return 0;
}

void tcg_destroy(struct vcpu *v)
{
    struct tcg *t = v->tcg;

    if (!t)
        return;
    v->tcg = NULL;
    code_cache_destroy(t);
    ir_block_free(t->ir);
    munmap(t, sizeof(*t));
}

static uint64_t cache_key(const struct vcpu *v)
{
    return v->exec_flags | tcg_jump_tag(v);
}

/* A block found by its first page must still come from the same second page; a region sees to that
 * itself. */
static bool second_page_current(struct vcpu *v, const struct tb *tb)
{
    struct mmu_fetch f;

    if (tb->page[1] == NO_FRAME || tb->guarded)
        return true;
    return mmu_fetch_page(v, (uint32_t)((v->r[15] & GUEST_PAGE_MASK) + GUEST_PAGE_SIZE), &f) &&
           f.gpa >> GUEST_PAGE_BITS == tb->page[1];
}

/*
 * User code that turns up at another address than the one it was translated for is shared code at
 * randomised addresses: it is translated once more, for any address, and the old block goes. So the
 * cost of a new process does not grow with what its predecessors ran. The kernel stays where it is.
 */
static bool wants_pc_relative(struct vcpu *v, gpa_t gpa)
{
    struct tb *other;

    if (v->exec_flags & EXEC_PRIV)
        return false;
    other = tb_find_elsewhere(v->tcg, v->r[15], gpa, v->exec_flags);
    if (other)
        tb_invalidate(v, other);
    return other;
}

bool tcg_fetch_here(struct vcpu *v, struct mmu_fetch *f)
{
    if (mmu_fetch_page(v, v->r[15], f))
        return true;
    v->exc = ARM_EXC_PABT;
    v->exc_fsr = f->fsr;
    v->exc_far = f->far;
    return false;
}

/* A new block for the state PC alone; NULL as below. */
static struct tb *translate_here(struct vcpu *v)
{
    uint32_t epoch = mmu_epoch(v);
    struct mmu_fetch f;

    return tcg_fetch_here(v, &f) ? tcg_translate(v, f.gpa, f.page, epoch, false) : NULL;
}

/*
 * NULL without an exception pending: what was fetched became stale on the way. `pc_relative`: only
 * code that runs at any address will do.
 */
static struct tb *find_or_translate_once(struct vcpu *v, bool pc_relative)
{
    uint32_t epoch = mmu_epoch(v);
    struct mmu_fetch f;
    struct tb *tb;

    if (!tcg_fetch_here(v, &f))
        return NULL;
    tb = tb_find(v->tcg, v->r[15], f.gpa, v->exec_flags);
    if (tb && (!second_page_current(v, tb) || (pc_relative && !tb->pc_relative))) {
        tb_invalidate(v, tb);
        tb = NULL;
    }
    if (tb)
        return tb;
    return tcg_translate(v, f.gpa, f.page, epoch, pc_relative || wants_pc_relative(v, f.gpa));
}

static struct tb *find_or_translate(struct vcpu *v, bool pc_relative)
{
    struct tb *tb;

    do
        tb = find_or_translate_once(v, pc_relative);
    while (!tb && v->exc == ARM_EXC_NONE);
    return tb;
}

/* Make a block known at the state PC. -d exec shows every block, so nothing may bypass the run loop
 * then. */
struct tb *tcg_remember(struct vcpu *v, struct tb *tb)
{
    if (tb && !log_on(LOG_EXEC))
        jump_cache_insert(v, tb);
    return tb;
}

#define KEY_CONTEXT (UINT64_C(0xffff) << 32)

/*
 * An entry of another translation context serves this one, too, when the PC is fetched from the
 * same physical page here: after a flush of the whole TLB, and where user code is shared. Its block
 * is alive, since the generations are the same. Without the hash table, whose lines are cold.
 */
static bool adopt_entry(struct vcpu *v, struct jump_cache_entry *e)
{
    struct mmu_fetch f;

    if (e->pc != v->r[15] || (e->key ^ cache_key(v)) & ~KEY_CONTEXT || log_on(LOG_EXEC) ||
        !mmu_fetch_page(v, v->r[15], &f) ||
        (f.gpa >> GUEST_PAGE_BITS != e->gpa_page && !INJECT(ADOPT_ANY_PAGE)))
        return false;
    e->key = cache_key(v);
    return true;
}

struct tb *tcg_lookup(struct vcpu *v)
{
    struct jump_cache_entry *e = &v->jump_cache[jump_cache_index(v->r[15])];

    if (e->pc == v->r[15] && e->key == cache_key(v))
        return e->tb;
    STAT_INC(&stats_vcpu[v->index], lookups);
    if (adopt_entry(v, e))
        return e->tb;
    return tcg_remember(v, find_or_translate(v, false));
}

/* VFP is disabled, and the block at the state PC has VFP instructions: one in which they are
 * undefined. Neither links nor the jump cache lead to it. */
static struct tb *lookup_without_fp(struct vcpu *v)
{
    struct tb *tb;

    v->exec_flags |= EXEC_FPOFF;
    tb = find_or_translate(v, false);
    v->exec_flags &= ~EXEC_FPOFF;
    return tb;
}

/*
 * Follow a direct exit that is not linked yet and link it, unless finding the target evicted the
 * block. PC-relative code links only to its like: it may come by at another address next time. A
 * block that crosses into the next page is never linked to, since a link is not looked up again
 * when that page changes (I-1). A block of another physical page is linked to by a guarded jump
 * only: the mapping may change between the run of one and the look-up of the other, and a plain
 * link would outlive the maintenance.
 */
static struct tb *lookup_and_link(struct vcpu *v)
{
    struct tb_ref ref = tb_ref(v->tcg, v->exit_tb);
    bool pc_relative = ref.tb->pc_relative;
    struct tb *to = tcg_lookup(v), *from;
    struct tb_link *l;

    if (to && pc_relative && !to->pc_relative)
        to = tcg_remember(v, find_or_translate(v, true));
    from = tb_deref(v->tcg, ref);
    if (!to || log_on(LOG_EXEC) || !from)
        return to;
    INJECT_MEET(LINKING);
    l = &tb_links(from)[v->exit_arg];
    if (l->guard_off)
        fetch_cache_insert(v, to);
    if ((to->page[1] == NO_FRAME || to->guarded || INJECT(LINK_TO_CROSSING)) &&
        (l->guard_off || to->page[0] == from->page[0] || INJECT(LINK_ACROSS_PAGES)) &&
        to->exec_flags == from->exec_flags) {
        tb_link_to(v->tcg, from, l, to);
        STAT_INC(&stats_vcpu[v->index], links);
    }
    return to;
}

static void log_exec(const struct vcpu *v)
{
    if (log_on(LOG_EXEC))
        log_printf("cpu%u: exec %08x flags %04x r0 %08x r1 %08x sp %08x lr %08x\n", v->index,
                   v->r[15], v->exec_flags, v->r[0], v->r[1], v->r[13], v->r[14]);
}

/* What to run after generated code has left for the next block. */
static struct tb *next_block(struct vcpu *v, enum tcg_exit why)
{
    if (why == TCG_EXIT_LINK)
        return lookup_and_link(v);
    if (why == TCG_EXIT_NEED)
        return lookup_without_fp(v);
    return why == TCG_EXIT_HOT ? region_promote(v) : tcg_lookup(v);
}

static bool wants_block(enum tcg_exit why)
{
    return why == TCG_EXIT_LINK || why == TCG_EXIT_LOOKUP || why == TCG_EXIT_NEED ||
           why == TCG_EXIT_HOT;
}

enum tcg_exit tcg_run(struct vcpu *v)
{
    struct tb *tb = tcg_lookup(v);
    bool past_poll = false;
    unsigned samples_left = 0;

    while (tb) {
        enum tcg_exit why;

        log_exec(v);
        why = v->tcg->stubs.enter(v, tb->code + (past_poll ? tb->unpolled_off : 0));
        past_poll = why == TCG_EXIT_POLL;
        if (past_poll)
            tb = region_sample(v, &samples_left);
        else if (wants_block(why))
            tb = next_block(v, why);
        else
            return why;
        if (!tb && v->exc == ARM_EXC_NONE)
            return why;
    }
    return TCG_EXIT_EXCEPTION;
}

/* Neither links nor the jump cache lead out of the block, which is gone afterwards. */
static enum tcg_exit step(struct vcpu *v)
{
    struct tcg *t = v->tcg;
    enum tcg_exit why;
    struct tb_ref ref;
    struct tb *tb;

    t->stepping = true;
    do
        tb = translate_here(v);
    while (!tb && v->exc == ARM_EXC_NONE);
    t->stepping = false;
    if (!tb)
        return TCG_EXIT_EXCEPTION;
    ref = tb_ref(t, tb);
    tcg_jump_cache_flush(v);
    why = t->stubs.enter(v, tb->code);
    tb = tb_deref(t, ref);
    if (tb)
        tb_invalidate(v, tb);
    return why;
}

enum tcg_exit tcg_step(struct vcpu *v)
{
    enum tcg_exit why = step(v);

    if (why != TCG_EXIT_NEED)
        return why;
    v->exec_flags |= EXEC_FPOFF;
    why = step(v);
    v->exec_flags &= ~EXEC_FPOFF;
    return why;
}

bool tcg_contains_sig(const struct vcpu *v, uintptr_t host_pc)
{
    const struct tcg *t = v->tcg;

    return t && host_pc - (uintptr_t)t->rx < t->cache_bytes;
}

uintptr_t tcg_fault_stub_sig(const struct vcpu *v)
{
    return (uintptr_t)v->tcg->stubs.fault_stub;
}

struct tb_access *tb_access_at(const struct tb *tb, uint32_t host_off)
{
    for (unsigned i = 0; i < tb->naccesses; i++)
        if (tb_accesses(tb)[i].host_off == host_off)
            return &tb_accesses(tb)[i];
    return NULL;
}

static const struct tb_call *call_at(const struct tb *tb, uint32_t host_off)
{
    for (unsigned i = 0; i < tb->ncalls; i++)
        if (tb_calls(tb)[i].host_off == host_off)
            return &tb_calls(tb)[i];
    return NULL;
}

bool tcg_find_site(struct vcpu *v, uintptr_t host_pc, uint32_t *pc, uint16_t *extra)
{
    const struct tb *tb = tb_by_host_pc(v->tcg, host_pc);
    uint32_t off = tb ? tb_offset(v->tcg, tb, host_pc) : 0;
    const struct tb_call *call = tb ? call_at(tb, off) : NULL;
    const struct tb_access *access = tb && !call ? tb_access_at(tb, off) : NULL;
    uint32_t moved;

    if (!call && !access)
        return false;
    moved = (uint32_t)((v->r[15] & GUEST_PAGE_MASK) - (tb->pc & GUEST_PAGE_MASK));
    *pc = (call ? call->pc : access->pc) + (tb->pc_relative ? moved : 0);
    *extra = call ? call->extra : access->extra;
    return true;
}
