/* SPDX-License-Identifier: Apache-2.0 */
/* console.c -- the web console's files, embedded at build (tools/embed.py), sent as gzip. */
#include <stdlib.h>
#include <string.h>

#include "console_assets.h"
#include "hub/api.h"
#include "sys/gzip.h"

static bool takes_gzip(const struct sys_http_request *request)
{
    const char *accept = sys_http_header(request, "Accept-Encoding");
    return accept != NULL && strstr(accept, "gzip") != NULL;
}

static void send(struct sys_http_request *request, const struct console_asset *asset)
{
    const char *known = sys_http_header(request, "If-None-Match");
    hub_security_headers(request, true);
    sys_http_reply_header(request, "ETag", asset->etag);
    sys_http_reply_header(request, "Cache-Control", "no-cache"); /* ask, and mostly get a 304 */
    sys_http_reply_header(request, "Vary", "Accept-Encoding");
    if (known != NULL && strstr(known, asset->etag) != NULL) {
        sys_http_reply(request, 304, NULL, NULL, 0);
        return;
    }
    if (takes_gzip(request)) {
        sys_http_reply_header(request, "Content-Encoding", "gzip");
        sys_http_reply(request, 200, asset->content_type, asset->gzip, asset->bytes);
        return;
    }
    struct ledge_buf plain = LEDGE_BUF_INIT(8 * 1024 * 1024);
    if (sys_gzip_unpack(asset->gzip, asset->bytes, &plain, NULL) == LEDGE_OK) {
        sys_http_reply(request, 200, asset->content_type, plain.data, plain.len);
    } else {
        sys_http_reply(request, 500, NULL, NULL, 0);
    }
    ledge_buf_done(&plain);
}

bool hub_console(struct sys_http_request *request)
{
    const char *method = sys_http_method(request);
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        return false;
    }
    for (size_t i = 0; i < n_console_assets; i++) {
        if (sys_http_path_fits(sys_http_path(request), console_assets[i].path, NULL)) {
            send(request, &console_assets[i]);
            return true;
        }
    }
    return false;
}
