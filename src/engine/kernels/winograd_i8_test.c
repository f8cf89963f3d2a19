/* SPDX-License-Identifier: Apache-2.0 */
/* winograd_i8_test.c -- sums of 3 x 3 windows by minimal filtering are those of the definition, on
 * each rung that has it: edges of tiles, bands and blocks, padding on one side, weights and
 * activations at the ends of their ranges; and weights that do not suit go another way. */
#include "engine/run/testing.h"

#include <stdio.h>

#include "engine/kernels/winograd_i8.h"

struct shape {
    const char *name;
    int64_t batch, height, width, in, out;
    int64_t pads[4]; /* top, left, bottom, right */
};

static const struct shape shapes[] = {
    {"whole tiles", 1, 8, 8, 16, 16, {1, 1, 1, 1}},
    {"odd sides", 2, 7, 13, 18, 32, {1, 1, 1, 1}},
    {"no padding", 1, 10, 9, 34, 16, {0, 0, 0, 0}},
    {"padding above", 1, 12, 13, 16, 16, {2, 0, 0, 1}},
    {"padding right", 1, 6, 6, 16, 16, {0, 1, 2, 3}},
    {"three columns", 1, 40, 5, 16, 32, {1, 0, 1, 0}},
    {"three rows", 1, 5, 70, 20, 16, {0, 1, 0, 1}},
    {"much padding", 1, 6, 5, 16, 16, {9, 9, 9, 9}},
    {"blocks of columns", 1, 9, 133, 16, 16, {1, 1, 1, 1}},
    {"blocks of rows", 1, 37, 26, 24, 48, {1, 1, 1, 1}},
    {"many inputs", 1, 7, 7, 300, 16, {1, 1, 1, 1}},
    {"many inputs, many tiles", 1, 13, 30, 300, 16, {1, 1, 1, 1}},
    {"bands", 1, 60, 70, 62, 16, {1, 1, 1, 1}},
};

/* How operands are filled. */
enum { ANY, ENDS, ALIKE, KINDS };

struct operands {
    bool x_i8, w_u8;
    uint8_t x_zero, w_zero;
    uint8_t *x, *w; /* w: [out][3][3][in] */
};

static int32_t as_number(uint8_t byte, bool is_i8)
{
    return is_i8 ? (int8_t)byte : byte;
}

static uint8_t *fill(int64_t n, int kind, uint32_t *seed)
{
    static const uint8_t ends[4] = {0x80, 0x7f, 0x00, 0xff};
    uint8_t *data = malloc((size_t)n);
    const uint8_t one = ends[test_random(seed) >> 9 & 1];
    assert_non_null(data);
    test_fill_8(data, n, seed);
    for (int64_t i = 0; i < n && kind != ANY; i++) {
        data[i] = kind == ENDS ? ends[data[i] >> 3 & 3] : one;
    }
    return data;
}

/* By definition. */
static int32_t sum_at(const struct shape *s, const struct operands *o, const int64_t *at)
{
    const int32_t x_zero = as_number(o->x_zero, o->x_i8), w_zero = as_number(o->w_zero, !o->w_u8);
    uint32_t sum = 0;
    for (int64_t tap = 0; tap < 9; tap++) {
        int64_t y = at[1] + tap / 3 - s->pads[0], x = at[2] + tap % 3 - s->pads[1];
        const uint8_t *from = o->x + ((at[0] * s->height + y) * s->width + x) * s->in;
        const uint8_t *w = o->w + (at[3] * 9 + tap) * s->in;
        bool inside = y >= 0 && x >= 0 && y < s->height && x < s->width;
        for (int64_t c = 0; c < s->in && inside; c++) {
            sum += (uint32_t)((as_number(from[c], o->x_i8) - x_zero) *
                              (as_number(w[c], !o->w_u8) - w_zero));
        }
    }
    return (int32_t)sum;
}

/* The sums on one rung; was minimal filtering the way? */
static bool check(const struct shape *s, const struct operands *o, enum ledge_rung rung,
                  int32_t threads, const char *name)
{
    struct test_net net;
    test_init(&net);
    const enum ledge_dtype xt = o->x_i8 ? LEDGE_I8 : LEDGE_U8, wt = o->w_u8 ? LEDGE_U8 : LEDGE_I8;
    int32_t in[4] = {test_input(&net, xt, TEST_SHAPE(s->batch, s->height, s->width, s->in), o->x),
                     test_constant(&net, wt, TEST_SHAPE(s->out, 3, 3, s->in), o->w),
                     test_constant(&net, xt, 0, NULL, &o->x_zero),
                     test_constant(&net, wt, 0, NULL, &o->w_zero)};
    test_output(&net, test_node(&net, "", "ConvInteger", 4, in));
    test_int(&net, "layout", LEDGE_NHWC);
    test_ints(&net, "pads", 4, s->pads);
    test_run(&net, rung, threads);
    struct ledge_view view = ledge_run_output(net.run, 0);
    const int32_t *got = view.data;
    const int64_t n = view.dims[0] * view.dims[1] * view.dims[2] * view.dims[3];
    assert_int_equal(view.dims[3], s->out);
    for (int64_t i = 0; i < n; i++) {
        const int64_t row = i / s->out / view.dims[2];
        const int64_t at[4] = {row / view.dims[1], row % view.dims[1], i / s->out % view.dims[2],
                               i % s->out};
        int32_t want = sum_at(s, o, at);
        if (got[i] != want) {
            fail_msg("%s, %s: output %lld is %d, should be %d", s->name, name, (long long)i, got[i],
                     want);
        }
    }
    assert_ptr_equal(net.plan->steps[0].ready.run, ledge_conv_i8);
    bool way = ((const struct ledge_conv_i8 *)net.plan->steps[0].ready.params)->winograd;
    const char *told = ledge_prepared_kernel(&net.plan->steps[0].ready);
    assert_true((strncmp(told, "winograd_i8", 11) == 0) == way);
    test_done(&net);
    return way;
}

static void sums_are_exact(void **state)
{
    (void)state;
    uint32_t seed = 20261122;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        const struct shape *s = &shapes[i];
        for (int kind = 0; kind < KINDS; kind++) {
            struct operands o = {.x_i8 = (i + (size_t)kind) % 2 == 0, .w_u8 = kind == ANY};
            o.x = fill(s->batch * s->height * s->width * s->in, kind, &seed);
            o.w = fill(s->out * 9 * s->in, kind, &seed);
            o.x_zero = (uint8_t)(test_random(&seed) >> 9);
            o.w_zero = o.w_u8 ? 0x80 : 0;
            bool suits = 9 * 128 * s->in * 255 < 1 << 25 || kind != ALIKE;
            for (int rung = LEDGE_RUNG_AVX2; rung <= (int)ledge_port_rung(); rung++) {
                if (!test_can_run(rung)) {
                    continue;
                }
                bool way = check(s, &o, (enum ledge_rung)rung, kind + 1, ledge_rung_text(rung));
                if (way != (suits && ledge_i8_for((enum ledge_rung)rung)->group == 2)) {
                    fail_msg("%s, kind %d, rung %d: way %d", s->name, kind, rung, way);
                }
            }
            free(o.x);
            free(o.w);
        }
    }
}

static void other_weights_go_another_way(void **state)
{
    (void)state;
    const struct shape *s = &shapes[0];
    uint32_t seed = 7;
    struct operands o = {.w_u8 = true, .x_zero = 3, .w_zero = 40};
    o.x = fill(s->batch * s->height * s->width * s->in, ANY, &seed);
    o.w = fill(s->out * 9 * s->in, ANY, &seed);
    assert_false(check(s, &o, LEDGE_RUNG_AVX2, 1, "too large"));
    free(o.x);
    free(o.w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sums_are_exact),
                                       cmocka_unit_test(other_weights_go_another_way)};
    if (ledge_port_rung() < LEDGE_RUNG_AVX2 || ledge_port_rung() >= LEDGE_RUNG_NEON) {
        (void)puts("skipped: this CPU has no AVX2");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
