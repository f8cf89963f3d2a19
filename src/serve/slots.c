/* SPDX-License-Identifier: Apache-2.0 */
/* slots.c -- see slots.h. */
#include "serve/slots.h"

#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "sys/file.h"

void serve_slots_init(struct serve_slots *slots)
{
    *slots = (struct serve_slots){0};
}

static void slot_free(struct serve_slot *slot)
{
    for (int32_t i = 0; i < slot->n_counted; i++) {
        free(slot->counted[i]);
    }
    free(slot);
}

void serve_slots_done(struct serve_slots *slots)
{
    for (int32_t i = 0; i < slots->n; i++) {
        slot_free(slots->slots[i]);
    }
    slots->n = 0;
}

struct serve_slot *serve_slots_find(const struct serve_slots *slots, const char *name)
{
    for (int32_t i = 0; i < slots->n; i++) {
        if (strcmp(slots->slots[i]->name, name) == 0) {
            return slots->slots[i];
        }
    }
    return NULL;
}

/* A full table makes room by forgetting a model that is unloaded and idle. */
static int32_t free_place(struct serve_slots *slots)
{
    if (slots->n < SERVE_MAX_SLOTS) {
        return slots->n++;
    }
    for (int32_t i = 0; i < slots->n; i++) {
        struct serve_slot *slot = slots->slots[i];
        if (slot->current == NULL && slot->pending == 0 && slot->loading == 0) {
            slot_free(slot);
            return i;
        }
    }
    return -1;
}

enum ledge_status serve_slots_get(struct serve_slots *slots, const char *name,
                                  struct serve_slot **out, struct ledge_error *err)
{
    struct serve_slot *slot = serve_slots_find(slots, name);
    if (slot == NULL) {
        slot = calloc(1, sizeof(*slot));
        if (slot == NULL) {
            return ledge_fail(err, LEDGE_ERR_NOMEM, "out of memory");
        }
        int32_t place = free_place(slots);
        if (place < 0) {
            free(slot);
            return ledge_fail(err, LEDGE_ERR_FULL, "%d models are loaded, more are not taken",
                              SERVE_MAX_SLOTS);
        }
        memcpy(slot->name, name, strlen(name) + 1);
        slots->slots[place] = slot;
    }
    *out = slot;
    return LEDGE_OK;
}

/* The oldest counters that no version holds, or -1. */
static int32_t oldest_idle(const struct serve_slot *slot)
{
    int32_t oldest = -1;
    for (int32_t i = 0; i < slot->n_counted; i++) {
        bool idle = slot->counted[i]->holders == 0;
        if (idle && (oldest < 0 || slot->counted[i]->age < slot->counted[oldest]->age)) {
            oldest = i;
        }
    }
    return oldest;
}

static enum ledge_status counts_of(struct serve_slot *slot, const char *version,
                                   struct serve_counts **out, struct ledge_error *err)
{
    for (int32_t i = 0; i < slot->n_counted; i++) {
        if (strcmp(slot->counted[i]->version, version) == 0) {
            *out = slot->counted[i];
            return LEDGE_OK;
        }
    }
    int32_t place = slot->n_counted < SERVE_MAX_COUNTED ? slot->n_counted : oldest_idle(slot);
    struct serve_counts *counts = calloc(1, sizeof(*counts));
    if (counts == NULL || place < 0) {
        free(counts);
        return ledge_fail(err, LEDGE_ERR_NOMEM, "model %s: %d versions are still in use",
                          slot->name, SERVE_MAX_COUNTED);
    }
    if (place == slot->n_counted) {
        slot->n_counted++;
    } else {
        free(slot->counted[place]);
    }
    memcpy(counts->version, version, strlen(version) + 1);
    slot->counted[place] = counts;
    *out = counts;
    return LEDGE_OK;
}

enum ledge_status serve_slot_flip(struct serve_slot *slot, struct serve_version *version,
                                  struct serve_version **old, struct ledge_error *err)
{
    LEDGE_TRY(counts_of(slot, version->version, &version->counts, err));
    version->counts->holders++;
    version->counts->age = slot->next_age++;
    version->refs = 1;
    *old = slot->current;
    slot->current = version;
    return LEDGE_OK;
}

struct serve_version *serve_slot_empty(struct serve_slot *slot)
{
    struct serve_version *version = slot->current;
    slot->current = NULL;
    return version;
}

void serve_version_ref(struct serve_version *version)
{
    version->refs++;
}

void serve_version_unref(struct serve_version *version)
{
    version->refs--;
    if (version->refs == 0) {
        version->counts->holders--;
        version->drained(version->drained_arg);
    }
}

void serve_version_retire(struct serve_version *version, void (*drained)(void *arg), void *arg)
{
    version->drained = drained;
    version->drained_arg = arg;
    serve_version_unref(version);
}

static void count_code(struct serve_counts *counts, int32_t status)
{
    for (int32_t i = 0; i < SERVE_MAX_CODES; i++) {
        bool mine = counts->codes[i].status == status || counts->codes[i].status == 0;
        if (mine || i == SERVE_MAX_CODES - 1) { /* the last place takes all that are left */
            counts->codes[i].status = mine ? status : counts->codes[i].status;
            counts->codes[i].n++;
            return;
        }
    }
}

void serve_count(struct serve_slot *slot, struct serve_version *version, int32_t status,
                 int64_t duration_ns, const int64_t *stages)
{
    struct serve_counts *counts = version->counts;
    count_code(counts, status);
    serve_histogram_add(&counts->duration, duration_ns);
    for (int32_t i = 0; stages != NULL && i < SERVE_STAGES; i++) {
        serve_histogram_add(&counts->stages[i], stages[i]);
    }
    counts->failed_s += status == 200 ? 0 : (double)duration_ns * 1e-9;
    counts->last_ms = sys_now_ms();
    if (slot->loading > 0) {
        serve_histogram_add(&slot->during, duration_ns);
    }
}

uint64_t serve_slot_answers(const struct serve_slot *slot, bool good)
{
    uint64_t n = 0;
    for (int32_t i = 0; i < slot->n_counted; i++) {
        for (int32_t k = 0; k < SERVE_MAX_CODES; k++) {
            if ((slot->counted[i]->codes[k].status == 200) == good) {
                n += slot->counted[i]->codes[k].n;
            }
        }
    }
    return n;
}
