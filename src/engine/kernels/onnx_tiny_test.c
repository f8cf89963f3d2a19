/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_tiny_test.c -- every code of every small float comes back, halves go to the even code,
 * the ends saturate or not as asked. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/kernels/onnx_tiny.h"

static const enum ledge_dtype floats[] = {LEDGE_F8E4M3FN, LEDGE_F8E4M3FNUZ, LEDGE_F8E5M2,
                                          LEDGE_F8E5M2FNUZ, LEDGE_F4E2M1};

static void test_codes_come_back(void **state)
{
    (void)state;
    for (size_t t = 0; t < sizeof floats / sizeof floats[0]; t++) {
        int codes = floats[t] == LEDGE_F4E2M1 ? 16 : 256;
        for (int code = 0; code < codes; code++) {
            double value = ledge_tiny_decode((uint8_t)code, floats[t]);
            uint8_t back = ledge_tiny_encode(value, floats[t], false, LEDGE_ROUND_NEAREST);
            if (isnan(value)) {
                assert_true(isnan(ledge_tiny_decode(back, floats[t])));
            } else {
                assert_int_equal(back, code);
            }
        }
    }
}

/* The middle of two neighbours goes to the even code, a hair above it to the larger one. */
static void test_rounding(void **state)
{
    (void)state;
    for (size_t t = 0; t < sizeof floats / sizeof floats[0]; t++) {
        int last = floats[t] == LEDGE_F4E2M1 ? 7 : 0x7b;
        for (int code = 0; code < last; code++) {
            double low = ledge_tiny_decode((uint8_t)code, floats[t]);
            double high = ledge_tiny_decode((uint8_t)(code + 1), floats[t]);
            double middle = (low + high) / 2;
            assert_int_equal(ledge_tiny_encode(middle, floats[t], true, LEDGE_ROUND_NEAREST),
                             code + (code & 1));
            assert_int_equal(
                ledge_tiny_encode(nextafter(middle, 1e9), floats[t], true, LEDGE_ROUND_NEAREST),
                code + 1);
        }
    }
}

static void test_ends(void **state)
{
    (void)state;
    static const struct {
        enum ledge_dtype dtype;
        bool saturate;
        double in, out;
    } rows[] = {
        {LEDGE_F8E4M3FN, true, 1e6, 448},     {LEDGE_F8E4M3FN, true, -INFINITY, -448},
        {LEDGE_F8E4M3FN, false, 1e6, NAN},    {LEDGE_F8E4M3FNUZ, true, 1e6, 240},
        {LEDGE_F8E4M3FNUZ, false, 1e6, NAN},  {LEDGE_F8E5M2, true, 1e6, 57344},
        {LEDGE_F8E5M2, false, 1e6, INFINITY}, {LEDGE_F8E5M2FNUZ, true, INFINITY, 57344},
        {LEDGE_F4E2M1, false, 1e6, 6},        {LEDGE_F4E2M1, true, -0.1, -0.0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t code =
            ledge_tiny_encode(rows[i].in, rows[i].dtype, rows[i].saturate, LEDGE_ROUND_NEAREST);
        double back = ledge_tiny_decode(code, rows[i].dtype);
        assert_true(isnan(rows[i].out) ? isnan(back) : back == rows[i].out);
    }
}

static void test_exponents(void **state)
{
    (void)state;
    assert_int_equal(ledge_tiny_encode(1.1, LEDGE_F8E8M0, true, LEDGE_ROUND_UP), 128);
    assert_int_equal(ledge_tiny_encode(1.1, LEDGE_F8E8M0, true, LEDGE_ROUND_DOWN), 127);
    assert_int_equal(ledge_tiny_encode(1.5, LEDGE_F8E8M0, true, LEDGE_ROUND_NEAREST), 128);
    assert_int_equal(ledge_tiny_encode(3e38, LEDGE_F8E8M0, true, LEDGE_ROUND_UP), 254);
    assert_int_equal(ledge_tiny_encode(3e38, LEDGE_F8E8M0, false, LEDGE_ROUND_UP), 255);
    assert_true(ledge_tiny_decode(127, LEDGE_F8E8M0) == 1.0);
    assert_true(isnan(ledge_tiny_decode(255, LEDGE_F8E8M0)));
    assert_int_equal(ledge_tiny_whole(0x1f8, LEDGE_I4), -8);
    assert_int_equal(ledge_tiny_whole(-9, LEDGE_U4), 7);
    assert_int_equal(ledge_tiny_whole(3, LEDGE_I2), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codes_come_back),
        cmocka_unit_test(test_rounding),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_exponents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
