/* SPDX-License-Identifier: Apache-2.0 */
/* base64_test.c -- the vectors of RFC 4648 section 10, round trips, and every way to be wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/base64.h"

static void vectors(void **state)
{
    static const char *const pairs[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct ledge_buf text = LEDGE_BUF_INIT(64);
        struct ledge_buf back = LEDGE_BUF_INIT(64);
        assert_true(ledge_base64_encode(pairs[i][0], strlen(pairs[i][0]), &text));
        assert_int_equal(text.len, strlen(pairs[i][1]));
        assert_memory_equal(text.len ? text.data : "", pairs[i][1], text.len);
        assert_true(ledge_base64_decode(pairs[i][1], text.len, &back));
        assert_int_equal(back.len, strlen(pairs[i][0]));
        assert_memory_equal(back.len ? back.data : "", pairs[i][0], back.len);
        ledge_buf_done(&text);
        ledge_buf_done(&back);
    }
}

static void every_byte_comes_back(void **state)
{
    uint8_t bytes[256];
    struct ledge_buf text = LEDGE_BUF_INIT(1024);
    struct ledge_buf back = LEDGE_BUF_INIT(256);
    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 167 + 13);
    }
    assert_true(ledge_base64_encode(bytes, sizeof bytes, &text));
    assert_true(ledge_base64_decode(text.data, text.len, &back));
    assert_int_equal(back.len, sizeof bytes);
    assert_memory_equal(back.data, bytes, sizeof bytes);
    ledge_buf_done(&text);
    ledge_buf_done(&back);
}

static void wrong_text_is_refused(void **state)
{
    static const char *const wrong[] = {"Z",    "Zg",       "Zg=",  "Zh==",       "Zm9=", "====",
                                        "Z===", "Zg==Zg==", "Zm 9", "Zm9v\nZm9v", "Zm-v", "=Zg="};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct ledge_buf back = LEDGE_BUF_INIT(64);
        assert_false(ledge_base64_decode(wrong[i], strlen(wrong[i]), &back));
        assert_int_equal(back.len, 0);
        ledge_buf_done(&back);
    }
    struct ledge_buf small = LEDGE_BUF_INIT(3);
    assert_false(ledge_base64_decode("Zm9vYmFy", 8, &small));
    ledge_buf_done(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(every_byte_comes_back),
        cmocka_unit_test(wrong_text_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
