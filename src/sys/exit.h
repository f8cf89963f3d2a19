/* SPDX-License-Identifier: Apache-2.0 */
/* exit.h -- how every program of Ledge ends: one table of exit codes (docs/exit-codes.md), and a
 * last look at what went to standard output. */
#ifndef LEDGE_SYS_EXIT_H
#define LEDGE_SYS_EXIT_H

#include "ledge/error.h"

enum sys_exit {
    SYS_EXIT_OK = 0,
    SYS_EXIT_FAILED = 1,
    SYS_EXIT_USAGE = 2,
    SYS_EXIT_GATE = 3,
    SYS_EXIT_NOT_FOUND = 4,
    SYS_EXIT_CONFLICT = 5,
    SYS_EXIT_AUTH = 6,
    SYS_EXIT_UNREACHABLE = 7,
    SYS_EXIT_TIMED_OUT = 124,
};

/* The lines of --help that say so. */
#define SYS_EXIT_HELP                                                                              \
    "exit codes: 0 ok, 1 failed, 2 usage, 3 gate refused, 4 not found, 5 conflict,\n"              \
    "            6 not authorised, 7 unreachable, 124 timed out\n"

/* The exit code that stands for a status. */
enum sys_exit sys_exit_of(enum ledge_status status);

/* First in main(): a standard stream that was closed is occupied, so that no file of ours gets its
 * number; writing to it still fails. */
void sys_exit_begin(void);

/* Last in main(): code, but SYS_EXIT_FAILED in place of SYS_EXIT_OK, and a line on standard error,
 * when not all of standard output could be written. */
int sys_exit_end(const char *program, int code);

#endif
