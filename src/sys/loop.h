/* SPDX-License-Identifier: Apache-2.0 */
/* loop.h -- one event loop a thread (libevent): timers, descriptors, signals, and work posted by
 * other threads. */
#ifndef LEDGE_SYS_LOOP_H
#define LEDGE_SYS_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "ledge/error.h"

struct sys_loop;
struct sys_timer;
struct sys_watch;

/* OWNED: sys_loop_free(). */
LEDGE_NODISCARD enum ledge_status sys_loop_create(struct sys_loop **loop, struct ledge_error *err);
void sys_loop_free(struct sys_loop *loop);

/* Run until sys_loop_stop(). stop may be called from any thread and from a signal callback. */
void sys_loop_run(struct sys_loop *loop);
void sys_loop_stop(struct sys_loop *loop);

/* Call fn after delay_ms, then every repeat_ms (0: once). OWNED: sys_timer_free(), also from inside
 * fn. Never NULL: whoever waits for a timer that did not start hangs without a word, so without
 * memory for it the process ends, and its supervisor starts it again. */
struct sys_timer *sys_timer_start(struct sys_loop *loop, int64_t delay_ms, int64_t repeat_ms,
                                  void (*fn)(void *arg), void *arg);
/* The same for those who can do without, or tell who waits: NULL when out of memory. */
struct sys_timer *sys_timer_try(struct sys_loop *loop, int64_t delay_ms, int64_t repeat_ms,
                                void (*fn)(void *arg), void *arg);
void sys_timer_free(struct sys_timer *timer);

/* Call fn when fd is readable (and writable, when asked). OWNED: sys_watch_free(), also from inside
 * fn. */
enum { SYS_READ = 1, SYS_WRITE = 2 };
struct sys_watch *sys_watch_start(struct sys_loop *loop, int fd, int events,
                                  void (*fn)(void *arg, int events), void *arg);
void sys_watch_free(struct sys_watch *watch);

/* Call fn on a signal (SIGTERM, SIGINT, SIGCHLD, SIGHUP); lives as long as the loop. */
LEDGE_NODISCARD enum ledge_status sys_loop_signal(struct sys_loop *loop, int signal,
                                                  void (*fn)(void *arg), void *arg,
                                                  struct ledge_error *err);

/* Run fn on the loop's thread; callable from any thread. Without memory the process ends. */
void sys_loop_post(struct sys_loop *loop, void (*fn)(void *arg), void *arg);

/* The libevent base, for the other wrappers in sys/. */
struct event_base;
struct event_base *sys_loop_base(struct sys_loop *loop);

#endif
