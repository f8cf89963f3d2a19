/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "data/preprocess.h"

static struct data_preprocess start(void)
{
    return (struct data_preprocess){
        .width = 4, .height = 2, .channels = 3, .layout = DATA_NHWC, .crop = 1, .std = {1, 1, 1}};
}

static void json_goes_round(void **state)
{
    (void)state;
    struct data_preprocess p = start();
    const char *json = "{\"width\":64,\"height\":48,\"channels\":3,\"layout\":\"nchw\",\"fit\":"
                       "\"crop\",\"crop\":0.875,\"mean\":[0.1,0.2,0.3],\"std\":[0.5],\"x\":1}";
    assert_int_equal(data_preprocess_parse(json, &p, NULL), LEDGE_OK);
    assert_int_equal(p.width, 64);
    assert_int_equal(p.layout, DATA_NCHW);
    assert_int_equal(p.fit, DATA_FIT_CROP);
    assert_true(p.mean[2] == 0.3 && p.std[1] == 0.5);
    char text[DATA_PREPROCESS_JSON];
    data_preprocess_text(&p, text);
    struct data_preprocess q = start();
    assert_int_equal(data_preprocess_parse(text, &q, NULL), LEDGE_OK);
    assert_memory_equal(&p, &q, sizeof p);
}

static void bad_json_names_the_key(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"[]", "object"},
        {"{", "object"},
        {"{\"width\":0}", "width"},
        {"{\"crop\":0}", "crop"},
        {"{\"std\":[1,0,1]}", "std"},
        {"{\"fit\":\"x\"}", "fit"},
        {"{\"channels\":2}", "channels"},
        {"{\"mean\":[1,2]}", "mean"},
        {"{\"mean\":\"x\"}", "mean"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct data_preprocess p = start();
        struct data_preprocess before = p;
        struct ledge_error err = {0};
        assert_int_equal(data_preprocess_parse(bad[i][0], &p, &err), LEDGE_ERR_FORMAT);
        assert_non_null(strstr(err.text, bad[i][1]));
        assert_memory_equal(&p, &before, sizeof p);
    }
}

static void guesses_follow_the_shape(void **state)
{
    (void)state;
    struct data_preprocess p;
    struct ledge_tensor_info nhwc = {.name = "x",
                                     .dtype = LEDGE_I8,
                                     .rank = 4,
                                     .dims = {1, 8, 6, 1},
                                     .scale = 0.5f,
                                     .zero_point = -20};
    assert_int_equal(data_preprocess_guess(&nhwc, &p, NULL), LEDGE_OK);
    assert_int_equal(p.width, 6);
    assert_int_equal(p.height, 8);
    assert_int_equal(p.channels, 1);
    assert_int_equal(p.layout, DATA_NHWC);
    uint8_t pixels[48] = {0, 1, 127, 128, 254, 255};
    int8_t item[48];
    struct ledge_tensor input = {.dtype = LEDGE_I8, .scale = 0.5f, .zero_point = -20};
    data_preprocess_fill(&p, pixels, &input, item);
    const int8_t want[6] = {-128, -127, -1, 0, 126, 127};
    assert_memory_equal(item, want, 6);
    p.raw = true;
    pixels[0] = 200;
    data_preprocess_fill(&p, pixels, &input, item);
    assert_int_equal(item[0], -56);
    struct ledge_tensor_info nchw = {
        .name = "x", .dtype = LEDGE_F32, .rank = 4, .dims = {-1, 3, 8, 6}};
    assert_int_equal(data_preprocess_guess(&nchw, &p, NULL), LEDGE_OK);
    assert_int_equal(p.layout, DATA_NCHW);
    assert_int_equal(p.channels, 3);
    nchw.dims[1] = 4;
    assert_int_equal(data_preprocess_guess(&nchw, &p, NULL), LEDGE_ERR_SHAPE);
    nchw.dtype = LEDGE_I64;
    assert_int_equal(data_preprocess_guess(&nchw, &p, NULL), LEDGE_ERR_DTYPE);
}

static void layouts_and_normalisation(void **state)
{
    (void)state;
    struct data_preprocess p = {.width = 2,
                                .height = 1,
                                .channels = 3,
                                .layout = DATA_NCHW,
                                .crop = 1,
                                .mean = {0, 0.5, 1},
                                .std = {1, 0.5, 2}};
    struct sys_image image;
    assert_int_equal(sys_image_create(2, 1, 3, &image, NULL), LEDGE_OK);
    memcpy(image.pixels, (const uint8_t[]){0, 0, 0, 255, 255, 255}, 6);
    struct ledge_tensor input = {.dtype = LEDGE_F32, .rank = 4, .dims = {1, 3, 1, 2}};
    assert_int_equal(data_preprocess_check(&p, &input, NULL), LEDGE_OK);
    float item[6];
    assert_int_equal(data_preprocess_run(&p, &image, &input, item, NULL), LEDGE_OK);
    const float nchw[6] = {0, 1, -1, 1, -0.5f, 0};
    assert_memory_equal(item, nchw, sizeof nchw);
    p.layout = DATA_NHWC;
    assert_int_equal(data_preprocess_check(&p, &input, NULL), LEDGE_ERR_SHAPE);
    data_preprocess_fill(&p, image.pixels, &input, item);
    const float nhwc[6] = {0, -1, -0.5f, 1, 1, 0};
    assert_memory_equal(item, nhwc, sizeof nhwc);
    sys_image_done(&image);
}

/* fit crop cuts the sides off, so that the left and right thirds of this picture vanish. */
static void crop_keeps_the_aspect_ratio(void **state)
{
    (void)state;
    struct sys_image image;
    assert_int_equal(sys_image_create(30, 10, 1, &image, NULL), LEDGE_OK);
    for (int32_t i = 0; i < 300; i++) {
        image.pixels[i] = i % 30 >= 10 && i % 30 < 20 ? 200 : 0;
    }
    struct data_preprocess p = {.width = 10,
                                .height = 10,
                                .channels = 1,
                                .layout = DATA_NHWC,
                                .fit = DATA_FIT_CROP,
                                .crop = 1,
                                .std = {1, 1, 1}};
    struct sys_image out;
    assert_int_equal(data_preprocess_resize(&p, &image, &out, NULL), LEDGE_OK);
    for (int32_t i = 0; i < 100; i++) {
        assert_int_equal(out.pixels[i], 200);
    }
    sys_image_done(&out);
    p.fit = DATA_FIT_STRETCH;
    assert_int_equal(data_preprocess_resize(&p, &image, &out, NULL), LEDGE_OK);
    assert_int_equal(out.pixels[0], 0);
    assert_int_equal(out.pixels[5], 200);
    sys_image_done(&out);
    sys_image_done(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_goes_round),
        cmocka_unit_test(bad_json_names_the_key),
        cmocka_unit_test(guesses_follow_the_shape),
        cmocka_unit_test(layouts_and_normalisation),
        cmocka_unit_test(crop_keeps_the_aspect_ratio),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
