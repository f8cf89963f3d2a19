/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_select.c -- see onnx_select.h. Sorting is heap sort: in place, and no bad case. */
#include "engine/kernels/onnx_select.h"

#include <math.h>

#include "engine/kernels/onnx_number.h"

#include "base/banned.h"

int64_t ledge_nonzero(const struct ledge_view *x, int64_t *places, int64_t n)
{
    int64_t total = ledge_view_count(x), found = 0;
    for (int64_t at = 0; at < total; at++) {
        double real = 0;
        int64_t whole = 0;
        if (ledge_is_real(x->dtype)) {
            ledge_load_real(x->data, x->dtype, at, 1, &real);
        } else {
            ledge_load_whole(x->data, x->dtype, at, 1, &whole);
        }
        if (real == 0 && whole == 0) { /* NaN is not 0 */
            continue;
        }
        int64_t left = at;
        for (int32_t i = x->rank - 1; places != NULL && i >= 0; i--) {
            places[i * n + found] = left % x->dims[i];
            left /= x->dims[i];
        }
        found++;
    }
    return found;
}

typedef bool (*before_fn)(const void *context, int64_t a, int64_t b);

static void sift(int64_t *v, int64_t at, int64_t n, before_fn before, const void *context)
{
    int64_t item = v[at];
    for (int64_t child = 2 * at + 1; child < n; child = 2 * at + 1) {
        child += child + 1 < n && before(context, v[child], v[child + 1]);
        if (!before(context, item, v[child])) {
            break;
        }
        v[at] = v[child];
        at = child;
    }
    v[at] = item;
}

static void sort(int64_t *v, int64_t n, before_fn before, const void *context)
{
    for (int64_t i = n / 2; i-- > 0;) {
        sift(v, i, n, before, context);
    }
    for (int64_t end = n - 1; end > 0; end--) {
        int64_t top = v[0];
        v[0] = v[end];
        v[end] = top;
        sift(v, 0, end, before, context);
    }
}

/* -- Unique -- */

/* -1, 0, 1; NaN is above all and equal to itself. */
static int compare_elements(const struct ledge_view *x, int64_t a, int64_t b)
{
    if (ledge_is_real(x->dtype)) {
        double p, q;
        ledge_load_real(x->data, x->dtype, a, 1, &p);
        ledge_load_real(x->data, x->dtype, b, 1, &q);
        return isnan(p) || isnan(q) ? !!isnan(p) - !!isnan(q) : (p > q) - (p < q);
    }
    int64_t p, q;
    ledge_load_whole(x->data, x->dtype, a, 1, &p);
    ledge_load_whole(x->data, x->dtype, b, 1, &q);
    return x->dtype == LEDGE_U64 ? ((uint64_t)p > (uint64_t)q) - ((uint64_t)p < (uint64_t)q)
                                 : (p > q) - (p < q);
}

static int compare_slices(const struct ledge_unique *u, int64_t a, int64_t b)
{
    for (int64_t o = 0; o < u->outer; o++) {
        for (int64_t i = 0; i < u->inner; i++) {
            int c = compare_elements(u->x, (o * u->n + a) * u->inner + i,
                                     (o * u->n + b) * u->inner + i);
            if (c != 0) {
                return c;
            }
        }
    }
    return 0;
}

static bool slice_before(const void *context, int64_t a, int64_t b)
{
    int c = compare_slices(context, a, b);
    return c != 0 ? c < 0 : a < b;
}

static bool first_before(const void *context, int64_t a, int64_t b)
{
    const struct ledge_unique *u = context;
    return u->order[a] < u->order[b];
}

void ledge_unique(struct ledge_unique *u)
{
    for (int64_t i = 0; i < u->n; i++) {
        u->order[i] = i;
    }
    sort(u->order, u->n, slice_before, u);
    u->n_unique = 0;
    for (int64_t i = 0; i < u->n; i++) {
        if (i == 0 || compare_slices(u, u->order[i - 1], u->order[i]) != 0) {
            u->first[u->n_unique++] = i; /* for now: where the group starts in order */
        }
    }
    if (!u->sorted) {
        sort(u->first, u->n_unique, first_before, u);
    }
    for (int64_t g = 0; g < u->n_unique; g++) {
        int64_t start = u->first[g], n = 0;
        while (start + n < u->n &&
               (n == 0 || compare_slices(u, u->order[start], u->order[start + n]) == 0)) {
            u->inverse[u->order[start + n++]] = g;
        }
        u->counts[g] = n;
        u->first[g] = u->order[start];
    }
}

/* -- NonMaxSuppression -- */

static bool score_before(const void *context, int64_t a, int64_t b)
{
    const float *scores = context;
    return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
}

struct box {
    float top, left, bottom, right;
};

static struct box read_box(const float *b, bool centre)
{
    if (centre) {
        return (struct box){b[1] - b[3] / 2, b[0] - b[2] / 2, b[1] + b[3] / 2, b[0] + b[2] / 2};
    }
    return (struct box){b[0] < b[2] ? b[0] : b[2], b[1] < b[3] ? b[1] : b[3],
                        b[0] < b[2] ? b[2] : b[0], b[1] < b[3] ? b[3] : b[1]};
}

/* Intersection over union is more than limit. */
static bool overlap(struct box a, struct box b, float limit)
{
    float height = fminf(a.bottom, b.bottom) - fmaxf(a.top, b.top);
    float width = fminf(a.right, b.right) - fmaxf(a.left, b.left);
    float area_a = (a.bottom - a.top) * (a.right - a.left);
    float area_b = (b.bottom - b.top) * (b.right - b.left);
    if (!(height > 0 && width > 0 && area_a > 0 && area_b > 0)) {
        return false;
    }
    float shared = height * width;
    return shared / (area_a + area_b - shared) > limit;
}

static int64_t one_class(const struct ledge_nms *p, int64_t batch, int64_t class, int64_t *kept)
{
    const float *scores = p->scores + (batch * p->classes + class) * p->n;
    const float *boxes = p->boxes + batch * p->n * 4;
    int64_t candidates = 0, n = 0;
    for (int64_t i = 0; i < p->n; i++) {
        if (scores[i] > p->least) { /* NaN is none */
            p->order[candidates++] = i;
        }
    }
    sort(p->order, candidates, score_before, scores);
    for (int64_t i = 0; i < candidates && n < p->most; i++) {
        struct box box = read_box(boxes + 4 * p->order[i], p->centre);
        bool free = true;
        for (int64_t k = 0; k < n && free; k++) {
            free = !overlap(box, read_box(boxes + 4 * kept[3 * k + 2], p->centre), p->overlap);
        }
        if (free) {
            kept[3 * n] = batch;
            kept[3 * n + 1] = class;
            kept[3 * n++ + 2] = p->order[i];
        }
    }
    return n;
}

int64_t ledge_nms(const struct ledge_nms *p)
{
    int64_t n = 0;
    for (int64_t i = 0; i < p->batch * p->classes && p->most > 0; i++) {
        n += one_class(p, i / p->classes, i % p->classes, p->kept + 3 * n);
    }
    return n;
}
