/* SPDX-License-Identifier: Apache-2.0 */
/* log.h -- one line per event on standard error: "2026-01-01T00:00:00.000Z level program: text".
 *
 * Only programs log (libraries return errors). Threads: any. */
#ifndef LEDGE_SYS_LOG_H
#define LEDGE_SYS_LOG_H

#include "ledge/error.h"

enum sys_log_level { SYS_LOG_ERROR, SYS_LOG_WARNING, SYS_LOG_INFO, SYS_LOG_DEBUG };

/* program: BORROWED for ever, e.g. "ledge-hub". Lines above level are dropped; LEDGE_LOG=debug
 * overrides. */
void sys_log_init(const char *program, enum sys_log_level level);
void sys_log(enum sys_log_level level, const char *format, ...) LEDGE_PRINTF(2, 3);

#endif
