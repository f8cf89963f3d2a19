/* SPDX-License-Identifier: Apache-2.0 */
/* ptq.c -- the course of a quantisation: fold, select, observe, rewrite, measure. */
#include "compress/ptq.h"

#include <math.h>
#include <string.h>

#include "base/banned.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/status.h"
#include "compress/ptq_internal.h"
#include "engine/plan/passes.h"
#include "engine/port/port.h"

enum { Q_LOW = 0, Q_HIGH = 255, RECIPE_MAX = 4096 };

/* -- create -- */

static enum ledge_status check_float(const struct ledge_graph *graph, struct ledge_error *err)
{
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        const struct ledge_node *node = &graph->nodes[i];
        if (strstr(node->op, "QuantizeLinear") != NULL || strstr(node->op, "QLinear") != NULL ||
            strstr(node->op, "Integer") != NULL || strcmp(node->domain, "tfl") == 0) {
            return ledge_fail(err, LEDGE_ERR_UNSUPPORTED,
                              "the model is quantised already (node %.80s, %.40s)", node->name,
                              node->op);
        }
    }
    if (graph->n_inputs != 1 || graph->values[graph->inputs[0]].dtype != LEDGE_F32) {
        return ledge_fail(err, LEDGE_ERR_UNSUPPORTED,
                          "only models with one f32 input can be quantised; this has %d input%s",
                          (int)graph->n_inputs, graph->n_inputs == 1 ? " of another type" : "s");
    }
    return LEDGE_OK;
}

static bool only_moves(const struct compress_ptq *ptq, int32_t node)
{
    return node >= 0 && (ptq->roles[node] == COMPRESS_PASS || ptq->roles[node] == COMPRESS_JOIN);
}

static bool alloc_tables(struct compress_ptq *ptq)
{
    size_t values = (size_t)ptq->folded.n_values;
    size_t nodes = (size_t)ptq->folded.n_nodes;
    ptq->tensors = LEDGE_NEW_ARRAY(&ptq->arena, struct compress_tensor, values);
    ptq->roles = LEDGE_NEW_ARRAY(&ptq->arena, enum compress_role, nodes);
    ptq->why = LEDGE_NEW_ARRAY(&ptq->arena, const char *, nodes);
    ptq->layers = LEDGE_NEW_ARRAY(&ptq->arena, struct compress_layer, nodes);
    ptq->layer_nodes = LEDGE_NEW_ARRAY(&ptq->arena, int32_t, nodes);
    return ptq->tensors != NULL && ptq->roles != NULL && ptq->why != NULL && ptq->layers != NULL &&
           ptq->layer_nodes != NULL;
}

static void list_layers(struct compress_ptq *ptq)
{
    for (int32_t i = 0; i < ptq->folded.n_nodes; i++) {
        const struct ledge_node *node = &ptq->folded.nodes[i];
        if (node->dead || node->n_in == 0 || only_moves(ptq, i)) {
            continue;
        }
        ptq->layer_nodes[ptq->n_layers] = i;
        ptq->layers[ptq->n_layers++] = (struct compress_layer){.node = node->name,
                                                               .op = node->op,
                                                               .why = ptq->why[i],
                                                               .low = NAN,
                                                               .high = NAN,
                                                               .weight_sqnr = NAN,
                                                               .sqnr = NAN};
    }
}

struct compress_layer *compress_layer_of(struct compress_ptq *ptq, int32_t node)
{
    for (int32_t i = 0; i < ptq->n_layers; i++) {
        if (ptq->layer_nodes[i] == node) {
            return &ptq->layers[i];
        }
    }
    return NULL;
}

/* Number of value among the outputs of graph, made one when it is not; -1 when there is no memory.
 */
static int32_t output_number(struct ledge_graph *graph, int32_t value)
{
    for (int32_t i = 0; i < graph->n_outputs; i++) {
        if (graph->outputs[i] == value) {
            return i;
        }
    }
    return ledge_graph_add_output(graph, value) < 0 ? -1 : graph->n_outputs - 1;
}

static enum ledge_status make_run(const struct compress_ptq *ptq, const struct ledge_graph *graph,
                                  struct ledge_plan **plan, struct ledge_run **run,
                                  struct ledge_error *err)
{
    const struct ledge_plan_options options = {.rung = ledge_port_rung(), .threads = 1, .batch = 1};
    LEDGE_TRY(ledge_plan_create(graph, &options, &ptq->allocator, plan, err));
    return ledge_run_create(*plan, NULL, &ptq->allocator, run, err);
}

/* Histograms for values with a scale of their own; outputs for them and for every layer. */
static enum ledge_status make_probe(struct compress_ptq *ptq, struct ledge_error *err)
{
    const struct ledge_graph *graph = &ptq->folded;
    LEDGE_TRY(ledge_graph_copy(graph, &ptq->probe, err));
    bool made = true;
    for (int32_t i = 0; i < graph->n_values && made; i++) {
        struct compress_tensor *tensor = &ptq->tensors[i];
        if (tensor->quantised && !only_moves(ptq, graph->values[i].producer)) {
            tensor->histogram = LEDGE_NEW(&ptq->arena, struct compress_histogram);
            made = tensor->histogram != NULL;
        }
        if (tensor->histogram != NULL && i != graph->inputs[0]) {
            tensor->probe = output_number(&ptq->probe, i);
            made = made && tensor->probe >= 0;
        }
    }
    for (int32_t i = 0; i < ptq->n_layers && made; i++) {
        int32_t out = graph->nodes[ptq->layer_nodes[i]].out[0];
        if (out >= 0 && ptq->layers[i].why == NULL) {
            ptq->tensors[out].probe = output_number(&ptq->probe, out);
            made = ptq->tensors[out].probe >= 0;
        }
    }
    if (!made) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for calibration");
    }
    return make_run(ptq, &ptq->probe, &ptq->plan, &ptq->run, err);
}

static enum ledge_status start(struct compress_ptq *ptq, const struct ledge_graph *graph,
                               struct ledge_error *err)
{
    LEDGE_TRY(check_float(graph, err));
    LEDGE_TRY(ledge_graph_copy(graph, &ptq->folded, err));
    LEDGE_TRY(ledge_passes_run(&ptq->folded, err));
    if (!alloc_tables(ptq)) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for calibration");
    }
    LEDGE_TRY(compress_select(ptq, err));
    list_layers(ptq);
    return make_probe(ptq, err);
}

enum ledge_status compress_ptq_create(const struct ledge_graph *graph,
                                      const struct compress_ptq_options *options,
                                      const struct ledge_allocator *allocator,
                                      struct compress_ptq **ptq, struct ledge_error *err)
{
    if (allocator == NULL) {
        allocator = ledge_allocator_default();
    }
    struct compress_ptq *made =
        allocator->alloc(allocator->user, sizeof *made, _Alignof(struct compress_ptq));
    if (made == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for calibration");
    }
    *made = (struct compress_ptq){.allocator = *allocator, .options = *options};
    if (!(made->options.percentile > 0)) {
        made->options.percentile = 99.99;
    }
    ledge_arena_init(&made->arena, allocator);
    ledge_graph_init(&made->folded, allocator);
    ledge_graph_init(&made->probe, allocator);
    ledge_graph_init(&made->quantised, allocator);
    ledge_graph_init(&made->fake, allocator);
    enum ledge_status status = start(made, graph, err);
    if (status != LEDGE_OK) {
        compress_ptq_free(made);
        return status;
    }
    *ptq = made;
    return LEDGE_OK;
}

void compress_ptq_free(struct compress_ptq *ptq)
{
    if (ptq == NULL) {
        return;
    }
    struct ledge_allocator allocator = ptq->allocator;
    ledge_run_free(ptq->run);
    ledge_run_free(ptq->fake_run);
    ledge_plan_free(ptq->plan);
    ledge_plan_free(ptq->fake_plan);
    ledge_graph_done(&ptq->fake);
    ledge_graph_done(&ptq->quantised);
    ledge_graph_done(&ptq->probe);
    ledge_graph_done(&ptq->folded);
    ledge_arena_done(&ptq->arena);
    allocator.release(allocator.user, ptq, sizeof *ptq);
}

/* -- observe -- */

size_t compress_ptq_sample_elements(const struct compress_ptq *ptq)
{
    const struct ledge_graph *graph = &ptq->plan->graph;
    struct ledge_view view = ledge_value_view(&graph->values[graph->inputs[0]]);
    return (size_t)ledge_view_count(&view);
}

static enum ledge_status observe_value(struct compress_ptq *ptq, int32_t value, const float *sample,
                                       struct ledge_error *err)
{
    struct compress_tensor *tensor = &ptq->tensors[value];
    const float *data = sample;
    size_t n = compress_ptq_sample_elements(ptq);
    if (value != ptq->folded.inputs[0]) {
        struct ledge_view view = ledge_run_output(ptq->run, tensor->probe);
        data = view.data;
        n = (size_t)ledge_view_count(&view);
    }
    if (compress_histogram_add(tensor->histogram, data, n, err) != LEDGE_OK) {
        return ledge_fail_at(err, ptq->folded.values[value].name);
    }
    return LEDGE_OK;
}

enum ledge_status compress_ptq_observe(struct compress_ptq *ptq, const float *sample,
                                       struct ledge_error *err)
{
    if (ptq->finished) {
        return ledge_fail(err, LEDGE_ERR_STATE, "calibration is finished");
    }
    ledge_run_bind(ptq->run, 0, sample);
    LEDGE_TRY(ledge_run_once(ptq->run, err));
    for (int32_t i = 0; i < ptq->folded.n_values; i++) {
        if (ptq->tensors[i].histogram != NULL) {
            LEDGE_TRY(observe_value(ptq, i, sample, err));
        }
    }
    ptq->samples++;
    return LEDGE_OK;
}

/* -- finish -- */

/* The range of a group covers the chosen ranges of all its observed members. */
static void choose_ranges(struct compress_ptq *ptq)
{
    const struct compress_ptq_options *options = &ptq->options;
    for (int32_t i = 0; i < ptq->folded.n_values; i++) {
        struct compress_tensor *tensor = &ptq->tensors[i];
        if (tensor->histogram != NULL) {
            struct compress_range range = compress_histogram_range(
                tensor->histogram, options->method, options->percentile, Q_HIGH - Q_LOW);
            struct compress_range *all = &ptq->tensors[compress_group_of(ptq, i)].range;
            all->low = fmin(all->low, range.low);
            all->high = fmax(all->high, range.high);
        }
    }
    for (int32_t i = 0; i < ptq->folded.n_values; i++) {
        struct compress_range range = ptq->tensors[compress_group_of(ptq, i)].range;
        ptq->tensors[i].affine = compress_affine_of(range, Q_LOW, Q_HIGH);
    }
}

static void report_ranges(struct compress_ptq *ptq)
{
    for (int32_t i = 0; i < ptq->n_layers; i++) {
        int32_t out = ptq->folded.nodes[ptq->layer_nodes[i]].out[0];
        if (out >= 0 && ptq->tensors[out].quantised) {
            struct compress_range range = compress_affine_range(&ptq->tensors[out].affine);
            ptq->layers[i].low = range.low;
            ptq->layers[i].high = range.high;
            if (ptq->tensors[out].histogram != NULL) {
                /* Half a step outside still rounds to the outermost code; the zero point's own
                 * rounding can move the range by as much. */
                double slack = 0.501 * (double)ptq->tensors[out].affine.scale;
                ptq->layers[i].clipped = compress_histogram_outside(
                    ptq->tensors[out].histogram,
                    (struct compress_range){range.low - slack, range.high + slack});
            }
        }
    }
}

/* The recipe, and the digest of recipe and names of kept nodes. */
static enum ledge_status add_metadata(struct compress_ptq *ptq, struct ledge_error *err)
{
    struct ledge_buf text = LEDGE_BUF_INIT(RECIPE_MAX);
    struct ledge_sha256 sha;
    uint8_t digest[LEDGE_SHA256_BYTES];
    char hex[LEDGE_SHA256_HEX];
    const struct compress_ptq_options *o = &ptq->options;
    (void)ledge_buf_printf(
        &text,
        "{\"format\":\"qdq\",\"method\":\"%s\",\"percentile\":%.6g,\"samples\":%lld,"
        "\"activations\":\"u8 per tensor\",\"weights\":\"s8 per channel\",\"kept\":%d%s%s",
        compress_method_name(o->method), o->method == COMPRESS_PERCENTILE ? o->percentile : 100.0,
        (long long)ptq->samples, (int)o->n_keep, o->note != NULL ? "," : "",
        o->note != NULL ? o->note : "");
    ledge_sha256_init(&sha);
    ledge_sha256_add(&sha, text.data != NULL ? text.data : "", text.len);
    for (int32_t i = 0; i < o->n_keep; i++) {
        ledge_sha256_add(&sha, o->keep[i], strlen(o->keep[i]) + 1);
    }
    ledge_sha256_end(&sha, digest);
    ledge_hex(digest, sizeof digest, hex);
    (void)ledge_buf_printf(&text, ",\"digest\":\"sha256:%s\"}", hex);
    bool made = !text.failed &&
                ledge_graph_add_metadata(&ptq->quantised, "ledge.quantization", text.data) >= 0;
    ledge_buf_done(&text);
    return made ? LEDGE_OK : ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for the recipe");
}

/* The result with every layer's (dequantised) output as an output of the graph. */
static enum ledge_status make_fake(struct compress_ptq *ptq, struct ledge_error *err)
{
    LEDGE_TRY(ledge_graph_copy(&ptq->quantised, &ptq->fake, err));
    for (int32_t i = 0; i < ptq->n_layers; i++) {
        int32_t out = ptq->folded.nodes[ptq->layer_nodes[i]].out[0];
        if (out < 0 || ptq->layers[i].why != NULL) {
            continue;
        }
        struct compress_tensor *tensor = &ptq->tensors[out];
        tensor->fake_probe =
            output_number(&ptq->fake, tensor->quantised ? tensor->fake_value : out);
        if (tensor->fake_probe < 0) {
            return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory to measure");
        }
    }
    return make_run(ptq, &ptq->fake, &ptq->fake_plan, &ptq->fake_run, err);
}

enum ledge_status compress_ptq_finish(struct compress_ptq *ptq, const struct ledge_graph **out,
                                      struct ledge_error *err)
{
    if (ptq->samples == 0 || ptq->finished) {
        return ledge_fail(err, LEDGE_ERR_STATE,
                          ptq->finished ? "calibration is finished" : "no calibration sample");
    }
    ptq->finished = true;
    choose_ranges(ptq);
    LEDGE_TRY(compress_rewrite(ptq, err));
    LEDGE_TRY(add_metadata(ptq, err));
    report_ranges(ptq);
    *out = &ptq->quantised;
    return LEDGE_OK;
}

/* -- measure -- */

static void compare(struct compress_ptq *ptq, struct compress_tensor *tensor)
{
    struct ledge_view wanted = ledge_run_output(ptq->run, tensor->probe);
    struct ledge_view got = ledge_run_output(ptq->fake_run, tensor->fake_probe);
    int64_t n = ledge_view_count(&wanted);
    for (int64_t i = 0; i < n; i++) {
        double x = (double)((const float *)wanted.data)[i];
        double miss = x - (double)((const float *)got.data)[i];
        tensor->signal += x * x;
        tensor->noise += miss * miss;
    }
}

enum ledge_status compress_ptq_measure(struct compress_ptq *ptq, const float *sample,
                                       struct ledge_error *err)
{
    if (!ptq->finished) {
        return ledge_fail(err, LEDGE_ERR_STATE, "calibration is not finished");
    }
    if (ptq->fake_run == NULL) {
        LEDGE_TRY(make_fake(ptq, err));
    }
    ledge_run_bind(ptq->run, 0, sample);
    ledge_run_bind(ptq->fake_run, 0, sample);
    LEDGE_TRY(ledge_run_once(ptq->run, err));
    LEDGE_TRY(ledge_run_once(ptq->fake_run, err));
    for (int32_t i = 0; i < ptq->n_layers; i++) {
        int32_t out = ptq->folded.nodes[ptq->layer_nodes[i]].out[0];
        if (out >= 0 && ptq->tensors[out].fake_probe >= 0) {
            struct compress_tensor *tensor = &ptq->tensors[out];
            compare(ptq, tensor);
            ptq->layers[i].sqnr =
                tensor->noise > 0 ? 10 * log10(tensor->signal / tensor->noise) : INFINITY;
        }
    }
    return LEDGE_OK;
}

const struct compress_layer *compress_ptq_layers(struct compress_ptq *ptq, int32_t *n)
{
    *n = ptq->n_layers;
    return ptq->layers;
}
