/* SPDX-License-Identifier: Apache-2.0 */
/* gzip.h -- read a gzip file (zlib) with a limit on what it unpacks to. */
#ifndef LEDGE_SYS_GZIP_H
#define LEDGE_SYS_GZIP_H

#include <stdint.h>

#include "base/buf.h"
#include "ledge/error.h"

/* Append the unpacked bytes of a gzip file to buf; a file that is not gzip is read as it is.
 * Errors: ERR_NOT_FOUND, ERR_IO, ERR_RANGE (unpacks to more than buf->max), ERR_CORRUPT; err names
 * the path. */
LEDGE_NODISCARD enum ledge_status sys_gzip_read(const char *path, struct ledge_buf *buf,
                                                struct ledge_error *err);

/* The same from memory. Errors: ERR_RANGE, ERR_CORRUPT, ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status sys_gzip_unpack(const void *bytes, size_t n,
                                                  struct ledge_buf *buf, struct ledge_error *err);

/* Unpack a raw deflate stream (RFC 1951) into exactly out_size bytes. Errors: ERR_CORRUPT (broken,
 * or another size). */
LEDGE_NODISCARD enum ledge_status sys_inflate(const void *bytes, size_t size, void *out,
                                              size_t out_size, struct ledge_error *err);

/* CRC-32 as in zip and gzip (ISO 3309), continuing from crc (0 at the start). */
uint32_t sys_crc32(uint32_t crc, const void *bytes, size_t size);

#endif
