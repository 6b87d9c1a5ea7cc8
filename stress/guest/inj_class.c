/* SPDX-License-Identifier: MIT */
/*
 * Code shootdown without code maintenance (remap.inc.c) where maintenance of everything is frequent
 * and mostly changes nothing, as when processes end: what an emulator keeps of global code over it
 * must go when the page is remapped, by address or by one more flush of everything.
 */
#include "remap.inc.c"

const char payload_name[] = "inj_class";

#define BY_ADDRESS 0u /* ways of shoot_invalidate() */
#define ALL        3u

static void call_each(unsigned cpu, uint32_t *seed)
{
    for (unsigned i = 0; i < PAGES; i++)
        call_page(cpu, (rnd(seed) & ~0x400000ffu) | i); /* all privileged */
}

static void change(struct page *p, uint32_t r)
{
    unsigned cpu = this_cpu()->index;
    for (unsigned i = r >> 16 & 3; i; i--) {
        shoot_invalidate(p, ALL);
        call_each(cpu, &r);
    }
    if (!unmap_and_choose(p, (r & 0xff) | (r & 0x8000 ? ALL : BY_ADDRESS) << 8))
        return;
    shoot_set_entry(p, READ_ONLY, p->cur);
    shoot_publish(p, READ_ONLY);
}

void payload_main(void)
{
    remap_main(true);
}
