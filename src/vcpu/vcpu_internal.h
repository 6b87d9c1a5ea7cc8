/* SPDX-License-Identifier: MIT */
/*
 * Private to src/vcpu.
 */
#pragma once

#include "vcpu/vcpu.h"

/* Set the TLS pointer of vcpu_current(); tests use it to stand in for a vCPU thread. */
void vcpu_set_current(struct vcpu *v);
/* Sleep until powered on or the machine stops. */
void vcpu_wait_for_power(struct vcpu *v);
bool vcpu_must_leave(const struct vcpu *v); /* a reason not to sleep, whatever for */
/* Sleep once unless `awake` holds; wake-ups may be spurious. */
struct timespec;
void vcpu_sleep_unless(struct vcpu *v, enum vcpu_halted how, bool (*awake)(const struct vcpu *),
                       const struct timespec *timeout);
void vcpu_wake_from_event(struct vcpu *v); /* any thread */
void vcpu_event_init(void); /* before the first vCPU runs */
/* The owner executes YIELD. */
void vcpu_yield(struct vcpu *v);
