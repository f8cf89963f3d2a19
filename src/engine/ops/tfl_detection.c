/* SPDX-License-Identifier: Apache-2.0 */
/* tfl_detection.c -- DetectionPostProcess of domain "tfl". */
#include "engine/kernels/tfl_detection.h"
#include "base/banned.h"
#include "base/status.h"
#include "engine/ops/tfl.h"

static bool is_float(const struct ledge_value *value, int32_t rank)
{
    bool right = value != NULL && value->dtype == LEDGE_F32 && value->rank == rank;
    for (int32_t i = 0; right && i < rank; i++) {
        right = value->dims[i] >= 1 && value->dims[i] <= INT32_MAX;
    }
    return right;
}

/* Everything but the scales of boxes; false when it does not fit. */
static bool read_shape(const struct ledge_node *node, const struct ledge_value *boxes,
                       const struct ledge_value *scores, const struct ledge_value *anchors,
                       struct ledge_tfl_detection_params *p)
{
    if (!is_float(boxes, 3) || !is_float(scores, 3) || !is_float(anchors, 2)) {
        return false;
    }
    *p = (struct ledge_tfl_detection_params){
        .boxes = boxes->dims[1],
        .box_size = boxes->dims[2],
        .columns = scores->dims[2],
        .classes = ledge_node_int(node, "num_classes", 0),
        .most = ledge_node_int(node, "max_detections", 0),
        .each = ledge_node_int(node, "max_classes_per_detection", 0),
        .per_class = ledge_node_int(node, "detections_per_class", 100),
        .every_class = ledge_node_int(node, "use_regular_nms", 0) != 0,
        .least_score = ledge_node_float(node, "nms_score_threshold", 0),
        .overlap = ledge_node_float(node, "nms_iou_threshold", 0)};
    bool fits = boxes->dims[0] == 1 && scores->dims[0] == 1 && p->box_size >= 4 &&
                scores->dims[1] == p->boxes && anchors->dims[0] == p->boxes &&
                anchors->dims[1] == 4;
    return fits && p->classes >= 1 && p->classes <= p->columns && p->columns <= p->classes + 1 &&
           p->most >= 1 && p->most <= 1 << 20 && p->each >= 1 && p->each <= 1 << 10 &&
           p->per_class >= 1;
}

enum ledge_status ledge_tfl_infer_detection(struct ledge_op_infer *infer)
{
    struct ledge_tfl_detection_params p;
    if (infer->node->n_out != 4 ||
        !read_shape(infer->node, ledge_infer_in(infer, 0), ledge_infer_in(infer, 1),
                    ledge_infer_in(infer, 2), &p)) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE,
                                "boxes, scores, anchors or options do not fit");
    }
    int64_t n = p.most * p.each;
    LEDGE_TRY(ledge_infer_out(infer, 0, LEDGE_F32, 3, TFL_DIMS(1, n, 4)));
    LEDGE_TRY(ledge_infer_out(infer, 1, LEDGE_F32, 2, TFL_DIMS(1, n)));
    LEDGE_TRY(ledge_infer_out(infer, 2, LEDGE_F32, 2, TFL_DIMS(1, n)));
    return ledge_infer_out(infer, 3, LEDGE_F32, 1, TFL_DIMS(1));
}

enum ledge_status ledge_tfl_prepare_detection(struct ledge_op_prepare *prepare)
{
    static const char *const scales[4] = {"y_scale", "x_scale", "h_scale", "w_scale"};
    struct ledge_tfl_detection_params *p = ledge_tfl_params(prepare, sizeof *p);
    if (p == NULL) {
        return LEDGE_ERR_NOMEM;
    }
    (void)read_shape(prepare->node, ledge_prepare_in(prepare, 0), ledge_prepare_in(prepare, 1),
                     ledge_prepare_in(prepare, 2), p);
    for (int i = 0; i < 4; i++) {
        p->scale[i] = ledge_node_float(prepare->node, scales[i], 0);
        if (!(p->scale[i] > 0)) {
            return ledge_prepare_fail(prepare, LEDGE_ERR_RANGE, "%s is %g", scales[i],
                                      (double)p->scale[i]);
        }
    }
    prepare->scratch_bytes = ledge_tfl_detection_scratch(p);
    if (prepare->scratch_bytes == 0) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "too many boxes");
    }
    prepare->params = p;
    prepare->run = ledge_tfl_detection_c;
    prepare->kernel = "tfl_detection_c";
    return LEDGE_OK;
}
