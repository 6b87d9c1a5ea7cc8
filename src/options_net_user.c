/* SPDX-License-Identifier: MIT */
/*
 * Command line: the private network of -netdev user: its addresses, what DHCP tells of files.
 */
#include "options_internal.h"

#include "base/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESS(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (d))

static int refuse(const char *key, const char *value, const char *accepted)
{
    log_error("-netdev user: %s=%s: accepted: %s", key, value, accepted);
    return -EINVAL;
}

static bool parse_address(const char *s, uint32_t *out)
{
    struct in_addr a;
    bool ok = inet_pton(AF_INET, s, &a) == 1;

    *out = ok ? ntohl(a.s_addr) : 0;
    return ok && *out != 0;
}

/* "10.0.3.0/24", "10.0.3.0/255.255.255.0", "10.0.3.0" (24 bits) */
static int set_network(struct net_config *c, const char *value)
{
    char *text = strdup(value), *mask = text != NULL ? strchr(text, '/') : NULL;
    uint64_t bits = 24;
    bool ok = text != NULL;

    if (mask != NULL) {
        *mask++ = '\0';
        if (strchr(mask, '.') != NULL) {
            ok = parse_address(mask, &c->netmask);
        } else {
            ok = options_parse_number(mask, &bits);
        }
    }
    if (c->netmask == 0 && bits >= 1 && bits <= 28) {
        c->netmask = UINT32_MAX << (32 - bits);
    }
    ok = ok && parse_address(text, &c->network) && c->netmask != 0 &&
         (~c->netmask & (~c->netmask + 1)) == 0 && (c->network & ~c->netmask) == 0;
    free(text);
    return ok ? 0 : refuse("net", value, "a network of at least 16 addresses such as 10.0.3.0/24");
}

static int set_switch(const char *key, const char *value, bool *off)
{
    *off = options_one_of("off|no", value);
    return *off || options_one_of("on|yes", value) ? 0 : refuse(key, value, "on, off");
}

static int set_text(char **slot, const char *value)
{
    free(*slot);
    *slot = strdup(value);
    return *slot != NULL ? 0 : -ENOMEM;
}

int options_net_user_key(struct net_config *c, const char *key, const char *value)
{
    const struct {
        const char *key;
        uint32_t *slot;
    } address[] = {{"host", &c->gateway}, {"dhcpstart", &c->dhcp_start}, {"dns", &c->nameserver}};

    for (size_t i = 0; i < ARRAY_SIZE(address); i++) {
        if (strcmp(key, address[i].key) == 0) {
            return parse_address(value, address[i].slot)
                       ? 0
                       : refuse(key, value, "an address of the network, such as 10.0.2.2");
        }
    }
    if (strcmp(key, "net") == 0) {
        return set_network(c, value);
    }
    if (strcmp(key, "ipv6") == 0) {
        return set_switch(key, value, &c->no_ipv6);
    }
    if (strcmp(key, "ipv4") == 0) {
        bool off;
        int err = set_switch(key, value, &off);
        return err == 0 && off ? refuse(key, value, "on") : err;
    }
    if (strcmp(key, "tftp") == 0) {
        return set_text(&c->tftp, value);
    }
    return strcmp(key, "bootfile") == 0 ? set_text(&c->bootfile, value) : -ENOENT;
}

/* The nth address of the network, unless another was asked for, which must lie in it. */
static int settle_address(const struct net_config *c, const char *key, uint32_t n, uint32_t *slot)
{
    char text[INET_ADDRSTRLEN];
    struct in_addr a = {htonl(*slot)};

    if (*slot == 0) {
        *slot = c->network | n;
        return 0;
    }
    inet_ntop(AF_INET, &a, text, sizeof text);
    return (*slot & c->netmask) == c->network
               ? 0
               : refuse(key, text, "an address in the network (net=)");
}

int options_net_user_settle(struct net_config *c)
{
    if (c->network == 0) {
        c->network = ADDRESS(10, 0, 2, 0);
        c->netmask = ADDRESS(255, 255, 255, 0);
    }
    int err = settle_address(c, "host", 2, &c->gateway);
    if (err == 0) {
        err = settle_address(c, "dns", 3, &c->nameserver);
    }
    return err == 0 ? settle_address(c, "dhcpstart", 15, &c->dhcp_start) : err;
}
