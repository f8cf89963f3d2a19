/* SPDX-License-Identifier: Apache-2.0 */
/* byte_table_test.c -- tables of 256 bytes, of every kind that loops tell apart: lookups of every
 * rung against the table itself. */
#include "engine/run/testing.h"

#include <stdlib.h>

#include "engine/kernels/i8.h"

enum { ENTRIES = 256, KEPT = 0xa5 };

/* rows of n bytes, ld apart, in place or not; what lies between and behind stays. */
static void check(const uint8_t table[ENTRIES], int64_t rows, int64_t n, int64_t ld, bool in_place)
{
    const size_t bytes = (size_t)((rows - 1) * ld + n); /* the memory ends there */
    uint8_t *x = malloc(bytes), *y = malloc(bytes);
    assert_non_null(x);
    assert_non_null(y);
    for (int rung = LEDGE_RUNG_C; rung <= (int)ledge_port_rung(); rung++) {
        for (size_t i = 0; i < bytes; i++) {
            x[i] = (uint8_t)(7 * i + (size_t)n); /* 256 of them are all there are */
        }
        memset(y, KEPT, bytes);
        if (in_place) {
            memcpy(y, x, bytes);
        }
        ledge_i8_for(rung)->lookup(table, in_place ? y : x, y, rows, n, ld);
        for (int64_t i = 0; i < (int64_t)bytes; i++) {
            const uint8_t kept = in_place ? x[i] : KEPT;
            assert_int_equal(y[i], i % ld < n ? table[x[i]] : kept);
        }
    }
    free(x);
    free(y);
}

static void check_table(const uint8_t table[ENTRIES])
{
    static const int64_t counts[] = {1, 16, 31, 32, 33, 47, 48, 63, 64, 65, 127, 1000};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        const int64_t n = counts[i];
        check(table, 1, n, n, i % 2 == 0);
        check(table, 5, n, n, i % 2 == 1);
        check(table, 3, n, n + 16, i % 2 == 0);
    }
}

/* Lines, with what each of eight entries has more of it: `more` of the last, up to there in order.
 */
static void test_lines(void **state)
{
    (void)state;
    for (int slope = -9; slope <= 9; slope++) {
        for (int more = -1; more <= 1; more++) {
            uint8_t table[ENTRIES];
            for (int i = 0; i < ENTRIES; i++) {
                table[i] = (uint8_t)(i + slope * i / 4 + 77 + (i % 8 == 7 ? more : 0));
            }
            check_table(table);
        }
    }
}

/* Entries as far from their eight's fifth as four bits reach, and one of them one too far, in every
 * place. */
static void test_limits(void **state)
{
    (void)state;
    for (int place = -1; place < ENTRIES; place++) {
        for (int side = -1; side <= 1; side += 2) {
            uint8_t table[ENTRIES];
            for (int i = 0; i < ENTRIES; i++) {
                const int base = 13 * (i / 8), off = i % 8 == 4 ? 0 : side < 0 ? -8 : 7;
                table[i] = (uint8_t)(i + base + off + (i == place ? side : 0));
            }
            check(table, 1, 640, 640, true);
        }
    }
}

static void test_any(void **state)
{
    (void)state;
    uint32_t seed = 5;
    for (int i = 0; i < 20; i++) {
        uint8_t table[ENTRIES];
        test_fill_8(table, ENTRIES, &seed);
        check_table(table);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_any),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
