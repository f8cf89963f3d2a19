/* SPDX-License-Identifier: Apache-2.0 */
/* table_test.c -- columns line up, right-aligned ones to the right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sys/table.h"

static void test_aligns(void **state)
{
    (void)state;
    const char *heads[] = {"name", ">count"};
    const char *cells[] = {"a", "7"};
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    struct sys_table *table = sys_table_create(heads, 2);
    assert_non_null(table);
    sys_table_row(table, cells, 2);
    sys_table_rowf(table, "%s\t%d", "longer name", 12345);
    assert_int_equal(sys_table_print(table, out), 0);
    (void)fclose(out);
    sys_table_free(table);
    assert_string_equal(text, "name        count\na               7\nlonger name 12345\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_aligns)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
