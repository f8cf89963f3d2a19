/* SPDX-License-Identifier: Apache-2.0 */
/* table.c -- see table.h. */
#include "sys/table.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <libsmartcols.h>

struct sys_table {
    struct libscols_table *table;
    bool failed;
};

static int add_column(struct libscols_table *table, const char *head)
{
    bool right = head[0] == '>';
    struct libscols_column *column =
        scols_table_new_column(table, right ? head + 1 : head, 0, right ? SCOLS_FL_RIGHT : 0);
    return column != NULL ? 0 : -1;
}

struct sys_table *sys_table_create(const char *const *heads, size_t n)
{
    struct sys_table *table = calloc(1, sizeof *table);
    if (table == NULL) {
        return NULL;
    }
    table->table = scols_new_table();
    for (size_t i = 0; table->table != NULL && i < n; i++) {
        table->failed = add_column(table->table, heads[i]) != 0 || table->failed;
    }
    if (table->table == NULL || table->failed) {
        sys_table_free(table);
        return NULL;
    }
    scols_table_enable_nowrap(table->table, 1);
    return table;
}

void sys_table_free(struct sys_table *table)
{
    if (table != NULL) {
        scols_unref_table(table->table);
        free(table);
    }
}

void sys_table_row(struct sys_table *table, const char *const *cells, size_t n)
{
    struct libscols_line *line = scols_table_new_line(table->table, NULL);
    if (line == NULL) {
        table->failed = true;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (scols_line_set_data(line, i, cells[i] != NULL ? cells[i] : "") != 0) {
            table->failed = true;
        }
    }
}

void sys_table_rowf(struct sys_table *table, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char *cells[32];
    size_t n = 0;
    if (length < 0) {
        table->failed = true;
        return;
    }
    char *rest = text;
    while (rest != NULL && n < sizeof cells / sizeof cells[0]) {
        cells[n++] = strsep(&rest, "\t");
    }
    sys_table_row(table, cells, n);
}

int sys_table_print(struct sys_table *table, FILE *out)
{
    scols_table_set_stream(table->table, out);
    if (!table->failed && scols_print_table(table->table) == 0 && ferror(out) == 0) {
        return 0;
    }
    return -1;
}
