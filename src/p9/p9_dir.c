/* SPDX-License-Identifier: MIT */
/*
 * Folders: reading them, making, moving and removing entries. All by descriptors of folders and
 * single names. What a mapped share calls a device or a symbolic link is a file on the host.
 */
#include "p9_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define ENTRY_HEAD 24u /* qid, offset, type, length of the name */
#define DIR_BATCH 32768u
#define LINK_MAX_TARGET 4096u

/* The folder's descriptor; -errno. */
static int dir_fd(struct p9 *s, struct p9_fid *dir)
{
    return dir == NULL ? -EBADF : dir->node->type != S_IFDIR ? -ENOTDIR : p9_node_fd(s, dir->node);
}

/* ---- reading ---- */
static void put_entry(struct p9 *s, struct p9_out *r, const struct p9_fid *f,
                      const struct dirent64 *e)
{
    bool mapped = s->config.security == P9_MAPPED;
    struct stat st = {.st_ino = e->d_ino, .st_dev = f->node->dev, .st_mode = DTTOIF(e->d_type)};

    if (strcmp(e->d_name, "..") == 0) {
        const struct p9_node *up = f->node->parent != NULL ? f->node->parent : f->node;
        st.st_ino = up->ino;
        st.st_dev = up->dev;
    }
    p9_put_qid(s, r, &st);
    p9_put64(r, (uint64_t)e->d_off);
    p9_put8(r, mapped && e->d_type == DT_REG ? DT_UNKNOWN : e->d_type);
    p9_put_string(r, e->d_name, strlen(e->d_name));
}

/* Entries of one batch, as many as fit into `room`; how many bytes of the batch are used up. */
static long put_entries(struct p9 *s, struct p9_out *r, const struct p9_fid *f, const char *batch,
                        long len, size_t room)
{
    size_t start = r->at;
    long at = 0;

    while (at < len) {
        const struct dirent64 *e = (const struct dirent64 *)(batch + at);
        if (ENTRY_HEAD + strlen(e->d_name) > room - (r->at - start)) {
            break;
        }
        put_entry(s, r, f, e);
        at += e->d_reclen;
    }
    return at;
}

static int read_entries(struct p9 *s, struct p9_out *r, struct p9_fid *f, size_t room)
{
    char batch[DIR_BATCH] __attribute__((aligned(8)));
    size_t start = r->at;

    for (;;) {
        ssize_t n = getdents64(f->fd, batch, sizeof batch);
        if (n < 0) {
            return r->at > start ? 0 : -errno;
        }
        long used = put_entries(s, r, f, batch, n, room - (r->at - start));
        if (n == 0) {
            return 0;
        }
        if (used < n) {
            return r->at > start ? 0 : -EINVAL;
        }
    }
}

int p9_readdir(struct p9 *s, struct p9_in *m, struct p9_out *r)
{
    struct p9_fid *f = p9_fid_find(s, p9_get32(m));
    uint64_t off = p9_get64(m), count = p9_get32(m);
    uint64_t most = s->in_len < s->msize ? s->in_len : s->msize;
    size_t head = r->at + 4;

    if (!p9_get_done(m) || f == NULL || f->open != P9_DIR) {
        return -EBADF;
    }
    most = most < P9_OUT_SIZE ? most : P9_OUT_SIZE;
    if (most < head || lseek(f->fd, (off_t)off, SEEK_SET) < 0) {
        return -EINVAL;
    }
    count = count < most - head ? count : most - head;
    p9_put32(r, 0);
    int err = read_entries(s, r, f, count);
    memcpy(r->p + head - 4, &(uint32_t){(uint32_t)(r->at - head)}, 4);
    return err;
}

/* ---- making ---- */
int p9_mkdir(struct p9 *s, struct p9_in *m, struct p9_out *r)
{
    struct p9_fid *dir = p9_fid_find(s, p9_get32(m));
    char name[P9_NAME_MAX + 1];
    int err = p9_get_name(m, name);
    mode_t mode = p9_get32(m);
    struct p9_owner owner = {.gid = p9_get32(m)};

    if (err != 0 || !p9_get_done(m)) {
        return -EINVAL;
    }
    int at = dir_fd(s, dir);
    if (at < 0 || mkdirat(at, name, P9_NEW_DIR) != 0) {
        return at < 0 ? at : -errno;
    }
    owner.uid = dir->uid;
    return p9_made(s, dir->node, name, owner, S_IFDIR | (mode & 07777), 0, r, NULL);
}

/* A file whose contents are the target. */
static int mapped_symlink(int at, const char *name, const char *target)
{
    int fd = openat(at, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, P9_NEW_FILE);
    size_t len = strlen(target);

    if (fd < 0) {
        return -errno;
    }
    ssize_t n = write(fd, target, len);
    int err = n == (ssize_t)len ? 0 : n < 0 ? -errno : -ENOSPC;
    close(fd);
    if (err != 0) {
        unlinkat(at, name, 0);
    }
    return err;
}

int p9_symlink(struct p9 *s, struct p9_in *m, struct p9_out *r)
{
    struct p9_fid *dir = p9_fid_find(s, p9_get32(m));
    char name[P9_NAME_MAX + 1], target[LINK_MAX_TARGET];
    int err = p9_get_name(m, name);

    p9_get_string(m, target, sizeof target);
    struct p9_owner owner = {.gid = p9_get32(m)};
    if (err != 0 || !p9_get_done(m) || target[0] == '\0') {
        return -EINVAL;
    }
    int at = dir_fd(s, dir);
    if (at < 0) {
        return at;
    }
    if (s->config.security == P9_MAPPED) {
        err = mapped_symlink(at, name, target);
    } else {
        err = symlinkat(target, at, name) == 0 ? 0 : -errno;
    }
    owner.uid = dir->uid;
    return err == 0 ? p9_made(s, dir->node, name, owner, S_IFLNK | 0777, 0, r, NULL) : err;
}

/* Devices of the host are not for the peer to make, whoever we are. */
static int make_special(struct p9 *s, int at, const char *name, mode_t mode)
{
    if (s->config.security == P9_MAPPED || S_ISREG(mode)) {
        int fd = openat(at, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC,
                        P9_NEW_FILE);
        return fd < 0 ? -errno : close(fd) == 0 ? 0 : -errno;
    }
    if (!S_ISFIFO(mode) && !S_ISSOCK(mode)) {
        return -EPERM;
    }
    return mknodat(at, name, (mode & S_IFMT) | P9_NEW_FILE, 0) == 0 ? 0 : -errno;
}

static bool may_make(mode_t mode)
{
    return S_ISREG(mode) || S_ISFIFO(mode) || S_ISSOCK(mode) || S_ISCHR(mode) || S_ISBLK(mode);
}

int p9_mknod(struct p9 *s, struct p9_in *m, struct p9_out *r)
{
    struct p9_fid *dir = p9_fid_find(s, p9_get32(m));
    char name[P9_NAME_MAX + 1];
    int err = p9_get_name(m, name);
    mode_t mode = p9_get32(m);
    uint32_t major = p9_get32(m), minor = p9_get32(m);
    struct p9_owner owner = {.gid = p9_get32(m)};

    mode = (mode & S_IFMT) == 0 ? mode | S_IFREG : mode;
    if (err != 0 || !p9_get_done(m) || !may_make(mode)) {
        return -EINVAL;
    }
    int at = dir_fd(s, dir);
    err = at < 0 ? at : make_special(s, at, name, mode);
    if (err != 0) {
        return err;
    }
    owner.uid = dir->uid;
    return p9_made(s, dir->node, name, owner, mode & (S_IFMT | 07777), makedev(major, minor), r,
                   NULL);
}

int p9_link(struct p9 *s, struct p9_in *m, struct p9_out *r)
{
    struct p9_fid *dir = p9_fid_find(s, p9_get32(m)), *f = p9_fid_find(s, p9_get32(m));
    char name[P9_NAME_MAX + 1];
    int err = p9_get_name(m, name);

    (void)r;
    if (err != 0 || !p9_get_done(m)) {
        return -EINVAL;
    }
    int at = dir_fd(s, dir), fd = f == NULL ? -EBADF : p9_node_fd(s, f->node);
    if (at < 0 || fd < 0) {
        return at < 0 ? at : fd;
    }
    struct p9_path p = p9_fd_path(fd);
    return linkat(AT_FDCWD, p.text, at, name, AT_SYMLINK_FOLLOW) == 0 ? 0 : -errno;
}

static ssize_t read_mapped_link(int fd, char *target, size_t size)
{
    struct p9_path p = p9_fd_path(fd);
    int file = open(p.text, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    if (file < 0) {
        return -1;
    }
    ssize_t n = read(file, target, size);
    close(file);
    return n;
}

int p9_readlink(struct p9 *s, struct p9_in *m, struct p9_out *r)
{
    struct p9_fid *f = p9_fid_find(s, p9_get32(m));
    char target[LINK_MAX_TARGET];
    struct stat st;

    if (!p9_get_done(m) || f == NULL) {
        return -EBADF;
    }
    int err = p9_stat(s, f->node, &st), fd = p9_node_fd(s, f->node);
    if (err != 0 || fd < 0 || !S_ISLNK(st.st_mode)) {
        return err != 0 ? err : fd < 0 ? fd : -EINVAL;
    }
    ssize_t n = f->node->type == S_IFLNK ? readlinkat(fd, "", target, sizeof target)
                                         : read_mapped_link(fd, target, sizeof target);
    if (n < 0) {
        return -errno;
    }
    p9_put_string(r, target, (size_t)n);
    return 0;
}

/* ---- removing and moving ---- */
static int unlink_entry(struct p9 *s, struct p9_node *dir, const char *name, int flags)
{
    int at = dir->type == S_IFDIR ? p9_node_fd(s, dir) : -ENOTDIR;

    if (at < 0) {
        return at;
    }
    struct p9_node *n = p9_node_find(s, dir, name);
    if (unlinkat(at, name, flags) != 0) {
        return -errno;
    }
    p9_node_forget(s, n);
    return 0;
}

int p9_unlinkat(struct p9 *s, struct p9_in *m, struct p9_out *r)
{
    struct p9_fid *dir = p9_fid_find(s, p9_get32(m));
    char name[P9_NAME_MAX + 1];
    int err = p9_get_name(m, name);
    uint32_t flags = p9_get32(m);

    (void)r;
    if (err != 0 || !p9_get_done(m) || (flags & ~(uint32_t)AT_REMOVEDIR) != 0) {
        return -EINVAL;
    }
    return dir == NULL ? -EBADF : unlink_entry(s, dir->node, name, (int)flags);
}

/* The name of a fid still leads to its file. */
static int check_name(struct p9 *s, struct p9_node *n)
{
    struct stat st;
    int at = n->parent == NULL ? -EBUSY : n->linked ? p9_node_fd(s, n->parent) : -ESTALE;

    if (at < 0) {
        return at;
    }
    if (fstatat(at, n->name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno == ENOENT ? -ESTALE : -errno;
    }
    return st.st_dev == n->dev && st.st_ino == n->ino ? 0 : -ESTALE;
}

int p9_remove(struct p9 *s, struct p9_in *m, struct p9_out *r)
{
    struct p9_fid *f = p9_fid_find(s, p9_get32(m));

    (void)r;
    if (!p9_get_done(m) || f == NULL) {
        return -EBADF;
    }
    int err = check_name(s, f->node);
    return err == 0 ? unlink_entry(s, f->node->parent, f->node->name,
                                   f->node->type == S_IFDIR ? AT_REMOVEDIR : 0)
                    : err;
}

static int move(struct p9 *s, struct p9_node *from, const char *old, struct p9_node *to,
                const char *name)
{
    int a = from->type == S_IFDIR ? p9_node_fd(s, from) : -ENOTDIR;
    int b = to->type == S_IFDIR ? p9_node_fd(s, to) : -ENOTDIR;

    if (a < 0 || b < 0) {
        return a < 0 ? a : b;
    }
    struct p9_node *n = p9_node_find(s, from, old), *target = p9_node_find(s, to, name);
    if (renameat(a, old, b, name) != 0) {
        return -errno;
    }
    /* Two names of one file: the host leaves both. */
    if (n != NULL && n != target && target != NULL && n->dev == target->dev &&
        n->ino == target->ino) {
        return 0;
    }
    if (n != target) {
        p9_node_forget(s, target);
        if (n != NULL) {
            p9_node_move(s, n, to, name);
        }
    }
    return 0;
}

int p9_rename(struct p9 *s, struct p9_in *m, struct p9_out *r)
{
    struct p9_fid *f = p9_fid_find(s, p9_get32(m)), *dir = p9_fid_find(s, p9_get32(m));
    char name[P9_NAME_MAX + 1], old[P9_NAME_MAX + 1];
    int err = p9_get_name(m, name);

    (void)r;
    if (err != 0 || !p9_get_done(m)) {
        return -EINVAL;
    }
    err = f == NULL || dir == NULL ? -EBADF : check_name(s, f->node);
    if (err != 0) {
        return err;
    }
    snprintf(old, sizeof old, "%s", f->node->name); /* which a move replaces */
    return move(s, f->node->parent, old, dir->node, name);
}

int p9_renameat(struct p9 *s, struct p9_in *m, struct p9_out *r)
{
    struct p9_fid *from = p9_fid_find(s, p9_get32(m));
    char old[P9_NAME_MAX + 1], name[P9_NAME_MAX + 1];
    int err = p9_get_name(m, old);
    struct p9_fid *to = p9_fid_find(s, p9_get32(m));

    (void)r;
    err = err == 0 ? p9_get_name(m, name) : err;
    if (err != 0 || !p9_get_done(m)) {
        return -EINVAL;
    }
    return from == NULL || to == NULL ? -EBADF : move(s, from->node, old, to->node, name);
}
