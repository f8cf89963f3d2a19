/* SPDX-License-Identifier: Apache-2.0 */
/* logfile.h -- the output of a function: lines with their time, in two files of at most 1 MB.
 *
 * <path> is written to; past 1 MB it becomes <path>.1 and a new one begins. A line is
 * "<ms since 1970> <text>\n". Not flushed: a log is no promise. Threads: the loop's. */
#ifndef AGENT_LOGFILE_H
#define AGENT_LOGFILE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "ledge/error.h"

enum { AGENT_LOG_BYTES = 1024 * 1024 };

struct agent_logfile;

LEDGE_NODISCARD enum ledge_status agent_logfile_open(const char *path, struct agent_logfile **log,
                                                     struct ledge_error *err);
void agent_logfile_close(struct agent_logfile *log);

/* Bytes that are no UTF-8 are replaced by '?'. Failures are ignored. */
void agent_logfile_add(struct agent_logfile *log, int64_t time_ms, const char *text);

/* The last lines, at most `limit` and max_bytes of JSON text: [{"ts":ms,"text":"..."}], oldest
 * first. NULL when there is no memory. OWNED: json_decref(). */
json_t *agent_logfile_tail(const char *path, size_t limit, size_t max_bytes);

#endif
