/* SPDX-License-Identifier: Apache-2.0 */
/* buf.h -- a growing byte buffer with a stated maximum and a sticky failure.
 *
 * Memory: the C library's heap (hosted folders); always NUL-terminated past len, so data is a C
 * string too.
 */
#ifndef LEDGE_BASE_BUF_H
#define LEDGE_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "ledge/error.h"

struct ledge_buf {
    char *data; /* OWNED by the buffer; NULL while empty */
    size_t len;
    size_t cap;
    size_t max;
    bool failed; /* an append would have passed max, or no memory */
};

#define LEDGE_BUF_INIT(maximum) ((struct ledge_buf){.max = (maximum)})

void ledge_buf_done(struct ledge_buf *buf);
void ledge_buf_clear(struct ledge_buf *buf);

/* Append; on failure the buffer is unchanged, `failed` set and false returned. */
bool ledge_buf_add(struct ledge_buf *buf, const void *bytes, size_t n);
/* n more bytes for the caller to write; NULL on failure, as above. */
void *ledge_buf_room(struct ledge_buf *buf, size_t n);
bool ledge_buf_text(struct ledge_buf *buf, const char *text);
bool ledge_buf_printf(struct ledge_buf *buf, const char *format, ...) LEDGE_PRINTF(2, 3);
bool ledge_buf_u32(struct ledge_buf *buf, unsigned long value);      /* little-endian */
bool ledge_buf_u64(struct ledge_buf *buf, unsigned long long value); /* little-endian */

#endif
