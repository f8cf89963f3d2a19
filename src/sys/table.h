/* SPDX-License-Identifier: Apache-2.0 */
/* table.h -- aligned text tables (libsmartcols).
 *
 * Flow:    results -> [table.h] -> terminal or pipe. Threads: one at a time. Memory: heap, freed
 * with the table.
 */
#ifndef SYS_TABLE_H
#define SYS_TABLE_H

#include <stddef.h>
#include <stdio.h>

struct sys_table;

/* A table with n columns.
 *   heads  titles; a leading '>' makes the column right-aligned ("" titles are legal)
 * Returns OWNED: sys_table_free(); NULL when there is no memory. */
struct sys_table *sys_table_create(const char *const *heads, size_t n);
void sys_table_free(struct sys_table *table);

/* Append a row of n cells (copied; NULL is an empty cell). A failure is remembered and reported by
 * print. */
void sys_table_row(struct sys_table *table, const char *const *cells, size_t n);

/* The same with a format per row: cells are separated by tabs, 1023 bytes in all (longer is cut).
 */
void sys_table_rowf(struct sys_table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Print all rows. Returns 0, or -1 when memory ran out or writing failed. */
int sys_table_print(struct sys_table *table, FILE *out);

#endif
