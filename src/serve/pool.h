/* SPDX-License-Identifier: Apache-2.0 */
/* pool.h -- threads that take work from one bounded queue, first in first out.
 *
 * Used twice: inference workers, and one loader thread that opens and frees models.
 * Threads: push from any thread; fn runs on a thread of the pool. */
#ifndef SERVE_POOL_H
#define SERVE_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "ledge/error.h"

struct serve_pool;

struct serve_pool_options {
    int32_t threads;   /* 1 to 64 */
    int32_t max_queue; /* work that waits; more is refused */
    int32_t nice;      /* added to the threads' niceness */
};

/* OWNED: serve_pool_free(). Errors: ERR_NOMEM, ERR_IO (no thread). */
LEDGE_NODISCARD enum ledge_status serve_pool_create(const struct serve_pool_options *options,
                                                    struct serve_pool **pool,
                                                    struct ledge_error *err);

/* Run fn(arg, thread) on one of the threads; thread is its number, from 0. False: the queue is
 * full and fn will not be called. */
bool serve_pool_push(struct serve_pool *pool, void (*fn)(void *arg, int32_t thread), void *arg);

/* Finish what is queued, then join the threads. NULL is allowed. */
void serve_pool_free(struct serve_pool *pool);

#endif
