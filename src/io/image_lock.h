/* SPDX-License-Identifier: MIT */
/*
 * Locks of image files, against other emulators and other tools. Held by the open file: closing it
 * releases them, and so does the kernel however the process ends.
 */
#pragma once

#include "base/types.h"

/* Lock an image for us alone, or among readers. 0; -EBUSY: somebody holds it, this process with
   another descriptor included; other -errno: the file system cannot. */
int image_lock(int fd, bool shared) MUST_CHECK;
/* The same by flock(2) only, for an image that somebody who works for us locks in his way. */
int image_lock_flock(int fd, bool shared) MUST_CHECK;
/* What follows "FILE is ". */
extern const char image_lock_busy[];
