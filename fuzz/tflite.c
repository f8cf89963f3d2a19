/* SPDX-License-Identifier: Apache-2.0 */
/* tflite.c -- fuzz the TFLite reader, the planner behind it, and, for small models, two runs: what
 * a model keeps goes from one to the next. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/run/run.h"
#include "import/import.h"

enum { MOST_INPUTS = 8, MOST_BYTES = 1 << 20, MOST_MACS = 1 << 22, MOST_STEPS = 64 };

/* Cheap enough to be run: a few bytes of model may ask for hours. */
static bool is_small(const struct ledge_plan *plan)
{
    int64_t macs = 0;
    bool small = plan->arena_bytes + plan->scratch_bytes + plan->state_bytes <= MOST_BYTES &&
                 plan->n_steps <= MOST_STEPS && plan->graph.n_inputs <= MOST_INPUTS;
    for (int32_t i = 0; small && i < plan->n_steps; i++) {
        macs += plan->steps[i].ready.macs;
        small = macs >= 0 && macs <= MOST_MACS;
    }
    for (int32_t i = 0; small && i < plan->graph.n_inputs; i++) {
        small = ledge_value_bytes(&plan->graph.values[plan->graph.inputs[i]]) <= MOST_BYTES;
    }
    return small;
}

static void run_twice(const struct ledge_plan *plan)
{
    struct ledge_run *run = NULL;
    struct ledge_error err = {0};
    void *inputs[MOST_INPUTS] = {NULL};
    if (ledge_run_create(plan, NULL, NULL, &run, &err) != LEDGE_OK) {
        return;
    }
    for (int32_t i = 0; i < plan->graph.n_inputs; i++) {
        size_t bytes = ledge_value_bytes(&plan->graph.values[plan->graph.inputs[i]]);
        inputs[i] = malloc(bytes + 1);
        if (inputs[i] != NULL) {
            memset(inputs[i], 0x5a, bytes);
            ledge_run_bind(run, i, inputs[i]);
        }
    }
    for (int i = 0; i < 2; i++) {
        if (ledge_run_once(run, &err) != LEDGE_OK) {
            ledge_run_reset(run);
        }
    }
    ledge_run_free(run);
    for (int32_t i = 0; i < MOST_INPUTS; i++) {
        free(inputs[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ledge_graph graph;
    struct ledge_error err = {0};
    ledge_graph_init(&graph, NULL);
    if (ledge_import_tflite(data, size, &graph, &err) == LEDGE_OK) {
        struct ledge_plan_options options = {.rung = LEDGE_RUNG_C};
        struct ledge_plan *plan = NULL;
        if (ledge_plan_create(&graph, &options, NULL, &plan, &err) == LEDGE_OK) {
            if (is_small(plan)) {
                run_twice(plan);
            }
            ledge_plan_free(plan);
        }
    }
    ledge_graph_done(&graph);
    return 0;
}
