/* SPDX-License-Identifier: Apache-2.0 */
/* demo_run.h -- what the demo starts: tools that end, daemons that stay; their output in log files.
 *
 * Daemons die with the demo (PR_SET_PDEATHSIG) and are stopped in reverse order by demo_stop_all().
 */
#ifndef CLI_DEMO_DEMO_RUN_H
#define CLI_DEMO_DEMO_RUN_H

#include <sys/types.h>

#include "base/buf.h"
#include "ledge/error.h"
#include "sys/file.h"

enum { DEMO_DAEMONS = 8, DEMO_ARGS = 40 };

struct demo_run {
    char bin[SYS_PATH];  /* folder of this program and its siblings */
    char work[SYS_PATH]; /* everything the demo writes */
    pid_t daemons[DEMO_DAEMONS];
    int n_daemons;
};

/* Find bin; make work (a fresh folder below TMPDIR when NULL). */
LEDGE_NODISCARD enum ledge_status demo_run_init(struct demo_run *run, const char *work,
                                                struct ledge_error *err);

/* Path of a file that ships with Ledge ("recipes/x.yaml"): <bin>/../share/ledge/<name>, else
 * examples/<name> of the source tree. Errors: ERR_NOT_FOUND. */
LEDGE_NODISCARD enum ledge_status demo_share(const struct demo_run *run, const char *name,
                                             char path[SYS_PATH], struct ledge_error *err);

/* Run `program args...` (program: a sibling of this one) to its end, with a line of its progress on
 * a terminal; output is appended to work/<log>.log and its standard output also to out when not
 * NULL. *code is the exit code. Errors: ERR_NOT_FOUND, ERR_IO. */
LEDGE_NODISCARD enum ledge_status demo_tool(const struct demo_run *run, const char *log,
                                            struct ledge_buf *out, int *code,
                                            struct ledge_error *err, const char *program, ...)
    __attribute__((sentinel));

/* Start a daemon; arguments as above. */
LEDGE_NODISCARD enum ledge_status demo_daemon(struct demo_run *run, const char *log,
                                              struct ledge_error *err, const char *program, ...)
    __attribute__((sentinel));

/* Copy every file below from to the same place below to. Errors: ERR_IO. */
LEDGE_NODISCARD enum ledge_status demo_copy_tree(const char *from, const char *to,
                                                 struct ledge_error *err);

/* False when one of the daemons has ended. */
int demo_daemons_alive(struct demo_run *run);

void demo_stop_all(struct demo_run *run);

#endif
