/* SPDX-License-Identifier: MIT */
/*
 * -pin: which host processor each vCPU thread runs on, from hwloc's picture of the machine and the
 * processors this process is allowed to use. Runs once at start, on the main thread.
 */
#include "vcpu/pin.h"

#include <errno.h>
#include <hwloc.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

static void place_anywhere(struct vcpu_placement *p)
{
    for (unsigned i = 0; i < VCPU_MAX; i++)
        p->pu[i] = -1;
}

static void place_spread(hwloc_topology_t t, struct vcpu_placement *p, unsigned n)
{
    hwloc_obj_t root = hwloc_get_root_obj(t);
    hwloc_cpuset_t set[VCPU_MAX];

    hwloc_distrib(t, &root, 1, set, n, INT_MAX, 0);
    for (unsigned i = 0; i < n; i++) {
        p->pu[i] = hwloc_bitmap_first(set[i]);
        hwloc_bitmap_free(set[i]);
    }
}

static void place_compact(hwloc_topology_t t, struct vcpu_placement *p, unsigned n)
{
    unsigned pus = (unsigned)hwloc_get_nbobjs_by_type(t, HWLOC_OBJ_PU);

    for (unsigned i = 0; i < n && pus; i++)
        p->pu[i] = (int)hwloc_get_obj_by_type(t, HWLOC_OBJ_PU, i % pus)->os_index;
}

static int place_list(struct vcpu_placement *p, const char *list, unsigned n, const char **why)
{
    hwloc_bitmap_t set = hwloc_bitmap_alloc();
    cpu_set_t allowed;
    int pu = -1;

    *why = "expected none, spread, compact or a list of host processors such as 0,2,4-6";
    if (!set)
        return -ENOMEM;
    if (strspn(list, "0123456789,-") != strlen(list) || hwloc_bitmap_list_sscanf(set, list) < 0 ||
        hwloc_bitmap_weight(set) < 1) {
        hwloc_bitmap_free(set);
        return -EINVAL;
    }
    CPU_ZERO(&allowed);
    sched_getaffinity(0, sizeof(allowed), &allowed);
    for (unsigned i = 0; i < n; i++) {
        pu = hwloc_bitmap_next(set, pu);
        if (pu < 0)
            pu = hwloc_bitmap_first(set);
        if (pu >= CPU_SETSIZE || !CPU_ISSET((unsigned)pu, &allowed)) {
            *why = "it names a host processor that does not exist or that this process may not use";
            hwloc_bitmap_free(set);
            return -EINVAL;
        }
        p->pu[i] = pu;
    }
    hwloc_bitmap_free(set);
    return 0;
}

static int place_by_topology(struct vcpu_placement *p, unsigned n, bool spread)
{
    hwloc_topology_t t;

    if (hwloc_topology_init(&t) < 0)
        return -ENOMEM;
    if (hwloc_topology_load(t) < 0) {
        hwloc_topology_destroy(t);
        return -EIO;
    }
    if (spread)
        place_spread(t, p, n);
    else
        place_compact(t, p, n);
    hwloc_topology_destroy(t);
    return 0;
}

int vcpu_placement_make(struct vcpu_placement *p, const char *policy, unsigned ncpus,
                        const char **why)
{
    place_anywhere(p);
    if (!policy || !strcmp(policy, "none"))
        return 0;
    *why = "the host's processor topology cannot be read";
    if (!strcmp(policy, "spread") || !strcmp(policy, "compact"))
        return place_by_topology(p, ncpus, policy[0] == 's');
    return place_list(p, policy, ncpus, why);
}

int vcpu_placement_apply(const struct vcpu_placement *p, pthread_t thread, unsigned index)
{
    cpu_set_t set;

    if (p->pu[index] < 0)
        return 0;
    CPU_ZERO(&set);
    CPU_SET((unsigned)p->pu[index], &set);
    return -pthread_setaffinity_np(thread, sizeof(set), &set);
}
