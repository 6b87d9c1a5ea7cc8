/* SPDX-License-Identifier: MIT */
/*
 * Guest images: the kernels of the Android emulator's older board, "goldfish" (machine number 1441,
 * one ARM926 or Cortex-A8, a bus of its own that lists devices instead of a device tree), look
 * like those of its successor "ranchu" from outside. Inside, only the successor's name devices by
 * device-tree strings. So the image is unpacked and searched, in pieces that overlap.
 */
#include "loader_internal.h"

#include <string.h>
#include <zlib.h>

#define PIECE   65536u
#define OVERLAP 32u /* more than the longest text that is searched for */
#define MAX_OUT ((uint64_t)64 << 20)

static const char old_bus[] = "goldfish_pdev_bus";
static const char *const successor[] = {"generic,goldfish-fb", "google,goldfish-fb", "virtio,mmio"};

struct search {
    bool old, new;
};

static bool has(const uint8_t *p, size_t n, const char *text)
{
    return memmem(p, n, text, strlen(text)) != NULL;
}

static void search(struct search *s, const uint8_t *p, size_t n)
{
    s->old = s->old || has(p, n, old_bus);
    for (size_t i = 0; i < ARRAY_SIZE(successor); i++) {
        s->new = s->new || has(p, n, successor[i]);
    }
}

/* What is packed at `at`. An end that comes too early is the kernel's own problem. */
static void search_packed(struct search *s, const struct blob *b, size_t at)
{
    static uint8_t out[OVERLAP + PIECE]; /* main thread */
    z_stream z = {.next_in = b->data + at, .avail_in = (uInt)(b->size - at)};
    int err = inflateInit2(&z, 15 + 16); /* a gzip header */

    memset(out, 0, OVERLAP);
    while (err == Z_OK && !s->new && z.total_out < MAX_OUT) {
        z.next_out = out + OVERLAP;
        z.avail_out = PIECE;
        err = inflate(&z, Z_NO_FLUSH);
        size_t n = OVERLAP + PIECE - z.avail_out;
        search(s, out, n);
        memmove(out, out + n - OVERLAP, OVERLAP);
        if (z.avail_in == 0 && z.avail_out != 0) {
            break;
        }
    }
    inflateEnd(&z);
}

bool loader_is_old_goldfish(const struct blob *zimage)
{
    static const uint8_t gzip[] = {0x1f, 0x8b, 8, 0};
    const uint8_t *at = memmem(zimage->data, zimage->size, gzip, sizeof gzip);
    struct search s = {false, false};

    if (at != NULL) {
        search_packed(&s, zimage, (size_t)(at - zimage->data));
    }
    return s.old && !s.new;
}
