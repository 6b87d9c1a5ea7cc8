/* SPDX-License-Identifier: MIT */
/* psci() and psci_smc(): the firmware call in r0-r3, by HVC or SMC (SMC calling convention). */
    .syntax unified
    .arch armv7ve
    .arch_extension virt
    .arch_extension sec
    .text
    .arm
    .global psci, psci_smc
    .type psci, %function
psci:
    hvc     #0
    bx      lr
    .type psci_smc, %function
psci_smc:
    smc     #0
    bx      lr
