/* SPDX-License-Identifier: MIT */
/*
 * Character back ends: what a serial port's bytes go to and come from (-serial). A back end never
 * blocks its user: output goes into a bounded buffer that the I/O thread empties; when the buffer
 * is full the front end keeps its bytes and is told when there is room.
 */
#pragma once

#include "base/types.h"

struct io_loop;
struct chardev;

/* The front end. Callbacks run on the I/O thread with no lock of the back end held. */
struct chardev_user {
    size_t (*room)(void *opaque); /* bytes receive() can take now */
    void (*receive)(void *opaque, const uint8_t *buf, size_t len); /* len <= room() */
    void (*sent)(void *opaque);             /* there is room for output again */
    void (*escape)(void *opaque, char key); /* Ctrl-A and a key that means us; NULL: no escapes */
    void (*quit)(void *opaque, int status); /* "testdev": end the emulator. Any thread; NULL: no */
    void *opaque;
};

/*
 * A second user of a console, a monitor: while it has the focus (Ctrl-A c), input goes to it
 * instead of the front end. Output of both is mixed. Callbacks run on the back end's I/O thread.
 */
struct chardev_sharer {
    void (*receive)(void *opaque, const uint8_t *buf, size_t len);
    void (*focus)(void *opaque); /* input goes there from now on */
    void (*sent)(void *opaque);  /* there is room for output again */
    void *opaque;
};

/*
 * "stdio", "null", "testdev" (what is written ends the emulator, chardev_testdev.c),
 * "ringbuf:SIZE:ID" (the last SIZE bytes, for a monitor to read, chardev_ringbuf.c), "file:PATH",
 * "unix:PATH[,server=on|off][,wait=on|off]" (also the older
 * ",server", ",nowait"), "pty". With "mon:" before it, it knows the Ctrl-A keys and may be shared
 * with a monitor; "stdio" always knows the keys. Errors are reported here. May wait for a client
 * when asked to.
 */
int chardev_open(struct io_loop *l, const char *spec, struct chardev **out) MUST_CHECK;
/* Checks the spelling only; on false *why says what is accepted. */
bool chardev_spec_valid(const char *spec, const char **why);
/* Connects the front end and starts input; once, before the machine runs. */
void chardev_attach(struct chardev *c, const struct chardev_user *user);
/* Share it; NULL: no longer. Before the I/O thread starts or after it has stopped. */
void chardev_share(struct chardev *c, const struct chardev_sharer *sharer);
/* Queue output; how many bytes were taken. Any thread, never blocks. When less than len was taken,
   sent() will be called. */
size_t chardev_write(struct chardev *c, const uint8_t *buf, size_t len);
/*
 * A window on the console: what was written can be looked at again, and be answered by typing.
 * chardev_record() keeps the newest CHARDEV_RECORD bytes of output from now on; before the machine
 * runs, -ENOMEM.
 */
#define CHARDEV_RECORD (UINT32_C(1) << 18)
int chardev_record(struct chardev *c) MUST_CHECK;
/* Copies output from byte *from of all that was recorded; what is forgotten is skipped. *from
   becomes the number of the byte after the copy. How many bytes. Any thread. */
size_t chardev_recorded(struct chardev *c, uint64_t *from, uint8_t *buf, size_t size);
/* Types to the front end of a recorded console, whatever its own input is; how many bytes were
   taken. Any thread. */
size_t chardev_type(struct chardev *c, const uint8_t *buf, size_t len);
/* room() grew: look for input again. Any thread, cheap when input is not stopped. */
void chardev_accept_input(struct chardev *c);
/*
 * The ring buffer with this ID: take up to *len bytes out of it, oldest first, or put some in, as
 * if they had been written to it. -ENOENT: no port has a ring buffer of that id. Any thread.
 */
int chardev_ringbuf_read(const char *id, uint8_t *buf, size_t *len) MUST_CHECK;
int chardev_ringbuf_add(const char *id, const uint8_t *buf, size_t len) MUST_CHECK;
/* Writes out what is queued (giving up on a reader that stalls for a second) and closes; the
   I/O thread is stopped. */
void chardev_close(struct chardev *c);
