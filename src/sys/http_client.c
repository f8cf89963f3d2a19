/* SPDX-License-Identifier: Apache-2.0 */
/* http_client.c -- the client of http.h: one connection a call, closed after the answer.
 *
 *   resolve -> connect (each address in turn) -> TLS -> send -> head -> body -> done
 *
 * Guarantees: done comes exactly once; an answer that ends early, is malformed or too large is an
 * error, never a short body; one timer watches for progress in either direction. */
#include "sys/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#include "base/status.h"
#include "sys/http_wire.h"
#include "sys/tls.h"

enum { DEFAULT_TIMEOUT_S = 30, DEFAULT_MAX_BODY = 64 * 1024 * 1024 };

struct call {
    struct event_base *base;
    struct sys_http_url url;
    struct ledge_buf head_out; /* the request's head */
    char *body;
    size_t body_bytes;
    struct sys_tls *tls;
    int32_t timeout_s;
    bool bodiless; /* HEAD */
    bool (*on_data)(void *arg, int status, const void *bytes, size_t n);
    void *data_arg;
    void (*done)(void *arg, struct sys_http_reply *reply, const struct ledge_error *err);
    void *arg;

    struct addrinfo *addresses, *next;
    struct bufferevent *bev;
    struct event *timer;
    bool connected;
    bool has_head;
    struct sys_http_head head;
    struct sys_http_decoder decoder;
    struct sys_http_reply reply;
};

void sys_http_reply_done(struct sys_http_reply *reply)
{
    ledge_buf_done(&reply->body);
    *reply = (struct sys_http_reply){0};
}

static void call_free(struct call *call)
{
    if (call->timer != NULL) {
        event_free(call->timer);
    }
    if (call->bev != NULL) {
        bufferevent_free(call->bev);
    }
    if (call->addresses != NULL) {
        freeaddrinfo(call->addresses);
    }
    sys_http_head_done(&call->head);
    sys_http_reply_done(&call->reply);
    ledge_buf_done(&call->head_out);
    free(call->body);
    free(call);
}

/* err NULL: the answer is whole. */
static void finish(struct call *call, const struct ledge_error *err)
{
    if (err != NULL) {
        call->reply.status = 0;
    }
    /* The connection ends first, so that done may start whatever it likes. */
    bufferevent_free(call->bev);
    call->bev = NULL;
    event_free(call->timer);
    call->timer = NULL;
    call->done(call->arg, &call->reply, err);
    call_free(call);
}

static void fail(struct call *call, enum ledge_status status, const char *what, const char *why)
{
    struct ledge_error err;
    if (call->url.local) {
        (void)ledge_fail(&err, status, "%s: %s%s", call->url.host, what, why);
    } else {
        (void)ledge_fail(&err, status, "%s:%u: %s%s", call->url.host, call->url.port, what, why);
    }
    finish(call, &err);
}

static void progress(struct call *call)
{
    struct timeval after = {call->timeout_s, 0};
    (void)evtimer_add(call->timer, &after);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct call *call = arg;
    (void)fd;
    (void)what;
    fail(call, LEDGE_ERR_TIMEOUT, call->connected ? "no answer" : "cannot connect: timed out", "");
}

static void on_output(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *arg)
{
    (void)buffer;
    if (info->n_deleted > 0) {
        progress(arg);
    }
}

/* -- the answer -- */

static bool take_data(void *arg, const void *bytes, size_t n)
{
    struct call *call = arg;
    if (call->on_data != NULL) {
        return call->on_data(call->data_arg, call->head.status, bytes, n);
    }
    return ledge_buf_add(&call->reply.body, bytes, n);
}

static void keep_field(const struct call *call, const char *name, char *text, size_t size)
{
    const char *value = sys_http_head_field(&call->head, name);
    (void)snprintf(text, size, "%s", value != NULL ? value : "");
}

/* 1: a final head is there; 0: not yet; -1: failed, and the call is gone. */
static int take_head(struct call *call, struct evbuffer *input)
{
    struct ledge_error err;
    while (!call->has_head) {
        struct evbuffer_ptr end = evbuffer_search(input, "\r\n\r\n", 4, NULL);
        if (end.pos < 0 && evbuffer_get_length(input) < SYS_HTTP_MAX_HEAD) {
            return 0;
        }
        if (end.pos < 0 || end.pos + 4 > SYS_HTTP_MAX_HEAD) {
            fail(call, LEDGE_ERR_NETWORK, "the answer's header is larger than 64 KB", "");
            return -1;
        }
        size_t n = (size_t)end.pos + 4;
        enum ledge_status status =
            sys_http_head_parse(&call->head, evbuffer_pullup(input, (ev_ssize_t)n), n, false, &err);
        (void)evbuffer_drain(input, n);
        if (status == LEDGE_OK && call->head.status >= 200) {
            status =
                sys_http_decoder_init(&call->decoder, &call->head, false, call->bodiless, &err);
            call->has_head = true;
        } else if (status == LEDGE_OK) {
            sys_http_head_done(&call->head); /* 100 Continue and its like come before the answer */
        }
        if (status != LEDGE_OK) {
            fail(call, LEDGE_ERR_NETWORK, err.text, "");
            return -1;
        }
    }
    call->reply.status = call->head.status;
    keep_field(call, "Content-Type", call->reply.content_type, sizeof call->reply.content_type);
    keep_field(call, "ETag", call->reply.etag, sizeof call->reply.etag);
    return 1;
}

static void on_read(struct bufferevent *bev, void *arg)
{
    struct call *call = arg;
    struct evbuffer *input = bufferevent_get_input(bev);
    struct ledge_error err;
    progress(call);
    if (!call->has_head && take_head(call, input) != 1) {
        return;
    }
    while (!call->decoder.done && evbuffer_get_length(input) > 0) {
        size_t used = 0;
        size_t n = evbuffer_get_contiguous_space(input);
        n = n > 0 ? n : evbuffer_get_length(input);
        enum ledge_status status = sys_http_decoder_feed(
            &call->decoder, evbuffer_pullup(input, (ev_ssize_t)n), n, &used, take_data, call, &err);
        if (status == LEDGE_ERR_CANCELLED && call->on_data == NULL) {
            fail(call, LEDGE_ERR_RANGE, "the answer is larger than was asked for", "");
            return;
        }
        if (status != LEDGE_OK) {
            fail(call, status == LEDGE_ERR_CANCELLED ? status : LEDGE_ERR_NETWORK, err.text, "");
            return;
        }
        (void)evbuffer_drain(input, used);
    }
    if (call->decoder.done) {
        finish(call, NULL);
    }
}

/* -- the connection -- */

static void connect_next(struct call *call, const char *why);

/* What TLS has to say, or NULL when it was not TLS that failed. */
static const char *tls_failure(struct call *call, char text[200])
{
    unsigned long code = bufferevent_get_openssl_error(call->bev);
    SSL *ssl = bufferevent_openssl_get_ssl(call->bev);
    /* libevent also gives SSL_get_error()'s small numbers here, which name no library. */
    if (ssl == NULL || ERR_GET_LIB(code) == 0 || ERR_GET_LIB(code) == ERR_LIB_SYS ||
        ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        return NULL; /* a peer that is not there or died is the network's failure */
    }
    const char *reason = ERR_reason_error_string(code);
    long verdict = SSL_get_verify_result(ssl);
    (void)snprintf(text, 200, "TLS: %s",
                   verdict != X509_V_OK ? X509_verify_cert_error_string(verdict)
                   : reason != NULL     ? reason
                                        : "failed");
    return text;
}

static void send_request(struct call *call)
{
    struct evbuffer *output = bufferevent_get_output(call->bev);
    call->connected = true;
    (void)evbuffer_add(output, call->head_out.data, call->head_out.len);
    if (call->body_bytes > 0) {
        (void)evbuffer_add_reference(output, call->body, call->body_bytes, NULL, NULL);
    }
    progress(call);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct call *call = arg;
    char text[200];
    int code = EVUTIL_SOCKET_ERROR();
    (void)bev;
    if ((what & BEV_EVENT_CONNECTED) != 0) {
        send_request(call);
        return;
    }
    if ((what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) == 0) {
        return;
    }
    const char *tls = call->url.secure ? tls_failure(call, text) : NULL;
    if (tls != NULL && !call->has_head) {
        fail(call, LEDGE_ERR_AUTH, tls, "");
    } else if (!call->connected) {
        connect_next(call, (what & BEV_EVENT_EOF) != 0 ? "the peer closed the connection"
                                                       : strerror(code));
    } else if ((what & BEV_EVENT_EOF) != 0 && call->has_head &&
               call->decoder.framing == SYS_HTTP_TO_CLOSE) {
        finish(call, NULL);
    } else {
        fail(call, LEDGE_ERR_NETWORK, "the connection ended before the answer did", "");
    }
}

/* The name in the URL is the name the certificate must carry. */
static bool expect_name(SSL *ssl, const char *host)
{
    unsigned char address[16];
    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1) {
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    }
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

static struct bufferevent *make_bev(struct call *call)
{
    if (!call->url.secure) {
        return bufferevent_socket_new(call->base, -1, BEV_OPT_CLOSE_ON_FREE);
    }
    SSL *ssl = SSL_new(sys_tls_ctx(call->tls));
    bool named = ssl != NULL && (sys_tls_options_of(call->tls)->verify != SYS_TLS_VERIFY_REQUIRED ||
                                 expect_name(ssl, call->url.host));
    struct bufferevent *bev =
        named ? bufferevent_openssl_socket_new(call->base, -1, ssl, BUFFEREVENT_SSL_CONNECTING,
                                               BEV_OPT_CLOSE_ON_FREE)
              : NULL;
    if (bev == NULL) {
        SSL_free(ssl);
    }
    return bev;
}

/* Try the next address; why says how the last one failed. */
static void connect_next(struct call *call, const char *why)
{
    for (;;) {
        struct sockaddr_un local = {.sun_family = AF_UNIX};
        const struct sockaddr *address = (const struct sockaddr *)&local;
        int length = sizeof local;
        if (call->next == NULL && (!call->url.local || call->bev != NULL)) {
            fail(call, LEDGE_ERR_NETWORK, "cannot connect: ", why);
            return;
        }
        if (call->url.local) {
            memcpy(local.sun_path, call->url.host, strlen(call->url.host) + 1);
        } else {
            address = call->next->ai_addr;
            length = (int)call->next->ai_addrlen;
            call->next = call->next->ai_next;
        }
        struct bufferevent *bev = make_bev(call);
        if (bev == NULL) {
            fail(call, LEDGE_ERR_NOMEM, "out of memory", "");
            return;
        }
        if (call->bev != NULL) {
            bufferevent_free(call->bev);
        }
        call->bev = bev;
        bufferevent_setcb(bev, on_read, NULL, on_event, call);
        (void)evbuffer_add_cb(bufferevent_get_output(bev), on_output, call);
        (void)bufferevent_enable(bev, EV_READ | EV_WRITE);
        progress(call);
        if (bufferevent_socket_connect(bev, address, length) == 0) {
            return;
        }
        why = strerror(errno);
    }
}

/* From the loop, so that done never comes before sys_http_start() has returned. */
static void on_begin(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    connect_next(arg, "no address");
}

static enum ledge_status resolve(struct call *call, struct ledge_error *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV};
    char port[8];
    unsigned char address[16];
    if (call->url.local) {
        if (strlen(call->url.host) >= sizeof((struct sockaddr_un *)0)->sun_path) {
            return ledge_fail(err, LEDGE_ERR_RANGE, "%s: too long for a unix socket",
                              call->url.host);
        }
        return LEDGE_OK;
    }
    (void)snprintf(port, sizeof port, "%u", call->url.port);
    if (inet_pton(AF_INET, call->url.host, address) == 1 ||
        inet_pton(AF_INET6, call->url.host, address) == 1) {
        hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    }
    int code = getaddrinfo(call->url.host, port, &hints, &call->addresses);
    if (code != 0) {
        return ledge_fail(err, LEDGE_ERR_NETWORK, "%s: %s", call->url.host, gai_strerror(code));
    }
    call->next = call->addresses;
    return LEDGE_OK;
}

static bool has_line_break(const char *text)
{
    return strpbrk(text, "\r\n") != NULL;
}

static enum ledge_status write_head(struct call *call, const struct sys_http_call *from,
                                    struct ledge_error *err)
{
    struct ledge_buf *out = &call->head_out;
    const struct sys_http_url *url = &call->url;
    bool v6 = !url->local && strchr(url->host, ':') != NULL;
    *out = LEDGE_BUF_INIT(SYS_HTTP_MAX_HEAD);
    (void)ledge_buf_printf(out, "%s %s HTTP/1.1\r\n", from->method, url->target);
    if (url->local) {
        (void)ledge_buf_text(out, "Host: localhost\r\n");
    } else {
        (void)ledge_buf_printf(out, v6 ? "Host: [%s]:%u\r\n" : "Host: %s:%u\r\n", url->host,
                               url->port);
    }
    (void)ledge_buf_text(out, "Connection: close\r\n");
    if (from->body_bytes > 0 || strcmp(from->method, "GET") != 0) {
        (void)ledge_buf_printf(out, "Content-Length: %zu\r\n", from->body_bytes);
    }
    for (size_t i = 0; from->headers != NULL && from->headers[i] != NULL; i += 2) {
        if (has_line_break(from->headers[i]) || has_line_break(from->headers[i + 1])) {
            return ledge_fail(err, LEDGE_ERR_ARG, "a line break in a header");
        }
        (void)ledge_buf_printf(out, "%s: %s\r\n", from->headers[i], from->headers[i + 1]);
    }
    if (!ledge_buf_text(out, "\r\n")) {
        return ledge_fail(err, LEDGE_ERR_RANGE, "the request's header is larger than 64 KB");
    }
    return LEDGE_OK;
}

static enum ledge_status prepare(struct call *call, const struct sys_http_call *from,
                                 struct ledge_error *err)
{
    LEDGE_TRY(sys_http_url_parse(&call->url, from->url, err));
    if (call->url.secure && from->tls == NULL) {
        return ledge_fail(err, LEDGE_ERR_ARG, "%s: https needs a TLS context", from->url);
    }
    LEDGE_TRY(write_head(call, from, err));
    if (from->body_bytes > 0) {
        call->body = malloc(from->body_bytes);
        if (call->body == NULL) {
            return ledge_fail(err, LEDGE_ERR_NOMEM, "out of memory for a body of %zu bytes",
                              from->body_bytes);
        }
        memcpy(call->body, from->body, from->body_bytes);
        call->body_bytes = from->body_bytes;
    }
    LEDGE_TRY(resolve(call, err));
    call->timer = evtimer_new(call->base, on_timer, call);
    struct timeval now = {0, 0};
    if (call->timer == NULL ||
        event_base_once(call->base, -1, EV_TIMEOUT, on_begin, call, &now) != 0) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "out of memory for a call");
    }
    return LEDGE_OK;
}

enum ledge_status sys_http_start(struct sys_loop *loop, const struct sys_http_call *call,
                                 void (*done)(void *arg, struct sys_http_reply *reply,
                                              const struct ledge_error *err),
                                 void *arg, struct ledge_error *err)
{
    struct call *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "out of memory for a call");
    }
    (void)signal(SIGPIPE, SIG_IGN);
    made->base = sys_loop_base(loop);
    made->tls = call->tls;
    made->timeout_s = call->timeout_s > 0 ? call->timeout_s : DEFAULT_TIMEOUT_S;
    made->bodiless = strcmp(call->method, "HEAD") == 0;
    made->on_data = call->on_data;
    made->data_arg = call->arg;
    made->done = done;
    made->arg = arg;
    made->reply.body = LEDGE_BUF_INIT(call->max_body > 0 ? call->max_body : DEFAULT_MAX_BODY);
    enum ledge_status status = prepare(made, call, err);
    if (status != LEDGE_OK) {
        call_free(made);
    }
    return status;
}

/* -- blocking -- */

struct fetch {
    struct sys_loop *loop;
    struct sys_http_reply reply;
    struct ledge_error err;
    bool failed;
};

static void on_fetched(void *arg, struct sys_http_reply *reply, const struct ledge_error *err)
{
    struct fetch *fetch = arg;
    if (err != NULL) {
        fetch->err = *err;
        fetch->failed = true;
    } else {
        fetch->reply = *reply;
        *reply = (struct sys_http_reply){0};
    }
    sys_loop_stop(fetch->loop);
}

enum ledge_status sys_http_fetch(const struct sys_http_call *call, struct sys_http_reply *reply,
                                 struct ledge_error *err)
{
    struct fetch fetch = {0};
    LEDGE_TRY(sys_loop_create(&fetch.loop, err));
    enum ledge_status status = sys_http_start(fetch.loop, call, on_fetched, &fetch, err);
    if (status == LEDGE_OK) {
        sys_loop_run(fetch.loop);
        if (fetch.failed) {
            status = ledge_fail(err, fetch.err.status, "%s", fetch.err.text);
        } else {
            *reply = fetch.reply;
        }
    }
    sys_loop_free(fetch.loop);
    return status;
}

enum ledge_status sys_http_status_of(int http)
{
    switch (http) {
    case 401:
    case 403:
        return LEDGE_ERR_AUTH;
    case 404:
        return LEDGE_ERR_NOT_FOUND;
    case 409:
    case 412:
        return LEDGE_ERR_EXISTS;
    case 429:
        return LEDGE_ERR_FULL;
    case 504:
        return LEDGE_ERR_TIMEOUT;
    default:
        return http >= 500 ? LEDGE_ERR_IO : LEDGE_ERR_ARG;
    }
}
