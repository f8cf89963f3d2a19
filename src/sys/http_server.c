/* SPDX-License-Identifier: Apache-2.0 */
/* http_server.c -- the server of http.h: one state machine a connection.
 *
 *   HEAD -> (BODY) -> HANDLING -> SENDING -> HEAD ...      answered, the connection is kept
 *                             \-> STREAMING -> SENDING
 *   any error -> SENDING -> LINGER -> closed               the client gets to read why
 *
 * Guarantees: one request of a connection at a time (later ones wait in the kernel's buffers); what
 * is queued for a client is bounded (files go by pieces); a client that goes, stalls or dribbles
 * costs one timer. Memory: a request lives until its reply, also when its connection has gone
 * before. */
#include "sys/http.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/status.h"
#include "sys/http_wire.h"
#include "sys/tls.h"

enum {
    BACKLOG = 1024,         /* a fleet that reconnects must not be refused by the kernel */
    PIECE = 256 * 1024,     /* of a file in the output buffer */
    READ_AHEAD = 64 * 1024, /* unread input kept in user space */
    LINGER_S = 2,
    LINGER_BYTES = 64 * 1024 * 1024,
    PAUSE_MS = 100, /* accepting stops so long when descriptors have run out */
};

enum state { HEAD, BODY, HANDLING, STREAMING, SENDING, LINGER };

struct connection {
    struct connection *next, **link;
    struct sys_http_server *server;
    struct bufferevent *bev;
    struct event *timer;
    enum state state;
    struct sys_http_request *request; /* being read, handled or streamed */
    struct sys_http_decoder decoder;
    size_t scanned;  /* bytes of the head already looked at */
    size_t lingered; /* bytes thrown away */
    int file;        /* being sent, or -1 */
    int64_t file_left;
    bool close;    /* after this answer */
    bool unread;   /* input may hold a body nobody wants: linger */
    bool loopback; /* peer is this machine */
};

struct sys_http_request {
    struct connection *connection; /* NULL once the client has gone */
    struct sys_http_head head;
    char *path;
    char *query; /* name NUL value NUL ..., decoded */
    size_t query_bytes;
    size_t limit;
    struct ledge_buf body;
    struct ledge_buf extra; /* header lines of the answer */
    bool peer, loopback;
    bool chunked;
    char peer_name[64], peer_serial[64];
    void (*closed)(void *arg);
    void *closed_arg;
};

struct sys_http_server {
    struct sys_loop *loop;
    struct sys_http_server_options options;
    struct evconnlistener *listener;
    struct event *pause;
    struct connection *connections;
    char *unix_path;
    uint16_t port;
};

static void process(struct connection *c);

/* -- requests ---------------------------------------------------------------------------------- */

static void request_free(struct sys_http_request *r)
{
    if (r != NULL) {
        sys_http_head_done(&r->head);
        ledge_buf_done(&r->body);
        ledge_buf_done(&r->extra);
        free(r->path);
        free(r->query);
        free(r);
    }
}

/* Split target into the decoded path and decoded pairs of the query. */
static bool split_target(struct sys_http_request *r)
{
    const char *target = r->head.target;
    if (strncasecmp(target, "http://", 7) == 0 || strncasecmp(target, "https://", 8) == 0) {
        target = strchr(strstr(target, "//") + 2, '/');
    }
    if (target == NULL || *target != '/') {
        return false;
    }
    size_t n = strcspn(target, "?");
    const char *query = target[n] == '?' ? target + n + 1 : "";
    r->path = malloc(n + 1);
    r->query = malloc(2 * strlen(query) + 3);
    if (r->path == NULL || r->query == NULL || !sys_http_unescape(target, n, false, r->path)) {
        return false;
    }
    while (*query != '\0') {
        size_t pair = strcspn(query, "&");
        size_t name = strcspn(query, "=&");
        size_t value = name < pair ? name + 1 : pair;
        char *to = r->query + r->query_bytes;
        if (!sys_http_unescape(query, name, true, to)) {
            return false;
        }
        to += strlen(to) + 1;
        if (!sys_http_unescape(query + value, pair - value, true, to)) {
            return false;
        }
        r->query_bytes = (size_t)(to + strlen(to) + 1 - r->query);
        query += pair + (query[pair] == '&');
    }
    return true;
}

const char *sys_http_method(const struct sys_http_request *request)
{
    return request->head.method;
}

const char *sys_http_path(const struct sys_http_request *request)
{
    return request->path;
}

const char *sys_http_query(const struct sys_http_request *request, const char *name)
{
    const char *at = request->query;
    while (at < request->query + request->query_bytes) {
        const char *value = at + strlen(at) + 1;
        if (strcmp(at, name) == 0) {
            return value;
        }
        at = value + strlen(value) + 1;
    }
    return NULL;
}

const char *sys_http_header(const struct sys_http_request *request, const char *name)
{
    return sys_http_head_field(&request->head, name);
}

const void *sys_http_body(struct sys_http_request *request, size_t *n)
{
    *n = request->body.len;
    return request->body.data != NULL ? request->body.data : "";
}

const char *sys_http_peer_name(const struct sys_http_request *request)
{
    return request->peer ? request->peer_name : NULL;
}

const char *sys_http_peer_serial(const struct sys_http_request *request)
{
    return request->peer ? request->peer_serial : NULL;
}

bool sys_http_peer_loopback(const struct sys_http_request *request)
{
    return request->loopback;
}

bool sys_http_closed(const struct sys_http_request *request)
{
    return request->connection == NULL;
}

/* -- connections ------------------------------------------------------------------------------- */

static void arm(struct connection *c, int32_t seconds)
{
    struct timeval after = {seconds, 0};
    (void)evtimer_add(c->timer, &after);
}

static void arm_idle(struct connection *c)
{
    arm(c, c->server->options.timeout_s);
}

static void connection_free(struct connection *c)
{
    struct sys_http_request *r = c->request;
    c->request = NULL;
    *c->link = c->next;
    if (c->next != NULL) {
        c->next->link = c->link;
    }
    if (c->file >= 0) {
        (void)close(c->file);
    }
    event_free(c->timer);
    bufferevent_free(c->bev);
    if (r != NULL) {
        r->connection = NULL;
        if (c->state == STREAMING) {
            void (*closed)(void *) = r->closed;
            void *arg = r->closed_arg;
            request_free(r);
            if (closed != NULL) {
                closed(arg);
            }
        } else if (c->state != HANDLING) {
            request_free(r);
        }
    }
    free(c);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    connection_free(arg);
}

/* Progress of what is being sent keeps the connection; an empty stream waits for ever. */
static void on_output(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *arg)
{
    struct connection *c = arg;
    if (c->state != SENDING && c->state != STREAMING) {
        return;
    }
    if (info->n_deleted > 0 || (info->n_added > 0 && info->orig_size == 0)) {
        if (c->state == STREAMING && evbuffer_get_length(buffer) == 0) {
            (void)evtimer_del(c->timer);
        } else {
            arm_idle(c);
        }
    }
}

/* Say goodbye properly, then read until the client has read our answer and closes. */
static void begin_close(struct connection *c)
{
    SSL *ssl = c->server->options.tls != NULL ? bufferevent_openssl_get_ssl(c->bev) : NULL;
    if (ssl != NULL) {
        (void)SSL_shutdown(ssl);
    }
    if (!c->unread) {
        connection_free(c);
        return;
    }
    (void)shutdown(bufferevent_getfd(c->bev), SHUT_WR);
    c->state = LINGER;
    arm(c, LINGER_S);
    process(c);
}

/* Next piece of the file being sent. False: the file ended early or failed, and the promise of its
 * length with it. */
static bool send_piece(struct connection *c)
{
    struct evbuffer *output = bufferevent_get_output(c->bev);
    struct evbuffer_iovec space;
    size_t want = c->file_left < PIECE ? (size_t)c->file_left : PIECE;
    if (evbuffer_reserve_space(output, (ev_ssize_t)want, &space, 1) != 1) {
        return false;
    }
    ssize_t got = read(c->file, space.iov_base, want);
    if (got <= 0) {
        return false;
    }
    space.iov_len = (size_t)got;
    c->file_left -= got;
    if (c->file_left == 0) {
        (void)close(c->file);
        c->file = -1;
    }
    return evbuffer_commit_space(output, &space, 1) == 0;
}

static void on_write(struct bufferevent *bev, void *arg)
{
    struct connection *c = arg;
    if (c->state != SENDING || evbuffer_get_length(bufferevent_get_output(bev)) > 0) {
        return;
    }
    if (c->file >= 0) {
        if (!send_piece(c)) {
            connection_free(c);
        }
        return;
    }
    if (c->close) {
        begin_close(c);
        return;
    }
    c->state = HEAD;
    c->scanned = 0;
    arm_idle(c);
    process(c);
}

static void on_read(struct bufferevent *bev, void *arg)
{
    (void)bev;
    process(arg);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct connection *c = arg;
    (void)bev;
    if ((what & BEV_EVENT_EOF) != 0 && c->state == SENDING && c->server->options.tls == NULL) {
        c->close = true; /* it may only have shut down its own side, and still read */
    } else if ((what & (BEV_EVENT_EOF | BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT)) != 0) {
        connection_free(c);
    }
}

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;
        return (ntohl(in->sin_addr.s_addr) >> 24) == 127;
    }
    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;
        return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr) != 0 ||
               (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) && in6->sin6_addr.s6_addr[12] == 127);
    }
    return address->sa_family == AF_UNIX;
}

static struct bufferevent *wrap(struct sys_http_server *server, evutil_socket_t fd)
{
    struct event_base *base = sys_loop_base(server->loop);
    if (server->options.tls == NULL) {
        return bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    }
    SSL *ssl = SSL_new(sys_tls_ctx(server->options.tls));
    struct bufferevent *bev =
        ssl == NULL ? NULL
                    : bufferevent_openssl_socket_new(base, fd, ssl, BUFFEREVENT_SSL_ACCEPTING,
                                                     BEV_OPT_CLOSE_ON_FREE);
    if (bev == NULL) {
        SSL_free(ssl);
    }
    return bev;
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
                      int n, void *arg)
{
    struct sys_http_server *server = arg;
    struct connection *c = calloc(1, sizeof *c);
    struct bufferevent *bev = c != NULL ? wrap(server, fd) : NULL;
    struct event *timer = evtimer_new(sys_loop_base(server->loop), on_timer, c);
    (void)listener;
    (void)n;
    if (bev == NULL || timer == NULL) {
        if (bev != NULL) {
            bufferevent_free(bev);
        } else {
            (void)close(fd);
        }
        if (timer != NULL) {
            event_free(timer);
        }
        free(c);
        return;
    }
    if (address->sa_family != AF_UNIX) {
        int on = 1;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    *c = (struct connection){.next = server->connections,
                             .link = &server->connections,
                             .server = server,
                             .bev = bev,
                             .timer = timer,
                             .file = -1,
                             .loopback = is_loopback(address)};
    if (c->next != NULL) {
        c->next->link = &c->next;
    }
    server->connections = c;
    bufferevent_setwatermark(bev, EV_READ, 0, READ_AHEAD);
    bufferevent_setcb(bev, on_read, on_write, on_event, c);
    (void)evbuffer_add_cb(bufferevent_get_output(bev), on_output, c);
    arm_idle(c);
    (void)bufferevent_enable(bev, EV_READ | EV_WRITE);
}

/* -- answers ----------------------------------------------------------------------------------- */

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
static void send_head(struct connection *c, const struct sys_http_request *r, int status,
                      const char *type, int64_t length)
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

static void begin_sending(struct connection *c)
{
    c->request = NULL;
    c->state = SENDING;
    arm_idle(c);
}

/* An error before there is a whole request: told in one line, then the connection ends. */
static void refuse(struct connection *c, int status, const char *text)
{
    struct evbuffer *output = bufferevent_get_output(c->bev);
    struct ledge_buf body = LEDGE_BUF_INIT(1024);
    (void)ledge_buf_printf(&body,
                           "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,"
                           "\"detail\":\"%s\"}\n",
                           sys_http_reason(status), status, text);
    request_free(c->request);
    c->request = NULL;
    c->close = true;
    c->unread = true;
    c->state = SENDING;
    send_head(c, NULL, status, "application/problem+json", (int64_t)body.len);
    (void)evbuffer_add(output, body.data, body.len);
    ledge_buf_done(&body);
    arm_idle(c);
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
    struct connection *c = request->connection;
    if (c != NULL) {
        send_head(c, request, status, content_type, (int64_t)n);
        if (n > 0 && !is_head(request) && status != 204 && status != 304) {
            (void)evbuffer_add(bufferevent_get_output(c->bev), body, n);
        }
        begin_sending(c);
    }
    request_free(request);
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
    struct connection *c = request->connection;
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
    send_head(c, request, range > 0 ? 206 : 200, content_type, to - from + 1);
    if (is_head(request) || to < from) {
        (void)close(file);
    } else {
        c->file = file;
        c->file_left = to - from + 1;
    }
    begin_sending(c);
    request_free(request);
}

void sys_http_stream_start(struct sys_http_request *request, int status, const char *content_type,
                           void (*closed)(void *arg), void *arg)
{
    struct connection *c = request->connection;
    if (c == NULL) {
        request_free(request);
        if (closed != NULL) {
            closed(arg);
        }
        return;
    }
    request->closed = closed;
    request->closed_arg = arg;
    request->chunked = request->head.minor > 0;
    c->close = c->close || !request->chunked;
    c->state = STREAMING;
    send_head(c, request, status, content_type, -1);
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
    struct connection *c = request->connection;
    void (*closed)(void *) = request->closed;
    void *arg = request->closed_arg;
    if (request->chunked && !is_head(request)) {
        (void)evbuffer_add(bufferevent_get_output(c->bev), "0\r\n\r\n", 5);
    }
    begin_sending(c);
    request_free(request);
    /* All may have left already: then no write would come to tell. */
    bufferevent_trigger(c->bev, EV_WRITE, BEV_TRIG_DEFER_CALLBACKS);
    if (closed != NULL) {
        closed(arg);
    }
}

/* -- reading ----------------------------------------------------------------------------------- */

/* The length of the head in the input, 0 when it is not whole yet, -1 when it is too long. */
static ev_ssize_t find_head(struct connection *c, struct evbuffer *input)
{
    struct evbuffer_ptr from;
    size_t have = evbuffer_get_length(input);
    size_t back = c->scanned > 3 ? c->scanned - 3 : 0;
    if (have < 4 || evbuffer_ptr_set(input, &from, back, EVBUFFER_PTR_SET) != 0) {
        return 0;
    }
    struct evbuffer_ptr found = evbuffer_search(input, "\r\n\r\n", 4, &from);
    c->scanned = have;
    if (found.pos < 0) {
        return have >= SYS_HTTP_MAX_HEAD ? -1 : 0;
    }
    return found.pos + 4 <= SYS_HTTP_MAX_HEAD ? found.pos + 4 : -1;
}

static struct sys_http_request *request_create(struct connection *c)
{
    struct sys_http_request *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return NULL;
    }
    r->connection = c;
    r->loopback = c->loopback;
    r->extra = LEDGE_BUF_INIT(SYS_HTTP_MAX_HEAD);
    if (c->server->options.tls != NULL) {
        SSL *ssl = bufferevent_openssl_get_ssl(c->bev);
        r->peer = ssl != NULL && sys_tls_peer(ssl, r->peer_name, r->peer_serial);
    }
    c->request = r;
    return r;
}

/* The head is parsed: what body may follow? False: refused. */
static bool begin_body(struct connection *c)
{
    struct sys_http_request *r = c->request;
    struct ledge_error err;
    const struct sys_http_server_options *options = &c->server->options;
    if (sys_http_decoder_init(&c->decoder, &r->head, true, false, &err) != LEDGE_OK) {
        refuse(c, 400, err.text);
        return false;
    }
    c->close = sys_http_head_lists(&r->head, "Connection", "close") ||
               (r->head.minor == 0 && !sys_http_head_lists(&r->head, "Connection", "keep-alive"));
    r->limit = options->max_body;
    if (!c->decoder.done && options->limit != NULL) {
        size_t limit = options->limit(options->arg, r);
        r->limit = limit < r->limit ? limit : r->limit;
    }
    if (c->decoder.left > r->limit) {
        refuse(c, 413, "the body is larger than this request may have");
        return false;
    }
    r->body = LEDGE_BUF_INIT(r->limit);
    const char *expect = sys_http_head_field(&r->head, "Expect");
    if (!c->decoder.done && expect != NULL && strcasecmp(expect, "100-continue") == 0) {
        (void)bufferevent_write(c->bev, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    }
    return true;
}

/* True when a whole head was taken from the input. */
static bool take_head(struct connection *c, struct evbuffer *input)
{
    struct ledge_error err;
    char start[2];
    /* RFC 9112 section 2.2: empty lines before the request are ignored. */
    while (evbuffer_copyout(input, start, 2) == 2 && memcmp(start, "\r\n", 2) == 0) {
        (void)evbuffer_drain(input, 2);
        c->scanned = 0;
    }
    bool first = c->scanned == 0 && evbuffer_get_length(input) > 0;
    ev_ssize_t n = find_head(c, input);
    if (first) {
        c->scanned = evbuffer_get_length(input);
        arm_idle(c); /* from its first byte, the head has one timeout in all */
    }
    if (n == 0) {
        return false;
    }
    struct sys_http_request *r = n > 0 ? request_create(c) : NULL;
    unsigned char *bytes = r != NULL ? evbuffer_pullup(input, n) : NULL;
    if (n < 0) {
        refuse(c, 431, "the header is larger than 64 KB");
        return false;
    }
    if (bytes == NULL) {
        refuse(c, 503, "out of memory");
        return false;
    }
    enum ledge_status status = sys_http_head_parse(&r->head, bytes, (size_t)n, true, &err);
    (void)evbuffer_drain(input, (size_t)n);
    if (status == LEDGE_OK && !split_target(r)) {
        status = ledge_fail(&err, LEDGE_ERR_FORMAT, "the request's target is not a path");
    }
    if (status != LEDGE_OK) {
        refuse(c, status == LEDGE_ERR_RANGE ? 431 : 400, err.text);
        return false;
    }
    return begin_body(c);
}

static bool keep_body(void *arg, const void *bytes, size_t n)
{
    return ledge_buf_add(arg, bytes, n);
}

/* True when the body is whole. */
static bool take_body(struct connection *c, struct evbuffer *input)
{
    struct ledge_error err;
    while (!c->decoder.done) {
        size_t used = 0;
        size_t n = evbuffer_get_contiguous_space(input);
        if (n == 0 && (n = evbuffer_get_length(input)) == 0) {
            arm_idle(c);
            return false;
        }
        enum ledge_status status =
            sys_http_decoder_feed(&c->decoder, evbuffer_pullup(input, (ev_ssize_t)n), n, &used,
                                  keep_body, &c->request->body, &err);
        if (status == LEDGE_ERR_CANCELLED) {
            refuse(c, 413, "the body is larger than this request may have");
            return false;
        }
        if (status != LEDGE_OK) {
            refuse(c, 400, err.text);
            return false;
        }
        (void)evbuffer_drain(input, used);
    }
    return true;
}

static void process(struct connection *c)
{
    struct evbuffer *input = bufferevent_get_input(c->bev);
    if (c->state == LINGER) {
        c->lingered += evbuffer_get_length(input);
        (void)evbuffer_drain(input, evbuffer_get_length(input));
        if (c->lingered > LINGER_BYTES) {
            connection_free(c);
        }
        return;
    }
    if (c->state == HEAD) {
        if (!take_head(c, input)) {
            return;
        }
        c->state = BODY;
    }
    if (c->state == BODY && take_body(c, input)) {
        c->state = HANDLING;
        (void)evtimer_del(c->timer);
        c->server->options.handle(c->server->options.arg, c->request);
    }
}

/* -- the server -------------------------------------------------------------------------------- */

static void on_pause_end(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)evconnlistener_enable(((struct sys_http_server *)arg)->listener);
}

static void on_accept_error(struct evconnlistener *listener, void *arg)
{
    struct timeval after = {0, PAUSE_MS * 1000};
    (void)evconnlistener_disable(listener);
    (void)evtimer_add(((struct sys_http_server *)arg)->pause, &after);
}

static enum ledge_status listen_unix(const char *path, int *out, struct ledge_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat info;
    if (strlen(path) >= sizeof address.sun_path) {
        return ledge_fail(err, LEDGE_ERR_RANGE, "%s: a unix socket's path has at most %zu bytes",
                          path, sizeof address.sun_path - 1);
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (lstat(path, &info) == 0 && S_ISSOCK(info.st_mode)) {
        (void)unlink(
            path); /* left by a process that was killed; the owner holds a lock of its own */
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* On Linux the socket file takes the mode of the descriptor, so it is never wider. */
    if (fd < 0 || fchmod(fd, 0600) != 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, BACKLOG) != 0) {
        int code = errno;
        if (fd >= 0) {
            (void)close(fd);
        }
        return ledge_fail(err, LEDGE_ERR_IO, "%s: cannot listen: %s", path, strerror(code));
    }
    *out = fd;
    return LEDGE_OK;
}

static enum ledge_status listen_tcp(const char *host, uint16_t port, int *out,
                                    struct ledge_error *err)
{
    struct sockaddr_storage address;
    int length = sizeof address;
    char text[128];
    int on = 1;
    (void)snprintf(text, sizeof text, strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u", host, port);
    if (evutil_parse_sockaddr_port(text, (struct sockaddr *)&address, &length) != 0) {
        /* port 0 is refused by the parser */
        (void)snprintf(text, sizeof text, "%s", host);
        if (port != 0 ||
            evutil_parse_sockaddr_port(text, (struct sockaddr *)&address, &length) != 0) {
            return ledge_fail(err, LEDGE_ERR_ARG, "%s is not an address to listen on", host);
        }
    }
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, (struct sockaddr *)&address, (socklen_t)length) != 0 || listen(fd, BACKLOG) != 0) {
        int code = errno;
        if (fd >= 0) {
            (void)close(fd);
        }
        return ledge_fail(err, LEDGE_ERR_IO, "%s:%u: cannot listen: %s", host, port,
                          strerror(code));
    }
    *out = fd;
    return LEDGE_OK;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t n = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &n) != 0) {
        return 0;
    }
    if (address.ss_family == AF_INET6) {
        return ntohs(((struct sockaddr_in6 *)(void *)&address)->sin6_port);
    }
    return address.ss_family == AF_INET ? ntohs(((struct sockaddr_in *)(void *)&address)->sin_port)
                                        : 0;
}

enum ledge_status sys_http_server_create(struct sys_loop *loop,
                                         const struct sys_http_server_options *options,
                                         struct sys_http_server **server, struct ledge_error *err)
{
    int fd = -1;
    LEDGE_TRY(options->unix_path != NULL ? listen_unix(options->unix_path, &fd, err)
                                         : listen_tcp(options->host, options->port, &fd, err));
    struct sys_http_server *made = calloc(1, sizeof *made);
    if (made != NULL) {
        made->loop = loop;
        made->options = *options;
        made->options.timeout_s = options->timeout_s > 0 ? options->timeout_s : 60;
        made->port = port_of(fd);
        made->unix_path = options->unix_path != NULL ? strdup(options->unix_path) : NULL;
        made->pause = evtimer_new(sys_loop_base(loop), on_pause_end, made);
        made->listener = evconnlistener_new(sys_loop_base(loop), on_accept, made,
                                            LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_CLOSE_ON_FREE, 0, fd);
    }
    if (made == NULL || made->listener == NULL || made->pause == NULL) {
        if (made == NULL || made->listener == NULL) {
            (void)close(fd);
        }
        sys_http_server_free(made);
        return ledge_fail(err, LEDGE_ERR_NOMEM, "out of memory for a server");
    }
    evconnlistener_set_error_cb(made->listener, on_accept_error);
    (void)signal(SIGPIPE, SIG_IGN); /* a client that left is an error of write(), not our end */
    *server = made;
    return LEDGE_OK;
}

void sys_http_server_free(struct sys_http_server *server)
{
    if (server == NULL) {
        return;
    }
    if (server->listener != NULL) {
        evconnlistener_free(server->listener);
    }
    if (server->pause != NULL) {
        event_free(server->pause);
    }
    while (server->connections != NULL) {
        connection_free(server->connections);
    }
    if (server->unix_path != NULL) {
        (void)unlink(server->unix_path);
        free(server->unix_path);
    }
    free(server);
}

uint16_t sys_http_server_port(const struct sys_http_server *server)
{
    return server->port;
}
