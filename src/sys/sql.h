/* SPDX-License-Identifier: Apache-2.0 */
/* sql.h -- SQLite 3 in WAL mode, synchronous FULL, foreign keys on; statements are prepared once
 * and kept.
 *
 * Statements stand in .sql files, one each, embedded at build (cmake: ledge_embed_sql), so no SQL
 * text is built at run time. Threads: one connection a thread.
 */
#ifndef LEDGE_SYS_SQL_H
#define LEDGE_SYS_SQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledge/error.h"

struct sys_sql;
struct sys_row; /* the current row of a query */

LEDGE_NODISCARD enum ledge_status sys_sql_open(const char *path, struct sys_sql **sql,
                                               struct ledge_error *err);
void sys_sql_close(struct sys_sql *sql);

/* Several statements at once, for the schema. */
LEDGE_NODISCARD enum ledge_status sys_sql_script(struct sys_sql *sql, const char *text,
                                                 struct ledge_error *err);

/* One statement; types says what follows, in the order of its parameters:
 *   i int64_t   d double   s const char * (NULL allowed)   b const void *, size_t
 * row(arg, row) is called for each row (NULL: rows are ignored); returning false stops. text is the
 * key of the statement cache and must be static. Errors: ERR_EXISTS (a constraint), ERR_FULL,
 * ERR_IO, ERR_CORRUPT. */
LEDGE_NODISCARD enum ledge_status sys_sql_do(struct sys_sql *sql, struct ledge_error *err,
                                             bool (*row)(void *arg, const struct sys_row *row),
                                             void *arg, const char *text, const char *types, ...);

int64_t sys_row_int(const struct sys_row *row, int column);
double sys_row_double(const struct sys_row *row, int column);
const char *sys_row_text(const struct sys_row *row,
                         int column); /* NULL when null; BORROWED until the callback returns */
const void *sys_row_blob(const struct sys_row *row, int column, size_t *n);
bool sys_row_null(const struct sys_row *row, int column);

LEDGE_NODISCARD enum ledge_status sys_sql_begin(struct sys_sql *sql, struct ledge_error *err);
LEDGE_NODISCARD enum ledge_status sys_sql_commit(struct sys_sql *sql, struct ledge_error *err);
void sys_sql_rollback(struct sys_sql *sql);
int64_t sys_sql_changes(const struct sys_sql *sql); /* rows changed by the last statement */
int64_t sys_sql_last_id(const struct sys_sql *sql);

#endif
