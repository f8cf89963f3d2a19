/* SPDX-License-Identifier: Apache-2.0 */
/* http.h -- HTTP/1.1 server and client on the loop (libevent's bufferevents), over TCP, TLS or a
 * unix socket.
 *
 * Not evhttp: its client cannot reach unix sockets, its server does not notice a client that left
 * while it is being answered, and both would need a reader of their own for hostile bytes anyway
 * (http_wire.c, fuzzed).
 *
 * Threads: everything on the loop's thread, except sys_http_fetch(), which blocks its caller with a
 * loop of its own. Bounds: header 64 KB, body as configured; a request over them is answered
 * 413/431 and closed. Host names are resolved before a call starts, which blocks when it needs a
 * name server.
 */
#ifndef LEDGE_SYS_HTTP_H
#define LEDGE_SYS_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "sys/loop.h"

struct sys_tls;
struct sys_http_server;
struct sys_http_request;

/* -- server -- */

struct sys_http_server_options {
    const char *unix_path; /* a unix socket (mode 0600), or NULL */
    const char *host;      /* numeric address when unix_path is NULL */
    uint16_t port;         /* 0: any; see sys_http_server_port() */
    struct sys_tls *tls;   /* BORROWED; NULL: plain */
    size_t max_body;
    int32_t timeout_s; /* idle connection, or no progress; 0: 60 */
    /* Called when a head with a body has come, before the body is read (path, headers and peer may
     * be asked): bytes this request may have, at most max_body; or NULL. */
    size_t (*limit)(void *arg, const struct sys_http_request *request);
    /* Called for every whole request; must answer, now or later, by exactly one reply or stream. */
    void (*handle)(void *arg, struct sys_http_request *request);
    void *arg;
};

LEDGE_NODISCARD enum ledge_status
sys_http_server_create(struct sys_loop *loop, const struct sys_http_server_options *options,
                       struct sys_http_server **server, struct ledge_error *err);
void sys_http_server_free(struct sys_http_server *server);
uint16_t sys_http_server_port(const struct sys_http_server *server);

/* Take no more connections and close those on which nothing is under way; the others are closed
 * after their answer. Returns how many are left; to be called again until it is 0, then freed. */
size_t sys_http_server_drain(struct sys_http_server *server);

/* Strings are BORROWED until the reply. method is upper case; path is as it was sent, still
 * percent-encoded, without query: see sys_http_path_fits(). */
const char *sys_http_method(const struct sys_http_request *request);
const char *sys_http_path(const struct sys_http_request *request);
const char *sys_http_query(const struct sys_http_request *request, const char *name);
const char *sys_http_header(const struct sys_http_request *request, const char *name);
const void *sys_http_body(struct sys_http_request *request, size_t *n);
const char *
sys_http_peer_name(const struct sys_http_request *request); /* CN of the TLS client, or NULL */
const char *
sys_http_peer_serial(const struct sys_http_request *request); /* its serial in hex, or NULL */
bool sys_http_peer_loopback(const struct sys_http_request *request);
/* Numeric address without port, or "unix". */
const char *sys_http_peer_address(const struct sys_http_request *request);
bool sys_http_closed(const struct sys_http_request *request); /* the client has gone */

/* Does path fit a pattern such as "/models/{name}/ready"? Both are split at '/', then each part of
 * the path is decoded; what stands for {…}, in order, is FILLED into parts (NULL when the pattern
 * has none). A part for {…} is not empty; a part of SYS_HTTP_PART_SIZE bytes or more fits nothing.
 * A decoded part may hold any byte but control bytes, '/' too: it is a name that somebody sent. */
enum { SYS_HTTP_PARTS = 2, SYS_HTTP_PART_SIZE = 256 };
bool sys_http_path_fits(const char *path, const char *pattern,
                        char parts[SYS_HTTP_PARTS][SYS_HTTP_PART_SIZE]);

/* Add a response header; before the reply. */
void sys_http_reply_header(struct sys_http_request *request, const char *name, const char *value);

/* Answer; body is copied. */
void sys_http_reply(struct sys_http_request *request, int status, const char *content_type,
                    const void *body, size_t n);
void sys_http_reply_text(struct sys_http_request *request, int status, const char *content_type,
                         const char *body);

/* Answer with a file, honouring Range: bytes=a-b | a- (206, 416), If-None-Match against etag (may
 * be NULL). */
void sys_http_reply_file(struct sys_http_request *request, const char *path,
                         const char *content_type, const char *etag);

/* Stream (server-sent events, tar): start, then chunks, then end. closed(arg) is called once when
 * the client goes or after end (from inside start when it went before); the request must not be
 * used after it. */
void sys_http_stream_start(struct sys_http_request *request, int status, const char *content_type,
                           void (*closed)(void *arg), void *arg);
void sys_http_stream_send(struct sys_http_request *request, const void *bytes, size_t n);
size_t sys_http_stream_pending(const struct sys_http_request *request); /* bytes not yet written */
void sys_http_stream_end(struct sys_http_request *request);

/* -- client -- */

struct sys_http_call {
    const char *method;         /* "GET", "POST", "PUT", "DELETE" */
    const char *url;            /* "http://", "https://", or "unix:/path/of/socket:/http/path" */
    const char *const *headers; /* name, value, name, value, ..., NULL; or NULL */
    const void *body;
    size_t body_bytes;
    struct sys_tls *tls; /* for https; BORROWED */
    int32_t timeout_s;   /* without progress; 0: 30 */
    size_t max_body;     /* 0: 64 MiB */
    /* Called for each piece of the answer's body when given (the reply's body is then empty); false
     * aborts. */
    bool (*on_data)(void *arg, int status, const void *bytes, size_t n);
    void *arg;
};

struct sys_http_reply {
    int status;            /* 0: no answer */
    struct ledge_buf body; /* OWNED: sys_http_reply_done() */
    char content_type[128];
    char etag[128];
};
void sys_http_reply_done(struct sys_http_reply *reply);

/* Start a call; done(arg, reply, err) is called once: reply->status > 0, or err filled
 * (ERR_NETWORK, ERR_TIMEOUT, ERR_AUTH for a TLS failure, ERR_CANCELLED). What call points to is
 * copied. */
LEDGE_NODISCARD enum ledge_status
sys_http_start(struct sys_loop *loop, const struct sys_http_call *call,
               void (*done)(void *arg, struct sys_http_reply *reply, const struct ledge_error *err),
               void *arg, struct ledge_error *err);

/* The same, blocking, for command line programs and tests. */
LEDGE_NODISCARD enum ledge_status sys_http_fetch(const struct sys_http_call *call,
                                                 struct sys_http_reply *reply,
                                                 struct ledge_error *err);

/* The status that stands for an answer that is no success. */
enum ledge_status sys_http_status_of(int http);

#endif
