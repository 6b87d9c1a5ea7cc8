/* SPDX-License-Identifier: MIT */
/*
 * Attributes of files: the host's, or with security_model=mapped-xattr the peer's own, which are in
 * extended attributes of the file (user.virtfs.uid, .gid, .mode, .rdev; little-endian, as other
 * servers keep them). Such a file is an ordinary one for the host, also when the peer sees a device
 * or a symbolic link.
 */
#include "p9_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define V9FS_MAGIC 0x01021997u
#define STATS_BASIC 0x7ffu
enum { QID_DIR = 0x80, QID_SYMLINK = 0x02, QID_FILE = 0x00 };
/* Tsetattr's valid bits. */
enum {
    SET_MODE = 1, SET_UID = 2, SET_GID = 4, SET_SIZE = 8, SET_ATIME = 16, SET_MTIME = 32,
    SET_CTIME = 64, SET_ATIME_TO = 128, SET_MTIME_TO = 256,
};

/* ---- mapped attributes ---- */
static bool read_attr(int fd, const char *name, void *value, size_t size)
{
    struct p9_path p = p9_fd_path(fd);

    return getxattr(p.text, name, value, size) == (ssize_t)size;
}

static int write_attr(int fd, const char *name, const void *value, size_t size)
{
    struct p9_path p = p9_fd_path(fd);

    return setxattr(p.text, name, value, size, 0) == 0 ? 0 : -errno;
}

static void map_stat(int fd, struct stat *st)
{
    uint32_t v;
    uint64_t rdev;

    if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode)) {
        return;
    }
    if (read_attr(fd, P9_MAPPED_PREFIX "uid", &v, sizeof v)) {
        st->st_uid = v;
    }
    if (read_attr(fd, P9_MAPPED_PREFIX "gid", &v, sizeof v)) {
        st->st_gid = v;
    }
    /* A folder stays one, whatever the attribute says. */
    if (read_attr(fd, P9_MAPPED_PREFIX "mode", &v, sizeof v)) {
        mode_t type = S_ISDIR(st->st_mode) || (v & S_IFMT) == 0 ? st->st_mode & S_IFMT : v & S_IFMT;
        st->st_mode = type | (v & 07777);
    }
    if (read_attr(fd, P9_MAPPED_PREFIX "rdev", &rdev, sizeof rdev)) {
        st->st_rdev = rdev;
    }
}

int p9_stat(struct p9 *s, struct p9_node *n, struct stat *st)
{
    int fd = p9_node_fd(s, n);

    if (fd < 0) {
        return fd;
    }
    if (fstat(fd, st) != 0) {
        return -errno;
    }
    if (s->config.security == P9_MAPPED) {
        map_stat(fd, st);
    }
    return 0;
}

/* ---- qids ---- */
/* Which of the host's file systems: one byte on top of the inode number. */
static uint64_t device_index(struct p9 *s, dev_t dev)
{
    unsigned i = 0;

    while (i < s->ndevices && s->device[i] != dev) {
        i++;
    }
    if (i == s->ndevices && i < P9_DEVICES) {
        s->device[s->ndevices++] = dev;
    }
    return i;
}

void p9_put_qid(struct p9 *s, struct p9_out *m, const struct stat *st)
{
    p9_put8(m, S_ISDIR(st->st_mode) ? QID_DIR : S_ISLNK(st->st_mode) ? QID_SYMLINK : QID_FILE);
    p9_put32(m, (uint32_t)st->st_mtim.tv_sec ^ (uint32_t)((uint64_t)st->st_size << 8));
    p9_put64(m, st->st_ino ^ device_index(s, st->st_dev) << 56);
}

int p9_put_node_qid(struct p9 *s, struct p9_out *m, struct p9_node *n)
{
    struct stat st;
    int err = p9_stat(s, n, &st);

    if (err == 0) {
        p9_put_qid(s, m, &st);
    }
    return err;
}

/* ---- changing ---- */
static int set_owner(struct p9 *s, int fd, uint32_t uid, uint32_t gid)
{
    if (s->config.security == P9_MAPPED) {
        int err = uid != UINT32_MAX ? write_attr(fd, P9_MAPPED_PREFIX "uid", &uid, sizeof uid) : 0;
        return err == 0 && gid != UINT32_MAX
                   ? write_attr(fd, P9_MAPPED_PREFIX "gid", &gid, sizeof gid)
                   : err;
    }
    if (fchownat(fd, "", uid, gid, AT_EMPTY_PATH) != 0) {
        return s->config.security == P9_PASSTHROUGH ? -errno : 0;
    }
    return 0;
}

/* mode: with its type. */
static int set_mode(struct p9 *s, int fd, mode_t mode)
{
    struct p9_path p = p9_fd_path(fd);

    if (s->config.security == P9_MAPPED) {
        uint32_t v = mode;
        return write_attr(fd, P9_MAPPED_PREFIX "mode", &v, sizeof v);
    }
    return S_ISLNK(mode) ? -EOPNOTSUPP : chmod(p.text, mode & 07777) == 0 ? 0 : -errno;
}

int p9_give(struct p9 *s, struct p9_node *n, struct p9_owner owner, mode_t mode, dev_t rdev)
{
    int fd = p9_node_fd(s, n);
    int err = fd < 0 ? fd : set_owner(s, fd, owner.uid, owner.gid);

    /* The mode last: a change of owner clears bits of it. */
    if (err == 0 && (s->config.security == P9_MAPPED || !S_ISLNK(mode))) {
        err = set_mode(s, fd, mode);
    }
    if (err == 0 && s->config.security == P9_MAPPED && (S_ISCHR(mode) || S_ISBLK(mode))) {
        uint64_t v = rdev;
        err = write_attr(fd, P9_MAPPED_PREFIX "rdev", &v, sizeof v);
    }
    return err;
}

int p9_made(struct p9 *s, struct p9_node *dir, const char *name, struct p9_owner owner, mode_t mode,
            dev_t rdev, struct p9_out *reply, struct p9_node **out)
{
    struct p9_node *n;
    int err = p9_node_walk(s, dir, name, &n);

    if (err != 0) {
        return err;
    }
    err = p9_give(s, n, owner, mode, rdev);
    if (err == 0) {
        err = p9_put_node_qid(s, reply, n);
    }
    if (err == 0 && out != NULL) {
        *out = n;
    } else {
        p9_node_unref(s, n);
    }
    return err;
}

/* ---- requests ---- */
int p9_getattr(struct p9 *s, struct p9_in *m, struct p9_out *r)
{
    struct p9_fid *f = p9_fid_find(s, p9_get32(m));
    struct stat st;

    p9_get64(m); /* what is asked for: they get all we know */
    if (!p9_get_done(m) || f == NULL) {
        return -EBADF;
    }
    int err = p9_stat(s, f->node, &st);
    if (err != 0) {
        return err;
    }
    p9_put64(r, STATS_BASIC);
    p9_put_qid(s, r, &st);
    p9_put32(r, st.st_mode);
    p9_put32(r, st.st_uid);
    p9_put32(r, st.st_gid);
    const uint64_t rest[] = {
        st.st_nlink, st.st_rdev, (uint64_t)st.st_size, (uint64_t)st.st_blksize,
        (uint64_t)st.st_blocks, (uint64_t)st.st_atim.tv_sec, (uint64_t)st.st_atim.tv_nsec,
        (uint64_t)st.st_mtim.tv_sec, (uint64_t)st.st_mtim.tv_nsec, (uint64_t)st.st_ctim.tv_sec,
        (uint64_t)st.st_ctim.tv_nsec, 0, 0, 0, 0,
    };
    for (size_t i = 0; i < ARRAY_SIZE(rest); i++) {
        p9_put64(r, rest[i]);
    }
    return 0;
}

struct set {
    uint32_t valid, mode, uid, gid;
    uint64_t size;
    struct timespec time[2];
};

static int set_size(int fd, uint64_t size)
{
    struct p9_path p = p9_fd_path(fd);
    struct stat st;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        return -EINVAL;
    }
    if (size > INT64_MAX) {
        return -EFBIG;
    }
    return truncate(p.text, (off_t)size) == 0 ? 0 : -errno;
}

static void choose_time(struct timespec *t, bool set, bool given)
{
    if (!set || !given) {
        *t = (struct timespec){.tv_nsec = set ? UTIME_NOW : UTIME_OMIT};
    }
}

static int set_times(int fd, struct set *a)
{
    struct p9_path p = p9_fd_path(fd);

    for (unsigned i = 0; i < 2; i++) {
        if (a->time[i].tv_nsec < 0 || a->time[i].tv_nsec >= 1000000000) {
            return -EINVAL;
        }
    }
    choose_time(&a->time[0], a->valid & SET_ATIME, a->valid & SET_ATIME_TO);
    choose_time(&a->time[1], a->valid & SET_MTIME, a->valid & SET_MTIME_TO);
    return utimensat(AT_FDCWD, p.text, a->time, 0) == 0 ? 0 : -errno;
}

static int apply(struct p9 *s, struct p9_node *n, struct set *a)
{
    struct stat st;
    int fd = p9_node_fd(s, n);
    int err = fd < 0 ? fd : p9_stat(s, n, &st);

    if (err == 0 && a->valid & (SET_UID | SET_GID)) {
        err = set_owner(s, fd, a->valid & SET_UID ? a->uid : UINT32_MAX,
                        a->valid & SET_GID ? a->gid : UINT32_MAX);
    }
    if (err == 0 && a->valid & SET_MODE) {
        err = set_mode(s, fd, (st.st_mode & S_IFMT) | (a->mode & 07777));
    }
    if (err == 0 && a->valid & SET_SIZE) {
        err = set_size(fd, a->size);
    }
    if (err == 0 && a->valid & (SET_ATIME | SET_MTIME)) {
        err = set_times(fd, a);
    }
    return err;
}

int p9_setattr(struct p9 *s, struct p9_in *m, struct p9_out *r)
{
    struct p9_fid *f = p9_fid_find(s, p9_get32(m));
    struct set a;

    (void)r;
    a.valid = p9_get32(m);
    a.mode = p9_get32(m);
    a.uid = p9_get32(m);
    a.gid = p9_get32(m);
    a.size = p9_get64(m);
    for (unsigned i = 0; i < 2; i++) {
        a.time[i].tv_sec = (time_t)p9_get64(m);
        a.time[i].tv_nsec = (long)p9_get64(m);
    }
    if (!p9_get_done(m) || f == NULL) {
        return -EBADF;
    }
    return apply(s, f->node, &a);
}

int p9_statfs(struct p9 *s, struct p9_in *m, struct p9_out *r)
{
    struct p9_fid *f = p9_fid_find(s, p9_get32(m));
    struct statfs st;

    if (!p9_get_done(m) || f == NULL) {
        return -EBADF;
    }
    int fd = p9_node_fd(s, f->node);
    if (fd < 0 || fstatfs(fd, &st) != 0) {
        return fd < 0 ? fd : -errno;
    }
    uint64_t id;
    memcpy(&id, &st.f_fsid, sizeof id);
    p9_put32(r, V9FS_MAGIC);
    p9_put32(r, (uint32_t)st.f_bsize);
    p9_put64(r, st.f_blocks);
    p9_put64(r, st.f_bfree);
    p9_put64(r, st.f_bavail);
    p9_put64(r, st.f_files);
    p9_put64(r, st.f_ffree);
    p9_put64(r, id);
    p9_put32(r, P9_NAME_MAX);
    return 0;
}
