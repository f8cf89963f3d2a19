/* SPDX-License-Identifier: Apache-2.0 */
/* image.h -- pictures: JPEG (libjpeg-turbo), PNG (libpng), BMP, PGM and PPM (own readers) to and
 * from 8-bit grey or RGB.
 *
 * Flow:    file or HTTP body -> [image.h] -> data/preprocess.h -> input tensor
 * Bytes are hostile: sizes are bounded before memory is asked for, and no library prints or exits.
 * Threads: any. Memory: a picture OWNS its pixels: sys_image_done().
 */
#ifndef SYS_IMAGE_H
#define SYS_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "ledge/error.h"

enum {
    SYS_IMAGE_MAX_SIDE = 16384,
    SYS_IMAGE_MAX_PIXELS = 40 * 1000 * 1000,
    SYS_IMAGE_MAX_FILE = 64 * 1024 * 1024,
};

/* Rows from the top, no gaps: pixel (x, y) channel c is pixels[(y * width + x) * channels + c]. */
struct sys_image {
    uint8_t *pixels;
    int32_t width;
    int32_t height;
    int32_t channels; /* 1 grey, 3 red green blue */
};

/* Decode bytes; the format is told by the first bytes.
 *   channels  1 or 3 to convert to, 0 to keep what the file has
 *   image     FILLED; OWNED: sys_image_done()
 * Alpha is dropped, 16-bit samples are cut to 8, EXIF orientation is not applied, CMYK is refused.
 * Grey of a colour is (77 red + 150 green + 29 blue + 128) / 256 (ITU-R BT.601 weights).
 * Errors: ERR_FORMAT, ERR_UNSUPPORTED, ERR_RANGE (too large), ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status sys_image_decode(const void *bytes, size_t size, int32_t channels,
                                                   struct sys_image *image,
                                                   struct ledge_error *err);

/* The same from a file. Errors: also ERR_IO, ERR_NOT_FOUND; err names the path. */
LEDGE_NODISCARD enum ledge_status sys_image_load(const char *path, int32_t channels,
                                                 struct sys_image *image, struct ledge_error *err);

/* A picture with undefined pixels. Errors: ERR_RANGE, ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status sys_image_create(int32_t width, int32_t height, int32_t channels,
                                                   struct sys_image *image,
                                                   struct ledge_error *err);

/* Change grey to RGB or back. Errors: ERR_NOMEM, ERR_ARG. */
LEDGE_NODISCARD enum ledge_status sys_image_convert(struct sys_image *image, int32_t channels,
                                                    struct ledge_error *err);

/* Append the picture as a JPEG (quality 1..100) or PNG file. Errors: ERR_FULL (out reached its
 * maximum), ERR_NOMEM, ERR_ARG. */
LEDGE_NODISCARD enum ledge_status sys_image_encode_jpeg(const struct sys_image *image,
                                                        int32_t quality, struct ledge_buf *out,
                                                        struct ledge_error *err);
LEDGE_NODISCARD enum ledge_status
sys_image_encode_png(const struct sys_image *image, struct ledge_buf *out, struct ledge_error *err);

/* Release the pixels; a zeroed picture is allowed. */
void sys_image_done(struct sys_image *image);

#endif
