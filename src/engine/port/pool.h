/* SPDX-License-Identifier: Apache-2.0 */
/* pool.h -- parallel for: the caller works too, each thread begins with its own part of the indices
 * and helps the others when it is done, waiting is a bounded spin, then futex.
 *
 * A NULL pool is legal everywhere and means: run on the calling thread. A pool that is not in use
 * survives fork(): in the child the caller does all the work.
 */
#ifndef LEDGE_ENGINE_PORT_POOL_H
#define LEDGE_ENGINE_PORT_POOL_H

#include <stdint.h>

#include "ledge/model.h"

struct ledge_pool;

enum { LEDGE_POOL_MOST = 256 }; /* threads of a pool */

/* threads counts the caller; 0 or 1 makes no pool (*pool = NULL). OWNED: ledge_pool_free(). */
LEDGE_NODISCARD enum ledge_status ledge_pool_create(int32_t threads,
                                                    const struct ledge_allocator *allocator,
                                                    struct ledge_pool **pool,
                                                    struct ledge_error *err);
void ledge_pool_free(struct ledge_pool *pool);

/* Threads that work, the caller included: 1 for NULL. */
int32_t ledge_pool_threads(const struct ledge_pool *pool);

/* Workers keep denormal numbers from the next job on (port.h), instead of taking them as zero. */
void ledge_pool_keep_denormals(struct ledge_pool *pool);

/* task(arg, first, last, worker) for spans first .. last - 1 that cover 0 .. n - 1, in any order:
 * long ones first, then shorter ones, so that threads end together; without a pool one span.
 * worker is 0 .. threads - 1, for memory of one's own: which one gets an index, and in what span,
 * is left to chance, and no result may depend on it. Returns when all are done. */
void ledge_pool_spans(struct ledge_pool *pool, int32_t n,
                      void (*task)(void *arg, int32_t first, int32_t last, int32_t worker),
                      void *arg);

/* The same, index by index. */
void ledge_pool_run(struct ledge_pool *pool, int32_t n,
                    void (*task)(void *arg, int32_t index, int32_t worker), void *arg);

#endif
