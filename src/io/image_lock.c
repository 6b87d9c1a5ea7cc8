/* SPDX-License-Identifier: MIT */
/*
 * Two kinds of lock, since neither notices the other. flock(2) is what scripts take (flock(1)) and
 * most tools. Open-file-description locks on single bytes are the protocol of the mainstream
 * emulator and its tools: who may do X holds a shared lock on byte 100 + X, who does not let others
 * do it holds one on byte 200 + X, and after locking one looks at the other's bytes. A guest that
 * writes has all bytes for itself, which no one who follows either convention gets past.
 *
 * Block devices are not locked by flock(2): udev holds that for moments while it probes a device,
 * and would not probe one while we hold it. Main thread, no state.
 */
#include "io/image_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

/* Bytes of the protocol: 100 + what is done, 200 + what others must not do. */
enum { HOLD = 100, FORBID = 200 };
enum { READ_DATA = 0, WRITE_DATA = 1, RESIZE = 3 };

const char image_lock_busy[] = "in use by another process or another drive; end that one, or let "
                               "all of them only read it (readonly=on or snapshot=on)";

static int busy_or_errno(void)
{
    return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

static int lock_bytes(int fd, short type, off_t start, off_t length)
{
    struct flock fl = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};

    return fcntl(fd, F_OFD_SETLK, &fl) == 0 ? 0 : busy_or_errno();
}

/* Does nobody else hold a byte? */
static int test_byte(int fd, off_t byte)
{
    struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

    if (fcntl(fd, F_OFD_GETLK, &fl) != 0) {
        return -errno;
    }
    return fl.l_type == F_UNLCK ? 0 : -EBUSY;
}

static int lock_among_readers(int fd)
{
    static const off_t mine[] = {HOLD + READ_DATA, FORBID + WRITE_DATA, FORBID + RESIZE};
    static const off_t others[] = {HOLD + WRITE_DATA, HOLD + RESIZE, FORBID + READ_DATA};
    int err = 0;

    for (unsigned i = 0; err == 0 && i < ARRAY_SIZE(mine); i++) {
        err = lock_bytes(fd, F_RDLCK, mine[i], 1);
    }
    for (unsigned i = 0; err == 0 && i < ARRAY_SIZE(others); i++) {
        err = test_byte(fd, others[i]);
    }
    return err;
}

int image_lock_flock(int fd, bool shared)
{
    struct stat st;

    if (fstat(fd, &st) != 0) {
        return -errno;
    }
    if (S_ISBLK(st.st_mode)) {
        return 0;
    }
    return flock(fd, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0 ? 0 : busy_or_errno();
}

int image_lock(int fd, bool shared)
{
    int err = shared ? lock_among_readers(fd) : lock_bytes(fd, F_WRLCK, 0, 0);

    return err == 0 ? image_lock_flock(fd, shared) : err;
}
