/* SPDX-License-Identifier: MIT */
/*
 * Log masks, the log file, counters in both printed forms, and the RCU wrapper's promise that
 * memory handed over is freed only after readers are done.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/rcu.h"
#include "base/stats.h"
#include "tcg/tcg.h"

Test(log, masks)
{
    unsigned mask = 99;
    const char *bad = NULL;

    cr_assert(log_mask_parse("in_asm,op,out_asm,int,mmu,guest_error,exec", &mask, &bad));
    cr_expect_eq(
        mask, (LOG_IN_ASM | LOG_OP | LOG_OUT_ASM | LOG_INT | LOG_MMU | LOG_GUEST_ERROR | LOG_EXEC));
    cr_assert(log_mask_parse("int", &mask, &bad));
    cr_expect_eq(mask, LOG_INT);
    mask = 99;
    cr_expect_not(log_mask_parse("int,inte", &mask, &bad));
    cr_expect_str_eq(bad, "inte");
    cr_expect_eq(mask, 99, "unchanged");
    cr_expect_not(log_mask_parse("", &mask, &bad));
    cr_expect_not(log_mask_parse("int,,mmu", &mask, &bad));
    cr_expect_not(log_mask_parse("in", &mask, &bad));
    cr_expect_not_null(strstr(log_mask_names(), "guest_error"));
}

Test(log, file)
{
    char path[] = "/tmp/umbra-test-log.XXXXXX", text[128];
    int fd = mkstemp(path);

    cr_assert_geq(fd, 0);
    cr_assert_eq(log_open(path), 0);
    log_printf("one %d\n", 1);
    FILE *f = log_begin();
    fputs("two ", f);
    fputs("parts\n", f);
    log_end(f);
    ssize_t n = read(fd, text, sizeof text - 1);
    text[n > 0 ? n : 0] = '\0';
    cr_expect_str_eq(text, "one 1\ntwo parts\n", "written through at once");
    log_close();
    close(fd);
    unlink(path);
    cr_expect_eq(log_open("/no/such/dir/log"), -ENOENT);
}

Test(log, bug_aborts, .signal = SIGABRT)
{
    vm_bug("test of the end: %d", 42);
}

static char *slurp(FILE *f)
{
    static char text[65536];

    rewind(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    return text;
}

Test(stats, text_and_json)
{
    STAT_ADD(&stats_vcpu[0], translations, 5);
    STAT_INC(&stats_vcpu[1], translations);
    STAT_MAX(&stats_vcpu[0], fill_stall_max_ns, 70);
    STAT_MAX(&stats_vcpu[0], fill_stall_max_ns, 60);
    STAT_MAX(&stats_vcpu[1], fill_stall_max_ns, 90);

    FILE *f = tmpfile();
    stats_print_text(f, 2);
    const char *text = slurp(f);
    cr_expect_not_null(strstr(text, "translations "));
    cr_expect_not_null(strstr(text, "(5 1)"));
    cr_expect_not_null(strstr(text, "blocks translated"));
    fclose(f);

    char path[64];
    snprintf(path, sizeof path, "/tmp/umbra-test-stats.%d.json", (int)getpid());
    cr_assert_eq(stats_write_json(path, 2, NULL, NULL), 0);
    f = fopen(path, "r");
    cr_assert_not_null(f);
    text = slurp(f);
    cr_expect_not_null(strstr(text, "{\"translations\": 5, "));
    cr_expect_not_null(strstr(text, "{\"translations\": 1, "));
    cr_expect_not_null(strstr(text, "\"total\": {\n    \"translations\": 6,"));
    cr_expect_not_null(strstr(text, "\n    \"fill_stall_max_ns\": 90"), "a maximum, not a sum");
    fclose(f);
    char command[256];
    snprintf(command, sizeof command, "python3 -m json.tool %s > /dev/null", path);
    cr_expect_eq(system(command), 0, "well-formed");
    unlink(path);
    cr_expect_eq(stats_write_json("/no/such/dir/s.json", 1, NULL, NULL), -ENOENT);
    cr_expect_lt(stats_write_json("/dev/full/x", 1, NULL, NULL), 0);

    /* What is no regular file is written to, not replaced. */
    struct stat st;
    snprintf(path, sizeof path, "/tmp/umbra-test-stats.%d.link", (int)getpid());
    cr_assert_eq(symlink("/dev/full", path), 0);
    cr_expect_eq(stats_write_json(path, 1, NULL, NULL), -ENOSPC);
    cr_expect(lstat(path, &st) == 0 && S_ISLNK(st.st_mode), "it is still there");
    unlink(path);
}

struct node {
    _Atomic int alive;
    int value;
};
static struct node *shared;
static atomic_bool done;

static void *reader(void *opaque)
{
    long *bad = opaque;

    rcu_thread_register();
    while (!atomic_load(&done)) {
        rcu_enter();
        const struct node *n = rcu_read(&shared);
        int v = n->value;
        if (atomic_load(&n->alive) != 1 || n->value != v) {
            ++*bad;
        }
        rcu_leave();
    }
    rcu_thread_unregister();
    return NULL;
}

Test(rcu, readers_never_see_freed_memory)
{
    pthread_t t[2];
    long bad[2] = {0, 0};

    rcu_thread_register();
    shared = malloc(sizeof *shared);
    *shared = (struct node){1, 0};
    for (int i = 0; i < 2; i++) {
        pthread_create(&t[i], NULL, reader, &bad[i]);
    }
    for (int i = 1; i < 2000; i++) {
        struct node *n = malloc(sizeof *n), *old = shared;
        *n = (struct node){1, i};
        rcu_publish(&shared, n);
        if (i % 2) {
            rcu_free_later(old);
        } else {
            rcu_wait_readers();
            atomic_store(&old->alive, 0);
            free(old);
        }
    }
    atomic_store(&done, true);
    for (int i = 0; i < 2; i++) {
        pthread_join(t[i], NULL);
        cr_expect_eq(bad[i], 0);
    }
    rcu_drain();
    free(shared);
    rcu_thread_unregister();
}
