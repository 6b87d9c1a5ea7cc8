/* SPDX-License-Identifier: MIT */
/*
 * Registers of a vCPU as text, for the monitor. Called while the vCPU is parked (suffix _stopped):
 * its state is complete in struct vcpu.
 */
#include "vcpu/arm_sys_internal.h"

#include <inttypes.h>

static const struct {
    uint32_t mode;
    const char *name;
} modes[] = {
    {ARM_USR, "usr"}, {ARM_FIQ, "fiq"}, {ARM_IRQ, "irq"}, {ARM_SVC, "svc"},
    {ARM_ABT, "abt"}, {ARM_UND, "und"}, {ARM_SYS, "sys"},
};

static const char *mode_name(uint32_t psr)
{
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        if (modes[i].mode == (psr & 0x1f))
            return modes[i].name;
    }
    return "?";
}

void arm_psr_name(uint32_t psr, char out[32])
{
    snprintf(out, 32, "%c%c%c%c%s %c%c%c %s %s", psr >> 31 & 1 ? 'N' : '-',
             psr >> 30 & 1 ? 'Z' : '-', psr >> 29 & 1 ? 'C' : '-', psr >> 28 & 1 ? 'V' : '-',
             psr >> 27 & 1 ? "Q" : "", psr >> 8 & 1 ? 'A' : '-', psr >> 7 & 1 ? 'I' : '-',
             psr >> 6 & 1 ? 'F' : '-', psr >> 5 & 1 ? "thumb" : "arm", mode_name(psr));
}

static void dump_banks(struct vcpu *v, FILE *f)
{
    static const uint32_t banked[] = {ARM_USR, ARM_FIQ, ARM_IRQ, ARM_SVC, ARM_ABT, ARM_UND};

    for (size_t i = 0; i < ARRAY_SIZE(banked); i++) {
        if (arm_mode_bank(banked[i]) == arm_mode_bank(arm_mode(v)))
            continue;
        fprintf(f, "%s: R13=%08x R14=%08x", mode_name(banked[i]), *arm_banked_reg(v, banked[i], 13),
                *arm_banked_reg(v, banked[i], 14));
        if (banked[i] != ARM_USR)
            fprintf(f, " SPSR=%08x", v->bank_spsr[arm_mode_bank(banked[i])]);
        fputc('\n', f);
    }
}

static void dump_system(struct vcpu *v, FILE *f)
{
    const struct arm_mmu_regs *r = arm_mmu_regs(v);

    fprintf(f, "SCTLR=%08x TTBCR=%08x TTBR0=%" PRIx64 " TTBR1=%" PRIx64 " DACR=%08x\n", r->sctlr,
            r->ttbcr, r->ttbr0, r->ttbr1, r->dacr);
    fprintf(f, "CONTEXTIDR=%08x VBAR=%08x DFSR=%08x DFAR=%08x IFSR=%08x IFAR=%08x\n",
            r->contextidr, r->vbar, r->dfsr, r->dfar, r->ifsr, r->ifar);
}

void arm_dump_registers_stopped(struct vcpu *v, FILE *f)
{
    uint32_t cpsr = arm_cpsr_read(v);
    char name[32];

    fprintf(f, "CPU %u\n", v->index);
    for (unsigned i = 0; i < 16; i++)
        fprintf(f, "R%02u=%08x%c", i, v->r[i], i % 4 == 3 ? '\n' : ' ');
    arm_psr_name(cpsr, name);
    fprintf(f, "PSR=%08x %s", cpsr, name);
    if (arm_mode_bank(arm_mode(v)) != BANK_USR)
        fprintf(f, " SPSR=%08x", arm_spsr_read(v));
    fputc('\n', f);
    dump_banks(v, f);
    dump_system(v, f);
    for (unsigned i = 0; i < 32; i++)
        fprintf(f, "d%02u=%016" PRIx64 "%c", i, v->vfp.d[i], i % 4 == 3 ? '\n' : ' ');
    fprintf(f, "FPSCR=%08x FPEXC=%08x\n", v->fpscr_nzcv | v->fpscr_rest, v->fpexc);
}
