/* SPDX-License-Identifier: Apache-2.0 */
/* oip_answer.c -- output tensors -> the bytes of an answer. */
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "serve/number.h"
#include "serve/oip.h"

/* Bytes of the UTF-8 sequence at text (RFC 3629: no overlong forms, no surrogates), 0 if bad. */
static size_t utf8_length(const unsigned char *text, size_t left)
{
    static const struct {
        unsigned char low, high, second_low, second_high, bytes;
    } rows[] = {
        {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
        {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
        {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    if (text[0] < 0x80) {
        return 1;
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (text[0] < rows[i].low || text[0] > rows[i].high) {
            continue;
        }
        if (left < rows[i].bytes || text[1] < rows[i].second_low || text[1] > rows[i].second_high) {
            return 0;
        }
        for (size_t k = 2; k < rows[i].bytes; k++) {
            if ((text[k] & 0xc0) != 0x80) {
                return 0;
            }
        }
        return rows[i].bytes;
    }
    return 0;
}

void serve_json_text(struct ledge_buf *out, const char *text, size_t n)
{
    ledge_buf_text(out, "\"");
    for (size_t i = 0; i < n;) {
        unsigned char c = (unsigned char)text[i];
        size_t length = utf8_length((const unsigned char *)text + i, n - i);
        if (length == 0) {
            ledge_buf_text(out, "\xef\xbf\xbd");
        } else if (c < 0x20 || c == 0x7f) {
            ledge_buf_printf(out, "\\u%04x", c);
        } else if (c == '"' || c == '\\') {
            ledge_buf_printf(out, "\\%c", c);
        } else {
            ledge_buf_add(out, text + i, length);
        }
        i += length > 0 ? length : 1;
    }
    ledge_buf_text(out, "\"");
}

static int64_t elements_of(const struct ledge_tensor *tensor)
{
    return (int64_t)(tensor->bytes / ledge_dtype_size(tensor->dtype));
}

/* -- classification -----------------------------------------------------------------------------
 */

struct ranking {
    int64_t rows, columns;
    int32_t k;
};

/* Rows are dimension 0 of a tensor of rank 2 and more, as in a batch of score lists. */
static struct ranking ranking_of(const struct serve_output *output)
{
    int64_t n = elements_of(&output->tensor);
    struct ranking ranking = {.rows = 1, .columns = n};
    if (output->tensor.rank >= 2 && output->tensor.dims[0] > 0) {
        ranking.rows = output->tensor.dims[0];
        ranking.columns = n / ranking.rows;
    }
    ranking.k = output->classes;
    if (ranking.k > ranking.columns) {
        ranking.k = (int32_t)ranking.columns;
    }
    return ranking;
}

static double score_at(const struct ledge_tensor *tensor, int64_t index)
{
    double value = serve_number_load(tensor->dtype, tensor->data, index);
    if (tensor->scale != 0) {
        return (double)tensor->scale * (value - (double)tensor->zero_point);
    }
    return value;
}

struct candidate {
    double score;
    int64_t index;
};

/* Order of the answer: score down, index up. */
static int by_rank(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->score != y->score) {
        return x->score > y->score ? -1 : 1;
    }
    return x->index < y->index ? -1 : x->index > y->index;
}

/* heap[0] is the last in rank of n; put it where it belongs after a change. */
static void sift_down(struct candidate *heap, int32_t n)
{
    int32_t at = 0;
    for (;;) {
        int32_t last = at;
        for (int32_t child = 2 * at + 1; child <= 2 * at + 2 && child < n; child++) {
            if (by_rank(&heap[child], &heap[last]) > 0) {
                last = child;
            }
        }
        if (last == at) {
            return;
        }
        struct candidate swap = heap[at];
        heap[at] = heap[last];
        heap[last] = swap;
        at = last;
    }
}

/* The k greatest of columns scores from element first on, in rank order; NaN never ranks. Returns
 * how many were found. O(columns log k): a full place is a heap with the last in rank on top. */
static int32_t find_best(const struct ledge_tensor *tensor, int64_t first, int64_t columns,
                         int32_t k, struct candidate *best)
{
    int32_t n = 0;
    for (int64_t i = 0; i < columns; i++) {
        struct candidate now = {.score = score_at(tensor, first + i), .index = i};
        if (now.score != now.score) {
            continue;
        }
        if (n < k) {
            best[n++] = now;
            if (n == k) { /* last in rank first: an array in reverse order is such a heap */
                qsort(best, (size_t)n, sizeof(best[0]), by_rank);
                for (int32_t a = 0, b = n - 1; a < b; a++, b--) {
                    struct candidate swap = best[a];
                    best[a] = best[b];
                    best[b] = swap;
                }
            }
        } else if (by_rank(&now, &best[0]) < 0) {
            best[0] = now;
            sift_down(best, n);
        }
    }
    qsort(best, (size_t)n, sizeof(best[0]), by_rank);
    return n;
}

static void label_of(const char *labels, int64_t index, const char **label, size_t *n)
{
    *label = "";
    *n = 0;
    for (int64_t i = 0; labels != NULL; i++) {
        const char *end = strchr(labels, '\n');
        if (i == index) {
            *label = labels;
            *n = end != NULL ? (size_t)(end - labels) : strlen(labels);
            if (*n > 0 && labels[*n - 1] == '\r') {
                (*n)--;
            }
            return;
        }
        labels = end != NULL ? end + 1 : NULL;
    }
}

/* Call emit for each "score:index:label" of the output; a row with fewer scores than k (NaN) is
 * filled up with empty texts. */
static void each_class(const struct serve_output *output, const char *labels,
                       void (*emit)(struct ledge_buf *out, const char *text, size_t n),
                       struct ledge_buf *out)
{
    struct candidate best[SERVE_MAX_CLASSES];
    struct ranking ranking = ranking_of(output);
    struct ledge_buf text = LEDGE_BUF_INIT(1024);
    for (int64_t row = 0; row < ranking.rows && ranking.k > 0; row++) {
        int32_t found =
            find_best(&output->tensor, row * ranking.columns, ranking.columns, ranking.k, best);
        for (int32_t k = 0; k < ranking.k; k++) {
            const char *label = "";
            size_t n = 0;
            ledge_buf_clear(&text);
            if (k < found) {
                label_of(labels, best[k].index, &label, &n);
                ledge_buf_printf(&text, "%f:%lld", best[k].score, (long long)best[k].index);
            }
            if (n > 0) {
                ledge_buf_printf(&text, ":%.*s", (int)(n < 512 ? n : 512), label);
            }
            emit(out, text.data != NULL ? text.data : "", text.len);
        }
    }
    ledge_buf_done(&text);
}

static void emit_binary(struct ledge_buf *out, const char *text, size_t n)
{
    ledge_buf_u32(out, n);
    ledge_buf_add(out, text, n);
}

static void emit_json(struct ledge_buf *out, const char *text, size_t n)
{
    if (out->len > 0 && out->data[out->len - 1] != '[') {
        ledge_buf_text(out, ",");
    }
    serve_json_text(out, text, n);
}

/* -- answer -------------------------------------------------------------------------------------
 */

static void write_shape(const struct serve_output *output, struct ledge_buf *out)
{
    const struct ledge_tensor *tensor = &output->tensor;
    if (output->classes > 0) {
        struct ranking ranking = ranking_of(output);
        if (tensor->rank >= 2) {
            ledge_buf_printf(out, "[%lld,%d]", (long long)ranking.rows, (int)ranking.k);
        } else {
            ledge_buf_printf(out, "[%d]", (int)ranking.k);
        }
        return;
    }
    ledge_buf_text(out, "[");
    for (int32_t i = 0; i < tensor->rank; i++) {
        ledge_buf_printf(out, "%s%lld", i > 0 ? "," : "", (long long)tensor->dims[i]);
    }
    ledge_buf_text(out, "]");
}

static void write_data(const struct serve_output *output, const char *labels, struct ledge_buf *out)
{
    const struct ledge_tensor *tensor = &output->tensor;
    ledge_buf_text(out, ",\"data\":[");
    if (output->classes > 0) {
        each_class(output, labels, emit_json, out);
    } else {
        int64_t n = elements_of(tensor);
        for (int64_t i = 0; i < n && !out->failed; i++) {
            if (i > 0) {
                ledge_buf_text(out, ",");
            }
            serve_number_print(tensor->dtype, tensor->data, i, out);
        }
    }
    ledge_buf_text(out, "]");
}

static void write_output(const struct serve_output *output, const char *labels,
                         struct ledge_buf *out, struct ledge_buf *tail)
{
    ledge_buf_text(out, "{\"name\":");
    serve_json_text(out, output->name, strlen(output->name));
    ledge_buf_printf(out, ",\"datatype\":\"%s\",\"shape\":",
                     output->classes > 0 ? "BYTES" : ledge_dtype_oip(output->tensor.dtype));
    write_shape(output, out);
    if (output->binary) {
        size_t before = tail->len;
        if (output->classes > 0) {
            each_class(output, labels, emit_binary, tail);
        } else {
            ledge_buf_add(tail, output->tensor.data, output->tensor.bytes);
        }
        ledge_buf_printf(out, ",\"parameters\":{\"binary_data_size\":%zu}", tail->len - before);
    } else {
        write_data(output, labels, out);
    }
    ledge_buf_text(out, "}");
}

enum ledge_status serve_answer_write(const struct serve_answer *answer, struct ledge_buf *out,
                                     size_t *json_bytes, struct ledge_error *err)
{
    struct ledge_buf tail = LEDGE_BUF_INIT(out->max);
    size_t start = out->len;
    ledge_buf_text(out, "{\"model_name\":");
    serve_json_text(out, answer->model, strlen(answer->model));
    ledge_buf_text(out, ",\"model_version\":");
    serve_json_text(out, answer->version, strlen(answer->version));
    if (answer->id != NULL) {
        ledge_buf_text(out, ",\"id\":");
        serve_json_text(out, answer->id, strlen(answer->id));
    }
    ledge_buf_text(out, ",\"outputs\":[");
    for (int32_t i = 0; i < answer->n_outputs; i++) {
        if (i > 0) {
            ledge_buf_text(out, ",");
        }
        write_output(&answer->outputs[i], answer->labels, out, &tail);
    }
    ledge_buf_text(out, "]}");
    size_t n = out->len - start;
    if (tail.len > 0) {
        ledge_buf_add(out, tail.data, tail.len);
    }
    bool failed = out->failed || tail.failed;
    ledge_buf_done(&tail);
    if (failed) {
        return ledge_fail(err, LEDGE_ERR_FULL, "the answer is greater than %zu bytes", out->max);
    }
    *json_bytes = n;
    return LEDGE_OK;
}
