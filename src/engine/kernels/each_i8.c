/* SPDX-License-Identifier: Apache-2.0 */
/* each_i8.c -- element-wise operators and means of 8-bit tensors by the loops of i8_each.tmpl.h;
 * the plain kernels of onnx_quant.c, tfl_elementwise_c.c and tfl_pool_c.c are their judges. */
#include "engine/kernels/each_i8.h"

#include <math.h>
#include <string.h>

enum { CHUNK = 8192, CHANNELS = 256, REPEATED = 2048 };

/* Two operands whose last dimensions are dense: rows in pieces that threads share; short rows go
 * together as far as one step leads from one to the next. */
struct pieces {
    const struct ledge_kernel_call *call;
    int32_t rank;
    const int64_t *dims, *step[2];
    const uint8_t *x[2];
    uint8_t *y;
    int64_t rows, together;     /* in the last dimension but one; of them in a piece */
    int64_t per_row, per_block; /* pieces */
    const void *loop;
    void (*run)(const struct pieces *pieces, const uint8_t *a, const uint8_t *b, int64_t n,
                uint8_t *y);
};

/* A row that is the same for all of the other operand's, as a channel's factors are for pixels, is
 * written several times side by side: long rows take the least time. How many go together. */
static int64_t repeat_rows(const uint8_t *x[2], const int64_t step[2], int64_t n, int64_t rows,
                           uint8_t many[REPEATED])
{
    const int same = step[0] == 0 ? 0 : 1;
    if (step[same] != 0 || step[1 - same] != n || n > REPEATED / 2) {
        return 1;
    }
    const int64_t some = rows < REPEATED / n ? rows : REPEATED / n;
    for (int64_t i = 0; i < some; i++) {
        memcpy(many + i * n, x[same], (size_t)n);
    }
    x[same] = many;
    return some;
}

static void one_piece(void *arg, int32_t index, int32_t worker)
{
    (void)worker;
    const struct pieces *p = arg;
    const int32_t inner = p->rank - 2;
    int64_t block = index / p->per_block, left = block;
    int64_t row = index % p->per_block / p->per_row * p->together;
    int64_t first = index % p->per_row * CHUNK;
    int64_t n = p->dims[p->rank - 1];
    int64_t count = n - first < CHUNK ? n - first : CHUNK;
    int64_t end = row + p->together < p->rows ? row + p->together : p->rows;
    int64_t step[2] = {inner >= 0 ? p->step[0][inner] : 0, inner >= 0 ? p->step[1][inner] : 0};
    int64_t at[2] = {first + row * step[0], first + row * step[1]};
    for (int32_t i = inner - 1; i >= 0; i--) {
        at[0] += left % p->dims[i] * p->step[0][i];
        at[1] += left % p->dims[i] * p->step[1][i];
        left /= p->dims[i];
    }
    const uint8_t *x[2] = {p->x[0] + at[0], p->x[1] + at[1]};
    uint8_t *y = p->y + (block * p->rows + row) * n + first, many[REPEATED];
    const int64_t some = repeat_rows(x, step, n, end - row, many);
    for (; row < end; row += some, y += some * n) {
        p->run(p, x[0], x[1], row + some <= end ? some * count : (end - row) * count, y);
        x[0] += some * step[0];
        x[1] += some * step[1];
    }
}

static void run_pieces(struct pieces *p)
{
    int64_t blocks = 1, n = p->dims[p->rank - 1];
    for (int32_t i = 0; i < p->rank - 2; i++) {
        blocks *= p->dims[i];
    }
    p->rows = p->rank > 1 ? p->dims[p->rank - 2] : 1;
    if (n == 0 || p->rows == 0 || blocks == 0) {
        return;
    }
    p->per_row = (n + CHUNK - 1) / CHUNK;
    p->together = p->per_row == 1 ? CHUNK / n : 1;
    p->per_block = (p->rows + p->together - 1) / p->together * p->per_row;
    ledge_pool_run(p->call->pool, (int32_t)(blocks * p->per_block), one_piece, p);
}

/* -- QLinearAdd, QLinearMul -- */

static struct ledge_term_i8 term_of(const struct ledge_kernel_call *call, int at)
{
    bool is_i8 = call->in[at]->dtype == LEDGE_I8;
    return (struct ledge_term_i8){.scale = ledge_scale_at(call->in[at + 1], 0),
                                  .zero = ledge_zero_at(ledge_call_in(call, at + 2), 0) +
                                          (is_i8 ? 128 : 0),
                                  .flip = is_i8 ? 0x80 : 0};
}

static struct ledge_range_i8 range_of(const struct ledge_view *y, const struct ledge_view *zero)
{
    bool is_i8 = y->dtype == LEDGE_I8;
    return (struct ledge_range_i8){.zero = ledge_zero_at(zero, 0) + (is_i8 ? 128 : 0),
                                   .low = 0,
                                   .high = 255,
                                   .flip = is_i8 ? 0x80 : 0};
}

static int32_t limit_of(const struct ledge_binary_i8 *p, float real)
{
    float q = rintf(real / p->scale) + (float)p->out.zero;
    return q > 0 ? (q < 255 ? (int32_t)q : 255) : 0;
}

/* Every rounding on either way is off by less than 2^-22 of the terms, a product's by less than 6 *
 * 2^-24 of it. What is nearer to a half than twice that is not sure. Terms stay below 2^11 in all;
 * products beyond it saturate whatever they are. */
static struct ledge_near_i8 near_of(const struct ledge_binary_i8 *p)
{
    const struct ledge_term_i8 *t = p->term;
    double scale = (double)p->scale, constant = 0, largest;
    double a = (double)t[0].scale / scale, b = (double)t[1].scale / scale;
    if (p->multiply) {
        a *= (double)t[1].scale;
        largest = 255.0 * 255.0 * fabs(a);
    } else {
        constant = -a * t[0].zero - b * t[1].zero;
        largest = 255 * fabs(a) + 255 * fabs(b) + fabs(constant);
    }
    struct ledge_near_i8 near = {
        .a = (float)a, .b = (float)b, .constant = (float)constant, .out = p->out};
    near.limit = 0.5f - (float)((largest < 2048 ? largest : 2048) * 0x1p-21);
    near.use = p->scale > 1e-30f && p->scale < 1e30f && fabs(a) > 1e-30 &&
               largest < (p->multiply ? 1e9 : 2048) && p->clamp.low <= p->clamp.high;
    near.out.low = near.use ? limit_of(p, p->clamp.low) : 0;
    near.out.high = near.use ? limit_of(p, p->clamp.high) : 0;
    return near;
}

void ledge_sum_i8_begin(struct ledge_sum_i8 *sum, int32_t own_zero)
{
    struct ledge_binary_i8 *p = &sum->binary;
    const struct ledge_term_i8 *t = p->term;
    const int32_t zero = p->out.zero & ~1; /* halves go to the same side: to even */
    p->near = near_of(p);
    sum->a = p->near.a;
    sum->b = p->near.b;
    double a = (double)t[0].scale / (double)p->scale, b = (double)t[1].scale / (double)p->scale;
    sum->constant = p->near.use ? (float)(a * (own_zero - t[0].zero) - b * t[1].zero + zero) : 0;
    sum->out = (struct ledge_epilogue_i8){.zero = p->out.zero - zero,
                                          .low = p->near.out.low,
                                          .high = p->near.out.high,
                                          .flip = p->out.flip};
}

enum { SEEN = 4 };

/* Rows where tries failed are asked first: most tries fail there, too. */
static bool agrees(const struct ledge_i8_kernels *isa, const struct ledge_epilogue_i8 *own,
                   const struct ledge_sum_i8 *sum, int32_t seen[SEEN], int *n)
{
    int32_t at;
    for (int i = 0; i < SEEN && i < *n; i++) {
        if (!isa->sum_agrees(sum, own, seen[i], seen[i], &at)) {
            return false;
        }
    }
    if (isa->sum_agrees(sum, own, own->low, own->high, &at)) {
        return true;
    }
    seen[*n % SEEN] = at;
    *n = *n + 1;
    return false;
}

/* Of all pairs of bytes a few come so near to a half that the last bits decide: numbers a little
 * beside the right ones suit them all, as a rule. They are the same on all instruction sets: one
 * that this CPU has tries them. */
bool ledge_sum_i8_find(const struct ledge_i8_kernels *isa, const struct ledge_epilogue_i8 *own,
                       struct ledge_sum_i8 *sum)
{
    enum { FACTORS = 5, CONSTANTS = 11, TRIES = FACTORS * FACTORS * CONSTANTS, FULL = 24 };
    const struct ledge_sum_i8 right = *sum;
    int32_t seen[SEEN];
    int n = 0;
    isa = ledge_i8_for(ledge_port_rung_below(isa->rung));
    if (!sum->binary.near.use || isa->sum_agrees == NULL) {
        return false;
    }
    for (int i = 0; i < TRIES && n < FULL; i++) {
        const int number[3] = {i % CONSTANTS, i / CONSTANTS % FACTORS, i / CONSTANTS / FACTORS};
        float beside[3]; /* 0, 1, -1, 2 .. */
        for (int k = 0; k < 3; k++) {
            beside[k] = (float)(number[k] % 2 != 0 ? (number[k] + 1) / 2 : -number[k] / 2);
        }
        sum->constant = right.constant + beside[0] * 0x1p-18f;
        sum->b = right.b + beside[1] * 0x1p-23f * right.b;
        sum->a = right.a + beside[2] * 0x1p-23f * right.a;
        if (agrees(isa, own, sum, seen, &n)) {
            return true;
        }
    }
    return false;
}

static void run_float(const struct pieces *p, const uint8_t *a, const uint8_t *b, int64_t n,
                      uint8_t *y)
{
    const struct ledge_qbinary *params = p->call->params;
    params->isa->binary(p->loop, a, b, n, y);
}

enum ledge_status ledge_qlinear_binary_i8(const struct ledge_kernel_call *call)
{
    const struct ledge_qbinary *params = call->params;
    struct ledge_binary_i8 loop = {
        .term = {term_of(call, 0), term_of(call, 3)},
        .multiply = params->multiply != 0,
        .clamp = params->clamp,
        .scale = ledge_scale_at(call->in[6], 0),
        .out = range_of(call->out[0], ledge_call_in(call, 7)),
    };
    loop.near = near_of(&loop);
    struct pieces p = {.call = call,
                       .rank = params->step.rank,
                       .dims = params->step.dims,
                       .step = {params->step.stride_a, params->step.stride_b},
                       .x = {call->in[0]->data, call->in[3]->data},
                       .y = call->out[0]->data,
                       .loop = &loop,
                       .run = run_float};
    run_pieces(&p);
    return LEDGE_OK;
}

/* -- QuantizeLinear with one scale -- */

struct quantize_job {
    const struct ledge_kernel_call *call;
    struct ledge_range_i8 out;
    float scale;
    int64_t n;
};

static void quantize_piece(void *arg, int32_t index, int32_t worker)
{
    (void)worker;
    const struct quantize_job *job = arg;
    const struct ledge_quantize *params = job->call->params;
    int64_t first = (int64_t)index * CHUNK;
    params->isa->quantize((const float *)job->call->in[0]->data + first,
                          job->n - first < CHUNK ? job->n - first : CHUNK, job->scale, &job->out,
                          (uint8_t *)job->call->out[0]->data + first);
}

enum ledge_status ledge_quantize_linear_i8(const struct ledge_kernel_call *call)
{
    struct quantize_job job = {.call = call,
                               .out = range_of(call->out[0], ledge_call_in(call, 2)),
                               .scale = ledge_scale_at(call->in[1], 0),
                               .n = ledge_view_count(call->in[0])};
    ledge_pool_run(call->pool, (int32_t)((job.n + CHUNK - 1) / CHUNK), quantize_piece, &job);
    return LEDGE_OK;
}

/* -- TFLite's Add, Sub, Mul -- */

/* The vectors' fixed point takes magnitudes below 2^30: differences of 9 bits with 20 bits gained,
 * their sum, or a product of 16 bits before a shift to the left. */
bool ledge_tfl_binary_is_narrow(const struct ledge_tfl_binary_params *p)
{
    if (p->kind == LEDGE_TFL_MUL) {
        return p->out_factor.shift <= 13;
    }
    return p->factor[0].shift <= 0 && p->factor[1].shift <= 0 && p->out_factor.shift <= 0;
}

static void run_fixed(const struct pieces *p, const uint8_t *a, const uint8_t *b, int64_t n,
                      uint8_t *y)
{
    const struct ledge_tfl_binary_params *params = p->call->params;
    params->isa->fixed_binary(p->loop, a, b, n, y);
}

enum ledge_status ledge_tfl_binary_i8(const struct ledge_kernel_call *call)
{
    const struct ledge_tfl_binary_params *params = call->params;
    const uint8_t flip = params->flip ^ 0x80; /* tfl.h reads everything as i8, the loops as u8 */
    const struct ledge_fixed_binary_i8 loop = {
        .term = {{.zero = params->zero[0] + 128, .flip = flip},
                 {.zero = params->zero[1] + 128, .flip = flip}},
        .multiply = params->kind == LEDGE_TFL_MUL,
        .subtract = params->kind == LEDGE_TFL_SUB,
        .factor = {params->factor[0], params->factor[1]},
        .out_factor = params->out_factor,
        .out = {.zero = params->out.zero + 128,
                .low = params->out.low + 128,
                .high = params->out.high + 128,
                .flip = params->out.flip ^ 0x80},
    };
    struct pieces p = {.call = call,
                       .rank = params->rank,
                       .dims = params->dims,
                       .step = {params->step[0], params->step[1]},
                       .x = {call->in[0]->data, call->in[1]->data},
                       .y = call->out[0]->data,
                       .loop = &loop,
                       .run = run_fixed};
    run_pieces(&p);
    return LEDGE_OK;
}

/* -- means over all pixels of NHWC -- */

struct mean_job {
    const struct ledge_kernel_call *call;
    const struct ledge_i8_kernels *isa;
    int64_t pixels, channels, per_picture;
    void (*finish)(const struct mean_job *job, const int32_t *sums, int64_t n, uint8_t *y);
};

static void mean_piece(void *arg, int32_t index, int32_t worker)
{
    (void)worker;
    const struct mean_job *job = arg;
    int32_t sums[CHANNELS] = {0};
    int64_t picture = index / job->per_picture;
    int64_t first = index % job->per_picture * CHANNELS;
    int64_t n = job->channels - first < CHANNELS ? job->channels - first : CHANNELS;
    const uint8_t *x =
        (const uint8_t *)job->call->in[0]->data + picture * job->pixels * job->channels + first;
    bool is_i8 = job->call->in[0]->dtype == LEDGE_I8;
    job->isa->add_pixels(x, job->pixels, job->channels, n, is_i8 ? 0x80 : 0, sums);
    job->finish(job, sums, n, (uint8_t *)job->call->out[0]->data + picture * job->channels + first);
}

static void run_means(struct mean_job *job, int64_t pictures)
{
    job->per_picture = (job->channels + CHANNELS - 1) / CHANNELS;
    ledge_pool_run(job->call->pool, (int32_t)(pictures * job->per_picture), mean_piece, job);
}

static void finish_mean(const struct mean_job *job, const int32_t *sums, int64_t n, uint8_t *y)
{
    const struct ledge_kernel_call *call = job->call;
    struct ledge_term_i8 x = term_of(call, 0);
    struct ledge_range_i8 out = range_of(call->out[0], ledge_call_in(call, 4));
    float means[CHANNELS];
    for (int64_t c = 0; c < n; c++) {
        double mean = (double)(sums[c] - (int64_t)x.zero * job->pixels) / (double)job->pixels;
        means[c] = (float)(mean * (double)x.scale);
    }
    job->isa->quantize(means, n, ledge_scale_at(call->in[3], 0), &out, y);
}

enum ledge_status ledge_qlinear_global_pool_i8(const struct ledge_kernel_call *call)
{
    const struct ledge_qpool *params = call->params;
    struct mean_job job = {.call = call,
                           .isa = params->isa,
                           .pixels = params->inner,
                           .channels = params->c,
                           .finish = finish_mean};
    run_means(&job, params->outer);
    return LEDGE_OK;
}

/* Sums come as of u8; an average is taken of the type's own values. */
static void finish_tfl(const struct mean_job *job, const int32_t *sums, int64_t n, uint8_t *y)
{
    const struct ledge_tfl_pool_params *p = job->call->params;
    int32_t shift = p->is_u8 ? 0 : 128;
    for (int64_t c = 0; c < n; c++) {
        int32_t sum = sums[c] - shift * (int32_t)job->pixels;
        int32_t mean = ledge_tfl_average(sum, (int32_t)job->pixels, p->is_u8);
        ledge_tfl_store(y, c, mean - (p->is_u8 ? 128 : 0), &p->out);
    }
}

bool ledge_tfl_pool_is_mean(const struct ledge_tfl_pool_params *p)
{
    const struct ledge_geometry *g = &p->g;
    return p->average && ledge_volume(g->out) == 1 && g->pad[1] == 0 && g->pad[2] == 0 &&
           g->kernel[1] == g->in[1] && g->kernel[2] == g->in[2] &&
           ledge_volume(g->in) < (int64_t)1 << 20;
}

enum ledge_status ledge_tfl_mean_pool_i8(const struct ledge_kernel_call *call)
{
    const struct ledge_tfl_pool_params *p = call->params;
    struct mean_job job = {.call = call,
                           .isa = p->isa,
                           .pixels = ledge_volume(p->g.in),
                           .channels = p->g.in_channels,
                           .finish = finish_tfl};
    run_means(&job, p->g.batch);
    return LEDGE_OK;
}
