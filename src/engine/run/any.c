/* SPDX-License-Identifier: Apache-2.0 */
/* any.c -- see any.h. */
#include "engine/run/any.h"

#include <string.h>

#include "base/banned.h"
#include "base/checked.h"

struct ledge_view ledge_view_new(struct ledge_arena *memory, enum ledge_dtype dtype, int32_t rank,
                                 const int64_t *dims)
{
    struct ledge_view view = {.dtype = dtype, .rank = rank};
    size_t bytes = ledge_dtype_size(dtype);
    for (int32_t i = 0; i < rank; i++) {
        view.dims[i] = dims[i];
        if (dims[i] < 0 || !ledge_mul_size(bytes, (size_t)dims[i], &bytes)) {
            return view;
        }
    }
    if (bytes <= PTRDIFF_MAX / 2) {
        view.data = ledge_arena_alloc(memory, bytes, 64);
    }
    return view;
}

static bool own_texts(struct ledge_arena *memory, const struct ledge_view *view)
{
    struct ledge_string *strings = view->data;
    int64_t n = ledge_view_count(view);
    for (int64_t i = 0; i < n; i++) {
        if (strings[i].bytes > 0) {
            strings[i].text = ledge_arena_text(memory, strings[i].text, strings[i].bytes);
        }
        if (strings[i].bytes > 0 && strings[i].text == NULL) {
            return false;
        }
    }
    return true;
}

bool ledge_view_copy(struct ledge_arena *memory, const struct ledge_view *from,
                     struct ledge_view *to)
{
    *to = ledge_view_new(memory, from->dtype, from->rank, from->dims);
    to->quant = from->quant;
    size_t bytes = ledge_view_bytes(from);
    if (to->data != NULL && bytes > 0) {
        memcpy(to->data, from->data, bytes);
    }
    return to->data != NULL && (from->dtype != LEDGE_STRING || own_texts(memory, to));
}

bool ledge_any_copy(struct ledge_arena *memory, const struct ledge_any *from, struct ledge_any *to)
{
    struct ledge_any copy = {.kind = from->kind, .n = from->n};
    bool good = true;
    if (from->kind == LEDGE_ANY_TENSOR) {
        good = ledge_view_copy(memory, &from->view, &copy.view);
    } else if (from->kind == LEDGE_ANY_SEQUENCE) {
        struct ledge_view *items = LEDGE_NEW_ARRAY(memory, struct ledge_view, (size_t)from->n);
        good = items != NULL;
        for (int64_t i = 0; good && i < from->n; i++) {
            good = ledge_view_copy(memory, &from->items[i], &items[i]);
        }
        copy.items = items;
    }
    *to = copy;
    return good;
}

struct ledge_around ledge_view_around(const struct ledge_view *view, int32_t axis)
{
    struct ledge_around a = {.outer = 1, .n = 1, .inner = ledge_dtype_size(view->dtype)};
    for (int32_t i = 0; i < view->rank; i++) {
        size_t dim = (size_t)view->dims[i];
        a.outer *= i < axis ? dim : 1;
        a.n = i == axis ? dim : a.n;
        a.inner *= i > axis ? dim : 1;
    }
    return a;
}
