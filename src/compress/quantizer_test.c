/* SPDX-License-Identifier: Apache-2.0 */
/* Every expected number here was worked out by hand; the working stands beside it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>

#include "compress/quantizer.h"

static struct compress_affine u8_of(double low, double high)
{
    return compress_affine_of((struct compress_range){low, high}, 0, 255);
}

static void affine_by_hand(void **state)
{
    (void)state;
    /* -1..4 in 255 steps: scale 5/255, zero point 51. */
    struct compress_affine a = u8_of(-1, 4);
    assert_true(a.scale == (float)(5.0 / 255));
    assert_int_equal(a.zero_point, 51);
    assert_int_equal(compress_quantize(0, &a), 51);
    assert_int_equal(compress_quantize(4, &a), 255);
    assert_int_equal(compress_quantize(100, &a), 255);
    assert_int_equal(compress_quantize(-100, &a), 0);
    assert_true(compress_dequantize(51, &a) == 0);
    /* the same in int8 */
    struct compress_affine s = compress_affine_of((struct compress_range){-1, 4}, -128, 127);
    assert_int_equal(s.zero_point, 51 - 128);
}

static void range_is_widened_to_hold_zero(void **state)
{
    (void)state;
    struct compress_affine a = u8_of(2, 4); /* becomes 0..4 */
    assert_int_equal(a.zero_point, 0);
    assert_true(a.scale == (float)(4.0 / 255));
    struct compress_affine b = u8_of(-4, -2); /* becomes -4..0 */
    assert_int_equal(b.zero_point, 255);
}

static void dead_tensor_has_scale_one(void **state)
{
    (void)state;
    struct compress_affine a = u8_of(0, 0);
    assert_true(a.scale == 1.0f);
    assert_int_equal(a.zero_point, 0);
    struct compress_affine tiny = u8_of(0, 1e-40);
    assert_true(tiny.scale == 1.0f);
    assert_true(compress_affine_symmetric(0).scale == 1.0f);
    assert_true(compress_affine_symmetric(1e-40).scale == 1.0f);
    assert_true(compress_affine_symmetric(127).scale == 1.0f);
}

static void rounds_half_to_even(void **state)
{
    (void)state;
    struct compress_affine a = {.scale = 1, .zero_point = 0, .q_low = -128, .q_high = 127};
    const float x[] = {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 0.49999997f};
    const int32_t wanted[] = {0, 2, 2, 0, -2, 0};
    for (int i = 0; i < 6; i++) {
        assert_int_equal(compress_quantize(x[i], &a), wanted[i]);
    }
    /* the zero point is added after rounding: 0.5 stays at it */
    a.zero_point = 3;
    assert_int_equal(compress_quantize(0.5f, &a), 3);
    assert_int_equal(compress_quantize(FLT_MAX, &a), 127);
    assert_int_equal(compress_quantize(-FLT_MAX, &a), -128);
}

static void slices_along_every_axis(void **state)
{
    (void)state;
    /* 2 x 3: rows 1 2 3 / 4 5 -6 */
    const float w[] = {1, 2, 3, 4, 5, -6};
    const int64_t dims[] = {2, 3};
    size_t offset = 9;
    struct compress_slice row = compress_slice_of(dims, 2, 0, 1, &offset);
    assert_int_equal(offset, 3);
    assert_int_equal(row.count, 3);
    assert_true(compress_slice_max_abs(w + offset, &row) == 6);
    struct compress_slice column = compress_slice_of(dims, 2, 1, 1, &offset);
    assert_int_equal(offset, 1);
    assert_int_equal(column.count, 2);
    assert_true(compress_slice_max_abs(w + offset, &column) == 5);
    int8_t q[6] = {0};
    struct compress_affine affine = compress_affine_symmetric(5); /* scale 5/127 */
    compress_slice_quantize(w + offset, &column, &affine, q + offset);
    const int8_t wanted[6] = {0, 51, 0, 0, 127, 0}; /* 2 * 127 / 5 = 50.8 */
    assert_memory_equal(q, wanted, 6);
}

static void symmetric_weights_never_use_minus_128(void **state)
{
    (void)state;
    struct compress_affine affine = compress_affine_symmetric(1);
    assert_int_equal(compress_quantize(-1, &affine), -127);
    assert_int_equal(compress_quantize(-2, &affine), -127);
}

static void bias_raises_the_weight_scale_when_it_would_overflow(void **state)
{
    (void)state;
    struct compress_affine fits = {.scale = 0.5f, .q_low = -127, .q_high = 127};
    assert_false(compress_fit_bias(1000, 0.25f, &fits));
    assert_int_equal(compress_quantize_bias(1000, 0.25f, 0.5f), 8000);
    /* a tiny weight scale with an ordinary bias: 10 / (1e-3 * 1e-9) = 1e13 > 2^31 */
    struct compress_affine tiny = {.scale = 1e-9f, .q_low = -127, .q_high = 127};
    assert_true(compress_fit_bias(-10, 1e-3f, &tiny));
    int32_t q = compress_quantize_bias(-10, 1e-3f, tiny.scale);
    assert_true(q < -2147000000 && q >= -2147483647);
    assert_true(fabs((double)q * 1e-3f * (double)tiny.scale + 10) < 1e-6);
}

static void range_of_a_quantiser(void **state)
{
    (void)state;
    struct compress_affine a = {.scale = 0.5f, .zero_point = 10, .q_low = 0, .q_high = 255};
    struct compress_range range = compress_affine_range(&a);
    assert_true(range.low == -5 && range.high == 122.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(affine_by_hand),
        cmocka_unit_test(range_is_widened_to_hold_zero),
        cmocka_unit_test(dead_tensor_has_scale_one),
        cmocka_unit_test(rounds_half_to_even),
        cmocka_unit_test(slices_along_every_axis),
        cmocka_unit_test(symmetric_weights_never_use_minus_128),
        cmocka_unit_test(bias_raises_the_weight_scale_when_it_would_overflow),
        cmocka_unit_test(range_of_a_quantiser),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
