/* SPDX-License-Identifier: MIT */
/*
 * The files that the peer knows, as nodes (p9_internal.h): shared by all fids of a file, so that a
 * rename moves them all. Every name is opened relative to its folder's descriptor with
 * O_PATH | O_NOFOLLOW: a symbolic link is an entry like any other, never a way elsewhere, whoever
 * changes the tree meanwhile.
 */
#include "p9_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct p9_path p9_fd_path(int fd)
{
    struct p9_path p;

    snprintf(p.text, sizeof p.text, "/proc/self/fd/%d", fd);
    return p;
}

/* ---- descriptors that may be closed ---- */
static void list_add(struct p9 *s, struct p9_node *n)
{
    n->newer = NULL;
    n->older = s->newest;
    *(s->newest != NULL ? &s->newest->newer : &s->oldest) = n;
    s->newest = n;
    s->ncached++;
}

static void list_remove(struct p9 *s, struct p9_node *n)
{
    *(n->newer != NULL ? &n->newer->older : &s->newest) = n->older;
    *(n->older != NULL ? &n->older->newer : &s->oldest) = n->newer;
    n->newer = n->older = NULL;
    s->ncached--;
}

/* Only what can be opened again is in the list. */
static bool listed(const struct p9_node *n)
{
    return n->fd >= 0 && n->linked && n->parent != NULL;
}

void p9_node_trim(struct p9 *s)
{
    while (s->ncached > P9_CACHED_FDS) {
        struct p9_node *n = s->oldest;
        list_remove(s, n);
        close(n->fd);
        n->fd = -1;
    }
}

/* ---- table ---- */
static struct p9_node **bucket(struct p9 *s, const struct p9_node *dir, const char *name)
{
    uint64_t h = (uintptr_t)dir * UINT64_C(0x9e3779b97f4a7c15);

    for (; *name != '\0'; name++) {
        h = (h ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
    }
    return &s->node[(h ^ h >> 32) % P9_BUCKETS];
}

static struct p9_node *look_up(struct p9 *s, const struct p9_node *dir, const char *name)
{
    struct p9_node *n = *bucket(s, dir, name);

    while (n != NULL && (n->parent != dir || strcmp(n->name, name) != 0)) {
        n = n->next;
    }
    return n;
}

static void table_add(struct p9 *s, struct p9_node *n)
{
    struct p9_node **b = bucket(s, n->parent, n->name);

    n->next = *b;
    *b = n;
    n->linked = true;
    if (n->fd >= 0) {
        list_add(s, n);
    }
}

static void table_remove(struct p9 *s, struct p9_node *n)
{
    struct p9_node **at = bucket(s, n->parent, n->name);

    if (n->fd >= 0) {
        list_remove(s, n);
    }
    while (*at != n) {
        at = &(*at)->next;
    }
    *at = n->next;
    n->linked = false;
}

void p9_node_forget(struct p9 *s, struct p9_node *n)
{
    if (n == NULL || !n->linked) {
        return;
    }
    table_remove(s, n);
    if (n->fd >= 0 && !p9_may_hold(s)) {
        close(n->fd); /* stale from now on */
        n->fd = -1;
    }
    s->nheld += n->fd >= 0;
}

/* ---- opening ---- */
static int open_entry(int dir, const char *name, struct stat *st)
{
    int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

    if (fd >= 0 && fstat(fd, st) != 0) {
        int err = -errno;
        close(fd);
        return err;
    }
    return fd >= 0 ? fd : -errno;
}

static bool same_file(const struct p9_node *n, const struct stat *st)
{
    return n->dev == st->st_dev && n->ino == st->st_ino && n->type == (st->st_mode & S_IFMT);
}

static int reopen(struct p9 *s, struct p9_node *n)
{
    struct stat st;

    if (!n->linked) {
        return -ESTALE;
    }
    int fd = open_entry(n->parent->fd, n->name, &st);
    if (fd >= 0 && !same_file(n, &st)) {
        close(fd);
        fd = -ESTALE;
    }
    if (fd < 0) {
        return fd == -ENOENT ? -ESTALE : fd;
    }
    n->fd = fd;
    list_add(s, n);
    return 0;
}

int p9_node_fd(struct p9 *s, struct p9_node *n)
{
    struct p9_node *way[P9_DEPTH_MAX + 1];
    unsigned k = 0;

    for (struct p9_node *p = n; p->fd < 0; p = p->parent) {
        way[k++] = p;
    }
    while (k > 0) {
        int err = reopen(s, way[--k]);
        if (err != 0) {
            return err;
        }
    }
    if (listed(n)) {
        list_remove(s, n);
        list_add(s, n);
    }
    return n->fd;
}

static struct p9_node *new_node(struct p9_node *dir, const char *name, int fd,
                                const struct stat *st)
{
    struct p9_node *n = calloc(1, sizeof *n);

    if (n == NULL || (n->name = strdup(name)) == NULL) {
        free(n);
        return NULL;
    }
    n->parent = dir != NULL ? p9_node_ref(dir) : NULL;
    n->depth = dir != NULL ? dir->depth + 1 : 0;
    n->refs = 1;
    n->fd = fd;
    n->type = st->st_mode & S_IFMT;
    n->dev = st->st_dev;
    n->ino = st->st_ino;
    return n;
}

int p9_node_walk(struct p9 *s, struct p9_node *dir, const char *name, struct p9_node **out)
{
    struct stat st;

    if (strcmp(name, "..") == 0) {
        *out = p9_node_ref(dir->parent != NULL ? dir->parent : dir);
        return 0;
    }
    if (dir->depth >= P9_DEPTH_MAX) {
        return -ENAMETOOLONG;
    }
    int at = p9_node_fd(s, dir);
    int fd = at < 0 ? at : dir->type == S_IFDIR ? open_entry(at, name, &st) : -ENOTDIR;
    if (fd < 0) {
        return fd;
    }
    struct p9_node *n = look_up(s, dir, name);
    if (n != NULL && same_file(n, &st)) {
        if (n->fd >= 0) {
            close(fd);
        } else {
            n->fd = fd;
            list_add(s, n);
        }
        *out = p9_node_ref(n);
        return 0;
    }
    p9_node_forget(s, n);
    n = new_node(dir, name, fd, &st);
    if (n == NULL) {
        close(fd);
        return -ENOMEM;
    }
    table_add(s, n);
    *out = n;
    return 0;
}

int p9_node_open_root(struct p9 *s)
{
    struct stat st;
    int fd = open(s->path, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) != 0) {
        int err = -errno;
        if (fd >= 0) {
            close(fd);
        }
        return err;
    }
    s->root = new_node(NULL, "", fd, &st);
    if (s->root == NULL) {
        close(fd);
        return -ENOMEM;
    }
    return 0;
}

void p9_node_close_root(struct p9 *s)
{
    if (s->root != NULL) {
        close(s->root->fd);
        free(s->root->name);
        free(s->root);
    }
}

/* ---- references ---- */
struct p9_node *p9_node_ref(struct p9_node *n)
{
    n->refs++;
    return n;
}

void p9_node_unref(struct p9 *s, struct p9_node *n)
{
    while (n != NULL && --n->refs == 0) {
        struct p9_node *parent = n->parent;
        if (n->linked) {
            table_remove(s, n);
        } else {
            s->nheld -= n->fd >= 0;
        }
        if (n->fd >= 0) {
            close(n->fd);
        }
        free(n->name);
        free(n);
        n = parent;
    }
}

/* ---- changes of the tree ---- */
struct p9_node *p9_node_find(struct p9 *s, struct p9_node *dir, const char *name)
{
    struct p9_node *n = look_up(s, dir, name);

    if (n != NULL && p9_node_fd(s, n) < 0) {
        p9_node_forget(s, n);
        n = NULL;
    }
    return n;
}

/* Would n become its own ancestor? The host may have moved folders since we walked them. */
static bool is_above(const struct p9_node *n, const struct p9_node *dir)
{
    while (dir != NULL && dir != n) {
        dir = dir->parent;
    }
    return dir == n;
}

/*
 * Depths below a moved folder are not brought up to date: the bound is for p9_node_fd(), whose way
 * they only grow by what one rename adds, so renames that make a tree deeper cut the node off.
 */
void p9_node_move(struct p9 *s, struct p9_node *n, struct p9_node *dir, const char *name)
{
    char *copy = strdup(name);

    if (copy == NULL || is_above(n, dir) || (n->type == S_IFDIR && dir->depth >= n->depth)) {
        free(copy);
        p9_node_forget(s, n);
        return;
    }
    struct p9_node *old = n->parent;
    table_remove(s, n);
    free(n->name);
    n->name = copy;
    n->parent = p9_node_ref(dir);
    n->depth = dir->depth + 1;
    table_add(s, n);
    p9_node_unref(s, old);
}
