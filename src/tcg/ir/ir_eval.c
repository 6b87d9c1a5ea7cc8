/* SPDX-License-Identifier: MIT */
/*
 * Constant evaluation of integer ops, with the semantics of the comments in ir.h. Pure functions.
 * Operands are masked to their width; so are results.
 */
#include "ir_internal.h"
#include "base/log.h"

int64_t ir_sext(uint64_t v, unsigned bits)
{
    return bits >= 64 ? (int64_t)v : (int64_t)(v << (64 - bits)) >> (64 - bits);
}

bool ir_eval_rel(enum ir_rel rel, unsigned type, uint64_t x, uint64_t y)
{
    unsigned bits = ir_type_bits(type);
    int64_t sx = ir_sext(x, bits), sy = ir_sext(y, bits);
    switch (rel) {
    case IR_EQ:
        return x == y;
    case IR_NE:
        return x != y;
    case IR_LTU:
        return x < y;
    case IR_GEU:
        return x >= y;
    case IR_LEU:
        return x <= y;
    case IR_GTU:
        return x > y;
    case IR_LTS:
        return sx < sy;
    case IR_GES:
        return sx >= sy;
    case IR_LES:
        return sx <= sy;
    case IR_GTS:
        return sx > sy;
    case IR_TSTEQ:
        return (x & y) == 0;
    case IR_TSTNE:
        return (x & y) != 0;
    }
    vm_bug("relation %d", (int)rel);
}

uint64_t ir_eval1(enum ir_op op, unsigned type, uint64_t a)
{
    uint64_t m = ir_type_mask(type);
    switch (op) {
    case IR_MOV:
        return a;
    case IR_NOT:
        return ~a & m;
    case IR_NEG:
        return -a & m;
    case IR_CLZ:
        if (!a)
            return ir_type_bits(type);
        return (uint64_t)__builtin_clzll(a) - (64 - ir_type_bits(type));
    case IR_BSWAP:
        return type == IR_I32 ? __builtin_bswap32((uint32_t)a) : __builtin_bswap64(a);
    case IR_ZEXT8:
        return a & 0xff;
    case IR_ZEXT16:
        return a & 0xffff;
    case IR_SEXT8:
        return (uint64_t)ir_sext(a, 8) & m;
    case IR_SEXT16:
        return (uint64_t)ir_sext(a, 16) & m;
    case IR_ZEXT32:
        return a & 0xffffffffu;
    case IR_SEXT32:
        return (uint64_t)ir_sext(a, 32);
    case IR_TRUNC:
        return a & 0xffffffffu;
    case IR_HI32:
        return a >> 32;
    default:
        vm_bug("ir_eval1: %s", ir_op_name(op));
    }
}

static uint64_t eval_div(enum ir_op op, unsigned type, uint64_t a, uint64_t b)
{
    unsigned bits = ir_type_bits(type);
    if (!b)
        return 0;
    if (op == IR_UDIV)
        return a / b;
    int64_t sa = ir_sext(a, bits), sb = ir_sext(b, bits);
    /* INT_MIN / -1 wraps to INT_MIN: negate without overflow. */
    uint64_t q = sb == -1 ? -(uint64_t)sa : (uint64_t)(sa / sb);
    return q & ir_type_mask(type);
}

uint64_t ir_eval2(enum ir_op op, unsigned type, uint64_t a, uint64_t b)
{
    uint64_t m = ir_type_mask(type), r;
    unsigned bits = ir_type_bits(type), s;
    switch (op) {
    case IR_ADD:
        return (a + b) & m;
    case IR_SUB:
        return (a - b) & m;
    case IR_AND:
        return a & b;
    case IR_ANDN:
        return a & ~b & m;
    case IR_OR:
        return a | b;
    case IR_XOR:
        return a ^ b;
    case IR_MUL:
        return (a * b) & m;
    case IR_UDIV:
    case IR_SDIV:
        return eval_div(op, type, a, b);
    case IR_SHL:
        return (a << (b & (bits - 1))) & m;
    case IR_SHR:
        return a >> (b & (bits - 1));
    case IR_SAR:
        return (uint64_t)(ir_sext(a, bits) >> (b & (bits - 1))) & m;
    case IR_ROR:
        s = b & (bits - 1);
        return s ? ((a >> s) | (a << (bits - s))) & m : a;
    case IR_ADD_C:
    case IR_ADD_V:
        return ir_eval_adc(op == IR_ADD_C ? IR_ADC_C : IR_ADC_V, type, a, b, 0);
    case IR_SUB_V:
        r = a - b;
        return (((a ^ b) & (a ^ r)) >> (bits - 1)) & 1;
    case IR_PAIR:
        return (a & 0xffffffffu) | b << 32;
    default:
        vm_bug("ir_eval2: %s", ir_op_name(op));
    }
}

uint64_t ir_eval_adc(enum ir_op op, unsigned type, uint64_t a, uint64_t b, uint64_t c)
{
    unsigned bits = ir_type_bits(type);
    uint64_t m = ir_type_mask(type), r = (a + b + c) & m;
    if (op == IR_ADC)
        return r;
    if (op == IR_ADC_C)
        return r < a || (c && r == a);
    return ((~(a ^ b) & (a ^ r)) >> (bits - 1)) & 1;
}
