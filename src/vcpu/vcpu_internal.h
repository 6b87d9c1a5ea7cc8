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
