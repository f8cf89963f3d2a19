/* SPDX-License-Identifier: Apache-2.0 */
/* upgrade.c -- what changed between opsets is mostly that an attribute became an input; a table
 * says which. Source: onnx/docs/Changelog.md. */
#include "export/upgrade.h"

#include <math.h>
#include <string.h>

#include "base/banned.h"
#include "base/status.h"

enum { LOWEST = 13 };

/* From version `since` on, attribute `attr` of `op` is input number `input`. */
static const struct moved {
    const char *op;
    const char *attr;
    int32_t input;
    int32_t since;
} moves[] = {
    {"Squeeze", "axes", 1, 13},
    {"Unsqueeze", "axes", 1, 13},
    {"ReduceSum", "axes", 1, 13},
    {"Split", "split", 1, 13},
    {"Slice", "starts", 1, 10},
    {"Slice", "ends", 2, 10},
    {"Slice", "axes", 3, 10},
    {"Clip", "min", 1, 11},
    {"Clip", "max", 2, 11},
    {"Dropout", "ratio", 1, 12},
    {"Pad", "pads", 1, 11},
    {"Pad", "value", 2, 11},
    {"TopK", "k", 1, 10},
    {"Reshape", "shape", 1, 5},
    {"ReduceMean", "axes", 1, 18},
    {"ReduceMax", "axes", 1, 18},
    {"ReduceMin", "axes", 1, 18},
    {"ReduceProd", "axes", 1, 18},
    {"ReduceL1", "axes", 1, 18},
    {"ReduceL2", "axes", 1, 18},
    {"ReduceLogSum", "axes", 1, 18},
    {"ReduceLogSumExp", "axes", 1, 18},
    {"ReduceSumSquare", "axes", 1, 18},
};

static enum ledge_status no_memory(struct ledge_error *err)
{
    return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory to upgrade the model's operators");
}

/* Set input number at, growing the list with absent inputs. */
static bool set_input(struct ledge_graph *graph, struct ledge_node *node, int32_t at, int32_t value)
{
    if (at >= node->n_in) {
        int32_t *in = LEDGE_NEW_ARRAY(&graph->arena, int32_t, (size_t)at + 1);
        if (in == NULL) {
            return false;
        }
        for (int32_t i = 0; i <= at; i++) {
            in[i] = i < node->n_in ? node->in[i] : -1;
        }
        node->in = in;
        node->n_in = at + 1;
    }
    node->in[at] = value;
    return true;
}

static void drop_attr(struct ledge_node *node, const char *name)
{
    int32_t n = 0;
    for (int32_t i = 0; i < node->n_attrs; i++) {
        if (strcmp(node->attrs[i].name, name) != 0) {
            node->attrs[n++] = node->attrs[i];
        }
    }
    node->n_attrs = n;
}

static int32_t constant_of(struct ledge_graph *graph, const struct ledge_attr *attr, bool is_list)
{
    int64_t n = (int64_t)attr->n;
    int64_t one = 1;
    switch (attr->type) {
    case LEDGE_ATTR_INTS:
        return ledge_graph_add_constant(graph, NULL, LEDGE_I64, 1, &n, attr->ints, true);
    case LEDGE_ATTR_INT:
        return ledge_graph_add_constant(graph, NULL, LEDGE_I64, is_list, &one, &attr->i, true);
    case LEDGE_ATTR_FLOAT:
        return ledge_graph_add_constant(graph, NULL, LEDGE_F32, 0, NULL, &attr->f, true);
    default:
        return -1;
    }
}

static enum ledge_status move_attrs(struct ledge_graph *graph, int32_t index, int32_t opset,
                                    struct ledge_error *err)
{
    struct ledge_node *node = &graph->nodes[index];
    for (size_t i = 0; i < sizeof moves / sizeof moves[0]; i++) {
        const struct ledge_attr *attr =
            strcmp(node->op, moves[i].op) == 0 && moves[i].since <= opset
                ? ledge_node_attr(node, moves[i].attr)
                : NULL;
        if (attr == NULL) {
            continue;
        }
        int32_t value = constant_of(graph, attr, strcmp(node->op, "TopK") == 0);
        if (value < 0 || !set_input(graph, node, moves[i].input, value)) {
            return no_memory(err);
        }
        drop_attr(node, moves[i].attr);
    }
    return LEDGE_OK;
}

/* Before 13 Softmax flattened everything from its axis on; that is the same only along the last
 * dimension. */
static enum ledge_status upgrade_softmax(struct ledge_graph *graph, int32_t index,
                                         struct ledge_error *err)
{
    const struct ledge_node *node = &graph->nodes[index];
    int64_t axis = ledge_node_int(node, "axis", 1);
    const struct ledge_value *in =
        node->n_in > 0 && node->in[0] >= 0 ? &graph->values[node->in[0]] : NULL;
    const struct ledge_value *out =
        node->n_out > 0 && node->out[0] >= 0 ? &graph->values[node->out[0]] : NULL;
    int32_t rank = in != NULL && in->rank > 0 ? in->rank : out != NULL ? out->rank : -1;
    if (axis != -1 && axis != (int64_t)rank - 1) {
        return ledge_fail(
            err, LEDGE_ERR_UNSUPPORTED,
            "node %.60s (%.40s): opset %d over axis %d of rank %d has no form in opset 13",
            node->name, node->op, (int)node->opset, (int)axis, (int)rank);
    }
    return ledge_graph_set_int(graph, index, "axis", -1) ? LEDGE_OK : no_memory(err);
}

/* Forms with no place in newer opsets. */
static enum ledge_status refuse_retired(const struct ledge_node *node, struct ledge_error *err)
{
    bool retired = strcmp(node->op, "Upsample") == 0 ||
                   (strcmp(node->op, "Resize") == 0 && node->opset < 11) ||
                   (node->opset < 7 && ledge_node_int(node, "broadcast", 0) != 0);
    return retired ? ledge_fail(err, LEDGE_ERR_UNSUPPORTED,
                                "node %.60s (%.40s): its opset %d form cannot be written",
                                node->name, node->op, (int)node->opset)
                   : LEDGE_OK;
}

static bool is_softmax(const struct ledge_node *node)
{
    return strcmp(node->op, "Softmax") == 0 || strcmp(node->op, "LogSoftmax") == 0 ||
           strcmp(node->op, "Hardmax") == 0;
}

/* Attributes that were only hints of old versions. */
static void drop_old(struct ledge_node *node)
{
    drop_attr(node, "consumed_inputs");
    if (strcmp(node->op, "BatchNormalization") == 0) {
        drop_attr(node, "spatial");
        drop_attr(node, "is_test");
    }
}

enum ledge_status ledge_export_upgrade(struct ledge_graph *graph, int32_t *opset,
                                       struct ledge_error *err)
{
    int32_t version = LOWEST;
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        const struct ledge_node *node = &graph->nodes[i];
        if (!node->dead && node->domain[0] == '\0' && node->opset > version) {
            version = node->opset;
        }
    }
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        struct ledge_node *node = &graph->nodes[i];
        if (node->dead || node->domain[0] != '\0' || node->opset >= version) {
            continue;
        }
        LEDGE_TRY(refuse_retired(node, err));
        LEDGE_TRY(move_attrs(graph, i, version, err));
        if (node->opset < LOWEST && is_softmax(node)) {
            LEDGE_TRY(upgrade_softmax(graph, i, err));
        }
        drop_old(&graph->nodes[i]);
        graph->nodes[i].opset = version;
    }
    *opset = version;
    return LEDGE_OK;
}
