/* SPDX-License-Identifier: MIT */
/*
 * Guest images: reading a file whole and unpacking gzip (RFC 1952), both bounded by the RAM they
 * are meant for, so that neither a huge file nor a small one that unpacks to a huge one is read
 * in full.
 */
#include "loader_internal.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define FIRST_BUFFER (1u << 20)

static int grow(struct blob *b, size_t *room)
{
    size_t bigger = *room ? 2 * *room : FIRST_BUFFER;
    uint8_t *p = realloc(b->data, bigger);

    if (p == NULL) {
        return -ENOMEM;
    }
    b->data = p;
    *room = bigger;
    return 0;
}

static int read_all(int fd, uint64_t max, struct blob *b)
{
    size_t room = 0;

    for (;;) {
        if (b->size == room && grow(b, &room) != 0) {
            return -ENOMEM;
        }
        ssize_t n = read(fd, b->data + b->size, room - b->size);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? -errno : 0;
        }
        b->size += (size_t)n;
        if (b->size > max) {
            return -EFBIG;
        }
    }
}

static int report(const char *what, const char *path, uint64_t max, int err)
{
    if (err == -EFBIG) {
        log_error("%s %s: larger than %" PRIu64 " MiB, all there is room for (guest RAM: -m)", what,
                  path, max >> 20);
    } else if (err == -ENODATA) {
        log_error("%s %s: the file is empty", what, path);
    } else if (err != 0) {
        log_error("%s %s: %s", what, path, strerror(-err));
    }
    return err;
}

int loader_read_file(const char *what, const char *path, uint64_t max, struct blob *out)
{
    struct blob b = {0};
    struct stat st;
    int err = 0, fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return report(what, path, max, -errno);
    }
    if (fstat(fd, &st) != 0) {
        err = -errno;
    } else if (S_ISREG(st.st_mode) && (uint64_t)st.st_size > max) {
        err = -EFBIG;
    } else {
        err = read_all(fd, max, &b);
    }
    close(fd);
    if (err == 0 && b.size == 0) {
        err = -ENODATA;
    }
    if (err != 0) {
        free(b.data);
        return report(what, path, max, err);
    }
    *out = b;
    return 0;
}

bool loader_is_gzip(const struct blob *b)
{
    return b->size >= 3 && b->data[0] == 0x1f && b->data[1] == 0x8b && b->data[2] == 8;
}

/* One gzip member; bytes after it are ignored, as padding is common. */
static int inflate_all(z_stream *z, uint64_t max, struct blob *out)
{
    size_t room = 0;

    for (;;) {
        if (out->size == room && grow(out, &room) != 0) {
            return -ENOMEM;
        }
        size_t space = room - out->size;
        z->next_out = out->data + out->size;
        z->avail_out = space > UINT32_MAX ? UINT32_MAX : (uInt)space;
        uInt before = z->avail_out;
        int r = inflate(z, Z_NO_FLUSH);
        out->size += before - z->avail_out;
        if (out->size > max) {
            return -EFBIG;
        }
        if (r == Z_STREAM_END) {
            return 0;
        }
        if (r != Z_OK) {
            return -EBADMSG;
        }
    }
}

int loader_gunzip(const char *path, uint64_t max, struct blob *b)
{
    z_stream z = {.next_in = b->data, .avail_in = (uInt)b->size};
    struct blob out = {0};
    int err;

    if (b->size > UINT32_MAX || inflateInit2(&z, 15 + 16) != Z_OK) {
        return report("kernel", path, max, -ENOMEM);
    }
    err = inflate_all(&z, max, &out);
    inflateEnd(&z);
    if (err == 0 && out.size == 0) {
        err = -ENODATA;
    }
    if (err != 0) {
        free(out.data);
        if (err == -EBADMSG) {
            log_error("kernel %s: the gzip data is damaged or truncated; fetch the file again",
                      path);
            return err;
        }
        return report("kernel", path, max, err);
    }
    free(b->data);
    *b = out;
    return 0;
}
