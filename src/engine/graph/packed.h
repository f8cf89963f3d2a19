/* SPDX-License-Identifier: Apache-2.0 */
/* packed.h -- constants in the order that kernels read them in, made beforehand and kept in a file.
 *
 * Flow:    plan/pack.c makes them -> format/ writes and reads -> plan/pack.c takes them
 *
 * A part is found by its key, which tells operator, values, kernel, sizes and shapes; a part of
 * another size than the step needs is not taken. What it holds may be anything: no kernel takes an
 * index or a length from packed constants.
 */
#ifndef LEDGE_ENGINE_GRAPH_PACKED_H
#define LEDGE_ENGINE_GRAPH_PACKED_H

#include <stddef.h>
#include <stdint.h>

struct ledge_packed_part {
    uint64_t key;
    const void *data; /* BORROWED, at a multiple of 64 */
    size_t bytes;
};

/* All of one plan, or of several, in the order of the steps. */
struct ledge_packed {
    uint32_t rung; /* enum ledge_rung */
    const struct ledge_packed_part *parts;
    int32_t n;
};

#endif
