/* SPDX-License-Identifier: MIT */
/*
 * Lookup of the software TLB in host code: inline in blocks that do not use windows (x64_access.c),
 * and in small stubs at the start of the code cache, one for each kind of access, through which the
 * slow paths of window accesses go first. So a site that was turned away from its window (a device,
 * a page not worth a mapping) costs some ten instructions, not a call of C code.
 *
 * The compare covers the page of the last byte and the alignment bits, so that crossing and
 * misaligned accesses miss. RCX and RDX are scratch.
 */
#include "x64_internal.h"
#include "mmu/mmu.h"

static unsigned access_size(uint32_t memop)
{
    return 1u << MEMOP_SIZE(memop);
}

unsigned x64_access_align(uint32_t memop)
{
    unsigned size = access_size(memop);

    if (memop & MEMOP_ALIGN)
        return size;
    return (memop & MEMOP_ALIGN4) && size >= 4 ? 4 : 1;
}

static int32_t table_of(uint32_t memop)
{
    bool privileged = (memop & MEMOP_PRIV) && !(memop & MEMOP_USER);

    return privileged ? STATE(softtlb[1]) : STATE(softtlb[0]);
}

void x64_soft_compare(struct x_buf *e, struct x_gpr at, uint32_t memop, bool load)
{
    unsigned size = access_size(memop), align = x64_access_align(memop);
    int32_t tag = (int32_t)offsetof(struct softtlb_entry, tag) + (load ? MMU_READ : MMU_WRITE) * 8;

    _Static_assert(sizeof(struct softtlb_entry) == 32, "index scaling below");
    x_mov_rr(e, X_32, RCX, at);
    x_shift_ri(e, X_SHR, X_32, RCX, GUEST_PAGE_BITS - 5);
    x_alu_ri(e, X_AND, X_32, RCX, (SOFTTLB_SIZE - 1) << 5);
    x_alu_rm(e, X_XOR, X_32, RCX, x64_state(STATE(soft_bank)));
    if (size > align)
        x_lea(e, X_32, RDX, x_at(at, (int32_t)(size - align)));
    else
        x_mov_rr(e, X_32, RDX, at);
    x_alu_ri(e, X_AND, X_32, RDX, (int32_t)((uint32_t)GUEST_PAGE_MASK | (align - 1)));
    x_alu_rm(e, X_OR, X_64, RDX, x64_state(STATE(ctx_tag)));
    x_alu_rm(e, X_CMP, X_64, RDX, x_at_index(RBP, RCX, 0, table_of(memop) + tag));
}

struct x_mem x64_soft_operand(struct x_buf *e, struct x_gpr at, uint32_t memop)
{
    x_mov_rm(
        e, X_64, RCX,
        x_at_index(RBP, RCX, 0, table_of(memop) + (int32_t)offsetof(struct softtlb_entry, addend)));
    return x_at_index(RCX, at, 0, 0);
}

/* ---- stubs ---- */
/* Their index: size, alignment class, table, sign, direction. */
int x64_soft_stub_index(uint32_t memop, bool load)
{
    unsigned size = access_size(memop), align = x64_access_align(memop);
    unsigned class = align == 1 ? 0 : align == size ? 2 : 1;

    if (memop & MEMOP_BSWAP)
        return -1;
    return (int)(MEMOP_SIZE(memop) | class << 2 | (table_of(memop) != STATE(softtlb[0])) << 4 |
                 (load && (memop & MEMOP_SIGN) ? 1u << 5 : 0) | (load ? 0 : 1u << 6));
}

/* The memop a stub is for; false: no access has this index. */
static bool stub_memop(unsigned index, uint32_t *memop)
{
    unsigned size = index & 3, class = index >> 2 & 3;
    bool store = index >> 6 & 1, sign = index >> 5 & 1;

    if (class == 3 || (class == 1 && size != MEMOP_64) || (class == 2 && size == MEMOP_8) ||
        (store && sign))
        return false;
    *memop = size |
             (class == 2   ? MEMOP_ALIGN
              : class == 1 ? MEMOP_ALIGN4
                           : 0) |
             (index >> 4 & 1 ? MEMOP_PRIV : 0) | (sign ? MEMOP_SIGN : 0);
    return true;
}

/*
 * Called like the slow stubs: EAX = address, ECX = memop, RDX = value of a store; a load's result
 * comes back in RAX, sign- or zero-extended to 64 bits. ECX and RDX wait below the stack pointer,
 * where signal handlers do not write (128 bytes). Each hit takes one credit: when they are used up
 * the slow path, which sees that, learns where this code is hot (tcg/fault_resume.c).
 */
static void emit_stub(struct x_buf *e, uint32_t memop, bool load, const uint8_t *slow)
{
    struct x_mem keep_memop = x_at(RSP, -8), keep_value = x_at(RSP, -16), m;
    uint8_t *miss[2];

    x_mov_mr(e, X_64, keep_memop, RCX);
    if (!load)
        x_mov_mr(e, X_64, keep_value, RDX);
    x64_soft_compare(e, RAX, memop, load);
    x_jcc(e, X_NE, 0);
    miss[0] = e->p;
    x_alu_mi(e, X_SUB, X_32, x64_state(STATE(soft_credit)), 1);
    x_jcc(e, X_S, 0);
    miss[1] = e->p;
    m = x64_soft_operand(e, RAX, memop);
    if (!load)
        x_mov_rm(e, X_64, RDX, keep_value);
    if (load)
        x64_host_load(e, RAX, m, memop, true);
    else
        x64_host_store(e, RDX, m, memop);
    x_ret(e);
    for (unsigned k = 0; k < 2; k++) {
        int32_t rel = (int32_t)(e->p - miss[k]);

        memcpy(miss[k] - 4, &rel, 4);
    }
    x_mov_rm(e, X_64, RCX, keep_memop);
    if (!load)
        x_mov_rm(e, X_64, RDX, keep_value);
    x_jmp(e, (int32_t)(slow - (e->p + 5)));
}

void x64_emit_soft_stubs(struct x64_stubs *s, struct x_buf *e, const uint8_t *start,
                         const uint8_t *slow_load, const uint8_t *slow_store)
{
    uint32_t memop;

    for (unsigned k = 0; k < X64_SOFT_STUBS; k++) {
        if (!stub_memop(k, &memop))
            continue;
        x_nop(e, (unsigned)(start - e->p) & 15);
        s->soft[k] = (uint32_t)(e->p - start);
        emit_stub(e, memop, !(k >> 6 & 1), k >> 6 & 1 ? slow_store : slow_load);
    }
}
