/* SPDX-License-Identifier: Apache-2.0 */
/* blocked_gather.c -- BlockedGather: its map of channels checked, then turned into tables of source
 * blocks and lanes. */
#include "base/status.h"
#include "engine/ops/blocked.h"

enum { MAX_CHANNELS = 1 << 24, MAX_BLOCK = 64 };

static bool alike(const struct ledge_value *a, const struct ledge_value *b)
{
    return b != NULL && b->dtype == LEDGE_F32 && b->rank == 5 && a->dims[0] == b->dims[0] &&
           a->dims[2] == b->dims[2] && a->dims[3] == b->dims[3] && a->dims[4] == b->dims[4] &&
           b->dims[1] <= MAX_CHANNELS;
}

enum ledge_status ledge_blocked_gather_infer(struct ledge_op_infer *infer)
{
    size_t n;
    const int64_t *map = ledge_node_ints(infer->node, "map", &n);
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    if (x == NULL || x->rank != 5 || x->dims[4] < 1 || x->dims[4] > MAX_BLOCK || map == NULL ||
        n < 1 || n > MAX_CHANNELS || infer->node->n_in > LEDGE_BLOCKED_GATHER_INPUTS) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "needs blocked inputs and a map");
    }
    for (int32_t i = 0; i < infer->node->n_in; i++) {
        if (!alike(x, ledge_infer_in(infer, i))) {
            return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "input %d is not like the first",
                                    (int)i);
        }
    }
    for (size_t c = 0; c < n; c++) {
        const struct ledge_value *from = ledge_infer_in(infer, (int32_t)(map[c] >> 32));
        if (map[c] < 0 || from == NULL || (map[c] & UINT32_MAX) >= from->dims[1] * from->dims[4]) {
            return ledge_infer_fail(infer, LEDGE_ERR_RANGE, "map[%zu] is no channel", c);
        }
    }
    const int64_t dims[5] = {x->dims[0], ((int64_t)n + x->dims[4] - 1) / x->dims[4], x->dims[2],
                             x->dims[3], x->dims[4]};
    return ledge_infer_out(infer, 0, LEDGE_F32, 5, dims);
}

/* Lane `lane` of the output block whose sources begin at `first`; how many sources there are then.
 */
static int32_t add_lane(struct ledge_blocked_source *sources, int32_t *index, int32_t first,
                        int32_t used, int64_t block, int64_t lane, int64_t from)
{
    struct ledge_blocked_source want = {.input = (int32_t)(from >> 32),
                                        .block = (int32_t)((from & UINT32_MAX) / block)};
    int32_t at = first;
    while (at < used && (sources[at].input != want.input || sources[at].block != want.block)) {
        at++;
    }
    if (at == used) {
        sources[at] = want;
        for (int64_t i = 0; i < block; i++) {
            index[at * block + i] = -1;
        }
        used++;
    }
    index[at * block + lane] = (int32_t)((from & UINT32_MAX) % block);
    return used;
}

/* Is the output all inputs, whole blocks, one after the other in memory? */
static bool joins(const struct ledge_op_prepare *prepare, const int64_t *map, int64_t n)
{
    int64_t c = 0;
    for (int32_t i = 0; i < prepare->node->n_in; i++) {
        const struct ledge_value *in = ledge_prepare_in(prepare, i);
        for (int64_t k = 0; k < in->dims[1] * in->dims[4]; k++, c++) {
            if (c >= n || map[c] != ((int64_t)i << 32 | k)) {
                return false;
            }
        }
    }
    return c == n && ledge_prepare_out(prepare, 0)->dims[0] == 1;
}

enum ledge_status ledge_blocked_gather_prepare(struct ledge_op_prepare *prepare)
{
    size_t n;
    const int64_t *map = ledge_node_ints(prepare->node, "map", &n);
    const struct ledge_value *out = ledge_prepare_out(prepare, 0);
    struct ledge_blocked_gather *g = LEDGE_NEW(prepare->memory, struct ledge_blocked_gather);
    int64_t block = out->dims[4], blocks = out->dims[1];
    int32_t *first = LEDGE_NEW_ARRAY(prepare->memory, int32_t, (size_t)blocks + 1);
    struct ledge_blocked_source *sources =
        LEDGE_NEW_ARRAY(prepare->memory, struct ledge_blocked_source, n);
    int32_t *index = LEDGE_NEW_ARRAY(prepare->memory, int32_t, n * (size_t)block);
    int64_t *in_blocks = LEDGE_NEW_ARRAY(prepare->memory, int64_t, (size_t)prepare->node->n_in);
    if (g == NULL || first == NULL || sources == NULL || index == NULL || in_blocks == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    for (int32_t i = 0; i < prepare->node->n_in; i++) {
        in_blocks[i] = ledge_prepare_in(prepare, i)->dims[1];
    }
    int32_t used = 0;
    for (int64_t b = 0; b < blocks; b++) {
        first[b] = used;
        for (int64_t c = b * block; c < (int64_t)n && c < (b + 1) * block; c++) {
            used = add_lane(sources, index, first[b], used, block, c % block, map[c]);
        }
    }
    first[blocks] = used;
    prepare->joins = joins(prepare, map, (int64_t)n);
    *g = (struct ledge_blocked_gather){.isa = ledge_blocked_for(prepare->rung, prepare->consistent),
                                       .batch = out->dims[0],
                                       .pixels = out->dims[2] * out->dims[3],
                                       .blocks = blocks,
                                       .in_blocks = in_blocks,
                                       .first = first,
                                       .sources = sources,
                                       .index = index,
                                       .joins = prepare->joins};
    if (g->isa->block != block || g->batch * g->blocks > INT32_MAX) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_UNSUPPORTED, "not done for blocks of %lld",
                                  (long long)block);
    }
    prepare->params = g;
    prepare->run = ledge_blocked_gather_run;
    prepare->kernel = g->isa->gathering;
    return LEDGE_OK;
}
