/* SPDX-License-Identifier: Apache-2.0 */
/* image_png.c -- PNG by libpng. Samples are taken as they stand (no gamma or colour profile is
 * applied), as every training tool does. The library reports errors by longjmp; what must survive
 * one stands in struct reading. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

#include "base/reader.h"
#include "base/status.h"
#include "sys/image_codec.h"

struct reading {
    png_structp png;
    png_infop info;
    struct ledge_reader bytes;
    struct sys_image image;
    png_bytep *rows;
    char text[128];
};

bool sys_image_is_png(const uint8_t *bytes, size_t size)
{
    return size >= 8 && png_sig_cmp(bytes, 0, 8) == 0;
}

static void on_error(png_structp png, png_const_charp message)
{
    struct reading *reading = png_get_error_ptr(png);
    (void)snprintf(reading->text, sizeof reading->text, "%s", message);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static void on_read(png_structp png, png_bytep to, size_t n)
{
    struct reading *reading = png_get_io_ptr(png);
    const uint8_t *from = ledge_reader_take(&reading->bytes, n);
    if (from == NULL) {
        png_error(png, "file ends too early");
    }
    memcpy(to, from, n);
}

/* Ask for 8-bit grey or RGB without alpha, whatever the file holds. */
static void set_transforms(struct reading *reading)
{
    png_set_expand(reading->png);
    png_set_strip_16(reading->png);
    png_set_strip_alpha(reading->png);
    (void)png_set_interlace_handling(reading->png);
    png_read_update_info(reading->png, reading->info);
}

static enum ledge_status read_rows(struct reading *reading, struct ledge_error *err)
{
    int32_t channels = png_get_channels(reading->png, reading->info);
    size_t height = png_get_image_height(reading->png, reading->info);
    LEDGE_TRY(sys_image_create((int32_t)png_get_image_width(reading->png, reading->info),
                               (int32_t)height, channels, &reading->image, err));
    size_t pitch = (size_t)reading->image.width * (size_t)channels;
    reading->rows = calloc(height, sizeof *reading->rows);
    if (reading->rows == NULL || png_get_rowbytes(reading->png, reading->info) != pitch) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "PNG: no memory");
    }
    for (size_t y = 0; y < height; y++) {
        reading->rows[y] = reading->image.pixels + y * pitch;
    }
    png_read_image(reading->png, reading->rows);
    png_read_end(reading->png, NULL);
    return LEDGE_OK;
}

static enum ledge_status read_picture(struct reading *reading, struct ledge_error *err)
{
    if (setjmp(png_jmpbuf(reading->png)) != 0) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "PNG: %s", reading->text);
    }
    png_set_user_limits(reading->png, SYS_IMAGE_MAX_SIDE, SYS_IMAGE_MAX_SIDE);
    png_set_read_fn(reading->png, reading, on_read);
    png_read_info(reading->png, reading->info);
    set_transforms(reading);
    return read_rows(reading, err);
}

enum ledge_status sys_image_decode_png(const uint8_t *bytes, size_t size, struct sys_image *image,
                                       struct ledge_error *err)
{
    struct reading reading = {.bytes = ledge_reader_make(bytes, size)};
    enum ledge_status status = LEDGE_ERR_NOMEM;
    reading.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reading, on_error, on_warning);
    if (reading.png != NULL) {
        reading.info = png_create_info_struct(reading.png);
    }
    if (reading.info != NULL) {
        status = read_picture(&reading, err);
    } else {
        (void)ledge_fail(err, LEDGE_ERR_NOMEM, "PNG: no memory");
    }
    png_destroy_read_struct(&reading.png, &reading.info, NULL);
    free(reading.rows);
    if (status != LEDGE_OK) {
        sys_image_done(&reading.image);
        return status;
    }
    *image = reading.image;
    return LEDGE_OK;
}

enum ledge_status sys_image_encode_png(const struct sys_image *image, struct ledge_buf *out,
                                       struct ledge_error *err)
{
    png_image png = {.version = PNG_IMAGE_VERSION,
                     .width = (png_uint_32)image->width,
                     .height = (png_uint_32)image->height,
                     .format = image->channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB};
    png_alloc_size_t bytes = PNG_IMAGE_PNG_SIZE_MAX(png);
    void *file = malloc(bytes);
    if (file == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "PNG: no memory");
    }
    enum ledge_status status = LEDGE_OK;
    if (png_image_write_to_memory(&png, file, &bytes, 0, image->pixels, 0, NULL) == 0) {
        status = ledge_fail(err, LEDGE_ERR_NOMEM, "PNG: %s", png.message);
    } else if (!ledge_buf_add(out, file, bytes)) {
        status = ledge_fail(err, LEDGE_ERR_FULL, "PNG: larger than %zu bytes", out->max);
    }
    png_image_free(&png);
    free(file);
    return status;
}
