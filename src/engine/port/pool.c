/* SPDX-License-Identifier: Apache-2.0 */
/* pool.c -- the thread pool: one job at a time, told by a generation number that workers wait for.
 *
 * The indices of a job are dealt out as one range for each thread. A thread takes pieces from the
 * front of its own range, then from the back of the others': a thread that is slow, or has lost its
 * CPU to another process, keeps only the piece it is at. A range is one word (end, next) that is
 * changed by compare-and-swap. A piece can be taken only while its job is not done, so that whoever
 * has one may read the job's fields, however late it comes. Nobody has to come: in a child of
 * fork(), where the workers are not, the caller does it all.
 *
 * The caller writes the job, then the ranges (release), raises `generation` and takes part. Waiting
 * spins for at most SPIN_SECONDS and then sleeps on the word itself. When there are more threads
 * than CPUs nobody spins: the one who is waited for needs the CPU. A line of the cache that another
 * CPU has costs a tenth of a microsecond: the job stands beside the generation, and only the last
 * of the caller's writes, the one that raises it, waits for the lines of all.
 *
 * Where threads run is the scheduler's choice, but for two things that cost milliseconds. A worker
 * may be woken on the caller's CPU though another one is idle: it moves off. And a worker may have
 * lost its CPU in the middle of a piece that the caller waits for: it gets the caller's, which has
 * nothing else to do. Both are done with affinity masks, of which a worker has its own back after.
 */
#define _GNU_SOURCE /* syscall, CPU_SET */
#include "engine/port/pool.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/banned.h"
#include "base/status.h"
#include "engine/port/port.h"

#define SPIN_SECONDS 50e-6
/* How long the caller looks whether the worker that it waits for has a CPU. */
#define LOOK_SECONDS 100e-6

enum { SPINS_BETWEEN_LOOKS = 32, LINE = 64 };

struct worker {
    struct ledge_pool *pool;
    int32_t index;
    pthread_t thread;
    double used; /* of a CPU, when the caller began to look */
};

struct range {
    _Alignas(LINE) atomic_uint_least64_t left; /* end << 32 | next */
    atomic_bool at_work;                       /* the worker whose range it is */
};

struct ledge_pool {
    _Alignas(LINE) atomic_uint generation;
    atomic_int asleep;
    void (*task)(void *arg, int32_t first, int32_t last, int32_t worker);
    void *arg;
    _Alignas(LINE) atomic_uint pending; /* indices of the job that are not done */
    atomic_int caller_asleep;
    atomic_int caller_cpu; /* when it last woke somebody */
    _Alignas(LINE) atomic_bool stop;
    bool spin;
    bool denormals; /* are kept; set between jobs */
    int32_t threads;
    int32_t started; /* workers whose thread exists */
    pid_t process;   /* that they are threads of */
    struct range *ranges;
    struct ledge_allocator allocator;
    size_t bytes;
    struct worker workers[];
};

static void futex_wait(atomic_uint *word, unsigned value, double seconds)
{
    struct timespec time = {.tv_nsec = (long)(seconds * 1e9)};
    (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, seconds > 0 ? &time : NULL, NULL, 0);
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

/* Does *word change within SPIN_SECONDS? */
static bool changes(atomic_uint *word, unsigned value)
{
    double until = 0, now;
    do {
        for (int i = 0; i < SPINS_BETWEEN_LOOKS; i++) {
            if (atomic_load_explicit(word, memory_order_acquire) != value) {
                return true;
            }
            relax();
        }
        now = ledge_port_seconds();
        until = until > 0 ? until : now + SPIN_SECONDS;
    } while (now < until);
    return false;
}

/* sleepers lets the other side skip the wake-up call. */
static void sleep_while(atomic_uint *word, unsigned value, atomic_int *sleepers, double seconds)
{
    (void)atomic_fetch_add(sleepers, 1);
    futex_wait(word, value, seconds);
    (void)atomic_fetch_sub(sleepers, 1);
}

/* A thread goes to one of the CPUs of its mask, but not to that one. */
static void leave_cpu(pthread_t thread, int cpu, const cpu_set_t *mask)
{
    cpu_set_t others = *mask;
    CPU_CLR(cpu, &others);
    if (CPU_COUNT(&others) > 0) {
        (void)pthread_setaffinity_np(thread, sizeof others, &others);
    }
    (void)pthread_setaffinity_np(thread, sizeof *mask, mask);
}

static double cpu_seconds(pthread_t thread)
{
    clockid_t clock;
    struct timespec used;
    return pthread_getcpuclockid(thread, &clock) == 0 && clock_gettime(clock, &used) == 0
               ? (double)used.tv_sec + (double)used.tv_nsec * 1e-9
               : 0;
}

/* The caller waits for workers that have a piece each. */
static void fetch_piece(struct ledge_pool *pool, unsigned left)
{
    for (int32_t i = 0; i < pool->started; i++) {
        bool at_work = atomic_load(&pool->ranges[i + 1].at_work);
        pool->workers[i].used = at_work ? cpu_seconds(pool->workers[i].thread) : 0;
    }
    sleep_while(&pool->pending, left, &pool->caller_asleep, LOOK_SECONDS);
    for (int32_t i = 0; i < pool->started && atomic_load(&pool->pending) == left; i++) {
        pthread_t thread = pool->workers[i].thread;
        int cpu = sched_getcpu();
        cpu_set_t mask, here;
        if (cpu < 0 || cpu >= CPU_SETSIZE || !atomic_load(&pool->ranges[i + 1].at_work) ||
            cpu_seconds(thread) - pool->workers[i].used > LOOK_SECONDS / 4 ||
            pthread_getaffinity_np(thread, sizeof mask, &mask) != 0 || !CPU_ISSET(cpu, &mask)) {
            continue;
        }
        CPU_ZERO(&here);
        CPU_SET(cpu, &here);
        if (pthread_setaffinity_np(thread, sizeof here, &here) == 0) {
            sleep_while(&pool->pending, left, &pool->caller_asleep, LOOK_SECONDS * 10);
            leave_cpu(thread, cpu, &mask);
        }
    }
}

/* A piece of what is left in a range: of one's own from the front, three quarters as the first one,
 * then half; half from the back of another's. False when nothing is left. */
static bool take(struct range *range, bool own, bool fresh, int32_t *first, int32_t *last)
{
    uint_least64_t left = atomic_load_explicit(&range->left, memory_order_acquire);
    for (;;) {
        uint32_t next = (uint32_t)left, end = (uint32_t)(left >> 32);
        if (next >= end) {
            return false;
        }
        uint32_t n = end - next, piece = !own || !fresh ? n - n / 2 : n > 2 ? n * 3 / 4 : n;
        uint32_t begin = own ? next : end - piece;
        uint_least64_t rest =
            own ? (uint_least64_t)end << 32 | (next + piece) : (uint_least64_t)begin << 32 | next;
        if (atomic_compare_exchange_weak_explicit(&range->left, &left, rest, memory_order_acq_rel,
                                                  memory_order_acquire)) {
            *first = (int32_t)begin;
            *last = (int32_t)(begin + piece);
            return true;
        }
    }
}

/* Work on the job until nothing of it is left to take. What is done is told before looking at the
 * next range: the caller may go on meanwhile, and what is found there then is of its next job. */
static void take_part(struct ledge_pool *pool, int32_t worker)
{
    for (int32_t k = 0; k < pool->threads; k++) {
        struct range *range = &pool->ranges[(worker + k) % pool->threads];
        unsigned done = 0;
        int32_t first, last;
        while (take(range, k == 0, done == 0, &first, &last)) {
            if (worker > 0 && pool->denormals) {
                (void)ledge_denormals_on();
            }
            pool->task(pool->arg, first, last, worker);
            done += (unsigned)(last - first);
        }
        if (done > 0) {
            (void)atomic_fetch_sub(&pool->pending, done);
            if (atomic_load(&pool->caller_asleep) > 0) {
                futex_wake(&pool->pending);
            }
        }
    }
}

/* The next job, or the end. */
static void wait_for_job(struct ledge_pool *pool, unsigned seen)
{
    if (pool->spin && changes(&pool->generation, seen)) {
        return;
    }
    while (atomic_load(&pool->generation) == seen) {
        sleep_while(&pool->generation, seen, &pool->asleep, 0);
    }
    int cpu = sched_getcpu();
    cpu_set_t mask;
    if (pool->spin && cpu >= 0 && cpu == atomic_load(&pool->caller_cpu) &&
        pthread_getaffinity_np(pthread_self(), sizeof mask, &mask) == 0) {
        leave_cpu(pthread_self(), cpu, &mask);
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
        wait_for_job(pool, seen);
        seen = atomic_load(&pool->generation);
        if (atomic_load(&pool->stop)) {
            return NULL;
        }
        atomic_bool *at_work = &pool->ranges[self->index].at_work;
        atomic_store_explicit(at_work, true, memory_order_relaxed);
        take_part(pool, self->index);
        atomic_store_explicit(at_work, false, memory_order_relaxed);
    }
}

static void announce(struct ledge_pool *pool)
{
    if (atomic_load(&pool->asleep) > 0) {
        atomic_store(&pool->caller_cpu, sched_getcpu());
    }
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
    if (threads > LEDGE_POOL_MOST) {
        return ledge_fail(err, LEDGE_ERR_ARG, "%d threads: at most %d", (int)threads,
                          LEDGE_POOL_MOST);
    }
    if (allocator == NULL) {
        allocator = ledge_allocator_default();
    }
    size_t ranges_at = sizeof(struct ledge_pool) + (size_t)(threads - 1) * sizeof(struct worker);
    ranges_at = (ranges_at + LINE - 1) / LINE * LINE;
    size_t bytes = ranges_at + (size_t)threads * sizeof(struct range);
    struct ledge_pool *made = allocator->alloc(allocator->user, bytes, LINE);
    if (made == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for a pool of %d threads", (int)threads);
    }
    *made = (struct ledge_pool){.threads = threads,
                                .spin = threads <= ledge_port_cpus(),
                                .process = getpid(),
                                .ranges = (struct range *)(void *)((char *)made + ranges_at),
                                .allocator = *allocator,
                                .bytes = bytes};
    for (int32_t i = 0; i < threads; i++) {
        atomic_init(&made->ranges[i].left, 0);
    }
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
    bool here = pool->process == getpid(); /* a child of fork() has no workers to wait for */
    if (here) {
        atomic_store(&pool->stop, true);
        announce(pool);
    }
    for (int32_t i = 0; here && i < pool->started; i++) {
        (void)pthread_join(pool->workers[i].thread, NULL);
    }
    struct ledge_allocator allocator = pool->allocator;
    allocator.release(allocator.user, pool, pool->bytes);
}

void ledge_pool_keep_denormals(struct ledge_pool *pool)
{
    if (pool != NULL) {
        pool->denormals = true;
    }
}

int32_t ledge_pool_threads(const struct ledge_pool *pool)
{
    return pool != NULL ? pool->threads : 1;
}

void ledge_pool_spans(struct ledge_pool *pool, int32_t n,
                      void (*task)(void *arg, int32_t first, int32_t last, int32_t worker),
                      void *arg)
{
    if (n <= 0) {
        return;
    }
    if (pool == NULL || n == 1) {
        task(arg, 0, n, 0);
        return;
    }
    pool->task = task;
    pool->arg = arg;
    atomic_store_explicit(&pool->pending, (unsigned)n, memory_order_relaxed);
    for (int32_t i = 0; i < pool->threads; i++) {
        uint_least64_t next = (uint_least64_t)((int64_t)n * i / pool->threads);
        uint_least64_t end = (uint_least64_t)((int64_t)n * (i + 1) / pool->threads);
        atomic_store_explicit(&pool->ranges[i].left, end << 32 | next, memory_order_release);
    }
    announce(pool);
    take_part(pool, 0);
    unsigned left;
    while ((left = atomic_load(&pool->pending)) != 0) {
        if (!pool->spin) {
            sleep_while(&pool->pending, left, &pool->caller_asleep, 0);
        } else if (!changes(&pool->pending, left)) {
            fetch_piece(pool, left);
        }
    }
}

struct single {
    void (*task)(void *arg, int32_t index, int32_t worker);
    void *arg;
};

static void one_by_one(void *arg, int32_t first, int32_t last, int32_t worker)
{
    const struct single *single = arg;
    for (int32_t i = first; i < last; i++) {
        single->task(single->arg, i, worker);
    }
}

void ledge_pool_run(struct ledge_pool *pool, int32_t n,
                    void (*task)(void *arg, int32_t index, int32_t worker), void *arg)
{
    struct single single = {.task = task, .arg = arg};
    ledge_pool_spans(pool, n, one_by_one, &single);
}
