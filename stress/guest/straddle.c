/* SPDX-License-Identifier: MIT */
/*
 * Accesses that lie in two pages.  Pairs of neighbouring pages, of which the owner moves, unmaps or
 * (in the right one) turns into Device memory one at a time, while all CPUs reach over the
 * boundary: unaligned LDR and STR, LDM and STM, LDRD, VLDM and VSTM, VLD1, and exchange a word by
 * LDREX and STREX. After the DSB neither half may come from an old mapping, and every byte is as it
 * should be when the state word says that nothing moves.  Device memory refuses unaligned accesses
 * (alignment fault) and only those.  Meanwhile every CPU changes its own ASID; owners that
 * invalidate by ASID name those in use.
 * Parameters: seed, ms; LPAE.  Arm ARM A3.2.1, A3.5.3, B3.10.
 */
#include "stage.inc.c"

#include "lib/vfp.h"

const char payload_name[] = "straddle";

#define PAIRS      8u
#define PAIR_VA(i) (VA + (i)*0x10000u)
#define BOUNDARY   PAGE_SIZE
#define FRAMES     2u
#define POISON     0xdeu /* every byte of the ends of a frame that is not mapped */
#define ENDS       64u   /* bytes at both ends of each frame that the accesses use */
#define LOCK_WORD  (PAGE_SIZE - 128u)

/* gen << 8 | left << 4 | right << 2 | CHANGING */
enum { CHANGING = 1, RIGHT = 4, LEFT = 16, GEN = 256 };
enum what { NONE, RAM, DEVICE };
#define RIGHT_OF(s) ((enum what)((s) / RIGHT & 3))
#define LEFT_OF(s)  ((enum what)((s) / LEFT & 3))

static struct pair {
    volatile uint32_t state;
    uint8_t *frame[2][FRAMES]; /* left, right */
    unsigned cur[2];
    volatile uint8_t
        tag[2]; /* the bytes at the end of the left page, at the start of the right one */
} __attribute__((aligned(64))) pairs[PAIRS];

enum {
    BAD_OLD,
    BAD_STORE,
    BAD_VALUE,
    BAD_ALLOWED,
    BAD_REFUSED,
    BAD_CAUSE,
    VERDICTS,
    CHECKS = VERDICTS,
    STRICT,
    FAULTS,
    CHANGES,
    DEVICES,
    SWITCHES,
    ALL
};
static const char *const names[ALL] = {
    "no byte through an old mapping",
    "no store through an old mapping",
    "both halves are what the pages hold",
    "accesses into unmapped or Device pages abort",
    "accesses to mapped pages do not",
    "cause and address of aborts",
    "accesses",
    "accesses with one legal outcome",
    "aborts",
    "changes",
    "of them to Device memory",
    "changes of ASID",
};

/* --- ASIDs: the ones this CPU uses, old and new during a change --- */
static volatile uint32_t in_use[MAX_CPUS]; /* old | new << 8 */

static void change_asid(unsigned cpu, uint32_t r)
{
    uint32_t old = in_use[cpu] & 255, new = 1 + r % 254;
    /* Entries of an earlier use of the number may be stale: owners did not know of it. */
    in_use[cpu] = old | new << 8;
    dsb();
    do_tlbiasid(new);
    dsb();
    isb();
    if (LPAE)
        write_ttbr0_64((uint64_t)(uint32_t)stage_ll1 | (uint64_t) new << 48);
    else
        write_contextidr(new);
    isb();
    in_use[cpu] = new | new << 8;
    dmb();
    count(cpu, SWITCHES);
}

static void invalidate(uint32_t va, uint32_t way)
{
    dsb();
    for (unsigned c = 0; (way & 3) < 2 && c < stage_cpus; c++) {
        uint32_t both = in_use[c];
        for (unsigned k = 0; k < 2; k++, both >>= 8) {
            if (way & 1)
                do_tlbiasidis(both & 255);
            else
                do_tlbimvais(va | (both & 255));
        }
    }
    if ((way & 3) == 2)
        do_tlbimvaais(va);
    else if ((way & 3) == 3)
        do_tlbiallis(0);
    dsb();
    isb();
}

/* --- owners --- */
static void fill(uint8_t *frame, unsigned right, uint8_t byte)
{
    memset(frame + (right ? 0 : PAGE_SIZE - ENDS), byte, ENDS);
    if (!right)
        store32((uint32_t)frame + LOCK_WORD, byte * 0x01010101u);
    dmb();
}

static bool poisoned(const uint8_t *frame, unsigned right)
{
    const volatile uint8_t *p = frame + (right ? 0 : PAGE_SIZE - ENDS);
    for (unsigned i = 0; i < ENDS; i++)
        if (p[i] != POISON)
            return false;
    return right || load32((uint32_t)frame + LOCK_WORD) == POISON * 0x01010101u;
}

static void change(unsigned cpu, unsigned i, uint32_t r)
{
    struct pair *p = &pairs[i];
    unsigned right = r & 1, shift = right ? RIGHT : LEFT;
    uint32_t old = p->state, va = PAIR_VA(i) + (right ? PAGE_SIZE : 0);
    enum what what = r & 0xe ? RAM : NONE;
    if (right && (r >> 4 & 7) == 0)
        what = DEVICE;
    p->state = old | CHANGING;
    dmb();
    if (old / shift & 3) {
        stage_unmap(va);
        invalidate(va, r >> 8);
        fill(p->frame[right][p->cur[right]], right, POISON);
    }
    for (unsigned f = 0; f < FRAMES; f++)
        if (!poisoned(p->frame[right][f], right))
            count(cpu, BAD_STORE);
    if (what != NONE) {
        p->cur[right] ^= r >> 16 & 1;
        uint8_t *frame = p->frame[right][p->cur[right]];
        /* never the poison, never what it was before */
        p->tag[right] = (uint8_t)((p->tag[right] + 1) % 100 + (right ? 101 : 1));
        fill(frame, right, p->tag[right]);
        for (uint32_t a = (uint32_t)frame; what == DEVICE && a < (uint32_t)frame + ENDS; a += 32)
            do_dccimvac(a);
        stage_map(va, frame, what == DEVICE ? ST_DEVICE | ST_XN : ST_XN);
        if (what == DEVICE)
            count(cpu, DEVICES);
    }
    p->state = ((old & ~(3u * shift) & ~1u) | what * shift) + GEN;
    dmb();
    count(cpu, CHANGES);
}

/* --- accesses of 2 to 32 bytes around the boundary; r1: where to put or get the bytes --- */
void x_ldr(uint32_t va, void *buf);
void x_str(uint32_t va, void *buf);
void x_ldm(uint32_t va, void *buf);
void x_stm(uint32_t va, void *buf);
void x_ldrd(uint32_t va, void *buf);
void x_strd(uint32_t va, void *buf);
void x_vldm(uint32_t va, void *buf);
void x_vstm(uint32_t va, void *buf);
void x_vld1(uint32_t va, void *buf);
void x_vst1(uint32_t va, void *buf);
__asm__(".pushsection .text.try,\"ax\",%progbits\n .syntax unified\n .arm\n .fpu neon-vfpv4\n"
        " .balign 4\n"
        ".macro FN n\n .global \\n\n .type \\n,%function\n\\n:\n.endm\n"
        " FN x_ldr\n ldr r2, [r0]\n str r2, [r1]\n bx lr\n"
        " FN x_str\n ldr r2, [r1]\n str r2, [r0]\n bx lr\n"
        " FN x_ldm\n ldm r0, {r2, r3, r12}\n stm r1, {r2, r3, r12}\n bx lr\n"
        " FN x_stm\n ldm r1, {r2, r3, r12}\n stm r0, {r2, r3, r12}\n bx lr\n"
        " FN x_ldrd\n ldrd r2, r3, [r0]\n strd r2, r3, [r1]\n bx lr\n"
        " FN x_strd\n ldrd r2, r3, [r1]\n strd r2, r3, [r0]\n bx lr\n"
        " FN x_vldm\n vldm r0, {d0-d3}\n vstm r1, {d0-d3}\n bx lr\n"
        " FN x_vstm\n vldm r1, {d0-d3}\n vstm r0, {d0-d3}\n bx lr\n"
        " FN x_vld1\n vld1.8 {d0-d1}, [r0]\n vst1.8 {d0-d1}, [r1]\n bx lr\n"
        " FN x_vst1\n vld1.8 {d0-d1}, [r1]\n vst1.8 {d0-d1}, [r0]\n bx lr\n"
        " .purgem FN\n .popsection\n");

static const struct {
    void (*load)(uint32_t va, void *buf), (*store)(uint32_t va, void *buf);
    unsigned size, align;
} kinds[] = {
    {x_ldr, x_str, 4, 1},    {x_ldm, x_stm, 12, 4},   {x_ldrd, x_strd, 8, 4},
    {x_vldm, x_vstm, 32, 4}, {x_vld1, x_vst1, 16, 1},
};

/*
 * What the pages hold: the tags of their owner, in even pairs also bytes that somebody stored,
 * which may be any time after he looked at the state.
 */
#define STORED       0xf0u
#define MAY_STORE(i) (!((i)&1))
static void check_bytes(unsigned cpu, const uint8_t *tag, bool stores, const uint8_t *got,
                        unsigned left, unsigned size, bool stable)
{
    for (unsigned i = 0; i < size; i++) {
        if (got[i] == POISON)
            count(cpu, BAD_OLD);
        else if (stable && got[i] != tag[i >= left] && !(stores && got[i] >= STORED))
            count(cpu, BAD_VALUE);
        else
            continue;
        return;
    }
}

/* Both pages are RAM or not mapped: one legal outcome for an access over the boundary. */
static void check_fault(unsigned cpu, uint32_t state, uint32_t va, enum trap_kind t)
{
    uint32_t page = va & ~0xfffu, hole = LEFT_OF(state) == NONE    ? page
                                         : RIGHT_OF(state) == NONE ? page + PAGE_SIZE
                                                                   : 0;
    count(cpu, STRICT);
    if (t == TRAP_NONE && hole)
        count(cpu, BAD_ALLOWED);
    else if (t != TRAP_NONE && !hole)
        count(cpu, BAD_REFUSED);
    else if (t != TRAP_NONE &&
             (stage_why(t) != WHY_TRANS || (stage_fault_address(t) & ~0xfffu) != hole))
        count(cpu, BAD_CAUSE);
}

static void cross(unsigned cpu, uint32_t r)
{
    unsigned i = (r >> 4) % PAIRS, k = (r >> 8) % ARRAY_SIZE(kinds);
    struct pair *p = &pairs[i];
    unsigned size = kinds[k].size, align = kinds[k].align;
    /* 1 to size - 1 bytes in the left page; words stay aligned where the instruction wants it */
    unsigned left = align + (r >> 12) % (size / align - 1) * align;
    uint32_t va = PAIR_VA(i) + BOUNDARY - left;
    bool store = (r & 3) == 0 && MAY_STORE(i), user = r & 4;
    static struct {
        uint64_t b[4];
    } __attribute__((aligned(64))) buf[MAX_CPUS];
    uint8_t *bytes = (uint8_t *)buf[cpu].b;
    uint32_t s1 = p->state;
    dmb();
    const uint8_t tag[2] = {p->tag[0], p->tag[1]};
    /* One access to two types of memory is UNPREDICTABLE (A3.5.7). */
    if (RIGHT_OF(s1) == DEVICE)
        return;
    for (unsigned n = 0; n < size; n++)
        bytes[n] = store ? STORED | cpu : 0;
    const void *fn = (const void *)(store ? kinds[k].store : kinds[k].load);
    enum trap_kind t =
        user ? catch_user(fn, va, (uint32_t)bytes, 0) : catch_call(fn, va, (uint32_t)bytes, 0);
    dmb();
    bool stable = s1 == p->state && !(s1 & CHANGING);
    count(cpu, CHECKS);
    if (t != TRAP_NONE)
        count(cpu, FAULTS);
    if (t == TRAP_NONE && !store)
        check_bytes(cpu, tag, MAY_STORE(i), bytes, left, size, stable);
    if (stable)
        check_fault(cpu, s1, va, t);
}

/* A word of the right page alone: an unaligned one is refused where the page is Device. */
static void inside(unsigned cpu, uint32_t r)
{
    struct pair *p = &pairs[(r >> 4) % PAIRS];
    uint32_t off = r & 3, va = PAIR_VA((r >> 4) % PAIRS) + BOUNDARY + (r >> 8 & 31) / 4 * 4 + off;
    uint32_t s1 = p->state;
    dmb();
    uint32_t want = p->tag[1] * 0x01010101u;
    enum trap_kind t = probe(ACC_READ, r & 0x1000, va, 0);
    uint32_t got = this_cpu()->result;
    dmb();
    count(cpu, CHECKS);
    if (t == TRAP_NONE && (got & 255) == POISON)
        count(cpu, BAD_OLD);
    if (s1 != p->state || (s1 & CHANGING))
        return;
    enum why why = stage_why(t);
    count(cpu, STRICT);
    if (RIGHT_OF(s1) == NONE || (RIGHT_OF(s1) == DEVICE && off)) {
        if (why == WHY_NONE)
            count(cpu, BAD_ALLOWED);
        else if (why != (RIGHT_OF(s1) == NONE ? WHY_TRANS : WHY_ALIGN))
            count(cpu, BAD_CAUSE);
    } else if (why != WHY_NONE) {
        count(cpu, BAD_REFUSED);
    } else if (got != want && !MAY_STORE(p - pairs)) {
        count(cpu, BAD_VALUE);
    }
}

/* Exchange of the word in the left page; whoever is in between meets the owner's byte or his own.
 */
static void exchange(unsigned cpu, uint32_t r)
{
    unsigned i = (r >> 4) % PAIRS;
    struct pair *p = &pairs[i];
    uint32_t s1 = p->state;
    dmb();
    uint32_t va = PAIR_VA(i) + LOCK_WORD, value = p->tag[0] * 0x01010101u;
    enum trap_kind t = catch_call((const void *)atomic_cas, va, value, value);
    dmb();
    bool stable = s1 == p->state && !(s1 & CHANGING), hole = LEFT_OF(s1) == NONE;
    count(cpu, CHECKS);
    if (!stable)
        return;
    count(cpu, STRICT);
    if (t == TRAP_NONE ? hole : !hole)
        count(cpu, hole ? BAD_ALLOWED : BAD_REFUSED);
    else if (t == TRAP_NONE && !this_cpu()->result)
        count(cpu, BAD_VALUE);
}

static void worker(unsigned cpu, void *arg)
{
    (void)arg;
    uint32_t seed = stage_seed * 0x9e3779b9u + cpu * 0x7f4a7c15u + 1;
    in_use[cpu] = stage_asid(cpu) | stage_asid(cpu) << 8;
    stage_enter(cpu);
    vfp_enable(true);
    stage_meet();
    while (stage_time_left()) {
        for (unsigned i = 0; i < 12; i++)
            cross(cpu, rnd(&seed));
        for (unsigned i = 0; i < 4; i++)
            inside(cpu, rnd(&seed));
        exchange(cpu, rnd(&seed));
        uint32_t r = rnd(&seed);
        unsigned i = (r >> 28) * stage_cpus + cpu;
        if (i < PAIRS)
            change(cpu, i, rnd(&seed));
        if (!(r & 15))
            change_asid(cpu, r >> 4);
    }
    stage_meet();
    vfp_enable(false);
    stage_leave();
}

static bool enough(void)
{
    return stage_total(STRICT) > 100 && stage_total(CHANGES) > 10;
}

void payload_main(void)
{
    stage_setup(smp_start(MAX_CPUS));
    for (unsigned i = 0; i < PAIRS; i++) {
        for (unsigned side = 0; side < 2; side++) {
            for (unsigned f = 0; f < FRAMES; f++) {
                pairs[i].frame[side][f] = mem_alloc(PAGE_SIZE, PAGE_SIZE);
                fill(pairs[i].frame[side][f], side, POISON);
            }
        }
    }
    stage_enough = enough;
    stage_run(worker, NULL, 1, 1);
    tap_ok(enough(), "the test did something");
    stage_report(names, VERDICTS, ALL);
}
