/* SPDX-License-Identifier: Apache-2.0 */
/* ledge_file.c -- fuzz target of the .ledge reader. Size and digest are put right first, else
 * nothing behind them would ever be reached. What is read must also survive the passes, being
 * written and being read again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "engine/format/ledge_file.h"
#include "engine/plan/passes.h"

static void again(const struct ledge_graph *graph)
{
    size_t size = 0;
    struct ledge_error err;
    if (ledge_file_write(graph, NULL, &size, &err) != LEDGE_OK) {
        abort();
    }
    void *bytes = malloc(size);
    struct ledge_graph copy;
    ledge_graph_init(&copy, NULL);
    if (bytes == NULL || ledge_file_write(graph, bytes, &size, &err) != LEDGE_OK ||
        ledge_file_read(bytes, size, &copy, &err) != LEDGE_OK) {
        abort();
    }
    ledge_graph_done(&copy);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *bytes = malloc(size > 0 ? size : 1);
    if (bytes == NULL) {
        return 0;
    }
    if (size > 0) {
        memcpy(bytes, data, size);
    }
    if (size >= 64) {
        for (int i = 0; i < 8; i++) {
            bytes[16 + i] = (uint8_t)((uint64_t)size >> (8 * i));
        }
        ledge_sha256(bytes + 64, size - 64, bytes + 32);
    }
    struct ledge_graph graph;
    struct ledge_error err;
    ledge_graph_init(&graph, NULL);
    if (ledge_file_read(bytes, size, &graph, &err) == LEDGE_OK) {
        again(&graph);
        if (ledge_passes_run(&graph, &err) == LEDGE_OK) {
            again(&graph);
        }
    }
    ledge_graph_done(&graph);
    free(bytes);
    return 0;
}
