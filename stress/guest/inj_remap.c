/* SPDX-License-Identifier: MIT */
/*
 * Code shootdown without code maintenance (remap.inc.c), by every way of TLB maintenance. Now and
 * then an owner writes data beside the function and asks for cache maintenance, so that the code is
 * translated anew while the page is remapped again.
 */
#include "remap.inc.c"

const char payload_name[] = "inj_remap";

static void change(struct page *p, uint32_t r)
{
    if (!unmap_and_choose(p, r))
        return;
    if (r & 8) {
        uint8_t *f = p->frame[p->cur];
        *(volatile uint32_t *)(f + DATA) = r;
        do_dccmvau((uint32_t)(f + FN));
        dsb();
        do_icimvau((uint32_t)(f + FN));
        do_bpiallis(0);
        dsb();
        isb();
    }
    dmb();
    shoot_set_entry(p, READ_ONLY, p->cur);
    shoot_publish(p, READ_ONLY);
}

void payload_main(void)
{
    remap_main(false);
}
