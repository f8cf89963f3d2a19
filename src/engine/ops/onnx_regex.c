/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_regex.c -- RegexFullMatch. */
#include <string.h>

#include "base/banned.h"
#include "base/status.h"
#include "engine/kernels/regex.h"
#include "engine/ops/onnx.h"

enum ledge_status ledge_onnx_regex_infer(struct ledge_op_infer *infer)
{
    LEDGE_TRY(ledge_onnx_need(infer, 1));
    LEDGE_TRY(ledge_onnx_dtype_is(infer, 0, LEDGE_STRING));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    return ledge_infer_out(infer, 0, LEDGE_BOOL, x->rank, x->dims);
}

static enum ledge_status compile(struct ledge_op_prepare *prepare, struct ledge_arena *room,
                                 struct ledge_regex *kept)
{
    const struct ledge_attr *pattern = ledge_node_attr(prepare->node, "pattern");
    struct ledge_regex made = {
        .steps = LEDGE_NEW_ARRAY(room, struct ledge_regex_step, LEDGE_REGEX_MAX),
        .ranges = LEDGE_NEW_ARRAY(room, struct ledge_regex_range, LEDGE_REGEX_MAX)};
    int32_t at = 0;
    if (made.steps == NULL || made.ranges == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory for a pattern");
    }
    if (pattern == NULL || pattern->type != LEDGE_ATTR_STRING) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_FORMAT, "no pattern");
    }
    const char *wrong = ledge_regex_compile(&made, pattern->s, &at);
    if (wrong != NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_UNSUPPORTED, "pattern, at byte %d: %s",
                                  (int)at, wrong);
    }
    size_t n_steps = (size_t)made.n_steps, n_ranges = (size_t)made.n_ranges;
    *kept = made;
    kept->steps = LEDGE_NEW_ARRAY(prepare->memory, struct ledge_regex_step, n_steps);
    kept->ranges = LEDGE_NEW_ARRAY(prepare->memory, struct ledge_regex_range, n_ranges);
    if (kept->steps == NULL || kept->ranges == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory for a pattern");
    }
    memcpy(kept->steps, made.steps, n_steps * sizeof *made.steps);
    memcpy(kept->ranges, made.ranges, n_ranges * sizeof *made.ranges);
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_regex_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_regex regex;
    struct ledge_arena room; /* for the longest program; most are short */
    ledge_arena_init(&room, &prepare->memory->allocator);
    enum ledge_status status = compile(prepare, &room, &regex);
    ledge_arena_done(&room);
    if (status != LEDGE_OK) {
        return status;
    }
    prepare->scratch_bytes = ledge_regex_scratch(&regex);
    return ledge_onnx_ready(prepare, ledge_regex_c, "RegexFullMatch_c", &regex, sizeof regex);
}
