/* SPDX-License-Identifier: Apache-2.0 */
/* conv_i8.c -- see conv_i8.h. */
#include "engine/ops/conv_i8.h"

#include <string.h>

#include "base/status.h"
#include "engine/kernels/each_i8.h"
#include "engine/kernels/winograd_i8.h"

/* What follows the packed weights: what packing finds out, and lists by position, so that nothing
 * is left to do with packed constants from a file. Whatever they say is safe to run with. */
struct facts {
    int32_t zeros_matter, one_zero, narrow, bytes, winograd;
    int32_t sum_agrees;
    float sum[3]; /* a, b, constant */
};

enum { OFFSET, ZEROS, SCALE, LISTS, MULTIPLIER = SCALE, LEFT, RIGHT, FIXED_LISTS };

/* What both kinds of convolution know of packing. */
struct source {
    struct ledge_weights_i8 weights;
    struct ledge_scales_i8 scales;
    int64_t n;        /* positions */
    size_t bytes;     /* of the packed weights, without what follows */
    int64_t *largest; /* FILLED by packing; NULL with real scales */
};

static enum ledge_status begin(struct ledge_op_prepare *prepare,
                               const struct ledge_weights_i8 *weights,
                               const struct ledge_scales_i8 *scales, int64_t n, size_t bytes,
                               struct source *source)
{
    *source = (struct source){.weights = *weights, .scales = *scales, .n = n, .bytes = bytes};
    int64_t lists = scales->scale != NULL ? LISTS : FIXED_LISTS;
    if (scales->scale == NULL) {
        source->largest = LEDGE_NEW_ARRAY(prepare->memory, int64_t, (size_t)n);
        if (source->largest == NULL) {
            return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
        }
    }
    prepare->packed_bytes = bytes + sizeof(struct facts) + (size_t)(lists * n) * sizeof(int32_t);
    return LEDGE_OK;
}

static struct facts *facts_at(const struct source *source, const void *packed)
{
    return (struct facts *)(void *)((char *)packed + source->bytes);
}

static int32_t *list_at(const struct source *source, const void *packed, int which)
{
    return (int32_t *)(void *)(facts_at(source, packed) + 1) + which * source->n;
}

/* Scales at position p of channel (-1: none). */
static void place(const struct source *source, void *packed, int64_t p, int64_t channel)
{
    const struct ledge_scales_i8 *scales = &source->scales;
    bool real = channel >= 0;
    if (scales->scale != NULL) {
        ((float *)(void *)list_at(source, packed, SCALE))[p] = real ? scales->scale[channel] : 0.0f;
        return;
    }
    list_at(source, packed, MULTIPLIER)[p] = real ? scales->multiplier[channel] : 0;
    list_at(source, packed, LEFT)[p] = real ? scales->left[channel] : 0;
    list_at(source, packed, RIGHT)[p] = real ? scales->right[channel] : 0;
}

static bool is_narrow(const struct source *source, const void *packed)
{
    if (source->scales.scale != NULL) {
        const float *scale = (const float *)(void *)list_at(source, packed, SCALE);
        int64_t p = 0;
        while (p < source->n && scale[p] >= -0.5f && scale[p] <= 0.5f) {
            p++;
        }
        return p == source->n;
    }
    const int32_t *left = list_at(source, packed, LEFT);
    for (int64_t p = 0; p < source->n && source->largest != NULL; p++) {
        if (source->largest[p] >= ((int64_t)1 << 30) >> left[p]) {
            return false;
        }
    }
    return source->largest != NULL;
}

static void use(const struct source *source, const void *packed, struct ledge_epilogue_i8 *epilogue)
{
    bool real = source->scales.scale != NULL;
    epilogue->offset = list_at(source, packed, OFFSET);
    epilogue->scale = real ? (const float *)(void *)list_at(source, packed, SCALE) : NULL;
    epilogue->multiplier = real ? NULL : list_at(source, packed, MULTIPLIER);
    epilogue->left = real ? NULL : list_at(source, packed, LEFT);
    epilogue->right = real ? NULL : list_at(source, packed, RIGHT);
    epilogue->narrow = facts_at(source, packed)->narrow != 0;
}

/* Have all channels that are there one zero point? */
static bool all_equal(const struct ledge_lists_i8 *lists, int64_t n)
{
    for (int64_t p = 1; p < n; p++) { /* position 0 is channel 0 */
        if (lists->channels[p] >= 0 && lists->zeros[p] != lists->zeros[0]) {
            return false;
        }
    }
    return true;
}

/* Numbers of channels stand where their scales will be. */
static struct ledge_lists_i8 lists_of(const struct source *source, void *packed, bool *bytes)
{
    return (struct ledge_lists_i8){.offset = list_at(source, packed, OFFSET),
                                   .zeros = list_at(source, packed, ZEROS),
                                   .channels = list_at(source, packed, SCALE),
                                   .largest = source->largest,
                                   .bytes = bytes};
}

/* What is left to write once the weights are packed. */
static void finish(const struct source *source, void *packed, bool matter, bool one_zero)
{
    const int32_t *channels = list_at(source, packed, SCALE);
    for (int64_t p = 0; p < source->n; p++) {
        place(source, packed, p, channels[p]);
    }
    *facts_at(source, packed) = (struct facts){
        .zeros_matter = matter, .one_zero = one_zero, .narrow = is_narrow(source, packed)};
}

/* The params come first: a kernel knows only them. */
struct prepared_conv {
    struct ledge_conv_i8 conv;
    struct source source;
};

struct prepared_depthwise {
    struct ledge_depthwise_i8 dw;
    struct source source;
};

static void pack_conv(const struct ledge_op_prepare *prepare, void *packed)
{
    const struct prepared_conv *made = prepare->params;
    const struct source *source = &made->source;
    bool bytes = false;
    struct ledge_lists_i8 lists = lists_of(source, packed, &bytes);
    bool winograd = LEDGE_HAS(LEDGE_KERNEL_winograd_i8) && made->conv.may_be_winograd &&
                    ledge_winograd_i8_pack(&made->conv, &source->weights, packed, &lists);
    bool matter = !winograd && ledge_conv_i8_pack(&made->conv, &source->weights, packed, &lists);
    finish(source, packed, matter, matter && all_equal(&lists, source->n));
    facts_at(source, packed)->bytes = bytes;
    facts_at(source, packed)->winograd = winograd;
    if (LEDGE_HAS(LEDGE_KERNEL_sum_i8) && made->conv.addend > 0) {
        struct ledge_sum_i8 sum = made->conv.sum;
        facts_at(source, packed)->sum_agrees =
            ledge_sum_i8_find(made->conv.isa, &made->conv.epilogue, &sum);
        memcpy(facts_at(source, packed)->sum, (float[3]){sum.a, sum.b, sum.constant},
               sizeof(float[3]));
    }
}

static void bind_conv(struct ledge_op_prepare *prepare, const void *packed)
{
    struct prepared_conv *made = (struct prepared_conv *)prepare->params;
    const struct facts *facts = facts_at(&made->source, packed);
    bool matter = facts->zeros_matter != 0 && made->conv.isa->row_sums != NULL;
    if (facts->bytes != 0 && made->conv.may_be_bytes) {
        ledge_conv_i8_use_bytes(&made->conv);
    }
    made->conv.winograd = facts->winograd != 0 && made->conv.may_be_winograd;
    prepare->bound = made->conv.winograd ? NULL : made->conv.isa->conv;
    bool sums = !LEDGE_HAS(LEDGE_PART_SUMS) || made->conv.isa->sum_agrees != NULL;
    made->conv.sum_agrees = LEDGE_HAS(LEDGE_KERNEL_sum_i8) && facts->sum_agrees != 0 && sums;
    made->conv.sum.a = facts->sum[0];
    made->conv.sum.b = facts->sum[1];
    made->conv.sum.constant = facts->sum[2];
    made->conv.zeros = matter ? list_at(&made->source, packed, ZEROS) : NULL;
    made->conv.one_zero = matter && facts->one_zero != 0;
    use(&made->source, packed, &made->conv.epilogue);
}

/* Has this build (LEDGE_OPS) the loops for it? lookup: through a table in the end; taps: bits of
 * ledge_depthwise_i8_loops(). */
static enum ledge_status check_loops(const struct ledge_op_prepare *prepare, bool lookup,
                                     uint32_t taps)
{
    const uint32_t built = (LEDGE_HAS(LEDGE_KERNEL_taps_any) ? LEDGE_TAPS_ANY : 0u) |
                           (LEDGE_HAS(LEDGE_KERNEL_taps_parts) ? LEDGE_TAPS_PARTS : 0u) |
                           (LEDGE_HAS(LEDGE_KERNEL_taps_5) ? LEDGE_TAPS_5 : 0u);
    if (built == LEDGE_TAPS_ALL && LEDGE_HAS(LEDGE_KERNEL_lookup)) {
        return LEDGE_OK;
    }
    return (taps & ~built) == 0 && (!lookup || LEDGE_HAS(LEDGE_KERNEL_lookup))
               ? LEDGE_OK
               : ledge_prepare_fail(prepare, LEDGE_ERR_UNSUPPORTED,
                                    "this build has no loops for its windows, weights or table");
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
    LEDGE_TRY(check_loops(prepare, conv->table > 0, 0));
    ledge_conv_i8_plan(&made->conv, prepare->rung, prepare->threads);
    LEDGE_TRY(begin(prepare, weights, scales, ledge_conv_i8_positions(&made->conv),
                    ledge_conv_i8_packed(&made->conv), &made->source));
    prepare->pack = LEDGE_PACKER(pack_conv);
    prepare->packs_all = true;
    prepare->bind = bind_conv;
    prepare->params = made;
    prepare->run = ledge_conv_i8;
    prepare->kernel = made->conv.may_be_winograd ? made->conv.isa->winograd->name
                      : made->conv.strips        ? made->conv.isa->strips_name
                                                 : made->conv.isa->conv;
    prepare->scratch_bytes = ledge_conv_i8_scratch(&made->conv);
    return LEDGE_OK;
}

static void pack_depthwise(const struct ledge_op_prepare *prepare, void *packed)
{
    const struct prepared_depthwise *made = prepare->params;
    const struct source *source = &made->source;
    struct ledge_lists_i8 lists = lists_of(source, packed, NULL);
    ledge_depthwise_i8_pack(&made->dw, &source->weights, packed, &lists);
    finish(source, packed, false, false);
}

static void bind_depthwise(struct ledge_op_prepare *prepare, const void *packed)
{
    struct prepared_depthwise *made = (struct prepared_depthwise *)prepare->params;
    use(&made->source, packed, &made->dw.epilogue);
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
    ledge_depthwise_i8_plan(&made->dw, weights, prepare->rung, prepare->threads);
    LEDGE_TRY(check_loops(prepare, dw->table > 0, ledge_depthwise_i8_loops(&made->dw)));
    LEDGE_TRY(begin(prepare, weights, scales, ledge_depthwise_i8_positions(&made->dw),
                    ledge_depthwise_i8_packed(&made->dw), &made->source));
    prepare->pack = LEDGE_PACKER(pack_depthwise);
    prepare->packs_all = true;
    prepare->bind = bind_depthwise;
    prepare->params = made;
    prepare->run = ledge_depthwise_i8;
    prepare->kernel = made->dw.isa->depthwise;
    return LEDGE_OK;
}
