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

void perf_map_add(const struct vcpu *v, const struct tb *tb)
{
    char name[160];

    if (!map)
        return;
    pthread_mutex_lock(&map_lock);
    fprintf(map, "%lx %x cpu%u:%s:%08lx%s\n", (unsigned long)(uintptr_t)tb->code, tb->host_bytes,
            v->index, (tb->exec_flags & EXEC_PRIV) ? "priv" : "user", (unsigned long)tb->pc,
            symbols_format(tb->pc, name, sizeof(name)));
    pthread_mutex_unlock(&map_lock);
}

void perf_map_close(void)
{
    if (map)
        fclose(map);
    map = NULL;
}
