/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/status.h"
#include "sys/image_codec.h"

enum ledge_status sys_image_create(int32_t width, int32_t height, int32_t channels,
                                   struct sys_image *image, struct ledge_error *err)
{
    if (channels != 1 && channels != 3) {
        return ledge_fail(err, LEDGE_ERR_ARG, "picture: %d channels, 1 or 3 are possible",
                          (int)channels);
    }
    if (width <= 0 || height <= 0) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "picture: size %dx%d", (int)width, (int)height);
    }
    if (width > SYS_IMAGE_MAX_SIDE || height > SYS_IMAGE_MAX_SIDE ||
        (int64_t)width * height > SYS_IMAGE_MAX_PIXELS) {
        return ledge_fail(err, LEDGE_ERR_RANGE, "picture: %dx%d is larger than %d pixels",
                          (int)width, (int)height, (int)SYS_IMAGE_MAX_PIXELS);
    }
    uint8_t *pixels = malloc((size_t)width * (size_t)height * (size_t)channels);
    if (pixels == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "picture: no memory for %dx%d", (int)width,
                          (int)height);
    }
    *image = (struct sys_image){pixels, width, height, channels};
    return LEDGE_OK;
}

void sys_image_done(struct sys_image *image)
{
    free(image->pixels);
    *image = (struct sys_image){0};
}

static void to_grey(const uint8_t *from, uint8_t *to, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        to[i] =
            (uint8_t)((77u * from[3 * i] + 150u * from[3 * i + 1] + 29u * from[3 * i + 2] + 128u) >>
                      8);
    }
}

static void to_rgb(const uint8_t *from, uint8_t *to, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        memset(to + 3 * i, from[i], 3);
    }
}

enum ledge_status sys_image_convert(struct sys_image *image, int32_t channels,
                                    struct ledge_error *err)
{
    if (channels == image->channels) {
        return LEDGE_OK;
    }
    struct sys_image other;
    LEDGE_TRY(sys_image_create(image->width, image->height, channels, &other, err));
    size_t n = (size_t)image->width * (size_t)image->height;
    (channels == 1 ? to_grey : to_rgb)(image->pixels, other.pixels, n);
    sys_image_done(image);
    *image = other;
    return LEDGE_OK;
}

/* What the bytes are by their beginning, of what is not read here; NULL: nobody knows. */
static const char *other_format(const uint8_t *bytes, size_t size)
{
    static const struct {
        const char *name, *start;
        uint8_t n, at;
    } formats[] = {
        {"TIFF", "II*\0", 4, 0},        {"TIFF", "MM\0*", 4, 0},
        {"WebP", "WEBP", 4, 8},         {"GIF", "GIF8", 4, 0},
        {"JPEG 2000", "jP  ", 4, 4},    {"JPEG 2000", "\xff\x4f\xff\x51", 4, 0},
        {"AVIF or HEIF", "ftyp", 4, 4},
    };
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        size_t end = (size_t)formats[i].at + formats[i].n;
        if (size >= end && memcmp(bytes + formats[i].at, formats[i].start, formats[i].n) == 0) {
            return formats[i].name;
        }
    }
    return NULL;
}

enum ledge_status sys_image_decode(const void *bytes, size_t size, int32_t channels,
                                   struct sys_image *image, struct ledge_error *err)
{
    struct sys_image decoded = {0};
    if (sys_image_is_jpeg(bytes, size)) {
        LEDGE_TRY(sys_image_decode_jpeg(bytes, size, &decoded, err));
    } else if (sys_image_is_png(bytes, size)) {
        LEDGE_TRY(sys_image_decode_png(bytes, size, &decoded, err));
    } else if (sys_image_is_bmp(bytes, size)) {
        LEDGE_TRY(sys_image_decode_bmp(bytes, size, &decoded, err));
    } else if (sys_image_is_pnm(bytes, size)) {
        LEDGE_TRY(sys_image_decode_pnm(bytes, size, &decoded, err));
    } else {
        const char *name = other_format(bytes, size);
        if (name != NULL) {
            return ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "picture: %s is not read here", name);
        }
        return ledge_fail(err, LEDGE_ERR_FORMAT, "picture: neither JPEG, PNG, BMP, PGM nor PPM");
    }
    if (channels != 0) {
        enum ledge_status status = sys_image_convert(&decoded, channels, err);
        if (status != LEDGE_OK) {
            sys_image_done(&decoded);
            return status;
        }
    }
    *image = decoded;
    return LEDGE_OK;
}

static void close_file(FILE **file)
{
    if (*file != NULL) {
        (void)fclose(*file);
    }
}

/* The whole file into buf, at most buf->max bytes. */
static enum ledge_status read_file(const char *path, struct ledge_buf *buf, struct ledge_error *err)
{
    LEDGE_CLEANUP(close_file) FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return ledge_fail(err, errno == ENOENT ? LEDGE_ERR_NOT_FOUND : LEDGE_ERR_IO, "%s: %s", path,
                          strerror(errno));
    }
    char block[16384];
    for (;;) {
        size_t n = fread(block, 1, sizeof block, file);
        if (n == 0) {
            break;
        }
        if (!ledge_buf_add(buf, block, n)) {
            return ledge_fail(err, LEDGE_ERR_RANGE, "%s: larger than %zu bytes", path, buf->max);
        }
    }
    if (ferror(file) != 0) {
        return ledge_fail(err, LEDGE_ERR_IO, "%s: cannot be read", path);
    }
    return LEDGE_OK;
}

enum ledge_status sys_image_load(const char *path, int32_t channels, struct sys_image *image,
                                 struct ledge_error *err)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf buf = LEDGE_BUF_INIT(SYS_IMAGE_MAX_FILE);
    LEDGE_TRY(read_file(path, &buf, err));
    if (sys_image_decode(buf.data, buf.len, channels, image, err) != LEDGE_OK) {
        return err != NULL ? ledge_fail_at(err, path) : LEDGE_ERR_FORMAT;
    }
    return LEDGE_OK;
}
