/* SPDX-License-Identifier: Apache-2.0 */
/* slots.h -- which version of each model answers, and the counters of each.
 *
 * A slot has at most one current version. serve_slots_flip() puts a new one in its place by a
 * pointer write; requests that took the old one keep it by a reference, and when the last gives it
 * back, the old version's `drained` is called. So no request ever waits for a load and none sees
 * half a model. Threads: the loop's thread only. Memory: 64 slots of 8 counted versions at most. */
#ifndef SERVE_SLOTS_H
#define SERVE_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#include "serve/histogram.h"
#include "serve/version.h"

enum { SERVE_MAX_SLOTS = 64, SERVE_MAX_COUNTED = 8, SERVE_MAX_CODES = 8 };

enum serve_stage { SERVE_QUEUE, SERVE_PRE, SERVE_COMPUTE, SERVE_POST, SERVE_STAGES };

/* Of one version; kept after it has gone, until eight younger ones came. */
struct serve_counts {
    char version[SERVE_NAME_BYTES];
    int32_t holders; /* opened versions that count here: not evicted */
    uint64_t age;
    struct {
        int32_t status;
        uint64_t n;
    } codes[SERVE_MAX_CODES];
    struct serve_histogram duration;
    struct serve_histogram stages[SERVE_STAGES]; /* of answers with status 200 */
    double failed_s; /* part of duration that is of other answers than 200 */
    int64_t last_ms; /* since 1970, of the last answer */
};

struct serve_slot {
    char name[SERVE_NAME_BYTES];
    struct serve_version *current; /* NULL: unloaded */
    struct serve_counts *counted[SERVE_MAX_COUNTED];
    int32_t n_counted;
    uint64_t next_age;
    int32_t pending; /* requests taken and not yet answered */
    int32_t loading; /* loads under way */
    uint64_t loads, failed_loads;
    struct serve_histogram swap;   /* how long the loop stood still for a flip */
    struct serve_histogram during; /* whole requests that ended while a load was under way */
    double load_ms;                /* of the last load, from request to flip */
};

struct serve_slots {
    struct serve_slot *slots[SERVE_MAX_SLOTS];
    int32_t n;
};

void serve_slots_init(struct serve_slots *slots);

/* Versions must have been taken out and closed before. */
void serve_slots_done(struct serve_slots *slots);

/* NULL when there is none of this name. */
struct serve_slot *serve_slots_find(const struct serve_slots *slots, const char *name);

/* The slot of this name, made when absent. Errors: ERR_FULL, ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status serve_slots_get(struct serve_slots *slots, const char *name,
                                                  struct serve_slot **slot,
                                                  struct ledge_error *err);

/* Make version current; the slot holds one reference. What was current before is in *old (NULL:
 * nothing): the caller calls serve_version_retire() on it. Errors: ERR_NOMEM, nothing changed. */
LEDGE_NODISCARD enum ledge_status serve_slot_flip(struct serve_slot *slot,
                                                  struct serve_version *version,
                                                  struct serve_version **old,
                                                  struct ledge_error *err);

/* Take the current version out (NULL when there is none), to be retired by the caller. */
struct serve_version *serve_slot_empty(struct serve_slot *slot);

void serve_version_ref(struct serve_version *version);
void serve_version_unref(struct serve_version *version);

/* Give the slot's reference back; drained(arg) is called once when the last holder has, maybe at
 * once. The version is then the callee's to close. */
void serve_version_retire(struct serve_version *version, void (*drained)(void *arg), void *arg);

/* Count an answer of a version; stages (SERVE_STAGES values) may be NULL. */
void serve_count(struct serve_slot *slot, struct serve_version *version, int32_t status,
                 int64_t duration_ns, const int64_t *stages);

/* Sums over the counted versions of a slot. */
uint64_t serve_slot_answers(const struct serve_slot *slot, bool good);

#endif
