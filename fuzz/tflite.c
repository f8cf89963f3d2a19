/* SPDX-License-Identifier: Apache-2.0 */
/* tflite.c -- fuzz the TFLite reader, the planner behind it and, when the model is small, one run.
 */
#include <stddef.h>
#include <stdint.h>

#include "import/import.h"
#include "run_plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ledge_graph graph;
    struct ledge_error err = {0};
    ledge_graph_init(&graph, NULL);
    if (ledge_import_tflite(data, size, &graph, &err) == LEDGE_OK) {
        struct ledge_plan_options options = {.rung = LEDGE_RUNG_C};
        struct ledge_plan *plan = NULL;
        if (ledge_plan_create(&graph, &options, NULL, &plan, &err) == LEDGE_OK) {
            fuzz_run(plan, 0, &err);
            ledge_plan_free(plan);
        }
    }
    ledge_graph_done(&graph);
    return 0;
}
