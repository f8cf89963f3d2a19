/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "data/augment.h"
#include "data/philox.h"

enum { W = 9, H = 7, N = W * H };

static void picture(uint8_t *pixels)
{
    for (int i = 0; i < N; i++) {
        pixels[i] = (uint8_t)(i * 3 + 20);
    }
}

/* Known answers published with the generator (Random123, kat_vectors). */
static void test_philox(void **state)
{
    (void)state;
    struct data_philox zero = data_philox(0, 0, 0);
    assert_int_equal(zero.word[0], 0x6627e8d5);
    assert_int_equal(zero.word[1], 0xe169c58d);
    assert_int_equal(zero.word[2], 0xbc57ac4c);
    assert_int_equal(zero.word[3], 0x9b00dbd8);
    struct data_philox ones = data_philox(UINT64_MAX, UINT64_MAX, UINT64_MAX);
    assert_int_equal(ones.word[0], 0x408f276d);
    assert_int_equal(ones.word[1], 0x41c83b0e);
    assert_int_equal(ones.word[2], 0xa20bc7c6);
    assert_int_equal(ones.word[3], 0x6d5451fd);
}

static void test_nothing(void **state)
{
    (void)state;
    struct data_augment none = {0};
    uint8_t from[N];
    uint8_t to[N];
    picture(from);
    assert_false(data_augment_any(&none));
    data_augment_apply(&none, W, H, 1, 1, 2, 3, from, to);
    assert_memory_equal(from, to, N);
}

static void test_flip(void **state)
{
    (void)state;
    struct data_augment flip = {.flip = true};
    uint8_t from[N];
    uint8_t to[N];
    int flipped = 0;
    picture(from);
    for (uint64_t i = 0; i < 100; i++) {
        data_augment_apply(&flip, W, H, 1, 1, 0, i, from, to);
        bool same = memcmp(from, to, N) == 0;
        for (int k = 0; k < N; k++) {
            assert_int_equal(to[k], same ? from[k] : from[k / W * W + W - 1 - k % W]);
        }
        flipped += same ? 0 : 1;
    }
    assert_in_range(flipped, 30, 70);
}

/* A shift moves the middle by at most its amount, and the same key draws the same. */
static void test_shift(void **state)
{
    (void)state;
    struct data_augment shift = {.shift = 0.2};
    uint8_t from[N] = {0};
    uint8_t to[N];
    uint8_t again[N];
    int moved = 0;
    from[3 * W + 4] = 250;
    for (uint64_t i = 0; i < 50; i++) {
        data_augment_apply(&shift, W, H, 1, 5, 6, i, from, to);
        data_augment_apply(&shift, W, H, 1, 5, 6, i, from, again);
        assert_memory_equal(to, again, N);
        int total = 0;
        for (int k = 0; k < N; k++) {
            total += to[k];
            if (to[k] > 0) {
                assert_in_range(k % W, 2, 6);
                assert_in_range(k / W, 1, 5);
            }
        }
        assert_in_range(total, 240, 260);
        moved += to[3 * W + 4] != 250;
    }
    assert_true(moved > 40);
}

static void test_light(void **state)
{
    (void)state;
    struct data_augment light = {.brightness = 0.2};
    uint8_t from[N];
    uint8_t to[N];
    picture(from);
    data_augment_apply(&light, W, H, 1, 9, 9, 9, from, to);
    int by = to[0] - from[0];
    assert_true(by != 0 && by >= -51 && by <= 51);
    for (int k = 0; k < N; k++) {
        int want = from[k] + by;
        assert_int_equal(to[k], want < 0 ? 0 : want > 255 ? 255 : want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_philox), cmocka_unit_test(test_nothing), cmocka_unit_test(test_flip),
        cmocka_unit_test(test_shift),  cmocka_unit_test(test_light),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
