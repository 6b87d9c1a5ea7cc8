/* SPDX-License-Identifier: MIT */
/*
 * See asimd_interleave.h. With element k of the structures in register k, memory has element 0 of
 * all registers, then element 1, ... Three elements need byte shuffles, and four of them are loaded
 * best with them. Arm ARM A8.8.323-A8.8.329, A8.8.406-A8.8.410 (multiple structures).
 *
 * Threads: the translating vCPU thread.
 */
#include "asimd_interleave.h"
#include "asimd_build.h"

#define N 0x80 /* no byte */

/* By log2 of the element; for each register what comes of the first 16 bytes, and of the last 8. */
static const uint8_t split3[3][6][16] = {
    {
        {0, 3, 6, 9, 12, 15, N, N, N, N, N, N, N, N, N, N},
        {N, N, N, N, N, N, 2, 5, N, N, N, N, N, N, N, N},
        {1, 4, 7, 10, 13, N, N, N, N, N, N, N, N, N, N, N},
        {N, N, N, N, N, 0, 3, 6, N, N, N, N, N, N, N, N},
        {2, 5, 8, 11, 14, N, N, N, N, N, N, N, N, N, N, N},
        {N, N, N, N, N, 1, 4, 7, N, N, N, N, N, N, N, N},
    },
    {
        {0, 1, 6, 7, 12, 13, N, N, N, N, N, N, N, N, N, N},
        {N, N, N, N, N, N, 2, 3, N, N, N, N, N, N, N, N},
        {2, 3, 8, 9, 14, 15, N, N, N, N, N, N, N, N, N, N},
        {N, N, N, N, N, N, 4, 5, N, N, N, N, N, N, N, N},
        {4, 5, 10, 11, N, N, N, N, N, N, N, N, N, N, N, N},
        {N, N, N, N, 0, 1, 6, 7, N, N, N, N, N, N, N, N},
    },
    {
        {0, 1, 2, 3, 12, 13, 14, 15, N, N, N, N, N, N, N, N},
        {N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N},
        {4, 5, 6, 7, N, N, N, N, N, N, N, N, N, N, N, N},
        {N, N, N, N, 0, 1, 2, 3, N, N, N, N, N, N, N, N},
        {8, 9, 10, 11, N, N, N, N, N, N, N, N, N, N, N, N},
        {N, N, N, N, 4, 5, 6, 7, N, N, N, N, N, N, N, N},
    },
};

/* For 16 bytes, and then 8, what comes of the first two registers, and of the third. */
static const uint8_t join3[3][4][16] = {
    {
        {0, 8, N, 1, 9, N, 2, 10, N, 3, 11, N, 4, 12, N, 5},
        {N, N, 0, N, N, 1, N, N, 2, N, N, 3, N, N, 4, N},
        {13, N, 6, 14, N, 7, 15, N, N, N, N, N, N, N, N, N},
        {N, 5, N, N, 6, N, N, 7, N, N, N, N, N, N, N, N},
    },
    {
        {0, 1, 8, 9, N, N, 2, 3, 10, 11, N, N, 4, 5, 12, 13},
        {N, N, N, N, 0, 1, N, N, N, N, 2, 3, N, N, N, N},
        {N, N, 6, 7, 14, 15, N, N, N, N, N, N, N, N, N, N},
        {4, 5, N, N, N, N, 6, 7, N, N, N, N, N, N, N, N},
    },
    {
        {0, 1, 2, 3, 8, 9, 10, 11, N, N, N, N, 4, 5, 6, 7},
        {N, N, N, N, N, N, N, N, 0, 1, 2, 3, N, N, N, N},
        {12, 13, 14, 15, N, N, N, N, N, N, N, N, N, N, N, N},
        {N, N, N, N, 4, 5, 6, 7, N, N, N, N, N, N, N, N},
    },
};

/* The four elements of two structures of bytes, or of halfwords, together. */
static const uint8_t split4[2][16] = {
    {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15},
    {0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15},
};

static ir_ref shuffle(struct arm_ctx *s, ir_ref x, const uint8_t *order)
{
    return asimd_vop(s, IR_VSHUFB, 1, x, ir_vconst(s->b, order));
}

static ir_ref join(struct arm_ctx *s, ir_ref x, ir_ref y)
{
    return asimd_vop(s, IR_VUNPKL, 8, x, y);
}

static ir_ref high(struct arm_ctx *s, ir_ref x)
{
    return asimd_vopi(s, IR_VSHUFD, 4, x, 0xee);
}

bool asimd_can_interleave(unsigned nelem)
{
    return nelem == 2 || ir_has_shuffles();
}

static void split_four(struct arm_ctx *s, unsigned size, const ir_ref *w, ir_ref *out)
{
    ir_ref x = join(s, w[0], w[1]), y = join(s, w[2], w[3]), first, second;

    if (size < 2) {
        x = shuffle(s, x, split4[size]);
        y = shuffle(s, y, split4[size]);
        first = asimd_vop(s, IR_VUNPKL, 4, x, y);
        second = asimd_vop(s, IR_VUNPKH, 4, x, y);
    } else {
        first = asimd_vop(s, IR_VUNPKL, 4, w[0], w[2]);
        second = asimd_vop(s, IR_VUNPKL, 4, w[1], w[3]);
    }
    out[0] = first;
    out[1] = high(s, first);
    out[2] = second;
    out[3] = high(s, second);
}

void asimd_split(struct arm_ctx *s, unsigned nelem, unsigned size, const ir_ref *w, ir_ref *out)
{
    ir_ref x;

    if (nelem == 4) {
        split_four(s, size, w, out);
        return;
    }
    x = join(s, w[0], w[1]);
    if (nelem == 2) {
        out[0] = asimd_truncate(s, size, x);
        out[1] = asimd_high_halves(s, size, x);
        return;
    }
    for (unsigned k = 0; k < 3; k++) {
        out[k] = asimd_vop(s, IR_VOR, 8, shuffle(s, x, split3[size][2 * k]),
                           shuffle(s, w[2], split3[size][2 * k + 1]));
    }
}

static void join_three(struct arm_ctx *s, unsigned size, const ir_ref *r, ir_ref *w)
{
    ir_ref x = join(s, r[0], r[1]);

    for (unsigned k = 0; k < 2; k++) {
        w[2 * k] = asimd_vop(s, IR_VOR, 8, shuffle(s, x, join3[size][2 * k]),
                             shuffle(s, r[2], join3[size][2 * k + 1]));
    }
    w[1] = high(s, w[0]);
}

void asimd_join(struct arm_ctx *s, unsigned nelem, unsigned size, const ir_ref *r, ir_ref *w)
{
    unsigned lane = 1u << size;
    ir_ref x, y;

    if (nelem == 3) {
        join_three(s, size, r, w);
        return;
    }
    x = asimd_vop(s, IR_VUNPKL, lane, r[0], r[1]);
    w[0] = x;
    if (nelem == 4) {
        y = asimd_vop(s, IR_VUNPKL, lane, r[2], r[3]);
        w[0] = asimd_vop(s, IR_VUNPKL, 2 * lane, x, y);
        w[2] = asimd_vop(s, IR_VUNPKH, 2 * lane, x, y);
        w[3] = high(s, w[2]);
    }
    w[1] = high(s, w[0]);
}
