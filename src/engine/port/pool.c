/* SPDX-License-Identifier: Apache-2.0 */
/* pool.c -- the thread pool: one job at a time, told by a generation number that workers wait for.
 *
 * The caller writes the job, raises `generation` (release) and works on share 0. A worker sees the
 * new generation (acquire), works on its share and lowers `pending`. Waiting spins for a bounded
 * time and then sleeps on the word itself. When there are more threads than CPUs nobody spins: the
 * one who is waited for needs the CPU.
 */
#define _GNU_SOURCE /* syscall */
#include "engine/port/pool.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/banned.h"
#include "base/status.h"
#include "engine/port/port.h"

enum { MAX_THREADS = 256, SPINS = 4000, LINE = 64 };

struct worker {
    struct ledge_pool *pool;
    int32_t index;
    pthread_t thread;
};

struct ledge_pool {
    _Alignas(LINE) atomic_uint generation;
    atomic_int asleep;
    _Alignas(LINE) atomic_uint pending;
    atomic_int caller_asleep;
    _Alignas(LINE) void (*task)(void *arg, int32_t index, int32_t worker);
    void *arg;
    int32_t n;
    bool stop;
    int32_t threads;
    int32_t started; /* workers whose thread exists */
    int spins;
    struct ledge_allocator allocator;
    size_t bytes;
    struct worker workers[];
};

static void futex_wait(atomic_uint *word, unsigned value)
{
    (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake(atomic_uint *word)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Wait until *word is not value; sleepers lets the other side skip the wake-up call. */
static void wait_change(atomic_uint *word, unsigned value, atomic_int *sleepers, int spins)
{
    for (int i = 0; i < spins; i++) {
        if (atomic_load_explicit(word, memory_order_acquire) != value) {
            return;
        }
        relax();
    }
    while (atomic_load(word) == value) {
        (void)atomic_fetch_add(sleepers, 1);
        futex_wait(word, value);
        (void)atomic_fetch_sub(sleepers, 1);
    }
}

static void share(struct ledge_pool *pool, int32_t worker)
{
    int64_t n = pool->n;
    int32_t first = (int32_t)(n * worker / pool->threads);
    int32_t last = (int32_t)(n * (worker + 1) / pool->threads);
    for (int32_t i = first; i < last; i++) {
        pool->task(pool->arg, i, worker);
    }
}

static void *work(void *arg)
{
    struct worker *self = arg;
    struct ledge_pool *pool = self->pool;
    unsigned seen = 0;
    sigset_t all; /* signals are the application's business */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, NULL);
    (void)ledge_denormals_off();
    for (;;) {
        wait_change(&pool->generation, seen, &pool->asleep, pool->spins);
        seen++;
        if (pool->stop) {
            return NULL;
        }
        share(pool, self->index);
        if (atomic_fetch_sub(&pool->pending, 1) == 1 && atomic_load(&pool->caller_asleep) > 0) {
            futex_wake(&pool->pending);
        }
    }
}

static void announce(struct ledge_pool *pool)
{
    (void)atomic_fetch_add(&pool->generation, 1);
    if (atomic_load(&pool->asleep) > 0) {
        futex_wake(&pool->generation);
    }
}

enum ledge_status ledge_pool_create(int32_t threads, const struct ledge_allocator *allocator,
                                    struct ledge_pool **pool, struct ledge_error *err)
{
    if (threads <= 1) {
        *pool = NULL;
        return LEDGE_OK;
    }
    if (threads > MAX_THREADS) {
        return ledge_fail(err, LEDGE_ERR_ARG, "%d threads: at most %d", (int)threads, MAX_THREADS);
    }
    if (allocator == NULL) {
        allocator = ledge_allocator_default();
    }
    size_t bytes = sizeof(struct ledge_pool) + (size_t)(threads - 1) * sizeof(struct worker);
    struct ledge_pool *made = allocator->alloc(allocator->user, bytes, LINE);
    if (made == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for a pool of %d threads", (int)threads);
    }
    *made = (struct ledge_pool){.threads = threads,
                                .spins = threads <= ledge_port_cpus() ? SPINS : 0,
                                .allocator = *allocator,
                                .bytes = bytes};
    for (int32_t i = 0; i < threads - 1; i++) {
        made->workers[i] = (struct worker){.pool = made, .index = i + 1};
        if (pthread_create(&made->workers[i].thread, NULL, work, &made->workers[i]) != 0) {
            ledge_pool_free(made);
            return ledge_fail(err, LEDGE_ERR_NOMEM, "cannot start thread %d of %d", (int)i + 2,
                              (int)threads);
        }
        made->started++;
    }
    *pool = made;
    return LEDGE_OK;
}

void ledge_pool_free(struct ledge_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    pool->stop = true;
    announce(pool);
    for (int32_t i = 0; i < pool->started; i++) {
        (void)pthread_join(pool->workers[i].thread, NULL);
    }
    struct ledge_allocator allocator = pool->allocator;
    allocator.release(allocator.user, pool, pool->bytes);
}

int32_t ledge_pool_threads(const struct ledge_pool *pool)
{
    return pool != NULL ? pool->threads : 1;
}

void ledge_pool_run(struct ledge_pool *pool, int32_t n,
                    void (*task)(void *arg, int32_t index, int32_t worker), void *arg)
{
    if (pool == NULL || n <= 1) {
        for (int32_t i = 0; i < n; i++) {
            task(arg, i, 0);
        }
        return;
    }
    pool->task = task;
    pool->arg = arg;
    pool->n = n;
    atomic_store(&pool->pending, (unsigned)pool->threads - 1);
    announce(pool);
    share(pool, 0);
    unsigned left;
    while ((left = atomic_load(&pool->pending)) != 0) {
        wait_change(&pool->pending, left, &pool->caller_asleep, pool->spins);
    }
}
