/* SPDX-License-Identifier: MIT */
/*
 * Where debuggers may connect to the guest's adbd, as the command line spells it. No state.
 */
#include "goldfish_service.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

bool goldfish_adb_address(const char *where, struct sockaddr_in *out)
{
    const char *colon = strrchr(where, ':'), *digits = colon != NULL ? colon + 1 : where;
    char host[INET_ADDRSTRLEN] = "127.0.0.1", *end;
    size_t len = colon != NULL ? (size_t)(colon - where) : 0;

    if (len >= sizeof host || strspn(digits, "0123456789") == 0) {
        return false;
    }
    if (len > 0) {
        memcpy(host, where, len);
        host[len] = '\0';
    }
    unsigned long port = strtoul(digits, &end, 10);
    *out = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    return *end == '\0' && port > 0 && port <= UINT16_MAX &&
           inet_pton(AF_INET, host, &out->sin_addr) == 1;
}

bool goldfish_adb_valid(const char *where)
{
    struct sockaddr_in addr;

    return goldfish_adb_address(where, &addr);
}
