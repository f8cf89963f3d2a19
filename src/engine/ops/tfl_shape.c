/* SPDX-License-Identifier: Apache-2.0 */
/* tfl_shape.c -- ResizeNearest, ResizeBilinear, SpaceToBatchND, BatchToSpaceND of domain "tfl"
 * (NHWC). */
#include <string.h>

#include "base/banned.h"
#include "base/status.h"
#include "engine/ops/tfl.h"

static enum ledge_status check_picture(struct ledge_op_infer *infer)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    if (x == NULL || x->rank != 4 || ledge_dtype_size(x->dtype) == 0) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "input is no tensor of rank 4");
    }
    for (int32_t i = 0; i < 4; i++) {
        if (x->dims[i] < 1 || x->dims[i] > INT32_MAX) {
            return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "dimension %d is %lld", (int)i,
                                    (long long)x->dims[i]);
        }
    }
    return LEDGE_OK;
}

enum ledge_status ledge_tfl_infer_resize(struct ledge_op_infer *infer)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    int64_t size[2];
    int32_t n;
    LEDGE_TRY(check_picture(infer));
    LEDGE_TRY(ledge_infer_ints(infer, 1, size, 2, &n));
    if (n != 2 || size[0] < 1 || size[1] < 1 || size[0] > 65536 || size[1] > 65536) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "new size of %d numbers", (int)n);
    }
    bool bilinear = strcmp(infer->node->op, "ResizeBilinear") == 0;
    if (bilinear && x->dtype != LEDGE_F32 && x->dtype != LEDGE_I8 && x->dtype != LEDGE_U8) {
        return ledge_infer_fail(infer, LEDGE_ERR_DTYPE, "input is %s", ledge_dtype_text(x->dtype));
    }
    int64_t dims[4] = {x->dims[0], size[0], size[1], x->dims[3]};
    return ledge_infer_out(infer, 0, x->dtype, 4, dims);
}

enum ledge_status ledge_tfl_prepare_resize(struct ledge_op_prepare *prepare)
{
    const struct ledge_value *x = ledge_prepare_in(prepare, 0);
    const struct ledge_value *y = ledge_prepare_out(prepare, 0);
    bool bilinear = strcmp(prepare->node->op, "ResizeBilinear") == 0;
    struct ledge_tfl_resize_params *p = ledge_tfl_params(prepare, sizeof *p);
    if (p == NULL) {
        return LEDGE_ERR_NOMEM;
    }
    *p = (struct ledge_tfl_resize_params){
        .batch = x->dims[0],
        .in = {x->dims[1], x->dims[2]},
        .out = {y->dims[1], y->dims[2]},
        .channels = x->dims[3],
        .size = ledge_dtype_size(x->dtype),
        .align_corners = ledge_node_int(prepare->node, "align_corners", 0) != 0,
        .half_pixel_centers = ledge_node_int(prepare->node, "half_pixel_centers", 0) != 0};
    prepare->params = p;
    prepare->run = bilinear ? ledge_tfl_resize_bilinear_c : ledge_tfl_resize_nearest_c;
    prepare->kernel = bilinear ? "tfl_resize_bilinear_c" : "tfl_resize_nearest_c";
    return LEDGE_OK;
}

/* Block sizes and the paddings or crops: begin and end of rows, then of columns. */
struct blocks {
    int64_t block[2];
    int64_t edge[4];
};

static enum ledge_status read_blocks(const struct ledge_op_infer *infer, struct blocks *blocks)
{
    int32_t n;
    int32_t n_edge;
    LEDGE_TRY(ledge_infer_ints(infer, 1, blocks->block, 2, &n));
    LEDGE_TRY(ledge_infer_ints(infer, 2, blocks->edge, 4, &n_edge));
    bool ok = n == 2 && n_edge == 4;
    for (int i = 0; ok && i < 2; i++) {
        ok = blocks->block[i] >= 1 && blocks->block[i] <= 65536 && blocks->edge[2 * i] >= 0 &&
             blocks->edge[2 * i + 1] >= 0 && blocks->edge[2 * i] <= 65536 &&
             blocks->edge[2 * i + 1] <= 65536;
    }
    return ok ? LEDGE_OK : ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "block sizes or edges");
}

enum ledge_status ledge_tfl_infer_space(struct ledge_op_infer *infer)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    struct blocks b;
    LEDGE_TRY(check_picture(infer));
    LEDGE_TRY(read_blocks(infer, &b));
    bool to_batch = strcmp(infer->node->op, "SpaceToBatchND") == 0;
    int64_t area = b.block[0] * b.block[1];
    int64_t dims[4] = {to_batch ? x->dims[0] * area : x->dims[0] / area, 0, 0, x->dims[3]};
    bool ok = to_batch || x->dims[0] % area == 0;
    for (int i = 0; i < 2; i++) {
        int64_t edge = b.edge[2 * i] + b.edge[2 * i + 1];
        int64_t side = to_batch ? x->dims[1 + i] + edge : x->dims[1 + i] * b.block[i] - edge;
        ok = ok && side >= 1 && (!to_batch || side % b.block[i] == 0);
        dims[1 + i] = to_batch ? side / b.block[i] : side;
    }
    if (!ok) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "blocks of %lldx%lld do not fit",
                                (long long)b.block[0], (long long)b.block[1]);
    }
    return ledge_infer_out(infer, 0, x->dtype, 4, dims);
}

enum ledge_status ledge_tfl_prepare_space(struct ledge_op_prepare *prepare)
{
    const struct ledge_value *x = ledge_prepare_in(prepare, 0);
    const struct ledge_value *y = ledge_prepare_out(prepare, 0);
    struct ledge_tfl_space_params *p = ledge_tfl_params(prepare, sizeof *p);
    struct blocks b;
    if (p == NULL) {
        return LEDGE_ERR_NOMEM;
    }
    struct ledge_op_infer again = {
        .graph = (struct ledge_graph *)prepare->graph, .node = prepare->node, .err = prepare->err};
    LEDGE_TRY(read_blocks(&again, &b));
    p->to_batch = strcmp(prepare->node->op, "SpaceToBatchND") == 0;
    p->size = ledge_dtype_size(x->dtype);
    p->pad = x->quant != NULL ? (uint8_t)x->quant->zero_points[0] : 0;
    for (int i = 0; i < 4; i++) {
        p->big[i] = p->to_batch ? x->dims[i] : y->dims[i];
        p->small[i] = p->to_batch ? y->dims[i] : x->dims[i];
    }
    for (int i = 0; i < 2; i++) {
        p->block[i] = b.block[i];
        p->before[i] = b.edge[2 * i];
    }
    prepare->params = p;
    prepare->run = ledge_tfl_space_c;
    prepare->kernel = p->to_batch ? "tfl_space_to_batch_c" : "tfl_batch_to_space_c";
    return LEDGE_OK;
}
