/* SPDX-License-Identifier: MIT */
/*
 * Where to go on after a host fault in generated code (SPT mode). Runs on the vCPU's normal stack,
 * called by the fault stub, with all registers of the generated code saved.
 *
 * RAM is mapped and the access retried. Anything else goes to the site's slow path, which performs
 * the access or raises the guest fault; a site that hit a device is patched to go there at once.
 */
#include "base/log.h"
#include "base/stats.h"
#include "mmu/mmu.h"
#include "tcg/tcg_internal.h"
#include "vcpu/vcpu.h"
#include "vm.h"

#define PF_WRITE 2u /* page-fault error code, bit 1 */

static bool is_device(struct vcpu *v, hva_t addr, const struct tcg_site *site)
{
    bool priv = (site->memop & MEMOP_PRIV) && !(site->memop & MEMOP_USER);
    enum mmu_access access = site->kind == SITE_STORE ? MMU_WRITE : MMU_READ;
    struct mmu_translation tr;

    if (!mmu_translate(v, (uint32_t)(addr - v->win_base[priv]), access, priv, &tr))
        return false;
    return !ram_ptr(&v->vm->ram, tr.gpa, 1);
}

uintptr_t tcg_fault_resume(struct vcpu *v, uintptr_t host_pc, hva_t addr, uint32_t error_code)
{
    struct tcg_site site;
    uintptr_t start, slow;
    uint8_t *rx = (uint8_t *)host_pc;

    STAT_INC(&stats_vcpu[v->index], spt_faults);
    if (!tcg_find_site(v, host_pc, &site, &start) || site.kind == SITE_CALL)
        vm_bug("host fault at %#lx (address %#lx) is not a guest access", (unsigned long)host_pc,
               (unsigned long)addr);
    if (mmu_spt_fault(v, host_pc, addr, error_code & PF_WRITE, site.memop) == MMU_FAULT_RETRY)
        return host_pc;
    slow = start + site.slow_off;
    if (is_device(v, addr, &site))
        x64_patch_site_to_slow(code_rx_to_rw(v->tcg, rx), rx, site.host_len, (const uint8_t *)slow);
    return slow;
}
