/* SPDX-License-Identifier: Apache-2.0 */
/* image_pnm.c -- binary PGM and PPM: "P5" or "P6", width, height, greatest sample (255) as decimal
 * numbers between blanks and # comments, one blank, rows from the top.
 * Source: Netpbm, pgm(5) and ppm(5). */
#include <string.h>

#include "base/reader.h"
#include "base/status.h"
#include "sys/image_codec.h"

bool sys_image_is_pnm(const uint8_t *bytes, size_t size)
{
    return size >= 3 && bytes[0] == 'P' && (bytes[1] == '5' || bytes[1] == '6') &&
           strchr(" \t\r\n#", bytes[2]) != NULL && bytes[2] != '\0';
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next number and the one byte behind it; -1: there is none, or a greater one than 99,999. */
static int32_t next_number(struct ledge_reader *r)
{
    uint8_t c = ledge_reader_u8(r);
    while (!r->failed && (is_blank(c) || c == '#')) {
        while (!r->failed && c == '#') {
            do {
                c = ledge_reader_u8(r);
            } while (!r->failed && c != '\n');
        }
        c = r->failed ? 0 : ledge_reader_u8(r);
    }
    int32_t number = c >= '0' && c <= '9' ? 0 : -1;
    while (!r->failed && c >= '0' && c <= '9' && number < 10000) {
        number = number * 10 + (c - '0');
        c = ledge_reader_u8(r);
    }
    return r->failed || !is_blank(c) ? -1 : number;
}

enum ledge_status sys_image_decode_pnm(const uint8_t *bytes, size_t size, struct sys_image *image,
                                       struct ledge_error *err)
{
    struct ledge_reader r = ledge_reader_make(bytes, size);
    ledge_reader_seek(&r, 2);
    int32_t width = next_number(&r), height = next_number(&r), most = next_number(&r);
    if (width < 0 || height < 0 || most < 0) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "PNM: bad header");
    }
    if (most != 255) {
        return ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "PNM: samples up to %d, not 255", (int)most);
    }
    struct sys_image made;
    LEDGE_TRY(sys_image_create(width, height, bytes[1] == '5' ? 1 : 3, &made, err));
    size_t total = (size_t)width * (size_t)height * (size_t)made.channels;
    const uint8_t *rows = ledge_reader_take(&r, total);
    if (rows == NULL) {
        sys_image_done(&made);
        return ledge_fail(err, LEDGE_ERR_FORMAT, "PNM: file ends before the last row");
    }
    memcpy(made.pixels, rows, total);
    *image = made;
    return LEDGE_OK;
}
