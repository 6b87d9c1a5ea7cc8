/* SPDX-License-Identifier: MIT */
/*
 * Paths of Unix sockets: what may be removed there.
 */
#include "unix_path.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* A server that is gone leaves a socket that refuses; any other answer may be somebody. */
static bool is_dead(const char *path)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool dead = false;

    if (fd >= 0 && strlen(path) < sizeof sa.sun_path) {
        memcpy(sa.sun_path, path, strlen(path));
        dead = connect(fd, (const struct sockaddr *)&sa, sizeof sa) != 0 && errno == ECONNREFUSED;
    }
    if (fd >= 0) {
        close(fd);
    }
    return dead;
}

int unix_path_free(const char *path)
{
    struct stat st;

    if (lstat(path, &st) != 0) {
        return 0; /* nothing there; or bind() will say what is wrong */
    }
    return S_ISSOCK(st.st_mode) && is_dead(path) && unlink(path) == 0 ? 0 : -EADDRINUSE;
}
