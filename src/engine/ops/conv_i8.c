/* SPDX-License-Identifier: Apache-2.0 */
/* conv_i8.c -- see conv_i8.h. */
#include "engine/ops/conv_i8.h"

#include "base/status.h"

/* Lists by position, in one piece of the plan's memory. */
struct lists {
    int64_t n;
    int32_t *offset, *zeros;
    float *scale;
    int32_t *multiplier, *left, *right;
    int64_t *largest;
};

static enum ledge_status make_lists(struct ledge_op_prepare *prepare, int64_t n,
                                    struct lists *lists)
{
    *lists = (struct lists){.n = n};
    int32_t *whole = LEDGE_NEW_ARRAY(prepare->memory, int32_t, (size_t)(5 * n));
    lists->scale = LEDGE_NEW_ARRAY(prepare->memory, float, (size_t)n);
    lists->largest = LEDGE_NEW_ARRAY(prepare->memory, int64_t, (size_t)n);
    if (whole == NULL || lists->scale == NULL || lists->largest == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    lists->offset = whole;
    lists->zeros = whole + n;
    lists->multiplier = whole + 2 * n;
    lists->left = whole + 3 * n;
    lists->right = whole + 4 * n;
    return LEDGE_OK;
}

/* Scales at position p of channel (-1: none). */
static void place(const struct lists *lists, int64_t p, int64_t channel,
                  const struct ledge_scales_i8 *scales)
{
    bool real = channel >= 0;
    if (scales->scale != NULL) {
        lists->scale[p] = real ? scales->scale[channel] : 0.0f;
        return;
    }
    lists->multiplier[p] = real ? scales->multiplier[channel] : 0;
    lists->left[p] = real ? scales->left[channel] : 0;
    lists->right[p] = real ? scales->right[channel] : 0;
}

static bool is_narrow(const struct lists *lists)
{
    for (int64_t p = 0; p < lists->n; p++) {
        if (lists->largest[p] >= ((int64_t)1 << 30) >> lists->left[p]) {
            return false;
        }
    }
    return true;
}

static void use(const struct lists *lists, const struct ledge_scales_i8 *scales,
                struct ledge_epilogue_i8 *epilogue)
{
    epilogue->offset = lists->offset;
    epilogue->scale = scales->scale != NULL ? lists->scale : NULL;
    epilogue->multiplier = lists->multiplier;
    epilogue->left = lists->left;
    epilogue->right = lists->right;
    epilogue->narrow = scales->scale == NULL && is_narrow(lists);
}

/* Have all channels that are there one zero point? */
static bool all_equal(const struct ledge_conv_i8 *conv, const int32_t *zeros)
{
    int64_t n = ledge_conv_i8_positions(conv);
    for (int64_t p = 1; p < n; p++) { /* position 0 is channel 0 */
        if (ledge_conv_i8_channel(conv, p) >= 0 && zeros[p] != zeros[0]) {
            return false;
        }
    }
    return true;
}

static void *reserve(struct ledge_op_prepare *prepare, size_t bytes)
{
    void *packed = ledge_arena_alloc(prepare->memory, bytes, 64);
    if (packed == NULL) {
        (void)ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory for packed weights");
    }
    prepare->packed = packed;
    prepare->packed_bytes = bytes;
    return packed;
}

enum ledge_status ledge_prepare_conv_i8(struct ledge_op_prepare *prepare,
                                        const struct ledge_conv_i8 *conv,
                                        const struct ledge_weights_i8 *weights,
                                        const struct ledge_scales_i8 *scales)
{
    struct lists lists;
    struct ledge_conv_i8 *made = LEDGE_NEW(prepare->memory, struct ledge_conv_i8);
    if (made == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    *made = *conv;
    ledge_conv_i8_plan(made, prepare->rung, prepare->threads);
    LEDGE_TRY(make_lists(prepare, ledge_conv_i8_positions(made), &lists));
    void *packed = reserve(prepare, ledge_conv_i8_packed(made));
    if (packed == NULL) {
        return LEDGE_ERR_NOMEM;
    }
    bool matter =
        ledge_conv_i8_pack(made, weights, packed, lists.offset, lists.zeros, lists.largest);
    made->zeros = matter ? lists.zeros : NULL;
    made->one_zero = matter && all_equal(made, lists.zeros);
    for (int64_t p = 0; p < lists.n; p++) {
        place(&lists, p, ledge_conv_i8_channel(made, p), scales);
    }
    use(&lists, scales, &made->epilogue);
    prepare->params = made;
    prepare->run = ledge_conv_i8;
    prepare->kernel = made->isa->conv;
    prepare->scratch_bytes = ledge_conv_i8_scratch(made);
    return LEDGE_OK;
}

enum ledge_status ledge_prepare_depthwise_i8(struct ledge_op_prepare *prepare,
                                             const struct ledge_depthwise_i8 *dw,
                                             const struct ledge_weights_i8 *weights,
                                             const struct ledge_scales_i8 *scales)
{
    struct lists lists;
    struct ledge_depthwise_i8 *made = LEDGE_NEW(prepare->memory, struct ledge_depthwise_i8);
    if (made == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    *made = *dw;
    ledge_depthwise_i8_plan(made, weights, prepare->rung, prepare->threads);
    LEDGE_TRY(make_lists(prepare, ledge_depthwise_i8_positions(made), &lists));
    void *packed = reserve(prepare, ledge_depthwise_i8_packed(made));
    if (packed == NULL) {
        return LEDGE_ERR_NOMEM;
    }
    ledge_depthwise_i8_pack(made, weights, packed, lists.offset, lists.largest);
    for (int64_t p = 0; p < lists.n; p++) {
        place(&lists, p, ledge_depthwise_i8_channel(made, p), scales);
    }
    use(&lists, scales, &made->epilogue);
    prepare->params = made;
    prepare->run = ledge_depthwise_i8;
    prepare->kernel = made->isa->depthwise;
    return LEDGE_OK;
}
