/* SPDX-License-Identifier: Apache-2.0 */
/* tfl_conv_c.c -- Conv2D and FullyConnected: a tile of output pixels is gathered as i16 rows (minus
 * the zero point, so padding is 0), multiplied with all weights, and requantised on the spot. */
#include <string.h>

#include "engine/kernels/tfl.h"

struct job {
    const struct ledge_kernel_call *call;
    const struct ledge_tfl_conv_params *params;
    size_t worker_bytes;
};

static int64_t pixels(const struct ledge_tfl_conv_params *p)
{
    return p->g.batch * p->g.out[1] * p->g.out[2];
}

size_t ledge_tfl_conv_scratch(const struct ledge_tfl_conv_params *p)
{
    size_t bytes = (size_t)LEDGE_TFL_TILE * (size_t)p->k * sizeof(int16_t);
    return (bytes + 63) / 64 * 64;
}

/* Row of k elements: the window of output pixel number at, channels first .. first + n - 1. */
static void gather(const struct job *job, int64_t at, int64_t first, int64_t n, int16_t *row)
{
    const struct ledge_tfl_conv_params *p = job->params;
    const struct ledge_geometry *g = &p->g;
    const uint8_t *x = job->call->in[0]->data;
    int64_t pos[3];
    int64_t area = g->out[1] * g->out[2];
    ledge_unravel(at % area, g->out, pos);
    int16_t *start = row;
    for (int64_t ky = 0; ky < g->kernel[1]; ky++) {
        int64_t y = pos[1] * g->stride[1] - g->pad[1] + ky * g->dilation[1];
        for (int64_t kx = 0; kx < g->kernel[2]; kx++, row += n) {
            int64_t c = pos[2] * g->stride[2] - g->pad[2] + kx * g->dilation[2];
            if (y < 0 || y >= g->in[1] || c < 0 || c >= g->in[2]) {
                memset(row, 0, (size_t)n * sizeof *row);
                continue;
            }
            const uint8_t *from =
                x + ((at / area * g->in[1] + y) * g->in[2] + c) * g->in_channels + first;
            for (int64_t i = 0; i < n; i++) {
                row[i] = (int16_t)((int8_t)(from[i] ^ p->x_flip) - p->x_zero);
            }
        }
    }
    memset(row, 0, (size_t)(p->k - (row - start)) * sizeof *row);
}

/* acc[m][16]: sums of products of m rows with 16 channels of w, [k / 2][16][2]. */
static void product(const int16_t *a, int64_t m, const int16_t *w, int64_t k, int32_t *acc)
{
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < LEDGE_TFL_N; j++) {
            uint32_t sum = 0;
            for (int64_t at = 0; at < k; at++) {
                int32_t weight = w[(at / 2 * LEDGE_TFL_N + j) * 2 + at % 2];
                sum += (uint32_t)(a[i * k + at] * weight);
            }
            acc[i * LEDGE_TFL_N + j] = (int32_t)sum;
        }
    }
}

static void finish(const struct job *job, const int32_t *acc, int64_t at, int64_t m, int64_t o,
                   int64_t n)
{
    const struct ledge_tfl_conv_params *p = job->params;
    uint8_t *y = job->call->out[0]->data;
    for (int64_t i = 0; i < m; i++) {
        for (int64_t c = 0; c < n; c++) {
            ledge_tfl_requant(y, (at + i) * p->g.out_channels + o + c, acc[i * LEDGE_TFL_N + c],
                              &p->channels, o + c, &p->out);
        }
    }
}

static void tile(void *arg, int32_t index, int32_t worker)
{
    const struct job *job = arg;
    const struct ledge_tfl_conv_params *p = job->params;
    const struct ledge_geometry *g = &p->g;
    int16_t *rows = (int16_t *)((char *)job->call->scratch + (size_t)worker * job->worker_bytes);
    int32_t acc[LEDGE_TFL_TILE * LEDGE_TFL_N];
    int64_t at = (int64_t)index * LEDGE_TFL_TILE;
    int64_t m = pixels(p) - at < LEDGE_TFL_TILE ? pixels(p) - at : LEDGE_TFL_TILE;
    int64_t per_in = g->in_channels / g->groups;
    int64_t per_out = g->out_channels / g->groups;
    const int16_t *w = job->call->packed;
    for (int64_t group = 0; group < g->groups; group++) {
        for (int64_t i = 0; i < m; i++) {
            gather(job, at + i, group * per_in, per_in, rows + i * p->k);
        }
        int64_t first = group * per_out;
        for (int64_t o = 0; o < per_out; o += LEDGE_TFL_N) {
            int64_t n = per_out - o < LEDGE_TFL_N ? per_out - o : LEDGE_TFL_N;
            product(rows, m, w, p->k, acc);
            finish(job, acc, at, m, first + o, n);
            w += p->k * LEDGE_TFL_N;
        }
    }
}

enum ledge_status ledge_tfl_conv_c(const struct ledge_kernel_call *call)
{
    struct job job = {.call = call, .params = call->params};
    job.worker_bytes = ledge_tfl_conv_scratch(job.params);
    int64_t tiles = (pixels(job.params) + LEDGE_TFL_TILE - 1) / LEDGE_TFL_TILE;
    ledge_pool_run(call->pool, (int32_t)tiles, tile, &job);
    return LEDGE_OK;
}
