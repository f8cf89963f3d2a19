/* SPDX-License-Identifier: Apache-2.0 */
/* sql_test.c -- types, constraints, roll back, a full disk (max_page_count), nested statements, a
 * file that is no database. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "sys/sql.h"

static const char insert[] = "INSERT INTO t(id, name, score, data) VALUES (?1, ?2, ?3, ?4)";
static const char select_all[] = "SELECT id, name, score, data FROM t ORDER BY id";
static const char count_all[] = "SELECT count(*) FROM t";

static void path_of(char path[64])
{
    (void)snprintf(path, 64, "/tmp/ledge-sql-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
}

static void remove_all(const char *path)
{
    char name[80];
    (void)unlink(path);
    (void)snprintf(name, sizeof name, "%s-wal", path);
    (void)unlink(name);
    (void)snprintf(name, sizeof name, "%s-shm", path);
    (void)unlink(name);
}

static struct sys_sql *open_table(const char *path)
{
    struct sys_sql *sql = NULL;
    struct ledge_error err;
    assert_int_equal(sys_sql_open(path, &sql, &err), LEDGE_OK);
    assert_int_equal(sys_sql_script(sql,
                                    "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, score REAL,"
                                    " data BLOB) STRICT;",
                                    &err),
                     LEDGE_OK);
    return sql;
}

static bool take_int(void *arg, const struct sys_row *row)
{
    *(int64_t *)arg = sys_row_int(row, 0);
    return true;
}

static int64_t count(struct sys_sql *sql)
{
    int64_t n = -1;
    assert_int_equal(sys_sql_do(sql, NULL, take_int, &n, count_all, ""), LEDGE_OK);
    return n;
}

struct seen {
    int rows;
    bool good;
};

static bool check_row(void *arg, const struct sys_row *row)
{
    struct seen *seen = arg;
    size_t n = 0;
    const void *data = sys_row_blob(row, 3, &n);
    if (seen->rows == 0) {
        seen->good = sys_row_int(row, 0) == INT64_MAX - 1 || sys_row_int(row, 0) == 1;
        seen->good = seen->good && strcmp(sys_row_text(row, 1), "it's \"here\"") == 0 &&
                     sys_row_double(row, 2) == 0.5 && n == 3 && memcmp(data, "a\0b", 3) == 0;
    } else {
        seen->good = seen->good && sys_row_null(row, 1) && sys_row_text(row, 1) == NULL && n == 0;
    }
    seen->rows++;
    return true;
}

static void test_types(void **state)
{
    (void)state;
    char path[64];
    path_of(path);
    struct sys_sql *sql = open_table(path);
    struct ledge_error err;
    assert_int_equal(sys_sql_do(sql, &err, NULL, NULL, insert, "isdb", (int64_t)1, "it's \"here\"",
                                0.5, "a\0b", (size_t)3),
                     LEDGE_OK);
    assert_int_equal(sys_sql_changes(sql), 1);
    assert_int_equal(sys_sql_do(sql, &err, NULL, NULL, insert, "isdb", INT64_MAX - 1, NULL, 0.0,
                                NULL, (size_t)0),
                     LEDGE_OK);
    assert_int_equal(sys_sql_last_id(sql), INT64_MAX - 1);
    struct seen seen = {0, false};
    assert_int_equal(sys_sql_do(sql, &err, check_row, &seen, select_all, ""), LEDGE_OK);
    assert_int_equal(seen.rows, 2);
    assert_true(seen.good);
    sys_sql_close(sql);
    remove_all(path);
}

static void test_constraint_and_rollback(void **state)
{
    (void)state;
    char path[64];
    path_of(path);
    struct sys_sql *sql = open_table(path);
    struct ledge_error err;
    assert_int_equal(sys_sql_begin(sql, &err), LEDGE_OK);
    assert_int_equal(
        sys_sql_do(sql, &err, NULL, NULL, insert, "isdb", (int64_t)1, "a", 1.0, NULL, (size_t)0),
        LEDGE_OK);
    assert_int_equal(
        sys_sql_do(sql, &err, NULL, NULL, insert, "isdb", (int64_t)1, "b", 1.0, NULL, (size_t)0),
        LEDGE_ERR_EXISTS);
    assert_non_null(strstr(err.text, "INSERT INTO t"));
    sys_sql_rollback(sql);
    sys_sql_rollback(sql); /* twice is harmless */
    assert_int_equal(count(sql), 0);
    /* too few parameters are refused before anything runs */
    assert_int_equal(sys_sql_do(sql, &err, NULL, NULL, insert, "is", (int64_t)1, "a"),
                     LEDGE_ERR_ARG);
    assert_int_equal(count(sql), 0);
    sys_sql_close(sql);
    remove_all(path);
}

static void test_full(void **state)
{
    (void)state;
    char path[64];
    path_of(path);
    struct sys_sql *sql = open_table(path);
    struct ledge_error err;
    char *big = calloc(1, 1 << 20);
    assert_non_null(big);
    assert_int_equal(sys_sql_script(sql, "PRAGMA max_page_count=16", &err), LEDGE_OK);
    assert_int_equal(sys_sql_begin(sql, &err), LEDGE_OK);
    assert_int_equal(sys_sql_do(sql, &err, NULL, NULL, insert, "isdb", (int64_t)1, "a", 1.0, big,
                                (size_t)1 << 20),
                     LEDGE_ERR_FULL);
    sys_sql_rollback(sql);
    assert_int_equal(count(sql), 0);
    /* and it goes on working once there is room */
    assert_int_equal(sys_sql_script(sql, "PRAGMA max_page_count=100000", &err), LEDGE_OK);
    assert_int_equal(sys_sql_do(sql, &err, NULL, NULL, insert, "isdb", (int64_t)1, "a", 1.0, big,
                                (size_t)1 << 20),
                     LEDGE_OK);
    assert_int_equal(count(sql), 1);
    free(big);
    sys_sql_close(sql);
    remove_all(path);
}

struct nest {
    struct sys_sql *sql;
    int pairs;
};

static bool inner_row(void *arg, const struct sys_row *row)
{
    (void)row;
    ((struct nest *)arg)->pairs++;
    return true;
}

static bool outer_row(void *arg, const struct sys_row *row)
{
    struct nest *nest = arg;
    (void)row;
    return sys_sql_do(nest->sql, NULL, inner_row, nest, select_all, "") == LEDGE_OK;
}

static void test_nested(void **state)
{
    (void)state;
    char path[64];
    path_of(path);
    struct sys_sql *sql = open_table(path);
    for (int64_t i = 0; i < 3; i++) {
        assert_int_equal(
            sys_sql_do(sql, NULL, NULL, NULL, insert, "isdb", i, "a", 1.0, NULL, (size_t)0),
            LEDGE_OK);
    }
    struct nest nest = {sql, 0};
    assert_int_equal(sys_sql_do(sql, NULL, outer_row, &nest, select_all, ""), LEDGE_OK);
    assert_int_equal(nest.pairs, 9);
    sys_sql_close(sql);
    remove_all(path);
}

static void test_not_a_database(void **state)
{
    (void)state;
    char path[64];
    path_of(path);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (int i = 0; i < 2000; i++) {
        assert_true(fputs("no database ", f) >= 0);
    }
    assert_int_equal(fclose(f), 0);
    struct sys_sql *sql = NULL;
    struct ledge_error err;
    assert_int_equal(sys_sql_open(path, &sql, &err), LEDGE_ERR_CORRUPT);
    assert_null(sql);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(sys_sql_open("/nonexistent/x.db", &sql, &err), LEDGE_ERR_IO);
    remove_all(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),          cmocka_unit_test(test_constraint_and_rollback),
        cmocka_unit_test(test_full),           cmocka_unit_test(test_nested),
        cmocka_unit_test(test_not_a_database),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
