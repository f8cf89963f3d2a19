/* SPDX-License-Identifier: Apache-2.0 */
/* pool_test.c -- every index runs exactly once, whatever the number of threads and tasks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "engine/port/pool.h"
#include "engine/port/port.h"

enum { MOST = 300 };

struct tally {
    int hits[MOST];
    int32_t worker[MOST];
    int32_t threads;
};

static void hit(void *arg, int32_t index, int32_t worker)
{
    struct tally *tally = arg;
    tally->hits[index]++;
    tally->worker[index] = worker;
}

static void each_index_once(void **state)
{
    (void)state;
    static struct tally tally;
    for (int32_t threads = 0; threads <= 5; threads++) {
        struct ledge_pool *pool = NULL;
        assert_int_equal(ledge_pool_create(threads, NULL, &pool, NULL), LEDGE_OK);
        assert_int_equal(pool == NULL, threads <= 1);
        assert_int_equal(ledge_pool_threads(pool), threads > 1 ? threads : 1);
        for (int round = 0; round < 500; round++) {
            int32_t n = round * 7 % MOST;
            memset(&tally, 0, sizeof tally);
            ledge_pool_run(pool, n, hit, &tally);
            for (int32_t i = 0; i < MOST; i++) {
                assert_int_equal(tally.hits[i], i < n);
                assert_true(tally.worker[i] < ledge_pool_threads(pool));
                assert_true(i == 0 || i >= n || tally.worker[i] >= tally.worker[i - 1]);
            }
        }
        ledge_pool_free(pool);
    }
}

/* Workers that have gone to sleep are woken. */
static void sleepers_wake(void **state)
{
    (void)state;
    static struct tally tally;
    struct ledge_pool *pool = NULL;
    assert_int_equal(ledge_pool_create(3, NULL, &pool, NULL), LEDGE_OK);
    for (int round = 0; round < 5; round++) {
        (void)usleep(3000); /* far longer than they spin; right answers do not depend on it */
        memset(&tally, 0, sizeof tally);
        ledge_pool_run(pool, 3, hit, &tally);
        assert_int_equal(tally.hits[0] + tally.hits[1] + tally.hits[2], 3);
    }
    ledge_pool_free(pool);
    ledge_pool_free(NULL);
}

static void too_many_threads_are_refused(void **state)
{
    (void)state;
    struct ledge_pool *pool = NULL;
    struct ledge_error err;
    assert_int_equal(ledge_pool_create(100000, NULL, &pool, &err), LEDGE_ERR_ARG);
    assert_null(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_index_once),
        cmocka_unit_test(sleepers_wake),
        cmocka_unit_test(too_many_threads_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
