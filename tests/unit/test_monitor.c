/* SPDX-License-Identifier: MIT */
/*
 * Monitors without a machine that runs: how bytes become JSON texts, what requests are answered,
 * what people may type as addresses and formats, where monitors may be.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "io/socket_address.h"
#include "monitor/monitor_internal.h"
#include "vm_control.h"

/* ---- framing ---- */
/* What comes out of the bytes: T text, G garbage, L too long; nothing for what is incomplete. */
static const char *frames(const char *bytes, size_t len, size_t piece)
{
    static char out[256];
    struct frame f = {0};
    size_t n = 0;

    for (size_t at = 0; at < len;) {
        const char *p = bytes + at;
        size_t left = len - at < piece ? len - at : piece;
        at += left;
        for (enum frame_result r; (r = frame_take(&f, &p, &left)) != FRAME_MORE;) {
            cr_assert_lt(n, sizeof out - 1);
            out[n++] = "?TGL"[r];
        }
    }
    out[n] = '\0';
    frame_free(&f);
    return out;
}

Test(monitor, framing)
{
    static const struct {
        const char *bytes, *results;
    } cases[] = {
        {"{}", "T"},
        {"{}{}\r\n[1,[2]] ", "TTT"},
        {"{\"a\": \"}{\\\"}\"}", "T"},
        {"{\"a\": \"\\\\\"}{}", "TT"},
        {"{\"half\": ", ""},
        {"{\"half\": \n{}}", "T"},
        {"hello {}\n{}", "GT"},
        {"}{}\n{}", "GT"},
        {"1 2 3\n\n{}", "GT"},
        {"{\"open string\n{}", "GT"},
        {"{\"a\xff{}", "T"},
        {"", ""},
        {" \t\r\n", ""},
        {"{]", "T"}, /* closes as deep as it opened; the parser refuses it */
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const char *bytes = cases[i].bytes, *results = cases[i].results;
        cr_expect_str_eq(frames(bytes, strlen(bytes), 1000), results, "%s", bytes);
        cr_expect_str_eq(frames(bytes, strlen(bytes), 1), results, "byte by byte: %s", bytes);
    }
}

Test(monitor, text_that_is_too_long)
{
    size_t len = FRAME_MAX + 100;
    char *bytes = malloc(len);

    memset(bytes, ' ', len);
    bytes[0] = '{';
    memcpy(bytes + len - 4, "}\n{}", 4);
    cr_expect_str_eq(frames(bytes, len, 4096), "LT");
    bytes[FRAME_MAX - 1] = '}';
    bytes[FRAME_MAX] = '\n';
    cr_expect_str_eq(frames(bytes, FRAME_MAX + 1, 4096), "T", "exactly as long as allowed");
    free(bytes);
}

/* ---- requests ---- */
static struct vm_options opt = {.name = "me", .serial = "null"};
static struct vcpu cpu0;
static struct vm vm = {.opt = &opt, .ncpus = 1, .cpu = {&cpu0}};

static const char *answer_to(const char *text, bool negotiated)
{
    static char out[4096];
    json_t *request = json_loads(text, JSON_DECODE_ANY, NULL);

    cr_assert_not_null(request, "%s", text);
    json_t *answer = control_answer(&vm, &negotiated, request);
    char *dump = json_dumps(answer, JSON_SORT_KEYS | JSON_COMPACT);
    snprintf(out, sizeof out, "%s%s", dump, negotiated ? "" : " closed");
    free(dump);
    json_decref(answer);
    json_decref(request);
    return out;
}

Test(monitor, negotiation)
{
    vm_pause_init(&vm);
    cr_expect_str_eq(answer_to("{\"execute\":\"qmp_capabilities\"}", false), "{\"return\":{}}");
    cr_expect_str_eq(answer_to("{\"execute\":\"qmp_capabilities\",\"arguments\":{\"enable\":[]},"
                               "\"id\":[1,{}]}",
                               false),
                     "{\"id\":[1,{}],\"return\":{}}");
    cr_expect(strstr(answer_to("{\"execute\":\"qmp_capabilities\",\"arguments\":"
                               "{\"enable\":[\"oob\"]}}",
                               false),
                     "GenericError"));
    cr_expect(strstr(answer_to("{\"execute\":\"query-status\"}", false), "CommandNotFound"));
    cr_expect(strstr(answer_to("{\"execute\":\"query-status\"}", false), "closed"));
    cr_expect(strstr(answer_to("{\"execute\":\"qmp_capabilities\"}", true), "CommandNotFound"));
}

Test(monitor, answers)
{
    vm_pause_init(&vm);
    cr_expect_str_eq(answer_to("{\"execute\":\"query-status\",\"id\":\"x\"}", true),
                     "{\"id\":\"x\",\"return\":{\"running\":true,\"singlestep\":false,"
                     "\"status\":\"running\"}}");
    cr_expect_str_eq(answer_to("{\"execute\":\"query-name\"}", true),
                     "{\"return\":{\"name\":\"me\"}}");
    cr_expect_str_eq(answer_to("{\"execute\":\"query-kvm\",\"arguments\":{}}", true),
                     "{\"return\":{\"enabled\":false,\"present\":false}}");
    cr_expect_str_eq(answer_to("{\"execute\":\"query-block\"}", true), "{\"return\":[]}");
    cr_expect(strstr(answer_to("{\"execute\":\"query-commands\"}", true), "\"query-commands\""));
    cr_expect_str_eq(answer_to("{\"execute\":\"human-monitor-command\",\"arguments\":"
                               "{\"command-line\":\"info version\"}}",
                               true),
                     "{\"return\":\"umbra " UMBRA_VERSION "\\r\\n\"}");
}

Test(monitor, requests_that_are_refused)
{
    static const char *const refused[][2] = {
        {"[]", "GenericError"},
        {"7", "GenericError"},
        {"null", "GenericError"},
        {"{}", "GenericError"},
        {"{\"execute\":7}", "GenericError"},
        {"{\"execute\":{}}", "GenericError"},
        {"{\"execute\":\"stop\",\"arguments\":[]}", "GenericError"},
        {"{\"execute\":\"query-name\",\"arguments\":{\"x\":1}}", "no argument \\\"x\\\""},
        {"{\"execute\":\"query-name\",\"extra\":1}", "no member \\\"extra\\\""},
        {"{\"execute\":\"fly\"}", "CommandNotFound"},
        {"{\"execute\":\"\"}", "CommandNotFound"},
        {"{\"execute\":\"human-monitor-command\"}", "command-line"},
        {"{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":1}}", "string"},
        {"{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"x\","
         "\"cpu-index\":1}}",
         "from 0 to 0"},
        {"{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"x\","
         "\"cpu-index\":-1}}",
         "from 0 to 0"},
        {"{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"x\","
         "\"cpu-index\":\"0\"}}",
         "number"},
    };

    vm_pause_init(&vm);
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        const char *got = answer_to(refused[i][0], true);
        cr_expect(strstr(got, refused[i][1]) && strstr(got, "\"error\""), "%s: %s", refused[i][0],
                  got);
    }
}

/* Valid requests with bytes changed: whatever comes out is an answer or garbage, never a crash. */
Test(monitor, damaged_requests)
{
    static const char *const seed[] = {
        "{\"execute\":\"qmp_capabilities\",\"id\":1}",
        "{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"info name\"}}",
        "{\"execute\":\"query-status\",\"id\":{\"a\":[1,2.5e3,null,true,\"\\u00e4\"]}}",
    };
    unsigned random = 1, answers = 0;

    vm_pause_init(&vm);
    for (unsigned round = 0; round < 20000; round++) {
        char text[128];
        size_t len = strlen(seed[round % 3]);
        memcpy(text, seed[round % 3], len);
        for (unsigned i = 0; i <= round % 4; i++) {
            random = random * 1103515245 + 12345;
            text[(random >> 16) % len] = (char)(random >> 8);
        }
        struct frame f = {0};
        const char *p = text;
        while (frame_take(&f, &p, &len) == FRAME_TEXT) {
            json_t *request = json_loadb(f.text, f.len, JSON_REJECT_DUPLICATES, NULL);
            bool negotiated = round & 1;
            json_t *answer =
                request != NULL ? control_answer(&vm, &negotiated, request) : json_object();
            cr_assert_not_null(answer);
            answers += request != NULL;
            json_decref(answer);
            json_decref(request);
        }
        frame_free(&f);
    }
    cr_expect_gt(answers, 1000, "the damage leaves some of them readable");
}

Test(monitor, events)
{
    struct vm_event e = {.kind = VM_EVENT_SHUTDOWN, .why = VM_SHUTDOWN, .at = {5, 6789000}};
    json_t *j = control_event_json(&e);
    char *dump = json_dumps(j, JSON_SORT_KEYS | JSON_COMPACT);

    cr_expect_str_eq(dump, "{\"data\":{\"guest\":true,\"reason\":\"guest-shutdown\"},"
                           "\"event\":\"SHUTDOWN\","
                           "\"timestamp\":{\"microseconds\":6789,\"seconds\":5}}");
    free(dump);
    json_decref(j);
    e.kind = VM_EVENT_RESUME;
    j = control_event_json(&e);
    cr_expect_null(json_object_get(j, "data"));
    json_decref(j);
}

Test(monitor, a_wish_to_quit_replaces_a_reset)
{
    cr_expect(vm_reason_outranks(VM_RESET, VM_RUNNING));
    cr_expect(vm_reason_outranks(VM_QUIT_MONITOR, VM_RESET));
    cr_expect(vm_reason_outranks(VM_SIGNAL, VM_SHUTDOWN));
    cr_expect_not(vm_reason_outranks(VM_RESET, VM_SHUTDOWN));
    cr_expect_not(vm_reason_outranks(VM_SHUTDOWN, VM_QUIT_CONSOLE));
    cr_expect_not(vm_reason_outranks(VM_RESET_MONITOR, VM_RESET));
}

/* ---- what people type ---- */
static const char *run(const char *line)
{
    static char out[4096];
    unsigned cpu = 0;
    char *text = human_run(&vm, &cpu, line);

    snprintf(out, sizeof out, "%s", text);
    free(text);
    return out;
}

Test(monitor, lines)
{
    vm_pause_init(&vm);
    cr_expect_str_eq(run(""), "");
    cr_expect_str_eq(run("   "), "");
    cr_expect_str_eq(run("  info   name  "), "me\r\n");
    cr_expect_str_eq(run("info chardev"), "serial0: null\r\n");
    cr_expect_str_eq(run("info status"), "VM status: running\r\n");
    cr_expect(strstr(run("help"), "system_powerdown"));
    cr_expect(strstr(run("? x"), "/FMT ADDR"));
    cr_expect(strstr(run("info"), "info registers"));
    for (const char *const *bad =
             (const char *const[]){"fly", "/", "info fly", "info status now", "cpu", "cpu 1",
                                   "cpu -1", "cpu 0x", "stop now", "help fly", "s|top",
                                   "cpu 99999999999999999999", NULL};
         *bad != NULL; bad++) {
        cr_expect(strncmp(run(*bad), "error: ", 7) == 0, "%s: %s", *bad, run(*bad));
    }
}

Test(monitor, expressions)
{
    const struct {
        const char *text;
        uint64_t value;
    } good[] = {{"0", 0},
                {"0x10+2", 0x12},
                {" 10 - 2 * ( 3 + 1 ) ", 2},
                {"$r1", 0x111},
                {"$r15", 0x1500},
                {"$pc+4", 0x1504},
                {"$sp-0x1000", 0x300},
                {"0xffffffffffffffff", UINT64_MAX},
                {"((((7))))", 7}};
    const char *const bad[] = {"",      "+",     "1+",   "(1",   "1)", "0xg", "$r16", "$",
                               "$zero", "12abc", "1 2",  "--1",  "*",
                               "$r01",  "0x1ffffffffffffffff"};
    const char *why;
    uint64_t got;

    cpu0.r[1] = 0x111;
    cpu0.r[13] = 0x1300;
    cpu0.r[15] = 0x1500;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        cr_expect_eq(expression_value(good[i].text, &cpu0, &got, &why), 0, "%s", good[i].text);
        cr_expect_eq(got, good[i].value, "%s = 0x%lx", good[i].text, (unsigned long)got);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        cr_expect_eq(expression_value(bad[i], &cpu0, &got, &why), -EINVAL, "%s", bad[i]);
        cr_expect_not_null(why);
    }
    char deep[200];
    memset(deep, '(', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    cr_expect_eq(expression_value(deep, &cpu0, &got, &why), -EINVAL);
}

Test(monitor, formats)
{
    struct examine_format f;
    const char *p = "/20dh 5";

    cr_assert(examine_format_parse(&p, &f));
    cr_expect_eq(f.count, 20);
    cr_expect_eq(f.show, 'd');
    cr_expect_eq(f.size, 2);
    cr_expect_str_eq(p, "5");
    p = "5";
    cr_assert(examine_format_parse(&p, &f));
    cr_expect(f.count == 1 && f.show == 'x' && f.size == 4);
    for (const char *const *bad =
             (const char *const[]){"/z", "/0x", "/65537x", "/99999999999999999999x", "/x8", NULL};
         *bad != NULL; bad++) {
        p = *bad;
        cr_expect_not(examine_format_parse(&p, &f), "%s", *bad);
    }
}

/* ---- places ---- */
Test(monitor, addresses)
{
    struct socket_address a;
    const char *why;

    cr_assert(socket_address_parse("unix:/tmp/x,server=on,wait=off", &a, &why));
    cr_expect(!a.tcp && a.server && !a.wait);
    cr_expect_str_eq(a.path, "/tmp/x");
    cr_assert(socket_address_parse("unix:/tmp/x,server,nowait", &a, &why));
    cr_expect(a.server && !a.wait);
    cr_assert(socket_address_parse("tcp:localhost:44,server", &a, &why));
    cr_expect(a.tcp && a.server && a.wait);
    cr_expect_str_eq(a.host, "localhost");
    cr_expect_str_eq(a.service, "44");
    cr_assert(socket_address_parse("tcp:[::1]:http,server=off", &a, &why));
    cr_expect_str_eq(a.host, "::1");
    cr_expect_str_eq(a.service, "http");
    cr_assert(socket_address_parse("tcp::4444", &a, &why));
    cr_expect_str_eq(a.host, "");
    for (const char *const *bad = (const char *const[]){"unix:", "unix:,server", "tcp:", "tcp:4444",
                                                        "tcp:host:", "tcp:a:1,fast", "udp:a:1",
                                                        "unix:/x,server=perhaps", NULL};
         *bad != NULL; bad++) {
        cr_expect_not(socket_address_parse(*bad, &a, &why), "%s", *bad);
    }
    char path[130] = "unix:/";
    memset(path + 6, 'p', 106);
    cr_expect(socket_address_parse(path, &a, &why), "107 bytes fit");
    path[112] = 'p';
    cr_expect_not(socket_address_parse(path, &a, &why), "108 do not");
    cr_expect(strstr(why, "107"));
    cr_expect(monitor_metrics_valid("9100") && monitor_metrics_valid("[::1]:9100"));
    cr_expect_not(monitor_metrics_valid("host") || monitor_metrics_valid("0") ||
                  monitor_metrics_valid("65536") || monitor_metrics_valid(":1x") ||
                  monitor_metrics_valid(""));
}
