/* SPDX-License-Identifier: Apache-2.0 */
/* pool_test.c -- every index runs exactly once, whatever the number of threads and tasks, and
 * whatever a thread is kept from. */
#define _GNU_SOURCE /* sched_getaffinity */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
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
            }
        }
        ledge_pool_free(pool);
    }
}

static void hit_span(void *arg, int32_t first, int32_t last, int32_t worker)
{
    assert_true(first < last);
    for (int32_t i = first; i < last; i++) {
        hit(arg, i, worker);
    }
}

static void spans_cover_all_once(void **state)
{
    (void)state;
    static struct tally tally;
    for (int32_t threads = 1; threads <= 4; threads++) {
        struct ledge_pool *pool = NULL;
        assert_int_equal(ledge_pool_create(threads, NULL, &pool, NULL), LEDGE_OK);
        for (int32_t n = 0; n < MOST; n++) {
            memset(&tally, 0, sizeof tally);
            ledge_pool_spans(pool, n, hit_span, &tally);
            for (int32_t i = 0; i < MOST; i++) {
                assert_int_equal(tally.hits[i], i < n);
            }
        }
        ledge_pool_free(pool);
    }
}

static void one_span(void *arg, int32_t first, int32_t last, int32_t worker)
{
    int32_t *seen = arg;
    seen[0]++;
    seen[1] = first;
    seen[2] = last;
    seen[3] = worker;
}

static void without_a_pool_all_is_one_span(void **state)
{
    (void)state;
    int32_t seen[4] = {0};
    ledge_pool_spans(NULL, 100, one_span, seen);
    assert_int_equal(seen[0], 1);
    assert_int_equal(seen[1], 0);
    assert_int_equal(seen[2], 100);
    assert_int_equal(seen[3], 0);
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

/* Worker 1 keeps the first piece that it gets until the caller has done everything else. A piece is
 * at most three quarters of a thread's range of INDICES / 2. */
enum { INDICES = 64, PIECE_MOST = INDICES / 2 * 3 / 4 };

struct stall {
    atomic_int by_caller;
    atomic_int by_worker;
    atomic_bool gave_up;
};

static void stall(void *arg, int32_t first, int32_t last, int32_t worker)
{
    struct stall *stall = arg;
    int n = last - first;
    if (worker == 0) {
        (void)atomic_fetch_add(&stall->by_caller, n);
        return;
    }
    double until = ledge_port_seconds() + 20;
    while (atomic_load(&stall->by_caller) < INDICES - n && !atomic_load(&stall->gave_up)) {
        if (ledge_port_seconds() > until) {
            atomic_store(&stall->gave_up, true);
        }
    }
    (void)atomic_fetch_add(&stall->by_worker, n);
}

static void a_slow_thread_is_helped(void **state)
{
    (void)state;
    struct ledge_pool *pool = NULL;
    assert_int_equal(ledge_pool_create(2, NULL, &pool, NULL), LEDGE_OK);
    for (int round = 0; round < 20; round++) {
        static struct stall shared;
        atomic_init(&shared.by_caller, 0);
        atomic_init(&shared.by_worker, 0);
        ledge_pool_spans(pool, INDICES, stall, &shared);
        assert_false(atomic_load(&shared.gave_up));
        int by_worker = atomic_load(&shared.by_worker);
        assert_int_equal(atomic_load(&shared.by_caller) + by_worker, INDICES);
        assert_true(by_worker <= PIECE_MOST);
    }
    ledge_pool_free(pool);
}

/* Two tasks that wait for each other, so that each thread has one. */
struct pair {
    atomic_int met, looked;
    cpu_set_t masks[2];
    bool kept; /* the worker is kept from its CPU for longer than the caller spins */
};

static void meet(atomic_int *count)
{
    (void)atomic_fetch_add(count, 1);
    while (atomic_load(count) < 2) {
        (void)sched_yield();
    }
}

static void look(void *arg, int32_t index, int32_t worker)
{
    struct pair *pair = arg;
    (void)index;
    meet(&pair->met);
    (void)sched_getaffinity(0, sizeof pair->masks[worker], &pair->masks[worker]);
    meet(&pair->looked); /* till then the caller cannot move the worker */
    if (pair->kept && worker != 0) {
        (void)usleep(2000);
    }
}

/* However a worker is moved about, it has its own mask again in the next job. */
static void masks_are_given_back(void **state)
{
    (void)state;
    cpu_set_t own;
    assert_int_equal(sched_getaffinity(0, sizeof own, &own), 0);
    struct ledge_pool *pool = NULL;
    assert_int_equal(ledge_pool_create(2, NULL, &pool, NULL), LEDGE_OK);
    for (int round = 0; round < 40; round++) {
        struct pair pair = {.kept = round % 2 == 0};
        if (round % 8 < 2) {
            (void)usleep(1000); /* the worker falls asleep, and is woken anywhere */
        }
        ledge_pool_run(pool, 2, look, &pair);
        assert_true(CPU_EQUAL(&pair.masks[0], &own));
        assert_true(CPU_EQUAL(&pair.masks[1], &own));
    }
    ledge_pool_free(pool);
}

#if !defined(__SANITIZE_THREAD__) /* which does not let a child of several threads go on */
static void a_child_works_alone(void **state)
{
    (void)state;
    static struct tally tally;
    struct ledge_pool *pool = NULL;
    assert_int_equal(ledge_pool_create(3, NULL, &pool, NULL), LEDGE_OK);
    ledge_pool_run(pool, 10, hit, &tally);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        memset(&tally, 0, sizeof tally);
        ledge_pool_run(pool, MOST, hit, &tally);
        int sum = 0;
        for (int i = 0; i < MOST; i++) {
            sum += tally.hits[i] == 1 && tally.worker[i] == 0;
        }
        ledge_pool_free(pool);
        _exit(sum == MOST ? 7 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    memset(&tally, 0, sizeof tally);
    ledge_pool_run(pool, MOST, hit, &tally); /* the parent's workers are still there */
    assert_int_equal(tally.hits[MOST - 1], 1);
    ledge_pool_free(pool);
}
#endif

static void quotas_are_rounded_up(void **state)
{
    (void)state;
    assert_int_equal(ledge_quota_cpus("max 100000\n"), INT32_MAX);
    assert_int_equal(ledge_quota_cpus("50000 100000\n"), 1);
    assert_int_equal(ledge_quota_cpus("150000 100000\n"), 2);
    assert_int_equal(ledge_quota_cpus("400000 100000\n"), 4);
    assert_int_equal(ledge_quota_cpus("9223372036854775807 1"), INT32_MAX);
    assert_int_equal(ledge_quota_cpus("-1 100000"), INT32_MAX);
    assert_int_equal(ledge_quota_cpus("100000"), INT32_MAX);
    assert_int_equal(ledge_quota_cpus(""), INT32_MAX);
    assert_true(ledge_port_quota() >= 1);
    assert_true(ledge_port_cpus() >= 1 && ledge_port_cpus() <= ledge_port_quota());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_index_once),
        cmocka_unit_test(spans_cover_all_once),
        cmocka_unit_test(without_a_pool_all_is_one_span),
        cmocka_unit_test(sleepers_wake),
        cmocka_unit_test(a_slow_thread_is_helped),
        cmocka_unit_test(masks_are_given_back),
#if !defined(__SANITIZE_THREAD__)
        cmocka_unit_test(a_child_works_alone),
#endif
        cmocka_unit_test(quotas_are_rounded_up),
        cmocka_unit_test(too_many_threads_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
