/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What the two halves of the payload random share: the form in which stress/umbra_stress/program.py
 * writes programs into the image, and the test areas ("slots") that these programs change.
 *
 * A slot has one owner, the CPU that changes it, a class (how large its leaf is), two frames, and
 * is either in all address spaces (with ASIDs of their own) or in one. Its history says what
 * accesses may find: state 2k is stable, 2k + 1 the way from there to the next one.
 */
#include "lib/gic.h"
#include "lib/mmu.h"
#include "lib/probe.h"

#ifndef LPAE
#define LPAE 0
#endif

#define MAGIC      0x52b0d0a1u, 0x9c3d14e7u, 0x6f0e8b25u, 0x1d47a2c9u
#define BLOB_WORDS 16384u
#define SLOTS_MAX  8u
#define SPACES     3u
#define COMMON     0xffu /* slot->space: in all of them */
#define EVERYBODY  0xffu /* op->cpu */
#define HISTORY    64u
#define VA         0x80000000u
#define SLOT_SIZE  0x1000000u
#define POISON     0xdeadbeefu
#define DEVICE_PA                                                                    \
    0x09010000u /* the real-time clock: its identification registers are the same on \
                   every board, and it ignores stores elsewhere */

/* In a probe page of a frame. */
#define AT_STORE(c) (0x100u + 64u * (c))
#define AT_COUNTER  0x400u
#define AT_CODE     0x800u
#define AT_TAG      0xff0u /* where a device has its identification registers */
#define FUNCTIONS   8u

enum op_kind {
    OP_MAP,
    OP_UNMAP,
    OP_PROTECT,
    OP_DEVICE,
    OP_PATCH,
    OP_SPACE,
    OP_PAUSE,
    OP_SYNC,
    OP_LOAD,
    OP_LDRT,
    OP_LDM,
    OP_EXEC,
    OP_BURST, /* op->count loads in a tight loop, which ends at poison */
    OP_STORE,
    OP_STRT,
    OP_STM,
    OP_ADD,
    OP_KINDS
};
enum class { SMALL, LARGE, SECTION, SUPER };
enum kind { NONE, RW, RO, PRIV, DEVICE };
enum { WAY_MVAA, WAY_MVA, WAY_ASID, WAY_ALL, WAY_WHAT = 3, WAY_IS = 0, WAY_IPI = 4, WAY_SPLIT = 8 };

struct op {
    uint8_t op, cpu, slot, at;
    uint8_t user, kind, leaf, global;
    uint8_t way, frame, arg, spare;
    uint32_t count;
};
struct slot_def {
    uint8_t class, owner, space, code;
};
/* The image holds MAGIC, the number of programs, and the programs one after the other. */
struct program {
    uint32_t ms, cpus, slots, ops;
    struct slot_def slot[SLOTS_MAX];
    struct op op[];
};

/* What accesses find in a stable state. */
struct state {
    enum kind kind;
    uint32_t tag, code;
    unsigned frame;
};

struct slot {
    volatile uint32_t seq;
    struct slot_def def;
    uint32_t va, gen, counter;
    bool leaf, global; /* of the entries there are now */
    struct state now;  /* the owner's copy of the newest state */
    struct state past[HISTORY];
    volatile uint32_t added[MAX_CPUS]; /* increments that came to an end */
} __attribute__((aligned(64)));

extern struct slot slots[SLOTS_MAX];
extern unsigned cpus_used;

uint32_t slot_size(const struct slot *s);
uint32_t probe_offset(const struct slot *s, unsigned at);
unsigned probes(const struct slot *s);
uint8_t *frame_of(const struct slot *s, unsigned frame);

void tables_make(void);           /* CPU 0, once */
void tables_clear(void);          /* CPU 0; each CPU flushes afterwards */
void space_begin(unsigned space); /* and nothing is cached yet */
void space_enter(unsigned space);
void space_leave(void);
void entries_write(struct slot *s, const struct state *st);
/* What the slot had is shot down on all CPUs of the program; waits for it. */
void invalidate(const struct slot *s, unsigned way, unsigned at);
