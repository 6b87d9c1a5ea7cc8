/* SPDX-License-Identifier: MIT */
/*
 * The one wrapper around liburcu (memb flavour). Publish with rcu_publish, read with rcu_read
 * inside rcu_enter/rcu_leave. Under ThreadSanitizer the wrapper adds the annotations liburcu
 * lacks. Threads register themselves once. Never used in signal handlers (I-5). vCPUs never
 * synchronize.
 */
#pragma once

#include "base/types.h"

void rcu_thread_register(void);
void rcu_thread_unregister(void);
void rcu_enter(void);
void rcu_leave(void);
void rcu_wait_readers(void); /* grace period; not on vCPU threads */
/* Free `p` with free() after a grace period; any registered thread. */
void rcu_free_later(void *p);
/* Wait until everything handed to rcu_free_later() is freed; not on vCPU threads, not in a
   read section. */
void rcu_drain(void);
#define rcu_publish(pptr, val) __atomic_store_n((pptr), (val), __ATOMIC_RELEASE)
#define rcu_read(pptr) __atomic_load_n((pptr), __ATOMIC_ACQUIRE)
