/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "sys/image.h"

/* A smooth picture, so that JPEG keeps it within a few units. */
static struct sys_image ramp(int32_t width, int32_t height, int32_t channels)
{
    struct sys_image image;
    assert_int_equal(sys_image_create(width, height, channels, &image, NULL), LEDGE_OK);
    for (int32_t i = 0; i < width * height; i++) {
        for (int32_t c = 0; c < channels; c++) {
            int32_t x = i % width;
            int32_t y = i / width;
            image.pixels[i * channels + c] = (uint8_t)(20 + 4 * x + 2 * y + 10 * c);
        }
    }
    return image;
}

static void png_is_lossless(void **state)
{
    (void)state;
    for (int32_t channels = 1; channels <= 3; channels += 2) {
        struct sys_image image = ramp(31, 17, channels);
        struct ledge_buf file = LEDGE_BUF_INIT(1 << 20);
        assert_int_equal(sys_image_encode_png(&image, &file, NULL), LEDGE_OK);
        struct sys_image back;
        assert_int_equal(sys_image_decode(file.data, file.len, 0, &back, NULL), LEDGE_OK);
        assert_int_equal(back.width, 31);
        assert_int_equal(back.height, 17);
        assert_int_equal(back.channels, channels);
        assert_memory_equal(back.pixels, image.pixels, (size_t)(31 * 17 * channels));
        sys_image_done(&back);
        sys_image_done(&image);
        ledge_buf_done(&file);
    }
}

static void jpeg_is_close(void **state)
{
    (void)state;
    for (int32_t channels = 1; channels <= 3; channels += 2) {
        struct sys_image image = ramp(32, 24, channels);
        struct ledge_buf file = LEDGE_BUF_INIT(1 << 20);
        assert_int_equal(sys_image_encode_jpeg(&image, 95, &file, NULL), LEDGE_OK);
        struct sys_image back;
        assert_int_equal(sys_image_decode(file.data, file.len, 0, &back, NULL), LEDGE_OK);
        assert_int_equal(back.channels, channels);
        for (int32_t i = 0; i < 32 * 24 * channels; i++) {
            assert_true(abs(back.pixels[i] - image.pixels[i]) <= 8);
        }
        sys_image_done(&back);
        sys_image_done(&image);
        ledge_buf_done(&file);
    }
}

static void encoding_stops_at_the_maximum(void **state)
{
    (void)state;
    struct sys_image image = ramp(32, 24, 3);
    struct ledge_buf file = LEDGE_BUF_INIT(64);
    assert_int_equal(sys_image_encode_jpeg(&image, 95, &file, NULL), LEDGE_ERR_FULL);
    ledge_buf_done(&file);
    file = LEDGE_BUF_INIT(64);
    assert_int_equal(sys_image_encode_png(&image, &file, NULL), LEDGE_ERR_FULL);
    assert_int_equal(sys_image_encode_jpeg(&image, 0, &file, NULL), LEDGE_ERR_ARG);
    ledge_buf_done(&file);
    sys_image_done(&image);
}

static void put32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

/* A 3 x 2 bitmap. Returns its size. */
static size_t make_bmp(uint8_t *file, int32_t height, uint16_t bits, uint32_t colours)
{
    memset(file, 0, 2048);
    file[0] = 'B';
    file[1] = 'M';
    size_t row = (3u * bits + 31) / 32 * 4;
    uint32_t pixels_at = 54 + 4 * colours;
    put32(file + 10, pixels_at);
    put32(file + 14, 40);
    put32(file + 18, 3);
    put32(file + 22, (uint32_t)height);
    file[26] = 1;
    file[28] = (uint8_t)bits;
    put32(file + 46, colours);
    for (uint32_t i = 0; i < colours; i++) {
        put32(file + 54 + 4 * i, 0x010101u * i);
    }
    for (size_t i = 0; i < 2 * row; i++) {
        file[pixels_at + i] = (uint8_t)(i + 1);
    }
    return pixels_at + 2 * row;
}

static void bmp_rows_and_colours(void **state)
{
    (void)state;
    uint8_t file[2048];
    struct sys_image image;
    size_t size = make_bmp(file, 2, 24, 0);
    assert_int_equal(sys_image_decode(file, size, 0, &image, NULL), LEDGE_OK);
    assert_int_equal(image.channels, 3);
    const uint8_t up[] = {15, 14, 13, 18, 17, 16, 21, 20, 19, 3, 2, 1, 6, 5, 4, 9, 8, 7};
    assert_memory_equal(image.pixels, up, sizeof up);
    sys_image_done(&image);
    size = make_bmp(file, -2, 8, 16);
    assert_int_equal(sys_image_decode(file, size, 0, &image, NULL), LEDGE_OK);
    assert_int_equal(image.channels, 1);
    const uint8_t down[] = {1, 2, 3, 5, 6, 7};
    assert_memory_equal(image.pixels, down, sizeof down);
    sys_image_done(&image);
    size = make_bmp(file, 2, 8, 4); /* indices 5..7 are outside a palette of 4 */
    assert_int_equal(sys_image_decode(file, size, 0, &image, NULL), LEDGE_ERR_FORMAT);
    size = make_bmp(file, 2, 16, 0);
    assert_int_equal(sys_image_decode(file, size, 0, &image, NULL), LEDGE_ERR_UNSUPPORTED);
}

/* Every truncation of every format fails with an error and no leak. */
static enum ledge_status decode_text(const char *text, size_t n, struct sys_image *image)
{
    return sys_image_decode(text, n, 0, image, NULL);
}

static void pnm_and_what_is_not_read(void **state)
{
    (void)state;
    struct sys_image image;
    static const char grey[] = "P5\n# a comment\n2 1 255\nab", colour[] = "P6 1 2\n#x\n255 abcdef";
    assert_int_equal(decode_text(grey, sizeof grey - 1, &image), LEDGE_OK);
    assert_true(image.width == 2 && image.height == 1 && image.channels == 1);
    assert_memory_equal(image.pixels, "ab", 2);
    sys_image_done(&image);
    assert_int_equal(decode_text(colour, sizeof colour - 1, &image), LEDGE_OK);
    assert_true(image.width == 1 && image.height == 2 && image.channels == 3);
    assert_memory_equal(image.pixels, "abcdef", 6);
    sys_image_done(&image);
    for (size_t n = 0; n < sizeof colour - 1; n++) {
        assert_int_not_equal(decode_text(colour, n, &image), LEDGE_OK);
    }
    static const char *const bad[] = {"P5 -1 1 255 a", "P5 99999 99999 255 a",
                                      "P5 123456789 1 255 a", "P5 1 1 65535 ab", "P5 1 1 255a"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_not_equal(decode_text(bad[i], strlen(bad[i]), &image), LEDGE_OK);
    }
    assert_int_equal(decode_text("II*\0aaaaaaaaaaaa", 16, &image), LEDGE_ERR_UNSUPPORTED);
    assert_int_equal(decode_text("RIFFaaaaWEBPVP8 ", 16, &image), LEDGE_ERR_UNSUPPORTED);
}

static void truncations_are_refused(void **state)
{
    (void)state;
    struct sys_image image = ramp(9, 7, 3);
    struct ledge_buf files[2] = {LEDGE_BUF_INIT(1 << 20), LEDGE_BUF_INIT(1 << 20)};
    assert_int_equal(sys_image_encode_jpeg(&image, 90, &files[0], NULL), LEDGE_OK);
    assert_int_equal(sys_image_encode_png(&image, &files[1], NULL), LEDGE_OK);
    sys_image_done(&image);
    for (int f = 0; f < 2; f++) {
        for (size_t n = 0; n + 2 < files[f].len; n++) {
            uint8_t *cut = malloc(n + 1);
            assert_non_null(cut);
            memcpy(cut, files[f].data, n);
            struct ledge_error err = {0};
            assert_int_not_equal(sys_image_decode(cut, n, 3, &image, &err), LEDGE_OK);
            assert_true(err.text[0] != '\0');
            free(cut);
        }
        ledge_buf_done(&files[f]);
    }
    uint8_t file[2048];
    size_t size = make_bmp(file, 2, 24, 0);
    for (size_t n = 0; n < size; n++) {
        assert_int_not_equal(sys_image_decode(file, n, 3, &image, NULL), LEDGE_OK);
    }
}

static void grey_and_back(void **state)
{
    (void)state;
    struct sys_image image;
    assert_int_equal(sys_image_create(2, 1, 3, &image, NULL), LEDGE_OK);
    memcpy(image.pixels, (const uint8_t[]){255, 255, 255, 200, 100, 50}, 6);
    assert_int_equal(sys_image_convert(&image, 1, NULL), LEDGE_OK);
    assert_int_equal(image.pixels[0], 255);
    assert_int_equal(image.pixels[1], (77 * 200 + 150 * 100 + 29 * 50 + 128) / 256);
    assert_int_equal(sys_image_convert(&image, 3, NULL), LEDGE_OK);
    assert_int_equal(image.pixels[5], image.pixels[3]);
    assert_int_equal(sys_image_convert(&image, 2, NULL), LEDGE_ERR_ARG);
    sys_image_done(&image);
    assert_int_equal(sys_image_create(20000, 1, 1, &image, NULL), LEDGE_ERR_RANGE);
    assert_int_equal(sys_image_load("/nonexistent/x.png", 1, &image, NULL), LEDGE_ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(png_is_lossless),
        cmocka_unit_test(jpeg_is_close),
        cmocka_unit_test(encoding_stops_at_the_maximum),
        cmocka_unit_test(bmp_rows_and_colours),
        cmocka_unit_test(pnm_and_what_is_not_read),
        cmocka_unit_test(truncations_are_refused),
        cmocka_unit_test(grey_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
