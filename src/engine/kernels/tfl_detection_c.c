/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/kernels/real.h"
#include "engine/kernels/tfl_detection.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"

struct corners {
    float top, left, bottom, right;
};

/* One detection: which box and class. */
struct found {
    int32_t box, class;
    float score;
};

/* The scratch memory of one call. */
struct work {
    struct corners *boxes; /* decoded */
    float *scores;         /* of each box, in the present selection */
    int32_t *order;        /* candidates, best first */
    struct found *kept;    /* most + boxes */
    uint8_t *gone;         /* candidate number i is suppressed */
};

/* Where each array of struct work begins, and where the last one ends. */
static bool layout(const struct ledge_tfl_detection_params *p, size_t at[6])
{
    size_t n = (size_t)p->boxes, bytes;
    const size_t size[5] = {sizeof(struct corners), sizeof(float), sizeof(int32_t),
                            sizeof(struct found), 1};
    at[0] = 0;
    for (int i = 0; i < 5; i++) {
        size_t count = i == 3 ? n + (size_t)p->most : n;
        if (!ledge_mul_size(count, size[i], &bytes) || !ledge_add_size(at[i], bytes, &bytes) ||
            !ledge_align_size(bytes, 64, &at[i + 1])) {
            return false;
        }
    }
    return true;
}

size_t ledge_tfl_detection_scratch(const struct ledge_tfl_detection_params *p)
{
    size_t at[6];
    return layout(p, at) ? at[5] : 0;
}

static struct work divide(const struct ledge_kernel_call *call)
{
    size_t at[6];
    (void)layout(call->params, at);
    char *base = call->scratch;
    return (struct work){.boxes = (struct corners *)base,
                         .scores = (float *)(base + at[1]),
                         .order = (int32_t *)(base + at[2]),
                         .kept = (struct found *)(base + at[3]),
                         .gone = (uint8_t *)(base + at[4])};
}

static void decode(const struct ledge_kernel_call *call, struct corners *boxes)
{
    const struct ledge_tfl_detection_params *p = call->params;
    for (int64_t i = 0; i < p->boxes; i++) {
        const float *code = (const float *)call->in[0]->data + i * p->box_size;
        const float *anchor = (const float *)call->in[2]->data + i * 4;
        float y = code[0] / p->scale[0] * anchor[2] + anchor[0];
        float x = code[1] / p->scale[1] * anchor[3] + anchor[1];
        float half_h = 0.5f * ledge_exp_f32(code[2] / p->scale[2]) * anchor[2];
        float half_w = 0.5f * ledge_exp_f32(code[3] / p->scale[3]) * anchor[3];
        boxes[i] = (struct corners){y - half_h, x - half_w, y + half_h, x + half_w};
    }
}

/* Intersection over union. */
static float overlap_of(const struct corners *a, const struct corners *b)
{
    float area_a = (a->bottom - a->top) * (a->right - a->left);
    float area_b = (b->bottom - b->top) * (b->right - b->left);
    if (area_a <= 0 || area_b <= 0) {
        return 0;
    }
    float height = fmaxf(fminf(a->bottom, b->bottom) - fmaxf(a->top, b->top), 0);
    float width = fmaxf(fminf(a->right, b->right) - fmaxf(a->left, b->left), 0);
    return height * width / (area_a + area_b - height * width);
}

static bool better(const float *scores, int32_t a, int32_t b)
{
    return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
}

/* Put order[at] in its place in a heap of n whose root is the worst. */
static void sink(const float *scores, int32_t *order, int64_t n, int64_t at)
{
    for (int64_t child = 2 * at + 1; child < n; child = 2 * at + 1) {
        if (child + 1 < n && better(scores, order[child], order[child + 1])) {
            child++;
        }
        if (!better(scores, order[at], order[child])) {
            return;
        }
        int32_t moved = order[at];
        order[at] = order[child];
        order[child] = moved;
        at = child;
    }
}

/* Best first; of equal scores the lower number first. Heapsort (Williams 1964): no extra memory. */
static void sort(const float *scores, int32_t *order, int64_t n)
{
    for (int64_t i = n / 2 - 1; i >= 0; i--) {
        sink(scores, order, n, i);
    }
    for (int64_t end = n - 1; end > 0; end--) {
        int32_t worst = order[0];
        order[0] = order[end];
        order[end] = worst;
        sink(scores, order, end, 0);
    }
}

/* Boxes with enough score that overlap no better one: their number, they are the first of order. */
static int64_t select_boxes(const struct ledge_tfl_detection_params *p, const struct work *w,
                            int64_t most)
{
    int64_t n = 0, kept = 0;
    for (int64_t i = 0; i < p->boxes; i++) {
        if (w->scores[i] >= p->least_score) {
            w->order[n++] = (int32_t)i;
        }
    }
    sort(w->scores, w->order, n);
    memset(w->gone, 0, (size_t)n);
    for (int64_t i = 0; i < n && kept < most; i++) {
        if (w->gone[i] != 0) {
            continue;
        }
        const struct corners *best = &w->boxes[w->order[i]];
        for (int64_t k = i + 1; k < n; k++) {
            if (w->gone[k] == 0 && overlap_of(best, &w->boxes[w->order[k]]) > p->overlap) {
                w->gone[k] = 1;
            }
        }
        w->order[kept++] = w->order[i];
    }
    return kept;
}

/* Number of the best class of a row of scores that is worse than (score, class) of `than`; NULL:
 * the best of all. -1: none. */
static int32_t next_class(const float *row, int64_t classes, const struct found *than)
{
    int32_t best = -1;
    for (int32_t c = 0; c < classes; c++) {
        bool after =
            than == NULL || row[c] < than->score || (row[c] == than->score && c > than->class);
        if (after && (best < 0 || row[c] > row[best])) {
            best = c;
        }
    }
    return best;
}

static const float *row_of(const struct ledge_kernel_call *call, int64_t box)
{
    const struct ledge_tfl_detection_params *p = call->params;
    return (const float *)call->in[1]->data + box * p->columns + (p->columns - p->classes);
}

static void put(const struct ledge_kernel_call *call, const struct work *w, int64_t at,
                const struct found *found)
{
    if (call->out[0] != NULL) {
        ((struct corners *)call->out[0]->data)[at] = w->boxes[found->box];
    }
    if (call->out[1] != NULL) {
        ((float *)call->out[1]->data)[at] = (float)found->class;
    }
    if (call->out[2] != NULL) {
        ((float *)call->out[2]->data)[at] = found->score;
    }
}

/* Boxes compete by their best class. */
static int64_t among_all(const struct ledge_kernel_call *call, const struct work *w)
{
    const struct ledge_tfl_detection_params *p = call->params;
    int64_t n = 0;
    for (int64_t i = 0; i < p->boxes; i++) {
        int32_t best = next_class(row_of(call, i), p->classes, NULL);
        w->scores[i] = best >= 0 ? row_of(call, i)[best] : -INFINITY;
    }
    int64_t kept = select_boxes(p, w, p->most);
    for (int64_t i = 0; i < kept; i++) {
        struct found found, *last = NULL;
        for (int64_t k = 0; k < p->each; k++) {
            int32_t class = next_class(row_of(call, w->order[i]), p->classes, last);
            if (class < 0) {
                break;
            }
            found = (struct found){w->order[i], class, row_of(call, w->order[i])[class]};
            put(call, w, n++, &found);
            last = &found;
        }
    }
    return n;
}

/* Insert into kept[0 .. n - 1], best first, behind equal ones. */
static void insert(struct found *kept, int64_t n, struct found found)
{
    for (; n > 0 && kept[n - 1].score < found.score; n--) {
        kept[n] = kept[n - 1];
    }
    kept[n] = found;
}

/* Boxes compete within each class; the best of all classes are kept. */
static int64_t within_classes(const struct ledge_kernel_call *call, const struct work *w)
{
    const struct ledge_tfl_detection_params *p = call->params;
    int64_t n = 0;
    for (int32_t c = 0; c < p->classes; c++) {
        for (int64_t i = 0; i < p->boxes; i++) {
            w->scores[i] = row_of(call, i)[c];
        }
        int64_t kept = select_boxes(p, w, p->per_class);
        for (int64_t i = 0; i < kept; i++) {
            insert(w->kept, n, (struct found){w->order[i], c, w->scores[w->order[i]]});
            n = n < p->most ? n + 1 : n;
        }
    }
    for (int64_t i = 0; i < n; i++) {
        put(call, w, i, &w->kept[i]);
    }
    return n;
}

enum ledge_status ledge_tfl_detection_c(const struct ledge_kernel_call *call)
{
    const struct ledge_tfl_detection_params *p = call->params;
    struct work work = divide(call);
    for (int32_t i = 0; i < 4; i++) {
        if (call->out[i] != NULL) {
            memset(call->out[i]->data, 0, ledge_view_bytes(call->out[i]));
        }
    }
    decode(call, work.boxes);
    int64_t n = p->every_class ? within_classes(call, &work) : among_all(call, &work);
    if (call->out[3] != NULL) {
        *(float *)call->out[3]->data = (float)n;
    }
    return LEDGE_OK;
}
