/* SPDX-License-Identifier: MIT */
/*
 * State of a 9P server, shared by p9*.c. One thread at a time, no locks.
 *
 * A *node* is a file that the peer knows: its parent's node, its name, what it was (device, inode)
 * and, while there is room, an O_PATH descriptor. A node without one is opened again from its
 * parent, and is stale when something else bears the name by then. A *fid* is the peer's number for
 * a node, perhaps with an open file or an extended attribute.
 */
#pragma once

#include "p9/p9.h"

#include <sys/stat.h>

#define P9_BUCKETS 16384u
#define P9_FIDS_MAX (1u << 18)
#define P9_DEPTH_MAX 1024u       /* folders below the root */
#define P9_CACHED_FDS 256u       /* descriptors of nodes that may be closed and opened again */
#define P9_NAME_MAX 255u
#define P9_WALK_MAX 16u
#define P9_XATTR_MAX 65536u
#define P9_XATTR_TOTAL (8u << 20) /* of all fids together */
#define P9_IN_SIZE 16384u        /* longest message but Twrite's data */
#define P9_OUT_SIZE 66000u       /* longest reply but Rread's data */
#define P9_DEVICES 255u
#define P9_NO_FID UINT32_MAX

struct p9_node {
    struct p9_node *parent;      /* NULL: the root */
    struct p9_node *next;        /* of its bucket */
    struct p9_node *older, *newer; /* in the list of descriptors that may be closed */
    char *name;
    unsigned refs, depth;
    int fd;                      /* O_PATH, or -1 */
    bool linked;                 /* in the table: parent and name lead to it */
    mode_t type;                 /* S_IFMT, the host's */
    dev_t dev;
    ino_t ino;
};

enum p9_open { P9_CLOSED, P9_FILE, P9_DIR, P9_XATTR_READ, P9_XATTR_WRITE };

struct p9_fid {
    struct p9_fid *next;
    uint32_t number;
    uint32_t uid;                /* who attached */
    struct p9_node *node;
    enum p9_open open;
    int fd;                      /* P9_FILE, P9_DIR */
    /* P9_XATTR_*: */
    char *xattr_name;
    uint8_t *xattr;
    uint32_t xattr_size, xattr_done;
    int xattr_flags;
};

/* A message being read; `bad` when something was not there. */
struct p9_in {
    const uint8_t *p;
    size_t len, at;
    bool bad;
};
/* A reply being written; `bad` when it does not fit. */
struct p9_out {
    uint8_t *p;
    size_t room, at;
    bool bad;
};

struct p9 {
    struct p9_config config;
    char *path;
    uint32_t msize;
    struct p9_node *root;
    struct p9_fid *fid[P9_BUCKETS];
    unsigned nfids;
    struct p9_node *node[P9_BUCKETS];
    struct p9_node *newest, *oldest;
    unsigned ncached;            /* in that list */
    uint64_t xattr_bytes;        /* that fids hold */
    unsigned nheld, held_max;    /* descriptors that cannot be closed: open files, lost nodes */
    dev_t device[P9_DEVICES];    /* seen so far: qids tell them apart */
    unsigned ndevices;
    /* ---- the request ---- */
    const struct iovec *out_iov, *in_iov;
    unsigned nout, nin;
    uint64_t in_len;             /* room for the reply */
    uint32_t data_len;           /* bytes that Tread put into in_iov behind the reply's head */
    struct iovec slice[1024];
    uint8_t in[P9_IN_SIZE], out[P9_OUT_SIZE];
};

/* ---- p9_wire.c ---- */
uint8_t p9_get8(struct p9_in *m);
uint16_t p9_get16(struct p9_in *m);
uint32_t p9_get32(struct p9_in *m);
uint64_t p9_get64(struct p9_in *m);
/* A string of at most size - 1 bytes without NUL; a longer one makes the message bad. */
void p9_get_string(struct p9_in *m, char *buf, size_t size);
/* All was there and nothing more. */
bool p9_get_done(const struct p9_in *m);
void p9_put8(struct p9_out *m, uint8_t v);
void p9_put16(struct p9_out *m, uint16_t v);
void p9_put32(struct p9_out *m, uint32_t v);
void p9_put64(struct p9_out *m, uint64_t v);
void p9_put_string(struct p9_out *m, const char *s, size_t len);
size_t p9_copy_from(const struct iovec *iov, unsigned n, void *buf, size_t len);
size_t p9_copy_to(const struct iovec *iov, unsigned n, uint64_t off, const void *buf, size_t len);
uint64_t p9_length(const struct iovec *iov, unsigned n);
/* Bytes [off, off + len) as vectors in s->slice, at most 1024; how many. */
unsigned p9_slice(struct p9 *s, const struct iovec *iov, unsigned n, uint64_t off, uint64_t len);

/* ---- p9_node.c ---- */
int p9_node_open_root(struct p9 *s) MUST_CHECK;
void p9_node_close_root(struct p9 *s);
/* What `name` is in dir; a reference. */
int p9_node_walk(struct p9 *s, struct p9_node *dir, const char *name,
                 struct p9_node **out) MUST_CHECK;
struct p9_node *p9_node_ref(struct p9_node *n);
void p9_node_unref(struct p9 *s, struct p9_node *n);
/* Its descriptor, good for this request; -errno. */
int p9_node_fd(struct p9 *s, struct p9_node *n);
/* Between requests: close the descriptors that were used longest ago. */
void p9_node_trim(struct p9 *s);
/* The node of a name that is about to go away (with its descriptor, so that who has it open keeps
   it), or NULL. No reference. */
struct p9_node *p9_node_find(struct p9 *s, struct p9_node *dir, const char *name);
/* The name no longer leads to it. NULL is fine. */
void p9_node_forget(struct p9 *s, struct p9_node *n);
void p9_node_move(struct p9 *s, struct p9_node *n, struct p9_node *dir, const char *name);
/* "/proc/self/fd/N" leads to the file itself, a symbolic link included. */
struct p9_path {
    char text[32];
};
struct p9_path p9_fd_path(int fd);

/* ---- p9_serve.c ---- */
struct p9_fid *p9_fid_find(struct p9 *s, uint32_t number);
/* A new fid for a node, whose reference it takes over; -errno. */
int p9_fid_add(struct p9 *s, uint32_t number, uint32_t uid, struct p9_node *n,
               struct p9_fid **out) MUST_CHECK;
/* Room for one more open file? */
bool p9_may_hold(const struct p9 *s);
/* A name for a new or existing entry: read and check; -errno. */
int p9_get_name(struct p9_in *m, char name[P9_NAME_MAX + 1]);

/* ---- p9_attr.c ---- */
struct p9_owner {
    uint32_t uid, gid;
};
/* As the peer sees it. */
int p9_stat(struct p9 *s, struct p9_node *n, struct stat *st) MUST_CHECK;
void p9_put_qid(struct p9 *s, struct p9_out *m, const struct stat *st);
int p9_put_node_qid(struct p9 *s, struct p9_out *m, struct p9_node *n) MUST_CHECK;
/* A file made for the peer gets its owner, mode (with type) and device number. */
int p9_give(struct p9 *s, struct p9_node *n, struct p9_owner owner, mode_t mode,
            dev_t rdev) MUST_CHECK;
/* Make what a name in dir became known: owner, qid into the reply; the node, with a reference, into
   *out unless that is NULL. */
int p9_made(struct p9 *s, struct p9_node *dir, const char *name, struct p9_owner owner, mode_t mode,
            dev_t rdev, struct p9_out *reply, struct p9_node **out) MUST_CHECK;
/* Modes to create with: all for the owner only until p9_give(), or for good when mapped. */
#define P9_NEW_FILE 0600
#define P9_NEW_DIR 0700

/* Requests; 0 or -errno. */
typedef int p9_request_fn(struct p9 *s, struct p9_in *m, struct p9_out *r);
p9_request_fn p9_getattr, p9_setattr, p9_statfs;
p9_request_fn p9_walk, p9_lopen, p9_lcreate, p9_read, p9_write, p9_fsync, p9_lock, p9_getlock;
p9_request_fn p9_readdir, p9_mkdir, p9_symlink, p9_mknod, p9_link, p9_readlink;
p9_request_fn p9_unlinkat, p9_remove, p9_rename, p9_renameat;
p9_request_fn p9_xattrwalk, p9_xattrcreate;

/* ---- p9_xattr.c ---- */
#define P9_MAPPED_PREFIX "user.virtfs."
/* The attribute a P9_XATTR_WRITE fid has gathered is set; at clunk. */
int p9_xattr_commit(struct p9 *s, struct p9_fid *f) MUST_CHECK;
