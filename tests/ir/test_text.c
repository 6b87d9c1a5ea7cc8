/* SPDX-License-Identifier: MIT */
/*
 * Text form of small blocks before and after the passes, as a reader of -d op sees them: folding,
 * slot forwarding, conditions, dead PUTs. And blocks that the verifier must refuse, with the
 * sentence it gives.
 */
#include "tcg/ir/ir_internal.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct ir_block *b;

static void setup(void)
{
    b = ir_block_new();
    ir_block_reset(b, 0x8000, 0, false);
}

static void teardown(void)
{
    ir_block_free(b);
}

TestSuite(text, .init = setup, .fini = teardown);
TestSuite(verify, .init = setup, .fini = teardown);

#define HEAD "block 0x8000 flags 0x0\n"

static void expect(const char *what, const char *want)
{
    char *got = NULL;
    size_t len;
    FILE *f = open_memstream(&got, &len);
    ir_dump(b, f);
    fclose(f);
    cr_assert_str_eq(got, want, "%s:\n%s", what, got);
    free(got);
}

static ir_ref get(unsigned r)
{
    return ir_get(b, IR_I32, 4 * r, 4);
}

static void put(unsigned r, ir_ref v)
{
    ir_put(b, 4 * r, 4, v);
}

static ir_ref k(uint32_t v)
{
    return ir_const32(b, v);
}

Test(text, slots_are_forwarded_and_dead_puts_go)
{
    ir_ref x = get(1), y = get(2);
    put(0, ir_op2(b, IR_ADD, x, y));
    put(0, ir_op2(b, IR_ADD, get(0), x)); /* reads the value just put */
    put(3, get(3));                       /* nothing changes */
    ir_goto(b, 0x9000);
    expect("built", HEAD "    v1:i32 = get [0x4]:4\n"
                         "    v2:i32 = get [0x8]:4\n"
                         "    v3:i32 = add v1, v2\n"
                         "    put [0x0]:4 v3\n"
                         "    v5:i32 = add v3, v1\n"
                         "    put [0x0]:4 v5\n"
                         "    v7:i32 = get [0xc]:4\n"
                         "    goto 0x9000\n");
    ir_optimize(b);
    expect("passes", HEAD "    v1:i32 = get [0x4]:4\n"
                          "    v2:i32 = get [0x8]:4\n"
                          "    v3:i32 = add v1, v2\n"
                          "    v5:i32 = add v3, v1\n"
                          "    put [0x0]:4 v5\n"
                          "    goto 0x9000\n");
}

Test(text, accesses_observe_the_state)
{
    put(0, k(1));
    ir_load(b, IR_I32, get(1), MEMOP_32 | MEMOP_ALIGN);
    put(0, k(2));
    ir_store(b, get(1), get(2), MEMOP_8 | MEMOP_BSWAP);
    put(0, k(3));
    ir_exit(b, 3);
    ir_optimize(b);
    expect("all three stay", HEAD "    defer [0x0]:4 0x1\n"
                                  "    v3:i32 = get [0x4]:4\n"
                                  "    v4:i32 = ld .32 align v3\n"
                                  "    defer [0x0]:4 0x2\n"
                                  "    v7:i32 = get [0x8]:4\n"
                                  "    st .8 be v3, v7\n"
                                  "    put [0x0]:4 0x3\n"
                                  "    exit 0x3\n");
}

/* Soft observation points only: nothing is stored before the last. */
Test(text, side_exits_defer_stores)
{
    put(0, k(1));
    ir_goto_if(b, IR_EQ, get(1), k(7), 0x9000);
    put(0, k(2));
    put(4, k(9));
    ir_goto_if(b, IR_NE, get(2), k(7), 0x9004);
    put(0, k(3));
    ir_exit(b, 3);
    ir_optimize(b);
    expect("side exits", HEAD "    defer [0x0]:4 0x1\n"
                              "    v4:i32 = get [0x4]:4\n"
                              "    goto_if eq v4, 0x7, 0x9000\n"
                              "    defer [0x0]:4 0x2\n"
                              "    put [0x10]:4 0x9\n"
                              "    v10:i32 = get [0x8]:4\n"
                              "    goto_if ne v10, 0x7, 0x9004\n"
                              "    put [0x0]:4 0x3\n"
                              "    exit 0x3\n");
}

/* The ways into a label must agree on what is outstanding: the slot written on one of them is not
 * deferred over it, the other is; nor is a word whose halves fall to different stores. */
Test(text, labels_and_halves_limit_deferring)
{
    unsigned skip = ir_label_new(b);
    put(0, k(1));
    put(1, k(1));
    ir_put(b, 64, 8, ir_const64(b, 5));
    ir_brcond(b, IR_EQ, get(2), k(7), skip);
    put(1, k(2));
    ir_load(b, IR_I32, get(3), MEMOP_32);
    ir_label(b, skip);
    ir_load(b, IR_I32, get(2), MEMOP_32);
    put(0, k(3));
    put(1, k(3));
    put(16, k(3));
    put(17, k(3));
    ir_exit(b, 3);
    ir_optimize(b);
    expect("labels", HEAD "    defer [0x0]:4 0x1\n"
                          "    put [0x4]:4 0x1\n"
                          "    put [0x40]:8 0x5\n"
                          "    v7:i32 = get [0x8]:4\n"
                          "    brcond eq v7, 0x7, L0\n"
                          "    put [0x4]:4 0x2\n"
                          "    v11:i32 = get [0xc]:4\n"
                          "    v12:i32 = ld .32 v11\n"
                          "label L0\n"
                          "    v14:i32 = ld .32 v7\n"
                          "    put [0x0]:4 0x3\n"
                          "    put [0x4]:4 0x3\n"
                          "    put [0x40]:4 0x3\n"
                          "    put [0x44]:4 0x3\n"
                          "    exit 0x3\n");
}

Test(text, overlapping_slots)
{
    ir_ref d = ir_get(b, IR_I64, 64, 8);
    put(17, k(5));                              /* the upper half */
    ir_put(b, 72, 8, ir_get(b, IR_I64, 64, 8)); /* must be read again */
    ir_put(b, 80, 8, d);
    ir_exit(b, 3);
    expect("partial", HEAD "    v1:i64 = get [0x40]:8\n"
                           "    put [0x44]:4 0x5\n"
                           "    v4:i64 = get [0x40]:8\n"
                           "    put [0x48]:8 v4\n"
                           "    put [0x50]:8 v1\n"
                           "    exit 0x3\n");
}

Test(text, values_survive_a_label_where_they_are_known)
{
    unsigned skip = ir_label_new(b);
    ir_ref x = get(1), y = get(2);
    ir_brcond(b, IR_GEU, x, y, skip);
    put(2, k(7));
    ir_label(b, skip);
    x = get(1); /* known */
    y = get(2); /* not known */
    put(3, ir_op2(b, IR_ADD, x, y));
    ir_exit(b, 3);
    expect("label", HEAD "    v1:i32 = get [0x4]:4\n"
                         "    v2:i32 = get [0x8]:4\n"
                         "    brcond geu v1, v2, L0\n"
                         "    put [0x8]:4 0x7\n"
                         "label L0\n"
                         "    v7:i32 = get [0x8]:4\n"
                         "    v8:i32 = add v1, v7\n"
                         "    put [0xc]:4 v8\n"
                         "    exit 0x3\n");
}

Test(text, put_dead_on_all_paths_only)
{
    unsigned skip = ir_label_new(b);
    put(0, k(1)); /* overwritten on one path only */
    put(1, k(1)); /* overwritten on both */
    ir_ref x = get(5);
    ir_brcond(b, IR_NE, x, k(0), skip);
    put(0, k(2));
    put(1, k(2));
    ir_label(b, skip);
    put(1, k(3));
    ir_exit(b, 3);
    ir_optimize(b);
    expect("paths", HEAD "    put [0x0]:4 0x1\n"
                         "    v4:i32 = get [0x14]:4\n"
                         "    brcond ne v4, 0x0, L0\n"
                         "    put [0x0]:4 0x2\n"
                         "label L0\n"
                         "    put [0x4]:4 0x3\n"
                         "    exit 0x3\n");
}

Test(text, conditions_find_the_comparison)
{
    ir_ref x = get(1), y = get(2);
    ir_ref diff = ir_op2(b, IR_SUB, x, y);
    ir_ref ge = ir_setc(b, IR_GES, x, y);
    put(3, ir_select(b, IR_EQ, diff, k(0), x, y));
    put(4, ir_select(b, IR_NE, ge, k(0), x, y));
    put(5, ir_setc(b, IR_EQ, ge, k(0)));
    put(6, ir_setc(b, IR_EQ, ir_op2(b, IR_AND, x, y), k(0)));
    put(7, ir_setc(b, IR_LTU, k(5), x));
    put(8, ir_setc(b, IR_LTU, x, k(0)));
    ir_exit(b, 3);
    ir_optimize(b);
    expect("conditions", HEAD "    v1:i32 = get [0x4]:4\n"
                              "    v2:i32 = get [0x8]:4\n"
                              "    v6:i32 = select eq v1, v2, v1, v2\n"
                              "    put [0xc]:4 v6\n"
                              "    v8:i32 = select ges v1, v2, v1, v2\n"
                              "    put [0x10]:4 v8\n"
                              "    v10:i32 = setc lts v1, v2\n"
                              "    put [0x14]:4 v10\n"
                              "    v13:i32 = setc tsteq v1, v2\n"
                              "    put [0x18]:4 v13\n"
                              "    v16:i32 = setc gtu v1, 0x5\n"
                              "    put [0x1c]:4 v16\n"
                              "    put [0x20]:4 0x0\n"
                              "    exit 0x3\n");
}

Test(text, constants_fold)
{
    ir_ref x = get(1);
    put(0, ir_op2i(b, IR_ADD, ir_op2i(b, IR_ADD, x, 8), 0xfffffff8)); /* x again */
    put(2, ir_op2i(b, IR_ADD, ir_op2i(b, IR_ADD, x, 8), 4));
    put(3, ir_op2(b, IR_AND, k(0xff), x));
    put(4, ir_op2(b, IR_UDIV, x, k(0)));
    put(5, ir_op2(b, IR_SDIV, k(0x80000000), k(0xffffffff)));
    put(6, ir_op2(b, IR_MUL, x, k(8)));
    put(7, ir_op2(b, IR_XOR, x, k(0xffffffff)));
    put(8, ir_extract(b, x, 24, 8));
    put(9, ir_deposit(b, x, k(0xff), 8, 8));
    ir_exit(b, 3);
    ir_optimize(b);
    expect("constants", HEAD "    v1:i32 = get [0x4]:4\n"
                             "    put [0x0]:4 v1\n"
                             "    v9:i32 = add v1, 0xc\n"
                             "    put [0x8]:4 v9\n"
                             "    v12:i32 = zext8 v1\n"
                             "    put [0xc]:4 v12\n"
                             "    put [0x10]:4 0x0\n"
                             "    put [0x14]:4 0x80000000\n"
                             "    v19:i32 = shl v1, 0x3\n"
                             "    put [0x18]:4 v19\n"
                             "    v21:i32 = not v1\n"
                             "    put [0x1c]:4 v21\n"
                             "    v24:i32 = shr v1, 0x18\n"
                             "    put [0x20]:4 v24\n"
                             "    v27:i32 = and v1, 0xffff00ff\n"
                             "    v29:i32 = or v27, 0xff00\n"
                             "    put [0x24]:4 v29\n"
                             "    exit 0x3\n");
}

static uint64_t helper(struct vcpu *v)
{
    (void)v;
    return 0;
}

Test(text, calls_and_everything_else)
{
    ir_ref x = get(1);
    ir_insn(b, 0x8000, 3);
    ir_call(b, IR_I32, "unused_pure", (void *)helper, CALL_PURE, 1, &x);
    ir_call(b, IR_VOID, "writes", (void *)helper, CALL_STATE, 0, NULL);
    put(2, get(1)); /* read again after the call */
    ir_ref v = ir_get(b, IR_V128, 272, 16), w = ir_get(b, IR_V128, 288, 16);
    ir_put(b, 256, 16, ir_vop(b, IR_VADD, 2, v, w, 0));
    ir_put(b, 300, 4, ir_vtoi(b, IR_I32, ir_vop(b, IR_VSHRI, 4, v, 0, 9)));
    ir_fence(b);
    ir_goto_ind(b);
    ir_optimize(b);
    expect("calls", HEAD "insn 0x8000 extra 0x3\n"
                         "    call writes\n"
                         "    v5:i32 = get [0x4]:4\n"
                         "    put [0x8]:4 v5\n"
                         "    v7:v128 = get [0x110]:16\n"
                         "    v8:v128 = get [0x120]:16\n"
                         "    v9:v128 = vadd.16 v7, v8\n"
                         "    put [0x100]:16 v9\n"
                         "    v11:v128 = vshri.32 v7, 9\n"
                         "    v12:i32 = vtoi v11\n"
                         "    put [0x12c]:4 v12\n"
                         "    fence\n"
                         "    goto_ind\n");
}

/* Words of one LDM or STM join when registers and addresses are neighbours; the base r1 does not.
 */
Test(text, pairs_of_one_instruction)
{
    ir_ref base = get(6);
    ir_insn(b, 0x8000, 0);
    for (unsigned r = 0; r < 5; r++)
        put(r,
            ir_load(b, IR_I32, ir_op2i(b, IR_ADD, base, 4 * r), MEMOP_32 | (r ? 0 : MEMOP_ALIGN4)));
    ir_insn(b, 0x8004, 0);
    for (unsigned r = 7; r < 10; r++) {
        ir_ref at = ir_op2i(b, IR_ADD, base, 4 * r);
        ir_store(b, at, get(r), MEMOP_32);
    }
    ir_insn(b, 0x8008, 0); /* two instructions: stay apart */
    put(2, ir_load(b, IR_I32, base, MEMOP_32));
    ir_insn(b, 0x800c, 0);
    put(3, ir_load(b, IR_I32, ir_op2i(b, IR_ADD, base, 4), MEMOP_32));
    ir_goto_ind(b);
    ir_optimize(b);
    cr_assert_null(ir_verify(b), "%s", ir_verify(b));
    expect("pairs", HEAD "    v1:i32 = get [0x18]:4\n"
                         "insn 0x8000 extra 0x0\n"
                         "    v4:i64 = ld .64 align4 pair v1\n"
                         "    put [0x0]:8 v4\n"
                         "    v7:i32 = add v1, 0x4\n"
                         "    v11:i32 = add v1, 0x8\n"
                         "    v12:i64 = ld .64 pair v11\n"
                         "    put [0x8]:8 v12\n"
                         "    v19:i32 = add v1, 0x10\n"
                         "    v20:i32 = ld .32 v19\n"
                         "    put [0x10]:4 v20\n"
                         "insn 0x8004 extra 0x0\n"
                         "    v24:i32 = add v1, 0x1c\n"
                         "    v25:i64 = get [0x1c]:8\n"
                         "    st .64 pair v24, v25\n"
                         "    v32:i32 = add v1, 0x24\n"
                         "    v33:i32 = get [0x24]:4\n"
                         "    st .32 v32, v33\n"
                         "insn 0x8008 extra 0x0\n"
                         "    v36:i32 = ld .32 v1\n"
                         "    put [0x8]:4 v36\n"
                         "insn 0x800c extra 0x0\n"
                         "    v39:i32 = ld .32 v7\n"
                         "    put [0xc]:4 v39\n"
                         "    goto_ind\n");
}

Test(text, code_behind_an_exit_goes)
{
    unsigned done = ir_label_new(b);
    ir_brcond(b, IR_EQ, k(1), k(1), done); /* always */
    put(0, k(1));
    ir_label(b, done);
    ir_exit(b, 3);
    put(0, k(2));
    ir_exit(b, 4);
    ir_optimize(b);
    expect("unreachable", HEAD "    br L0\n"
                               "label L0\n"
                               "    exit 0x3\n");
}

Test(text, a_full_block_says_so)
{
    unsigned n = 0;
    while (!b->full && n < 2 * IR_MAX_NODES) {
        put(n % 15, ir_load(b, IR_I32, get(n % 7), MEMOP_32));
        n++;
    }
    cr_assert(b->full);
    cr_assert_eq(ir_room(b), 0u);
    cr_assert_leq(b->n, IR_MAX_NODES);
    ir_block_reset(b, 0x8000, 0, false);
    cr_assert(!b->full && ir_room(b) > 8000);
    for (n = 0; n < IR_MAX_LABELS; n++)
        ir_label_new(b);
    cr_assert(!b->full);
    cr_assert_eq(ir_label_new(b), 0u);
    cr_assert(b->full);
}

/* ---- the verifier ---- */
static void refuse(const char *part)
{
    const char *why = ir_verify(b);
    cr_assert_not_null(why, "accepted, but: %s", part);
    cr_assert_not_null(strstr(why, part), "'%s' does not say '%s'", why, part);
}

static ir_ref raw(struct ir_node n)
{
    return ir_append(b, &n);
}

Test(verify, accepts_a_good_block)
{
    put(0, ir_op2(b, IR_ADD, get(1), get(2)));
    ir_goto(b, 0x9000);
    cr_assert_null(ir_verify(b), "%s", ir_verify(b));
}

Test(verify, missing_exit)
{
    put(0, get(1));
    refuse("does not end in an exit");
}

Test(verify, later_or_missing_argument)
{
    raw((struct ir_node){.op = IR_ADD, .type = IR_I32, .arg = {2, 2}});
    get(1);
    ir_goto(b, 0);
    refuse("not an earlier value");
}

static uint64_t exact(struct vcpu *v, uint64_t x, uint64_t y)
{
    (void)v;
    return x + y;
}

#define OFF_V(n) (256u + 16 * (n)) /* some slots of 16 bytes */

static struct ir_float on_doubles(unsigned how)
{
    return (struct ir_float){
        .name = "exact", .helper = (void *)exact, .size = 8, .how = (uint8_t)how};
}

Test(text, float_nodes_know_what_cannot_be_subnormal)
{
    struct ir_float f = on_doubles(IR_FP_FZ), c = on_doubles(IR_FP_FZ | IR_FP_SIGNALLING);
    ir_ref x = ir_get(b, IR_V128, OFF_V(0), 8), y = ir_get(b, IR_V128, OFF_V(1), 8);
    ir_ref r = ir_fop(b, IR_FMUL, &f, x, y, 0);
    ir_put(b, OFF_V(2), 8, r);
    r = ir_fop(b, IR_FADD, &f, ir_get(b, IR_V128, OFF_V(2), 8), x, 0); /* no memory in between */
    put(0, ir_fop(b, IR_FCMP, &c, r, ir_op1(b, IR_ITOV, ir_const64(b, 0)), 0));
    ir_goto(b, 0);
    cr_assert_null(ir_verify(b), "%s", ir_verify(b));
    expect("float", HEAD "    v1:v128 = get [0x100]:8\n"
                         "    v2:v128 = get [0x110]:8\n"
                         "    v3:v128 = fmul.64 fz a b v1, v2\n"
                         "    put [0x120]:8 v3\n"
                         "    v5:v128 = fadd.64 fz b v3, v1\n"
                         "    v7:v128 = itov 0x0\n"
                         "    v8:i32 = fcmp.64 fz signalling v5, v7\n"
                         "    put [0x0]:4 v8\n"
                         "    goto 0x0\n");
}

Test(verify, float_without_helper)
{
    ir_ref x = ir_get(b, IR_V128, OFF_V(0), 8);
    raw((struct ir_node){.op = IR_FADD, .type = IR_V128, .size = 8, .arg = {x, x}});
    ir_goto(b, 0);
    refuse("no suitable helper");
}

Test(verify, packed_doubles)
{
    struct ir_float f = on_doubles(IR_FP_FZ);
    ir_ref x = ir_get(b, IR_V128, OFF_V(0), 16);
    ir_fop(b, IR_VFADD, &f, x, x, 0);
    ir_goto(b, 0);
    refuse("lanes are singles");
}

Test(verify, vector_lanes_and_amounts)
{
    ir_ref x = ir_get(b, IR_V128, OFF_V(0), 16);
    ir_vop(b, IR_VMULHS, 4, x, x, 0);
    ir_goto(b, 0);
    refuse("lane size");
    ir_block_reset(b, 0x8000, 0, false);
    x = ir_get(b, IR_V128, OFF_V(0), 16);
    ir_vop(b, IR_VALIGN, 1, x, x, 16);
    ir_goto(b, 0);
    refuse("lane size");
}

Test(verify, argument_without_value)
{
    ir_insn(b, 0, 0);
    raw((struct ir_node){.op = IR_NOT, .type = IR_I32, .arg = {1}});
    ir_goto(b, 0);
    refuse("has no value");
}

Test(verify, mixed_types)
{
    raw((struct ir_node){.op = IR_ADD, .type = IR_I32, .arg = {get(1), ir_get(b, IR_I64, 64, 8)}});
    ir_goto(b, 0);
    refuse("wrong operand or result type");
}

Test(verify, vector_as_address)
{
    ir_load(b, IR_I32, ir_get(b, IR_V128, 256, 16), MEMOP_32);
    ir_goto(b, 0);
    refuse("wrong operand or result type");
}

Test(verify, value_from_a_skipped_region)
{
    unsigned skip = ir_label_new(b);
    ir_brcond(b, IR_EQ, get(1), get(2), skip);
    ir_ref inside = get(3);
    ir_label(b, skip);
    put(4, inside);
    ir_goto(b, 0);
    refuse("between a branch and its label");
}

Test(verify, label_not_placed_or_placed_twice)
{
    unsigned skip = ir_label_new(b);
    ir_br(b, skip);
    ir_goto(b, 0);
    refuse("not placed");
    ir_label(b, skip);
    ir_label(b, skip);
    ir_goto(b, 0);
    refuse("was placed before");
}

Test(verify, slot_sizes)
{
    raw((struct ir_node){.op = IR_GET, .type = IR_I32, .size = 8});
    ir_goto(b, 0);
    refuse("slot size");
}

Test(verify, fields_shifts_lanes_and_memory)
{
    ir_ref x = get(1);
    ir_goto(b, 0);
    const struct {
        struct ir_node n;
        const char *why;
    } bad[] = {
        {{.op = IR_EXTRACT, .type = IR_I32, .arg = {x}, .imm = 30 | 3 << 8}, "outside the value"},
        {{.op = IR_SEXTRACT, .type = IR_I32, .arg = {x}, .imm = 4}, "outside the value"},
        {{.op = IR_SHL, .type = IR_I32, .arg = {x, k(32)}}, "not below the width"},
        {{.op = IR_SETC, .type = IR_I32, .rel = 12, .arg = {x, x}}, "no such relation"},
        {{.op = IR_LD, .type = IR_I32, .arg = {x}, .imm = MEMOP_64}, "do not fit"},
        {{.op = IR_VDUP, .type = IR_V128, .size = 3, .arg = {x}}, "lane size"},
        {{.op = IR_CALL, .imm = 7}, "no such helper"},
        {{.op = IR_OP_COUNT}, "no such op"},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        uint32_t n = b->n;
        raw(bad[i].n);
        ir_goto(b, 0);
        refuse(bad[i].why);
        b->n = n;
    }
}
