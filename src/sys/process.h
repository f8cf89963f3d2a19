/* SPDX-License-Identifier: Apache-2.0 */
/* process.h -- children: start, watch, stop; and a supervisor that restarts with exponential
 * backoff.
 *
 * A child gets its own process group, dies with its parent (PR_SET_PDEATHSIG), and inherits no
 * descriptor but 0, 1, 2.
 */
#ifndef LEDGE_SYS_PROCESS_H
#define LEDGE_SYS_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "sys/loop.h"

struct sys_process;

struct sys_process_options {
    const char *const *argv; /* NULL-terminated; argv[0] is a path or found in PATH */
    const char *const
        *env; /* "NAME=value" added to (or replacing) the parent's, NULL-terminated, or NULL */
    const char *cwd; /* or NULL */
    int32_t stop_ms; /* SIGTERM to SIGKILL; 0: 5000 */
    /* Restart after an end nobody asked for: delay 2^k * backoff_ms, at most backoff_max_ms, with
     * jitter; k falls back to 0 after a minute up. backoff_ms 0: never restart. */
    int32_t backoff_ms, backoff_max_ms;
    void (*on_line)(void *arg, const char *line); /* each line of its output (stderr too), cut at
                                                     4096 bytes; NULL: inherit */
    void (*on_start)(void *arg, pid_t pid);       /* or NULL */
    void (*on_exit)(void *arg, int status, bool restarting); /* wait status; or NULL */
    void *arg;
};

/* Start. OWNED: sys_process_free() (which kills it at once). Errors: ERR_NOT_FOUND, ERR_IO. */
LEDGE_NODISCARD enum ledge_status sys_process_start(struct sys_loop *loop,
                                                    const struct sys_process_options *options,
                                                    struct sys_process **process,
                                                    struct ledge_error *err);

/* SIGTERM, then SIGKILL after stop_ms; stopped(arg) when it is gone (NULL: none). No restart
 * follows. */
void sys_process_stop(struct sys_process *process, void (*stopped)(void *arg), void *arg);
void sys_process_free(struct sys_process *process);

pid_t sys_process_pid(const struct sys_process *process); /* 0 when not running */
int32_t sys_process_restarts(const struct sys_process *process);

/* Run to the end, blocking; output appended to out (both streams). *status is the wait status. */
struct ledge_buf;
LEDGE_NODISCARD enum ledge_status sys_process_run(const char *const *argv, struct ledge_buf *out,
                                                  int *status, struct ledge_error *err);

#endif
