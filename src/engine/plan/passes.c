/* SPDX-License-Identifier: Apache-2.0 */
/* passes.c -- the order of the passes. The graph is sorted before each one. */
#include "engine/plan/passes.h"

#include "base/status.h"
#include "engine/port/select.h"

typedef enum ledge_status (*pass_fn)(struct ledge_graph *graph, struct ledge_error *err);

/* clang-format off */
static const pass_fn passes[] = {
    ledge_pass_constants,
    LEDGE_KEEP(LEDGE_PASS_SUBGRAPHS)(ledge_pass_subgraphs, )
    ledge_pass_cleanup,         /* first: Identity and Dropout would hide the patterns below */
    /* before activations: Conv, BatchNormalization, Relu */
    LEDGE_KEEP(LEDGE_PASS_BATCH_NORM)(ledge_pass_fold_batch_norm, )
    ledge_pass_fold_activation, /* before qdq: the clamp becomes part of the integer range */
    LEDGE_KEEP(LEDGE_PASS_QDQ)(ledge_pass_qdq, )
    ledge_pass_cleanup,
    /* after cleanup: a value that only dead nodes read has one reader less */
    LEDGE_KEEP(LEDGE_PASS_NHWC)(ledge_pass_epilogue, )
    LEDGE_KEEP(LEDGE_PASS_NHWC)(ledge_pass_nhwc, ) /* last: the others know ONNX's layout */
};
/* clang-format on */

enum ledge_status ledge_passes_run(struct ledge_graph *graph, struct ledge_error *err)
{
    for (size_t i = 0; i < sizeof passes / sizeof passes[0]; i++) {
        LEDGE_TRY(ledge_graph_sort(graph, err));
        LEDGE_TRY(passes[i](graph, err));
    }
    return ledge_graph_sort(graph, err);
}
