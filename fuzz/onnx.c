/* SPDX-License-Identifier: Apache-2.0 */
/* onnx.c -- fuzz the ONNX reader, the passes, the planner (which runs constant nodes) and, when the
 * model is small, two runs on its last byte. */
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
    if (ledge_import_onnx(data, size, &graph, &err) == LEDGE_OK &&
        ledge_passes_run(&graph, &err) == LEDGE_OK &&
        ledge_plan_create(&graph, &options, &fuzz_memory, &plan, &err) == LEDGE_OK) {
        fuzz_run(plan, size > 0 ? data[size - 1] : 0, &err);
        ledge_plan_free(plan);
    }
    ledge_graph_done(&graph);
    return 0;
}
