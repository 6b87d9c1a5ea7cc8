/* SPDX-License-Identifier: MIT */
/*
 * Physical memory that is not RAM: external aborts from holes, on page-table walks and on fetches;
 * device registers accessed by every kind of load and store; the board's PL011, PL031, PL061,
 * virtio-mmio slots and fw_cfg at their addresses.  Arm ARM B3.12.  One CPU.
 */
#include "lib/gic.h"
#include "lib/mmu.h"
#include "lib/probe.h"
#include "lib/snip.h"

const char payload_name[] = "bus";

#define HOLE        0x0c000000u /* nothing is there on this board */
#define VA          0x80000000u
#define FS_EXTERNAL 8u
#define FS_WALK_1   12u
#define FS_WALK_2   14u
#define UART        0x09000000u
#define RTC         0x09010000u
#define FWCFG       0x09020000u
#define GPIO        0x09030000u
#define VIRTIO      0x0a000000u

static void test_holes(void)
{
    struct trap *t = &this_cpu()->trap;
    struct matrix m = {.name = "external abort from a hole"};
    flat_l1[VA >> 20] = L1_SECTION(HOLE) | S_DEVICE | S_AP(AP_RW_RW);
    tlb_flush_all();
    for (enum access a = ACC_READ; a <= ACC_STRT; a++) {
        for (unsigned user = 0; user < 2; user++) {
            if (a == ACC_EXEC || (user && a >= ACC_LDRT))
                continue;
            case_eq(&m, probe(a, user, VA + 0x124, 0), TRAP_DABT, "%s kind", access_names[a]);
            case_eq(&m, FSR_FS(t->dfsr), FS_EXTERNAL, "%s status", access_names[a]);
            case_eq(&m, t->dfar, VA + 0x124, "%s DFAR", access_names[a]);
            case_eq(&m, t->dfsr & FSR_WNR, access_is_write(a) ? FSR_WNR : 0, "%s WnR",
                    access_names[a]);
        }
    }
    matrix_end(&m);
    /* and then RAM again through the same address */
    uint32_t *page = mem_alloc(1u << 20, 1u << 20);
    page[73] = 4711;
    pte_set(&flat_l1[VA >> 20], L1_SECTION(page) | S_NORMAL | S_AP(AP_RW_RW));
    tlb_flush_all();
    tap_ok(probe(ACC_READ, true, VA + 292, 0) == TRAP_NONE && this_cpu()->result == 4711,
           "RAM where the hole was");
    pte_set(&flat_l1[VA >> 20], L1_SECTION(HOLE) | S_NORMAL | S_AP(AP_RW_RW));
    tlb_flush_all();
    tap_eq(probe(ACC_EXEC, false, VA + 0x40, 0), TRAP_PABT, "fetch from a hole");
    tap_eq(FSR_FS(t->ifsr), FS_EXTERNAL, "its status");
    tap_eq(t->ifar, VA + 0x40, "its IFAR");
    pte_set(&flat_l1[VA >> 20], 0);
    tlb_flush_all();
}

static void test_walks(void)
{
    struct trap *t = &this_cpu()->trap;
    struct matrix m = {.name = "external abort on a page-table walk"};
    flat_l1[VA >> 20] = L1_TABLE(HOLE, 0);
    tlb_flush_all();
    case_eq(&m, probe(ACC_READ, false, VA + 8, 0), TRAP_DABT, "read");
    case_eq(&m, FSR_FS(t->dfsr), FS_WALK_2, "level 2 status");
    case_eq(&m, t->dfar, VA + 8, "DFAR");
    case_eq(&m, probe(ACC_EXEC, true, VA + 8, 0), TRAP_PABT, "fetch");
    case_eq(&m, FSR_FS(t->ifsr), FS_WALK_2, "level 2 status of a fetch");
    flat_l1[VA >> 20] = 0;
    tlb_flush_all();
    /* TTBR0 of the low half in a hole: our code is in TTBR1's part */
    mmu_switch(HOLE, (uint32_t)flat_l1 | TTBR_ATTR, 2);
    enum trap_kind kind = probe(ACC_READ, false, 0x1000, 0);
    uint32_t dfsr = t->dfsr, dfar = t->dfar;
    mmu_flat_restore(); /* the console was out of reach, too */
    case_eq(&m, kind, TRAP_DABT, "level 1");
    case_eq(&m, FSR_FS(dfsr), FS_WALK_1, "level 1 status");
    case_eq(&m, dfar, 0x1000, "level 1 DFAR");
    matrix_end(&m);
}

SNIP(dev_ldm, "ldm r0, {r1, r2, r3, r4}\n");
SNIP(dev_ldrd, "ldrd r2, r3, [r0]\n");
SNIP(dev_ldrb, "ldrb r1, [r0]\n ldrb r2, [r0, #1]\n");
SNIP(dev_pre, "ldr r1, [r0, #4]!\n");
SNIP(dev_stm, "stm r0!, {r1, r2}\n");
SNIP(dev_be, "setend be\n ldr r1, [r0]\n setend le\n");
SNIP(dev_loop, "mov r5, #0\n1: ldr r1, [r0]\n add r5, r5, r1\n subs r2, r2, #1\n bne 1b\n");

/* GICD_IPRIORITYR of SPIs holds what we write; byte and word accesses are architected. */
static void test_device_accesses(void)
{
    struct matrix m = {.name = "device registers by every kind of access"};
    struct trap *t = &this_cpu()->trap;
    struct regs in;
    uint32_t reg = GICD + GICD_IPRIORITYR + 64;
    for (unsigned k = 0; k < 8; k++) {
        bool thumb = k & 1;
        for (unsigned i = 0; i < 4; i++)
            gicd_write(GICD_IPRIORITYR + 64 + 4 * i, 0x10203040 + 0x80808080u * (i & 1));
        regs_init(&in, k & 2 ? MODE_USR : MODE_SYS);
        in.r[0] = reg;
        case_eq(&m, snip_run(&in, thumb ? dev_ldm_thumb : dev_ldm_arm), TRAP_SVC, "LDM");
        case_eq(&m, t->regs.r[1], 0x10203040, "LDM first");
        case_eq(&m, t->regs.r[2], 0x90a0b0c0, "LDM second");
        case_eq(&m, t->regs.r[4], 0x90a0b0c0, "LDM fourth");
        case_eq(&m, snip_run(&in, thumb ? dev_ldrd_thumb : dev_ldrd_arm), TRAP_SVC, "LDRD");
        case_eq(&m, t->regs.r[2], 0x10203040, "LDRD first");
        case_eq(&m, t->regs.r[3], 0x90a0b0c0, "LDRD second");
        case_eq(&m, snip_run(&in, thumb ? dev_ldrb_thumb : dev_ldrb_arm), TRAP_SVC, "LDRB");
        case_eq(&m, t->regs.r[1], 0x40, "LDRB 0");
        case_eq(&m, t->regs.r[2], 0x30, "LDRB 1");
        case_eq(&m, snip_run(&in, thumb ? dev_pre_thumb : dev_pre_arm), TRAP_SVC, "pre-indexed");
        case_eq(&m, t->regs.r[1], 0x90a0b0c0, "pre-indexed value");
        case_eq(&m, t->regs.r[0], reg + 4, "pre-indexed base");
        case_eq(&m, snip_run(&in, thumb ? dev_be_thumb : dev_be_arm), TRAP_SVC, "big-endian");
        case_eq(&m, t->regs.r[1], 0x40302010, "big-endian value");
        in.r[1] = 0x50505050;
        in.r[2] = 0x60606060;
        case_eq(&m, snip_run(&in, thumb ? dev_stm_thumb : dev_stm_arm), TRAP_SVC, "STM");
        case_eq(&m, t->regs.r[0], reg + 8, "STM base");
        case_eq(&m, load32(reg), 0x50505050, "STM first");
        case_eq(&m, load32(reg + 4), 0x60606060, "STM second");
        /* one site, many rounds: device, RAM, device */
        static uint32_t ram = 3;
        for (unsigned r = 0; r < 6; r++) {
            in.r[0] = r & 1 ? (uint32_t)&ram : reg;
            in.r[2] = 100;
            case_eq(&m, snip_run(&in, thumb ? dev_loop_thumb : dev_loop_arm), TRAP_SVC, "loop");
            case_eq(&m, t->regs.r[5], 100 * (r & 1 ? 3 : 0x50505050u), "loop sum %u", r);
        }
    }
    matrix_end(&m);
}

static void primecell(struct matrix *m, const char *name, uint32_t base, uint32_t part)
{
    case_eq(m, (load32(base + 0xfe0) & 255) | (load32(base + 0xfe4) & 15) << 8, part, "%s part",
            name);
    for (unsigned i = 0; i < 4; i++)
        case_eq(m, load32(base + 0xff0 + 4 * i) & 255, (0xb105f00du >> 8 * i) & 255,
                "%s PrimeCell id %u", name, i);
}

static void test_board(void)
{
    struct matrix m = {.name = "devices at the board's addresses"};
    primecell(&m, "PL011", UART, 0x011);
    primecell(&m, "PL031", RTC, 0x031);
    primecell(&m, "PL061", GPIO, 0x061);
    for (unsigned i = 0; i < 32; i++)
        case_eq(&m, load32(VIRTIO + i * 0x200), 0x74726976, "virtio-mmio slot %u", i);
    *(volatile uint16_t *)(FWCFG + 8) = 0; /* signature: the selector is big-endian, as is 0 */
    static const char sig[] = "QEMU";
    for (unsigned i = 0; i < 4; i++)
        case_eq(&m, *(volatile uint8_t *)FWCFG, (uint8_t)sig[i], "fw_cfg signature %u", i);
    matrix_end(&m);
    uint32_t rtc = load32(RTC);
    tap_ok(rtc > 1600000000u, "PL031 shows the time of day");
    delay_ms(1100);
    tap_ok(load32(RTC) - rtc >= 1 && load32(RTC) - rtc < 5, "and counts seconds");
    store32(RTC + 8, 1000000); /* load register */
    tap_ok(load32(RTC) - 1000000 < 5, "PL031 can be set");
}

/* The transmit interrupt of the PL011 is a level on SPI 1. */
static void test_uart_irq(void)
{
    gic_init_dist();
    gic_init_cpu();
    gic_enable(33);
    uint32_t cr = load32(UART + 0x30);
    store32(UART + 0x30, 0x301);
    store32(UART + 0x44, 0x7ff);
    store32(UART + 0x38, 1u << 5);
    uart_putc('#');
    uart_putc('\n');
    uint64_t end = now() + 2000ull * ticks_per_ms();
    while (!gic_is_pending(33) && now() < end)
        ;
    tap_ok(gic_is_pending(33), "PL011 transmit interrupt is pending");
    tap_eq(load32(UART + 0x40) & 1u << 5, 1u << 5, "masked status shows it");
    store32(UART + 0x44, 1u << 5);
    dsb();
    tap_ok(!gic_is_pending(33), "cleared at the device, gone at the GIC");
    store32(UART + 0x38, 0);
    store32(UART + 0x30, cr);
    gic_disable(33);
}

void payload_main(void)
{
    test_holes();
    test_walks();
    test_device_accesses();
    test_board();
    test_uart_irq();
}
