/* SPDX-License-Identifier: MIT */
/*
 * Semihosting calls about files. Handles are small numbers from a table, never the host's
 * descriptors, so a guest reaches only what it has opened. Handles of the console (":tt") are
 * duplicates: closing one closes nothing of ours.
 */
#include "semihosting_internal.h"

#include "vcpu/vcpu.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FAILED UINT32_MAX
/* EXT_EXIT_EXTENDED and EXT_STDOUT_STDERR */
static const uint8_t features[] = {'S', 'H', 'F', 'B', 3};

static uint32_t fail(struct semihosting *s, int err)
{
    s->error = err;
    return FAILED;
}

/* The table is locked. -1: no such handle. */
static int find(const struct semihosting *s, uint32_t handle)
{
    return handle >= 1 && handle <= SEMIHOSTING_HANDLES ? s->fd[handle] : -1;
}

static bool read_path(struct vcpu *v, uint32_t va, uint32_t len, char path[SEMIHOSTING_PATH])
{
    if (len == 0 || len >= SEMIHOSTING_PATH || !semihosting_read(v, va, path, len)) {
        return false;
    }
    path[len] = '\0';
    return strlen(path) == len;
}

static int open_path(const struct semihosting *s, const char *path, uint32_t mode)
{
    /* fopen()'s r, rb, r+, r+b, w, ... by number */
    static const int flags[] = {O_RDONLY, O_RDWR, O_WRONLY | O_CREAT | O_TRUNC,
                                O_RDWR | O_CREAT | O_TRUNC, O_WRONLY | O_CREAT | O_APPEND,
                                O_RDWR | O_CREAT | O_APPEND};

    if (strcmp(path, ":tt") == 0) {
        int fd = mode < 4 ? open("/dev/null", O_RDONLY | O_CLOEXEC)
                          : fcntl(mode < 8 ? s->console : STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
        return fd;
    }
    if (strcmp(path, ":semihosting-features") == 0) {
        errno = EACCES;
        return mode < 2 ? SEMIHOSTING_FEATURES_FD : -1;
    }
    return open(path, flags[mode / 2] | O_CLOEXEC | O_NOCTTY, 0666);
}

uint32_t semihosting_open(struct semihosting *s, struct vcpu *v, uint32_t arg)
{
    char path[SEMIHOSTING_PATH];
    uint32_t b[3], handle = 1;

    if (!semihosting_block(v, arg, b, 3) || b[1] > 11 || !read_path(v, b[0], b[2], path)) {
        return fail(s, EINVAL);
    }
    pthread_mutex_lock(&s->lock);
    while (handle <= SEMIHOSTING_HANDLES && s->fd[handle] != -1) {
        handle++;
    }
    int fd = -1, err = EMFILE;
    if (handle <= SEMIHOSTING_HANDLES) {
        fd = s->fd[handle] = open_path(s, path, b[1]);
        s->at[handle] = 0;
        err = errno;
    }
    pthread_mutex_unlock(&s->lock);
    return fd != -1 ? handle : fail(s, err);
}

uint32_t semihosting_close(struct semihosting *s, struct vcpu *v, uint32_t arg)
{
    uint32_t handle;

    if (!semihosting_block(v, arg, &handle, 1)) {
        return fail(s, EFAULT);
    }
    pthread_mutex_lock(&s->lock);
    int fd = find(s, handle);
    if (fd != -1) {
        s->fd[handle] = -1;
    }
    if (fd >= 0) {
        close(fd);
    }
    pthread_mutex_unlock(&s->lock);
    return fd != -1 ? 0 : fail(s, EBADF);
}

static ssize_t read_features(struct semihosting *s, uint32_t handle, uint8_t *p, uint32_t n)
{
    uint32_t left = (uint32_t)sizeof features - s->at[handle];

    n = n < left ? n : left;
    memcpy(p, features + s->at[handle], n);
    s->at[handle] += n;
    return n;
}

static ssize_t move(struct semihosting *s, uint32_t handle, uint8_t *p, uint32_t n, bool out)
{
    int fd = find(s, handle);

    if (fd == SEMIHOSTING_FEATURES_FD) {
        errno = EBADF;
        return out ? -1 : read_features(s, handle, p, n);
    }
    return out ? write(fd, p, n) : read(fd, p, n);
}

/* Until a piece fails or comes short; the rest is what is returned. */
uint32_t semihosting_transfer(struct semihosting *s, struct vcpu *v, uint32_t arg, bool out)
{
    uint32_t b[3], n = 0;

    if (!semihosting_block(v, arg, b, 3)) {
        return fail(s, EFAULT);
    }
    uint32_t va = b[1], left = b[2];
    bool more = true;
    pthread_mutex_lock(&s->lock);
    if (find(s, b[0]) == -1) {
        pthread_mutex_unlock(&s->lock);
        fail(s, EBADF);
        return out ? left : FAILED;
    }
    while (left > 0 && more) {
        uint8_t *p = semihosting_piece(v, va, left, !out, &n);
        ssize_t done = p != NULL ? move(s, b[0], p, n, out) : -1;
        if (done > 0 && !out) {
            semihosting_written(v, p, (uint32_t)done);
        }
        if (done < 0) {
            s->error = p != NULL ? errno : EFAULT;
        }
        more = done == (ssize_t)n;
        va += done > 0 ? (uint32_t)done : 0;
        left -= done > 0 ? (uint32_t)done : 0;
    }
    pthread_mutex_unlock(&s->lock);
    return left;
}

uint32_t semihosting_seek(struct semihosting *s, struct vcpu *v, uint32_t arg)
{
    uint32_t b[2];
    off_t at = -1;

    if (!semihosting_block(v, arg, b, 2)) {
        return fail(s, EFAULT);
    }
    pthread_mutex_lock(&s->lock);
    int fd = find(s, b[0]);
    errno = EBADF;
    if (fd == SEMIHOSTING_FEATURES_FD && b[1] <= sizeof features) {
        at = s->at[b[0]] = b[1];
    } else if (fd >= 0) {
        at = lseek(fd, b[1], SEEK_SET);
    }
    int err = errno;
    pthread_mutex_unlock(&s->lock);
    return at >= 0 ? 0 : fail(s, err);
}

uint32_t semihosting_length(struct semihosting *s, struct vcpu *v, uint32_t arg)
{
    struct stat st = {.st_size = sizeof features};
    uint32_t handle;

    if (!semihosting_block(v, arg, &handle, 1)) {
        return fail(s, EFAULT);
    }
    pthread_mutex_lock(&s->lock);
    int fd = find(s, handle);
    errno = EBADF;
    bool ok = fd == SEMIHOSTING_FEATURES_FD || (fd >= 0 && fstat(fd, &st) == 0);
    int err = errno;
    pthread_mutex_unlock(&s->lock);
    if (ok && (!S_ISCHR(st.st_mode) || st.st_size > 0) && st.st_size <= INT32_MAX) {
        return (uint32_t)st.st_size;
    }
    return fail(s, ok ? EINVAL : err);
}

uint32_t semihosting_is_tty(struct semihosting *s, struct vcpu *v, uint32_t arg)
{
    uint32_t handle;

    if (!semihosting_block(v, arg, &handle, 1)) {
        return fail(s, EFAULT);
    }
    pthread_mutex_lock(&s->lock);
    int fd = find(s, handle);
    bool tty = fd >= 0 && isatty(fd);
    pthread_mutex_unlock(&s->lock);
    return fd == -1 ? fail(s, EBADF) : tty;
}

uint32_t semihosting_remove(struct semihosting *s, struct vcpu *v, uint32_t arg)
{
    char path[SEMIHOSTING_PATH];
    uint32_t b[2];

    if (!semihosting_block(v, arg, b, 2) || !read_path(v, b[0], b[1], path)) {
        return fail(s, EINVAL);
    }
    return remove(path) == 0 ? 0 : fail(s, errno);
}

uint32_t semihosting_rename(struct semihosting *s, struct vcpu *v, uint32_t arg)
{
    char from[SEMIHOSTING_PATH], to[SEMIHOSTING_PATH];
    uint32_t b[4];

    if (!semihosting_block(v, arg, b, 4) || !read_path(v, b[0], b[1], from) ||
        !read_path(v, b[2], b[3], to)) {
        return fail(s, EINVAL);
    }
    return rename(from, to) == 0 ? 0 : fail(s, errno);
}
