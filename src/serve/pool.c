/* SPDX-License-Identifier: Apache-2.0 */
/* pool.c -- a ring under one lock; the queue's places are allocated once. */
#include "serve/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/status.h"

struct task {
    void (*fn)(void *arg, int32_t thread);
    void *arg;
};

struct member {
    struct serve_pool *pool;
    pthread_t thread;
    int32_t index;
};

struct serve_pool {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct task *ring; /* max_queue places */
    int32_t first, n, max_queue;
    bool stop;
    int32_t nice;
    int32_t threads; /* that run */
    struct member *members;
};

static void *member_main(void *arg)
{
    struct member *self = arg;
    struct serve_pool *pool = self->pool;
    if (pool->nice != 0) {
        /* On Linux niceness belongs to the thread. A refusal is harmless: only the share of the
         * processor is lost. */
        (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), pool->nice);
    }
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (pool->n == 0 && !pool->stop) {
            pthread_cond_wait(&pool->wake, &pool->lock);
        }
        if (pool->n == 0) {
            break;
        }
        struct task task = pool->ring[pool->first];
        pool->first = (pool->first + 1) % pool->max_queue;
        pool->n--;
        pthread_mutex_unlock(&pool->lock);
        task.fn(task.arg, self->index);
        pthread_mutex_lock(&pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* Signals are the loop's business: threads of the pool take none. */
static bool start_member(struct member *member)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&member->thread, NULL, member_main, member) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

enum ledge_status serve_pool_create(const struct serve_pool_options *options,
                                    struct serve_pool **out, struct ledge_error *err)
{
    struct serve_pool *pool = calloc(1, sizeof(*pool));
    if (pool == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "threads: out of memory");
    }
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pool->max_queue = options->max_queue;
    pool->nice = options->nice;
    pool->ring = calloc((size_t)options->max_queue, sizeof(pool->ring[0]));
    pool->members = calloc((size_t)options->threads, sizeof(pool->members[0]));
    if (pool->ring == NULL || pool->members == NULL) {
        serve_pool_free(pool);
        return ledge_fail(err, LEDGE_ERR_NOMEM, "threads: out of memory");
    }
    for (int32_t i = 0; i < options->threads; i++) {
        pool->members[i] = (struct member){.pool = pool, .index = i};
        if (!start_member(&pool->members[i])) {
            serve_pool_free(pool);
            return ledge_fail(err, LEDGE_ERR_IO, "cannot start thread %d of %d", (int)i + 1,
                              (int)options->threads);
        }
        pool->threads++;
    }
    *out = pool;
    return LEDGE_OK;
}

bool serve_pool_push(struct serve_pool *pool, void (*fn)(void *arg, int32_t thread), void *arg)
{
    pthread_mutex_lock(&pool->lock);
    bool fits = pool->n < pool->max_queue;
    if (fits) {
        pool->ring[(pool->first + pool->n) % pool->max_queue] = (struct task){fn, arg};
        pool->n++;
        pthread_cond_signal(&pool->wake);
    }
    pthread_mutex_unlock(&pool->lock);
    return fits;
}

void serve_pool_free(struct serve_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    pthread_mutex_lock(&pool->lock);
    pool->stop = true;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    for (int32_t i = 0; i < pool->threads; i++) {
        pthread_join(pool->members[i].thread, NULL);
    }
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
    free(pool->ring);
    free(pool->members);
    free(pool);
}
