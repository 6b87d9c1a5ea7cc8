/* SPDX-License-Identifier: MIT */
/*
 * The Internet checksum for a guest that leaves it to its network card. The place of the checksum
 * holds the sum of the pseudo header; the guest says where it is and where summing begins. No
 * state, no locks; packets are private copies.
 */
#include "net_internal.h"

#include <string.h>

/* Sum of 16-bit words as they lie in memory (RFC 1071: byte order does not matter to it). */
static uint16_t sum_words(const uint8_t *p, size_t len)
{
    uint64_t sum = 0;
    uint32_t w;
    uint16_t last = 0;

    for (; len >= sizeof w; p += sizeof w, len -= sizeof w) {
        memcpy(&w, p, sizeof w);
        sum += w;
    }
    for (; len >= sizeof last; p += sizeof last, len -= sizeof last) {
        memcpy(&last, p, sizeof last);
        sum += last;
    }
    sum += len > 0 ? *p : 0;
    while (sum > UINT16_MAX) {
        sum = (sum & UINT16_MAX) + (sum >> 16);
    }
    return (uint16_t)sum;
}

bool net_checksum_finish(struct net_hdr *packet, size_t len)
{
    uint8_t *frame = (uint8_t *)(packet + 1);
    size_t n = len - sizeof *packet, start = packet->csum_start;
    size_t at = start + packet->csum_offset;

    if (!(packet->flags & NET_HDR_NEEDS_CSUM)) {
        return true;
    }
    if (start >= n || at + 2 > n) {
        return false;
    }
    uint16_t sum = (uint16_t)~sum_words(frame + start, n - start);
    sum = sum != 0 ? sum : UINT16_MAX; /* in UDP, 0 says that there is no checksum */
    memcpy(frame + at, &sum, sizeof sum);
    packet->flags &= (uint8_t)~NET_HDR_NEEDS_CSUM;
    return true;
}
