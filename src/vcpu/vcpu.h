/* SPDX-License-Identifier: MIT */
/*
 * struct vcpu: one guest CPU, run by one host thread (invariant I-6), and the calls by which other
 * modules and threads reach it.
 *
 * Fields are grouped by writer. Generated code addresses the state through RBP = vcpu +
 * VCPU_BIAS, so that the hottest 256 bytes have one-byte displacements.
 * Guest state rules (ARMv7-A front end):
 *  - r[15] is the guest PC at block boundaries and after vcpu_restore_state(); not in between.
 *  - NZCV: N = bit 31 of nf; Z = (zf == 0); C = cf (0/1); V = vf (0/1). Q = qf (0/1). GE = ge (4
 * bits).
 *  - CPSR.T, E and IT live only in exec_flags; CPSR.M, A, I, F in cpsr_rest.
 * arm_cpsr_read()/write() assemble and distribute the whole register, bank registers and refresh
 * exec_flags.
 */
#pragma once

#include "base/types.h"
#include "vcpu/debug.h"
#include <stdatomic.h>
#include <pthread.h>
#include <stdio.h>

#define VCPU_MAX   8 /* GICv2 */
#define VCPU_BIAS  128

/*
 * exec_flags: everything besides the PC that decides what a block's code looks like. Blocks are
 * keyed by (physical pc, virtual pc, exec_flags).
 */
#define EXEC_T     (1u << 0) /* Thumb */
#define EXEC_E     (1u << 1) /* big-endian data */
#define EXEC_PRIV  (1u << 2) /* any mode but User */
/*
 * FPEXC.EN is 0. In no vCPU's exec_flags: kernels enable VFP for a process when it first uses it,
 * and most code would be there twice. Blocks with VFP instructions check at their entry, and the
 * run loop runs a block with this flag, in which they are undefined, where the check fails.
 */
#define EXEC_FPOFF (1u << 3)
#define EXEC_ALIGN (1u << 4) /* SCTLR.A: all accesses checked */
#define EXEC_NEON  (1u << 5) /* Advanced SIMD not disabled (CPACR.ASEDIS) */
#define EXEC_FPSPECIAL \
    (1u << 6) /* FPSCR has LEN, STRIDE or a rounding mode but RN: no inline scalar FP */
#define EXEC_CPACR                                                                            \
    (1u << 7) /* CPACR grants cp10/cp11 at this privilege (FPEXC may still disable: then only \
                 VMRS/VMSR of FPEXC, FPSID, MVFR work) */
#define EXEC_WINDOW   (1u << 16) /* accesses go through SPT windows; else through the soft TLB */
#define EXEC_IT_SHIFT 8          /* CPSR.IT[7:0] at bits 15:8 */
#define EXEC_IT_MASK  (0xffu << EXEC_IT_SHIFT)
#define EXEC_FZ       (1u << 17) /* FPSCR.FZ */
_Static_assert(!(EXEC_FZ & (EXEC_WINDOW | EXEC_IT_MASK)), "one meaning for each bit");

/* Poll word bits: reasons to leave generated code at the next poll. */
#define POLL_IRQ      (1u << 0) /* an interrupt line changed: re-evaluate */
#define POLL_MMU      (1u << 1) /* mmu_serve_requests() has work */
#define POLL_CODE     (1u << 2) /* translated code of this vCPU must be invalidated */
#define POLL_STOP     (1u << 3) /* leave the run loop (shutdown, reset) */
#define POLL_POWER    (1u << 4) /* PSCI: power state changed */
#define POLL_PAUSE    (1u << 5) /* vm_pause(): park in the run loop */

enum arm_mode {
    ARM_USR = 0x10,
    ARM_FIQ = 0x11,
    ARM_IRQ = 0x12,
    ARM_SVC = 0x13,
    ARM_ABT = 0x17,
    ARM_UND = 0x1b,
    ARM_SYS = 0x1f,
};
enum arm_bank { BANK_USR, BANK_FIQ, BANK_IRQ, BANK_SVC, BANK_ABT, BANK_UND, BANK_COUNT };

/* Guest exceptions, in the order of the vector table. */
enum arm_exception {
    ARM_EXC_RESET,
    ARM_EXC_UNDEF,
    ARM_EXC_SVC,
    ARM_EXC_PABT,
    ARM_EXC_DABT,
    ARM_EXC_HYP,
    ARM_EXC_IRQ,
    ARM_EXC_FIQ,
    ARM_EXC_NONE,
};

struct softtlb_entry {
    uint64_t tag[3]; /* by enum mmu_access: page | flags | context << 32; all ones = invalid */
    uint64_t addend; /* host address (flat view) = addend + gva */
};
#define SOFTTLB_BITS 10
#define SOFTTLB_SIZE (1u << SOFTTLB_BITS)
/* A page has two places, by the context's bank (soft_bank, 0 or SOFTTLB_BANK entries apart):
 * kernels go to and fro between two contexts at each system call, and use the same pages in both.
 */
#define SOFTTLB_BANK 0x155u

struct jump_cache_entry {
    uint32_t pc;
    uint32_t gpa_page; /* physical page number of the block; all ones: it lies in two pages */
    uint64_t key;      /* exec_flags | jump_tag */
    void *code;
    void *tb;
};
#define JUMP_GENERATION (UINT64_C(0xffff) << 48) /* in a key */
#define JUMP_CACHE_BITS 15
#define JUMP_CACHE_SIZE (1u << JUMP_CACHE_BITS)
/* Spreads pages over the whole cache; generated code computes the same (x64_exit.c). */
static inline uint32_t jump_cache_index(uint64_t pc)
{
    return (uint32_t)((pc ^ pc >> 9) >> 2) & (JUMP_CACHE_SIZE - 1);
}

/*
 * The fetch cache: which physical page is executed at a virtual page, so that direct jumps into
 * another page need no look-up of their own: they compare with the page they were linked to.
 */
struct fetch_cache_entry {
    uint64_t key;      /* page | FETCH_PRIV | jump_tag; all ones = invalid */
    uint32_t gpa_page; /* page number of the physical page */
    uint32_t unused;
};
#define FETCH_CACHE_BITS 13
#define FETCH_CACHE_SIZE (1u << FETCH_CACHE_BITS)
#define FETCH_PRIV       1u /* fetched by privileged code */
/* Generated code computes the same (x64_exit.c). */
static inline uint32_t fetch_cache_index(uint64_t pc)
{
    return (uint32_t)(pc >> GUEST_PAGE_BITS) & (FETCH_CACHE_SIZE - 1);
}

#define HOT_COUNTERS 16384u

struct vm;
struct tcg;
struct mmu_vcpu;
struct arm_sys;

struct vcpu {
    /* ---- generated code and the owning thread ---- */
    uint32_t r[16];
    uint32_t nf, zf, cf, vf;
    uint32_t qf, ge;
    uint32_t exec_flags;
    uint32_t ctx_id;       /* current translation context (mmu), 16 bits used */
    uint64_t ctx_tag;      /* ctx_id << 32, or'ed into soft-TLB tags */
    uint64_t class_tag;    /* the same of the kernel class (context.c), for privileged code fetch */
    uint32_t soft_bank;    /* exclusive-or'ed into the byte offset of a soft-TLB entry */
    uint64_t jump_tag[2];  /* ctx_tag, class_tag; with JUMP_GENERATION in the upper bits */
    hva_t win_base[2];     /* SPT window base: [0] user, [1] privileged */
    _Atomic uint32_t poll; /* also set by other threads */
    int32_t soft_credit;   /* soft-TLB hits of window code until the next sample */
    uint32_t mxcsr; /* guest MXCSR while in generated code (rounding; sticky flags collect here on
                       exit) */
    uint32_t host_mxcsr;
    uint32_t exit_arg; /* link slot of TCG_EXIT_LINK */
    void *exit_tb;     /* block that left for TCG_EXIT_LINK */
    hva_t host_sp;     /* RSP to return to the run loop with (tcg_unwind) */
    _Alignas(16) union {
        uint64_t d[32];
        uint32_t s[64];
        uint8_t v[256];
    } vfp;
    uint32_t fpscr_rest; /* FPSCR without NZCV (31:28 live in fpscr_nzcv) and without what MXCSR
                            holds pending */
    uint32_t fpscr_nzcv; /* bits 31:28 */
    _Alignas(
        16) uint32_t float_arg[3][4]; /* operands and result of packed floating-point helpers */
    uint8_t fpscr_qc[16];             /* not zero: QC is set, too; vector code gathers it here */
    uint32_t fpexc;
    uint32_t exec_mmu[2]; /* EXEC_WINDOW or 0 for user and privileged code, chosen by src/mmu */
    uint32_t tpidrurw, tpidruro,
        tpidrprw; /* thread registers: generated code reads them directly */
    struct jump_cache_entry jump_cache[JUMP_CACHE_SIZE];
    struct fetch_cache_entry fetch_cache[FETCH_CACHE_SIZE];
    struct softtlb_entry softtlb[2][SOFTTLB_SIZE]; /* [0] user, [1] privileged */
    uint32_t hot[HOT_COUNTERS]; /* entries of blocks, counted down (tcg/region.c) */

    /* ---- owning thread ---- */
    _Alignas(CACHE_LINE) struct vm *vm;
    unsigned index;                                    /* 0 .. smp-1; also the MPIDR affinity 0 */
    uint32_t cpsr_rest;                                /* M, A, I, F */
    uint32_t bank_r13[BANK_COUNT], bank_r14[BANK_COUNT], bank_spsr[BANK_COUNT];
    uint32_t bank_r8_12[2][5]; /* [0] all but FIQ, [1] FIQ, while not current */
    enum arm_exception exc;    /* pending synchronous exception, taken by the run loop */
    uint32_t exc_fsr;          /* IFSR/DFSR value for aborts, in the current format */
    uint32_t exc_far;
    struct {
        bool armed;
        uint32_t addr, size; /* physical granule key is the monitor's business */
        uint64_t value;
        uint64_t gpa;
        uint64_t version;
    } excl;          /* local exclusive monitor */
    struct tcg *tcg; /* translator state, code cache */
    struct mmu_vcpu *mmu;
    struct arm_sys *sys; /* CP15/CP14 registers, generic timer, PMU */
    /* Host fault in generated code, stored by the SIGSEGV handler for the fault stub. */
    uintptr_t fault_pc;
    hva_t fault_addr;
    uint32_t fault_error; /* x86 page-fault error code */
    struct vcpu_debug debug;
    /* Waiting for others (vcpu_event.c). */
    unsigned in_vain; /* dozes in a row that ended without a reason */
    unsigned yields;  /* YIELDs in a row */
    uint64_t yielded_ns;

    /* ---- other threads ---- */
    _Alignas(CACHE_LINE) _Atomic uint32_t
        in_guest;                         /* 1: generated code or a helper of it; 0: quiescent */
    _Atomic uint32_t irq_lines;           /* bit 0 IRQ, bit 1 FIQ, level */
    _Atomic uint32_t powered;             /* PSCI: 0 off, 1 on pending, 2 on */
    _Atomic uint32_t halted;              /* futex word: enum vcpu_halted */
    _Atomic uint32_t event;               /* event register (SEV, exclusive clears) */
    _Atomic uint32_t power_pc, power_arg; /* where PSCI CPU_ON starts it: r15 and r0 */
    pthread_t thread;
    _Atomic int32_t host_tid;             /* of the thread that runs it, 0: none */
};

/* vcpu->halted */
enum vcpu_halted { AWAKE, HALTED_WFI /* or off */, HALTED_WFE /* events end it, too */ };

/* vcpu->powered */
enum vcpu_power { VCPU_OFF, VCPU_POWER_CLAIMED, VCPU_ON_PENDING, VCPU_ON };

#define VCPU_IRQ_LINE 1u
#define VCPU_FIQ_LINE 2u

/* ---- life cycle (vcpu_run.c) ---- */
int vcpu_create(struct vm *vm, unsigned index, struct vcpu **out) MUST_CHECK; /* -errno */
void vcpu_destroy(struct vcpu *v);
void *vcpu_thread_main(void *vcpu);
/* Reset to the architected state; start at pc with r0 = arg (boot protocol, PSCI CPU_ON). */
void vcpu_reset(struct vcpu *v, gva_t pc, uint32_t r0);
struct vcpu *vcpu_current(void); /* the calling thread's vCPU, NULL for other threads */

/* ---- from any thread ---- */
/* One line on what it does, for the user: fields of the owner are read as they happen to be. */
void vcpu_print_status(FILE *f, const struct vcpu *v);
/* Set poll bits and make sure the vCPU notices: wakes it when asleep. */
void vcpu_kick(struct vcpu *v, uint32_t poll_bits);
/* Drive an interrupt line (GIC). Cheap when the level does not change. */
void vcpu_set_irq(struct vcpu *v, uint32_t line, bool level);
void vcpu_send_events(struct vm *vm); /* SEV */
/*
 * Power on at pc with r0 = arg (PSCI CPU_ON): false when it is on, or already being switched on.
 * Any thread.
 */
bool vcpu_power_on(struct vcpu *v, uint32_t pc, uint32_t arg);
/* The owner switches itself off; it takes effect when it is back in the run loop. */
void vcpu_power_off_self(struct vcpu *v);

/*
 * Quiescence, for whoever waits for a vCPU (I-2). A vCPU is quiescent when in_guest == 0: it holds
 * no translated host address and serves all requests before it sets in_guest again.
 * vcpu_quiescent_begin/end bracket blocking work of the owner (DSB wait, WFI, blocking I/O).
 */
void vcpu_quiescent_begin(struct vcpu *v);
void vcpu_quiescent_end(struct vcpu *v); /* serves requests first */

/* ---- owning thread ---- */
/* Sleep until an interrupt line, an event or a kick. */
void vcpu_wait_for_interrupt(struct vcpu *v);
void vcpu_wait_for_event(struct vcpu *v);
/* Raise a guest exception from a helper called by generated code. `ra` is the return address into
   generated code: guest PC and IT state are recovered from the side table. Does not return. */
_Noreturn void vcpu_raise(struct vcpu *v, uintptr_t ra, enum arm_exception e, uint32_t fsr,
                          gva_t far);
/* Recover guest PC and IT state at `ra` without leaving. */
void vcpu_restore_state(struct vcpu *v, uintptr_t ra);
/* Return address of the helper that uses it: only directly inside a function called from generated
 * code. */
#define VCPU_RA() ((uintptr_t)__builtin_return_address(0))
