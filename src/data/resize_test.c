/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "data/resize.h"

static struct sys_image picture(int32_t width, int32_t height, int32_t channels)
{
    struct sys_image image;
    assert_int_equal(sys_image_create(width, height, channels, &image, NULL), LEDGE_OK);
    for (int32_t i = 0; i < width * height * channels; i++) {
        image.pixels[i] = (uint8_t)(i * 37 + i / 11);
    }
    return image;
}

static void same_size_is_the_same_picture(void **state)
{
    (void)state;
    struct sys_image image = picture(13, 9, 3);
    struct sys_image out;
    struct data_box box = {2, 1, 8, 7};
    assert_int_equal(data_resize(&image, &box, 8, 7, &out, NULL), LEDGE_OK);
    for (int32_t y = 0; y < 7; y++) {
        assert_memory_equal(out.pixels + y * 24, image.pixels + ((y + 1) * 13 + 2) * 3, 24);
    }
    sys_image_done(&out);
    sys_image_done(&image);
}

static void shrinking_averages(void **state)
{
    (void)state;
    struct sys_image image = picture(6, 1, 1);
    memcpy(image.pixels, (const uint8_t[]){0, 0, 0, 240, 240, 240}, 6);
    struct sys_image out;
    struct data_box box = {0, 0, 6, 1};
    assert_int_equal(data_resize(&image, &box, 2, 1, &out, NULL), LEDGE_OK);
    /* Weights 1 - |j + 0.5 - 1.5| / 3 of samples 0..4: 2/3 1 2/3 1/3 0; 240 counts 1/8. */
    assert_int_equal(out.pixels[0], 30);
    assert_int_equal(out.pixels[1], 210);
    sys_image_done(&out);
    sys_image_done(&image);
}

static void enlarging_interpolates(void **state)
{
    (void)state;
    struct sys_image image = picture(2, 1, 1);
    memcpy(image.pixels, (const uint8_t[]){0, 200}, 2);
    struct sys_image out;
    struct data_box box = {0, 0, 2, 1};
    assert_int_equal(data_resize(&image, &box, 4, 2, &out, NULL), LEDGE_OK);
    const uint8_t want[] = {0, 50, 150, 200, 0, 50, 150, 200};
    assert_memory_equal(out.pixels, want, sizeof want);
    sys_image_done(&out);
    sys_image_done(&image);
}

/* Constant pictures stay constant: the integer weights sum to one exactly. */
static void constants_stay(void **state)
{
    (void)state;
    struct sys_image image = picture(101, 67, 1);
    memset(image.pixels, 255, 101 * 67);
    for (int32_t side = 1; side < 160; side += 7) {
        struct sys_image out;
        struct data_box box = {0.3, 0.7, 99.1, 65.9};
        assert_int_equal(data_resize(&image, &box, side, side, &out, NULL), LEDGE_OK);
        for (int32_t i = 0; i < side * side; i++) {
            assert_int_equal(out.pixels[i], 255);
        }
        sys_image_done(&out);
    }
    struct sys_image out;
    struct data_box outside = {50, 0, 60, 10};
    assert_int_equal(data_resize(&image, &outside, 4, 4, &out, NULL), LEDGE_ERR_ARG);
    sys_image_done(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_size_is_the_same_picture),
        cmocka_unit_test(shrinking_averages),
        cmocka_unit_test(enlarging_interpolates),
        cmocka_unit_test(constants_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
