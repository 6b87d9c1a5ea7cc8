/* SPDX-License-Identifier: MIT */
/*
 * Private to src/gdb: the stub's state. All of it belongs to the stub's thread but `halted`, by
 * which it and vCPUs that stop agree on who pauses the machine.
 *
 *   gdb_packet.c   framing                     gdb_regs.c    registers, gdb_sysregs.c their table
 *   gdb_server.c   socket, thread              gdb_memory.c  memory
 *   gdb_command.c  what a packet asks for      gdb_run.c     halt, resume, stop replies
 *   gdb_query.c    q and Q packets, monitor commands
 */
#pragma once

#include "gdb/gdb.h"
#include "gdb/gdb_packet.h"
#include "vcpu/vcpu.h"
#include "vm.h"

#include <pthread.h>
#include <stdatomic.h>

struct gdb {
    struct vm *vm;
    pthread_t thread;
    int listen_fd, client_fd, event_fd;
    char *unix_path;
    _Atomic bool stop;   /* gdb_stop() */
    int exit_status;     /* written before stop */
    _Atomic bool halted; /* the stub holds a pause */

    /* session */
    bool running; /* the debugger waits for a stop reply */
    bool no_ack;
    bool swbreak;          /* it understands this stop reason */
    bool physical;         /* memory packets name physical addresses */
    bool closing;          /* after the reply */
    unsigned cpu;          /* of g, G, p, P, m, M, X */
    unsigned run_cpu;      /* of c and s */
    unsigned listed;       /* qsThreadInfo goes on here */
    struct gdb_parser in;
    struct gdb_reply out; /* kept until the next, for NAK */
};

/* ---- gdb_run.c ---- */
void gdb_halt(struct gdb *g);               /* returns when all is parked */
void gdb_hit(void *opaque, struct vcpu *v); /* struct vm_debug.hit */
/* What each vCPU does next. */
enum gdb_action { GDB_STAY, GDB_CONTINUE, GDB_STEP };
void gdb_resume(struct gdb *g, const enum gdb_action action[VCPU_MAX]);
/* All points gone, nothing held by the debugger. */
void gdb_let_go(struct gdb *g);
/* The stop reply of a halted machine, into g->out. */
void gdb_reply_stop(struct gdb *g);
void gdb_vcont(struct gdb *g, const char *arg);

/* ---- gdb_command.c ---- */
/* Execute the packet in g->in; true: g->out holds the reply. */
bool gdb_execute(struct gdb *g);
void gdb_reply_ok(struct gdb *g);
void gdb_reply_error(struct gdb *g, int err); /* -errno */
/* Thread id (hexadecimal, index + 1) at *s; 0 and -1 give `any`. */
bool gdb_thread(struct gdb *g, const char **s, unsigned any, unsigned *cpu);

/* ---- gdb_query.c ---- */
void gdb_query(struct gdb *g);

/* ---- gdb_regs.c ---- */
#define GDB_REG_MAX 16 /* bytes */
/* Size of register n, 0 when there is none. */
unsigned gdb_reg_size(unsigned n);
bool gdb_reg_read_stopped(struct vcpu *v, unsigned n, uint8_t out[GDB_REG_MAX]);
bool gdb_reg_write_stopped(struct vcpu *v, unsigned n, const uint8_t in[GDB_REG_MAX]);
#define GDB_G_REGS 50 /* registers of g and G packets: core and VFP */
/* The target description. */
const char *gdb_regs_xml(void);

/* ---- gdb_sysregs.c ---- */
struct gdb_sysreg {
    const char *name;
    uint8_t bits;
    bool writable;
    uint32_t key; /* ARM_SYSREG_KEY, or 0: */
    bool (*read)(struct vcpu *v, const struct gdb_sysreg *r, uint64_t *value);
    bool (*write)(struct vcpu *v, const struct gdb_sysreg *r, uint64_t value);
    uint32_t mode, n; /* of a banked register */
};
extern const struct gdb_sysreg gdb_sysregs[];
extern const unsigned gdb_sysregs_count;
bool gdb_sysreg_read_stopped(struct vcpu *v, const struct gdb_sysreg *r, uint64_t *value);
bool gdb_sysreg_write_stopped(struct vcpu *v, const struct gdb_sysreg *r, uint64_t value);

/* ---- gdb_memory.c ---- */
/* Bytes transferred from the start, at most len. */
size_t gdb_memory_read_stopped(struct gdb *g, uint64_t addr, void *buf, size_t len);
size_t gdb_memory_write_stopped(struct gdb *g, uint64_t addr, const void *buf, size_t len);
