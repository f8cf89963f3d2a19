/* SPDX-License-Identifier: Apache-2.0 */
/* live.c -- predictions a second of each device over the last five seconds, and the event that
 * shows them.
 *
 * Memory only: after a restart the figures start anew. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "hub/hub.h"
#include "sys/file.h"

enum { SECONDS = 5, EVENT_MS = 200 };

struct one {
    struct one *next;
    char device[FLEET_NAME_SIZE];
    int64_t second[SECONDS]; /* which second a slot counts */
    size_t count[SECONDS];
    int64_t event_ms;
};

struct hub_live {
    struct one *first;
};

enum ledge_status hub_live_create(struct hub *hub, struct ledge_error *err)
{
    hub->live = calloc(1, sizeof *hub->live);
    return hub->live != NULL ? LEDGE_OK : ledge_fail(err, LEDGE_ERR_NOMEM, "out of memory");
}

void hub_live_free(struct hub_live *live)
{
    while (live != NULL && live->first != NULL) {
        struct one *next = live->first->next;
        free(live->first);
        live->first = next;
    }
    free(live);
}

static struct one *find(struct hub_live *live, const char *device)
{
    for (struct one *one = live->first; one != NULL; one = one->next) {
        if (strcmp(one->device, device) == 0) {
            return one;
        }
    }
    return NULL;
}

static double rate(const struct one *one, int64_t now_s)
{
    size_t n = 0;
    for (int i = 0; i < SECONDS; i++) {
        /* the second that is still running is left out */
        n += one->second[i] < now_s && one->second[i] >= now_s - SECONDS + 1 ? one->count[i] : 0;
    }
    return (double)n / (SECONDS - 1);
}

void hub_live_prediction(struct hub *hub, const char *device, size_t n, const char *label,
                         double score, int64_t ts)
{
    int64_t now = sys_monotonic_ms();
    struct one *one = find(hub->live, device);
    if (one == NULL && (one = calloc(1, sizeof *one)) != NULL) {
        (void)snprintf(one->device, sizeof one->device, "%s", device);
        one->event_ms = now - EVENT_MS;
        one->next = hub->live->first;
        hub->live->first = one;
    }
    if (one == NULL) {
        return;
    }
    int slot = (int)(now / 1000 % SECONDS);
    if (one->second[slot] != now / 1000) {
        one->second[slot] = now / 1000;
        one->count[slot] = 0;
    }
    one->count[slot] += n;
    if (now - one->event_ms >= EVENT_MS) {
        one->event_ms = now;
        hub_event(hub, "prediction",
                  json_pack("{s:s,s:s?,s:f,s:o,s:f}", "device", device, "label", label, "score",
                            score, "ts", hub_json_time(ts), "fps", rate(one, now / 1000)));
    }
}

double hub_live_fps(struct hub *hub, const char *device)
{
    const struct one *one = find(hub->live, device);
    return one != NULL ? rate(one, sys_monotonic_ms() / 1000) : -1;
}
