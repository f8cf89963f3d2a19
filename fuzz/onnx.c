/* SPDX-License-Identifier: Apache-2.0 */
/* onnx.c -- fuzz the ONNX reader, the passes, the planner (which runs constant nodes) and, when the
 * model is small, one run on zeros. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/plan/passes.h"
#include "engine/run/run.h"
#include "import/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_MAX = 1 << 20, MACS_MAX = 1 << 22, MAX_INPUTS = 16 };

static int64_t all_macs(const struct ledge_plan *plan)
{
    int64_t total = 0;
    for (int32_t i = 0; i < plan->n_steps; i++) {
        int64_t macs = plan->steps[i].ready.macs;
        total = macs > MACS_MAX - total ? MACS_MAX : total + macs;
    }
    return total;
}

static void run_once(const struct ledge_plan *plan, struct ledge_error *err)
{
    static uint64_t zeros[ARENA_MAX / 8];
    struct ledge_run *run = NULL;
    if (plan->arena_bytes > ARENA_MAX || plan->scratch_bytes > ARENA_MAX ||
        plan->graph.n_inputs > MAX_INPUTS || all_macs(plan) >= MACS_MAX) {
        return;
    }
    for (int32_t i = 0; i < plan->graph.n_inputs; i++) {
        if (ledge_value_bytes(&plan->graph.values[plan->graph.inputs[i]]) > sizeof zeros) {
            return;
        }
    }
    if (ledge_run_create(plan, NULL, NULL, &run, err) != LEDGE_OK) {
        return;
    }
    for (int32_t i = 0; i < plan->graph.n_inputs; i++) {
        ledge_run_bind(run, i, zeros);
    }
    if (ledge_run_once(run, err) == LEDGE_OK) {
        for (int32_t i = 0; i < plan->graph.n_outputs; i++) {
            struct ledge_view view = ledge_run_output(run, i);
            volatile uint8_t sink = 0;
            for (size_t k = 0; k < ledge_view_bytes(&view); k++) {
                sink = sink ^ ((const uint8_t *)view.data)[k];
            }
        }
    }
    ledge_run_free(run);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ledge_graph graph;
    struct ledge_error err = {.text = ""};
    struct ledge_plan *plan = NULL;
    const struct ledge_plan_options options = {.rung = LEDGE_RUNG_C, .threads = 1};
    ledge_graph_init(&graph, NULL);
    if (ledge_import_onnx(data, size, &graph, &err) == LEDGE_OK &&
        ledge_passes_run(&graph, &err) == LEDGE_OK &&
        ledge_plan_create(&graph, &options, NULL, &plan, &err) == LEDGE_OK) {
        run_once(plan, &err);
        ledge_plan_free(plan);
    }
    ledge_graph_done(&graph);
    return 0;
}
