/* SPDX-License-Identifier: Apache-2.0 */
/* loop_test.c -- timers, descriptors, signals, posts from another thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/loop.h"

/* libevent's, but without memory when told so. */
static bool no_memory;

struct event *event_new(struct event_base *base, evutil_socket_t fd, short events,
                        event_callback_fn fn, void *arg)
{
    struct event *(*real)(struct event_base *, evutil_socket_t, short, event_callback_fn, void *);
    *(void **)&real = dlsym(RTLD_NEXT, "event_new");
    return no_memory ? NULL : real(base, fd, events, fn, arg);
}

struct bench {
    struct sys_loop *loop;
    struct sys_timer *timer;
    struct sys_watch *watch;
    int ticks, reads, signals, posts;
    int pipe[2];
};

static void too_late(void *arg)
{
    (void)arg;
    fail_msg("the loop did not come to its end within 20 s");
}

static struct sys_timer *open_bench(struct bench *b)
{
    assert_int_equal(sys_loop_create(&b->loop, NULL), LEDGE_OK);
    return sys_timer_start(b->loop, 20000, 0, too_late, NULL);
}

static void on_tick(void *arg)
{
    struct bench *b = arg;
    if (++b->ticks == 3) {
        sys_timer_free(b->timer); /* from inside its own callback */
        b->timer = NULL;
        sys_loop_stop(b->loop);
    }
}

static void timer_repeats_until_freed(void **state)
{
    struct bench b = {0};
    (void)state;
    struct sys_timer *limit = open_bench(&b);
    b.timer = sys_timer_start(b.loop, 0, 1, on_tick, &b);
    assert_non_null(b.timer);
    sys_loop_run(b.loop);
    assert_int_equal(b.ticks, 3);
    sys_timer_free(limit);
    sys_loop_free(b.loop);
}

static void on_pipe(void *arg, int events)
{
    struct bench *b = arg;
    char byte;
    assert_int_equal(events, SYS_READ);
    assert_int_equal(read(b->pipe[0], &byte, 1), 1);
    b->reads++;
    sys_watch_free(b->watch);
    sys_loop_stop(b->loop);
}

static void watch_sees_a_readable_pipe(void **state)
{
    struct bench b = {0};
    (void)state;
    struct sys_timer *limit = open_bench(&b);
    assert_int_equal(pipe(b.pipe), 0);
    b.watch = sys_watch_start(b.loop, b.pipe[0], SYS_READ, on_pipe, &b);
    assert_non_null(b.watch);
    assert_int_equal(write(b.pipe[1], "x", 1), 1);
    sys_loop_run(b.loop);
    assert_int_equal(b.reads, 1);
    close(b.pipe[0]);
    close(b.pipe[1]);
    sys_timer_free(limit);
    sys_loop_free(b.loop);
}

static void on_hup(void *arg)
{
    struct bench *b = arg;
    b->signals++;
    sys_loop_stop(b->loop);
}

static void signal_is_called_on_the_loop(void **state)
{
    struct bench b = {0};
    (void)state;
    struct sys_timer *limit = open_bench(&b);
    assert_int_equal(sys_loop_signal(b.loop, SIGHUP, on_hup, &b, NULL), LEDGE_OK);
    kill(getpid(), SIGHUP);
    sys_loop_run(b.loop);
    assert_int_equal(b.signals, 1);
    sys_timer_free(limit);
    sys_loop_free(b.loop);
}

enum { POSTS = 1000 };

static void on_post(void *arg)
{
    struct bench *b = arg;
    if (++b->posts == POSTS) {
        sys_loop_stop(b->loop);
    }
}

static void *poster(void *arg)
{
    struct bench *b = arg;
    for (int i = 0; i < POSTS; i++) {
        sys_loop_post(b->loop, on_post, b);
    }
    return NULL;
}

static void posts_of_a_thread_all_arrive(void **state)
{
    struct bench b = {0};
    pthread_t thread;
    (void)state;
    struct sys_timer *limit = open_bench(&b);
    assert_int_equal(pthread_create(&thread, NULL, poster, &b), 0);
    sys_loop_run(b.loop);
    pthread_join(thread, NULL);
    assert_int_equal(b.posts, POSTS);
    sys_timer_free(limit);
    sys_loop_free(b.loop);
}

static void stop_before_run_ends_the_run_at_once(void **state)
{
    struct bench b = {0};
    (void)state;
    struct sys_timer *limit = open_bench(&b);
    sys_loop_stop(b.loop);
    sys_loop_run(b.loop);
    sys_timer_free(limit);
    sys_loop_free(b.loop);
}

static void timer_without_memory_is_told_or_ends_the_process(void **state)
{
    struct bench b = {0};
    int status = 0;
    (void)state;
    struct sys_timer *limit = open_bench(&b);
    no_memory = true;
    assert_null(sys_timer_try(b.loop, 0, 0, on_tick, &b));
    pid_t child = fork();
    if (child == 0) {
        (void)signal(SIGABRT, SIG_DFL); /* not cmocka's */
        (void)sys_timer_start(b.loop, 0, 0, on_tick, &b);
        _exit(0);
    }
    no_memory = false;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    sys_timer_free(limit);
    sys_loop_free(b.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timer_repeats_until_freed),
        cmocka_unit_test(watch_sees_a_readable_pipe),
        cmocka_unit_test(signal_is_called_on_the_loop),
        cmocka_unit_test(posts_of_a_thread_all_arrive),
        cmocka_unit_test(timer_without_memory_is_told_or_ends_the_process),
        cmocka_unit_test(stop_before_run_ends_the_run_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
