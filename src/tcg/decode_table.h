/* SPDX-License-Identifier: MIT */
/*
 * What a generated decoder exports besides its decode function: the list of its
 * encodings (for the random instruction generator, the coverage list and the tests),
 * and the two field extractors that generated code uses. Constant data, no locks.
 * The table language is described in docs/decode.md.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define DECODE_MAX_SEGMENTS 6

/* One field: segments high part first; the value is (their concatenation << shift) + add. */
struct decode_field {
    const char *name;
    bool is_signed;
    uint8_t shift;
    uint8_t add;
    uint8_t segments;
    struct {
        uint8_t pos;
        uint8_t len;
    } segment[DECODE_MAX_SEGMENTS];
};

/* The set of words w with (w & mask) == value. */
struct decode_cube {
    uint32_t mask;
    uint32_t value;
};

/*
 * One line of a table: the words in (mask, value) and in none of the excluded cubes.
 * Bits of sb_mask are should-be bits: ignored by the decoder, sb_value is what a
 * well-formed instruction has. Encodings with the same group != 0 may overlap, the
 * earlier one wins.
 */
struct decode_encoding {
    const char *name;
    const char *section;
    uint32_t mask;
    uint32_t value;
    uint32_t sb_mask;
    uint32_t sb_value;
    uint8_t width;
    uint8_t fields;
    uint8_t excludes;
    uint16_t group;
    const struct decode_field *field;
    const struct decode_cube *exclude;
};

static inline uint32_t decode_ubits(uint32_t insn, unsigned pos, unsigned len)
{
    return (insn >> pos) & (len < 32 ? (1u << len) - 1 : ~0u);
}

static inline int32_t decode_sbits(uint32_t insn, unsigned pos, unsigned len)
{
    return (int32_t)(insn << (32 - pos - len)) >> (32 - len);
}
