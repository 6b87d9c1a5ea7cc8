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

/* Say that an option does not take a value, and what it takes: -EINVAL. */
int options_bad_value(const char *option, const char *value, const char *accepted) MUST_CHECK;

/* options_machine.c */
int options_parse_machine(struct options *o, const char *value) MUST_CHECK;
int options_parse_cpu(struct options *o, const char *value) MUST_CHECK;
int options_parse_smp(struct options *o, const char *value) MUST_CHECK;
int options_parse_memory(struct options *o, const char *value) MUST_CHECK;
int options_parse_accel(struct options *o, const char *value) MUST_CHECK;

/* options_as_is.c */
/* Does the option ask for what is so anyway? 0: yes; 1: it has no such key; -EINVAL: it asks for
   something else, reported. */
int options_as_is(const char *option, const char *key, const char *value) MUST_CHECK;
/* Is the word one of a list with '|' between them? */
bool options_one_of(const char *list, const char *word);
int options_parse_rtc(struct options *o, const char *value) MUST_CHECK;
int options_parse_boot(struct options *o, const char *value) MUST_CHECK;
int options_parse_object(struct options *o, const char *value) MUST_CHECK;

/* options_lists.c: is the value a question for what the option takes? Then it is answered. */
bool options_list(const char *option, const char *value);

/* options_device.c */
int options_parse_drive(struct options *o, const char *value) MUST_CHECK;
int options_parse_hda(struct options *o, const char *value) MUST_CHECK;
int options_parse_cdrom(struct options *o, const char *value) MUST_CHECK;
int options_parse_pflash(struct options *o, const char *value) MUST_CHECK;
/* After the last option: devices for drives that have none, and what -snapshot means for them. */
int options_settle_drives(struct options *o) MUST_CHECK;
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
int options_parse_vnc(struct options *o, const char *value) MUST_CHECK;
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
/* options_net_user.c: keys of the private network; -ENOENT: not one of them. Then what was not
   given. */
int options_net_user_key(struct net_config *c, const char *key, const char *value) MUST_CHECK;
int options_net_user_settle(struct net_config *c) MUST_CHECK;
/* options_net_pair.c: -net nic and -net user|tap, which belong together; after the last option,
   what they are. */
int options_parse_net(struct options *o, const char *value) MUST_CHECK;
int options_settle_networks(struct options *o) MUST_CHECK;
void options_free_net(struct net_config *c);
