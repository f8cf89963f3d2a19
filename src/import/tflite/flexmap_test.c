/* SPDX-License-Identifier: Apache-2.0 */
/* flexmap_test.c -- options of custom operators: numbers by name, every truncation, every bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "import/tflite/flexmap.h"

/* {"a": -2, "big": 1000, "f": 0.5} with values of 4 bytes. */
static const uint8_t sample[] = {
    'a',        0,          'b',        'i',  'g', 0, 'f', 0, /* keys at 0, 2, 6 */
    3,                                                        /* number of keys */
    9,          8,          5,                                /* keys at 9, distances */
    3,          0,          0,          0,    1,   0, 0,   0,
    3,          0,          0,          0, /* to the keys, width, count */
    254,        255,        255,        255,  232, 3, 0,   0,
    0,          0,          0,          0x3f, /* -2, 1000, 0.5f */
    1 << 2 | 2, 1 << 2 | 2, 3 << 2 | 2,       /* types */
    15,         9 << 2 | 2, 1};               /* root: a map of width 4 */

static void numbers_are_found_by_name(void **state)
{
    (void)state;
    struct ledge_flexmap map;
    assert_true(ledge_flexmap_open(&map, sample, sizeof sample));
    assert_int_equal(map.n, 3);
    assert_int_equal(ledge_flexmap_int(&map, "a", 7), -2);
    assert_int_equal(ledge_flexmap_int(&map, "big", 7), 1000);
    assert_int_equal(ledge_flexmap_int(&map, "bi", 7), 7);
    assert_true(ledge_flexmap_float(&map, "f", 0) == 0.5f);
    assert_true(ledge_flexmap_float(&map, "big", 0) == 1000.0f);
    assert_int_equal(ledge_flexmap_int(&map, "f", 7), 7);
    assert_true(ledge_flexmap_open(&map, NULL, 0));
    assert_int_equal(ledge_flexmap_int(&map, "a", 7), 7);
}

static void look(const uint8_t *bytes, size_t n)
{
    uint8_t *exact = malloc(n > 0 ? n : 1); /* a read past the end is seen */
    struct ledge_flexmap map;
    assert_non_null(exact);
    memcpy(exact, bytes, n);
    if (ledge_flexmap_open(&map, exact, n)) {
        (void)ledge_flexmap_int(&map, "big", 0);
        (void)ledge_flexmap_float(&map, "f", 0);
    }
    free(exact);
}

static void damaged_bytes_do_no_harm(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof sample; n++) {
        look(sample, n);
        look(sample + n, sizeof sample - n);
    }
    for (size_t bit = 0; bit < 8 * sizeof sample; bit++) {
        uint8_t bytes[sizeof sample];
        memcpy(bytes, sample, sizeof sample);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        look(bytes, sizeof sample);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_found_by_name),
        cmocka_unit_test(damaged_bytes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
