/* SPDX-License-Identifier: MIT */
/*
 * Device access to guest RAM: bounds-checked copies that also tell the translator about written
 * pages.
 */
#pragma once

#include "base/types.h"

struct vm;

/* False: some of the range is not RAM; nothing was copied. Any thread. */
bool dma_read(struct vm *vm, gpa_t gpa, void *buf, uint64_t len);
bool dma_write(struct vm *vm, gpa_t gpa, const void *buf, uint64_t len);
