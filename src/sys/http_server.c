/* SPDX-License-Identifier: Apache-2.0 */
/* http_server.c -- the server of http.h: one state machine a connection (http_private.h).
 *
 * Guarantees: one request of a connection at a time (later ones wait in the kernel's buffers); what
 * is queued for a client is bounded (files go by pieces); a client that goes, stalls or dribbles
 * costs one timer. Memory: a request lives until its reply, also when its connection has gone
 * before. */
#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
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
#include "sys/http_private.h"
#include "sys/tls.h"

enum {
    BACKLOG = 1024,         /* a fleet that reconnects must not be refused by the kernel */
    PIECE = 256 * 1024,     /* of a file in the output buffer */
    READ_AHEAD = 64 * 1024, /* unread input kept in user space */
    LINGER_S = 2,
    LINGER_BYTES = 64 * 1024 * 1024,
    PAUSE_MS = 100, /* accepting stops so long when descriptors have run out */
};

static void process(struct sys_http_connection *c);

/* -- requests -- */

void sys_http_request_free(struct sys_http_request *r)
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

/* Split target into the path, as it was sent, and decoded pairs of the query. */
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
    r->path = strndup(target, n);
    r->query = malloc(2 * strlen(query) + 3);
    if (r->path == NULL || r->query == NULL || !sys_http_path_ok(target, n)) {
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

const char *sys_http_peer_address(const struct sys_http_request *request)
{
    return request->address;
}

bool sys_http_closed(const struct sys_http_request *request)
{
    return request->connection == NULL;
}

/* -- connections -- */

static void arm(struct sys_http_connection *c, int32_t seconds)
{
    struct timeval after = {seconds, 0};
    (void)evtimer_add(c->timer, &after);
}

void sys_http_arm_idle(struct sys_http_connection *c)
{
    arm(c, c->server->options.timeout_s);
}

static void connection_free(struct sys_http_connection *c)
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
        if (c->state == SYS_HTTP_STREAMING) {
            void (*closed)(void *) = r->closed;
            void *arg = r->closed_arg;
            sys_http_request_free(r);
            if (closed != NULL) {
                closed(arg);
            }
        } else if (c->state != SYS_HTTP_HANDLING) {
            sys_http_request_free(r);
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
    struct sys_http_connection *c = arg;
    if (c->state != SYS_HTTP_SENDING && c->state != SYS_HTTP_STREAMING) {
        return;
    }
    if (info->n_deleted > 0 || (info->n_added > 0 && info->orig_size == 0)) {
        if (c->state == SYS_HTTP_STREAMING && evbuffer_get_length(buffer) == 0) {
            (void)evtimer_del(c->timer);
        } else {
            sys_http_arm_idle(c);
        }
    }
}

/* Say goodbye properly, then read until the client has read our answer and closes. */
static void begin_close(struct sys_http_connection *c)
{
    SSL *ssl = c->server->options.tls != NULL ? bufferevent_openssl_get_ssl(c->bev) : NULL;
    if (ssl != NULL) {
        (void)SSL_shutdown(ssl);
        ERR_clear_error(); /* what it failed with is not the next connection's failure */
    }
    if (!c->unread) {
        connection_free(c);
        return;
    }
    (void)shutdown(bufferevent_getfd(c->bev), SHUT_WR);
    c->state = SYS_HTTP_LINGER;
    arm(c, LINGER_S);
    process(c);
}

/* Next piece of the file being sent. False: the file ended early or failed, and the promise of its
 * length with it. */
static bool send_piece(struct sys_http_connection *c)
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
    struct sys_http_connection *c = arg;
    if (c->state != SYS_HTTP_SENDING || evbuffer_get_length(bufferevent_get_output(bev)) > 0) {
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
    c->state = SYS_HTTP_HEAD;
    c->scanned = 0;
    sys_http_arm_idle(c);
    process(c);
}

static void on_read(struct bufferevent *bev, void *arg)
{
    (void)bev;
    process(arg);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct sys_http_connection *c = arg;
    (void)bev;
    if ((what & BEV_EVENT_EOF) != 0 && c->state == SYS_HTTP_SENDING &&
        c->server->options.tls == NULL) {
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

static void write_address(const struct sockaddr *address, char text[INET6_ADDRSTRLEN])
{
    (void)snprintf(text, INET6_ADDRSTRLEN, "unix");
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;
        (void)inet_ntop(AF_INET, &in->sin_addr, text, INET6_ADDRSTRLEN);
    } else if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;
        (void)inet_ntop(AF_INET6, &in6->sin6_addr, text, INET6_ADDRSTRLEN);
    }
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
    struct sys_http_connection *c = calloc(1, sizeof *c);
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
    *c = (struct sys_http_connection){.next = server->connections,
                                      .link = &server->connections,
                                      .server = server,
                                      .bev = bev,
                                      .timer = timer,
                                      .file = -1,
                                      .loopback = is_loopback(address)};
    write_address(address, c->address);
    if (c->next != NULL) {
        c->next->link = &c->next;
    }
    server->connections = c;
    bufferevent_setwatermark(bev, EV_READ, 0, READ_AHEAD);
    bufferevent_setcb(bev, on_read, on_write, on_event, c);
    (void)evbuffer_add_cb(bufferevent_get_output(bev), on_output, c);
    sys_http_arm_idle(c);
    (void)bufferevent_enable(bev, EV_READ | EV_WRITE);
}

/* -- reading -- */

/* The length of the head in the input, 0 when it is not whole yet, -1 when it is too long. */
static ev_ssize_t find_head(struct sys_http_connection *c, struct evbuffer *input)
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

static struct sys_http_request *request_create(struct sys_http_connection *c)
{
    struct sys_http_request *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return NULL;
    }
    r->connection = c;
    r->loopback = c->loopback;
    memcpy(r->address, c->address, sizeof r->address);
    r->extra = LEDGE_BUF_INIT(SYS_HTTP_MAX_HEAD);
    if (c->server->options.tls != NULL) {
        SSL *ssl = bufferevent_openssl_get_ssl(c->bev);
        r->peer = ssl != NULL && sys_tls_peer(ssl, r->peer_name, r->peer_serial);
    }
    c->request = r;
    return r;
}

/* The head is parsed: what body may follow? False: refused. */
static bool begin_body(struct sys_http_connection *c)
{
    struct sys_http_request *r = c->request;
    struct ledge_error err;
    const struct sys_http_server_options *options = &c->server->options;
    if (sys_http_decoder_init(&c->decoder, &r->head, true, false, &err) != LEDGE_OK) {
        sys_http_refuse(c, 400, err.text);
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
        sys_http_refuse(c, 413, "the body is larger than this request may have");
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
static bool take_head(struct sys_http_connection *c, struct evbuffer *input)
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
        sys_http_arm_idle(c); /* from its first byte, the head has one timeout in all */
    }
    if (n == 0) {
        return false;
    }
    struct sys_http_request *r = n > 0 ? request_create(c) : NULL;
    unsigned char *bytes = r != NULL ? evbuffer_pullup(input, n) : NULL;
    if (n < 0) {
        sys_http_refuse(c, 431, "the header is larger than 64 KB");
        return false;
    }
    if (bytes == NULL) {
        sys_http_refuse(c, 503, "out of memory");
        return false;
    }
    enum ledge_status status = sys_http_head_parse(&r->head, bytes, (size_t)n, true, &err);
    (void)evbuffer_drain(input, (size_t)n);
    if (status == LEDGE_OK && !split_target(r)) {
        status = ledge_fail(&err, LEDGE_ERR_FORMAT, "the request's target is not a path");
    }
    if (status != LEDGE_OK) {
        sys_http_refuse(c, status == LEDGE_ERR_RANGE ? 431 : 400, err.text);
        return false;
    }
    return begin_body(c);
}

static bool keep_body(void *arg, const void *bytes, size_t n)
{
    return ledge_buf_add(arg, bytes, n);
}

/* True when the body is whole. */
static bool take_body(struct sys_http_connection *c, struct evbuffer *input)
{
    struct ledge_error err;
    while (!c->decoder.done) {
        size_t used = 0;
        size_t n = evbuffer_get_contiguous_space(input);
        if (n == 0 && (n = evbuffer_get_length(input)) == 0) {
            sys_http_arm_idle(c);
            return false;
        }
        enum ledge_status status =
            sys_http_decoder_feed(&c->decoder, evbuffer_pullup(input, (ev_ssize_t)n), n, &used,
                                  keep_body, &c->request->body, &err);
        if (status == LEDGE_ERR_CANCELLED) {
            sys_http_refuse(c, 413, "the body is larger than this request may have");
            return false;
        }
        if (status != LEDGE_OK) {
            sys_http_refuse(c, 400, err.text);
            return false;
        }
        (void)evbuffer_drain(input, used);
    }
    return true;
}

static void process(struct sys_http_connection *c)
{
    struct evbuffer *input = bufferevent_get_input(c->bev);
    if (c->state == SYS_HTTP_LINGER) {
        c->lingered += evbuffer_get_length(input);
        (void)evbuffer_drain(input, evbuffer_get_length(input));
        if (c->lingered > LINGER_BYTES) {
            connection_free(c);
        }
        return;
    }
    if (c->state == SYS_HTTP_HEAD) {
        if (!take_head(c, input)) {
            return;
        }
        c->state = SYS_HTTP_BODY;
    }
    if (c->state == SYS_HTTP_BODY && take_body(c, input)) {
        c->state = SYS_HTTP_HANDLING;
        (void)evtimer_del(c->timer);
        c->server->options.handle(c->server->options.arg, c->request);
    }
}

/* -- the server -- */

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
        return ledge_fail(err, code == EADDRINUSE ? LEDGE_ERR_STATE : LEDGE_ERR_IO,
                          "%s: cannot listen: %s", path, strerror(code));
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
        return ledge_fail(err, code == EADDRINUSE ? LEDGE_ERR_STATE : LEDGE_ERR_IO,
                          "%s:%u: cannot listen: %s", host, port, strerror(code));
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

size_t sys_http_server_drain(struct sys_http_server *server)
{
    size_t left = 0;
    if (server->listener != NULL) {
        (void)evtimer_del(server->pause);
        evconnlistener_free(server->listener);
        server->listener = NULL;
    }
    for (struct sys_http_connection *c = server->connections, *next; c != NULL; c = next) {
        next = c->next;
        bool idle =
            c->state == SYS_HTTP_HEAD && evbuffer_get_length(bufferevent_get_input(c->bev)) == 0;
        if (idle) {
            connection_free(c);
        } else {
            c->close = true;
            left++;
        }
    }
    return left;
}
