/* SPDX-License-Identifier: MIT */
/*
 * Walking, opening, creating, reading and writing. Only regular files and folders are opened: the
 * peer opens devices, pipes and sockets itself, and here they would be the host's.
 */
#include "p9_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_HEAD 11u  /* of a reply with data */
#define WRITE_HEAD 23u /* of a request with data */
#define OPEN_FLAGS (O_ACCMODE | O_TRUNC | O_APPEND | O_SYNC | O_DSYNC)

/* ---- walking ---- */
static int walk_names(struct p9 *s, struct p9_in *m, struct p9_out *r, unsigned names,
                      struct p9_node **at)
{
    char name[P9_NAME_MAX + 1];
    unsigned done = 0;
    int err = 0;

    for (unsigned i = 0; i < names; i++) {
        struct p9_node *next;
        p9_get_string(m, name, sizeof name);
        if (m->bad || name[0] == '\0' || strchr(name, '/') != NULL || strcmp(name, ".") == 0) {
            return -EINVAL;
        }
        err = err == 0 ? p9_node_walk(s, *at, name, &next) : err;
        if (err != 0) {
            continue; /* the rest of the message is still to be read */
        }
        p9_node_unref(s, *at);
        *at = next;
        err = p9_put_node_qid(s, r, next);
        done += err == 0;
    }
    if (!p9_get_done(m)) {
        return -EINVAL;
    }
    return err != 0 && done == 0 ? err : (int)done;
}

int p9_walk(struct p9 *s, struct p9_in *m, struct p9_out *r)
{
    struct p9_fid *f = p9_fid_find(s, p9_get32(m)), *other;
    uint32_t number = p9_get32(m);
    unsigned names = p9_get16(m);
    size_t count_at = r->at;

    if (m->bad || f == NULL || names > P9_WALK_MAX) {
        return f == NULL ? -EBADF : -EINVAL;
    }
    if (number != f->number && p9_fid_find(s, number) != NULL) {
        return -EBADF;
    }
    if (number == f->number && f->open != P9_CLOSED) {
        return -EBADF;
    }
    p9_put16(r, 0);
    struct p9_node *at = p9_node_ref(f->node);
    int done = walk_names(s, m, r, names, &at);
    if (done < 0 || (unsigned)done < names) {
        p9_node_unref(s, at);
    } else if (number == f->number) {
        p9_node_unref(s, f->node);
        f->node = at;
    } else {
        int err = p9_fid_add(s, number, f->uid, at, &other);
        done = err != 0 ? err : done;
    }
    if (done < 0) {
        return done;
    }
    memcpy(r->p + count_at, &(uint16_t){(uint16_t)done}, 2);
    return 0;
}

/* ---- opening ---- */
static int check_type(struct p9 *s, struct p9_node *n)
{
    struct stat st;
    int err = p9_stat(s, n, &st);

    if (err != 0) {
        return err;
    }
    return S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) ? 0 : S_ISLNK(st.st_mode) ? -ELOOP : -ENXIO;
}

static int open_node(struct p9 *s, struct p9_fid *f, struct p9_node *n, int flags)
{
    bool dir = n->type == S_IFDIR;
    int err = f->open != P9_CLOSED ? -EBADF : !p9_may_hold(s) ? -EMFILE : check_type(s, n);
    int at = err == 0 ? p9_node_fd(s, n) : err;

    if (at < 0) {
        return at;
    }
    if (s->config.readonly && ((flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC))) {
        return -EROFS;
    }
    struct p9_path p = p9_fd_path(at);
    flags = dir ? (flags & O_ACCMODE) | O_DIRECTORY : flags & OPEN_FLAGS;
    int fd = open(p.text, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return -errno;
    }
    f->fd = fd;
    f->open = dir ? P9_DIR : P9_FILE;
    s->nheld++;
    return 0;
}

static void put_opened(struct p9 *s, struct p9_out *r)
{
    p9_put32(r, s->msize - 24); /* the most to read and write at once */
}

int p9_lopen(struct p9 *s, struct p9_in *m, struct p9_out *r)
{
    struct p9_fid *f = p9_fid_find(s, p9_get32(m));
    int flags = (int)p9_get32(m);

    if (!p9_get_done(m) || f == NULL) {
        return -EBADF;
    }
    int err = open_node(s, f, f->node, flags);
    if (err == 0) {
        err = p9_put_node_qid(s, r, f->node);
    }
    put_opened(s, r);
    return err;
}

/* A new file, or with `may_exist` one that is there. */
static int create(struct p9 *s, struct p9_node *dir, const char *name, bool may_exist, bool *made)
{
    int at = dir->type == S_IFDIR ? p9_node_fd(s, dir) : -ENOTDIR;

    if (at < 0) {
        return at;
    }
    int fd = openat(at, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, P9_NEW_FILE);
    *made = fd >= 0;
    if (fd >= 0) {
        close(fd);
        return 0;
    }
    return errno == EEXIST && may_exist ? 0 : -errno;
}

int p9_lcreate(struct p9 *s, struct p9_in *m, struct p9_out *r)
{
    struct p9_fid *f = p9_fid_find(s, p9_get32(m));
    char name[P9_NAME_MAX + 1];
    int err = p9_get_name(m, name);
    int flags = (int)p9_get32(m);
    mode_t mode = p9_get32(m);
    struct p9_owner owner = {.gid = p9_get32(m)};
    struct p9_node *n;
    bool made;

    if (!p9_get_done(m) || f == NULL || f->open != P9_CLOSED) {
        return -EBADF;
    }
    owner.uid = f->uid;
    err = err == 0 ? create(s, f->node, name, !(flags & O_EXCL), &made) : err;
    if (err != 0) {
        return err;
    }
    if (made) {
        err = p9_made(s, f->node, name, owner, S_IFREG | (mode & 07777), 0, r, &n);
    } else {
        err = p9_node_walk(s, f->node, name, &n);
        err = err == 0 ? p9_put_node_qid(s, r, n) : err;
    }
    if (err != 0) {
        return err;
    }
    err = open_node(s, f, n, flags);
    if (err != 0) {
        p9_node_unref(s, n);
        return err;
    }
    p9_node_unref(s, f->node);
    f->node = n;
    put_opened(s, r);
    return 0;
}

/* ---- data ---- */
static int read_xattr(struct p9 *s, const struct p9_fid *f, uint64_t off, uint32_t count)
{
    if (off >= f->xattr_size) {
        return 0;
    }
    uint32_t n = f->xattr_size - (uint32_t)off;
    n = n < count ? n : count;
    s->data_len = (uint32_t)p9_copy_to(s->in_iov, s->nin, READ_HEAD, f->xattr + off, n);
    return 0;
}

int p9_read(struct p9 *s, struct p9_in *m, struct p9_out *r)
{
    struct p9_fid *f = p9_fid_find(s, p9_get32(m));
    uint64_t off = p9_get64(m), count = p9_get32(m);

    if (!p9_get_done(m) || f == NULL || (f->open != P9_FILE && f->open != P9_XATTR_READ)) {
        return -EBADF;
    }
    if (s->in_len < READ_HEAD || off > (uint64_t)INT64_MAX - count) {
        return -EINVAL;
    }
    uint64_t room = s->in_len < s->msize ? s->in_len : s->msize;
    count = count < room - READ_HEAD ? count : room - READ_HEAD;
    if (f->open == P9_XATTR_READ) {
        read_xattr(s, f, off, (uint32_t)count);
    } else {
        unsigned k = p9_slice(s, s->in_iov, s->nin, READ_HEAD, count);
        ssize_t n = preadv(f->fd, s->slice, (int)k, (off_t)off);
        if (n < 0) {
            return -errno;
        }
        s->data_len = (uint32_t)n;
    }
    p9_put32(r, s->data_len);
    return 0;
}

static ssize_t write_xattr(struct p9_fid *f, uint64_t off, const struct iovec *iov, unsigned n,
                           uint32_t count)
{
    if (off != f->xattr_done || count > f->xattr_size - f->xattr_done) {
        return -ENOSPC;
    }
    f->xattr_done += count;
    return (ssize_t)p9_copy_from(iov, n, f->xattr + off, count);
}

int p9_write(struct p9 *s, struct p9_in *m, struct p9_out *r)
{
    struct p9_fid *f = p9_fid_find(s, p9_get32(m));
    uint64_t off = p9_get64(m);
    uint32_t count = p9_get32(m), size;

    memcpy(&size, s->in, sizeof size);
    if (m->bad || f == NULL || (f->open != P9_FILE && f->open != P9_XATTR_WRITE)) {
        return -EBADF;
    }
    if (size != (uint64_t)WRITE_HEAD + count || size > s->msize ||
        off > (uint64_t)INT64_MAX - count) {
        return -EINVAL;
    }
    unsigned k = p9_slice(s, s->out_iov, s->nout, WRITE_HEAD, count);
    ssize_t n;
    if (f->open == P9_XATTR_WRITE) {
        n = write_xattr(f, off, s->slice, k, count);
    } else {
        n = pwritev(f->fd, s->slice, (int)k, (off_t)off);
        n = n < 0 ? -errno : n;
    }
    if (n < 0) {
        return (int)n;
    }
    p9_put32(r, (uint32_t)n);
    return 0;
}

int p9_fsync(struct p9 *s, struct p9_in *m, struct p9_out *r)
{
    struct p9_fid *f = p9_fid_find(s, p9_get32(m));
    /* Clients of before Linux 3.3 leave the word out. */
    bool data_only = m->at < m->len && p9_get32(m) != 0;

    (void)r;
    if (!p9_get_done(m) || f == NULL || f->fd < 0) {
        return -EBADF;
    }
    return (data_only ? fdatasync(f->fd) : fsync(f->fd)) == 0 ? 0 : -errno;
}

/* ---- locks: kept by the guest's kernel, for its own processes ---- */
int p9_lock(struct p9 *s, struct p9_in *m, struct p9_out *r)
{
    char client[P9_NAME_MAX + 1];
    struct p9_fid *f = p9_fid_find(s, p9_get32(m));

    p9_get8(m);
    p9_get32(m);
    p9_get64(m);
    p9_get64(m);
    p9_get32(m);
    p9_get_string(m, client, sizeof client);
    if (!p9_get_done(m) || f == NULL || f->fd < 0) {
        return -EBADF;
    }
    p9_put8(r, 0);
    return 0;
}

int p9_getlock(struct p9 *s, struct p9_in *m, struct p9_out *r)
{
    char client[P9_NAME_MAX + 1];
    struct p9_fid *f = p9_fid_find(s, p9_get32(m));

    p9_get8(m);
    uint64_t start = p9_get64(m), length = p9_get64(m);
    uint32_t process = p9_get32(m);
    p9_get_string(m, client, sizeof client);
    if (!p9_get_done(m) || f == NULL || f->fd < 0) {
        return -EBADF;
    }
    p9_put8(r, 2); /* nobody holds one */
    p9_put64(r, start);
    p9_put64(r, length);
    p9_put32(r, process);
    p9_put_string(r, client, strlen(client));
    return 0;
}
