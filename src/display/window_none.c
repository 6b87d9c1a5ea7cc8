/* SPDX-License-Identifier: MIT */
/*
 * -display sdl where SDL's headers were missing when this was built.
 */
#include "display/window.h"

#include "base/log.h"

#include <errno.h>

int display_window_open(struct display *d, const char *name, void (*closed)(void *opaque),
                        void *opaque, struct display_window **out)
{
    (void)d;
    (void)name;
    (void)closed;
    (void)opaque;
    *out = NULL;
    log_error("-display sdl: built without SDL; install libsdl2-dev and build again, or use "
              "-display vnc=:N");
    return -ENOTSUP;
}

void display_window_close(struct display_window *w)
{
    (void)w;
}
