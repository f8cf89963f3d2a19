/* SPDX-License-Identifier: Apache-2.0 */
/* http_body.c -- heads, bodies, escapes and URLs from hostile bytes (sys/http_wire.h).
 *
 * First byte: bit 0 request or answer, the rest the size of the pieces the body comes in. The body
 * must decode to the same bytes whole and in pieces. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "sys/http.h"
#include "sys/http_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool keep(void *arg, const void *bytes, size_t n)
{
    return ledge_buf_add(arg, bytes, n);
}

/* Decode in pieces of at most `piece`; returns the status. */
static enum ledge_status decode(struct sys_http_decoder decoder, const uint8_t *bytes, size_t n,
                                size_t piece, struct ledge_buf *out, bool *done)
{
    enum ledge_status status = LEDGE_OK;
    for (size_t at = 0; at < n && !decoder.done && status == LEDGE_OK;) {
        size_t used = 0, now = n - at < piece ? n - at : piece;
        status = sys_http_decoder_feed(&decoder, bytes + at, now, &used, keep, out, NULL);
        if (status == LEDGE_OK && !decoder.done && used != now) {
            abort();
        }
        at += used;
    }
    *done = decoder.done;
    return status;
}

static void body(const struct sys_http_head *head, bool request, const uint8_t *bytes, size_t n,
                 size_t piece)
{
    struct sys_http_decoder decoder;
    if (sys_http_decoder_init(&decoder, head, request, false, NULL) != LEDGE_OK) {
        return;
    }
    struct ledge_buf whole = LEDGE_BUF_INIT(1 << 20), pieces = LEDGE_BUF_INIT(1 << 20);
    bool whole_done = false, pieces_done = false;
    enum ledge_status a = decode(decoder, bytes, n, SIZE_MAX, &whole, &whole_done);
    enum ledge_status b = decode(decoder, bytes, n, piece, &pieces, &pieces_done);
    if (a != b || whole_done != pieces_done || whole.len != pieces.len ||
        (whole.len > 0 && memcmp(whole.data, pieces.data, whole.len) != 0)) {
        abort();
    }
    ledge_buf_done(&whole);
    ledge_buf_done(&pieces);
}

static void texts(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1), *decoded = malloc(size + 1);
    struct sys_http_url url;
    if (text != NULL && decoded != NULL) {
        memcpy(text, data, size);
        text[size] = '\0';
        if (sys_http_unescape(text, size, true, decoded) && strlen(decoded) > size) {
            abort();
        }
        if (sys_http_path_ok(text, strlen(text)) &&
            !sys_http_unescape(text, strlen(text), false, decoded)) {
            abort();
        }
        char parts[SYS_HTTP_PARTS][SYS_HTTP_PART_SIZE] = {"", ""};
        if (sys_http_path_fits(text, "/a/{b}/{c}", parts) &&
            (*text != '/' || *parts[0] == '\0' || *parts[1] == '\0')) {
            abort();
        }
        if (sys_http_url_parse(&url, text, NULL) == LEDGE_OK &&
            (*url.host == '\0' || *url.target != '/')) {
            abort();
        }
    }
    free(text);
    free(decoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    bool request = (data[0] & 1) != 0;
    size_t piece = 1 + data[0] / 2;
    data++;
    size--;
    texts(data, size < 3000 ? size : 3000);
    const uint8_t *end = size >= 4 ? memmem(data, size, "\r\n\r\n", 4) : NULL;
    if (end == NULL) {
        return 0;
    }
    size_t n = (size_t)(end - data) + 4;
    struct sys_http_head head;
    if (sys_http_head_parse(&head, data, n, request, NULL) == LEDGE_OK) {
        body(&head, request, data + n, size - n, piece);
        (void)sys_http_head_lists(&head, "Connection", "close");
        sys_http_head_done(&head);
    }
    return 0;
}
