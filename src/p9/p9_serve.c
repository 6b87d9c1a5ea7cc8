/* SPDX-License-Identifier: MIT */
/*
 * A 9P server: sessions, fids, and which function answers which message. Messages are answered one
 * after the other, so a flush finds what it names done already.
 *
 * 9P2000.L: size[4] type[1] tag[2], then what the type says; a reply has the request's type + 1, an
 * error is Rlerror with an error number of Linux.
 */
#include "p9_internal.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/xattr.h>
#include <unistd.h>

#define HEAD 7u
#define RLERROR 7u
#define TWRITE 118u
#define RREAD_HEAD 11u
#define MSIZE_MIN 4096u
#define VERSION "9P2000.L"

/* ---- fids ---- */
static struct p9_fid **slot(struct p9 *s, uint32_t number)
{
    struct p9_fid **at = &s->fid[number % P9_BUCKETS];

    while (*at != NULL && (*at)->number != number) {
        at = &(*at)->next;
    }
    return at;
}

struct p9_fid *p9_fid_find(struct p9 *s, uint32_t number)
{
    return *slot(s, number);
}

int p9_fid_add(struct p9 *s, uint32_t number, uint32_t uid, struct p9_node *n, struct p9_fid **out)
{
    struct p9_fid **at = slot(s, number);
    int err = *at != NULL || number == P9_NO_FID ? -EBADF : s->nfids >= P9_FIDS_MAX ? -ENFILE : 0;
    struct p9_fid *f = err == 0 ? calloc(1, sizeof *f) : NULL;

    if (f == NULL) {
        p9_node_unref(s, n);
        return err != 0 ? err : -ENOMEM;
    }
    *f = (struct p9_fid){.number = number, .uid = uid, .node = n, .fd = -1};
    *at = f;
    s->nfids++;
    *out = f;
    return 0;
}

bool p9_may_hold(const struct p9 *s)
{
    return s->nheld < s->held_max;
}

static void drop_fid(struct p9 *s, struct p9_fid **at)
{
    struct p9_fid *f = *at;

    *at = f->next;
    s->nfids--;
    if (f->fd >= 0) {
        close(f->fd);
        s->nheld--;
    }
    s->xattr_bytes -= f->xattr != NULL ? f->xattr_size : 0;
    p9_node_unref(s, f->node);
    free(f->xattr_name);
    free(f->xattr);
    free(f);
}

void p9_reset(struct p9 *s)
{
    for (unsigned i = 0; i < P9_BUCKETS; i++) {
        while (s->fid[i] != NULL) {
            drop_fid(s, &s->fid[i]);
        }
    }
    s->msize = 0;
}

int p9_get_name(struct p9_in *m, char name[P9_NAME_MAX + 1])
{
    p9_get_string(m, name, P9_NAME_MAX + 1);
    return m->bad || name[0] == '\0' || strchr(name, '/') != NULL || strcmp(name, ".") == 0 ||
                   strcmp(name, "..") == 0
               ? -EINVAL
               : 0;
}

/* ---- requests of the session ---- */
static int version(struct p9 *s, struct p9_in *m, struct p9_out *r)
{
    uint32_t msize = p9_get32(m);
    char name[32];

    p9_get_string(m, name, sizeof name);
    if (!p9_get_done(m) || msize < MSIZE_MIN) {
        return -EINVAL;
    }
    p9_reset(s);
    s->msize = msize < P9_MSIZE_MAX ? msize : P9_MSIZE_MAX;
    const char *answer = strcmp(name, VERSION) == 0 ? VERSION : "unknown";
    p9_put32(r, s->msize);
    p9_put_string(r, answer, strlen(answer));
    return 0;
}

static int attach(struct p9 *s, struct p9_in *m, struct p9_out *r)
{
    uint32_t number = p9_get32(m), auth = p9_get32(m);
    char user[P9_NAME_MAX + 1], tree[4096];
    struct p9_fid *f;

    p9_get_string(m, user, sizeof user);
    p9_get_string(m, tree, sizeof tree); /* there is one tree, whatever they call it */
    uint32_t uid = p9_get32(m);
    if (!p9_get_done(m) || auth != P9_NO_FID) {
        return -EINVAL;
    }
    int err = p9_fid_add(s, number, uid, p9_node_ref(s->root), &f);
    return err == 0 ? p9_put_node_qid(s, r, s->root) : err;
}

static int no_auth(struct p9 *s, struct p9_in *m, struct p9_out *r)
{
    (void)s;
    (void)m;
    (void)r;
    return -EOPNOTSUPP;
}

static int flush(struct p9 *s, struct p9_in *m, struct p9_out *r)
{
    (void)s;
    (void)r;
    p9_get16(m);
    return p9_get_done(m) ? 0 : -EINVAL;
}

static int clunk(struct p9 *s, struct p9_in *m, struct p9_out *r)
{
    struct p9_fid **at = slot(s, p9_get32(m));
    int err = 0;

    (void)r;
    if (!p9_get_done(m) || *at == NULL) {
        return -EBADF;
    }
    if ((*at)->open == P9_XATTR_WRITE) {
        err = p9_xattr_commit(s, *at);
    }
    drop_fid(s, at);
    return err;
}

/* The fid is gone whatever becomes of the file. */
static int remove_and_clunk(struct p9 *s, struct p9_in *m, struct p9_out *r)
{
    struct p9_in again = *m;
    struct p9_fid **at = slot(s, p9_get32(&again));
    int err = p9_remove(s, m, r);

    if (p9_get_done(&again) && *at != NULL) {
        drop_fid(s, at);
    }
    return err;
}

/* ---- which message is what ---- */
static const struct {
    p9_request_fn *fn;
    bool changes; /* not for a read-only share */
} request[128] = {
    [8] = {p9_statfs, false},      [12] = {p9_lopen, false},     [14] = {p9_lcreate, true},
    [16] = {p9_symlink, true},     [18] = {p9_mknod, true},      [20] = {p9_rename, true},
    [22] = {p9_readlink, false},   [24] = {p9_getattr, false},   [26] = {p9_setattr, true},
    [30] = {p9_xattrwalk, false},  [32] = {p9_xattrcreate, true}, [40] = {p9_readdir, false},
    [50] = {p9_fsync, false},      [52] = {p9_lock, false},      [54] = {p9_getlock, false},
    [70] = {p9_link, true},        [72] = {p9_mkdir, true},      [74] = {p9_renameat, true},
    [76] = {p9_unlinkat, true},    [100] = {version, false},     [102] = {no_auth, false},
    [104] = {attach, false},       [108] = {flush, false},       [110] = {p9_walk, false},
    [116] = {p9_read, false},      [TWRITE] = {p9_write, false}, [120] = {clunk, false},
    [122] = {remove_and_clunk, true},
};

static int dispatch(struct p9 *s, uint8_t type, struct p9_in *m, struct p9_out *r)
{
    p9_request_fn *fn = type < ARRAY_SIZE(request) ? request[type].fn : NULL;

    if (fn == NULL) {
        return -EOPNOTSUPP;
    }
    if (s->msize == 0 && fn != version) {
        return -EPROTO;
    }
    if (request[type].changes && s->config.readonly) {
        return -EROFS;
    }
    p9_node_trim(s);
    return fn(s, m, r);
}

/* A message whose length fits what came; the data of Twrite stays where it is. */
static bool read_message(struct p9 *s, uint64_t sent, struct p9_in *m)
{
    uint64_t size;

    *m = (struct p9_in){.p = s->in};
    m->len = p9_copy_from(s->out_iov, s->nout, s->in, sizeof s->in);
    if (m->len < HEAD) {
        return false;
    }
    size = p9_get32(m);
    if (size < HEAD || size > sent || (size > sizeof s->in && s->in[4] != TWRITE)) {
        m->bad = true;
    } else if (size < m->len) {
        m->len = size;
    }
    m->at = HEAD;
    return true;
}

static uint32_t reply(struct p9 *s, uint8_t type, struct p9_out *r, int err)
{
    uint64_t total = r->at + s->data_len;

    if (err == 0 && (r->bad || total > s->in_len || (s->msize != 0 && total > s->msize))) {
        err = -EMSGSIZE;
    }
    uint8_t kind = err == 0 ? (uint8_t)(type + 1) : RLERROR;
    if (err != 0) {
        r->at = HEAD;
        r->bad = false;
        p9_put32(r, (uint32_t)-err);
        total = r->at;
    }
    if (total > s->in_len) {
        return 0;
    }
    memcpy(s->out, &(uint32_t){(uint32_t)total}, 4);
    s->out[4] = kind;
    memcpy(s->out + 5, s->in + 5, 2);
    p9_copy_to(s->in_iov, s->nin, 0, s->out, r->at);
    return (uint32_t)total;
}

uint32_t p9_serve(struct p9 *s, const struct iovec *out, unsigned nout, const struct iovec *in,
                  unsigned nin)
{
    struct p9_out r = {.p = s->out, .room = sizeof s->out, .at = HEAD};
    struct p9_in m;

    s->out_iov = out;
    s->nout = nout;
    s->in_iov = in;
    s->nin = nin;
    s->in_len = p9_length(in, nin);
    s->data_len = 0;
    if (!read_message(s, p9_length(out, nout), &m)) {
        return 0;
    }
    uint8_t type = s->in[4];
    return reply(s, type, &r, m.bad ? -EPROTO : dispatch(s, type, &m, &r));
}

/* ---- life ---- */
/* Mapped owners need a file system that keeps attributes: better told now than at each file. */
static int check_mapped(const char *id, struct p9 *s)
{
    struct p9_path p = p9_fd_path(s->root->fd);
    uint32_t mode;

    if (s->config.security != P9_MAPPED ||
        getxattr(p.text, P9_MAPPED_PREFIX "mode", &mode, sizeof mode) >= 0 || errno == ENODATA ||
        errno == ERANGE) {
        return 0;
    }
    int err = -errno;
    log_error("share %s: security_model=mapped-xattr needs extended attributes (user.*), which %s "
              "has not: %s",
              id, s->path, strerror(-err));
    return err;
}

/* Each known file may need a descriptor: as many as the host lets us have, half of them ours. */
static void raise_limit(struct p9 *s)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) != 0) {
        r.rlim_cur = r.rlim_max = 1024;
    }
    rlim_t want = r.rlim_max < 65536 ? r.rlim_max : 65536;
    if (r.rlim_cur < want) {
        struct rlimit more = {want, r.rlim_max};
        r.rlim_cur = setrlimit(RLIMIT_NOFILE, &more) == 0 ? want : r.rlim_cur;
    }
    s->held_max = (unsigned)(r.rlim_cur < 65536 ? r.rlim_cur : 65536) / 4;
}

int p9_create(const char *id, const struct p9_config *config, struct p9 **out)
{
    struct p9 *s = calloc(1, sizeof *s);

    if (s == NULL || (s->path = strdup(config->path)) == NULL) {
        free(s);
        return -ENOMEM;
    }
    s->config = *config;
    raise_limit(s);
    int err = p9_node_open_root(s);
    if (err != 0) {
        log_error("share %s: cannot open the folder %s: %s", id, s->path, strerror(-err));
    } else {
        err = check_mapped(id, s);
    }
    if (err != 0) {
        p9_destroy(s);
        return err;
    }
    *out = s;
    return 0;
}

void p9_destroy(struct p9 *s)
{
    if (s != NULL) {
        p9_reset(s);
        p9_node_close_root(s);
        free(s->path);
        free(s);
    }
}
