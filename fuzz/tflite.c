/* SPDX-License-Identifier: Apache-2.0 */
/* tflite.c -- fuzz the TFLite reader, the passes, the planner, and, for small models, two runs:
 * what a model keeps goes from one to the next. */
#include <stddef.h>
#include <stdint.h>

#include "engine/plan/passes.h"
#include "import/import.h"
#include "run_plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ledge_graph graph;
    struct ledge_error err = {.text = ""};
    struct ledge_plan *plan = NULL;
    const struct ledge_plan_options options = fuzz_options(size);
    ledge_graph_init(&graph, NULL);
    if (ledge_import_tflite(data, size, &graph, &err) == LEDGE_OK &&
        ledge_passes_run(&graph, &err) == LEDGE_OK &&
        ledge_plan_create(&graph, &options, &fuzz_memory, &plan, &err) == LEDGE_OK) {
        fuzz_run(plan, 0x5a, &err);
        ledge_plan_free(plan);
    }
    ledge_graph_done(&graph);
    return 0;
}
