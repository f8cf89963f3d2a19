/* SPDX-License-Identifier: Apache-2.0 */
/* conv_i8.c -- see conv_i8.h. */
#include "engine/ops/conv_i8.h"

#include "base/status.h"

/* Lists by position; those of scale, or else the other three. */
struct lists {
    int64_t n;
    float *scale;
    int32_t *multiplier, *left, *right;
    int64_t *largest; /* FILLED by packing */
};

static enum ledge_status make_lists(struct ledge_op_prepare *prepare, int64_t n,
                                    const struct ledge_scales_i8 *scales, struct lists *lists)
{
    *lists = (struct lists){.n = n};
    if (scales->scale != NULL) {
        lists->scale = LEDGE_NEW_ARRAY(prepare->memory, float, (size_t)n);
    } else {
        lists->multiplier = LEDGE_NEW_ARRAY(prepare->memory, int32_t, (size_t)(3 * n));
        lists->largest = LEDGE_NEW_ARRAY(prepare->memory, int64_t, (size_t)n);
    }
    if (lists->scale == NULL && (lists->multiplier == NULL || lists->largest == NULL)) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    if (lists->multiplier != NULL) {
        lists->left = lists->multiplier + n;
        lists->right = lists->multiplier + 2 * n;
    }
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
    for (int64_t p = 0; p < lists->n && lists->largest != NULL; p++) {
        if (lists->largest[p] >= ((int64_t)1 << 30) >> lists->left[p]) {
            return false;
        }
    }
    return lists->largest != NULL;
}

static void use(const struct lists *lists, const int32_t *offset, bool narrow,
                struct ledge_epilogue_i8 *epilogue)
{
    epilogue->offset = offset;
    epilogue->scale = lists->scale;
    epilogue->multiplier = lists->multiplier;
    epilogue->left = lists->left;
    epilogue->right = lists->right;
    epilogue->narrow = narrow;
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

/* What packing finds out beside the weights; follows them. Whatever it says is safe to run with:
 * packed constants may come from a file. */
struct facts {
    int32_t zeros_matter, one_zero, narrow, unused;
};

/* Bytes of weights, facts, offset and zeros by position. */
static size_t packed_bytes(size_t weights, int64_t positions)
{
    return weights + sizeof(struct facts) + 2 * (size_t)positions * sizeof(int32_t);
}

static struct facts *facts_at(const void *packed, size_t weights)
{
    return (struct facts *)(void *)((char *)packed + weights);
}

static int32_t *lists_at(const void *packed, size_t weights)
{
    return (int32_t *)(void *)(facts_at(packed, weights) + 1);
}

/* The params come first: a kernel knows only them. */
struct prepared_conv {
    struct ledge_conv_i8 conv;
    struct ledge_weights_i8 weights;
    struct lists lists;
};

struct prepared_depthwise {
    struct ledge_depthwise_i8 dw;
    struct ledge_weights_i8 weights;
    struct lists lists;
};

static void pack_conv(const struct ledge_op_prepare *prepare, void *packed)
{
    const struct prepared_conv *made = prepare->params;
    size_t weights = ledge_conv_i8_packed(&made->conv);
    int32_t *offset = lists_at(packed, weights), *zeros = offset + made->lists.n;
    bool matter =
        ledge_conv_i8_pack(&made->conv, &made->weights, packed, offset, zeros, made->lists.largest);
    *facts_at(packed, weights) = (struct facts){.zeros_matter = matter,
                                                .one_zero = matter && all_equal(&made->conv, zeros),
                                                .narrow = is_narrow(&made->lists)};
}

static void bind_conv(const struct ledge_op_prepare *prepare, const void *packed)
{
    struct prepared_conv *made = (struct prepared_conv *)prepare->params;
    size_t weights = ledge_conv_i8_packed(&made->conv);
    const struct facts *facts = facts_at(packed, weights);
    const int32_t *offset = lists_at(packed, weights);
    made->conv.zeros = facts->zeros_matter != 0 ? offset + made->lists.n : NULL;
    made->conv.one_zero = facts->zeros_matter != 0 && facts->one_zero != 0;
    use(&made->lists, offset, facts->narrow != 0, &made->conv.epilogue);
}

enum ledge_status ledge_prepare_conv_i8(struct ledge_op_prepare *prepare,
                                        const struct ledge_conv_i8 *conv,
                                        const struct ledge_weights_i8 *weights,
                                        const struct ledge_scales_i8 *scales)
{
    struct prepared_conv *made = LEDGE_NEW(prepare->memory, struct prepared_conv);
    if (made == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    made->conv = *conv;
    made->weights = *weights;
    ledge_conv_i8_plan(&made->conv, prepare->rung, prepare->threads);
    LEDGE_TRY(make_lists(prepare, ledge_conv_i8_positions(&made->conv), scales, &made->lists));
    for (int64_t p = 0; p < made->lists.n; p++) {
        place(&made->lists, p, ledge_conv_i8_channel(&made->conv, p), scales);
    }
    prepare->packed_bytes = packed_bytes(ledge_conv_i8_packed(&made->conv), made->lists.n);
    prepare->pack = pack_conv;
    prepare->bind = bind_conv;
    prepare->params = made;
    prepare->run = ledge_conv_i8;
    prepare->kernel = made->conv.isa->conv;
    prepare->scratch_bytes = ledge_conv_i8_scratch(&made->conv);
    return LEDGE_OK;
}

static void pack_depthwise(const struct ledge_op_prepare *prepare, void *packed)
{
    const struct prepared_depthwise *made = prepare->params;
    size_t weights = ledge_depthwise_i8_packed(&made->dw);
    ledge_depthwise_i8_pack(&made->dw, &made->weights, packed, lists_at(packed, weights),
                            made->lists.largest);
    *facts_at(packed, weights) = (struct facts){.narrow = is_narrow(&made->lists)};
}

static void bind_depthwise(const struct ledge_op_prepare *prepare, const void *packed)
{
    struct prepared_depthwise *made = (struct prepared_depthwise *)prepare->params;
    size_t weights = ledge_depthwise_i8_packed(&made->dw);
    use(&made->lists, lists_at(packed, weights), facts_at(packed, weights)->narrow != 0,
        &made->dw.epilogue);
}

enum ledge_status ledge_prepare_depthwise_i8(struct ledge_op_prepare *prepare,
                                             const struct ledge_depthwise_i8 *dw,
                                             const struct ledge_weights_i8 *weights,
                                             const struct ledge_scales_i8 *scales)
{
    struct prepared_depthwise *made = LEDGE_NEW(prepare->memory, struct prepared_depthwise);
    if (made == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    made->dw = *dw;
    made->weights = *weights;
    ledge_depthwise_i8_plan(&made->dw, weights, prepare->rung, prepare->threads);
    LEDGE_TRY(make_lists(prepare, ledge_depthwise_i8_positions(&made->dw), scales, &made->lists));
    for (int64_t p = 0; p < made->lists.n; p++) {
        place(&made->lists, p, ledge_depthwise_i8_channel(&made->dw, p), scales);
    }
    prepare->packed_bytes = packed_bytes(ledge_depthwise_i8_packed(&made->dw), made->lists.n);
    prepare->pack = pack_depthwise;
    prepare->bind = bind_depthwise;
    prepare->params = made;
    prepare->run = ledge_depthwise_i8;
    prepare->kernel = made->dw.isa->depthwise;
    return LEDGE_OK;
}
