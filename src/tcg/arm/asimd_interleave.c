/* SPDX-License-Identifier: MIT */
/*
 * See asimd_interleave.h. With element k of the structures in register k, memory has element 0 of
 * all registers, then element 1, ... Called from generated code on the vCPU's own thread. Arm ARM
 * A8.8.323-A8.8.329, A8.8.406-A8.8.410 (multiple structures).
 */
#include "asimd_interleave.h"

#include <string.h>

#define ARG_NELEM(arg)  ((arg) >> 5 & 7)
#define ARG_INC(arg)    ((arg) >> 8 & 3)
#define ARG_GROUPS(arg) ((arg) >> 10 & 3)

static inline uint8_t *bytes_of(struct vcpu *v, unsigned d)
{
    return v->vfp.v + 8 * d;
}

static inline __attribute__((always_inline)) void deinterleave(struct vcpu *v, uint32_t arg,
                                                               unsigned size)
{
    unsigned nelem = ARG_NELEM(arg), inc = ARG_INC(arg);

    for (unsigned g = 0; g < ARG_GROUPS(arg); g++) {
        unsigned first = ARG_FD(arg) + g;
        uint8_t memory[32];

        for (unsigned k = 0; k < nelem; k++) {
            memcpy(memory + 8 * k, bytes_of(v, first + k * inc), 8);
        }
        for (unsigned k = 0; k < nelem; k++) {
            uint8_t *reg = bytes_of(v, first + k * inc);

            for (unsigned i = 0; i < 8 / size; i++) {
                memcpy(reg + i * size, memory + (i * nelem + k) * size, size);
            }
        }
    }
}

static inline __attribute__((always_inline)) uint64_t interleave(struct vcpu *v, uint32_t arg,
                                                                 uint32_t index, unsigned size)
{
    unsigned nelem = ARG_NELEM(arg), per = 8 / size;
    uint64_t r = 0;

    for (unsigned i = 0; i < per; i++) {
        unsigned at = index * per + i;
        uint64_t element = 0;

        memcpy(&element, bytes_of(v, ARG_FD(arg) + at % nelem * ARG_INC(arg)) + at / nelem * size,
               size);
        r |= element << 8 * size * i;
    }
    return r;
}

static void deinterleave_8(struct vcpu *v, uint32_t arg)
{
    deinterleave(v, arg, 1);
}

static void deinterleave_16(struct vcpu *v, uint32_t arg)
{
    deinterleave(v, arg, 2);
}

const struct asimd_fn asimd_deinterleave[2] = {{"deinterleave_8", deinterleave_8},
                                               {"deinterleave_16", deinterleave_16}};

uint64_t asimd_interleave_8(struct vcpu *v, uint32_t arg, uint32_t index)
{
    return interleave(v, arg, index, 1);
}

uint64_t asimd_interleave_16(struct vcpu *v, uint32_t arg, uint32_t index)
{
    return interleave(v, arg, index, 2);
}
