/* SPDX-License-Identifier: MIT */
/*
 * The 9P server: messages as a client should not send them, at random too, and ways out of the
 * shared folder.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "p9/p9.h"

enum {
    STATFS = 8, LOPEN = 12, LCREATE = 14, SYMLINK = 16, MKNOD = 18, RENAME = 20, READLINK = 22,
    GETATTR = 24, SETATTR = 26, XATTRWALK = 30, XATTRCREATE = 32, READDIR = 40, FSYNC = 50,
    LINK = 70, MKDIR = 72, RENAMEAT = 74, UNLINKAT = 76, VERSION = 100, ATTACH = 104, WALK = 110,
    READ = 116, WRITE = 118, CLUNK = 120, REMOVE = 122,
};
#define NOFID UINT32_MAX
#define ROOT 0u

static struct p9 *server;
static char base[64], share[80], outside[80];

/* ---- messages ---- */
static uint8_t msg[70000], rep[70000];
static size_t len;
static uint32_t rep_len;

static void u(uint64_t v, size_t n)
{
    memcpy(msg + len, &v, n);
    len += n;
}

static void str(const char *s)
{
    u(strlen(s), 2);
    memcpy(msg + len, s, strlen(s));
    len += strlen(s);
}

static void begin(uint8_t type)
{
    len = 0;
    u(0, 4);
    u(type, 1);
    u(7, 2);
}

/* The message as `parts` vectors; 0, the error number of Rlerror, or -1 for no reply. */
static int send_parts(size_t room, size_t part)
{
    struct iovec out[300] = {0}, into[300] = {0};
    unsigned nout = 0, nin = 0;
    uint32_t error = 0;

    for (size_t at = 0; at < len && nout < 300; at += part) {
        out[nout++] = (struct iovec){msg + at, len - at < part ? len - at : part};
    }
    for (size_t at = 0; at < room && nin < 300; at += part) {
        into[nin++] = (struct iovec){rep + at, room - at < part ? room - at : part};
    }
    memset(rep, 0xee, sizeof rep);
    rep_len = p9_serve(server, out, nout, into, nin);
    if (rep_len == 0) {
        return -1;
    }
    cr_assert_leq(rep_len, room);
    cr_assert_eq(memcmp(rep, &rep_len, 4), 0, "a reply says how long it is");
    cr_assert_eq(rep[5], 7);
    if (rep[4] == 7) {
        memcpy(&error, rep + 7, 4);
        return (int)error;
    }
    cr_assert_eq(rep[4], msg[4] + 1);
    return 0;
}

static int go(void)
{
    memcpy(msg, &(uint32_t){(uint32_t)len}, 4);
    return send_parts(sizeof rep, sizeof msg);
}

static int walk(uint32_t fid, uint32_t to, const char *a, const char *b)
{
    begin(WALK);
    u(fid, 4);
    u(to, 4);
    u((a != NULL) + (b != NULL), 2);
    if (a != NULL) {
        str(a);
    }
    if (b != NULL) {
        str(b);
    }
    int err = go();
    unsigned found = 0;
    memcpy(&found, rep + 7, 2);
    return err == 0 && found < (unsigned)((a != NULL) + (b != NULL)) ? ENOENT : err;
}

static int one(uint8_t type, uint32_t fid)
{
    begin(type);
    u(fid, 4);
    return go();
}

static int lopen(uint32_t fid, int flags)
{
    begin(LOPEN);
    u(fid, 4);
    u((unsigned)flags, 4);
    return go();
}

static int lcreate(uint32_t fid, const char *name)
{
    begin(LCREATE);
    u(fid, 4);
    str(name);
    u(O_RDWR, 4);
    u(0644, 4);
    u(0, 4);
    return go();
}

static int named(uint8_t type, uint32_t fid, const char *name, unsigned words)
{
    begin(type);
    u(fid, 4);
    str(name);
    while (words-- > 0) {
        u(0, 4);
    }
    return go();
}

static int read_at(uint32_t fid, uint64_t off, uint32_t count)
{
    begin(READ);
    u(fid, 4);
    u(off, 8);
    u(count, 4);
    return go();
}

static int write_at(uint32_t fid, uint64_t off, const char *text)
{
    begin(WRITE);
    u(fid, 4);
    u(off, 8);
    u(strlen(text), 4);
    memcpy(msg + len, text, strlen(text));
    len += strlen(text);
    return go();
}

static int renameat_(uint32_t from, const char *old, uint32_t to, const char *name)
{
    begin(RENAMEAT);
    u(from, 4);
    str(old);
    u(to, 4);
    str(name);
    return go();
}

static void session(void)
{
    begin(VERSION);
    u(65536, 4);
    str("9P2000.L");
    cr_assert_eq(go(), 0);
    begin(ATTACH);
    u(ROOT, 4);
    u(NOFID, 4);
    str("user");
    str("");
    u(0, 4);
    cr_assert_eq(go(), 0);
}

/* ---- a share ---- */
static const char *in(const char *folder, const char *name)
{
    static char path[4][256];
    static unsigned i;
    char *p = path[i++ % 4];

    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

static void put_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
}

static void expect_file(const char *path, const char *text)
{
    char buf[64] = "";
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f, "%s", path);
    cr_expect_eq(fread(buf, 1, sizeof buf - 1, f), strlen(text), "%s", path);
    cr_expect_str_eq(buf, text);
    fclose(f);
}

static void start(enum p9_security security, bool readonly)
{
    struct p9_config c = {.path = share, .security = security, .readonly = readonly};

    cr_assert_eq(p9_create("t", &c, &server), 0);
    session();
}

static void setup(void)
{
    snprintf(base, sizeof base, "/tmp/umbra-p9-XXXXXX");
    cr_assert_not_null(mkdtemp(base));
    snprintf(share, sizeof share, "%s/share", base);
    snprintf(outside, sizeof outside, "%s/outside", base);
    cr_assert_eq(mkdir(share, 0755) | mkdir(outside, 0755) | mkdir(in(share, "dir"), 0755), 0);
    put_file(in(outside, "secret"), "secret");
    put_file(in(share, "file"), "hello");
    put_file(in(share, "dir/inner"), "inner");
    start(P9_NONE, false);
}

static int delete(const char *path, const struct stat *st, int type, struct FTW *f)
{
    (void)st;
    (void)type;
    (void)f;
    return remove(path);
}

static unsigned open_files(void)
{
    unsigned n = 0;

    for (int fd = 0; fd < 4096; fd++) {
        n += fcntl(fd, F_GETFD) != -1;
    }
    return n;
}

static void teardown(void)
{
    p9_destroy(server);
    nftw(base, delete, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(p9, .init = setup, .fini = teardown, .timeout = 60);

/* ---- what works ---- */
Test(p9, reads_and_writes)
{
    cr_assert_eq(walk(ROOT, 1, "dir", "inner"), 0);
    cr_assert_eq(lopen(1, O_RDWR), 0);
    cr_assert_eq(read_at(1, 1, 3), 0);
    cr_expect_eq(memcmp(rep + 11, "nne", 3), 0);
    cr_assert_eq(write_at(1, 5, "most"), 0);
    expect_file(in(share, "dir/inner"), "innermost");
    cr_assert_eq(walk(ROOT, 2, "dir", NULL), 0);
    cr_assert_eq(lcreate(2, "new"), 0);
    cr_assert_eq(write_at(2, 0, "x"), 0);
    expect_file(in(share, "dir/new"), "x");
    cr_assert_eq(one(CLUNK, 2), 0);
    cr_expect_eq(one(CLUNK, 2), EBADF);
    cr_assert_eq(walk(1, 3, NULL, NULL), 0, "a copy of a fid");
    cr_expect_eq(read_at(3, 0, 1), EBADF, "which is not open");
}

/* Vectors of any size, and a reply that has less room than it could use. */
Test(p9, vectors)
{
    for (size_t part = 1; part < 80; part++) {
        cr_assert_eq(walk(ROOT, 1, "file", NULL), 0);
        cr_assert_eq(lopen(1, O_RDONLY), 0);
        begin(READ);
        u(1, 4);
        u(0, 8);
        u(1000, 4);
        memcpy(msg, &(uint32_t){(uint32_t)len}, 4);
        cr_assert_eq(send_parts(14, part), 0);
        cr_expect_eq(rep_len, 14);
        cr_expect_eq(memcmp(rep + 11, "hel", 3), 0);
        cr_assert_eq(one(CLUNK, 1), 0);
    }
    begin(GETATTR);
    u(ROOT, 4);
    u(0, 8);
    memcpy(msg, &(uint32_t){(uint32_t)len}, 4);
    cr_expect_eq(send_parts(100, 64), EMSGSIZE);
    cr_expect_eq(send_parts(10, 64), -1);
    cr_expect_eq(rep[0], 0xee, "nothing is written without room");
}

/* A file that is removed, and a folder that is moved, while the peer has them. */
Test(p9, nodes_follow_the_tree)
{
    cr_assert_eq(walk(ROOT, 1, "file", NULL), 0);
    cr_assert_eq(named(UNLINKAT, ROOT, "file", 1), 0);
    put_file(in(share, "file"), "another");
    cr_assert_eq(lopen(1, O_RDONLY), 0);
    cr_assert_eq(read_at(1, 0, 10), 0);
    cr_expect_eq(memcmp(rep + 11, "hello", 5), 0);
    cr_assert_eq(walk(ROOT, 2, "dir", "inner"), 0);
    cr_assert_eq(named(MKDIR, ROOT, "d2", 2), 0);
    cr_assert_eq(walk(ROOT, 3, "d2", NULL), 0);
    cr_assert_eq(renameat_(ROOT, "dir", 3, "moved"), 0);
    cr_assert_eq(lopen(2, O_RDONLY), 0);
    cr_assert_eq(walk(2, 4, "..", NULL), 0);
    cr_assert_eq(walk(4, 5, "inner", NULL), 0);
    cr_expect_eq(renameat_(3, "moved", 4, "self"), EINVAL);
}

/* ---- ways out ---- */
Test(p9, links_lead_nowhere)
{
    cr_assert_eq(symlink(outside, in(share, "out")) | symlink("../outside/secret", in(share, "s")) |
                     symlink("/", in(share, "root")),
                 0);
    cr_expect_eq(walk(ROOT, 1, "out", "secret"), ENOENT);
    cr_expect_eq(walk(ROOT, 1, "root", "etc"), ENOENT);
    cr_assert_eq(walk(ROOT, 2, "s", NULL), 0);
    cr_expect_eq(lopen(2, O_RDWR), ELOOP);
    cr_assert_eq(one(READLINK, 2), 0);
    cr_assert_eq(walk(ROOT, 3, "out", NULL), 0);
    cr_expect_eq(lopen(3, O_RDONLY), ELOOP);
    cr_expect_eq(lcreate(3, "new"), ENOTDIR);
    cr_expect_eq(named(UNLINKAT, 3, "secret", 1), ENOTDIR);
    cr_expect_eq(named(MKDIR, 3, "d", 2), ENOTDIR);
    cr_expect_eq(renameat_(3, "secret", ROOT, "got"), ENOTDIR);
    cr_expect_eq(renameat_(ROOT, "file", 3, "gift"), ENOTDIR);
    cr_assert_eq(walk(ROOT, 4, NULL, NULL), 0);
    cr_expect_eq(lcreate(4, "s"), ELOOP, "no file is made through a link");
    begin(SETATTR); /* size 0, mode 0777, an owner */
    u(2, 4);
    u(1 | 8, 4);
    u(0777, 4);
    for (unsigned i = 0; i < 12; i++) {
        u(0, 4);
    }
    cr_expect_neq(go(), 0);
    expect_file(in(outside, "secret"), "secret");
    cr_expect_neq(access(in(outside, "gift"), F_OK), 0);
}

Test(p9, names_are_single_names)
{
    static const char *const bad[] = {"", ".", "..", "a/b", "/", "../outside", "/etc/passwd"};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        cr_expect_eq(lcreate(ROOT, bad[i]), EINVAL, "%s", bad[i]);
        cr_expect_eq(named(MKDIR, ROOT, bad[i], 2), EINVAL, "%s", bad[i]);
        cr_expect_eq(named(UNLINKAT, ROOT, bad[i], 1), EINVAL, "%s", bad[i]);
        cr_expect_eq(renameat_(ROOT, "file", ROOT, bad[i]), EINVAL, "%s", bad[i]);
        cr_expect_eq(renameat_(ROOT, bad[i], ROOT, "x"), EINVAL, "%s", bad[i]);
        if (strcmp(bad[i], "..") != 0) {
            cr_expect_eq(walk(ROOT, 1, bad[i], NULL), EINVAL, "%s", bad[i]);
        }
    }
    struct stat a, b;
    cr_assert_eq(walk(ROOT, 1, "..", ".."), 0, "above the root is the root");
    cr_assert_eq(walk(1, 2, "dir", NULL), 0);
    cr_assert_eq(stat(share, &a), 0);
    cr_assert_eq(stat(in(share, "dir/.."), &b), 0);
    begin(GETATTR);
    u(1, 4);
    u(0, 8);
    cr_assert_eq(go(), 0);
    cr_expect_eq(memcmp(rep + 7 + 8 + 5, &a.st_ino, 7), 0);
}

/* The host moves a folder out of the share: what is above it there is not for the peer. */
Test(p9, moved_out)
{
    cr_assert_eq(mkdir(in(share, "dir/deep"), 0755), 0);
    cr_assert_eq(walk(ROOT, 1, "dir", "deep"), 0);
    cr_assert_eq(rename(in(share, "dir"), in(outside, "dir")), 0);
    cr_assert_eq(walk(1, 2, "..", ".."), 0);
    cr_expect_eq(walk(2, 3, "secret", NULL), ENOENT);
    cr_assert_eq(walk(2, 4, "file", NULL), 0, "it came from the root");
}

/* A node without a descriptor is opened again by name: not as what the host put in its place. */
Test(p9, swapped_while_closed)
{
    char name[16];

    cr_assert_eq(walk(ROOT, 1, "dir", "inner"), 0);
    for (unsigned i = 0; i < 600; i++) {
        snprintf(name, sizeof name, "n%u", i);
        put_file(in(share, name), "");
        cr_assert_eq(walk(ROOT, 100 + i, name, NULL), 0);
    }
    cr_expect_lt(open_files(), 400, "descriptors are bounded");
    cr_assert_eq(rename(in(share, "dir"), in(share, "old")), 0);
    cr_assert_eq(symlink(outside, in(share, "dir")), 0);
    put_file(in(outside, "inner"), "secret");
    cr_expect_eq(lopen(1, O_RDONLY), ESTALE);
    cr_assert_eq(unlink(in(share, "dir")), 0);
    cr_assert_eq(rename(in(share, "old"), in(share, "dir")), 0);
    cr_expect_eq(lopen(1, O_RDONLY), 0);
}

Test(p9, only_files_are_opened)
{
    cr_assert_eq(mkfifo(in(share, "fifo"), 0644), 0);
    cr_assert_eq(walk(ROOT, 1, "fifo", NULL), 0);
    cr_expect_eq(lopen(1, O_RDONLY), ENXIO);
    cr_expect_eq(lcreate(ROOT, "fifo"), ENXIO);
    begin(MKNOD);
    u(ROOT, 4);
    str("null");
    u(S_IFCHR | 0666, 4);
    u(1, 4);
    u(3, 4);
    u(0, 4);
    cr_expect_eq(go(), EPERM, "no device of the host");
}

Test(p9, readonly_share)
{
    p9_destroy(server);
    start(P9_NONE, true);
    cr_expect_eq(lcreate(ROOT, "x"), EROFS);
    cr_expect_eq(named(UNLINKAT, ROOT, "file", 1), EROFS);
    cr_assert_eq(walk(ROOT, 1, "file", NULL), 0);
    cr_expect_eq(lopen(1, O_RDWR), EROFS);
    cr_expect_eq(lopen(1, O_RDONLY | O_TRUNC), EROFS);
    cr_expect_eq(lopen(1, O_RDONLY), 0);
    cr_expect_eq(write_at(1, 0, "x"), EBADF);
    expect_file(in(share, "file"), "hello");
}

/* ---- attributes of the peer's ---- */
static int xattr(uint32_t fid, const char *name, const char *value)
{
    begin(XATTRCREATE);
    u(fid, 4);
    str(name);
    u(strlen(value), 8);
    u(0, 4);
    int err = go();
    return err != 0 ? err : write_at(fid, 0, value) != 0 ? EIO : one(CLUNK, fid);
}

Test(p9, extended_attributes)
{
    cr_assert_eq(walk(ROOT, 1, "file", NULL), 0);
    int err = xattr(1, "user.name", "value");
    if (err == EOPNOTSUPP) {
        cr_skip("no attributes on /tmp");
    }
    cr_assert_eq(err, 0);
    cr_assert_eq(walk(ROOT, 1, "file", NULL), 0);
    begin(XATTRWALK);
    u(1, 4);
    u(2, 4);
    str("user.name");
    cr_assert_eq(go(), 0);
    cr_assert_eq(read_at(2, 0, 100), 0);
    cr_expect_eq(memcmp(rep + 11, "value", 5), 0);
    cr_assert_eq(read_at(2, 1000, 100), 0, "beyond its end is nothing");
    cr_expect_eq(rep_len, 11);
    cr_expect_eq(xattr(1, "security.capability", "x"), EOPNOTSUPP);
    cr_expect_eq(xattr(1, "user.virtfs.uid", "1234"), EOPNOTSUPP);
    begin(XATTRCREATE);
    u(1, 4);
    str("user.big");
    u(UINT64_MAX, 8);
    u(0, 4);
    cr_expect_eq(go(), ENOSPC);
    unsigned taken = 0;
    for (uint32_t fid = 10; fid < 400 && walk(ROOT, fid, "file", NULL) == 0; fid++) {
        begin(XATTRCREATE);
        u(fid, 4);
        str("user.big");
        u(65536, 8);
        u(0, 4);
        taken += go() == 0;
    }
    cr_expect_leq(taken, 128, "memory for attributes is bounded");
}

/* ---- malformed ---- */
Test(p9, lengths_that_lie)
{
    static const uint32_t sizes[] = {0, 1, 6, 7, 8, 1000, 70000, UINT32_MAX, INT32_MAX};

    for (unsigned type = 0; type < 256; type++) {
        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
            begin((uint8_t)type);
            u(ROOT, 4);
            memcpy(msg, &sizes[i], 4);
            int err = send_parts(4096, 64);
            cr_expect_neq(err, 0, "type %u, size %u", type, sizes[i]);
        }
        for (size_t n = 0; n < 7; n++) {
            begin((uint8_t)type);
            len = n;
            cr_expect_eq(send_parts(4096, 64), -1);
        }
    }
    begin(WALK); /* more names than there are */
    u(ROOT, 4);
    u(1, 4);
    u(16, 2);
    str("dir");
    cr_expect_eq(go(), EINVAL);
    begin(WALK);
    u(ROOT, 4);
    u(1, 4);
    u(17, 2);
    for (unsigned i = 0; i < 17; i++) {
        str("dir");
    }
    cr_expect_eq(go(), EINVAL);
    begin(WALK); /* a name that goes on behind the message */
    u(ROOT, 4);
    u(1, 4);
    u(1, 2);
    u(0xffff, 2);
    cr_expect_eq(go(), EINVAL);
    begin(WRITE);
    u(ROOT, 4);
    u(0, 8);
    u(UINT32_MAX, 4);
    cr_expect_eq(go(), EBADF);
    cr_assert_eq(walk(ROOT, 2, "file", NULL), 0, "the session goes on");
    cr_assert_eq(lopen(2, O_RDWR), 0);
    begin(WRITE);
    u(2, 4);
    u(0, 8);
    u(UINT32_MAX, 4);
    cr_expect_eq(go(), EINVAL);
    cr_expect_eq(read_at(2, UINT64_MAX, 10), EINVAL);
    cr_expect_eq(write_at(2, INT64_MAX, "xy"), EINVAL);
}

Test(p9, fids_out_of_turn)
{
    cr_expect_eq(walk(99, 1, NULL, NULL), EBADF);
    cr_expect_eq(walk(ROOT, NOFID, NULL, NULL), EBADF);
    cr_assert_eq(walk(ROOT, 1, "file", NULL), 0);
    cr_expect_eq(walk(ROOT, 1, NULL, NULL), EBADF, "in use");
    cr_assert_eq(lopen(1, O_RDONLY), 0);
    cr_expect_eq(lopen(1, O_RDONLY), EBADF, "open already");
    cr_expect_eq(walk(1, 1, NULL, NULL), EBADF);
    cr_expect_eq(walk(1, 2, "x", NULL), ENOTDIR);
    begin(READDIR);
    u(1, 4);
    u(0, 8);
    u(1000, 4);
    cr_expect_eq(go(), EBADF);
    cr_expect_eq(one(REMOVE, ROOT), EBUSY);
    cr_expect_eq(walk(ROOT, 2, NULL, NULL), EBADF, "which is given up all the same");
    session();
    cr_expect_eq(read_at(1, 0, 1), EBADF, "a new session has no fids");
}

Test(p9, many_fids)
{
    unsigned before = open_files();
    uint32_t fid = 1;
    int err = 0;

    for (; err == 0 && fid < 400000; fid++) {
        err = walk(ROOT, fid, "file", NULL);
    }
    cr_expect_eq(err, ENFILE);
    cr_expect_lt(open_files(), before + 10);
    for (fid = 1; fid < 70000 && (err = lopen(fid, O_RDONLY)) == 0; fid++) {
    }
    cr_expect_eq(err, EMFILE, "%d after %u", err, fid);
    cr_expect_geq(open("/dev/null", O_RDONLY | O_CLOEXEC), 0, "some are left for others");
    session();
    cr_expect_lt(open_files(), before + 10);
}

/* ---- at random ---- */
static uint64_t seed = 1;

static uint32_t rnd(uint32_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((seed >> 33) % below);
}

static void random_string(void)
{
    static const char *const name[] = {"file", "dir",   "inner", "..", "a", "b", "link",
                                       "",     "x/y",   ".",     "c",  "d", "e", "../outside",
                                       "new",  "user.x"};
    str(name[rnd(16)]);
}

static void random_message(void)
{
    static const uint8_t type[] = {STATFS,  LOPEN,       LCREATE,  SYMLINK, MKNOD, RENAME,
                                   READLINK, GETATTR,    SETATTR,  XATTRWALK, XATTRCREATE, READDIR,
                                   FSYNC,   LINK,        MKDIR,    RENAMEAT, UNLINKAT, WALK,
                                   WALK,    WALK,        READ,     WRITE,   CLUNK, REMOVE};

    begin(rnd(50) == 0 ? (uint8_t)rnd(128) : type[rnd(24)]);
    for (unsigned n = 1 + rnd(8); n > 0; n--) {
        switch (rnd(5)) {
        case 0: u(rnd(4), 4); break;
        case 1: u(rnd(4), 2); break;
        case 2: u(rnd(8) == 0 ? (uint64_t)-1 : rnd(70000), 8); break;
        case 3: u(rnd(6) == 0 ? UINT32_MAX : rnd(20), 4); break;
        default: random_string(); break;
        }
    }
    /* Mostly the shape that its type has. */
    if (rnd(3) > 0) {
        uint8_t t = msg[4];
        begin(t);
        u(rnd(4), 4);
        if (t == WALK) {
            unsigned n = rnd(3);
            u(rnd(4), 4);
            u(n, 2);
            while (n-- > 0) {
                random_string();
            }
        } else if (t == RENAMEAT) {
            random_string();
            u(rnd(4), 4);
            random_string();
        } else if (t == READ || t == READDIR) {
            u(rnd(100), 8);
            u(rnd(1000), 4);
        } else if (t == LOPEN || t == UNLINKAT) {
            if (t == UNLINKAT) {
                random_string();
            }
            u(rnd(2) == 0 ? 0x200u * rnd(2) : rnd(4096), 4);
        } else if (t == MKDIR || t == LCREATE || t == SYMLINK) {
            random_string();
            if (t == SYMLINK) {
                random_string();
            } else {
                u(rnd(4), 4);
            }
            u(0644, 4);
            if (t == LCREATE) {
                u(0, 4);
            }
        }
    }
    memcpy(msg, &(uint32_t){rnd(30) == 0 ? rnd(70000) : (uint32_t)len}, 4);
}

Test(p9, at_random)
{
    const char *r = getenv("P9_ROUNDS");
    unsigned long rounds = r != NULL ? strtoul(r, NULL, 0) : 60000, ok = 0;

    for (unsigned long i = 0; i < rounds; i++) {
        random_message();
        ok += send_parts(rnd(5) == 0 ? rnd(40) : 8192, 1 + rnd(9000) / (1 + 40 * rnd(2))) == 0;
        if (i % 40 == 39) {
            session();
        }
    }
    cr_expect_gt(ok, rounds / 100, "some of them meant something: %lu", ok);
    expect_file(in(outside, "secret"), "secret");
    struct stat st;
    cr_assert_eq(stat(outside, &st), 0);
    cr_expect_eq(st.st_nlink, 2, "nothing was made outside");
}
