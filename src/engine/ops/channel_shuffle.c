/* SPDX-License-Identifier: Apache-2.0 */
/* channel_shuffle.c -- ledge.ChannelShuffle (kernels/channel_shuffle.h): up to 16 NHWC pictures of
 * bytes, joined along the channels, in another order of channels, cut into up to 16.
 *
 * Attributes: grouped (5) and merged (4), shapes as Reshape understands them, between which the
 * second and third dimension of five change places; parts: channels of each output, else equal. The
 * passes write it; a file may hold one, too, so everything is checked. */
#include "engine/kernels/channel_shuffle.h"

#include "base/checked.h"
#include "base/status.h"
#include "engine/ops/core.h"

#include "base/banned.h"

enum { PICTURE = LEDGE_SHUFFLE_PICTURE, GROUPED = LEDGE_SHUFFLE_GROUPED };

/* Reshape's rules: 0 keeps a dimension, -1 is what is left over. */
static bool reshape(const int64_t *in, int32_t n_in, const int64_t *wanted, int32_t n, int64_t *out)
{
    int64_t total = 1, known = 1;
    int32_t open = -1;
    for (int32_t i = 0; i < n_in; i++) {
        if (!ledge_mul_i64(total, in[i], &total)) {
            return false;
        }
    }
    for (int32_t i = 0; i < n; i++) {
        out[i] = wanted[i] == 0 && i < n_in ? in[i] : wanted[i];
        if (wanted[i] == -1 && open < 0) {
            open = i;
        } else if (!ledge_mul_i64(known, out[i], &known)) {
            return false;
        }
    }
    if (open >= 0) {
        out[open] = known > 0 ? total / known : 0;
        known *= out[open];
    }
    return known == total && total > 0;
}

/* The inputs as one picture. */
static bool read_picture(const struct ledge_value *const *x, int32_t n,
                         struct ledge_channel_shuffle *p)
{
    enum { N, H, W, C };
    p->n_in = n;
    for (int32_t i = 0; i < n; i++) {
        if (x[i] == NULL || (x[i]->dtype != LEDGE_U8 && x[i]->dtype != LEDGE_I8) ||
            x[i]->dtype != x[0]->dtype || x[i]->rank != PICTURE || x[i]->dims[N] != x[0]->dims[N] ||
            x[i]->dims[H] != x[0]->dims[H] || x[i]->dims[W] != x[0]->dims[W] ||
            x[i]->dims[C] > INT32_MAX) {
            return false;
        }
        p->in_channels[i] = x[i]->dims[C];
        p->picture[1] += x[i]->dims[C];
    }
    p->picture[0] = x[0]->dims[N];
    p->picture[2] = x[0]->dims[H];
    p->picture[3] = x[0]->dims[W];
    return true;
}

static bool read_parts(const struct ledge_node *node, struct ledge_channel_shuffle *p)
{
    size_t given;
    const int64_t *sizes = ledge_node_ints(node, "parts", &given);
    int64_t total = 0, each = (p->merged[1] + node->n_out - 1) / node->n_out;
    if (sizes != NULL && given != (size_t)node->n_out) {
        return false;
    }
    p->n_out = node->n_out;
    for (int32_t i = 0; i < node->n_out; i++) {
        int64_t left = p->merged[1] - total;
        int64_t size = sizes != NULL ? sizes[i] : each < left ? each : left;
        if (size < 0 || size > left || node->out[i] < 0) {
            return false;
        }
        p->parts[i].channels = size;
        total += size;
    }
    return total == p->merged[1];
}

static bool read_all(const struct ledge_node *node, const struct ledge_value *const *x,
                     struct ledge_channel_shuffle *p)
{
    size_t n_grouped, n_merged;
    const int64_t *grouped = ledge_node_ints(node, "grouped", &n_grouped);
    const int64_t *merged = ledge_node_ints(node, "merged", &n_merged);
    *p = (struct ledge_channel_shuffle){.n_in = node->n_in};
    if (n_grouped != GROUPED || n_merged != PICTURE || !read_picture(x, node->n_in, p) ||
        !reshape(p->picture, PICTURE, grouped, GROUPED, p->grouped)) {
        return false;
    }
    const int64_t *d = p->grouped, *q = p->picture;
    const int64_t swapped[GROUPED] = {d[0], d[2], d[1], d[3], d[4]};
    if (!reshape(swapped, GROUPED, merged, PICTURE, p->merged)) {
        return false;
    }
    const int64_t *m = p->merged;
    p->regular = d[0] == q[0] && d[3] == q[2] && d[4] == q[3] && m[0] == q[0] && m[1] == q[1] &&
                 m[2] == q[2] && m[3] == q[3];
    p->pixels = q[0] * q[2] * q[3];
    return read_parts(node, p);
}

enum ledge_status ledge_channel_shuffle_infer(struct ledge_op_infer *infer)
{
    const struct ledge_node *node = infer->node;
    const struct ledge_value *x[LEDGE_SHUFFLE_MOST];
    struct ledge_channel_shuffle p;
    bool fits = node->n_in >= 1 && node->n_in <= LEDGE_SHUFFLE_MOST && node->n_out >= 1 &&
                node->n_out <= LEDGE_SHUFFLE_MOST;
    for (int32_t i = 0; i < node->n_in && fits; i++) {
        x[i] = ledge_infer_in(infer, i);
    }
    if (!fits || !read_all(node, x, &p)) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE,
                                "wants up to 16 NHWC pictures of bytes, and shapes that fit them");
    }
    for (int32_t i = 0; i < node->n_out; i++) {
        const int64_t dims[PICTURE] = {p.merged[0], p.merged[2], p.merged[3], p.parts[i].channels};
        LEDGE_TRY(ledge_infer_out(infer, i, x[0]->dtype, PICTURE, dims));
    }
    return LEDGE_OK;
}

static struct ledge_shuffle_origin origin_of(const struct ledge_channel_shuffle *p, int64_t c)
{
    int64_t groups = p->grouped[1], each = p->grouped[2];
    struct ledge_shuffle_origin from = {.channel = c % groups * each + c / groups};
    while (from.channel >= p->in_channels[from.input]) {
        from.channel -= p->in_channels[from.input++];
    }
    return from;
}

/* Does every pair follow the first one? */
static bool goes_in_pairs(const struct ledge_shuffle_origin *from, int64_t n)
{
    for (int64_t c = 2; c < n; c++) {
        if (from[c].input != from[c % 2].input || from[c].channel != from[c % 2].channel + c / 2) {
            return false;
        }
    }
    return n > 0 && n % 2 == 0;
}

enum ledge_status ledge_channel_shuffle_prepare(struct ledge_op_prepare *prepare)
{
    const struct ledge_value *x[LEDGE_SHUFFLE_MOST];
    struct ledge_channel_shuffle *p = LEDGE_NEW(prepare->memory, struct ledge_channel_shuffle);
    for (int32_t i = 0; i < prepare->node->n_in; i++) {
        x[i] = ledge_prepare_in(prepare, i);
    }
    struct ledge_shuffle_origin *from =
        p != NULL && read_all(prepare->node, x, p)
            ? LEDGE_NEW_ARRAY(prepare->memory, struct ledge_shuffle_origin, (size_t)p->merged[1])
            : NULL;
    if (from == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    int64_t at = 0;
    for (int32_t i = 0; i < p->n_out && p->regular; i++) {
        struct ledge_shuffle_part *part = &p->parts[i];
        part->origins = from + at;
        for (int64_t c = 0; c < part->channels; c++) {
            from[at + c] = origin_of(p, at + c);
        }
        part->pairs = goes_in_pairs(part->origins, part->channels);
        at += part->channels;
    }
    prepare->params = p;
    prepare->run = ledge_channel_shuffle_c;
    prepare->kernel = "channel_shuffle";
    prepare->scratch_bytes = p->regular ? 0 : 2 * (size_t)(p->pixels * p->picture[1]);
    return LEDGE_OK;
}
