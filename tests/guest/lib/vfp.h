/* SPDX-License-Identifier: MIT */
#pragma once
/* The VFP and Advanced SIMD register file, for payloads that look at it; C code never uses it. */
#include "guest.h"

#define FPEXC_EN (1u << 30)
void vfp_enable(bool on);     /* CPACR full access and FPEXC.EN, or both off */
void vfp_load(const uint64_t d[32]);
void vfp_store(uint64_t d[32]);
uint32_t vfp_read_fpscr(void);
void vfp_write_fpscr(uint32_t v);
uint32_t vfp_read_fpexc(void);
void vfp_write_fpexc(uint32_t v);
uint32_t vfp_read_fpsid(void);
uint32_t vfp_read_mvfr0(void);
uint32_t vfp_read_mvfr1(void);
