/* SPDX-License-Identifier: Apache-2.0 */
/* turn_test.c -- rows side by side against one word at a time: every remainder of lanes and words,
 * rows at every byte, rows that are not there; sums of bytes. */
#include "engine/kernels/turn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 150, GAP = 3 };
#define KEPT UINT32_C(0xdeadbeef) /* stands between lines of lanes */

static void turn_and_check(int64_t lanes, int64_t n, size_t offset)
{
    size_t row_bytes = 4 * (size_t)n;
    const void *rows[LEDGE_TURN_LANES];
    uint8_t *from[LEDGE_TURN_LANES];
    uint32_t *to = malloc((size_t)((lanes + GAP) * n) * sizeof *to);
    assert_non_null(to);
    for (int64_t i = 0; i < (lanes + GAP) * n; i++) {
        to[i] = KEPT;
    }
    for (int64_t lane = 0; lane < lanes; lane++) {
        from[lane] = malloc(offset + row_bytes); /* its end is the memory's end */
        assert_non_null(from[lane]);
        for (size_t i = 0; i < offset + row_bytes; i++) {
            from[lane][i] = (uint8_t)(7 * i + 31 * (size_t)lane);
        }
        rows[lane] = lane % 5 == 3 ? NULL : from[lane] + offset;
    }
    ledge_turn_words(rows, lanes, n, to, lanes + GAP);
    for (int64_t i = 0; i < n; i++) {
        for (int64_t lane = 0; lane < lanes + GAP; lane++) {
            uint32_t want = lane < lanes ? 0 : KEPT;
            if (lane < lanes && rows[lane] != NULL) {
                memcpy(&want, from[lane] + offset + 4 * i, sizeof want);
            }
            assert_int_equal(to[i * (lanes + GAP) + lane], want);
        }
    }
    for (int64_t lane = 0; lane < lanes; lane++) {
        free(from[lane]);
    }
    free(to);
}

static void test_words(void **state)
{
    (void)state;
    static const int64_t counts[] = {1, 3, 4, 7, 63, 64, 65, 67, MOST};
    for (int64_t lanes = 1; lanes <= 18; lanes++) {
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
            turn_and_check(lanes, counts[i], (size_t)(lanes + (int64_t)i) % 4);
        }
    }
    turn_and_check(LEDGE_TURN_LANES, MOST, 1);
}

static void test_sums(void **state)
{
    (void)state;
    for (int64_t n = 0; n <= MOST; n++) {
        int8_t *bytes = malloc(n > 0 ? (size_t)n : 1);
        assert_non_null(bytes);
        int32_t want = 0;
        for (int64_t i = 0; i < n; i++) {
            bytes[i] = (int8_t)(n % 3 == 0 ? -128 : n % 3 == 1 ? 127 : 37 * i % 251 - 125);
            want += bytes[i];
        }
        assert_int_equal(ledge_sum_bytes(bytes, n), want);
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
