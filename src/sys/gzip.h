/* SPDX-License-Identifier: Apache-2.0 */
/* gzip.h -- read a gzip file (zlib) with a limit on what it unpacks to. */
#ifndef LEDGE_SYS_GZIP_H
#define LEDGE_SYS_GZIP_H

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

#endif
