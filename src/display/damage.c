/* SPDX-License-Identifier: MIT */
/*
 * Where a picture changed: a few rectangles. What grows by rows, as most drawing does, stays one
 * rectangle; when there is no room for more they become one that holds them all. No state.
 */
#include "display/display.h"

static unsigned min(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static unsigned max(unsigned a, unsigned b)
{
    return a > b ? a : b;
}

static struct display_rect join(struct display_rect a, struct display_rect b)
{
    unsigned x = min(a.x, b.x), y = min(a.y, b.y);

    return (struct display_rect){x, y, max(a.x + a.w, b.x + b.w) - x,
                                 max(a.y + a.h, b.y + b.h) - y};
}

/* Do they overlap or touch? */
static bool meet(struct display_rect a, struct display_rect b)
{
    return a.x <= b.x + b.w && b.x <= a.x + a.w && a.y <= b.y + b.h && b.y <= a.y + a.h;
}

void display_damage_add(struct display_damage *d, struct display_rect r)
{
    if (r.w == 0 || r.h == 0) {
        return;
    }
    if (d->n > 0 && meet(d->rect[d->n - 1], r)) {
        d->rect[d->n - 1] = join(d->rect[d->n - 1], r);
    } else if (d->n < DISPLAY_RECTS) {
        d->rect[d->n++] = r;
    } else {
        for (unsigned i = 0; i < d->n; i++) {
            r = join(r, d->rect[i]);
        }
        d->rect[0] = r;
        d->n = 1;
    }
}
