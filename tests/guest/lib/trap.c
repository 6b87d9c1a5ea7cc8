/* SPDX-License-Identifier: MIT */
/*
 * What happens after a trap: the hook of the CPU may repair and resume, an IRQ goes to the CPU's
 * handler, a catch in progress unwinds, anything else dumps the registers and ends the payload.
 * Runs on the CPU that trapped, in the exception mode, interrupts masked.  Arm ARM B1.8, B1.9.
 */
#include "guest.h"

_Static_assert(offsetof(struct cpu, catch_sp) == 0 && offsetof(struct cpu, user_sp) == 12,
               "catch.S");
_Static_assert(offsetof(struct regs, new_sp) == 80 && sizeof(struct regs) == 96, "vectors.S");

struct cpu cpus[MAX_CPUS];
const uint32_t cpu_struct_size = sizeof(struct cpu);
extern char catch_resume[];
void frame_enter(const struct regs *regs);
void trap_c(struct regs *regs);
void runtime_main(void);

/* Distance from the LR of the exception mode back to the preferred return address. */
static uint32_t lr_offset(uint32_t kind, bool thumb)
{
    switch (kind) {
    case TRAP_UNDEF:
        return thumb ? 2 : 4;
    case TRAP_DABT:
        return 8;
    case TRAP_PABT:
    case TRAP_IRQ:
    case TRAP_FIQ:
        return 4;
    default:
        return 0;
    }
}

void trap_dump(const struct regs *r)
{
    static const char *const names[] = {"none", "reset", "undef", "svc", "pabt",
                                        "dabt", "?",     "irq",   "fiq"};
    print("# trap %s cpu %u: pc %08x cpsr %08x exc_lr %08x exc_cpsr %08x\n",
          names[r->kind < 9 ? r->kind : 6], this_cpu()->index, (unsigned)r->pc, (unsigned)r->cpsr,
          (unsigned)r->exc_lr, (unsigned)r->exc_cpsr);
    for (int i = 0; i < 13; i++)
        print("%s r%d %08x", i % 7 ? "" : i ? "\n#" : "#", i, (unsigned)r->r[i]);
    print(" sp %08x lr %08x\n", (unsigned)r->sp, (unsigned)r->lr);
    print("# dfsr %08x dfar %08x ifsr %08x ifar %08x sctlr %08x ttbr0 %08x\n",
          (unsigned)read_dfsr(), (unsigned)read_dfar(), (unsigned)read_ifsr(),
          (unsigned)read_ifar(), (unsigned)read_sctlr(), (unsigned)read_ttbr0());
}

void trap_c(struct regs *regs)
{
    struct cpu *cpu = this_cpu();
    regs->pc = regs->exc_lr - lr_offset(regs->kind, regs->cpsr & PSR_T);
    cpu->traps++;
    if (cpu->hook && cpu->hook(cpu, regs))
        return;
    if (regs->kind == TRAP_IRQ && cpu->irq) {
        cpu->irq(cpu, regs);
        return;
    }
    if (!cpu->catch_sp) {
        trap_dump(regs);
        bail("unexpected trap");
    }
    cpu->trap.regs = *regs;
    cpu->trap.dfsr = read_dfsr();
    cpu->trap.dfar = read_dfar();
    cpu->trap.ifsr = read_ifsr();
    cpu->trap.ifar = read_ifar();
    regs->r[0] = regs->kind;
    if (regs->kind == TRAP_SVC && regs->pc == (uint32_t)user_exit_svc + 4) {
        cpu->result = cpu->trap.regs.r[0];
        regs->r[0] = TRAP_NONE;
    }
    regs->pc = (uint32_t)catch_resume;
    regs->cpsr = cpu->catch_cpsr & ~PSR_T;
    regs->sp = cpu->catch_sp;
    cpu->catch_sp = 0;
}

enum trap_kind catch_frame(const struct regs *regs)
{
    return catch_call((const void *)frame_enter, (uint32_t)regs, 0, 0);
}

void runtime_main(void)
{
    cpus[0].online = 1;
    param_init();
    print("# payload %s (%s), %u CPUs\n", payload_name,
#ifdef __thumb__
          "thumb",
#else
          "arm",
#endif
          smp_cpus());
    payload_main();
    tap_finish();
}
