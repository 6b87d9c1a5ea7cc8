/* SPDX-License-Identifier: MIT */
/*
 * Guest loads and stores.
 *
 * SPT: one host access on [window base + address], a site record, and at least five bytes so that
 * it can be patched into a jump to its slow path. The sum base + index + displacement may leave the
 * 4 GiB by the displacement only: the window's guards fault and the slow path computes the address
 * modulo 2^32. Soft MMU: inline lookup of the software TLB (x64_soft.c).
 *
 * The slow path, after the block, starts from the values' homes alone (never from scratch
 * registers), so that it can be entered from a failed check, a patched site or a host fault alike.
 * It saves the live vector registers, tries the soft TLB unless that has been done, calls mmu/, and
 * goes on behind the access.
 */
#include "x64_internal.h"
#include "mmu/mmu.h"
#include "base/log.h"

/* d = guest address, modulo 2^32 */
static void load_address(struct x64_ctx *c, struct x_gpr d, ir_ref i)
{
    const struct x64_val *v = &c->val[i];
    struct x_gpr base;
    uint64_t k;
    if (x64_const(c, v->base, &k)) {
        x_mov_ri(&c->e, d, (uint32_t)(k + (uint64_t)(int64_t)v->adisp));
    } else if (v->adisp && x64_in_gpr(c, v->base, &base)) {
        x_lea(&c->e, X_32, d, x_at(base, v->adisp));
    } else {
        x64_load(c, d, v->base);
        if (v->adisp)
            x_alu_ri(&c->e, X_ADD, X_32, d, v->adisp);
    }
}

/* ---- the access itself ---- */
void x64_host_load(struct x_buf *e, struct x_gpr d, struct x_mem m, uint32_t memop, bool wide)
{
    bool sign = (memop & MEMOP_SIGN) && !(memop & MEMOP_BSWAP);
    enum x_width w = wide && sign ? X_64 : X_32;
    switch (MEMOP_SIZE(memop)) {
    case MEMOP_8:
        x_movx_rm(e, w, sign ? X_MOVSX8 : X_MOVZX8, d, m);
        break;
    case MEMOP_16:
        x_movx_rm(e, w, sign ? X_MOVSX16 : X_MOVZX16, d, m);
        break;
    case MEMOP_32:
        x_movx_rm(e, w, w == X_64 ? X_MOVSXD : X_MOV_LOAD, d, m);
        break;
    default:
        x_mov_rm(e, X_64, d, m);
        break;
    }
}

void x64_host_store(struct x_buf *e, struct x_gpr s, struct x_mem m, uint32_t memop)
{
    switch (MEMOP_SIZE(memop)) {
    case MEMOP_8:
        x_mov_mr8(e, m, s);
        break;
    case MEMOP_16:
        x_mov_mr16(e, m, s);
        break;
    default:
        x_mov_mr(e, MEMOP_SIZE(memop) == MEMOP_64 ? X_64 : X_32, m, s);
        break;
    }
}

/* Byte order and sign of a big-endian load, after the access. */
static void emit_load_fixup(struct x64_ctx *c, struct x_gpr d, uint32_t memop, bool wide)
{
    if (!(memop & MEMOP_BSWAP))
        return;
    enum x_width w = wide ? X_64 : X_32;
    switch (MEMOP_SIZE(memop)) {
    case MEMOP_8:
        if (memop & MEMOP_SIGN)
            x_movx_rr(&c->e, w, X_MOVSX8, d, d);
        break;
    case MEMOP_16:
        x_rol16_ri(&c->e, d, 8);
        if (memop & MEMOP_SIGN)
            x_movx_rr(&c->e, w, X_MOVSX16, d, d);
        break;
    case MEMOP_32:
        x_bswap(&c->e, X_32, d);
        if (wide && (memop & MEMOP_SIGN))
            x_movx_rr(&c->e, X_64, X_MOVSXD, d, d);
        break;
    default:
        x_bswap(&c->e, X_64, d);
        break;
    }
}

/* What a store writes: an immediate, or a register with the bytes in memory order. */
struct store_value {
    bool imm;
    int32_t k;
    struct x_gpr r;
};

static struct store_value store_value(struct x64_ctx *c, ir_ref v, uint32_t memop,
                                      struct x_gpr scratch)
{
    struct store_value s = {0};
    uint64_t k;
    bool swap = (memop & MEMOP_BSWAP) && MEMOP_SIZE(memop) != MEMOP_8;
    if (!swap && x64_const(c, v, &k) && (MEMOP_SIZE(memop) != MEMOP_64 || x_fits32((int64_t)k))) {
        s.imm = true;
        s.k = (int32_t)(uint32_t)k;
        return s;
    }
    if (!swap) {
        s.r = x64_use(c, v, scratch);
        return s;
    }
    x64_load(c, scratch, v);
    if (MEMOP_SIZE(memop) == MEMOP_16)
        x_rol16_ri(&c->e, scratch, 8);
    else
        x_bswap(&c->e, MEMOP_SIZE(memop) == MEMOP_64 ? X_64 : X_32, scratch);
    s.r = scratch;
    return s;
}

static void emit_host_store(struct x64_ctx *c, const struct store_value *s, struct x_mem m,
                            uint32_t memop)
{
    if (!s->imm) {
        x64_host_store(&c->e, s->r, m, memop);
        return;
    }
    switch (MEMOP_SIZE(memop)) {
    case MEMOP_8:
        x_mov_mi8(&c->e, m, (uint8_t)s->k);
        break;
    case MEMOP_16:
        x_mov_mi16(&c->e, m, (uint16_t)s->k);
        break;
    default:
        x_mov_mi(&c->e, MEMOP_SIZE(memop) == MEMOP_64 ? X_64 : X_32, m, s->k);
        break;
    }
}

/* ---- SPT ---- */
static void check_alignment(struct x64_ctx *c, ir_ref i, struct x64_slow *slow, struct x_gpr base,
                            int32_t disp, unsigned align)
{
    (void)i;
    if (align == 1)
        return;
    if (disp & (int32_t)(align - 1)) {
        x_lea(&c->e, X_32, RCX, x_at(base, disp));
        base = RCX;
    }
    x_test_ri8(&c->e, base, (uint8_t)(align - 1));
    x64_slow_jcc(c, slow, X_NE);
}

/* The displacement of a constant address in the lower half, aligned as it must be (a literal, most
 * often); -1: it is not. */
static int32_t near_address(const struct x64_ctx *c, ir_ref i, uint32_t memop)
{
    const struct x64_val *v = &c->val[i];
    uint64_t k;
    if (((memop & MEMOP_USER) && c->b->privileged) || !x64_const(c, v->base, &k))
        return -1;
    int32_t at = (int32_t)(uint32_t)(k + (uint64_t)(int64_t)v->adisp);
    return at >= 0 && !((uint32_t)at & (x64_access_align(memop) - 1)) ? at : -1;
}

/* [window + address], with the alignment check done. Uses RAX for the address, RCX for another
 * window. */
static struct x_mem spt_operand(struct x64_ctx *c, ir_ref i, struct x64_slow *slow, uint32_t memop)
{
    const struct x64_val *v = &c->val[i];
    struct x_gpr base = RAX, window = R15;
    int32_t disp = 0, constant = near_address(c, i, memop);
    if (constant >= 0)
        return x_at(R15, constant);
    if (c->val[v->base].kind == VAL_CONST) {
        load_address(c, RAX, i);
    } else {
        base = x64_use(c, v->base, RAX);
        disp = v->adisp;
    }
    check_alignment(c, i, slow, base, disp, x64_access_align(memop));
    if ((memop & MEMOP_USER) && c->b->privileged) {
        window = RCX;
        x_mov_rm(&c->e, X_64, RCX, x64_state(STATE(win_base[0])));
    }
    struct x_mem m = x_at_index(window, base, 0, disp);
    m.wide = true;
    return m;
}

static void spt_access(struct x64_ctx *c, ir_ref i, struct x64_slow *slow)
{
    const struct ir_node *n = x64_node(c, i);
    uint32_t memop = (uint32_t)n->imm;
    bool load = n->op == IR_LD;
    struct store_value s = {0};
    struct x_mem m = spt_operand(c, i, slow, memop);
    if (!load)
        s = store_value(c, n->arg[1], memop, RDX);
    if (c->out->nsites && c->out->site[c->out->nsites - 1].host_off == x64_pos(c))
        x_nop(&c->e, 1); /* right behind a call: its return address is a site of its own */
    uint32_t at = x64_pos(c);
    if (load)
        x64_host_load(&c->e, x64_dest(c, i), m, memop, n->type == IR_I64);
    else
        emit_host_store(c, &s, m, memop);
    if (x64_pos(c) - at < X64_SITE_PATCH)
        x_nop(&c->e, X64_SITE_PATCH - (x64_pos(c) - at));
    struct tcg_site site = {.host_off = at,
                            .pc = c->pc,
                            .extra = c->extra,
                            .memop = (uint16_t)memop,
                            .kind = load ? SITE_LOAD : SITE_STORE,
                            .host_len = (uint8_t)(x64_pos(c) - at)};
    x64_site(c, &site);
    slow->site = c->out->nsites;
}

/* ---- soft MMU ---- */
static void soft_access(struct x64_ctx *c, ir_ref i, struct x64_slow *slow)
{
    const struct ir_node *n = x64_node(c, i);
    uint32_t memop = (uint32_t)n->imm;
    bool load = n->op == IR_LD;
    struct x_gpr at = RAX; /* guest address, zero-extended */
    if (c->val[i].adisp || !x64_in_gpr(c, c->val[i].base, &at))
        load_address(c, at, i);
    x64_soft_compare(&c->e, at, memop, load);
    x64_slow_jcc(c, slow, X_NE);
    struct x_mem m = x64_soft_operand(&c->e, at, memop);
    if (load) {
        x64_host_load(&c->e, x64_dest(c, i), m, memop, n->type == IR_I64);
    } else {
        struct store_value s = store_value(c, n->arg[1], memop, RDX);
        emit_host_store(c, &s, m, memop);
    }
}

static bool wants_soft(const struct x64_ctx *c, uint32_t memop)
{
    uint32_t k;
    if (c->o->soft_mmu || (c->o->soft_ldrt && c->b->privileged && (memop & MEMOP_USER)))
        return true;
    if (!c->o->settled)
        return false;
    k = settled_index(c->o->gpa + (gpa_t)(int32_t)(c->pc - (uint32_t)c->b->pc));
    return c->o->settled->bits[k / 64] >> (k % 64) & 1;
}

void x64_emit_access(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    struct x64_slow *slow = x64_slow_new(c, SLOW_ACCESS, i);
    x64_note_pending(c, slow);
    if (wants_soft(c, (uint32_t)n->imm))
        soft_access(c, i, slow);
    else
        spt_access(c, i, slow);
    if (n->op == IR_LD)
        emit_load_fixup(c, x64_dest(c, i), (uint32_t)n->imm, n->type == IR_I64);
    slow->resume = x64_pos(c);
    if (n->op == IR_LD)
        x64_finish(c, i, x64_dest(c, i));
}

/* ---- slow path ---- */
/* Vector registers only: the stub saves the general ones. */
static void save_live(struct x64_ctx *c, const struct x64_slow *s, bool restore)
{
    for (unsigned r = 0; r < 16; r++)
        if (s->live_xmm >> r & 1)
            x_sse_rm(&c->e, restore ? X_MOVAPS : X_MOVAPS + 1, X_XMM((uint8_t)r),
                     x_at(RSP, FRAME_XMM + (int32_t)r * 16));
}

/* From a window access by way of the soft TLB; an inline lookup has just missed. */
static void call_slow(struct x64_ctx *c, uint32_t memop, bool load, bool window)
{
    const struct x64_stubs *stubs = c->o->stubs;
    int k = window && stubs ? x64_soft_stub_index(memop, load) : -1;
    if (k < 0) {
        x_call_m(&c->e, x_at(RSP, load ? FRAME_LOAD : FRAME_STORE));
        return;
    }
    const uint8_t *target = (const uint8_t *)(uintptr_t)stubs->enter + stubs->soft[k];
    x_call(&c->e, (int32_t)(target - (x64_here(c) + 5)));
}

void x64_emit_slow_access(struct x64_ctx *c, struct x64_slow *s)
{
    const struct ir_node *n = x64_node(c, s->node);
    uint32_t memop = (uint32_t)n->imm;
    bool load = n->op == IR_LD;
    if (s->site)
        c->out->site[s->site - 1].slow_off = x64_pos(c);
    x64_emit_pending(c, s);
    save_live(c, s, false);
    if (!load)
        x64_load(c, RDX, n->arg[1]);
    load_address(c, RAX, s->node);
    x_mov_ri(&c->e, RCX, memop);
    call_slow(c, memop, load, s->site != 0);
    struct tcg_site site = {.host_off = x64_pos(c),
                            .pc = s->pc,
                            .extra = s->extra,
                            .kind = SITE_CALL,
                            .memop = (uint16_t)memop};
    x64_site(c, &site);
    if (load && x64_dest(c, s->node).n != RAX.n)
        x_mov_rr(&c->e, n->type == IR_I64 ? X_64 : X_32, x64_dest(c, s->node), RAX);
    save_live(c, s, true);
    x_jmp(&c->e, 0);
    x64_set_rel32(c, x64_pos(c) - 4, s->resume);
}
