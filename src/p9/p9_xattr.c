/* SPDX-License-Identifier: MIT */
/*
 * Extended attributes: those of users (user.*), without the ones that mapped shares keep owners
 * in. Others (capabilities, labels, access lists) would be the host's business.
 */
#include "p9_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

static bool visible(const char *name)
{
    return strncmp(name, "user.", 5) == 0 && name[5] != '\0' &&
           strncmp(name, P9_MAPPED_PREFIX, sizeof P9_MAPPED_PREFIX - 1) != 0;
}

static bool has_room(const struct p9 *s, uint32_t size)
{
    return size <= P9_XATTR_TOTAL - s->xattr_bytes;
}

/* Leaves the visible names in the list; its new length. */
static uint32_t filter(char *list, uint32_t len)
{
    uint32_t kept = 0;

    for (uint32_t at = 0; at < len;) {
        uint32_t n = (uint32_t)strnlen(list + at, len - at) + 1;
        n = n < len - at ? n : len - at;
        if (visible(list + at)) {
            memmove(list + kept, list + at, n);
            kept += n;
        }
        at += n;
    }
    return kept;
}

/* The value of `name`, or the list of names when that is empty; malloc'd. */
static int fetch(int fd, const char *name, uint8_t **value, uint32_t *size)
{
    struct p9_path p = p9_fd_path(fd);
    uint8_t *buf = malloc(P9_XATTR_MAX + 1);

    if (buf == NULL) {
        return -ENOMEM;
    }
    ssize_t n = name[0] == '\0' ? listxattr(p.text, (char *)buf, P9_XATTR_MAX)
                                : getxattr(p.text, name, buf, P9_XATTR_MAX);
    if (n < 0) {
        int err = -errno;
        free(buf);
        return err;
    }
    buf[n] = '\0';
    *size = name[0] == '\0' ? filter((char *)buf, (uint32_t)n) : (uint32_t)n;
    uint8_t *fit = realloc(buf, *size + 1); /* many fids may wait to be read */
    *value = fit != NULL ? fit : buf;
    return 0;
}

int p9_xattrwalk(struct p9 *s, struct p9_in *m, struct p9_out *r)
{
    struct p9_fid *f = p9_fid_find(s, p9_get32(m)), *to;
    uint32_t number = p9_get32(m), size = 0;
    char name[P9_NAME_MAX + 1];
    uint8_t *value = NULL;

    p9_get_string(m, name, sizeof name);
    if (!p9_get_done(m) || f == NULL || p9_fid_find(s, number) != NULL) {
        return -EBADF;
    }
    if (name[0] != '\0' && !visible(name)) {
        return -EOPNOTSUPP;
    }
    int fd = p9_node_fd(s, f->node);
    int err = fd < 0 ? fd : f->node->type == S_IFLNK ? -EOPNOTSUPP : fetch(fd, name, &value, &size);
    if (err != 0) {
        return err;
    }
    err = has_room(s, size) ? p9_fid_add(s, number, f->uid, p9_node_ref(f->node), &to) : -ENOSPC;
    if (err != 0) {
        free(value);
        return err;
    }
    to->open = P9_XATTR_READ;
    to->xattr = value;
    to->xattr_size = size;
    s->xattr_bytes += size;
    p9_put64(r, size);
    return 0;
}

/* The fid takes the value in by writes and sets it when it is given up. */
int p9_xattrcreate(struct p9 *s, struct p9_in *m, struct p9_out *r)
{
    struct p9_fid *f = p9_fid_find(s, p9_get32(m));
    char name[P9_NAME_MAX + 1];

    (void)r;
    p9_get_string(m, name, sizeof name);
    uint64_t size = p9_get64(m);
    uint32_t flags = p9_get32(m);
    if (!p9_get_done(m) || f == NULL || f->open != P9_CLOSED) {
        return -EBADF;
    }
    if (!visible(name)) {
        return -EOPNOTSUPP;
    }
    if ((flags & ~(uint32_t)(XATTR_CREATE | XATTR_REPLACE)) != 0) {
        return -EINVAL;
    }
    if (size > P9_XATTR_MAX || !has_room(s, (uint32_t)size)) {
        return -ENOSPC;
    }
    uint8_t *value = calloc(1, (size_t)size + 1);
    char *copy = strdup(name);
    if (value == NULL || copy == NULL) {
        free(value);
        free(copy);
        return -ENOMEM;
    }
    f->open = P9_XATTR_WRITE;
    f->xattr = value;
    f->xattr_name = copy;
    f->xattr_size = (uint32_t)size;
    s->xattr_bytes += size;
    f->xattr_flags = (int)flags;
    return 0;
}

int p9_xattr_commit(struct p9 *s, struct p9_fid *f)
{
    int fd = p9_node_fd(s, f->node);

    if (fd < 0 || f->node->type == S_IFLNK) {
        return fd < 0 ? fd : -EOPNOTSUPP;
    }
    if (f->xattr_done != f->xattr_size) {
        return -EINVAL;
    }
    struct p9_path p = p9_fd_path(fd);
    int r = f->xattr_size > 0
                ? setxattr(p.text, f->xattr_name, f->xattr, f->xattr_size, f->xattr_flags)
                : removexattr(p.text, f->xattr_name);
    return r == 0 ? 0 : -errno;
}
