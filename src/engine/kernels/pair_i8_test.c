/* SPDX-License-Identifier: Apache-2.0 */
/* Steps of two units: every weight is there once, no step overflows, and there are few of them. */
#include "engine/kernels/pair_i8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

enum { N = LEDGE_PART_UNITS, ROOM = 2 * N + 1, SCALE = 32 };

static uint32_t state = 1;

static uint32_t next(void)
{
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

/* Weights of -limit - 1 .. limit, so many of a hundred 0. */
static void fill(uint32_t *w, int64_t n, int32_t limit, uint32_t zeros)
{
    for (int64_t i = 0; i < n; i++) {
        w[i] = 0;
        for (int32_t k = 0; k < 32; k += 8) {
            int32_t x = (int32_t)(next() % (uint32_t)(2 * limit + 2)) - limit - 1;
            w[i] |= (uint32_t)(uint8_t)(next() % 100 < zeros ? 0 : x) << k;
        }
    }
}

/* Plain C makes the same steps, with room to spare and without. */
static void check_plain(const uint32_t *w, int64_t n, const struct ledge_step_i8 *right,
                        int64_t n_steps)
{
    static struct ledge_step_i8 steps[ROOM];
    const int64_t rooms[] = {ROOM, n_steps};
    for (int32_t i = 0; i < 2; i++) {
        uint32_t used[2 * N];
        memcpy(used, w, (size_t)n * sizeof *w);
        assert_ptr_equal(ledge_pair_units_c(used, n, SCALE, steps, steps + rooms[i]),
                         steps + n_steps);
        assert_memory_equal(steps, right, (size_t)n_steps * sizeof *steps);
        memcpy(used, w, (size_t)n * sizeof *w);
        assert_ptr_equal(ledge_pair_units(used, n, SCALE, steps, steps + rooms[i]),
                         steps + n_steps);
        assert_memory_equal(steps, right, (size_t)n_steps * sizeof *steps);
    }
}

static int64_t check(const uint32_t *w, int64_t n)
{
    static struct ledge_step_i8 steps[ROOM];
    uint32_t used[2 * N];
    memcpy(used, w, (size_t)n * sizeof *w);
    int32_t sums[N][4] = {{0}};
    struct ledge_step_i8 *end = ledge_pair_units(used, n, SCALE, steps, steps + ROOM);
    assert_non_null(end);
    check_plain(w, n, steps, end - steps);
    bool alone = false;
    for (struct ledge_step_i8 *step = steps; step < end; step++) {
        int32_t plus[2] = {0}, minus[2] = {0};
        assert_true(!alone || step->at[0] == step->at[1]); /* the last ones are those of one unit */
        alone = step->at[0] == step->at[1];
        assert_true((step->w[1] == 0) == alone);
        for (int32_t i = 0; i < 8; i++) {
            int32_t unit = step->at[i / 4] / SCALE,
                    x = (int8_t)(uint8_t)(step->w[i / 4] >> i % 4 * 8);
            assert_true(unit < n && step->at[i / 4] % SCALE == 0);
            sums[unit][i % 4] += x;
            plus[i % 4 / 2] += x > 0 ? x : 0;
            minus[i % 4 / 2] -= x < 0 ? x : 0;
        }
        for (int32_t i = 0; i < 2; i++) {
            assert_true(255 * plus[i] <= INT16_MAX && -255 * minus[i] >= INT16_MIN);
        }
    }
    for (int64_t i = 0; i < 4 * n; i++) {
        assert_int_equal(sums[i / 4][i % 4], (int8_t)(uint8_t)(w[i / 4] >> i % 4 * 8));
    }
    return end - steps;
}

static void weights_are_whole(void **unused)
{
    (void)unused;
    uint32_t w[N];
    for (int32_t round = 0; round < 400; round++) {
        int64_t n = round < N ? round + 1 : N;
        fill(w, n, round % 128, (uint32_t)(round * 7 % 101));
        (void)check(w, n);
    }
    for (int64_t i = 0; i < N; i++) {
        w[i] = i % 2 == 0 ? 0x80808080 : 0x7f7f7f7f;
    }
    (void)check(w, N);
    memset(w, 0, sizeof w);
    assert_int_equal(check(w, N), 0);
}

/* Two sums of at most 64 always fit; what is spread as in most models nearly always finds a
 * partner. */
static void few_steps(void **unused)
{
    (void)unused;
    uint32_t w[N];
    fill(w, N, 31, 0);
    assert_int_equal(check(w, N), N / 2);
    int64_t steps = 0;
    for (int32_t round = 0; round < 100; round++) {
        uint32_t b[N];
        fill(w, N, 40, 0);
        fill(b, N, 40, 60); /* a few are larger */
        for (int64_t i = 0; i < N; i++) {
            for (int32_t k = 0; k < 32; k += 8) {
                int32_t x = (int8_t)(uint8_t)(w[i] >> k) + (int8_t)(uint8_t)(b[i] >> k);
                w[i] = (w[i] & ~(0xffu << k)) | (uint32_t)(uint8_t)x << k;
            }
        }
        steps += check(w, N);
    }
    assert_true(steps <= 100 * N / 2 * 108 / 100);
}

static void no_room(void **unused)
{
    (void)unused;
    uint32_t w[2 * N];
    struct ledge_step_i8 steps[N];
    fill(w, N, 31, 0);
    assert_ptr_equal(ledge_pair_units(w, N, 1, steps, steps + N / 2), steps + N / 2);
    fill(w, N, 31, 0);
    assert_null(ledge_pair_units(w, N, 1, steps, steps + N / 2 - 1));
    fill(w, N, 127, 0);
    assert_null(ledge_pair_units(w, N, 1, steps, steps + 10));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_are_whole),
        cmocka_unit_test(few_steps),
        cmocka_unit_test(no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
