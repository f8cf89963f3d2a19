/* SPDX-License-Identifier: Apache-2.0 */
/* http_reply.c -- answers of the server: whole, from a file with ranges, as a stream. */
#include <errno.h>
#include <event2/buffer.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/status.h"
#include "sys/http_private.h"

static void add_date(struct evbuffer *output)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm tm;
    time_t now = time(NULL);
    if (gmtime_r(&now, &tm) != NULL) {
        (void)evbuffer_add_printf(output, "Date: %.3s, %02d %.3s %d %02d:%02d:%02d GMT\r\n",
                                  days + 3 * tm.tm_wday, tm.tm_mday, months + 3 * tm.tm_mon,
                                  tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
    }
}

/* The first line and the header. length -1: chunked, or until the connection closes. */
static void sys_http_send_head(struct sys_http_connection *c, const struct sys_http_request *r,
                               int status, const char *type, int64_t length)
{
    struct evbuffer *output = bufferevent_get_output(c->bev);
    bool bodiless = status < 200 || status == 204 || status == 304;
    (void)evbuffer_add_printf(output, "HTTP/1.1 %d %s\r\n", status, sys_http_reason(status));
    add_date(output);
    if (type != NULL && !bodiless) {
        (void)evbuffer_add_printf(output, "Content-Type: %s\r\n", type);
    }
    if (length >= 0 && !bodiless) {
        (void)evbuffer_add_printf(output, "Content-Length: %lld\r\n", (long long)length);
    }
    if (r != NULL && r->chunked) {
        (void)evbuffer_add_printf(output, "Transfer-Encoding: chunked\r\n");
    }
    if (c->close) {
        (void)evbuffer_add_printf(output, "Connection: close\r\n");
    } else if (r != NULL && r->head.minor == 0) {
        (void)evbuffer_add_printf(output, "Connection: keep-alive\r\n");
    }
    if (r != NULL && r->extra.len > 0) {
        (void)evbuffer_add(output, r->extra.data, r->extra.len);
    }
    (void)evbuffer_add(output, "\r\n", 2);
}

static void begin_sending(struct sys_http_connection *c)
{
    c->request = NULL;
    c->state = SYS_HTTP_SENDING;
    sys_http_arm_idle(c);
}

void sys_http_refuse(struct sys_http_connection *c, int status, const char *text)
{
    struct evbuffer *output = bufferevent_get_output(c->bev);
    struct ledge_buf body = LEDGE_BUF_INIT(1024);
    (void)ledge_buf_printf(&body,
                           "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,"
                           "\"detail\":\"%s\"}\n",
                           sys_http_reason(status), status, text);
    sys_http_request_free(c->request);
    c->request = NULL;
    c->close = true;
    c->unread = true;
    c->state = SYS_HTTP_SENDING;
    sys_http_send_head(c, NULL, status, "application/problem+json", (int64_t)body.len);
    (void)evbuffer_add(output, body.data, body.len);
    ledge_buf_done(&body);
    sys_http_arm_idle(c);
}

void sys_http_reply_header(struct sys_http_request *request, const char *name, const char *value)
{
    size_t before = request->extra.len;
    if (!ledge_buf_printf(&request->extra, "%s: %s\r\n", name, value)) {
        return;
    }
    /* No value may start a line of its own. */
    for (size_t i = before; i < request->extra.len - 2; i++) {
        if (request->extra.data[i] == '\r' || request->extra.data[i] == '\n') {
            request->extra.data[i] = ' ';
        }
    }
}

static bool is_head(const struct sys_http_request *r)
{
    return strcmp(r->head.method, "HEAD") == 0;
}

void sys_http_reply(struct sys_http_request *request, int status, const char *content_type,
                    const void *body, size_t n)
{
    struct sys_http_connection *c = request->connection;
    if (c != NULL) {
        sys_http_send_head(c, request, status, content_type, (int64_t)n);
        if (n > 0 && !is_head(request) && status != 204 && status != 304) {
            (void)evbuffer_add(bufferevent_get_output(c->bev), body, n);
        }
        begin_sending(c);
    }
    sys_http_request_free(request);
}

void sys_http_reply_text(struct sys_http_request *request, int status, const char *content_type,
                         const char *body)
{
    sys_http_reply(request, status, content_type, body, strlen(body));
}

static void reply_problem(struct sys_http_request *request, int status)
{
    char text[160];
    (void)snprintf(text, sizeof text, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d}\n",
                   sys_http_reason(status), status);
    sys_http_reply_text(request, status, "application/problem+json", text);
}

/* One range of a file of size bytes. 1: [*from, *to] holds it; 0: send all; -1: cannot be
 * satisfied. */
static int range_of(const char *text, int64_t size, int64_t *from, int64_t *to)
{
    if (text == NULL || strncasecmp(text, "bytes=", 6) != 0) {
        return 0;
    }
    const char *at = text + 6;
    size_t first = strspn(at, "0123456789");
    if (at[first] != '-' || first > 18) {
        return 0;
    }
    const char *last = at + first + 1;
    size_t digits = strspn(last, "0123456789");
    if (last[digits] != '\0' || digits > 18 || (first == 0 && digits == 0)) {
        return 0; /* several ranges, or nonsense: RFC 9110 section 14.2 lets us send all */
    }
    if (first == 0) { /* the last n bytes */
        int64_t n = strtoll(last, NULL, 10);
        *from = n < size ? size - n : 0;
        return n > 0 && size > 0 ? 1 : -1;
    }
    int64_t begin = strtoll(at, NULL, 10);
    int64_t end = digits > 0 ? strtoll(last, NULL, 10) : size - 1;
    if (digits > 0 && end < begin) {
        return 0;
    }
    if (begin >= size) {
        return -1;
    }
    *from = begin;
    *to = end < size ? end : size - 1;
    return 1;
}

static bool etag_matches(const char *list, const char *etag)
{
    return list != NULL && etag != NULL && (strcmp(list, "*") == 0 || strstr(list, etag) != NULL);
}

void sys_http_reply_file(struct sys_http_request *request, const char *path,
                         const char *content_type, const char *etag)
{
    char quoted[160] = "";
    struct stat info;
    struct sys_http_connection *c = request->connection;
    int file = c != NULL ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    if (file < 0 || fstat(file, &info) != 0 || !S_ISREG(info.st_mode)) {
        if (file >= 0) {
            (void)close(file);
        }
        reply_problem(request, 404);
        return;
    }
    if (etag != NULL) {
        (void)snprintf(quoted, sizeof quoted, *etag == '"' ? "%s" : "\"%s\"", etag);
        sys_http_reply_header(request, "ETag", quoted);
    }
    if (etag != NULL && etag_matches(sys_http_header(request, "If-None-Match"), quoted)) {
        (void)close(file);
        sys_http_reply(request, 304, NULL, NULL, 0);
        return;
    }
    char text[96];
    int64_t from = 0, to = info.st_size - 1;
    const char *condition = sys_http_header(request, "If-Range");
    bool whole = condition != NULL && strcmp(condition, quoted) != 0;
    int range = whole ? 0 : range_of(sys_http_header(request, "Range"), info.st_size, &from, &to);
    sys_http_reply_header(request, "Accept-Ranges", "bytes");
    if (range > 0) {
        (void)snprintf(text, sizeof text, "bytes %lld-%lld/%lld", (long long)from, (long long)to,
                       (long long)info.st_size);
        sys_http_reply_header(request, "Content-Range", text);
    } else if (range < 0) {
        (void)snprintf(text, sizeof text, "bytes */%lld", (long long)info.st_size);
        sys_http_reply_header(request, "Content-Range", text);
    }
    if (range < 0 || lseek(file, from, SEEK_SET) != from) {
        (void)close(file);
        reply_problem(request, range < 0 ? 416 : 500);
        return;
    }
    sys_http_send_head(c, request, range > 0 ? 206 : 200, content_type, to - from + 1);
    if (is_head(request) || to < from) {
        (void)close(file);
    } else {
        c->file = file;
        c->file_left = to - from + 1;
    }
    begin_sending(c);
    sys_http_request_free(request);
}

void sys_http_stream_start(struct sys_http_request *request, int status, const char *content_type,
                           void (*closed)(void *arg), void *arg)
{
    struct sys_http_connection *c = request->connection;
    if (c == NULL) {
        sys_http_request_free(request);
        if (closed != NULL) {
            closed(arg);
        }
        return;
    }
    request->closed = closed;
    request->closed_arg = arg;
    request->chunked = request->head.minor > 0;
    c->close = c->close || !request->chunked;
    c->state = SYS_HTTP_STREAMING;
    sys_http_send_head(c, request, status, content_type, -1);
}

void sys_http_stream_send(struct sys_http_request *request, const void *bytes, size_t n)
{
    struct evbuffer *output = bufferevent_get_output(request->connection->bev);
    if (n == 0 || is_head(request)) {
        return; /* an empty chunk would be the end */
    }
    if (request->chunked) {
        (void)evbuffer_add_printf(output, "%zx\r\n", n);
    }
    (void)evbuffer_add(output, bytes, n);
    if (request->chunked) {
        (void)evbuffer_add(output, "\r\n", 2);
    }
}

size_t sys_http_stream_pending(const struct sys_http_request *request)
{
    return evbuffer_get_length(bufferevent_get_output(request->connection->bev));
}

void sys_http_stream_end(struct sys_http_request *request)
{
    struct sys_http_connection *c = request->connection;
    void (*closed)(void *) = request->closed;
    void *arg = request->closed_arg;
    if (request->chunked && !is_head(request)) {
        (void)evbuffer_add(bufferevent_get_output(c->bev), "0\r\n\r\n", 5);
    }
    begin_sending(c);
    sys_http_request_free(request);
    /* All may have left already: then no write would come to tell. */
    bufferevent_trigger(c->bev, EV_WRITE, BEV_TRIG_DEFER_CALLBACKS);
    if (closed != NULL) {
        closed(arg);
    }
}
