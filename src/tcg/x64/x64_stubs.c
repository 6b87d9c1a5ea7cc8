/* SPDX-License-Identifier: MIT */
/*
 * Code at the start of each code cache: entry from the run loop, exit to it, and the fault stub.
 * The frame they share with generated code is described in x64_internal.h. Also tcg_unwind(), which
 * leaves from inside a helper by going back to the frame and taking the exit.
 */
#include "x64_internal.h"

#define X64_STUB_ROOM 8192

#if defined(__SANITIZE_ADDRESS__)
#define HAVE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAVE_ASAN 1
#endif
#endif
#ifdef HAVE_ASAN
void __asan_handle_no_return(void);
#endif

static const uint8_t saved_gpr[] = {5, 3, 12, 13, 14, 15}; /* RBP, RBX, R12-R15 */

/* ldmxcsr [from] unless it equals [now]; RCX is scratch. */
static void switch_mxcsr(struct x_buf *e, int32_t now, int32_t from)
{
    x_mov_rm(e, X_32, RCX, x64_state(now));
    x_alu_rm(e, X_CMP, X_32, RCX, x64_state(from));
    x_jcc8(e, X_E, 0);
    uint8_t *skip = e->p;
    x_ldmxcsr(e, x64_state(from));
    skip[-1] = (uint8_t)(e->p - skip);
}

/* R15 = window base of the current privilege; RAX is scratch. */
static void load_window(struct x_buf *e)
{
    _Static_assert(EXEC_PRIV == 1u << 2, "scaled by two below");
    x_mov_rm(e, X_32, RAX, x64_state(STATE(exec_flags)));
    x_alu_ri(e, X_AND, X_32, RAX, EXEC_PRIV);
    x_mov_rm(e, X_64, R15, x_at_index(RBP, RAX, 1, STATE(win_base)));
}

/* [rsp + slot] = address of a stub that comes later; returns where its rel32 belongs. */
static uint8_t *store_stub_address(struct x_buf *e, int32_t slot)
{
    x_lea_rip(e, RAX, 0);
    uint8_t *rel = e->p - 4;
    x_mov_mr(e, X_64, x_at(RSP, slot), RAX);
    return rel;
}

static void set_stub_address(uint8_t *rel_at, const uint8_t *target)
{
    int32_t rel = (int32_t)(target - (rel_at + 4));
    memcpy(rel_at, &rel, 4);
}

/* unsigned enter(struct vcpu *v, void *code) */
static void emit_enter(struct x_buf *e, uint8_t *stub_rel[3])
{
    _Static_assert((FRAME_BYTES + 7 * 8) % 16 == 0, "generated code runs on an aligned stack");
    for (unsigned k = 0; k < sizeof(saved_gpr); k++)
        x_push(e, X_GPR(saved_gpr[k]));
    x_alu_ri(e, X_SUB, X_64, RSP, FRAME_BYTES);
    x_lea(e, X_64, RBP, x_at(RDI, VCPU_BIAS));
    x_mov_mr(e, X_64, x64_state(STATE(host_sp)), RSP);
    stub_rel[0] = store_stub_address(e, FRAME_EXIT);
    stub_rel[1] = store_stub_address(e, FRAME_LOAD);
    stub_rel[2] = store_stub_address(e, FRAME_STORE);
    load_window(e);
    x_stmxcsr(e, x64_state(STATE(host_mxcsr)));
    switch_mxcsr(e, STATE(host_mxcsr), STATE(mxcsr));
    x_jmp_r(e, RSI);
}

/*
 * Slow path of an access, called with EAX = address, ECX = memop, RDX = value of a store; the
 * result of a load comes back in RAX. Keeps every register that holds values, but vectors. R15 is
 * read afresh: the callee may have served requests that change windows.
 */
static void emit_slow(struct x_buf *e, bool load)
{
    static const uint8_t saved[] = {6, 7, 8, 9, 10, 11}; /* RSI, RDI, R8-R11 */
    for (unsigned k = 0; k < sizeof(saved); k++)
        x_push(e, X_GPR(saved[k]));
    x_alu_ri(e, X_SUB, X_64, RSP, 8);
    x_lea(e, X_64, RDI, x_at(RBP, -VCPU_BIAS));
    x_mov_rr(e, X_32, RSI, RAX);
    if (load)
        x_mov_rr(e, X_32, RDX, RCX);
    x_mov_rm(e, X_64, load ? RCX : R8, x_at(RSP, 8 + (int32_t)sizeof(saved) * 8));
    x_mov_ri(e, RAX, load ? (uintptr_t)x64_slow_load : (uintptr_t)x64_slow_store);
    x_call_r(e, RAX);
    if (load)
        x_mov_rr(e, X_64, RDX, RAX);
    load_window(e);
    if (load)
        x_mov_rr(e, X_64, RAX, RDX);
    x_alu_ri(e, X_ADD, X_64, RSP, 8);
    for (unsigned k = sizeof(saved); k-- > 0;)
        x_pop(e, X_GPR(saved[k]));
    x_ret(e);
}

static void emit_exit(struct x_buf *e)
{
    x_stmxcsr(e, x64_state(STATE(mxcsr)));
    switch_mxcsr(e, STATE(mxcsr), STATE(host_mxcsr));
    x_alu_ri(e, X_ADD, X_64, RSP, FRAME_BYTES);
    for (unsigned k = sizeof(saved_gpr); k-- > 0;)
        x_pop(e, X_GPR(saved_gpr[k]));
    x_ret(e);
}

/*
 * Entered in the place of a faulting access: all registers and flags are the access's. Below the
 * frame go: the resume address (popped by the final ret), flags, general and vector registers. R15
 * is read afresh, since handling the fault may have changed the window.
 */
static void emit_fault(struct x_buf *e)
{
    const int32_t xmm_bytes = 16 * 16;
    x_lea(e, X_64, RSP, x_at(RSP, -8));
    x_pushfq(e);
    for (unsigned r = 0; r < 15; r++) /* R15 not; RSP keeps the count even */
        x_push(e, X_GPR((uint8_t)r));
    x_lea(e, X_64, RSP, x_at(RSP, -xmm_bytes - 8)); /* 8 + 8 + 15 * 8 + 8: aligned again */
    for (unsigned r = 0; r < 16; r++)
        x_sse_rm(e, X_MOVAPS + 1, X_XMM((uint8_t)r), x_at(RSP, (int32_t)r * 16));
    x_lea(e, X_64, RDI, x_at(RBP, -VCPU_BIAS));
    x_mov_rm(e, X_64, RSI, x64_state(STATE(fault_pc)));
    x_mov_rm(e, X_64, RDX, x64_state(STATE(fault_addr)));
    x_mov_rm(e, X_32, RCX, x64_state(STATE(fault_error)));
    x_mov_ri(e, RAX, (uintptr_t)tcg_fault_resume);
    x_byte(e, 0xfc); /* cld, as the C ABI wants; generated code never sets DF */
    x_call_r(e, RAX);
    x_mov_mr(e, X_64, x_at(RSP, xmm_bytes + 8 + 15 * 8 + 8), RAX);
    for (unsigned r = 0; r < 16; r++)
        x_sse_rm(e, X_MOVAPS, X_XMM((uint8_t)r), x_at(RSP, (int32_t)r * 16));
    load_window(e);
    x_lea(e, X_64, RSP, x_at(RSP, xmm_bytes + 8));
    for (unsigned r = 15; r-- > 0;) {
        if (r == RSP.n)
            x_lea(e, X_64, RSP, x_at(RSP, 8));
        else
            x_pop(e, X_GPR((uint8_t)r));
    }
    x_popfq(e);
    x_ret(e);
}

static uint8_t *align_stub(struct x_buf *e, const uint8_t *start)
{
    x_nop(e, (unsigned)(start - e->p) & 15);
    return e->p;
}

int x64_emit_stubs(struct x64_stubs *s, const struct code_buffer *buf)
{
    struct x_buf e = {buf->rw};
    uint8_t *stub_rel[3];
    if (buf->room < X64_STUB_ROOM)
        return -ENOSPC;
    emit_enter(&e, stub_rel);
    uint8_t *exit_at = align_stub(&e, buf->rw);
    set_stub_address(stub_rel[0], exit_at);
    emit_exit(&e);
    uint8_t *load_at = align_stub(&e, buf->rw);
    set_stub_address(stub_rel[1], load_at);
    emit_slow(&e, true);
    uint8_t *store_at = align_stub(&e, buf->rw);
    set_stub_address(stub_rel[2], store_at);
    emit_slow(&e, false);
    x64_emit_soft_stubs(s, &e, buf->rw, load_at, store_at);
    uint8_t *fault_at = align_stub(&e, buf->rw);
    emit_fault(&e);
    align_stub(&e, buf->rw);
    s->bytes = (size_t)(e.p - buf->rw);
    s->enter = (unsigned (*)(struct vcpu *, void *))(uintptr_t)buf->rx;
    s->exit_stub = buf->rx + (exit_at - buf->rw);
    s->fault_stub = buf->rx + (fault_at - buf->rw);
    s->unwind = s->exit_stub;
    return 0;
}

_Noreturn void tcg_unwind(struct vcpu *v, enum tcg_exit reason)
{
#ifdef HAVE_ASAN
    __asan_handle_no_return();
#endif
    uint64_t frame = v->host_sp, code = (unsigned)reason;
    char *state = (char *)v + VCPU_BIAS;
    __asm__ volatile("mov %0, %%rsp\n\t"
                     "mov %2, %%rbp\n\t"
                     "jmp *(%%rsp)\n\t"
                     :
                     : "d"(frame), "a"(code), "c"(state)
                     : "memory");
    __builtin_unreachable();
}
