/* SPDX-License-Identifier: Apache-2.0 */
/* any.h -- a value of a late node: a tensor, a sequence of tensors, or nothing (an empty optional).
 *
 * An optional that holds something is that thing. Kernels never see this: late.c hands them
 * tensors.
 */
#ifndef LEDGE_ENGINE_RUN_ANY_H
#define LEDGE_ENGINE_RUN_ANY_H

#include <stdbool.h>

#include "base/arena.h"
#include "engine/tensor/view.h"

enum ledge_any_kind { LEDGE_ANY_NONE, LEDGE_ANY_TENSOR, LEDGE_ANY_SEQUENCE };

struct ledge_any {
    enum ledge_any_kind kind;
    struct ledge_view view;         /* of a tensor */
    const struct ledge_view *items; /* n of a sequence */
    int64_t n;
};

static inline struct ledge_any ledge_any_tensor(struct ledge_view view)
{
    return (struct ledge_any){.kind = LEDGE_ANY_TENSOR, .view = view};
}

/* A tensor with memory of its own, undefined contents; data is NULL when there is no memory. */
struct ledge_view ledge_view_new(struct ledge_arena *memory, enum ledge_dtype dtype, int32_t rank,
                                 const int64_t *dims);

/* A view as [outer][n][inner] around an axis, inner in bytes. */
struct ledge_around {
    size_t outer, n, inner;
};

struct ledge_around ledge_view_around(const struct ledge_view *view, int32_t axis);

/* Deep copies; false when there is no memory. */
bool ledge_view_copy(struct ledge_arena *memory, const struct ledge_view *from,
                     struct ledge_view *to);
bool ledge_any_copy(struct ledge_arena *memory, const struct ledge_any *from, struct ledge_any *to);

#endif
