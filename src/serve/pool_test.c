/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

#include <cmocka.h>

#include "serve/pool.h"

static atomic_int n_run;
static atomic_int lanes_seen[4];

static void count(void *arg, int32_t thread)
{
    (void)arg;
    atomic_fetch_add(&n_run, 1);
    atomic_fetch_add(&lanes_seen[thread], 1);
}

/* Freeing finishes what was taken: as many runs as accepted pushes, each on a thread of the pool.
 */
static void runs_all_that_it_took(void **state)
{
    (void)state;
    struct serve_pool *pool = NULL;
    struct serve_pool_options options = {.threads = 4, .max_queue = 16, .nice = 1};
    int taken = 0;
    assert_int_equal(serve_pool_create(&options, &pool, NULL), LEDGE_OK);
    for (int i = 0; i < 10000; i++) {
        taken += serve_pool_push(pool, count, NULL) ? 1 : 0;
    }
    serve_pool_free(pool);
    assert_int_equal(atomic_load(&n_run), taken);
    assert_true(taken >= 16);
    int sum = 0;
    for (int i = 0; i < 4; i++) {
        sum += atomic_load(&lanes_seen[i]);
    }
    assert_int_equal(sum, taken);
}

static void wait_at(void *arg, int32_t thread)
{
    (void)thread;
    pthread_barrier_wait(arg);
    pthread_barrier_wait(arg);
}

static void refuses_when_full(void **state)
{
    (void)state;
    struct serve_pool *pool = NULL;
    struct serve_pool_options options = {.threads = 1, .max_queue = 3};
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, 2);
    assert_int_equal(serve_pool_create(&options, &pool, NULL), LEDGE_OK);
    assert_true(serve_pool_push(pool, wait_at, &barrier));
    pthread_barrier_wait(&barrier); /* the only thread is busy now, the queue empty */
    for (int i = 0; i < 3; i++) {
        assert_true(serve_pool_push(pool, count, NULL));
    }
    assert_false(serve_pool_push(pool, count, NULL));
    pthread_barrier_wait(&barrier);
    serve_pool_free(pool);
    pthread_barrier_destroy(&barrier);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_all_that_it_took),
        cmocka_unit_test(refuses_when_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
