/* SPDX-License-Identifier: Apache-2.0 */
/* file.h -- files that survive a power cut: temporary name, fsync, rename, fsync of the folder.
 *
 * Source of the recipe: POSIX rename(2), fsync(2); every step's result is checked. */
#ifndef LEDGE_SYS_FILE_H
#define LEDGE_SYS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "ledge/error.h"

enum { SYS_PATH = 1024 };

/* A path built like printf; path has SYS_PATH bytes. Errors: ERR_RANGE (it would be cut). */
LEDGE_NODISCARD enum ledge_status sys_path(char path[SYS_PATH], struct ledge_error *err,
                                           const char *format, ...) LEDGE_PRINTF(3, 4);

/* The absolute path of what is there, without symbolic links; real has SYS_PATH bytes. Errors:
 * ERR_NOT_FOUND, ERR_IO, ERR_RANGE. */
LEDGE_NODISCARD enum ledge_status sys_path_real(const char *path, char real[SYS_PATH],
                                                struct ledge_error *err);

/* Append the whole file to buf. Errors: ERR_NOT_FOUND, ERR_IO, ERR_RANGE (greater than buf->max).
 */
LEDGE_NODISCARD enum ledge_status sys_file_read(const char *path, struct ledge_buf *buf,
                                                struct ledge_error *err);

/* Replace path by n bytes, durably and atomically; mode as for open(2). A device or a pipe is
 * written to, never replaced. Errors: ERR_IO, ERR_FULL, ERR_NOT_FOUND (its folder). */
LEDGE_NODISCARD enum ledge_status sys_file_write(const char *path, const void *bytes, size_t n,
                                                 unsigned mode, struct ledge_error *err);

/* Make path and its parents (mode 0700 for new ones). */
LEDGE_NODISCARD enum ledge_status sys_dir_make(const char *path, struct ledge_error *err);

/* fsync a folder, so that renames in it are durable. */
LEDGE_NODISCARD enum ledge_status sys_dir_sync(const char *path, struct ledge_error *err);

/* Remove a file or a whole folder; absent is fine. Symbolic links are removed, not followed. */
LEDGE_NODISCARD enum ledge_status sys_tree_remove(const char *path, struct ledge_error *err);

/* Point symbolic link path at target by temporary link, rename, fsync of the folder. */
LEDGE_NODISCARD enum ledge_status sys_link_switch(const char *target, const char *path,
                                                  struct ledge_error *err);

/* SHA-256 of a file, as 64 hexadecimal digits and NUL. */
LEDGE_NODISCARD enum ledge_status sys_file_sha256(const char *path, char hex[65],
                                                  struct ledge_error *err);

/* Take an exclusive lock on path (made if absent) until the process ends. Errors: ERR_STATE
 * (another process has it). */
LEDGE_NODISCARD enum ledge_status sys_file_lock(const char *path, struct ledge_error *err);

bool sys_file_exists(const char *path);

/* Milliseconds since 1970 UTC, and of a clock that never jumps. */
int64_t sys_now_ms(void);
int64_t sys_monotonic_ms(void);

/* "2026-01-01T00:00:00Z" into text[32]. */
void sys_time_text(int64_t ms, char text[32]);

#endif
