/* SPDX-License-Identifier: Apache-2.0 */
/* network.c -- see network.h; which constants are parameters and how a graph is lowered stands in
 * lower.c. */
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "engine/port/port.h"
#include "train/grad/grad.h"
#include "train/loop/lower.h"
#include "train/ops/ops.h"

/* A compiled copy. Its inputs: x, parameters, then step and labels (training only). */
struct pass {
    struct ledge_graph graph;
    struct ledge_plan *plan;
    struct ledge_run *run;
};

struct train_network {
    struct ledge_graph *graph;
    struct train_param *params;
    int32_t n_params;
    int32_t
        *grad_of; /* output number of a parameter's gradient or statistics in the training pass */
    struct pass training, inference;
    int32_t batch, classes;
    int64_t sample;
    int64_t *spread; /* of a statistic: elements behind one value (batch times plane) */
};

static enum ledge_status no_memory(struct ledge_error *err)
{
    return ledge_fail(err, LEDGE_ERR_NOMEM, "network: out of memory");
}

static enum ledge_status make_params(struct train_network *n,
                                     const struct train_network_options *options,
                                     struct ledge_error *err)
{
    enum train_param_kind *kinds = malloc((size_t)n->graph->n_values * sizeof *kinds);
    bool *is_param = calloc((size_t)n->graph->n_values, sizeof *is_param);
    enum ledge_status status = LEDGE_OK;
    int32_t trained = 0;
    if (kinds == NULL || is_param == NULL) {
        status = no_memory(err);
    } else {
        n->n_params = train_lower_find(n->graph, options->only, options->n_only, is_param, kinds);
        n->params = calloc((size_t)n->n_params + 1, sizeof *n->params);
        n->grad_of = calloc((size_t)n->n_params + 1, sizeof *n->grad_of);
        n->spread = calloc((size_t)n->n_params + 1, sizeof *n->spread);
        status = n->params == NULL || n->grad_of == NULL || n->spread == NULL ? no_memory(err)
                                                                              : LEDGE_OK;
    }
    for (int32_t i = 0, at = 0; status == LEDGE_OK && i < n->graph->n_values; i++) {
        if (!is_param[i]) {
            continue;
        }
        const struct ledge_value *value = &n->graph->values[i];
        struct train_param *p = &n->params[at++];
        *p = (struct train_param){value->name, i, kinds[i], train_count(value), NULL};
        p->data = malloc((size_t)p->count * sizeof *p->data);
        if (p->data == NULL) {
            status = no_memory(err);
            break;
        }
        memcpy(p->data, value->data, (size_t)p->count * sizeof *p->data);
        trained += p->kind != TRAIN_PARAM_STATE;
    }
    free(kinds);
    free(is_param);
    if (status == LEDGE_OK && trained == 0) {
        return ledge_fail(err, LEDGE_ERR_ARG, "the model has no parameter that can be trained");
    }
    return status;
}

/* Copy the graph; parameters become inputs. */
static enum ledge_status start_pass(const struct train_network *n, struct pass *pass,
                                    struct ledge_error *err)
{
    ledge_graph_init(&pass->graph, ledge_allocator_default());
    LEDGE_TRY(ledge_graph_copy(n->graph, &pass->graph, err));
    pass->graph.extra_ops = &train_ops;
    pass->graph.values[pass->graph.inputs[0]].dims[0] = -1;
    for (int32_t i = 0; i < n->n_params; i++) {
        struct ledge_value *value = &pass->graph.values[n->params[i].value];
        value->data = NULL;
        value->bytes = 0;
        if (ledge_graph_add_input(&pass->graph, n->params[i].value) < 0) {
            return no_memory(err);
        }
    }
    return LEDGE_OK;
}

static enum ledge_status finish_pass(struct pass *pass, const struct train_network_options *options,
                                     struct ledge_error *err)
{
    struct ledge_plan_options plan = {.rung = ledge_port_rung(),
                                      .threads = ledge_pool_threads(options->pool),
                                      .batch = options->batch};
    ledge_graph_sweep(&pass->graph);
    LEDGE_TRY(ledge_graph_sort(&pass->graph, err));
    LEDGE_TRY(ledge_plan_create(&pass->graph, &plan, NULL, &pass->plan, err));
    return ledge_run_create(pass->plan, options->pool, NULL, &pass->run, err);
}

static void bind_params(const struct train_network *n, const struct pass *pass)
{
    for (int32_t i = 0; i < n->n_params; i++) {
        ledge_run_bind(pass->run, i + 1, n->params[i].data);
    }
}

static enum ledge_status compile_inference(struct train_network *n,
                                           const struct train_network_options *options,
                                           struct ledge_error *err)
{
    struct pass *pass = &n->inference;
    LEDGE_TRY(start_pass(n, pass, err));
    int32_t logits = train_lower_inference(&pass->graph);
    pass->graph.outputs[0] = logits;
    pass->graph.n_outputs = 1;
    LEDGE_TRY(finish_pass(pass, options, err));
    struct ledge_view out = ledge_run_output(pass->run, 0);
    const struct ledge_value *in = &pass->plan->graph.values[pass->plan->graph.inputs[0]];
    if (out.rank != 2 || out.dims[0] != options->batch || out.dtype != LEDGE_F32) {
        return ledge_fail(err, LEDGE_ERR_SHAPE, "the model's output is not [batch, classes]");
    }
    n->classes = (int32_t)out.dims[1];
    n->sample = train_count(in) / options->batch;
    bind_params(n, pass);
    return LEDGE_OK;
}

/* Loss on the logits; its gradient's value is returned in *seed. */
static enum ledge_status add_loss(struct ledge_graph *graph, const struct train_lowered *lowered,
                                  const struct train_network_options *options, int32_t *seed,
                                  struct ledge_error *err)
{
    const int64_t batch = options->batch;
    int32_t in[2] = {lowered->logits,
                     ledge_graph_add_value(graph, "train.labels", LEDGE_I32, 1, &batch)};
    int32_t out[2] = {ledge_graph_add_value(graph, "train.loss", LEDGE_F32, -1, NULL),
                      ledge_graph_add_value(graph, "train.logits.grad", LEDGE_F32, -1, NULL)};
    if (in[1] < 0 || out[0] < 0 || out[1] < 0 || ledge_graph_add_input(graph, in[1]) < 0) {
        return no_memory(err);
    }
    int32_t node =
        ledge_graph_add_node(graph, TRAIN_DOMAIN, "SoftmaxCrossEntropy", 1, NULL, in, 2, out, 2);
    graph->outputs[0] = out[0];
    graph->n_outputs = 1;
    if (node < 0 || ledge_graph_add_output(graph, lowered->logits) < 0 ||
        !ledge_graph_set_float(graph, node, "label_smoothing", (float)options->label_smoothing)) {
        return no_memory(err);
    }
    *seed = out[1];
    return LEDGE_OK;
}

/* One output per parameter: its gradient, or the batch's statistic. */
static enum ledge_status add_outputs(struct train_network *n, const struct train_lowered *lowered,
                                     const int32_t *grads, struct ledge_error *err)
{
    struct ledge_graph *graph = &n->training.graph;
    for (int32_t i = 0, at = 0; i < n->n_params; i++) {
        const struct train_param *p = &n->params[i];
        int32_t value = p->kind == TRAIN_PARAM_STATE ? lowered->statistics[p->value] : grads[at++];
        n->grad_of[i] = graph->n_outputs;
        if (value < 0) {
            return ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "%s does not influence the output",
                              p->name);
        }
        if (ledge_graph_add_output(graph, value) < 0) {
            return no_memory(err);
        }
    }
    return LEDGE_OK;
}

/* Loss and gradients; outputs: loss, logits, then one for each parameter. */
static enum ledge_status add_backward(struct train_network *n, struct train_lowered *lowered,
                                      const struct train_network_options *options,
                                      struct ledge_error *err)
{
    struct ledge_graph *graph = &n->training.graph;
    int32_t seed = -1;
    LEDGE_TRY(ledge_graph_sort(graph, err));
    int32_t *wanted = malloc(2 * (size_t)n->n_params * sizeof *wanted);
    if (wanted == NULL) {
        return no_memory(err);
    }
    int32_t *grads = wanted + n->n_params;
    int32_t n_wanted = 0;
    for (int32_t i = 0; i < n->n_params; i++) {
        if (n->params[i].kind != TRAIN_PARAM_STATE) {
            wanted[n_wanted++] = n->params[i].value;
        }
    }
    enum ledge_status status = add_loss(graph, lowered, options, &seed, err);
    if (status == LEDGE_OK) {
        status = train_grad_build(graph, lowered->logits, seed, wanted, n_wanted, grads, err);
    }
    if (status == LEDGE_OK) {
        status = add_outputs(n, lowered, grads, err);
    }
    free(wanted);
    return status;
}

/* How many elements stand behind one batch statistic: for the unbiased variance. */
static void measure_spread(struct train_network *n, const struct train_lowered *lowered)
{
    const struct ledge_graph *graph = &n->training.plan->graph;
    for (int32_t i = 0; i < n->n_params; i++) {
        int32_t x =
            n->params[i].kind == TRAIN_PARAM_STATE ? lowered->source[n->params[i].value] : -1;
        if (x >= 0) {
            n->spread[i] = train_count(&graph->values[x]) / n->params[i].count;
            if (!lowered->is_variance[n->params[i].value]) {
                n->spread[i] = -n->spread[i];
            }
        }
    }
}

static enum ledge_status compile_training(struct train_network *n,
                                          const struct train_network_options *options,
                                          struct ledge_error *err)
{
    struct train_lowered lowered = {0};
    LEDGE_TRY(start_pass(n, &n->training, err));
    enum ledge_status status =
        train_lower_training(&n->training.graph, n->graph->n_values, options->seed, &lowered, err);
    if (status == LEDGE_OK) {
        status = add_backward(n, &lowered, options, err);
    }
    if (status == LEDGE_OK) {
        status = finish_pass(&n->training, options, err);
    }
    if (status == LEDGE_OK) {
        measure_spread(n, &lowered);
        bind_params(n, &n->training);
    }
    train_lowered_done(&lowered);
    return status;
}

enum ledge_status train_network_create(struct ledge_graph *graph,
                                       const struct train_network_options *options,
                                       struct train_network **network, struct ledge_error *err)
{
    if (graph->n_inputs != 1 || graph->n_outputs != 1 ||
        graph->values[graph->inputs[0]].dtype != LEDGE_F32 ||
        graph->values[graph->inputs[0]].rank < 2) {
        return ledge_fail(err, LEDGE_ERR_UNSUPPORTED,
                          "only models with one f32 input and one output can be trained");
    }
    struct train_network *n = calloc(1, sizeof *n);
    if (n == NULL) {
        return no_memory(err);
    }
    n->graph = graph;
    n->batch = options->batch;
    enum ledge_status status = make_params(n, options, err);
    if (status == LEDGE_OK) {
        status = compile_inference(n, options, err);
    }
    if (status == LEDGE_OK) {
        status = compile_training(n, options, err);
    }
    if (status != LEDGE_OK) {
        train_network_free(n);
        return status;
    }
    *network = n;
    return LEDGE_OK;
}

static void free_pass(struct pass *pass)
{
    ledge_run_free(pass->run);
    ledge_plan_free(pass->plan);
    if (pass->graph.arena.allocator.alloc != NULL) {
        ledge_graph_done(&pass->graph);
    }
}

void train_network_free(struct train_network *n)
{
    if (n == NULL) {
        return;
    }
    free_pass(&n->training);
    free_pass(&n->inference);
    for (int32_t i = 0; n->params != NULL && i < n->n_params; i++) {
        free(n->params[i].data);
    }
    free(n->params);
    free(n->grad_of);
    free(n->spread);
    free(n);
}

int32_t train_network_n_params(const struct train_network *n)
{
    return n->n_params;
}

const struct train_param *train_network_param(const struct train_network *n, int32_t index)
{
    return &n->params[index];
}

static void track_statistics(struct train_network *n)
{
    for (int32_t i = 0; i < n->n_params; i++) {
        const struct train_param *p = &n->params[i];
        if (p->kind != TRAIN_PARAM_STATE) {
            continue;
        }
        const float *now = ledge_run_output(n->training.run, n->grad_of[i]).data;
        float count = (float)n->spread[i]; /* negative: a mean */
        float scale = count > 1 ? count / (count - 1) : 1;
        for (int64_t k = 0; k < p->count; k++) {
            p->data[k] = 0.9f * p->data[k] + 0.1f * (scale * now[k]);
        }
    }
}

enum ledge_status train_network_step(struct train_network *n, const float *x, const int32_t *labels,
                                     int64_t step, float *loss, const float **logits,
                                     struct ledge_error *err)
{
    struct ledge_run *run = n->training.run;
    ledge_run_bind(run, 0, x);
    ledge_run_bind(run, n->n_params + 1, &step);
    ledge_run_bind(run, n->n_params + 2, labels);
    LEDGE_TRY(ledge_run_once(run, err));
    *loss = *(const float *)ledge_run_output(run, 0).data;
    *logits = ledge_run_output(run, 1).data;
    track_statistics(n);
    return LEDGE_OK;
}

const float *train_network_grad(const struct train_network *n, int32_t index)
{
    return n->params[index].kind == TRAIN_PARAM_STATE
               ? NULL
               : ledge_run_output(n->training.run, n->grad_of[index]).data;
}

enum ledge_status train_network_predict(struct train_network *n, const float *x,
                                        const float **logits, struct ledge_error *err)
{
    ledge_run_bind(n->inference.run, 0, x);
    LEDGE_TRY(ledge_run_once(n->inference.run, err));
    *logits = ledge_run_output(n->inference.run, 0).data;
    return LEDGE_OK;
}

void train_network_store(struct train_network *n)
{
    for (int32_t i = 0; i < n->n_params; i++) {
        n->graph->values[n->params[i].value].data = n->params[i].data;
    }
}

int32_t train_network_classes(const struct train_network *n)
{
    return n->classes;
}

int64_t train_network_sample(const struct train_network *n)
{
    return n->sample;
}

size_t train_network_bytes(const struct train_network *n)
{
    return n->training.plan->arena_bytes + n->training.plan->scratch_bytes;
}
