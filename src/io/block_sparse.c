/* SPDX-License-Identifier: MIT */
/*
 * Drives from Android sparse images: a header and a list of chunks, each so many blocks of the
 * drive that are in the file, are one repeated word, or do not matter (AOSP system/core/libsparse,
 * sparse_format.h). The list is read once, at start; then every read finds its chunk by halving.
 *
 * The format cannot take writes, so a drive from such a file is read-only or has an overlay
 * (snapshot=on). Numbers in the file are not trusted: every chunk must lie in the file and all of
 * them together must be the drive. What begins with the format's magic number is taken for it, also
 * if a guest wrote it there: it can then reach no more than the bytes of this same file.
 *
 * Main thread until the drive's threads start, then constant.
 */
#include "block_internal.h"

#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAGIC 0xed26ff3au
#define FILE_HEADER 28u
#define CHUNK_HEADER 12u
#define MAX_BLOCK (1u << 20)

enum { CHUNK_RAW = 0xcac1, CHUNK_FILL = 0xcac2, CHUNK_SKIP = 0xcac3, CHUNK_CRC = 0xcac4 };

struct chunk {
    uint64_t start;   /* byte of the drive; the chunk ends where the next one starts */
    uint64_t file_at; /* CHUNK_RAW: byte of the file */
    uint32_t fill;    /* else what each word is */
    bool raw;
};

struct block_sparse {
    struct chunk *chunk; /* one more than there are: the end */
    size_t count, room;
};

/* Where the reader of the list is. */
struct cursor {
    uint64_t at, file_size; /* bytes of the file */
    uint64_t drive_at;      /* bytes of the drive described so far */
    uint64_t drive_size;
    uint32_t block, left;   /* bytes of one; chunks to come */
    uint32_t header;        /* bytes of a chunk's header in this file */
};

static uint32_t le32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t le16(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8;
}

static bool read_at(const struct block *b, uint64_t at, uint8_t *to, size_t n)
{
    return pread(b->fd, to, n, (off_t)at) == (ssize_t)n;
}

static int damaged(const struct block *b, const char *what, uint64_t value)
{
    log_error("drive %s: %s is a damaged Android sparse image: %s %" PRIu64, b->id, b->file, what,
              value);
    return -EINVAL;
}

static struct chunk *add_chunk(struct block_sparse *s)
{
    if (s->count + 1 >= s->room) {
        size_t room = s->room ? 2 * s->room : 256;
        struct chunk *more = realloc(s->chunk, room * sizeof *more);
        if (more == NULL) {
            return NULL;
        }
        s->chunk = more;
        s->room = room;
    }
    return &s->chunk[s->count++];
}

static int read_header(const struct block *b, struct cursor *c)
{
    uint8_t h[FILE_HEADER];

    if (!read_at(b, 0, h, sizeof h)) {
        return damaged(b, "it ends within its header, at byte", b->bytes);
    }
    *c = (struct cursor){.at = le16(h + 8), .file_size = b->bytes, .header = le16(h + 10),
                         .block = le32(h + 12), .left = le32(h + 20)};
    c->drive_size = (uint64_t)le32(h + 16) * c->block;
    if (le16(h + 4) != 1) {
        return damaged(b, "its format version is", le16(h + 4));
    }
    if (c->at < FILE_HEADER || c->header < CHUNK_HEADER) {
        return damaged(b, "its headers have too few bytes:",
                       c->at < FILE_HEADER ? c->at : c->header);
    }
    if (c->block == 0 || c->block > MAX_BLOCK || c->block % BLOCK_SECTOR != 0) {
        return damaged(b, "its block size is", c->block);
    }
    if (c->drive_size == 0) {
        return damaged(b, "its number of blocks is", 0);
    }
    return 0;
}

/* Bytes that a chunk's data takes in the file, or -EINVAL for an unknown type. */
static int64_t data_size(uint32_t type, uint64_t length)
{
    switch (type) {
    case CHUNK_RAW:
        return (int64_t)length;
    case CHUNK_FILL:
    case CHUNK_CRC:
        return 4;
    case CHUNK_SKIP:
        return 0;
    default:
        return -EINVAL;
    }
}

static int read_chunk(const struct block *b, struct block_sparse *s, struct cursor *c)
{
    uint8_t h[CHUNK_HEADER], word[4] = {0};

    if (!read_at(b, c->at, h, sizeof h)) {
        return damaged(b, "it ends within its list of chunks, at byte", c->at);
    }
    uint32_t type = le16(h), total = le32(h + 8);
    uint64_t length = type == CHUNK_CRC ? 0 : (uint64_t)le32(h + 4) * c->block;
    int64_t data = data_size(type, length);
    if (data < 0) {
        return damaged(b, "a chunk of unknown type at byte", c->at);
    }
    if (total != c->header + (uint64_t)data || total > c->file_size - c->at) {
        return damaged(b, "a chunk of the wrong size at byte", c->at);
    }
    if (length > c->drive_size - c->drive_at) {
        return damaged(b, "a chunk beyond the end of the drive at byte", c->at);
    }
    if (type == CHUNK_FILL && !read_at(b, c->at + c->header, word, sizeof word)) {
        return damaged(b, "it ends within a chunk, at byte", c->at);
    }
    if (length > 0) {
        struct chunk *k = add_chunk(s);
        if (k == NULL) {
            return -ENOMEM;
        }
        *k = (struct chunk){.start = c->drive_at, .file_at = c->at + c->header,
                            .fill = le32(word), .raw = type == CHUNK_RAW};
    }
    c->drive_at += length;
    c->at += total;
    c->left--;
    return 0;
}

static int read_list(struct block *b, struct block_sparse *s)
{
    struct cursor c = {0};
    int err = read_header(b, &c);

    while (err == 0 && c.left > 0) {
        err = read_chunk(b, s, &c);
    }
    if (err == 0 && c.drive_at != c.drive_size) {
        err = damaged(b, "its chunks end before the drive does, at byte", c.drive_at);
    }
    if (err == 0) {
        s->chunk[s->count].start = c.drive_size; /* add_chunk() keeps one more */
        b->bytes = c.drive_size;
        b->sectors = c.drive_size / BLOCK_SECTOR;
    }
    return err;
}

int block_sparse_open(struct block *b)
{
    uint8_t magic[4];

    if (!read_at(b, 0, magic, sizeof magic) || le32(magic) != MAGIC) {
        return 0;
    }
    if (!b->readonly && !b->snapshot) {
        log_error("drive %s: %s is an Android sparse image, which can only be read: use "
                  "readonly=on or snapshot=on, or make a raw image of it with simg2img",
                  b->id, b->file);
        return -EINVAL;
    }
    struct block_sparse *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return -ENOMEM;
    }
    b->sparse = s;
    return read_list(b, s);
}

void block_sparse_close(struct block *b)
{
    if (b->sparse != NULL) {
        free(b->sparse->chunk);
        free(b->sparse);
    }
}

/* The chunk that holds this byte of the drive. */
static const struct chunk *find(const struct block_sparse *s, uint64_t offset)
{
    size_t low = 0, high = s->count;

    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (s->chunk[middle].start <= offset) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return &s->chunk[low];
}

int block_sparse_read(struct block *b, struct block_transfer *t, uint64_t bytes, uint32_t epoch)
{
    int err = 0;

    while (err == 0 && bytes > 0) {
        const struct chunk *k = find(b->sparse, t->offset);
        uint64_t left = k[1].start - t->offset, n = bytes < left ? bytes : left;
        uint64_t next = t->offset + n;
        if (k->raw) {
            t->offset = k->file_at + (t->offset - k->start);
            err = block_file_move(b, b->fd, BLOCK_READ, t, n, epoch);
        } else {
            block_file_fill(t, k->fill, n);
        }
        t->offset = next;
        bytes -= n;
    }
    return err;
}
