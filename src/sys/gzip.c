/* SPDX-License-Identifier: Apache-2.0 */
/* gzip.c -- see gzip.h. */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <zlib.h>

#include "base/status.h"
#include "sys/gzip.h"

enum { CHUNK = 64 * 1024 };

enum ledge_status sys_gzip_read(const char *path, struct ledge_buf *buf, struct ledge_error *err)
{
    errno = 0;
    gzFile file = gzopen(path, "rbe");
    if (file == NULL) {
        return ledge_fail(err, errno == ENOENT ? LEDGE_ERR_NOT_FOUND : LEDGE_ERR_IO,
                          "%s: cannot open: %s", path, errno != 0 ? strerror(errno) : "no memory");
    }
    enum ledge_status status = LEDGE_OK;
    for (;;) {
        char bytes[CHUNK];
        int n = gzread(file, bytes, sizeof bytes);
        if (n < 0) {
            int code;
            const char *text = gzerror(file, &code);
            status = ledge_fail(err, code == Z_ERRNO ? LEDGE_ERR_IO : LEDGE_ERR_CORRUPT, "%s: %s",
                                path, text);
        } else if (n > 0 && !ledge_buf_add(buf, bytes, (size_t)n)) {
            status = ledge_fail(err, LEDGE_ERR_RANGE, "%s: unpacks to more than %zu bytes", path,
                                buf->max);
        }
        if (n <= 0 || status != LEDGE_OK) {
            break;
        }
    }
    /* That a stream ends in its middle is told by the close alone. */
    if (gzclose_r(file) != Z_OK && status == LEDGE_OK) {
        status = ledge_fail(err, LEDGE_ERR_CORRUPT, "%s: the gzip stream ends early", path);
    }
    return status;
}

enum ledge_status sys_gzip_unpack(const void *bytes, size_t n, struct ledge_buf *buf,
                                  struct ledge_error *err)
{
    z_stream stream = {.next_in = (z_const Bytef *)(uintptr_t)bytes, .avail_in = (uInt)n};
    if (n > UINT_MAX || inflateInit2(&stream, 15 + 16) != Z_OK) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "gzip: out of memory");
    }
    enum ledge_status status = LEDGE_OK;
    int code = Z_OK;
    while (code != Z_STREAM_END && status == LEDGE_OK) {
        unsigned char piece[CHUNK];
        stream.next_out = piece;
        stream.avail_out = sizeof piece;
        code = inflate(&stream, Z_NO_FLUSH);
        if (code != Z_OK && code != Z_STREAM_END) {
            status = ledge_fail(err, LEDGE_ERR_CORRUPT, "gzip: damaged data");
        } else if (!ledge_buf_add(buf, piece, sizeof piece - stream.avail_out)) {
            status =
                ledge_fail(err, LEDGE_ERR_RANGE, "gzip: unpacks to more than %zu bytes", buf->max);
        }
    }
    (void)inflateEnd(&stream);
    return status;
}

enum ledge_status sys_inflate(const void *bytes, size_t size, void *out, size_t out_size,
                              struct ledge_error *err)
{
    z_stream stream = {0};
    if (size > UINT32_MAX || out_size > UINT32_MAX || inflateInit2(&stream, -MAX_WBITS) != Z_OK) {
        return ledge_fail(err, LEDGE_ERR_RANGE, "deflate: too large, or no memory");
    }
    stream.next_in = (Bytef *)bytes;
    stream.avail_in = (uInt)size;
    stream.next_out = out;
    stream.avail_out = (uInt)out_size;
    int code = inflate(&stream, Z_FINISH);
    bool whole = code == Z_STREAM_END && stream.avail_out == 0;
    (void)inflateEnd(&stream);
    return whole ? LEDGE_OK : ledge_fail(err, LEDGE_ERR_CORRUPT, "deflate: broken stream");
}

uint32_t sys_crc32(uint32_t crc, const void *bytes, size_t size)
{
    return (uint32_t)crc32_z(crc, bytes, size);
}
