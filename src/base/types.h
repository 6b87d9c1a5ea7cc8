/* SPDX-License-Identifier: MIT */
/*
 * The address types every module shares. A guest virtual, a guest physical and a host virtual
 * address never mix without a function whose name has `_to_` in it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t gva_t; /* guest virtual address; ARMv7 uses the low 32 bits */
typedef uint64_t gpa_t; /* guest physical address; 40 bits with LPAE */
typedef uintptr_t hva_t; /* host virtual address */

#define GUEST_PAGE_BITS 12
#define GUEST_PAGE_SIZE ((uint64_t)1 << GUEST_PAGE_BITS)
#define GUEST_PAGE_MASK (~(GUEST_PAGE_SIZE - 1))

#define CACHE_LINE 64

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
