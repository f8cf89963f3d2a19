/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_move.c -- one strided copy behind every operator that only moves elements, and a table
 * lookup for those that repeat or mirror them. */
#include <string.h>

#include "base/banned.h"
#include "engine/kernels/onnx.h"

enum { TILE = 16, SHORT = 256, SLICE = 32768 };

void ledge_strided_collapse(struct ledge_strided *s)
{
    int32_t n = 0;
    for (int32_t i = 0; i < s->rank; i++) {
        if (s->dims[i] == 1) {
            continue;
        }
        int32_t last = n - 1;
        if (n > 0 && s->from[last] == s->from[i] * s->dims[i] &&
            s->to[last] == s->to[i] * s->dims[i]) {
            s->dims[last] *= s->dims[i];
            s->from[last] = s->from[i];
            s->to[last] = s->to[i];
            continue;
        }
        s->dims[n] = s->dims[i];
        s->from[n] = s->from[i];
        s->to[n] = s->to[i];
        n++;
    }
    if (n == 0) {
        s->dims[0] = 1;
        s->from[0] = s->to[0] = 1;
        n = 1;
    }
    s->rank = n;
}

#define DEFINE_COPY(T, name)                                                                       \
    static void copy_row_##name(const T *restrict from, T *restrict to, int64_t n, int64_t fs,     \
                                int64_t ts)                                                        \
    {                                                                                              \
        if (ts == 1 && fs == 0) {                                                                  \
            for (int64_t i = 0; i < n; i++) {                                                      \
                to[i] = from[0];                                                                   \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
        for (int64_t i = 0; i < n; i++) {                                                          \
            to[i * ts] = from[i * fs];                                                             \
        }                                                                                          \
    }                                                                                              \
    /* to[i][j] = from[j][i]: rows of `to` are dense, columns of `from` are. In tiles that stay in \
     * cache. */                                                                                   \
    static void transpose_##name(const T *restrict from, T *restrict to, int64_t rows,             \
                                 int64_t cols, int64_t fs, int64_t ts)                             \
    {                                                                                              \
        for (int64_t i0 = 0; i0 < rows; i0 += TILE) {                                              \
            int64_t i1 = i0 + TILE < rows ? i0 + TILE : rows;                                      \
            for (int64_t j0 = 0; j0 < cols; j0 += TILE) {                                          \
                int64_t j1 = j0 + TILE < cols ? j0 + TILE : cols;                                  \
                for (int64_t i = i0; i < i1; i++) {                                                \
                    for (int64_t j = j0; j < j1; j++) {                                            \
                        to[i * ts + j] = from[j * fs + i];                                         \
                    }                                                                              \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }
DEFINE_COPY(uint8_t, 8)
DEFINE_COPY(uint16_t, 16)
DEFINE_COPY(uint32_t, 32)
DEFINE_COPY(uint64_t, 64)
DEFINE_COPY(struct ledge_string, string)

static void copy_row(const void *from, void *to, int64_t n, int64_t fs, int64_t ts, size_t size)
{
    if (fs == 1 && ts == 1) {
        memcpy(to, from, (size_t)n * size);
        return;
    }
    switch (size) {
    case 1:
        copy_row_8(from, to, n, fs, ts);
        return;
    case 2:
        copy_row_16(from, to, n, fs, ts);
        return;
    case 4:
        copy_row_32(from, to, n, fs, ts);
        return;
    case sizeof(struct ledge_string):
        copy_row_string(from, to, n, fs, ts);
        return;
    default:
        copy_row_64(from, to, n, fs, ts);
    }
}

/* 8 x 8 bytes: those in squares of 4, 2 and 1 bytes change places. Written as loops: it is done
 * seldom enough. */
static void turn_block(uint64_t *row)
{
    uint64_t mask = 0x00000000ffffffff;
    for (int by = 4; by > 0; by /= 2, mask ^= mask << (8 * by)) {
        for (int i = 0; i < 4; i++) {
            const int k = (i & -by) * 2 + (i & (by - 1)); /* the rows without bit `by` */
            const uint64_t change = (row[k] >> (8 * by) ^ row[k + by]) & mask;
            row[k] ^= change << (8 * by);
            row[k + by] ^= change;
        }
    }
}

/* Cold: small rather than fast. As transpose_8(), by blocks of 8 x 8 (Warren, Hacker's Delight,
 * section 7-3). */
static LEDGE_COLD void transpose_bytes(const uint8_t *restrict from, uint8_t *restrict to,
                                       int64_t rows, int64_t cols, int64_t fs, int64_t ts)
{
    const int64_t rows_8 = rows / 8 * 8, cols_8 = cols / 8 * 8;
    for (int64_t j = 0; j < cols_8; j += 8) {
        for (int64_t i = 0; i < rows_8; i += 8) {
            uint64_t row[8];
            for (int k = 0; k < 8; k++) {
                memcpy(&row[k], from + (j + k) * fs + i, 8);
            }
            turn_block(row);
            for (int k = 0; k < 8; k++) {
                memcpy(to + (i + k) * ts + j, &row[k], 8);
            }
        }
    }
    transpose_8(from + rows_8, to + rows_8 * ts, rows - rows_8, cols_8, fs, ts);
    transpose_8(from + cols_8 * fs, to + cols_8, rows, cols - cols_8, fs, ts);
}

static void transpose(const void *from, void *to, int64_t rows, int64_t cols, int64_t fs,
                      int64_t ts, size_t size)
{
    switch (size) {
    case 1:
        transpose_bytes(from, to, rows, cols, fs, ts);
        return;
    case 2:
        transpose_16(from, to, rows, cols, fs, ts);
        return;
    case 4:
        transpose_32(from, to, rows, cols, fs, ts);
        return;
    case sizeof(struct ledge_string):
        transpose_string(from, to, rows, cols, fs, ts);
        return;
    default:
        transpose_64(from, to, rows, cols, fs, ts);
    }
}

/* Rows too short for a call each: blocks of 16 bytes, the last one over the end of the one before.
 */
static void copy_short_rows(const char *from, char *to, int64_t rows, int64_t n, int64_t fs,
                            int64_t ts)
{
    enum { BLOCK = 16 };
    for (int64_t r = 0; r < rows; r++, from += fs, to += ts) {
        for (int64_t i = 0; i < n - BLOCK; i += BLOCK) {
            memcpy(to + i, from + i, BLOCK);
        }
        memcpy(to + n - BLOCK, from + n - BLOCK, BLOCK);
    }
}

static bool are_short_rows(const struct ledge_strided *s)
{
    int64_t bytes = s->rank == 2 ? s->dims[1] * (int64_t)s->size : 0;
    return s->rank == 2 && s->from[1] == 1 && s->to[1] == 1 && s->dims[1] <= SHORT && bytes >= 16 &&
           bytes <= SHORT;
}

void ledge_strided_copy(const struct ledge_strided *s, const void *from, void *to)
{
    int32_t last = s->rank - 1;
    const int64_t size = (int64_t)s->size;
    if (are_short_rows(s)) {
        copy_short_rows((const char *)from + s->from_at * size, (char *)to + s->to_at * size,
                        s->dims[0], s->dims[1] * size, s->from[0] * size, s->to[0] * size);
        return;
    }
    bool turned = last > 0 && s->to[last] == 1 && s->from[last - 1] == 1;
    int32_t outer = turned ? last - 1 : last;
    int64_t index[LEDGE_STRIDED_RANK] = {0};
    int64_t f = s->from_at, t = s->to_at;
    for (int32_t i = 0; i < s->rank; i++) {
        if (s->dims[i] == 0) {
            return;
        }
    }
    for (;;) {
        const char *src = (const char *)from + f * (int64_t)s->size;
        char *dst = (char *)to + t * (int64_t)s->size;
        if (turned) {
            transpose(src, dst, s->dims[last - 1], s->dims[last], s->from[last], s->to[last - 1],
                      s->size);
        } else {
            copy_row(src, dst, s->dims[last], s->from[last], s->to[last], s->size);
        }
        int32_t i = outer - 1;
        for (; i >= 0; i--) {
            f += s->from[i];
            t += s->to[i];
            if (++index[i] < s->dims[i]) {
                break;
            }
            f -= s->from[i] * s->dims[i];
            t -= s->to[i] * s->dims[i];
            index[i] = 0;
        }
        if (i < 0) {
            return;
        }
    }
}

static void fill(void *out, int64_t n, const void *value, size_t size)
{
    copy_row(value, out, n, 0, 1, size);
}

/* A copy that threads share, in slices of its first dimension. */
struct sliced {
    const struct ledge_strided *s;
    const void *from;
    void *to;
    int64_t slices;
};

static void copy_slice(void *arg, int32_t index, int32_t worker)
{
    (void)worker;
    const struct sliced *job = arg;
    struct ledge_strided s = *job->s;
    int64_t first = index * s.dims[0] / job->slices;
    int64_t end = (index + 1) * s.dims[0] / job->slices;
    s.from_at += first * s.from[0];
    s.to_at += first * s.to[0];
    s.dims[0] = end - first;
    ledge_strided_copy(&s, job->from, job->to);
}

static void copy_shared(const struct ledge_kernel_call *call, const struct ledge_move_part *part)
{
    int64_t bytes = (int64_t)part->s.size;
    for (int32_t i = 0; i < part->s.rank; i++) {
        bytes *= part->s.dims[i];
    }
    struct sliced job = {.s = &part->s,
                         .from = call->in[part->in]->data,
                         .to = call->out[part->out]->data,
                         .slices = bytes / SLICE};
    if ((const char *)job.from + part->s.from_at * (int64_t)part->s.size ==
        (char *)job.to + part->s.to_at * (int64_t)part->s.size) {
        return; /* it was made there: plan/rows.c */
    }
    job.slices = job.slices < part->s.dims[0] ? job.slices : part->s.dims[0];
    if (job.slices < 2 || call->pool == NULL) {
        ledge_strided_copy(job.s, job.from, job.to);
        return;
    }
    job.slices = job.slices < 64 ? job.slices : 64;
    ledge_pool_run(call->pool, (int32_t)job.slices, copy_slice, &job);
}

enum ledge_status ledge_move_c(const struct ledge_kernel_call *call)
{
    const struct ledge_move *move = call->params;
    if (move->fill != LEDGE_FILL_NONE) {
        const struct ledge_view *out = call->out[0];
        fill(out->data, ledge_view_count(out),
             move->fill == LEDGE_FILL_INPUT ? call->in[move->fill_in]->data
                                            : (const void *)move->value,
             ledge_dtype_size(out->dtype));
    }
    for (int32_t i = 0; i < move->n; i++) {
        copy_shared(call, &move->parts[i]);
    }
    return LEDGE_OK;
}

enum ledge_status ledge_fill_c(const struct ledge_kernel_call *call)
{
    const struct ledge_fill *params = call->params;
    fill(call->out[0]->data, ledge_view_count(call->out[0]), params->value, params->size);
    return LEDGE_OK;
}

/* Does the last dimension stay as it is? */
static bool keeps_rows(const struct ledge_lookup *p)
{
    int32_t last = p->rank - 1;
    for (int64_t j = 0; j < p->dims[last]; j++) {
        if (p->table[last][j] != j) {
            return false;
        }
    }
    return true;
}

static void lookup_row(const struct ledge_lookup *p, bool keeps, const char *row, char *out)
{
    int32_t last = p->rank - 1;
    if (keeps && row != NULL) {
        memcpy(out, row, (size_t)p->dims[last] * p->size);
        return;
    }
    for (int64_t j = 0; j < p->dims[last]; j++) {
        int64_t at = row != NULL ? p->table[last][j] : -1;
        memcpy(out + (size_t)j * p->size,
               at < 0 ? (const char *)p->fill : row + (size_t)at * p->size, p->size);
    }
}

enum ledge_status ledge_lookup_c(const struct ledge_kernel_call *call)
{
    const struct ledge_lookup *p = call->params;
    const char *in = call->in[0]->data;
    char *out = call->out[0]->data;
    int32_t last = p->rank - 1;
    int64_t rows = 1;
    bool keeps = keeps_rows(p);
    for (int32_t i = 0; i < last; i++) {
        rows *= p->dims[i];
    }
    for (int64_t r = 0; r < rows && p->dims[last] > 0; r++) {
        int64_t left = r, offset = 0;
        bool inside = true;
        for (int32_t i = last - 1; i >= 0; i--) {
            int64_t at = p->table[i][left % p->dims[i]];
            left /= p->dims[i];
            inside = inside && at >= 0;
            offset += at * p->stride[i];
        }
        lookup_row(p, keeps, inside ? in + offset * (int64_t)p->size : NULL, out);
        out += (size_t)p->dims[last] * p->size;
    }
    return LEDGE_OK;
}
