/* SPDX-License-Identifier: Apache-2.0 */
/* watch.h -- the parts of watch.c: configuration, state, camera, HTTP over a unix socket. One
 * thread.
 */
#ifndef WATCH_H
#define WATCH_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <jansson.h>

extern volatile sig_atomic_t watch_stop;

void watch_log(const char *format, ...) __attribute__((format(printf, 1, 2)));
double watch_now(void); /* seconds, monotonic */
void watch_wait(double seconds);
void watch_back_off(double *delay); /* 50 ms, doubled up to 2 s, with jitter; 0 starts again */

/* -- configuration: defaults, under LEDGE_CONFIG, under the command line ------------------------
 */

struct watch_config {
    char source[1024], model[65], order[16], alert_label[128];
    double fps, threshold, alert_threshold, sample_interval_s, metric_s;
    int64_t seed;
    int top, alert_streak;
    bool loop;
};

/* Ends the program with a message when something is missing. */
void watch_config_read(struct watch_config *config, int argc, char **argv);

/* -- state: position and names of stored frames, in LEDGE_STATE ---------------------------------
 */

struct watch_state {
    char folder[1024];
    char run[33];
    uint64_t number, round, index;
    int list; /* descriptor of `stored` */
    char **names;
    size_t n_names, max_names;
};

void watch_state_open(struct watch_state *state, const char *folder);
void watch_state_save(const struct watch_state *state);
bool watch_state_has(const struct watch_state *state, const char *name);
void watch_state_add(struct watch_state *state, const char *name);

/* -- camera -------------------------------------------------------------------------------------
 */

struct watch_frame {
    char name[1024];
    const char *content_type;
    void *bytes; /* OWNED: free() */
    size_t n;
};

struct watch_source {
    const struct watch_config *config;
    bool simulated;
    char **names; /* of a folder, in the order of the round */
    size_t n_names;
    bool listed;
    bool told; /* that there is none */
    uint64_t listed_round;
    double due;
    pid_t child; /* ffmpeg */
    FILE *stream;
    double delay;
};

void watch_source_open(struct watch_source *source, const struct watch_config *config);

/* The next frame; false when there is none now. */
bool watch_source_next(struct watch_source *source, struct watch_state *state,
                       struct watch_frame *frame);
void watch_source_advance(struct watch_source *source, struct watch_state *state);

/* -- HTTP over a unix socket, kept open between calls -------------------------------------------
 */

struct watch_link {
    const char *path;
    int fd; /* -1: closed */
};

struct watch_reply {
    char *body; /* OWNED: watch_reply_done(); NUL behind n bytes */
    size_t n;
    const char *problem; /* when there is no answer */
};

void watch_link_init(struct watch_link *link, const char *path);

/* POST body with one more header; the answer's status, 0 when there is none. A kept connection that
 * the server had closed meanwhile is opened again once. */
int watch_call(struct watch_link *link, const char *target, const char *header, const char *value,
               const void *body, size_t n, struct watch_reply *reply);
const char *watch_reply_text(const struct watch_reply *reply);
void watch_reply_done(struct watch_reply *reply);

#endif
