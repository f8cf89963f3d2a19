/* SPDX-License-Identifier: Apache-2.0 */
/* sequence.c -- sequences and optionals. A sequence is a list of views; what they show stays where
 * it was made, so these operators copy no elements but for SplitToSequence and ConcatFromSequence.
 * Source: ONNX operators of these names, version 24. */
#include <string.h>

#include "base/banned.h"
#include "base/checked.h"
#include "base/status.h"
#include "engine/run/late_ops.h"

/* Output 0 becomes a sequence of n items, to be FILLED. */
static enum ledge_status make_sequence(const struct ledge_late_call *call, int64_t n,
                                       struct ledge_view **items)
{
    *items = LEDGE_NEW_ARRAY(call->memory, struct ledge_view, (size_t)n);
    if (*items == NULL) {
        return ledge_late_fail(call, LEDGE_ERR_NOMEM, "no memory for %lld items", (long long)n);
    }
    call->out[0] = (struct ledge_any){.kind = LEDGE_ANY_SEQUENCE, .items = *items, .n = n};
    return LEDGE_OK;
}

/* A position in -n .. n - 1 (n itself when end) brought to 0 .. */
static enum ledge_status position(const struct ledge_late_call *call, int32_t input, int64_t n,
                                  bool end, int64_t fallback, int64_t *at)
{
    if (input >= call->n_in || call->in[input] == NULL || call->in[input]->kind == LEDGE_ANY_NONE) {
        *at = fallback;
    } else {
        LEDGE_TRY(ledge_late_whole(call, input, at));
    }
    *at += *at < 0 ? n : 0;
    if (*at < 0 || *at > n || (*at == n && !end)) {
        return ledge_late_fail(call, LEDGE_ERR_RANGE, "position %lld of %lld", (long long)*at,
                               (long long)n);
    }
    return LEDGE_OK;
}

enum ledge_status ledge_late_sequence_empty(const struct ledge_late_call *call)
{
    struct ledge_view *items;
    return make_sequence(call, 0, &items);
}

enum ledge_status ledge_late_sequence_construct(const struct ledge_late_call *call)
{
    struct ledge_view *items;
    LEDGE_TRY(make_sequence(call, call->n_in, &items));
    for (int32_t i = 0; i < call->n_in; i++) {
        const struct ledge_view *view = NULL;
        LEDGE_TRY(ledge_late_tensor(call, i, &view));
        items[i] = *view;
    }
    return LEDGE_OK;
}

enum ledge_status ledge_late_sequence_at(const struct ledge_late_call *call)
{
    const struct ledge_any *sequence = NULL;
    int64_t at = 0;
    LEDGE_TRY(ledge_late_sequence(call, 0, &sequence));
    LEDGE_TRY(position(call, 1, sequence->n, false, -1, &at));
    call->out[0] = ledge_any_tensor(sequence->items[at]);
    return LEDGE_OK;
}

enum ledge_status ledge_late_sequence_insert(const struct ledge_late_call *call)
{
    const struct ledge_any *sequence = NULL;
    const struct ledge_view *view = NULL;
    struct ledge_view *items;
    int64_t at = 0;
    LEDGE_TRY(ledge_late_sequence(call, 0, &sequence));
    LEDGE_TRY(ledge_late_tensor(call, 1, &view));
    LEDGE_TRY(position(call, 2, sequence->n, true, sequence->n, &at));
    LEDGE_TRY(make_sequence(call, sequence->n + 1, &items));
    for (int64_t i = 0; i <= sequence->n; i++) {
        items[i] = i == at ? *view : sequence->items[i - (i > at)];
    }
    return LEDGE_OK;
}

enum ledge_status ledge_late_sequence_erase(const struct ledge_late_call *call)
{
    const struct ledge_any *sequence = NULL;
    struct ledge_view *items;
    int64_t at = 0;
    LEDGE_TRY(ledge_late_sequence(call, 0, &sequence));
    LEDGE_TRY(position(call, 1, sequence->n, false, -1, &at));
    LEDGE_TRY(make_sequence(call, sequence->n - 1, &items));
    for (int64_t i = 0; i < sequence->n - 1; i++) {
        items[i] = sequence->items[i + (i >= at)];
    }
    return LEDGE_OK;
}

enum ledge_status ledge_late_sequence_length(const struct ledge_late_call *call)
{
    const struct ledge_any *sequence = NULL;
    void *data;
    LEDGE_TRY(ledge_late_sequence(call, 0, &sequence));
    LEDGE_TRY(ledge_late_make(call, 0, LEDGE_I64, 0, NULL, &data));
    *(int64_t *)data = sequence->n;
    return LEDGE_OK;
}

/* -- SplitToSequence, ConcatFromSequence -- */

static enum ledge_status axis_of(const struct ledge_late_call *call, int32_t rank, int32_t *axis)
{
    int64_t given = ledge_node_int(call->node, "axis", 0);
    given += given < 0 ? rank : 0;
    if (given < 0 || given >= rank) {
        return ledge_late_fail(call, LEDGE_ERR_SHAPE, "axis of a tensor of rank %d", (int)rank);
    }
    *axis = (int32_t)given;
    return LEDGE_OK;
}

/* Sizes of the parts: *n of them, FILLED into call's memory. */
static enum ledge_status split_sizes(const struct ledge_late_call *call, int64_t total,
                                     int64_t **sizes, int64_t *n)
{
    const struct ledge_view *split = NULL;
    int64_t size = 1;
    bool given = call->n_in > 1 && call->in[1] != NULL && call->in[1]->kind != LEDGE_ANY_NONE;
    if (given) {
        LEDGE_TRY(ledge_late_tensor(call, 1, &split));
    }
    if (given && split->rank == 0) {
        LEDGE_TRY(ledge_late_whole(call, 1, &size));
        if (size < 1) {
            return ledge_late_fail(call, LEDGE_ERR_RANGE, "parts of %lld", (long long)size);
        }
    }
    bool list = given && split->rank == 1;
    if (given &&
        ((!list && split->rank != 0) || (split->dtype != LEDGE_I64 && split->dtype != LEDGE_I32))) {
        return ledge_late_fail(call, LEDGE_ERR_SHAPE, "split is no list of i64 or i32");
    }
    *n = list ? split->dims[0] : total / size + (total % size != 0);
    *sizes = LEDGE_NEW_ARRAY(call->memory, int64_t, (size_t)*n);
    if (*sizes == NULL) {
        return ledge_late_fail(call, LEDGE_ERR_NOMEM, "no memory for %lld parts", (long long)*n);
    }
    int64_t left = total;
    for (int64_t i = 0; i < *n; i++) {
        int64_t part = !list                       ? (left < size ? left : size)
                       : split->dtype == LEDGE_I64 ? ((const int64_t *)split->data)[i]
                                                   : ((const int32_t *)split->data)[i];
        if (part < 0 || part > left) {
            return ledge_late_fail(call, LEDGE_ERR_RANGE, "part %lld of size %lld", (long long)i,
                                   (long long)part);
        }
        (*sizes)[i] = part;
        left -= part;
    }
    return left == 0 ? LEDGE_OK
                     : ledge_late_fail(call, LEDGE_ERR_SHAPE, "the parts leave %lld of %lld",
                                       (long long)left, (long long)total);
}

enum ledge_status ledge_late_split_to_sequence(const struct ledge_late_call *call)
{
    const struct ledge_view *x = NULL;
    struct ledge_view *items;
    int64_t *sizes, n, at = 0;
    int32_t axis = 0;
    LEDGE_TRY(ledge_late_tensor(call, 0, &x));
    LEDGE_TRY(axis_of(call, x->rank, &axis));
    LEDGE_TRY(split_sizes(call, x->dims[axis], &sizes, &n));
    LEDGE_TRY(make_sequence(call, n, &items));
    bool given = call->n_in > 1 && call->in[1] != NULL && call->in[1]->kind != LEDGE_ANY_NONE;
    bool drop = !given && ledge_node_int(call->node, "keepdims", 1) == 0;
    const struct ledge_around a = ledge_view_around(x, axis);
    for (int64_t i = 0; i < n; i++) {
        int64_t dims[LEDGE_MAX_RANK];
        memcpy(dims, x->dims, sizeof dims);
        dims[axis] = sizes[i];
        items[i] = ledge_view_new(call->memory, x->dtype, x->rank, dims);
        if (items[i].data == NULL) {
            return ledge_late_fail(call, LEDGE_ERR_NOMEM, "no memory for part %lld", (long long)i);
        }
        size_t run = (size_t)sizes[i] * a.inner;
        for (size_t o = 0; o < a.outer && run > 0; o++) {
            memcpy((char *)items[i].data + o * run,
                   (const char *)x->data + (o * a.n + (size_t)at) * a.inner, run);
        }
        at += sizes[i];
        if (drop) {
            items[i].rank--;
            memmove(items[i].dims + axis, items[i].dims + axis + 1,
                    (size_t)(items[i].rank - axis) * sizeof dims[0]);
        }
    }
    return LEDGE_OK;
}

/* The shape of the whole: the items' with `axis` summed, or counted when it is new. */
static enum ledge_status concat_dims(const struct ledge_late_call *call,
                                     const struct ledge_any *sequence, bool fresh, int32_t axis,
                                     int64_t *dims)
{
    const struct ledge_view *first = &sequence->items[0];
    int64_t total = fresh ? sequence->n : 0;
    for (int64_t i = 0; i < sequence->n; i++) {
        const struct ledge_view *item = &sequence->items[i];
        bool same = item->dtype == first->dtype && item->rank == first->rank;
        for (int32_t k = 0; same && k < item->rank; k++) {
            same = item->dims[k] == first->dims[k] || (!fresh && k == axis);
        }
        if (!same || (!fresh && item->dims[axis] > INT64_MAX - total)) {
            return ledge_late_fail(call, LEDGE_ERR_SHAPE, "item %lld has another shape",
                                   (long long)i);
        }
        total += fresh ? 0 : item->dims[axis];
    }
    int32_t from = 0, rank = first->rank + (fresh ? 1 : 0);
    for (int32_t k = 0; k < rank; k++) {
        if (k == axis) {
            dims[k] = total;
            from += fresh ? 0 : 1;
        } else {
            dims[k] = first->dims[from++];
        }
    }
    return LEDGE_OK;
}

enum ledge_status ledge_late_concat_from_sequence(const struct ledge_late_call *call)
{
    const struct ledge_any *sequence = NULL;
    int64_t dims[LEDGE_MAX_RANK + 1];
    int32_t axis = 0;
    void *data;
    LEDGE_TRY(ledge_late_sequence(call, 0, &sequence));
    bool fresh = ledge_node_int(call->node, "new_axis", 0) != 0;
    if (sequence->n == 0) {
        return ledge_late_fail(call, LEDGE_ERR_SHAPE, "the sequence is empty");
    }
    int32_t rank = sequence->items[0].rank + (fresh ? 1 : 0);
    LEDGE_TRY(axis_of(call, rank, &axis));
    if (rank > LEDGE_MAX_RANK) {
        return ledge_late_fail(call, LEDGE_ERR_SHAPE, "rank %d", (int)rank);
    }
    LEDGE_TRY(concat_dims(call, sequence, fresh, axis, dims));
    LEDGE_TRY(ledge_late_make(call, 0, sequence->items[0].dtype, rank, dims, &data));
    const struct ledge_around whole = ledge_view_around(&call->out[0].view, axis);
    size_t at = 0;
    for (int64_t i = 0; i < sequence->n; i++) {
        const struct ledge_view *item = &sequence->items[i];
        size_t n = fresh ? 1 : (size_t)item->dims[axis];
        for (size_t o = 0; o < whole.outer && n * whole.inner > 0; o++) {
            memcpy((char *)data + (o * whole.n + at) * whole.inner,
                   (const char *)item->data + o * n * whole.inner, n * whole.inner);
        }
        at += n;
    }
    return LEDGE_OK;
}

/* -- optionals -- */

static bool has_element(const struct ledge_late_call *call)
{
    return call->n_in > 0 && call->in[0] != NULL && call->in[0]->kind != LEDGE_ANY_NONE;
}

enum ledge_status ledge_late_optional(const struct ledge_late_call *call)
{
    if (has_element(call)) {
        call->out[0] = *call->in[0];
    }
    return LEDGE_OK;
}

enum ledge_status ledge_late_optional_get(const struct ledge_late_call *call)
{
    if (!has_element(call)) {
        return ledge_late_fail(call, LEDGE_ERR_RANGE, "the optional is empty");
    }
    call->out[0] = *call->in[0];
    return LEDGE_OK;
}

enum ledge_status ledge_late_optional_has(const struct ledge_late_call *call)
{
    void *data;
    LEDGE_TRY(ledge_late_make(call, 0, LEDGE_BOOL, 0, NULL, &data));
    *(uint8_t *)data = has_element(call);
    return LEDGE_OK;
}

/* -- SequenceMap -- */

static enum ledge_status map_item(const struct ledge_late_call *call,
                                  const struct ledge_graph *body, int32_t own, int64_t item,
                                  struct ledge_any *values, struct ledge_view **items)
{
    struct ledge_any *out = values + body->n_inputs;
    const struct ledge_any **in =
        LEDGE_NEW_ARRAY(call->memory, const struct ledge_any *, (size_t)body->n_inputs);
    bool *constant = LEDGE_NEW_ARRAY(call->memory, bool, (size_t)body->n_inputs);
    if (in == NULL || constant == NULL) {
        return ledge_late_fail(call, LEDGE_ERR_NOMEM, "no memory");
    }
    for (int32_t i = 0; i < body->n_inputs; i++) {
        const struct ledge_any *from = call->in[i];
        in[i] = from;
        if (i < own && from != NULL && from->kind == LEDGE_ANY_SEQUENCE) {
            if (item >= from->n) {
                return ledge_late_fail(call, LEDGE_ERR_SHAPE, "sequences of different lengths");
            }
            values[i] = ledge_any_tensor(from->items[item]);
            in[i] = &values[i];
        } else {
            constant[i] = call->constant[i];
        }
    }
    LEDGE_TRY(ledge_nest_run(call->nest, body, in, constant, body->n_inputs, out, call->err));
    for (int32_t i = 0; i < call->n_out; i++) {
        if (out[i].kind != LEDGE_ANY_TENSOR) {
            return ledge_late_fail(call, LEDGE_ERR_DTYPE, "the body's output %d is no tensor",
                                   (int)i);
        }
        if (!ledge_view_copy(call->memory, &out[i].view, &items[i][item])) {
            return ledge_late_fail(call, LEDGE_ERR_NOMEM, "no memory for an item");
        }
    }
    return LEDGE_OK;
}

enum ledge_status ledge_late_sequence_map(const struct ledge_late_call *call)
{
    const struct ledge_any *first = NULL;
    const struct ledge_graph *body = ledge_node_graph(call->node, "body");
    int32_t own = ledge_node_own_inputs(call->node);
    if (body == NULL || body->n_inputs != call->n_in || body->n_outputs < call->n_out) {
        return ledge_late_fail(call, LEDGE_ERR_FORMAT, "the body does not fit the node");
    }
    LEDGE_TRY(ledge_late_sequence(call, 0, &first));
    struct ledge_any *values = LEDGE_NEW_ARRAY(call->memory, struct ledge_any,
                                               (size_t)body->n_inputs + (size_t)body->n_outputs);
    struct ledge_view **items =
        LEDGE_NEW_ARRAY(call->memory, struct ledge_view *, (size_t)call->n_out);
    for (int32_t i = 0; items != NULL && i < call->n_out; i++) {
        items[i] = LEDGE_NEW_ARRAY(call->memory, struct ledge_view, (size_t)first->n);
        if (items[i] == NULL) {
            return ledge_late_fail(call, LEDGE_ERR_NOMEM, "no memory");
        }
        call->out[i] =
            (struct ledge_any){.kind = LEDGE_ANY_SEQUENCE, .items = items[i], .n = first->n};
    }
    if (values == NULL || items == NULL) {
        return ledge_late_fail(call, LEDGE_ERR_NOMEM, "no memory");
    }
    for (int64_t item = 0; item < first->n; item++) {
        LEDGE_TRY(map_item(call, body, own, item, values, items));
    }
    return LEDGE_OK;
}
