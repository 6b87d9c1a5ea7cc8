/* SPDX-License-Identifier: MIT */
/*
 * The file behind a bank of flash. It is mapped over the bank's part of vm->ram.rom: shared when
 * the guest may change it, else private. So nothing is read before the guest wants it, and nothing
 * is lost when the emulator is killed. Main thread, but for flash_image_reserve().
 */
#include "cfi_flash_internal.h"

#include "base/log.h"
#include "io/image_lock.h"
#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int refuse(const struct cfi_flash_image *image, int err, const char *why)
{
    log_error("%s %s: %s", image->option, image->file, why);
    return err;
}

static int open_file(struct cfi_flash *f, const struct cfi_flash_image *image)
{
    f->fd = open(image->file, (f->shared ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
    if (f->fd >= 0) {
        return 0;
    }
    int err = -errno;
    bool may_read = (err == -EACCES || err == -EPERM || err == -EROFS) && f->shared &&
                    access(image->file, R_OK) == 0;
    log_error("%s %s: %s%s", image->option, image->file, strerror(-err),
              may_read ? "; readonly=on or snapshot=on would do" : "");
    return err;
}

static int check_size(const struct cfi_flash *f, const struct cfi_flash_image *image,
                      uint64_t *size)
{
    struct stat st;

    if (fstat(f->fd, &st) != 0) {
        return refuse(image, -errno, strerror(errno));
    }
    if (!S_ISREG(st.st_mode)) {
        return refuse(image, -EINVAL, "not a regular file");
    }
    *size = (uint64_t)st.st_size;
    if (*size == 0) {
        return refuse(image, -EINVAL, "the file is empty");
    }
    if (*size == CFI_FLASH_SIZE || (image->shorter && *size < CFI_FLASH_SIZE)) {
        return 0;
    }
    log_error("%s %s: the file has %" PRIu64 " bytes, a bank of flash takes %s%" PRIu64
              " (truncate -s 64M makes a smaller one fit)",
              image->option, image->file, *size, image->shorter ? "at most " : "",
              CFI_FLASH_SIZE);
    return -EINVAL;
}

static int lock_file(const struct cfi_flash *f, const struct cfi_flash_image *image)
{
    int err = image_lock(f->fd, !f->shared);

    if (err == -EBUSY) {
        return refuse(image, err, image_lock_busy);
    }
    if (err != 0) {
        log_warn("%s %s: cannot lock it (%s): make sure that nobody else writes it", image->option,
                 image->file, strerror(-err));
    }
    return 0;
}

/* What of the last page lies behind the file's end reads as zeroes, as all behind it does. */
static int map_file(struct cfi_flash *f, const struct cfi_flash_image *image, uint64_t size)
{
    f->mapped = true; /* or partly so */
    void *p = mmap(f->array, size, PROT_READ | PROT_WRITE,
                   (f->shared ? MAP_SHARED : MAP_PRIVATE) | MAP_FIXED | MAP_NORESERVE, f->fd, 0);

    return p == MAP_FAILED ? refuse(image, -errno, strerror(errno)) : 0;
}

int flash_image_open(struct cfi_flash *f, const struct cfi_flash_image *image)
{
    uint64_t size = 0;

    if (image->file == NULL) {
        return 0;
    }
    f->readonly = image->readonly;
    f->shared = !image->readonly && !image->forget;
    int err = open_file(f, image);
    if (err == 0) {
        err = check_size(f, image, &size);
    }
    if (err == 0) {
        err = lock_file(f, image);
    }
    return err == 0 ? map_file(f, image, size) : err;
}

void flash_image_close(struct cfi_flash *f)
{
    /* The mapping would keep the file open, and its lock. */
    if (f->mapped && mmap(f->array, CFI_FLASH_SIZE, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
                          0) == MAP_FAILED) {
        log_warn("flash at 0x%" PRIx64 ": %s", f->base, strerror(errno));
    }
    if (f->fd >= 0) {
        if (f->shared && fsync(f->fd) != 0) {
            log_warn("flash at 0x%" PRIx64 ": what the guest programmed may not be on the disk: %s",
                     f->base, strerror(errno));
        }
        close(f->fd);
    }
    f->fd = -1;
    f->mapped = false;
}

int flash_image_reserve(const struct cfi_flash *f, uint32_t off, uint32_t len)
{
    if (!f->shared || fallocate(f->fd, 0, off, len) == 0 || errno == EOPNOTSUPP) {
        return 0;
    }
    return -errno;
}
