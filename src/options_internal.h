/* SPDX-License-Identifier: MIT */
/*
 * Private to options*.c: values shared by several options.
 */
#pragma once

#include "options.h"

/* "1G", "512M", "64K"; `unit` is what a bare number counts. -EINVAL when it is no size,
   -ERANGE beyond 64 bits. */
int options_parse_size(const char *s, uint64_t unit, uint64_t *out) MUST_CHECK;
/* A decimal number and nothing else. */
bool options_parse_number(const char *s, uint64_t *out);

/*
 * Walks "a=1,b=2"; ",," stands for a comma inside a value. Each call fills one key and value (both
 * malloc'd; value NULL without '='). False at the end.
 */
struct options_list {
    const char *rest;
    char *key, *value;
};
bool options_list_next(struct options_list *l);
void options_list_end(struct options_list *l);

/* options_device.c */
int options_parse_drive(struct options *o, const char *value) MUST_CHECK;
int options_parse_bios(struct options *o, const char *value) MUST_CHECK;
int options_parse_device(struct options *o, const char *value) MUST_CHECK;

/* options_monitor.c */
int options_parse_monitor(struct options *o, const char *value) MUST_CHECK;
int options_parse_qmp(struct options *o, const char *value) MUST_CHECK;
int options_parse_qmp_pretty(struct options *o, const char *value) MUST_CHECK;
int options_parse_chardev(struct options *o, const char *value) MUST_CHECK;
int options_parse_mon(struct options *o, const char *value) MUST_CHECK;
int options_parse_metrics(struct options *o, const char *value) MUST_CHECK;
int options_parse_action(struct options *o, const char *value) MUST_CHECK;
int options_parse_name(struct options *o, const char *value) MUST_CHECK;
/* A -chardev by its id, or NULL. */
const struct vm_chardev *options_find_chardev(const struct options *o, const char *id);
void options_free_chardevs(struct options *o);
/* After the last option: who uses the terminal. */
int options_settle_console(struct options *o) MUST_CHECK;
int options_add_device(struct options *o, const char *driver, const char *options) MUST_CHECK;
/* options_display.c */
int options_parse_display(struct options *o, const char *value) MUST_CHECK;
/* What follows "simple-framebuffer", or NULL. */
int options_parse_framebuffer(struct options *o, const char *value) MUST_CHECK;
/* options_ranchu.c: keys of -M ranchu */
bool options_ranchu_knows(const char *key);
int options_parse_ranchu(struct options *o, const char *key, const char *value) MUST_CHECK;
void options_free_ranchu(struct options *o);
/* options_share.c */
int options_parse_fsdev(struct options *o, const char *value) MUST_CHECK;
int options_parse_virtfs(struct options *o, const char *value) MUST_CHECK;
void options_free_shares(struct options *o);
/* options_semihosting.c */
int options_parse_semihosting_on(struct options *o, const char *value) MUST_CHECK;
int options_parse_semihosting(struct options *o, const char *value) MUST_CHECK;
/* options_net.c */
int options_parse_netdev(struct options *o, const char *value) MUST_CHECK;
int options_parse_nic(struct options *o, const char *value) MUST_CHECK;
void options_free_net(struct net_config *c);
