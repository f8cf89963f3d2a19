/* SPDX-License-Identifier: Apache-2.0 */
/* pass_constants.c -- Constant nodes become constant values, so that the other passes see them. */
#include "engine/plan/pass_match.h"
#include "engine/plan/passes.h"

static void become(struct ledge_graph *graph, struct ledge_node *node, enum ledge_dtype dtype,
                   int32_t rank, const int64_t *dims, const void *data)
{
    struct ledge_value *value = &graph->values[node->out[0]];
    size_t bytes = ledge_dtype_size(dtype);
    for (int32_t i = 0; i < rank; i++) {
        value->dims[i] = dims[i];
        bytes *= (size_t)dims[i]; /* the tensor exists, so its size does not overflow */
    }
    value->dtype = dtype;
    value->rank = rank;
    value->data = data;
    value->bytes = bytes;
    value->producer = -1;
    node->dead = true;
}

enum ledge_status ledge_pass_constants(struct ledge_graph *graph, struct ledge_error *err)
{
    (void)err;
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        struct ledge_node *node = &graph->nodes[i];
        if (!ledge_is_op(node, "Constant") || node->n_out != 1 || node->out[0] < 0 ||
            node->n_attrs != 1) {
            continue;
        }
        const struct ledge_attr *attr = &node->attrs[0];
        int64_t n = (int64_t)attr->n;
        if (attr->type == LEDGE_ATTR_TENSOR && attr->tensor->data != NULL) {
            become(graph, node, attr->tensor->dtype, attr->tensor->rank, attr->tensor->dims,
                   attr->tensor->data);
        } else if (attr->type == LEDGE_ATTR_FLOAT) {
            become(graph, node, LEDGE_F32, 0, NULL, &attr->f);
        } else if (attr->type == LEDGE_ATTR_INT) {
            become(graph, node, LEDGE_I64, 0, NULL, &attr->i);
        } else if (attr->type == LEDGE_ATTR_INTS && attr->ints != NULL) {
            become(graph, node, LEDGE_I64, 1, &n, attr->ints);
        } else if (attr->type == LEDGE_ATTR_FLOATS && attr->floats != NULL) {
            become(graph, node, LEDGE_F32, 1, &n, attr->floats);
        }
    }
    return LEDGE_OK;
}
