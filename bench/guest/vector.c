/* SPDX-License-Identifier: MIT */
/*
 * Micro-benchmarks of VFP and Advanced SIMD for bench/vector: each kernel runs alone for a while
 * and its CPU time and a checksum are printed ("UMBRA-VECTOR name seconds checksum"). The checksum
 * is the same on every emulator. With an argument only that kernel runs.
 */
#include <arm_neon.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define N 4096

static double d1[N], d2[N];
static float f1[N], f2[N], f3[N];
static int32_t words[N];
static uint8_t b1[3 * N], b2[3 * N], b3[3 * N];
static int16_t h1[N], h2[N], h3[N];

static void flush_to_zero(int on)
{
    uint32_t fpscr;

    __asm__ volatile("vmrs %0, fpscr" : "=r"(fpscr));
    fpscr = on ? fpscr | 1u << 24 : fpscr & ~(1u << 24);
    __asm__ volatile("vmsr fpscr, %0" ::"r"(fpscr));
}

static double sum(const void *data, size_t bytes)
{
    const uint8_t *p = data;
    uint32_t s = 0;

    for (size_t i = 0; i < bytes; i++)
        s = s * 31 + p[i];
    return s;
}

/* ---- scalars ---- */
static double dot(void)
{
    double s = 0;

    for (unsigned r = 0; r < 4000; r++)
        for (unsigned i = 0; i < N; i++)
            s += d1[i] * d2[i];
    return s;
}

static double dot_fz(void)
{
    double s;

    flush_to_zero(1);
    s = dot();
    flush_to_zero(0);
    return s;
}

static double fused(void)
{
    double s = 0;

    for (unsigned r = 0; r < 4000; r++)
        for (unsigned i = 0; i < N; i++)
            s = fma(d1[i], d2[i], s);
    return s;
}

static double divide(void)
{
    double s = 0;

    for (unsigned r = 0; r < 1500; r++)
        for (unsigned i = 0; i < N; i++)
            s += d1[i] / sqrt(d2[i]);
    return s;
}

static double compare(void)
{
    double high = 0;
    unsigned n = 0;

    for (unsigned r = 0; r < 3000; r++)
        for (unsigned i = 0; i < N; i++) {
            n += d1[i] > d2[i];
            high = d1[i] >= high ? d1[i] : high;
        }
    return high + n;
}

static double convert(void)
{
    double s = 0;

    for (unsigned r = 0; r < 3000; r++)
        for (unsigned i = 0; i < N; i++) {
            words[i] = (int32_t)d1[i];
            s += (float)words[i] + (double)(uint32_t)f1[i];
        }
    return s;
}

/* ---- vectors ---- */
static double singles(void)
{
    for (unsigned r = 0; r < 6000; r++)
        for (unsigned i = 0; i < N; i += 4)
            vst1q_f32(f3 + i, vmlaq_f32(vld1q_f32(f2 + i), vld1q_f32(f1 + i), vdupq_n_f32(0.25f)));
    return sum(f3, sizeof(f3));
}

static double extremes(void)
{
    for (unsigned r = 0; r < 6000; r++)
        for (unsigned i = 0; i < N; i += 4) {
            float32x4_t x = vmaxq_f32(vld1q_f32(f1 + i), vld1q_f32(f2 + i));

            vst1q_f32(f3 + i, vcvtq_f32_s32(vcvtq_s32_f32(x)));
        }
    return sum(f3, sizeof(f3));
}

static double blend(void)
{
    for (unsigned r = 0; r < 4000; r++)
        for (unsigned i = 0; i < N; i += 16)
            vst1q_u8(b3 + i, vqaddq_u8(vrhaddq_u8(vld1q_u8(b1 + i), vld1q_u8(b2 + i)),
                                       vabdq_u8(vld1q_u8(b1 + i), vld1q_u8(b2 + i))));
    return sum(b3, N);
}

static double grey(void) /* structures of three, long products, narrowing */
{
    for (unsigned r = 0; r < 4000; r++)
        for (unsigned i = 0; i < N; i += 8) {
            uint8x8x3_t rgb = vld3_u8(b1 + 3 * i);
            uint16x8_t y = vmull_u8(rgb.val[0], vdup_n_u8(77));

            y = vmlal_u8(y, rgb.val[1], vdup_n_u8(150));
            y = vmlal_u8(y, rgb.val[2], vdup_n_u8(29));
            vst1_u8(b3 + i, vrshrn_n_u16(y, 8));
        }
    return sum(b3, N);
}

static double filter(void) /* halfwords: products of words, saturating narrowing */
{
    for (unsigned r = 0; r < 4000; r++)
        for (unsigned i = 0; i + 16 < N; i += 4) {
            int32x4_t s = vmull_n_s16(vld1_s16(h1 + i), -5);

            s = vmlal_n_s16(s, vld1_s16(h1 + i + 1), 20);
            s = vmlal_s16(s, vld1_s16(h1 + i + 2), vld1_s16(h2 + i));
            vst1_s16(h3 + i, vqrshrn_n_s32(s, 5));
        }
    return sum(h3, sizeof(h3));
}

static double differences(void) /* sums of absolute differences */
{
    uint32_t total = 0;

    for (unsigned r = 0; r < 4000; r++) {
        uint16x8_t s = vdupq_n_u16(0);

        for (unsigned i = 0; i < N; i += 8)
            s = vabal_u8(s, vld1_u8(b1 + i), vld1_u8(b2 + i));
        total += vgetq_lane_u16(s, 3);
    }
    return total;
}

static double permute(void)
{
    for (unsigned r = 0; r < 4000; r++)
        for (unsigned i = 0; i < N; i += 16) {
            uint8x16_t x = vld1q_u8(b1 + i), y = vld1q_u8(b2 + i);
            uint8x16x2_t t = vtrnq_u8(x, y), z = vzipq_u8(t.val[0], t.val[1]);
            uint8x8x2_t table = {{vget_low_u8(x), vget_high_u8(x)}};

            x = vextq_u8(z.val[0], vrev64q_u8(z.val[1]), 5);
            vst1q_u8(b3 + i, vcombine_u8(vtbl2_u8(table, vget_low_u8(x)), vget_high_u8(x)));
        }
    return sum(b3, N);
}

static double bits(void)
{
    uint64_t total = 0;

    for (unsigned r = 0; r < 4000; r++) {
        uint16x8_t s = vdupq_n_u16(0);

        for (unsigned i = 0; i < N; i += 16)
            s = vpadalq_u8(s, vcntq_u8(vld1q_u8(b1 + i)));
        total += vgetq_lane_u16(s, 0);
    }
    return (double)total;
}

static double interleave(void)
{
    for (unsigned r = 0; r < 4000; r++)
        for (unsigned i = 0; i + 32 <= 3 * N; i += 32) {
            uint8x8x4_t x = vld4_u8(b1 + i);
            uint8x8_t t = x.val[0];

            x.val[0] = x.val[2];
            x.val[2] = t;
            vst4_u8(b3 + i, x);
        }
    return sum(b3, sizeof(b3));
}

static double weights(void) /* rounded shifts by a register, as a video decoder's weights */
{
    const int16x8_t by = vdupq_n_s16(-3);

    for (unsigned r = 0; r < 4000; r++)
        for (unsigned i = 0; i < N; i += 8) {
            int16x8_t x = vmulq_s16(vld1q_s16(h1 + i), vld1q_s16(h2 + i));
            vst1q_s16(h3 + i, vqrshlq_s16(vrshlq_s16(x, by), vdupq_n_s16(1)));
        }
    return sum(h3, sizeof(h3));
}

static double fixed(void) /* fixed-point audio: doubling products of words, saturating sums */
{
    int32x4_t gain = vdupq_n_s32(0x5a827999), s = vdupq_n_s32(1);

    for (unsigned r = 0; r < 4000; r++)
        for (unsigned i = 0; i < N; i += 4) {
            int32x4_t x = vqrdmulhq_s32(vld1q_s32(words + i), gain);
            s = vqaddq_s32(s, vqshlq_n_s32(x, 1));
            vst1q_s32(words + i, s);
        }
    return sum(words, sizeof(words));
}

static double reciprocals(void) /* division by estimates and two steps each */
{
    for (unsigned r = 0; r < 2000; r++)
        for (unsigned i = 0; i < N; i += 4) {
            float32x4_t y = vld1q_f32(f1 + i), e = vrecpeq_f32(y);
            e = vmulq_f32(e, vrecpsq_f32(y, e));
            e = vmulq_f32(e, vrecpsq_f32(y, e));
            vst1q_f32(f3 + i, vmulq_f32(vld1q_f32(f2 + i), e));
        }
    return sum(f3, sizeof(f3));
}

static const struct {
    const char *name;
    double (*run)(void);
} kernels[] = {
    {"dot", dot},         {"dot-fz", dot_fz},     {"fused", fused},
    {"divide", divide},   {"compare", compare},   {"convert", convert},
    {"singles", singles}, {"extremes", extremes}, {"blend", blend},
    {"grey", grey},       {"filter", filter},     {"differences", differences},
    {"permute", permute}, {"bits", bits},         {"interleave", interleave},
    {"weights", weights}, {"fixed", fixed},       {"reciprocals", reciprocals},
};

static void prepare(void)
{
    uint32_t x = 12345;

    for (unsigned i = 0; i < 3 * N; i++) {
        x = x * 1664525u + 1013904223u;
        b1[i] = (uint8_t)(x >> 24);
        b2[i] = (uint8_t)(x >> 16);
        if (i >= N)
            continue;
        d1[i] = (double)(x >> 8) / 1000;
        d2[i] = (double)(x >> 12 | 1) / 777;
        f1[i] = (float)d1[i];
        f2[i] = (float)d2[i] - 100;
        h1[i] = (int16_t)(x >> 16);
        h2[i] = (int16_t)(x >> 9);
    }
}

int main(int argc, char **argv)
{
    prepare();
    for (unsigned k = 0; k < sizeof(kernels) / sizeof(kernels[0]); k++) {
        clock_t start = clock();
        double result;

        if (argc > 1 && strcmp(argv[1], kernels[k].name) != 0)
            continue;
        result = kernels[k].run();
        printf("UMBRA-VECTOR %s %.3f %.17g\n", kernels[k].name,
               (double)(clock() - start) / CLOCKS_PER_SEC, result);
    }
    return 0;
}
