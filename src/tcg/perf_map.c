/* SPDX-License-Identifier: MIT */
/*
 * The map by which perf names translated blocks: /tmp/perf-PID.map, one line a block. Enabled by
 * perf_map_open(); shared by all vCPUs under a lock of its own (a debugging aid, off the fast
 * path).
 */
#include "tcg/perf_map.h"

#include "base/symbols.h"
#include "tcg/tcg_internal.h"
#include "vcpu/vcpu.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static FILE *map;
static pthread_mutex_t map_lock = PTHREAD_MUTEX_INITIALIZER;

int perf_map_open(void)
{
    char path[64];

    snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
    map = fopen(path, "we");
    if (!map)
        return -errno;
    setvbuf(map, NULL, _IOLBF, 0);
    return 0;
}

static void add(const struct vcpu *v, const struct tb *tb, const uint8_t *code, unsigned bytes)
{
    char name[160];

    fprintf(map, "%lx %x cpu%u:%s:%08lx%s\n", (unsigned long)(uintptr_t)code, bytes, v->index,
            (tb->exec_flags & EXEC_PRIV) ? "priv" : "user", (unsigned long)tb->pc,
            symbols_format(tb->pc, name, sizeof(name)));
}

void perf_map_add(const struct vcpu *v, const struct tb *tb)
{
    if (!map)
        return;
    pthread_mutex_lock(&map_lock);
    add(v, tb, tb->code, tb->straight_bytes);
    add(v, tb, v->tcg->rx + tb->cold, tb->host_bytes - tb->straight_bytes);
    pthread_mutex_unlock(&map_lock);
}

void perf_map_close(void)
{
    if (map)
        fclose(map);
    map = NULL;
}
