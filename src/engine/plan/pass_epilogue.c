/* SPDX-License-Identifier: Apache-2.0 */
/* pass_epilogue.c -- what follows a quantised convolution and reads it alone becomes part of it, so
 * that its result is worked on while it is in the cache:
 *
 *   QLinearConv -> ledge.ByteTable     QLinearConv with the table as input 9
 *
 * The convolution still rounds to bytes before: no result changes. */
#include <string.h>

#include "base/status.h"
#include "engine/plan/pass_match.h"
#include "engine/plan/pass_nhwc.h"
#include "engine/plan/passes.h"

#include "base/banned.h"

enum { BIAS = 8, TABLE = 9, Y_ZERO = 7 };

/* Type of a table that may still have to be worked out: whoever writes it has its zero point. */
static enum ledge_dtype table_type(const struct ledge_match *match, int32_t table)
{
    const struct ledge_value *values = match->graph->values;
    const struct ledge_node *node = ledge_match_producer(match, table);
    if (values[table].dtype != LEDGE_DTYPE_NONE || node == NULL) {
        return values[table].dtype;
    }
    bool quantize = ledge_is_op(node, "QuantizeLinear");
    bool binary = strcmp(node->op, "QLinearMul") == 0 || strcmp(node->op, "QLinearAdd") == 0;
    int32_t zero = quantize ? ledge_node_in(node, 2) : binary ? ledge_node_in(node, Y_ZERO) : -1;
    return zero >= 0 ? values[zero].dtype : LEDGE_DTYPE_NONE;
}

static enum ledge_status fuse_table(struct ledge_match *match, struct ledge_node *conv)
{
    const struct ledge_graph *graph = match->graph;
    struct ledge_node *table = ledge_match_reader(match, conv->out[0]);
    bool fits = table != NULL && strcmp(table->domain, "ledge") == 0 &&
                strcmp(table->op, "ByteTable") == 0 && table->n_in == 2 &&
                table->in[0] == conv->out[0] && table->in[1] >= 0 && conv->n_in <= TABLE &&
                conv->in[Y_ZERO] >= 0;
    if (!fits || table_type(match, table->in[1]) != graph->values[conv->in[Y_ZERO]].dtype) {
        return LEDGE_OK;
    }
    int32_t in[TABLE + 1];
    memcpy(in, conv->in, (size_t)conv->n_in * sizeof *in);
    in[BIAS] = ledge_node_in(conv, BIAS);
    in[TABLE] = table->in[1];
    LEDGE_TRY(ledge_match_set_inputs(match, conv, in, TABLE + 1));
    ledge_match_absorb(match, conv, table);
    return LEDGE_OK;
}

enum ledge_status ledge_pass_epilogue(struct ledge_graph *graph, struct ledge_error *err)
{
    struct ledge_match match;
    enum ledge_status status = ledge_match_begin(&match, graph, err);
    for (int32_t i = 0; status == LEDGE_OK && i < graph->n_nodes; i++) {
        struct ledge_node *node = &graph->nodes[i];
        if (!node->dead && ledge_nhwc_takes(graph, node)) {
            status = fuse_table(&match, node);
        }
    }
    ledge_match_end(&match);
    return status;
}
