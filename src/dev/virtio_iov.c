/* SPDX-License-Identifier: MIT */
/*
 * Bytes that lie scattered over the vectors of a descriptor chain. Vectors point into the flat
 * view and were checked when the chain was taken. No state, no locks.
 */
#include "virtio_internal.h"

#include "vm.h"

#include <string.h>

/* Copies between buf and bytes [off, off + len) of the vectors. How many bytes there were. */
static size_t walk(const struct iovec *iov, unsigned n, uint64_t off, size_t len, uint8_t *buf,
                   bool to_guest)
{
    size_t done = 0;

    for (unsigned i = 0; i < n && done < len; i++) {
        if (off >= iov[i].iov_len) {
            off -= iov[i].iov_len;
            continue;
        }
        uint8_t *part = (uint8_t *)iov[i].iov_base + off;
        size_t room = iov[i].iov_len - (size_t)off;
        size_t m = len - done < room ? len - done : room;
        memcpy(to_guest ? part : buf + done, to_guest ? buf + done : part, m);
        done += m;
        off = 0;
    }
    return done;
}

size_t virtio_iov_read(const struct iovec *iov, unsigned n, uint64_t off, void *buf, size_t len)
{
    return walk(iov, n, off, len, buf, false);
}

size_t virtio_iov_write(const struct iovec *iov, unsigned n, uint64_t off, const void *buf,
                        size_t len)
{
    return walk(iov, n, off, len, (uint8_t *)(uintptr_t)buf, true);
}

unsigned virtio_iov_slice(const struct iovec *iov, unsigned n, uint64_t off, uint64_t len,
                          struct iovec *out)
{
    unsigned filled = 0;

    for (unsigned i = 0; i < n && len > 0; i++) {
        if (off >= iov[i].iov_len) {
            off -= iov[i].iov_len;
            continue;
        }
        uint64_t room = iov[i].iov_len - off;
        uint64_t m = len < room ? len : room;
        out[filled++] = (struct iovec){(char *)iov[i].iov_base + off, m};
        len -= m;
        off = 0;
    }
    return filled;
}

void virtio_iov_written(struct vm *vm, const struct iovec *iov, unsigned n, uint64_t len)
{
    for (unsigned i = 0; i < n && len > 0; i++) {
        uint64_t m = iov[i].iov_len < len ? iov[i].iov_len : len;
        uint64_t at = (uint64_t)((const uint8_t *)iov[i].iov_base - vm->ram.flat);
        mmu_dma_written(vm, vm->ram.base + at, m);
        len -= m;
    }
}
