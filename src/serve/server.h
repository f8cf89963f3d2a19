/* SPDX-License-Identifier: Apache-2.0 */
/* server.h -- the inference server: HTTP on the loop's thread, inference on workers, loads on one
 * loader thread.
 *
 *   socket -> loop: route -> queue -> worker: parse, fill, run, write -> loop: reply
 *   load   -> loader: digest, open, probe -> loop: flip -> (old drains) -> loader: free -> loop:
 * reply
 *
 * Threads: every function on the loop's thread. Memory: bounded by max_body, max_pending and the
 * models themselves. */
#ifndef SERVE_SERVER_H
#define SERVE_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledge/error.h"
#include "serve/version.h"
#include "sys/loop.h"

struct serve_server;
struct sys_tls;

struct serve_options {
    const char *unix_path; /* with model control, or NULL */
    const char *host;      /* numeric address, without model control, or NULL */
    uint16_t port;         /* 0: any; see serve_server_port() */
    struct sys_tls *tls;   /* BORROWED; for host; NULL: plain HTTP */
    int32_t threads;       /* workers, 1 to 64 */
    int32_t max_queue;     /* requests that wait for a worker */
    size_t max_body;       /* of a request */
    size_t max_pending;    /* bytes of all bodies that wait or run */
};

/* OWNED: serve_server_free(). Errors: of sockets and threads; err names the address. */
LEDGE_NODISCARD enum ledge_status serve_server_create(struct sys_loop *loop,
                                                      const struct serve_options *options,
                                                      struct serve_server **server,
                                                      struct ledge_error *err);

/* Joins the threads; answers that are not yet sent are lost, see serve_server_drain(). */
void serve_server_free(struct serve_server *server);

uint16_t serve_server_port(const struct serve_server *server);

/* Load before the loop runs, on the caller's thread (command line). */
LEDGE_NODISCARD enum ledge_status serve_server_load(struct serve_server *server,
                                                    const struct serve_source *source,
                                                    struct ledge_error *err);

/* Take no more inferences (503), finish those that are taken, then stop the loop. */
void serve_server_drain(struct serve_server *server);

#endif
