/* SPDX-License-Identifier: MIT */
/*
 * Counters over HTTP in the text format of Prometheus: GET /metrics. libmicrohttpd serves it on a
 * thread of its own, "metrics"; the counters are read as atomics, so nobody is stopped.
 */
#include "monitor_internal.h"

#include "base/log.h"
#include "base/stats.h"
#include "mmu/mmu.h"
#include "vm_control.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <netdb.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 16u
#define IDLE_SECONDS 10u

struct metrics {
    struct vm *vm;
    struct MHD_Daemon *daemon;
};

static void split(const char *where, char host[64], char port[16])
{
    const char *colon = strrchr(where, ':');
    size_t n = colon != NULL ? (size_t)(colon - where) : 0;
    bool bracket = n >= 2 && where[0] == '[' && where[n - 1] == ']';

    snprintf(host, 64, "%.*s", (int)(bracket ? n - 2 : n), where + bracket);
    snprintf(port, 16, "%s", colon != NULL ? colon + 1 : where);
}

bool monitor_metrics_valid(const char *where)
{
    const char *colon = strrchr(where, ':');
    const char *port = colon != NULL ? colon + 1 : where;
    char *end;
    unsigned long n = strtoul(port, &end, 10);

    return port[0] >= '0' && port[0] <= '9' && *end == '\0' && n >= 1 && n <= 65535 &&
           port - where < 64;
}

/* Ticks that a thread has used, by the kernel's books; its name. False: it is gone. */
static bool read_thread(const char *tid, char name[16], uint64_t *ticks)
{
    uint64_t user, kernel;
    char path[64];

    snprintf(path, sizeof path, "/proc/self/task/%.16s/stat", tid);
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        return false;
    }
    int n = fscanf(f, "%*d (%15[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u "
                      "%" SCNu64 " %" SCNu64, name, &user, &kernel);
    fclose(f);
    *ticks = n == 3 ? user + kernel : 0;
    return n == 3;
}

/* Several threads may have one name: workers of one kind. */
static void print_threads(FILE *f)
{
    static const char *const one[] = {"vcpu", "io", "display", "monitor", "reclaim"};
    DIR *dir = opendir("/proc/self/task");
    double second = (double)sysconf(_SC_CLK_TCK);
    uint64_t ticks;
    char name[16];

    if (dir == NULL) {
        return;
    }
    fputs("# HELP umbra_thread_seconds_total CPU time of the emulator's threads\n"
          "# TYPE umbra_thread_seconds_total counter\n", f);
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        bool ours = e->d_name[0] != '.' && read_thread(e->d_name, name, &ticks);
        for (size_t i = 0; i < ARRAY_SIZE(one) && ours; i++) {
            if (strncmp(name, one[i], strlen(one[i])) == 0) {
                fprintf(f, "umbra_thread_seconds_total{thread=\"%s\"} %.2f\n", name,
                        (double)ticks / second);
                break;
            }
        }
    }
    closedir(dir);
}

void monitor_print_metrics(void *opaque, FILE *f)
{
    struct vm *vm = opaque;

    stats_print_prometheus(f, vm->ncpus);
    print_threads(f);
    fprintf(f, "# HELP umbra_vmas host mappings of guest pages\n# TYPE umbra_vmas gauge\n"
               "umbra_vmas %" PRIu64 "\n",
            mmu_vma_count(vm));
    fprintf(f, "# HELP umbra_process_vmas host mappings of the process, an upper bound\n"
               "# TYPE umbra_process_vmas gauge\numbra_process_vmas %" PRIu64 "\n",
            mmu_vma_process(vm));
    fprintf(f, "# HELP umbra_running 1 while the machine runs\n# TYPE umbra_running gauge\n"
               "umbra_running %d\n",
            strcmp(vm_state_name(vm), "running") == 0);
    fprintf(f, "# HELP umbra_info version of the emulator\n# TYPE umbra_info gauge\n"
               "umbra_info{version=\"" UMBRA_VERSION "\"} 1\n");
}

static struct MHD_Response *page(struct vm *vm)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);

    if (f == NULL) {
        return NULL;
    }
    monitor_print_metrics(vm, f);
    if (fclose(f) != 0) {
        free(text);
        return NULL;
    }
    return MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
}

static enum MHD_Result on_request(void *opaque, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **context)
{
    static char refused[] = "GET /metrics is all there is\n";
    struct metrics *m = opaque;
    bool right = strcmp(url, "/metrics") == 0 && strcmp(method, "GET") == 0;

    (void)version;
    (void)upload;
    (void)context;
    if (*upload_size != 0) {
        *upload_size = 0; /* a body is not asked for; it is read and dropped */
        return MHD_YES;
    }
    struct MHD_Response *r = right ? page(m->vm)
                                   : MHD_create_response_from_buffer(sizeof refused - 1, refused,
                                                                     MHD_RESPMEM_PERSISTENT);
    if (r == NULL) {
        return MHD_NO;
    }
    MHD_add_response_header(r, "Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    enum MHD_Result result = MHD_queue_response(c, right ? MHD_HTTP_OK : MHD_HTTP_NOT_FOUND, r);
    MHD_destroy_response(r);
    return result;
}

/* Bind here rather than in the library, which does not say what went wrong. */
static int listen_at(const char *where)
{
    struct addrinfo hint = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *list;
    char host[64], port[16];
    int on = 1, err = 0;

    split(where, host, port);
    int gai = getaddrinfo(host[0] != '\0' ? host : "127.0.0.1", port, &hint, &list);
    if (gai != 0) {
        log_error("-metrics %s: %s", where, gai_strerror(gai));
        return -EINVAL;
    }
    int fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    }
    if (fd < 0 || bind(fd, list->ai_addr, list->ai_addrlen) != 0 || listen(fd, 8) != 0) {
        err = -errno;
        log_error("-metrics %s: %s", where, strerror(errno));
    }
    freeaddrinfo(list);
    if (err != 0 && fd >= 0) {
        close(fd);
    }
    return err != 0 ? err : fd;
}

/* The server's thread takes no signals: they belong to the main thread. */
static struct MHD_Daemon *start_daemon(struct metrics *m, int fd)
{
    sigset_t all, old;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    struct MHD_Daemon *d = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, on_request, m, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_SECONDS,
        MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return d;
}

int metrics_start(struct vm *vm, const char *where, struct metrics **out)
{
    struct metrics *m = malloc(sizeof *m);
    int fd = m != NULL ? listen_at(where) : -ENOMEM;

    if (fd < 0) {
        free(m);
        return fd;
    }
    m->vm = vm;
    m->daemon = start_daemon(m, fd);
    if (m->daemon == NULL) {
        log_error("-metrics %s: the HTTP server does not start", where);
        close(fd);
        free(m);
        return -EINVAL;
    }
    *out = m;
    return 0;
}

void metrics_stop(struct metrics *m)
{
    if (m != NULL) {
        MHD_stop_daemon(m->daemon);
        free(m);
    }
}
