/* SPDX-License-Identifier: Apache-2.0 */
/* open_cost.c -- what opening a model costs: time to ready, resident memory, arena.
 *
 *   open_cost MODEL [TIMES]        one line: the first opening, best and median of TIMES (100),
 * memory
 */
#define _POSIX_C_SOURCE 200809L
#include <ledge/ledge.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

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

int main(int argc, char **argv)
{
    int times = argc > 2 ? atoi(argv[2]) : 100;
    enum { MOST = 10000 };
    static double all[MOST];
    double first = 0;
    int done = 0;
    times = times > MOST ? MOST : times;
    long rss = status_kb("VmRSS: %ld"), anonymous = status_kb("RssAnon: %ld");
    size_t arena = 0;
    for (int i = 0; i < times && argc > 1; i++) {
        struct ledge_model *model = NULL;
        struct ledge_session *session = NULL;
        struct ledge_error err;
        double start = milliseconds();
        if (ledge_model_open(argv[1], NULL, &model, &err) != LEDGE_OK ||
            ledge_session_open(model, NULL, &session, &err) != LEDGE_OK) {
            fprintf(stderr, "open_cost: %s\n", err.text);
            return 1;
        }
        double taken = milliseconds() - start;
        all[done++] = taken;
        if (i == 0) {
            first = taken;
            rss = status_kb("VmRSS: %ld") - rss;
            anonymous = status_kb("RssAnon: %ld") - anonymous;
            arena = ledge_session_arena_bytes(session);
        }
        ledge_session_close(session);
        ledge_model_close(model);
    }
    if (argc < 2 || done == 0) {
        fprintf(stderr, "usage: open_cost MODEL [TIMES]\n");
        return 2;
    }
    qsort(all, (size_t)done, sizeof *all, by_size);
    printf(
        "ready %.2f ms (median %.2f, first %.2f), RSS +%ld kB (of it private %ld), arena %zu kB\n",
        all[0], all[done / 2], first, rss, anonymous, arena / 1024);
    return 0;
}
