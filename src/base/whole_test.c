/* SPDX-License-Identifier: Apache-2.0 */
/* whole_test.c -- every number of a small range and its neighbours, the ends of 64 bits, and every
 * way to be wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/whole.h"

static void numbers_in_range_are_read(void **state)
{
    (void)state;
    for (int i = -1200; i <= 1200; i++) {
        char text[16];
        int64_t value = 7777;
        (void)snprintf(text, sizeof text, "%d", i);
        bool in = i >= -1000 && i <= 999;
        assert_int_equal(ledge_whole_read(text, -1000, 999, &value), in);
        assert_int_equal(value, in ? i : 7777);
    }
    int64_t value = 0;
    assert_true(ledge_whole_read("9223372036854775807", 0, INT64_MAX, &value));
    assert_true(value == INT64_MAX);
    assert_true(ledge_whole_read("-9223372036854775808", INT64_MIN, 0, &value));
    assert_true(value == INT64_MIN);
    assert_true(ledge_whole_read("00000000000000000000000012", 0, 20, &value));
    assert_true(value == 12);
}

static void all_else_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "-",
                                        "+5",
                                        " 5",
                                        "5 ",
                                        "5x",
                                        "x5",
                                        "0x10",
                                        "5.0",
                                        "1e3",
                                        "--5",
                                        "5-",
                                        "\t5",
                                        "5\n",
                                        "1,0",
                                        "\xb2",
                                        "nan",
                                        "/",
                                        ":",
                                        "9223372036854775808",
                                        "-9223372036854775809",
                                        "92233720368547758070",
                                        "18446744073709551621"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int64_t value = 7777;
        assert_false(ledge_whole_read(wrong[i], INT64_MIN, INT64_MAX, &value));
        assert_true(value == 7777);
    }
}

static void an_option_is_named(void **state)
{
    (void)state;
    struct ledge_error err;
    int64_t value = 7777;
    assert_int_equal(ledge_whole_option("--days", "5", 1, 9, &value, &err), LEDGE_OK);
    assert_true(value == 5);
    assert_int_equal(ledge_whole_option("--days", "5x", 1, 9, &value, &err), LEDGE_ERR_ARG);
    assert_string_equal(err.text, "--days: '5x' is not a whole number from 1 to 9");
    assert_true(value == 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_in_range_are_read),
        cmocka_unit_test(all_else_is_refused),
        cmocka_unit_test(an_option_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
