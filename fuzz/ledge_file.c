/* SPDX-License-Identifier: Apache-2.0 */
/* ledge_file.c -- fuzz target of the .ledge reader. Size and digest are put right first, else
 * nothing behind them would ever be reached. What is read must also survive the passes, being
 * written and being read again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "engine/format/layout.h"
#include "engine/format/ledge_file.h"
#include "engine/plan/passes.h"
#include "run_plan.h"

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

/* The prepared part, and what it makes of the constants that it says are packed: it is planned and
 * run with them. */
static void prepared(const uint8_t *bytes, size_t size)
{
    static _Alignas(64) const uint64_t zeros[1 << 13];
    struct ledge_graph graph;
    struct ledge_packed packed;
    struct ledge_plan *plan = NULL;
    struct ledge_error err;
    ledge_graph_init(&graph, &fuzz_memory);
    if (ledge_file_read_prepared(bytes, size, LEDGE_RUNG_C, true, zeros, sizeof zeros, &graph,
                                 &packed, &err) == LEDGE_OK) {
        const struct ledge_plan_options options = {
            .rung = LEDGE_RUNG_C, .threads = 1, .max_trips = 100, .packed = &packed};
        if (ledge_plan_create(&graph, &options, &fuzz_memory, &plan, &err) == LEDGE_OK) {
            fuzz_run(plan, 0x3c, &err);
            ledge_plan_free(plan);
        }
    }
    ledge_graph_done(&graph);
}

/* The CRCs of the section table are put right, too. */
static void mend_crcs(uint8_t *bytes, size_t size)
{
    uint32_t n = (uint32_t)bytes[12] | (uint32_t)bytes[13] << 8;
    for (size_t at = 64; n > 0 && size - 64 >= 32 && at <= size - 32; at += 32, n--) {
        uint64_t offset = 0, length = 0;
        memcpy(&offset, bytes + at + 8, 8);
        memcpy(&length, bytes + at + 16, 8);
        uint32_t crc = ledge_crc32c(0, bytes + at, 24);
        if (!ledge_section_is_bulk(bytes[at]) && offset <= size && length <= size - offset) {
            crc = ledge_crc32c(crc, bytes + offset, (size_t)length);
        }
        memcpy(bytes + at + 24, &crc, 4);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    void *room = NULL;
    if (posix_memalign(&room, 64, size > 0 ? size : 1) != 0) {
        return 0;
    }
    uint8_t *bytes = room;
    if (size > 0) {
        memcpy(bytes, data, size);
    }
    if (size >= 64) {
        mend_crcs(bytes, size);
        for (int i = 0; i < 8; i++) {
            bytes[16 + i] = (uint8_t)((uint64_t)size >> (8 * i));
        }
        ledge_sha256(bytes + 64, size - 64, bytes + 32);
    }
    prepared(bytes, size);
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
