/* SPDX-License-Identifier: Apache-2.0 */
/* open_cost.c -- what opening a model costs: time to ready, the first run, memory of the process.
 *
 *   open_cost MODEL [TIMES]   one line; the model is opened TIMES (100) times with the defaults
 *
 * ready      file name to a session that can run: best, median, and the very first time, when
 *            neither the library nor the heap has been touched
 * first run  of a fresh session on zeros, beside an ordinary run (the tenth): what opening left to
 *            be done. Best and median.
 * memory     growth of the resident set at ready (of it private), its peak while opening, and after
 *            ten runs. Of the first opening.
 */
#define _POSIX_C_SOURCE 200809L
#include <ledge/ledge.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MOST = 10000, MOST_TENSORS = 64, RUNS = 10 };

static double milliseconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* kB of a line of /proc/self/status. */
static long status_kb(const char *format)
{
    char line[256];
    long value = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, format, &value) == 1) {
            break;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return value;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct memory {
    long rss, anonymous, peak, arena;
};

static struct memory memory_now(void)
{
    return (struct memory){.rss = status_kb("VmRSS: %ld"),
                           .anonymous = status_kb("RssAnon: %ld"),
                           .peak = status_kb("VmHWM: %ld")};
}

/* One opening: its time, memory at ready, then runs on zeros: the first one's time and the last
 * one's. */
struct opening {
    double ready, first, later;
    struct memory memory;
};

static enum ledge_status run(struct ledge_session *session, const struct ledge_model *model,
                             struct opening *o, struct ledge_error *err)
{
    struct ledge_tensor in[MOST_TENSORS], out[MOST_TENSORS];
    int32_t n_in = ledge_model_n_inputs(model), n_out = ledge_model_n_outputs(model);
    enum ledge_status status = LEDGE_OK;
    for (int32_t i = 0; i < n_in && status == LEDGE_OK; i++) {
        status = ledge_session_input(session, i, &in[i]);
        in[i].data = status == LEDGE_OK ? calloc(1, in[i].bytes > 0 ? in[i].bytes : 1) : NULL;
    }
    for (int i = 0; i < RUNS && status == LEDGE_OK; i++) {
        double start = milliseconds();
        status = ledge_session_run(session, in, n_in, out, n_out, err);
        o->later = milliseconds() - start;
        o->first = i == 0 ? o->later : o->first;
    }
    for (int32_t i = 0; i < n_in; i++) {
        free(in[i].data);
    }
    return status;
}

static enum ledge_status open_once(const char *path, struct opening *o, struct ledge_error *err)
{
    struct ledge_model *model = NULL;
    struct ledge_session *session = NULL;
    double start = milliseconds();
    enum ledge_status status = ledge_model_open(path, NULL, &model, err);
    if (status == LEDGE_OK) {
        status = ledge_session_open(model, NULL, &session, err);
    }
    o->ready = milliseconds() - start;
    o->memory = memory_now();
    if (status == LEDGE_OK && ledge_model_n_inputs(model) <= MOST_TENSORS &&
        ledge_model_n_outputs(model) <= MOST_TENSORS) {
        o->memory.arena = (long)(ledge_session_arena_bytes(session) / 1024);
        status = run(session, model, o, err);
    }
    ledge_session_close(session);
    ledge_model_close(model);
    return status;
}

int main(int argc, char **argv)
{
    static double ready[MOST], first[MOST], later[MOST];
    int times = argc > 2 ? atoi(argv[2]) : 100;
    times = times < 1 ? 1 : times > MOST ? MOST : times;
    if (argc < 2) {
        fprintf(stderr, "usage: open_cost MODEL [TIMES]\n");
        return 2;
    }
    struct memory before = memory_now(), at_ready = before, after = before;
    double cold = 0;
    for (int i = 0; i < times; i++) {
        struct opening o = {.ready = 0};
        struct ledge_error err = {.status = LEDGE_OK};
        if (open_once(argv[1], &o, &err) != LEDGE_OK) {
            fprintf(stderr, "open_cost: %s\n", err.text);
            return 1;
        }
        ready[i] = o.ready;
        first[i] = o.first;
        later[i] = o.later;
        if (i == 0) {
            cold = o.ready;
            at_ready = o.memory;
            after = memory_now();
        }
    }
    qsort(ready, (size_t)times, sizeof *ready, by_size);
    qsort(first, (size_t)times, sizeof *first, by_size);
    qsort(later, (size_t)times, sizeof *later, by_size);
    printf(
        "ready %.2f ms (median %.2f, the very first %.2f), first run %.2f ms (median %.2f; later "
        "%.2f, %.2f), RSS +%ld kB (private %ld), peak of opening +%ld kB, of ten runs +%ld kB, "
        "arena %ld kB\n",
        ready[0], ready[times / 2], cold, first[0], first[times / 2], later[0], later[times / 2],
        at_ready.rss - before.rss, at_ready.anonymous - before.anonymous,
        at_ready.peak - before.rss, after.peak - before.rss, at_ready.arena);
    return 0;
}
