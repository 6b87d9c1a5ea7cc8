/* SPDX-License-Identifier: MIT */
/*
 * Command line: -net nic with -net user or -net tap, the older spelling of -nic in two parts. One
 * card; for more there are -nic, and -netdev with -device.
 */
#include "options_internal.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_kind(const char *value, const char *kind)
{
    size_t n = strlen(kind);

    return strncmp(value, kind, n) == 0 && (value[n] == '\0' || value[n] == ',');
}

int options_parse_net(struct options *o, const char *value)
{
    bool card = is_kind(value, "nic");
    const char **slot = card ? &o->net_card : &o->net_backend;

    if (strcmp(value, "none") == 0) {
        return 0;
    }
    if (!card && !is_kind(value, "user") && !is_kind(value, "tap")) {
        return options_bad_value("net", value, "none, nic, user, tap (or -nic)");
    }
    if (*slot != NULL) {
        log_error("-net %s: there is one of this kind already; more cards: -nic, or -netdev with "
                  "-device",
                  value);
        return -EINVAL;
    }
    *slot = value;
    return 0;
}

/* The card's keys, as -nic spells them; malloc'd, or NULL after a message. */
static char *card_keys(const char *value)
{
    struct options_list l = {.rest = value};
    char *text = calloc(1, strlen(value) + 1);
    bool ok = text != NULL && options_list_next(&l); /* "nic" */

    while (ok && options_list_next(&l)) {
        const char *key = strcmp(l.key, "macaddr") == 0 ? "mac" : l.key;
        ok = options_one_of("mac|model", key) && l.value != NULL;
        if (ok) {
            strcat(strcat(strcat(strcat(text, ","), key), "="), l.value);
        } else if (options_one_of("name|id|vlan", l.key)) {
            ok = true;
        } else {
            log_error("-net nic: unknown option %s; accepted: macaddr=, model=", l.key);
        }
    }
    options_list_end(&l);
    if (!ok) {
        free(text);
        return NULL;
    }
    return text;
}

int options_settle_networks(struct options *o)
{
    char *card, *nic;

    if (o->net_card == NULL && o->net_backend == NULL) {
        return 0;
    }
    if (o->net_card == NULL || o->net_backend == NULL) {
        log_error("-net %s: nothing to connect it to; -net nic and -net user belong together, -nic "
                  "user is both",
                  o->net_card != NULL ? o->net_card : o->net_backend);
        return -EINVAL;
    }
    card = card_keys(o->net_card);
    if (card == NULL) {
        return -EINVAL;
    }
    int n = asprintf(&nic, "%s%s", o->net_backend, card);
    free(card);
    if (n < 0) {
        return -ENOMEM;
    }
    int err = options_parse_nic(o, nic);
    free(nic);
    return err;
}
