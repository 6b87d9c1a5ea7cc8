/* SPDX-License-Identifier: MIT */
/*
 * Command line: -netdev and -nic, a network and, with -nic, its card. What cannot be right is
 * refused here; whether ports and interfaces are to be had is known only when they are opened
 * (io/net*.c).
 */
#include "options_internal.h"

#include "base/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#define FORWARD_FORM "tcp|udp:[HOST-ADDRESS]:PORT-[GUEST-ADDRESS]:PORT"

/* One option while it is read; card and mac are -nic's. */
struct net_parse {
    const char *option;
    struct net_config net;
    bool nic;
    char *mac;
    const char *model; /* what -nic adds */
};

static int replace(char **slot, const char *value)
{
    free(*slot);
    *slot = strdup(value);
    return *slot != NULL ? 0 : -ENOMEM;
}

static int refuse(const struct net_parse *p, const char *key, const char *value,
                  const char *accepted)
{
    log_error("-%s: %s=%s: accepted: %s", p->option, key, value, accepted);
    return -EINVAL;
}

/* ---- hostfwd ---- */
/* Moves *s past everything up to `end`, which becomes a NUL; NULL without one. */
static char *cut(char **s, char end)
{
    char *word = *s, *at = strchr(word, end);

    if (at == NULL) {
        return NULL;
    }
    *at = '\0';
    *s = at + 1;
    return word;
}

static bool parse_address(const char *s, struct in_addr *out)
{
    return s[0] == '\0' || inet_pton(AF_INET, s, out) == 1;
}

static bool parse_port(const char *s, uint16_t *out)
{
    uint64_t n;

    if (!options_parse_number(s, &n) || n == 0 || n > UINT16_MAX) {
        return false;
    }
    *out = (uint16_t)n;
    return true;
}

static bool parse_forward(char *text, struct net_forward *f)
{
    char *protocol = cut(&text, ':'), *host = protocol != NULL ? cut(&text, ':') : NULL;
    char *host_port = host != NULL ? cut(&text, '-') : NULL;
    char *guest = host_port != NULL ? cut(&text, ':') : NULL;

    if (guest == NULL) {
        return false;
    }
    f->udp = strcmp(protocol, "udp") == 0;
    return (f->udp || protocol[0] == '\0' || strcmp(protocol, "tcp") == 0) &&
           parse_address(host, &f->host) && parse_port(host_port, &f->host_port) &&
           parse_address(guest, &f->guest) && parse_port(text, &f->guest_port);
}

static int add_forward(struct net_parse *p, const char *value)
{
    struct net_config *c = &p->net;
    char *text = strdup(value);

    if (text == NULL) {
        return -ENOMEM;
    }
    if (c->nforwards == NET_FORWARDS) {
        log_error("-%s: hostfwd=%s: more than %u of them", p->option, value, NET_FORWARDS);
        free(text);
        return -EINVAL;
    }
    struct net_forward *f = &c->forward[c->nforwards];
    *f = (struct net_forward){.host.s_addr = htonl(INADDR_ANY)};
    bool ok = parse_forward(text, f);
    free(text);
    if (!ok) {
        return refuse(p, "hostfwd", value, FORWARD_FORM);
    }
    c->nforwards++;
    return replace(&f->text, value);
}

/* ---- keys ---- */
static int user_key(struct net_parse *p, const char *key, const char *value)
{
    if (strcmp(key, "hostfwd") == 0) {
        return add_forward(p, value);
    }
    if (strcmp(key, "hostname") == 0) {
        return replace(&p->net.hostname, value);
    }
    if (strcmp(key, "restrict") == 0) {
        p->net.restricted = strcmp(value, "on") == 0 || strcmp(value, "yes") == 0;
        return p->net.restricted || strcmp(value, "off") == 0 || strcmp(value, "no") == 0
                   ? 0
                   : refuse(p, key, value, "on, off");
    }
    return options_net_user_key(&p->net, key, value);
}

/* "3" or "3:4:5" */
static int add_fds(struct net_parse *p, const char *key, const char *value)
{
    char *text = strdup(value), *rest = text;
    int err = text == NULL ? -ENOMEM : 0;

    for (char *word; err == 0 && (word = strsep(&rest, ":")) != NULL;) {
        uint64_t fd;
        if (!options_parse_number(word, &fd) || fd > INT32_MAX || p->net.nfds == NET_QUEUES) {
            err = refuse(p, key, value, "descriptors open in this process, at most 8");
        } else {
            p->net.fd[p->net.nfds++] = (int)fd;
        }
    }
    free(text);
    return err;
}

static int tap_key(struct net_parse *p, const char *key, const char *value)
{
    uint64_t n;

    if (strcmp(key, "fd") == 0 || strcmp(key, "fds") == 0) {
        return add_fds(p, key, value);
    }
    if (strcmp(key, "ifname") == 0) {
        return value[0] != '\0' && strlen(value) < IF_NAMESIZE
                   ? replace(&p->net.ifname, value)
                   : refuse(p, key, value, "a name of 1 to 15 characters");
    }
    if (strcmp(key, "queues") == 0) {
        if (!options_parse_number(value, &n) || n == 0 || n > NET_QUEUES) {
            return refuse(p, key, value, "1 to 8");
        }
        p->net.queues = (unsigned)n;
        return 0;
    }
    if (strcmp(key, "script") == 0 || strcmp(key, "downscript") == 0) {
        return strcmp(value, "no") == 0 ? 0 : refuse(p, key, value, "no");
    }
    if (strcmp(key, "vhost") == 0) {
        return strcmp(value, "off") == 0 ? 0 : refuse(p, key, value, "off");
    }
    return -ENOENT;
}

static int nic_key(struct net_parse *p, const char *key, const char *value)
{
    if (strcmp(key, "mac") == 0) {
        return replace(&p->mac, value);
    }
    if (strcmp(key, "model") == 0) {
        static const char *const known[] = {"virtio-net", "virtio-net-device", "virtio-net-pci"};
        for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
            if (strcmp(value, known[i]) == 0) {
                p->model = known[i];
                return 0;
            }
        }
        return strcmp(value, "virtio") == 0
                   ? 0
                   : refuse(p, key, value, "virtio, virtio-net-device, virtio-net-pci");
    }
    return -ENOENT;
}

static int take_key(struct net_parse *p, const struct options_list *l)
{
    const char *value = l->value != NULL ? l->value : "";
    int err = p->net.kind == NET_USER ? user_key(p, l->key, value) : tap_key(p, l->key, value);

    if (err == -ENOENT && strcmp(l->key, "id") == 0 && value[0] != '\0') {
        return replace(&p->net.id, value);
    }
    if (err == -ENOENT && p->nic) {
        err = nic_key(p, l->key, value);
    }
    if (err == -ENOENT) {
        log_error("-%s: unknown option %s; accepted: id=, %s%s", p->option, l->key,
                  p->net.kind == NET_USER
                      ? "hostfwd=" FORWARD_FORM ", hostname=, restrict=on|off, net=, host=, dns=, "
                        "dhcpstart=, ipv6=on|off, tftp=, bootfile="
                      : "ifname=, fd=, fds=, queues=, script=no, downscript=no",
                  p->nic ? ", mac=, model=virtio|virtio-net-device|virtio-net-pci" : "");
        err = -EINVAL;
    }
    return err;
}

/* The first word. */
static int take_kind(struct net_parse *p, struct options_list *l)
{
    bool any = options_list_next(l);
    const char *word = any ? l->key : "";

    if (any && strcmp(word, "type") == 0 && l->value != NULL) {
        word = l->value;
    }
    p->net.kind = strcmp(word, "tap") == 0 ? NET_TAP : NET_USER;
    if (p->net.kind == NET_USER && strcmp(word, "user") != 0) {
        log_error("-%s %s: not supported; accepted: user, tap%s", p->option, word,
                  p->nic ? ", none" : "");
        return -EINVAL;
    }
    return 0;
}

/* ---- the whole ---- */
static int check_net(struct options *o, struct net_parse *p)
{
    struct net_config *c = &p->net;
    int err = c->kind == NET_USER ? options_net_user_settle(c) : 0;

    if (err != 0) {
        return err;
    }
    if (c->kind == NET_TAP && (c->ifname != NULL) == (c->nfds > 0)) {
        log_error("-%s tap: needs either ifname=NAME or fd=NUMBER", p->option);
        return -EINVAL;
    }
    if (c->nfds > 0 && c->queues != 0 && c->queues != c->nfds) {
        log_error("-%s tap: queues=%u and %u descriptors", p->option, c->queues, c->nfds);
        return -EINVAL;
    }
    if (o->vm.nnets == ARRAY_SIZE(o->vm.net)) {
        log_error("-%s: more than %zu networks", p->option, ARRAY_SIZE(o->vm.net));
        return -EINVAL;
    }
    if (c->id == NULL && p->nic) {
        char name[16];
        snprintf(name, sizeof name, "nic%u", o->vm.nnets);
        return replace(&c->id, name);
    }
    for (unsigned i = 0; c->id != NULL && i < o->vm.nnets; i++) {
        if (strcmp(o->vm.net[i].id, c->id) == 0) {
            log_error("-%s: the id %s is used twice", p->option, c->id);
            return -EINVAL;
        }
    }
    if (c->id == NULL) {
        log_error("-netdev: id= is missing");
        return -EINVAL;
    }
    return 0;
}

static int add_card(struct options *o, const struct net_parse *p)
{
    char text[256];
    int n = snprintf(text, sizeof text, "netdev=%s%s%s", p->net.id, p->mac != NULL ? ",mac=" : "",
                     p->mac != NULL ? p->mac : "");

    if (n < 0 || (size_t)n >= sizeof text) {
        return refuse(p, "id", p->net.id, "a shorter name");
    }
    return options_add_device(o, p->model != NULL ? p->model : "virtio-net", text);
}

void options_free_net(struct net_config *c)
{
    for (unsigned i = 0; i < c->nforwards; i++) {
        free(c->forward[i].text);
    }
    free(c->id);
    free(c->hostname);
    free(c->tftp);
    free(c->bootfile);
    free(c->ifname);
}

static int parse(struct options *o, const char *value, struct net_parse *p)
{
    struct options_list l = {.rest = value};
    int err = take_kind(p, &l);

    while (err == 0 && options_list_next(&l)) {
        err = take_key(p, &l);
    }
    options_list_end(&l);
    if (err == 0) {
        err = check_net(o, p);
    }
    if (err == 0 && p->nic) {
        err = add_card(o, p);
    }
    if (err == 0) {
        o->vm.net[o->vm.nnets++] = p->net;
    } else {
        options_free_net(&p->net);
    }
    free(p->mac);
    return err;
}

int options_parse_netdev(struct options *o, const char *value)
{
    return parse(o, value, &(struct net_parse){.option = "netdev"});
}

int options_parse_nic(struct options *o, const char *value)
{
    if (strcmp(value, "none") == 0) {
        return 0;
    }
    return parse(o, value, &(struct net_parse){.option = "nic", .nic = true});
}
