/* SPDX-License-Identifier: Apache-2.0 */
/* sql.c -- SQLite behind sql.h: one connection, a cache of prepared statements keyed by the address
 * of their text.
 *
 * Threads: one at a time per connection. Memory: the cache holds one statement per text until
 * close. */
#include "sys/sql.h"

#include <sqlite3.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"

struct entry {
    const char *text; /* the key: BORROWED, static */
    sqlite3_stmt *stmt;
    bool busy; /* being stepped: a nested use of the same text prepares its own */
};

struct sys_sql {
    sqlite3 *db;
    struct entry *entries;
    size_t n_entries;
    int64_t changes;
};

struct sys_row {
    sqlite3_stmt *stmt;
};

static enum ledge_status status_of(int code)
{
    switch (code & 0xff) {
    case SQLITE_CONSTRAINT:
        return LEDGE_ERR_EXISTS;
    case SQLITE_FULL:
        return LEDGE_ERR_FULL;
    case SQLITE_NOMEM:
        return LEDGE_ERR_NOMEM;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return LEDGE_ERR_CORRUPT;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return LEDGE_ERR_STATE;
    case SQLITE_TOOBIG:
        return LEDGE_ERR_RANGE;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return LEDGE_ERR_IO;
    default:
        return LEDGE_ERR_INTERNAL;
    }
}

/* The first words of a statement say which one it was; the rest would only fill the log. */
static enum ledge_status fail(struct sys_sql *sql, struct ledge_error *err, const char *text)
{
    int words = (int)strcspn(text, "\n");
    return ledge_fail(err, status_of(sqlite3_extended_errcode(sql->db)), "database: %s (%.*s)",
                      sqlite3_errmsg(sql->db), words > 60 ? 60 : words, text);
}

enum ledge_status sys_sql_script(struct sys_sql *sql, const char *text, struct ledge_error *err)
{
    if (sqlite3_exec(sql->db, text, NULL, NULL, NULL) != SQLITE_OK) {
        return fail(sql, err, text);
    }
    return LEDGE_OK;
}

enum ledge_status sys_sql_open(const char *path, struct sys_sql **sql, struct ledge_error *err)
{
    struct sys_sql *opened = calloc(1, sizeof *opened);
    if (opened == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "%s: out of memory", path);
    }
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
                SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_PRIVATECACHE;
    if (sqlite3_open_v2(path, &opened->db, flags, NULL) != SQLITE_OK) {
        int code = opened->db != NULL ? sqlite3_errcode(opened->db) : SQLITE_NOMEM;
        (void)ledge_fail(err, status_of(code), "%s: cannot open the database: %s", path,
                         opened->db != NULL ? sqlite3_errmsg(opened->db) : "out of memory");
        sys_sql_close(opened);
        return status_of(code);
    }
    (void)sqlite3_busy_timeout(opened->db, 5000);
    (void)sqlite3_db_config(opened->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    enum ledge_status status = sys_sql_script(opened,
                                              "PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;"
                                              "PRAGMA foreign_keys=ON;PRAGMA trusted_schema=OFF;"
                                              "PRAGMA wal_autocheckpoint=1000",
                                              err);
    if (status != LEDGE_OK) {
        (void)ledge_fail_at(err, path);
        sys_sql_close(opened);
        return status;
    }
    *sql = opened;
    return LEDGE_OK;
}

void sys_sql_close(struct sys_sql *sql)
{
    if (sql == NULL) {
        return;
    }
    for (size_t i = 0; i < sql->n_entries; i++) {
        (void)sqlite3_finalize(sql->entries[i].stmt);
    }
    free(sql->entries);
    (void)sqlite3_close(sql->db);
    free(sql);
}

static enum ledge_status prepare(struct sys_sql *sql, const char *text, unsigned flags,
                                 sqlite3_stmt **stmt, struct ledge_error *err)
{
    if (sqlite3_prepare_v3(sql->db, text, -1, flags, stmt, NULL) != SQLITE_OK) {
        return fail(sql, err, text);
    }
    if (*stmt == NULL) {
        return ledge_fail(err, LEDGE_ERR_ARG, "database: an empty statement");
    }
    return LEDGE_OK;
}

/* The cached statement of text as an index (the array moves when nested calls add to it). */
static enum ledge_status lookup(struct sys_sql *sql, const char *text, size_t *index,
                                struct ledge_error *err)
{
    for (size_t i = 0; i < sql->n_entries; i++) {
        if (sql->entries[i].text == text) {
            *index = i;
            return LEDGE_OK;
        }
    }
    sqlite3_stmt *stmt = NULL;
    LEDGE_TRY(prepare(sql, text, SQLITE_PREPARE_PERSISTENT, &stmt, err));
    struct entry *entries = realloc(sql->entries, (sql->n_entries + 1) * sizeof *entries);
    if (entries == NULL) {
        (void)sqlite3_finalize(stmt);
        return ledge_fail(err, LEDGE_ERR_NOMEM, "database: out of memory");
    }
    sql->entries = entries;
    *index = sql->n_entries;
    entries[sql->n_entries++] = (struct entry){text, stmt, false};
    return LEDGE_OK;
}

static int bind_all(sqlite3_stmt *stmt, const char *types, va_list args)
{
    int code = SQLITE_OK;
    for (int i = 0; types[i] != '\0' && code == SQLITE_OK; i++) {
        switch (types[i]) {
        case 'i':
            code = sqlite3_bind_int64(stmt, i + 1, va_arg(args, int64_t));
            break;
        case 'd':
            code = sqlite3_bind_double(stmt, i + 1, va_arg(args, double));
            break;
        case 's':
            code = sqlite3_bind_text(stmt, i + 1, va_arg(args, const char *), -1, SQLITE_STATIC);
            break;
        case 'b': {
            const void *bytes = va_arg(args, const void *);
            size_t n = va_arg(args, size_t);
            code = sqlite3_bind_blob64(stmt, i + 1, bytes, n, SQLITE_STATIC);
            break;
        }
        default:
            code = SQLITE_MISUSE;
        }
    }
    return code;
}

static enum ledge_status step_all(struct sys_sql *sql, sqlite3_stmt *stmt, const char *text,
                                  bool (*row)(void *, const struct sys_row *), void *arg,
                                  struct ledge_error *err)
{
    int code;
    while ((code = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct sys_row current = {stmt};
        if (row != NULL && !row(arg, &current)) {
            return LEDGE_OK;
        }
    }
    if (code != SQLITE_DONE) {
        return fail(sql, err, text);
    }
    sql->changes = sqlite3_changes64(sql->db);
    return LEDGE_OK;
}

enum ledge_status sys_sql_do(struct sys_sql *sql, struct ledge_error *err,
                             bool (*row)(void *arg, const struct sys_row *row), void *arg,
                             const char *text, const char *types, ...)
{
    size_t index = 0;
    LEDGE_TRY(lookup(sql, text, &index, err));
    sqlite3_stmt *stmt = sql->entries[index].stmt;
    bool nested = sql->entries[index].busy;
    if (nested) {
        LEDGE_TRY(prepare(sql, text, 0, &stmt, err));
    }
    sql->entries[index].busy = true;
    va_list args;
    va_start(args, types);
    int code = bind_all(stmt, types, args);
    va_end(args);
    enum ledge_status status;
    if (code != SQLITE_OK || sqlite3_bind_parameter_count(stmt) != (int)strlen(types)) {
        int words = (int)strcspn(text, "\n");
        status = ledge_fail(err, LEDGE_ERR_ARG, "database: parameters do not fit (%.*s)",
                            words > 60 ? 60 : words, text);
    } else {
        status = step_all(sql, stmt, text, row, arg, err);
    }
    if (nested) {
        (void)sqlite3_finalize(stmt);
    } else {
        (void)sqlite3_reset(stmt);
        (void)sqlite3_clear_bindings(stmt);
        sql->entries[index].busy = false;
    }
    return status;
}

int64_t sys_row_int(const struct sys_row *row, int column)
{
    return sqlite3_column_int64(row->stmt, column);
}

double sys_row_double(const struct sys_row *row, int column)
{
    return sqlite3_column_double(row->stmt, column);
}

const char *sys_row_text(const struct sys_row *row, int column)
{
    return (const char *)sqlite3_column_text(row->stmt, column);
}

const void *sys_row_blob(const struct sys_row *row, int column, size_t *n)
{
    const void *bytes = sqlite3_column_blob(row->stmt, column);
    *n = (size_t)sqlite3_column_bytes(row->stmt, column);
    return bytes;
}

bool sys_row_null(const struct sys_row *row, int column)
{
    return sqlite3_column_type(row->stmt, column) == SQLITE_NULL;
}

static const char sql_begin[] = "BEGIN IMMEDIATE";
static const char sql_commit[] = "COMMIT";

enum ledge_status sys_sql_begin(struct sys_sql *sql, struct ledge_error *err)
{
    return sys_sql_do(sql, err, NULL, NULL, sql_begin, "");
}

enum ledge_status sys_sql_commit(struct sys_sql *sql, struct ledge_error *err)
{
    return sys_sql_do(sql, err, NULL, NULL, sql_commit, "");
}

void sys_sql_rollback(struct sys_sql *sql)
{
    /* A failed commit (disk full) may already have rolled back by itself. */
    if (sqlite3_get_autocommit(sql->db) == 0) {
        (void)sqlite3_exec(sql->db, "ROLLBACK", NULL, NULL, NULL);
    }
}

int64_t sys_sql_changes(const struct sys_sql *sql)
{
    return sql->changes;
}

int64_t sys_sql_last_id(const struct sys_sql *sql)
{
    return sqlite3_last_insert_rowid(sql->db);
}
