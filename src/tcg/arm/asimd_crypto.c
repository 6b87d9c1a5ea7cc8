/* SPDX-License-Identifier: MIT */
/*
 * The cryptography extension of ARMv8: SHA1 and SHA256 (FIPS 180-4), and the decoding of all. Each
 * operation is a helper on Q registers. Arm ARM DDI 0487 F6.1, pseudocode SHAchoose() ..
 * SHA256hash().
 *
 * Threads: the translating vCPU thread; the helpers run on it too.
 */
#include "asimd_crypto.h"
#include "asimd_vec.h"

#include "asimd_crypto_decode.h"

static uint32_t rol(uint32_t x, unsigned n)
{
    return x << n | x >> (32 - n);
}

static uint32_t ror(uint32_t x, unsigned n)
{
    return rol(x, 32 - n);
}

static uint32_t choose(uint32_t x, uint32_t y, uint32_t z)
{
    return ((y ^ z) & x) ^ z;
}

static uint32_t parity(uint32_t x, uint32_t y, uint32_t z)
{
    return x ^ y ^ z;
}

static uint32_t majority(uint32_t x, uint32_t y, uint32_t z)
{
    return (x & y) | ((x | y) & z);
}

/* ---- SHA1 ---- */
static void sha1h(struct vcpu *v, uint32_t arg)
{
    union asimd_vec r = {.u32 = {rol(v->vfp.s[2 * ARG_FM(arg)], 30)}};

    asimd_write(v, ARG_FD(arg), 1, &r);
}

/* Four rounds: fd holds a to d, lane 0 of fn e, fm the schedule. */
static void sha1_rounds(struct vcpu *v, uint32_t arg,
                        uint32_t (*f)(uint32_t x, uint32_t y, uint32_t z))
{
    union asimd_vec d = asimd_read(v, ARG_FD(arg), 1), w = asimd_read(v, ARG_FM(arg), 1);
    uint32_t e = v->vfp.s[2 * ARG_FN(arg)];

    for (unsigned i = 0; i < 4; i++) {
        uint32_t a = e + rol(d.u32[0], 5) + f(d.u32[1], d.u32[2], d.u32[3]) + w.u32[i];

        e = d.u32[3];
        d.u32[3] = d.u32[2];
        d.u32[2] = rol(d.u32[1], 30);
        d.u32[1] = d.u32[0];
        d.u32[0] = a;
    }
    asimd_write(v, ARG_FD(arg), 1, &d);
}

static void sha1c(struct vcpu *v, uint32_t arg)
{
    sha1_rounds(v, arg, choose);
}

static void sha1p(struct vcpu *v, uint32_t arg)
{
    sha1_rounds(v, arg, parity);
}

static void sha1m(struct vcpu *v, uint32_t arg)
{
    sha1_rounds(v, arg, majority);
}

static void sha1su0(struct vcpu *v, uint32_t arg)
{
    union asimd_vec d = asimd_read(v, ARG_FD(arg), 1), m = asimd_read(v, ARG_FM(arg), 1);
    uint64_t low = d.u64[1], high = v->vfp.d[ARG_FN(arg)];

    d.u64[0] ^= m.u64[0] ^ low;
    d.u64[1] ^= m.u64[1] ^ high;
    asimd_write(v, ARG_FD(arg), 1, &d);
}

static void sha1su1(struct vcpu *v, uint32_t arg)
{
    union asimd_vec d = asimd_read(v, ARG_FD(arg), 1), m = asimd_read(v, ARG_FM(arg), 1);

    for (unsigned i = 0; i < 4; i++) {
        d.u32[i] = rol(d.u32[i] ^ (i < 3 ? m.u32[i + 1] : 0), 1);
    }
    d.u32[3] ^= rol(d.u32[0], 1); /* lane 0 of the sum, by 2 in all */
    asimd_write(v, ARG_FD(arg), 1, &d);
}

/* ---- SHA256 ---- */
/* Four rounds; x holds a to d, y e to h, and both are updated. */
static void sha256_rounds(union asimd_vec *x, union asimd_vec *y, const union asimd_vec *w)
{
    for (unsigned i = 0; i < 4; i++) {
        uint32_t e = y->u32[0], a = x->u32[0];
        uint32_t t = y->u32[3] + (ror(e, 6) ^ ror(e, 11) ^ ror(e, 25)) +
                     choose(e, y->u32[1], y->u32[2]) + w->u32[i];
        uint32_t sum =
            t + (ror(a, 2) ^ ror(a, 13) ^ ror(a, 22)) + majority(a, x->u32[1], x->u32[2]);
        uint32_t next_e = x->u32[3] + t;

        memmove(&x->u32[1], &x->u32[0], 12);
        memmove(&y->u32[1], &y->u32[0], 12);
        x->u32[0] = sum;
        y->u32[0] = next_e;
    }
}

static void sha256h(struct vcpu *v, uint32_t arg)
{
    union asimd_vec d = asimd_read(v, ARG_FD(arg), 1), n = asimd_read(v, ARG_FN(arg), 1);
    union asimd_vec m = asimd_read(v, ARG_FM(arg), 1);

    sha256_rounds(&d, &n, &m);
    asimd_write(v, ARG_FD(arg), 1, &d);
}

static void sha256h2(struct vcpu *v, uint32_t arg)
{
    union asimd_vec d = asimd_read(v, ARG_FD(arg), 1), n = asimd_read(v, ARG_FN(arg), 1);
    union asimd_vec m = asimd_read(v, ARG_FM(arg), 1);

    sha256_rounds(&n, &d, &m);
    asimd_write(v, ARG_FD(arg), 1, &d);
}

static void sha256su0(struct vcpu *v, uint32_t arg)
{
    union asimd_vec d = asimd_read(v, ARG_FD(arg), 1), m = asimd_read(v, ARG_FM(arg), 1);

    for (unsigned i = 0; i < 4; i++) { /* ascending: lane i + 1 is still the old one */
        uint32_t x = i < 3 ? d.u32[i + 1] : m.u32[0];

        d.u32[i] += ror(x, 7) ^ ror(x, 18) ^ x >> 3;
    }
    asimd_write(v, ARG_FD(arg), 1, &d);
}

static void sha256su1(struct vcpu *v, uint32_t arg)
{
    union asimd_vec d = asimd_read(v, ARG_FD(arg), 1), n = asimd_read(v, ARG_FN(arg), 1);
    union asimd_vec m = asimd_read(v, ARG_FM(arg), 1);

    for (unsigned i = 0; i < 4; i++) { /* the last two depend on the first two results */
        uint32_t x = i < 2 ? m.u32[i + 2] : d.u32[i - 2];

        d.u32[i] += (ror(x, 17) ^ ror(x, 19) ^ x >> 10) + (i < 3 ? n.u32[i + 1] : m.u32[0]);
    }
    asimd_write(v, ARG_FD(arg), 1, &d);
}

/* ---- decoding ---- */
static bool call(struct arm_ctx *s, const struct asimd_fn *f, uint32_t fd, uint32_t fn, uint32_t fm)
{
    if (!arm_has(s, ARM_FEAT_V8_AARCH32) || !asimd_enabled(s) || !asimd_regs_ok(1, fd | fn | fm)) {
        return false;
    }
    asimd_call(s, f, ASIMD_ARG(fd, fn, fm, 1, 0));
    return true;
}

#define AES(name, helper)                                            \
    bool trans_##name(struct arm_ctx *s, const struct arg_##name *a) \
    {                                                                \
        return call(s, &helper, a->fd, 0, a->fm);                    \
    }
#define SHA_TWO(name, helper)                                                       \
    bool trans_##name(struct arm_ctx *s, const struct arg_##name *a)                \
    {                                                                               \
        return call(s, &(const struct asimd_fn){#helper, helper}, a->fd, 0, a->fm); \
    }
#define SHA_THREE(name, helper)                                                         \
    bool trans_##name(struct arm_ctx *s, const struct arg_##name *a)                    \
    {                                                                                   \
        return call(s, &(const struct asimd_fn){#helper, helper}, a->fd, a->fn, a->fm); \
    }

AES(AESE, asimd_aese)
AES(AESD, asimd_aesd)
AES(AESMC, asimd_aesmc)
AES(AESIMC, asimd_aesimc)
SHA_TWO(SHA1H, sha1h)
SHA_TWO(SHA1SU1, sha1su1)
SHA_TWO(SHA256SU0, sha256su0)
SHA_THREE(SHA1C, sha1c)
SHA_THREE(SHA1P, sha1p)
SHA_THREE(SHA1M, sha1m)
SHA_THREE(SHA1SU0, sha1su0)
SHA_THREE(SHA256H, sha256h)
SHA_THREE(SHA256H2, sha256h2)
SHA_THREE(SHA256SU1, sha256su1)
