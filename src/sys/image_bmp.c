/* SPDX-License-Identifier: Apache-2.0 */
/* image_bmp.c -- Windows bitmaps: 8-bit palette, 24-bit, and 32-bit BGRX; bottom-up or top-down;
 * not compressed.
 *
 *   offset bytes field (little-endian)
 *   0      2     "BM"
 *   10     4     offset of the pixels
 *   14     4     bytes of the info header (n)
 *   18     4     width
 *   22     4     height, negative: rows from the top
 *   28     2     bits per pixel
 *   30     4     compression: 0, or 3 with the usual masks
 *   46     4     colours in the palette, 0: all
 *   14 + n       palette: blue, green, red, 0
 */
#include "base/reader.h"
#include "base/status.h"
#include "sys/image_codec.h"

struct bmp {
    uint32_t pixels_at;
    uint32_t info_bytes;
    int32_t width;
    int32_t height;
    bool top_down;
    uint16_t bits;
    uint32_t compression;
    uint32_t colours;
    const uint8_t *palette; /* colours x 4 */
    bool grey;              /* every palette entry has red == green == blue */
};

bool sys_image_is_bmp(const uint8_t *bytes, size_t size)
{
    return size >= 26 && bytes[0] == 'B' && bytes[1] == 'M';
}

static enum ledge_status read_header(struct ledge_reader *r, struct bmp *bmp,
                                     struct ledge_error *err)
{
    ledge_reader_seek(r, 10);
    bmp->pixels_at = ledge_reader_u32(r);
    bmp->info_bytes = ledge_reader_u32(r);
    int64_t width = (int32_t)ledge_reader_u32(r);
    int64_t height = (int32_t)ledge_reader_u32(r);
    (void)ledge_reader_u16(r); /* planes */
    bmp->bits = ledge_reader_u16(r);
    bmp->compression = ledge_reader_u32(r);
    ledge_reader_seek(r, 46);
    bmp->colours = ledge_reader_u32(r);
    if (r->failed || bmp->info_bytes < 40 || bmp->info_bytes > 1024) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "BMP: bad header");
    }
    bmp->top_down = height < 0;
    height = height < 0 ? -height : height;
    if (width <= 0 || height <= 0 || width > SYS_IMAGE_MAX_SIDE || height > SYS_IMAGE_MAX_SIDE) {
        return ledge_fail(err, LEDGE_ERR_RANGE, "BMP: size %lldx%lld", (long long)width,
                          (long long)height);
    }
    bmp->width = (int32_t)width;
    bmp->height = (int32_t)height;
    bool masks = bmp->compression == 3 && bmp->bits == 32;
    if ((bmp->bits != 8 && bmp->bits != 24 && bmp->bits != 32) ||
        (bmp->compression != 0 && !masks)) {
        return ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "BMP: %u bits with compression %u",
                          (unsigned)bmp->bits, (unsigned)bmp->compression);
    }
    if (masks) {
        ledge_reader_seek(r, 54);
        uint32_t red = ledge_reader_u32(r);
        uint32_t green = ledge_reader_u32(r);
        uint32_t blue = ledge_reader_u32(r);
        if (r->failed || red != 0xff0000 || green != 0xff00 || blue != 0xff) {
            return ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "BMP: unusual colour masks");
        }
    }
    return LEDGE_OK;
}

static enum ledge_status read_palette(struct ledge_reader *r, struct bmp *bmp,
                                      struct ledge_error *err)
{
    if (bmp->bits != 8) {
        return LEDGE_OK;
    }
    if (bmp->colours == 0) {
        bmp->colours = 256;
    }
    ledge_reader_seek(r, (size_t)14 + bmp->info_bytes);
    bmp->palette = bmp->colours <= 256 ? ledge_reader_take(r, (size_t)bmp->colours * 4) : NULL;
    if (bmp->palette == NULL) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "BMP: bad palette of %u colours", bmp->colours);
    }
    bmp->grey = true;
    for (uint32_t i = 0; i < bmp->colours; i++) {
        const uint8_t *entry = bmp->palette + (size_t)4 * i;
        bmp->grey = bmp->grey && entry[0] == entry[1] && entry[1] == entry[2];
    }
    return LEDGE_OK;
}

/* One row of the file to one row of the picture; false when an index is outside the palette. */
static bool convert_row(const struct bmp *bmp, const uint8_t *from, uint8_t *to)
{
    size_t step = bmp->bits / 8u;
    for (int32_t x = 0; x < bmp->width; x++, from += step) {
        const uint8_t *bgr = from;
        if (bmp->bits == 8) {
            if (from[0] >= bmp->colours) {
                return false;
            }
            bgr = bmp->palette + (size_t)4 * from[0];
        }
        if (bmp->grey) {
            *to++ = bgr[0];
        } else {
            *to++ = bgr[2];
            *to++ = bgr[1];
            *to++ = bgr[0];
        }
    }
    return true;
}

enum ledge_status sys_image_decode_bmp(const uint8_t *bytes, size_t size, struct sys_image *image,
                                       struct ledge_error *err)
{
    struct ledge_reader r = ledge_reader_make(bytes, size);
    struct bmp bmp = {0};
    LEDGE_TRY(read_header(&r, &bmp, err));
    LEDGE_TRY(read_palette(&r, &bmp, err));
    size_t row_bytes = ((size_t)bmp.width * bmp.bits + 31) / 32 * 4;
    r = ledge_reader_make(bytes, size);
    ledge_reader_seek(&r, bmp.pixels_at);
    if (r.failed || ledge_reader_left(&r) / row_bytes < (size_t)bmp.height) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "BMP: file ends before the last row");
    }
    struct sys_image made;
    LEDGE_TRY(sys_image_create(bmp.width, bmp.height, bmp.grey ? 1 : 3, &made, err));
    size_t pitch = (size_t)made.width * (size_t)made.channels;
    for (int32_t y = 0; y < bmp.height; y++) {
        const uint8_t *row = ledge_reader_take(&r, row_bytes);
        int32_t at = bmp.top_down ? y : bmp.height - 1 - y;
        if (row == NULL || !convert_row(&bmp, row, made.pixels + (size_t)at * pitch)) {
            sys_image_done(&made);
            return ledge_fail(err, LEDGE_ERR_FORMAT, "BMP: colour outside the palette");
        }
    }
    *image = made;
    return LEDGE_OK;
}
