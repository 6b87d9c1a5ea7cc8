/* SPDX-License-Identifier: MIT */
/*
 * State of semihosting, shared by semihosting*.c. `lock` guards the table of handles; it is held
 * during a file operation, so that two vCPUs with one handle do not meet a closed descriptor.
 */
#pragma once

#include "semihosting/semihosting.h"

#include <pthread.h>

#define SEMIHOSTING_HANDLES 64u
#define SEMIHOSTING_PATH 4096u
#define SEMIHOSTING_FEATURES_FD (-2) /* ":semihosting-features" */

struct semihosting {
    char *cmdline;
    int console;          /* where the console's output goes: a descriptor */
    pthread_mutex_t lock;
    int fd[SEMIHOSTING_HANDLES + 1]; /* by handle, from 1 on; -1: free */
    uint32_t at[SEMIHOSTING_HANDLES + 1]; /* position in the features */
    int error;            /* of the last call that failed */
};

/* ---- semihosting_memory.c: guest memory as the calling code sees it ---- */
/* False: not mapped, or no RAM. */
bool semihosting_read(struct vcpu *v, uint32_t va, void *buf, size_t len);
bool semihosting_write(struct vcpu *v, uint32_t va, const void *buf, size_t len);
/* Host memory of the bytes at va up to `len`, at most to the end of the page; NULL. */
uint8_t *semihosting_piece(struct vcpu *v, uint32_t va, uint32_t len, bool write, uint32_t *n);
/* The guest's memory at va was written by the host. */
void semihosting_written(struct vcpu *v, const uint8_t *p, uint32_t n);
/* `words` 32-bit words. */
bool semihosting_block(struct vcpu *v, uint32_t va, uint32_t *word, unsigned words);

/* ---- semihosting_file.c: calls with a block at `arg`; the result for r0 ---- */
uint32_t semihosting_open(struct semihosting *s, struct vcpu *v, uint32_t arg);
uint32_t semihosting_close(struct semihosting *s, struct vcpu *v, uint32_t arg);
/* Read or write: how many bytes were not. */
uint32_t semihosting_transfer(struct semihosting *s, struct vcpu *v, uint32_t arg, bool write);
uint32_t semihosting_seek(struct semihosting *s, struct vcpu *v, uint32_t arg);
uint32_t semihosting_length(struct semihosting *s, struct vcpu *v, uint32_t arg);
uint32_t semihosting_is_tty(struct semihosting *s, struct vcpu *v, uint32_t arg);
uint32_t semihosting_remove(struct semihosting *s, struct vcpu *v, uint32_t arg);
uint32_t semihosting_rename(struct semihosting *s, struct vcpu *v, uint32_t arg);
