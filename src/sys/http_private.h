/* SPDX-License-Identifier: Apache-2.0 */
/* http_private.h -- what http_server.c (connections, requests) and http_reply.c (answers) share.
 *
 *   HEAD -> (BODY) -> HANDLING -> SENDING -> HEAD ...      answered, the connection is kept
 *                             \-> STREAMING -> SENDING
 *   any error -> SENDING -> LINGER -> closed               the client gets to read why */
#ifndef SYS_HTTP_PRIVATE_H
#define SYS_HTTP_PRIVATE_H

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>

#include "sys/http.h"
#include "sys/http_wire.h"

enum sys_http_state {
    SYS_HTTP_HEAD,
    SYS_HTTP_BODY,
    SYS_HTTP_HANDLING,
    SYS_HTTP_STREAMING,
    SYS_HTTP_SENDING,
    SYS_HTTP_LINGER
};

struct sys_http_connection {
    struct sys_http_connection *next, **link;
    struct sys_http_server *server;
    struct bufferevent *bev;
    struct event *timer;
    enum sys_http_state state;
    struct sys_http_request *request; /* being read, handled or streamed */
    struct sys_http_decoder decoder;
    size_t scanned;  /* bytes of the head already looked at */
    size_t lingered; /* bytes thrown away */
    int file;        /* being sent, or -1 */
    int64_t file_left;
    bool close;    /* after this answer */
    bool unread;   /* input may hold a body nobody wants: linger */
    bool loopback; /* peer is this machine */
    char address[INET6_ADDRSTRLEN];
};

struct sys_http_request {
    struct sys_http_connection *connection; /* NULL once the client has gone */
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
    char address[INET6_ADDRSTRLEN];
    void (*closed)(void *arg);
    void *closed_arg;
};

struct sys_http_server {
    struct sys_loop *loop;
    struct sys_http_server_options options;
    struct evconnlistener *listener;
    struct event *pause;
    struct sys_http_connection *connections;
    char *unix_path;
    uint16_t port;
};

/* The request's memory, whatever has become of its connection. */
void sys_http_request_free(struct sys_http_request *r);

/* The connection ends when nothing happens for the server's timeout. */
void sys_http_arm_idle(struct sys_http_connection *c);

/* An error before there is a whole request: told in one line, then the connection ends. */
void sys_http_refuse(struct sys_http_connection *c, int status, const char *text);

#endif
