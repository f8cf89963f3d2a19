/* SPDX-License-Identifier: Apache-2.0 */
/* head.c -- transfer learning: a new last layer on an imported classifier. See arch.h. */
#include <math.h>
#include <string.h>

#include "base/status.h"
#include "train/arch/net.h"

static bool is_op(const struct ledge_node *node, const char *op)
{
    return strcmp(node->op, op) == 0 &&
           (node->domain[0] == '\0' || strcmp(node->domain, "ai.onnx") == 0);
}

/* Operators between the last layer and the output that only reshape or normalise. */
static bool may_follow(const struct ledge_node *node)
{
    static const char *const ops[] = {"Softmax", "LogSoftmax", "Sigmoid",  "Reshape",
                                      "Flatten", "Squeeze",    "Identity", "GlobalAveragePool",
                                      "Add",     "Dropout"};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        if (is_op(node, ops[i])) {
            return true;
        }
    }
    return false;
}

/* The last layer: walk back from the output. -1 when something else stands there. */
static int32_t last_layer(const struct ledge_graph *graph, const char **blocker)
{
    int32_t value = graph->n_outputs == 1 ? graph->outputs[0] : -1;
    *blocker = "more than one output";
    while (value >= 0 && graph->values[value].producer >= 0) {
        const struct ledge_node *node = &graph->nodes[graph->values[value].producer];
        if (is_op(node, "Gemm") || is_op(node, "MatMul") || is_op(node, "Conv")) {
            return graph->values[value].producer;
        }
        *blocker = node->op;
        if (!may_follow(node)) {
            return -1;
        }
        value =
            graph->values[node->in[0]].data == NULL || node->n_in < 2 ? node->in[0] : node->in[1];
    }
    return -1;
}

/* Width of the features that the layer reads; 0 when it cannot be told. */
static int64_t width_of(const struct ledge_graph *graph, const struct ledge_node *node)
{
    const struct ledge_value *w = &graph->values[node->in[1]];
    if (w->data == NULL || w->dtype != LEDGE_F32) {
        return 0;
    }
    if (is_op(node, "Conv")) {
        return w->rank == 4 && w->dims[2] == 1 && w->dims[3] == 1 ? w->dims[1] : 0;
    }
    bool transposed = is_op(node, "Gemm") && ledge_node_int(node, "transB", 0) != 0;
    return w->rank == 2 ? w->dims[transposed ? 1 : 0] : 0;
}

enum ledge_status train_arch_new_head(struct ledge_graph *graph, int32_t n_classes, bool logits,
                                      uint64_t seed, int32_t head[2], struct ledge_error *err)
{
    const char *blocker;
    int32_t index = last_layer(graph, &blocker);
    if (index < 0) {
        return ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "base model: no last layer to replace (%s)",
                          blocker);
    }
    const struct ledge_node node = graph->nodes[index];
    int64_t width = width_of(graph, &node);
    if (width == 0) {
        return ledge_fail(err, LEDGE_ERR_UNSUPPORTED,
                          "base model: node %s (%s) is no last layer that can be replaced",
                          node.name, node.op);
    }
    struct train_net net = {
        .graph = graph, .seed = seed, .at = node.in[0], .c = width, .h = 1, .w = 1};
    if (is_op(&node, "Conv")) {
        train_net_global_pool(&net);
    } else {
        train_net_flatten(&net);
    }
    head[0] = train_net_random(&net, "head.weight", 2, (const int64_t[]){n_classes, width},
                               sqrt(1.0 / (double)width));
    head[1] = train_net_filled(&net, "head.bias", n_classes, 0);
    int32_t gemm = train_net_node(&net, "Gemm", (int32_t[]){net.at, head[0], head[1]}, 3,
                                  ledge_graph_find(graph, "logits") < 0 ? "logits" : NULL);
    if (gemm < 0 || !ledge_graph_set_int(graph, gemm, "transB", 1)) {
        net.failed = true;
    }
    if (!logits) {
        (void)train_net_node(&net, "Softmax", &net.at, 1,
                             ledge_graph_find(graph, "probabilities") < 0 ? "probabilities" : NULL);
    }
    if (net.failed) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "base model: out of memory");
    }
    graph->outputs[0] = net.at;
    ledge_graph_sweep(graph);
    return ledge_graph_sort(graph, err);
}
