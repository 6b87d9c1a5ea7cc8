/* SPDX-License-Identifier: MIT */
/*
 * Test report in the Test Anything Protocol: numbered results, the plan at the end, then one line
 * PASS or FAIL, then power off.  Called by CPU 0 only.
 */
#include "guest.h"

#define MATRIX_DIAGS 12

static unsigned tests, failures;

static bool report(bool good, const char *fmt, va_list ap)
{
    tests++;
    failures += !good;
    print("%s %u - ", good ? "ok" : "not ok", tests);
    vprint(fmt, ap);
    print("\n");
    return good;
}

bool tap_ok(bool good, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    report(good, fmt, ap);
    va_end(ap);
    return good;
}

bool tap_eq(uint32_t got, uint32_t want, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    report(got == want, fmt, ap);
    va_end(ap);
    if (got != want)
        tap_diag("got 0x%08x, want 0x%08x", (unsigned)got, (unsigned)want);
    return got == want;
}

void tap_diag(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    print("# ");
    vprint(fmt, ap);
    print("\n");
    va_end(ap);
}

void tap_skip(const char *name, const char *why)
{
    tests++;
    print("ok %u - %s # SKIP %s\n", tests, name, why);
}

bool case_eq(struct matrix *m, uint32_t got, uint32_t want, const char *fmt, ...)
{
    m->cases++;
    if (got == want)
        return true;
    if (m->bad++ < MATRIX_DIAGS) {
        va_list ap;
        va_start(ap, fmt);
        print("# %s: ", m->name);
        vprint(fmt, ap);
        print(": got 0x%x, want 0x%x\n", (unsigned)got, (unsigned)want);
        va_end(ap);
    }
    return false;
}

void matrix_end(struct matrix *m)
{
    tap_ok(m->bad == 0 && m->cases != 0, "%s", m->name);
    tap_diag("%u cases, %u wrong", m->cases, m->bad);
}

_Noreturn static void power_off(void)
{
    psci(PSCI_SYSTEM_OFF, 0, 0, 0);
    for (;;)
        wfi();
}

static void end_report(void)
{
    print("1..%u\n%s\n", tests, failures || !tests ? "FAIL" : "PASS");
}

_Noreturn void tap_finish(void)
{
    end_report();
    power_off();
}

_Noreturn void tap_finish_by_reset(void)
{
    end_report();
    psci(PSCI_SYSTEM_RESET, 0, 0, 0);
    bail("SYSTEM_RESET returned");
}

_Noreturn void bail(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    print("Bail out! ");
    vprint(fmt, ap);
    print("\nFAIL\n");
    va_end(ap);
    power_off();
}
