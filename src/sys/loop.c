/* SPDX-License-Identifier: Apache-2.0 */
/* loop.c -- the event loop. Other threads speak to it through one eventfd: it wakes the loop, which
 * then runs what was posted and looks at the stop flag. So libevent itself is only ever touched by
 * the loop's own thread and needs no locks. */
#include "sys/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/status.h"

struct posted {
    struct posted *next;
    void (*fn)(void *arg);
    void *arg;
};

struct handler { /* of a signal */
    struct handler *next;
    struct event *event;
    void (*fn)(void *arg);
    void *arg;
};

struct sys_loop {
    struct event_base *base;
    struct event *wake;
    int wake_fd;
    atomic_bool stop;
    struct handler *handlers;
    pthread_mutex_t lock; /* guards the list below */
    struct posted *first, **last;
};

struct sys_timer {
    struct event *event;
    struct timeval every; /* 0: once */
    void (*fn)(void *arg);
    void *arg;
};

struct sys_watch {
    struct event *event;
    void (*fn)(void *arg, int events);
    void *arg;
};

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct sys_loop *loop = arg;
    uint64_t count;
    (void)what;
    ssize_t unused = read(fd, &count, sizeof count);
    (void)unused;
    pthread_mutex_lock(&loop->lock);
    struct posted *list = loop->first;
    loop->first = NULL;
    loop->last = &loop->first;
    pthread_mutex_unlock(&loop->lock);
    while (list != NULL) {
        struct posted *next = list->next;
        list->fn(list->arg);
        free(list);
        list = next;
    }
    if (atomic_exchange(&loop->stop, false)) {
        event_base_loopbreak(loop->base);
    }
}

enum ledge_status sys_loop_create(struct sys_loop **out, struct ledge_error *err)
{
    struct sys_loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "event loop: out of memory");
    }
    loop->last = &loop->first;
    pthread_mutex_init(&loop->lock, NULL);
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    loop->base = event_base_new();
    if (loop->wake_fd >= 0 && loop->base != NULL) {
        loop->wake = event_new(loop->base, loop->wake_fd, EV_READ | EV_PERSIST, on_wake, loop);
    }
    if (loop->wake == NULL || event_add(loop->wake, NULL) != 0) {
        sys_loop_free(loop);
        return ledge_fail(err, LEDGE_ERR_IO, "event loop: %s", strerror(errno));
    }
    *out = loop;
    return LEDGE_OK;
}

void sys_loop_free(struct sys_loop *loop)
{
    if (loop == NULL) {
        return;
    }
    while (loop->handlers != NULL) {
        struct handler *next = loop->handlers->next;
        event_free(loop->handlers->event);
        free(loop->handlers);
        loop->handlers = next;
    }
    while (loop->first != NULL) {
        struct posted *next = loop->first->next;
        free(loop->first);
        loop->first = next;
    }
    if (loop->wake != NULL) {
        event_free(loop->wake);
    }
    if (loop->base != NULL) {
        event_base_free(loop->base);
    }
    if (loop->wake_fd >= 0) {
        close(loop->wake_fd);
    }
    pthread_mutex_destroy(&loop->lock);
    free(loop);
}

void sys_loop_run(struct sys_loop *loop)
{
    (void)event_base_dispatch(loop->base);
}

static void wake(struct sys_loop *loop)
{
    uint64_t one = 1;
    ssize_t unused = write(loop->wake_fd, &one, sizeof one);
    (void)unused;
}

void sys_loop_stop(struct sys_loop *loop)
{
    atomic_store(&loop->stop, true);
    wake(loop);
}

void sys_loop_post(struct sys_loop *loop, void (*fn)(void *arg), void *arg)
{
    struct posted *item = malloc(sizeof *item);
    if (item == NULL) {
        abort(); /* a lost callback is a hang that nobody could explain */
    }
    *item = (struct posted){.fn = fn, .arg = arg};
    pthread_mutex_lock(&loop->lock);
    *loop->last = item;
    loop->last = &item->next;
    pthread_mutex_unlock(&loop->lock);
    wake(loop);
}

static struct timeval timeval_of(int64_t ms)
{
    ms = ms < 0 ? 0 : ms;
    return (struct timeval){.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct sys_timer *timer = arg;
    (void)fd;
    (void)what;
    if (timer->every.tv_sec != 0 || timer->every.tv_usec != 0) {
        event_add(timer->event, &timer->every);
    }
    timer->fn(timer->arg); /* last: fn may free the timer */
}

struct sys_timer *sys_timer_try(struct sys_loop *loop, int64_t delay_ms, int64_t repeat_ms,
                                void (*fn)(void *arg), void *arg)
{
    struct timeval delay = timeval_of(delay_ms);
    struct sys_timer *timer = calloc(1, sizeof *timer);
    if (timer == NULL) {
        return NULL;
    }
    timer->fn = fn;
    timer->arg = arg;
    timer->every = timeval_of(repeat_ms);
    timer->event = event_new(loop->base, -1, 0, on_timer, timer);
    if (timer->event == NULL || event_add(timer->event, &delay) != 0) {
        sys_timer_free(timer);
        return NULL;
    }
    return timer;
}

struct sys_timer *sys_timer_start(struct sys_loop *loop, int64_t delay_ms, int64_t repeat_ms,
                                  void (*fn)(void *arg), void *arg)
{
    struct sys_timer *timer = sys_timer_try(loop, delay_ms, repeat_ms, fn, arg);
    if (timer == NULL) {
        abort(); /* as in sys_loop_post() */
    }
    return timer;
}

void sys_timer_free(struct sys_timer *timer)
{
    if (timer == NULL) {
        return;
    }
    if (timer->event != NULL) {
        event_free(timer->event);
    }
    free(timer);
}

static void on_watch(evutil_socket_t fd, short what, void *arg)
{
    struct sys_watch *watch = arg;
    (void)fd;
    watch->fn(watch->arg,
              ((what & EV_READ) != 0 ? SYS_READ : 0) | ((what & EV_WRITE) != 0 ? SYS_WRITE : 0));
}

struct sys_watch *sys_watch_start(struct sys_loop *loop, int fd, int events,
                                  void (*fn)(void *arg, int events), void *arg)
{
    short what = EV_PERSIST;
    what |= (short)((events & SYS_READ) != 0 ? EV_READ : 0);
    what |= (short)((events & SYS_WRITE) != 0 ? EV_WRITE : 0);
    struct sys_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL) {
        return NULL;
    }
    watch->fn = fn;
    watch->arg = arg;
    watch->event = event_new(loop->base, fd, what, on_watch, watch);
    if (watch->event == NULL || event_add(watch->event, NULL) != 0) {
        sys_watch_free(watch);
        return NULL;
    }
    return watch;
}

void sys_watch_free(struct sys_watch *watch)
{
    if (watch == NULL) {
        return;
    }
    if (watch->event != NULL) {
        event_free(watch->event);
    }
    free(watch);
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
    const struct handler *handler = arg;
    (void)number;
    (void)what;
    handler->fn(handler->arg);
}

enum ledge_status sys_loop_signal(struct sys_loop *loop, int number, void (*fn)(void *arg),
                                  void *arg, struct ledge_error *err)
{
    struct handler *handler = calloc(1, sizeof *handler);
    if (handler == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "signal %d: out of memory", number);
    }
    handler->fn = fn;
    handler->arg = arg;
    handler->event = evsignal_new(loop->base, number, on_signal, handler);
    if (handler->event == NULL || event_add(handler->event, NULL) != 0) {
        if (handler->event != NULL) {
            event_free(handler->event);
        }
        free(handler);
        return ledge_fail(err, LEDGE_ERR_IO, "signal %d: cannot be watched", number);
    }
    handler->next = loop->handlers;
    loop->handlers = handler;
    return LEDGE_OK;
}

struct event_base *sys_loop_base(struct sys_loop *loop)
{
    return loop->base;
}
