/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ledge_buf_done(struct ledge_buf *buf)
{
    free(buf->data);
    *buf = (struct ledge_buf){.max = buf->max};
}

void ledge_buf_clear(struct ledge_buf *buf)
{
    buf->len = 0;
    buf->failed = false;
    if (buf->data != NULL) {
        buf->data[0] = '\0';
    }
}

static bool reserve(struct ledge_buf *buf, size_t extra)
{
    if (buf->failed || extra > buf->max || buf->len > buf->max - extra) {
        buf->failed = true;
        return false;
    }
    size_t need = buf->len + extra + 1;
    if (need <= buf->cap) {
        return true;
    }
    size_t cap = buf->cap < 256 ? 256 : buf->cap;
    while (cap < need) {
        cap += cap / 2;
    }
    char *data = realloc(buf->data, cap);
    if (data == NULL) {
        buf->failed = true;
        return false;
    }
    buf->data = data;
    buf->cap = cap;
    return true;
}

void *ledge_buf_room(struct ledge_buf *buf, size_t n)
{
    if (!reserve(buf, n)) {
        return NULL;
    }
    void *at = buf->data + buf->len;
    buf->len += n;
    buf->data[buf->len] = '\0';
    return at;
}

bool ledge_buf_add(struct ledge_buf *buf, const void *bytes, size_t n)
{
    if (!reserve(buf, n)) {
        return false;
    }
    if (n > 0) {
        memcpy(buf->data + buf->len, bytes, n);
    }
    buf->len += n;
    buf->data[buf->len] = '\0';
    return true;
}

bool ledge_buf_text(struct ledge_buf *buf, const char *text)
{
    return ledge_buf_add(buf, text, strlen(text));
}

bool ledge_buf_printf(struct ledge_buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0 || !reserve(buf, (size_t)n)) {
        buf->failed = true;
        return false;
    }
    va_start(args, format);
    (void)vsnprintf(buf->data + buf->len, (size_t)n + 1, format, args);
    va_end(args);
    buf->len += (size_t)n;
    return true;
}

static bool add_le(struct ledge_buf *buf, unsigned long long value, size_t n)
{
    unsigned char bytes[8];
    for (size_t i = 0; i < n; i++) {
        bytes[i] = (unsigned char)(value >> (8 * i));
    }
    return ledge_buf_add(buf, bytes, n);
}

bool ledge_buf_u32(struct ledge_buf *buf, unsigned long value)
{
    return add_le(buf, value, 4);
}

bool ledge_buf_u64(struct ledge_buf *buf, unsigned long long value)
{
    return add_le(buf, value, 8);
}
