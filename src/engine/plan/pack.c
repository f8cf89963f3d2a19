/* SPDX-License-Identifier: Apache-2.0 */
/* pack.c -- the constants that kernels read in an order of their own, in one block.
 *
 * All nodes are prepared first, so that the sizes are known; then one block is taken, which on most
 * hosts lies on large pages (port.c), and each step's part of it, in the order of the steps, is
 * filled by whatever thread comes.
 */
#include <string.h>

#include "base/banned.h"
#include "base/checked.h"
#include "base/status.h"
#include "engine/plan/internal.h"

#ifdef LEDGE_HAS_PACKING_STAMP
#include "packing_stamp.h"
#else
#define LEDGE_PACKING_STAMP 0
#endif

enum { ALIGN = 64, LEAST_SHARED = 1 << 19 }; /* bytes that are worth waking threads for */

uint64_t ledge_packing_stamp(void)
{
    return LEDGE_PACKING_STAMP;
}

/* -- keys: FNV-1a, 64 bits ------------------------------------------------------------------------
 */

static void mix(uint64_t *key, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    for (size_t i = 0; i < n; i++) {
        *key = (*key ^ p[i]) * UINT64_C(0x100000001b3);
    }
}

static void mix_text(uint64_t *key, const char *text)
{
    mix(key, text, strlen(text) + 1);
}

static void mix_value(uint64_t *key, const struct ledge_graph *graph, int32_t number)
{
    mix(key, &number, sizeof number);
    if (number >= 0) {
        const struct ledge_value *value = &graph->values[number];
        mix(key, value->dims, (size_t)(value->rank > 0 ? value->rank : 0) * sizeof *value->dims);
        mix(key, &value->dtype, sizeof value->dtype);
    }
}

/* Which operator, which values (a value has one maker, so no two steps are alike), which kernel,
 * which shapes. */
static uint64_t key_of(const struct ledge_plan *plan, int32_t s)
{
    const struct ledge_plan_step *step = &plan->steps[s];
    uint64_t key = UINT64_C(0xcbf29ce484222325), bytes = step->ready.packed_bytes;
    mix(&key, &bytes, sizeof bytes);
    mix(&key, &step->ready.consistent, sizeof step->ready.consistent);
    mix_text(&key, step->node->name);
    mix_text(&key, step->node->op);
    mix_text(&key, step->ready.kernel);
    for (int32_t k = 0; k < step->node->n_in; k++) {
        mix_value(&key, &plan->graph, step->node->in[k]);
    }
    for (int32_t k = 0; k < step->node->n_out; k++) {
        mix_value(&key, &plan->graph, step->node->out[k]);
    }
    return key;
}

/* The part of step s, NULL: none fits. Parts stand in the order of the steps, so *at is a good
 * guess. */
static const void *find(const struct ledge_plan *plan, int32_t s, const struct ledge_packed *packed,
                        int32_t *at)
{
    int32_t n = packed != NULL ? packed->n : 0;
    uint64_t key = n > 0 ? key_of(plan, s) : 0;
    for (int32_t tried = 0; tried < n; tried++) {
        const struct ledge_packed_part *part = &packed->parts[(*at + tried) % n];
        if (part->key == key && part->bytes == plan->steps[s].ready.packed_bytes) {
            *at = (*at + tried + 1) % n;
            return part->data;
        }
    }
    return NULL;
}

/* A kernel may see no absent constant, and neither may pack. */
static enum ledge_status check_absent(const struct ledge_op_prepare *ready, struct ledge_error *err)
{
    uint32_t covered = ready->packed != NULL ? ready->packed_inputs : 0;
    for (int32_t k = 0; k < ready->node->n_in; k++) {
        int32_t value = ready->node->in[k];
        if (value >= 0 && ready->graph->values[value].absent &&
            (k >= 32 || (covered >> k & 1) == 0)) {
            return ledge_fail(err, LEDGE_ERR_NOT_FOUND, "node %.60s (%.30s): weights not packed",
                              ready->node->name, ready->node->op);
        }
    }
    return LEDGE_OK;
}

static void take(struct ledge_op_prepare *ready, const void *packed)
{
    ready->packed = packed;
    if (ready->bind != NULL) {
        ready->bind(ready, packed);
    }
}

static void fill(struct ledge_op_prepare *ready, void *packed)
{
    if (!ready->packs_all) {
        memset(packed, 0, ready->packed_bytes);
    }
    if (LEDGE_HAS(LEDGE_PART_ORIGINAL)) {
        ready->pack(ready, packed);
    }
    take(ready, packed);
}

void ledge_packs_nothing(const struct ledge_op_prepare *prepare, void *packed)
{
    (void)prepare;
    (void)packed;
}

/* A build for packed files only takes what they hold. */
static enum ledge_status check_may_pack(const struct ledge_op_prepare *ready,
                                        struct ledge_error *err)
{
    return LEDGE_HAS(LEDGE_PART_ORIGINAL)
               ? LEDGE_OK
               : ledge_fail(err, LEDGE_ERR_UNSUPPORTED,
                            "node %.60s (%.30s): this build packs no weights, and the file has "
                            "none that fit these shapes and options",
                            ready->node->name, ready->node->op);
}

/* What was packed is not read in place: the file's pages need not stay. */
static void forget(const struct ledge_op_prepare *ready, const struct ledge_map *file)
{
    for (int32_t k = 0; k < ready->node->n_in && k < 32 && file != NULL; k++) {
        int32_t value = ready->node->in[k];
        if ((ready->packed_inputs >> k & 1) != 0 && value >= 0) {
            const struct ledge_value *constant = &ready->graph->values[value];
            ledge_map_forget(file, constant->data, constant->bytes);
        }
    }
}

struct job {
    struct ledge_plan *plan;
    const struct ledge_map *file;
    char **to; /* by step: where its part is to stand; NULL: none, or it is there already */
};

/* One step, by any thread: numbers are packed in the same way whatever its state is. */
static void fill_step(void *arg, int32_t s, int32_t worker)
{
    (void)worker;
    const struct job *job = arg;
    struct ledge_op_prepare *ready = &job->plan->steps[s].ready;
    if (job->to[s] != NULL) {
        unsigned before = ledge_denormals_on();
        fill(ready, job->to[s]);
        ledge_denormals_restore(before);
        forget(ready, job->file);
    }
}

enum ledge_status ledge_plan_pack_now(struct ledge_op_prepare *ready)
{
    LEDGE_TRY(check_absent(ready, ready->err));
    if (ready->pack == NULL) {
        return LEDGE_OK;
    }
    LEDGE_TRY(check_may_pack(ready, ready->err));
    void *packed = ledge_arena_raw(ready->memory, ready->packed_bytes, ALIGN);
    if (packed == NULL) {
        return ledge_fail(ready->err, LEDGE_ERR_NOMEM, "no memory for packed weights");
    }
    fill(ready, packed);
    return LEDGE_OK;
}

enum ledge_status ledge_plan_pack(struct ledge_plan *plan, const struct ledge_plan_options *options,
                                  struct ledge_error *err)
{
    const struct ledge_packed *packed = options->packed;
    size_t total = 0;
    int32_t at = 0;
    for (int32_t s = 0; s < plan->n_steps; s++) {
        struct ledge_op_prepare *ready = &plan->steps[s].ready;
        size_t bytes;
        const void *found = ready->pack != NULL ? find(plan, s, packed, &at) : NULL;
        if (found != NULL) {
            take(ready, found);
        } else if (ready->pack != NULL) {
            LEDGE_TRY(check_may_pack(ready, err));
        }
        if (found == NULL && ready->pack != NULL &&
            (!ledge_align_size(ready->packed_bytes, ALIGN, &bytes) ||
             !ledge_add_size(total, bytes, &total))) {
            return ledge_fail(err, LEDGE_ERR_NOMEM, "packed weights would be too large");
        }
        LEDGE_TRY(check_absent(ready, err));
    }
    if (!LEDGE_HAS(LEDGE_PART_ORIGINAL)) {
        return LEDGE_OK;
    }
    struct job job = {.plan = plan, .file = options->file};
    job.to = LEDGE_NEW_ARRAY(&plan->memory, char *, (size_t)plan->n_steps);
    char *next = ledge_arena_raw(&plan->memory, total, ALIGN);
    if (next == NULL || job.to == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for %zu bytes of packed weights", total);
    }
    for (int32_t s = 0; s < plan->n_steps; s++) {
        const struct ledge_op_prepare *ready = &plan->steps[s].ready;
        if (ready->pack != NULL && ready->packed == NULL) {
            job.to[s] = next;
            next += (ready->packed_bytes + ALIGN - 1) / ALIGN * ALIGN;
        }
    }
    ledge_pool_run(total < LEAST_SHARED ? NULL : options->pool, plan->n_steps, fill_step, &job);
    plan->packed_bytes = total;
    return LEDGE_OK;
}

enum ledge_status ledge_plan_packed(const struct ledge_plan *plan, struct ledge_arena *arena,
                                    struct ledge_packed *packed, struct ledge_error *err)
{
    struct ledge_packed_part *parts =
        LEDGE_NEW_ARRAY(arena, struct ledge_packed_part, (size_t)plan->n_steps);
    if (parts == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for a list of packed weights");
    }
    *packed = (struct ledge_packed){.rung = (uint32_t)plan->rung, .parts = parts};
    for (int32_t s = 0; s < plan->n_steps; s++) {
        const struct ledge_op_prepare *ready = &plan->steps[s].ready;
        if (ready->pack != NULL) {
            parts[packed->n++] = (struct ledge_packed_part){
                .key = key_of(plan, s), .data = ready->packed, .bytes = ready->packed_bytes};
        }
    }
    return LEDGE_OK;
}
