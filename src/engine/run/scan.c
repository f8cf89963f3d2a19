/* SPDX-License-Identifier: Apache-2.0 */
/* scan.c -- Scan: the body sees one slice of each scan input after the other, and its scan outputs
 * are put together along an axis. Version 8 has a batch in front of everything and goes through it
 * sample by sample. Sources: ONNX operators Scan-8, Scan-24. */
#include <string.h>

#include "base/banned.h"
#include "base/status.h"
#include "engine/run/late_ops.h"

struct scan {
    const struct ledge_graph *body;
    int32_t states, inputs, outputs; /* of the body */
    int32_t first;                   /* input of the node that is the first state */
    int32_t lead;                    /* 1: version 8, a batch in front */
    int32_t captures;
    int64_t batch, trips;
    const struct ledge_view **of; /* scan inputs */
    struct ledge_any *values;     /* states, then slices: what the body reads */
    const struct ledge_any **in;
    bool *constant;
    struct ledge_any *out;
    struct ledge_arena memory[2];
};

static int64_t number_of(const struct ledge_late_call *call, const char *name, int32_t i,
                         int64_t fallback)
{
    size_t n = 0;
    const int64_t *list = ledge_node_ints(call->node, name, &n);
    return list != NULL && (size_t)i < n ? list[i] : fallback;
}

/* The axis of scan input or output i of a tensor of that rank. */
static enum ledge_status axis_of(const struct ledge_late_call *call, const struct scan *scan,
                                 const char *name, int32_t i, int32_t rank, int32_t *axis)
{
    int64_t given = scan->lead > 0 ? 1 : number_of(call, name, i, 0);
    given += given < 0 ? rank : 0;
    if (given < 0 || given >= rank) {
        return ledge_late_fail(call, LEDGE_ERR_SHAPE, "axis of scan %d of a tensor of rank %d",
                               (int)i, (int)rank);
    }
    *axis = (int32_t)given;
    return LEDGE_OK;
}

static enum ledge_status find_body(const struct ledge_late_call *call, struct scan *scan)
{
    int32_t own = ledge_node_own_inputs(call->node);
    scan->body = ledge_node_graph(call->node, "body");
    scan->lead = call->node->opset < 9 ? 1 : 0;
    scan->first = scan->lead;
    int64_t n = ledge_node_int(call->node, "num_scan_inputs", 0);
    if (scan->body == NULL || n < 1 || n > own - scan->first) {
        return ledge_late_fail(call, LEDGE_ERR_FORMAT, "there is no body, or %lld scan inputs",
                               (long long)n);
    }
    scan->inputs = (int32_t)n;
    scan->states = own - scan->first - scan->inputs;
    scan->outputs = scan->body->n_outputs - scan->states;
    scan->captures = own;
    if (scan->outputs < 0 || call->n_out > scan->body->n_outputs ||
        scan->body->n_captures > call->n_in - own ||
        scan->body->n_inputs - scan->body->n_captures != scan->states + scan->inputs) {
        return ledge_late_fail(call, LEDGE_ERR_FORMAT, "the body does not fit the node");
    }
    if (scan->lead > 0 && call->in[0] != NULL && call->in[0]->kind != LEDGE_ANY_NONE) {
        return ledge_late_fail(call, LEDGE_ERR_UNSUPPORTED, "sequence_lens");
    }
    return LEDGE_OK;
}

static enum ledge_status scan_begin(const struct ledge_late_call *call, struct scan *scan)
{
    LEDGE_TRY(find_body(call, scan));
    size_t n = (size_t)scan->body->n_inputs;
    scan->of = LEDGE_NEW_ARRAY(call->memory, const struct ledge_view *, (size_t)scan->inputs);
    scan->values = LEDGE_NEW_ARRAY(call->memory, struct ledge_any, n);
    scan->in = LEDGE_NEW_ARRAY(call->memory, const struct ledge_any *, n);
    scan->constant = LEDGE_NEW_ARRAY(call->memory, bool, n);
    scan->out = LEDGE_NEW_ARRAY(call->memory, struct ledge_any, (size_t)scan->body->n_outputs);
    if (scan->of == NULL || scan->values == NULL || scan->in == NULL || scan->constant == NULL ||
        scan->out == NULL) {
        return ledge_late_fail(call, LEDGE_ERR_NOMEM, "no memory");
    }
    scan->trips = -1;
    scan->batch = 1;
    for (int32_t i = 0; i < scan->inputs; i++) {
        int32_t axis = 0;
        LEDGE_TRY(ledge_late_tensor(call, scan->first + scan->states + i, &scan->of[i]));
        LEDGE_TRY(axis_of(call, scan, "scan_input_axes", i, scan->of[i]->rank, &axis));
        int64_t trips = scan->of[i]->dims[axis];
        scan->batch = scan->lead > 0 ? scan->of[0]->dims[0] : 1;
        if ((scan->trips >= 0 && trips != scan->trips) ||
            (scan->lead > 0 && scan->of[i]->dims[0] != scan->batch)) {
            return ledge_late_fail(call, LEDGE_ERR_SHAPE, "scan inputs have %lld and %lld slices",
                                   (long long)scan->trips, (long long)trips);
        }
        scan->trips = trips;
    }
    for (int32_t i = 0; i < scan->states + scan->inputs; i++) {
        scan->in[i] = &scan->values[i];
    }
    for (int32_t i = 0; i < scan->body->n_captures; i++) {
        scan->in[scan->states + scan->inputs + i] = call->in[scan->captures + i];
        scan->constant[scan->states + scan->inputs + i] = call->constant[scan->captures + i];
    }
    return LEDGE_OK;
}

/* Sample `sample` of a batched view: the same view without its first dimension. */
static struct ledge_view sample_of(const struct ledge_view *view, int64_t sample, int32_t lead)
{
    struct ledge_view one = *view;
    if (lead > 0) {
        one.rank--;
        memmove(one.dims, one.dims + 1, (size_t)one.rank * sizeof one.dims[0]);
        one.data = (char *)view->data + (size_t)sample * ledge_view_bytes(&one);
    }
    return one;
}

static enum ledge_status slice_of(const struct ledge_late_call *call, struct scan *scan, int32_t i,
                                  int64_t sample, int64_t trip, struct ledge_arena *memory)
{
    struct ledge_view whole = sample_of(scan->of[i], sample, scan->lead);
    int32_t axis = 0;
    LEDGE_TRY(axis_of(call, scan, "scan_input_axes", i, scan->of[i]->rank, &axis));
    axis -= scan->lead;
    bool reverse =
        number_of(call, scan->lead > 0 ? "directions" : "scan_input_directions", i, 0) != 0;
    const struct ledge_around a = ledge_view_around(&whole, axis);
    size_t at = (size_t)(reverse ? scan->trips - 1 - trip : trip);
    struct ledge_view one = whole;
    one.rank--;
    memmove(one.dims + axis, one.dims + axis + 1, (size_t)(one.rank - axis) * sizeof one.dims[0]);
    if (a.outer == 1) {
        one.data = (char *)whole.data + at * a.inner;
    } else {
        one = ledge_view_new(memory, one.dtype, one.rank, one.dims);
        if (one.data == NULL) {
            return ledge_late_fail(call, LEDGE_ERR_NOMEM, "no memory for a slice");
        }
        for (size_t o = 0; o < a.outer && a.inner > 0; o++) {
            memcpy((char *)one.data + o * a.inner,
                   (const char *)whole.data + (o * a.n + at) * a.inner, a.inner);
        }
    }
    scan->values[scan->states + i] = ledge_any_tensor(one);
    return LEDGE_OK;
}

/* Output `number` of the node gets its shape from the first thing put into it. */
static enum ledge_status room_for(const struct ledge_late_call *call, const struct scan *scan,
                                  int32_t number, const struct ledge_view *one, int32_t axis)
{
    void *data;
    bool state = number < scan->states;
    int64_t dims[LEDGE_MAX_RANK];
    int32_t rank = 0, from = 0;
    int32_t total = one->rank + scan->lead + (state ? 0 : 1);
    if (total > LEDGE_MAX_RANK) {
        return ledge_late_fail(call, LEDGE_ERR_SHAPE, "output %d has rank %d", (int)number,
                               (int)total);
    }
    while (rank < total) {
        if (scan->lead > 0 && rank == 0) {
            dims[rank++] = scan->batch;
        } else if (!state && rank == axis) {
            dims[rank++] = scan->trips;
        } else {
            dims[rank++] = one->dims[from++];
        }
    }
    return ledge_late_make(call, number, one->dtype, rank, dims, &data);
}

static enum ledge_status put(const struct ledge_late_call *call, const struct scan *scan,
                             int32_t number, const struct ledge_any *any, int64_t sample,
                             int64_t trip)
{
    const struct ledge_view *one = &any->view;
    int32_t axis = 0;
    bool state = number < scan->states;
    if (number >= call->n_out) {
        return LEDGE_OK;
    }
    if (any->kind != LEDGE_ANY_TENSOR) {
        return ledge_late_fail(call, LEDGE_ERR_DTYPE, "output %d is no tensor", (int)number);
    }
    if (!state) {
        LEDGE_TRY(axis_of(call, scan, "scan_output_axes", number - scan->states,
                          one->rank + 1 + scan->lead, &axis));
    }
    if (call->out[number].kind == LEDGE_ANY_NONE) {
        LEDGE_TRY(room_for(call, scan, number, one, axis));
    }
    struct ledge_view whole = sample_of(&call->out[number].view, sample, scan->lead);
    const struct ledge_around a = ledge_view_around(&whole, state ? 0 : axis - scan->lead);
    size_t parts = state ? 1 : a.outer, bytes = ledge_view_bytes(one);
    if (bytes * (state ? 1 : a.n) != ledge_view_bytes(&whole)) {
        return ledge_late_fail(call, LEDGE_ERR_SHAPE, "output %d changes its shape", (int)number);
    }
    bool reverse = !state && number_of(call, "scan_output_directions", number - scan->states, 0);
    size_t at = (size_t)(reverse ? scan->trips - 1 - trip : trip);
    for (size_t o = 0; o < parts && bytes > 0; o++) {
        size_t to = state ? 0 : (o * a.n + at) * a.inner;
        memcpy((char *)whole.data + to, (const char *)one->data + o * (bytes / parts),
               bytes / parts);
    }
    return LEDGE_OK;
}

static enum ledge_status scan_trip(const struct ledge_late_call *call, struct scan *scan,
                                   int64_t sample, int64_t trip)
{
    struct ledge_arena *next = &scan->memory[trip % 2];
    struct ledge_allocator allocator = next->allocator;
    ledge_arena_done(next);
    ledge_arena_init(next, &allocator);
    for (int32_t i = 0; i < scan->inputs; i++) {
        LEDGE_TRY(slice_of(call, scan, i, sample, trip, next));
    }
    LEDGE_TRY(ledge_nest_run(call->nest, scan->body, scan->in, scan->constant, scan->body->n_inputs,
                             scan->out, call->err));
    for (int32_t i = 0; i < scan->states; i++) {
        struct ledge_any copy;
        if (!ledge_any_copy(next, &scan->out[i], &copy)) {
            return ledge_late_fail(call, LEDGE_ERR_NOMEM, "no memory for a state");
        }
        scan->values[i] = copy;
    }
    for (int32_t i = 0; i < scan->outputs; i++) {
        LEDGE_TRY(put(call, scan, scan->states + i, &scan->out[scan->states + i], sample, trip));
    }
    return LEDGE_OK;
}

static enum ledge_status scan_run(const struct ledge_late_call *call, struct scan *scan)
{
    LEDGE_TRY(scan_begin(call, scan));
    if (scan->trips == 0 && scan->outputs > 0) {
        return ledge_late_fail(call, LEDGE_ERR_UNSUPPORTED, "scan inputs without a slice");
    }
    for (int64_t sample = 0; sample < scan->batch; sample++) {
        for (int32_t i = 0; i < scan->states; i++) {
            const struct ledge_view *state = NULL;
            LEDGE_TRY(ledge_late_tensor(call, scan->first + i, &state));
            if (scan->lead > 0 && (state->rank < 1 || state->dims[0] != scan->batch)) {
                return ledge_late_fail(call, LEDGE_ERR_SHAPE, "state %d has another batch", (int)i);
            }
            scan->values[i] = ledge_any_tensor(sample_of(state, sample, scan->lead));
        }
        for (int64_t trip = 0; trip < scan->trips; trip++) {
            LEDGE_TRY(scan_trip(call, scan, sample, trip));
        }
        for (int32_t i = 0; i < scan->states; i++) {
            LEDGE_TRY(put(call, scan, i, &scan->values[i], sample, 0));
        }
    }
    return LEDGE_OK;
}

enum ledge_status ledge_late_scan(const struct ledge_late_call *call)
{
    struct scan scan = {.trips = 0};
    ledge_arena_init(&scan.memory[0], &call->memory->allocator);
    ledge_arena_init(&scan.memory[1], &call->memory->allocator);
    enum ledge_status status = scan_run(call, &scan);
    ledge_arena_done(&scan.memory[0]);
    ledge_arena_done(&scan.memory[1]);
    return status;
}
