/* SPDX-License-Identifier: MIT */
/*
 * Regions that no window needs at the moment. A window that is cleared gives its regions back, so
 * that what records take is bounded by what is mapped at one time, not by every address that was
 * ever mapped. Memory of regions is never used for anything else: other threads look into a window
 * without its lock, and one that holds a pointer to a region that has just moved to another window
 * reads records of the wrong addresses. That is harmless: "something is mapped" is looked at again
 * under the lock; and when it says "nothing", nothing was mapped here when the pointer was read.
 */
#include "window.h"

#include <stdlib.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct region *unused; /* through region.next; under lock */

struct region *region_get_empty(void)
{
    struct region *r;

    pthread_mutex_lock(&lock);
    r = unused;
    if (r)
        unused = r->next;
    pthread_mutex_unlock(&lock);
    if (!r)
        r = calloc(1, sizeof(*r)); /* not mmu_zalloc(): it would take a VMA */
    if (r) {
        r->w_first = UINT32_MAX;
        r->w_last = 0;
    }
    return r;
}

void region_give_back(struct region *r)
{
    pthread_mutex_lock(&lock);
    r->next = unused;
    unused = r;
    pthread_mutex_unlock(&lock);
}
