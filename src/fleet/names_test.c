/* SPDX-License-Identifier: Apache-2.0 */
/* names_test.c -- names, topics and tokens: what is one and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "fleet/names.h"

#define HEX48 "0123456789abcdef0123456789abcdef0123456789abcdef"
#define HEX64 HEX48 "0123456789abcdef"
#define A63   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void device_names(void **state)
{
    static const char *const good[] = {"a", "0", "cam-1", "a-", A63};
    static const char *const bad[] = {"",   "-a",     "Cam",   "a b",   "a/b",       "a#",
                                      "a+", "../etc", "cam.1", A63 "a", "ledge-hub", "\xc3\xa9"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(fleet_device_name_ok(good[i]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(fleet_device_name_ok(bad[i]));
    }
}

static void artifact_names(void **state)
{
    static const char *const good[] = {"a", "A.b_c-9", "watch.py", A63 "a"};
    static const char *const bad[] = {"", ".", "..", ".hidden", "a/b", "a b", A63 "aa", "a\n"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(fleet_name_ok(good[i]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(fleet_name_ok(bad[i]));
    }
    assert_true(fleet_digest_ok(HEX64));
    assert_false(fleet_digest_ok(HEX64 "0"));
    assert_false(fleet_digest_ok(HEX48));
    assert_false(fleet_digest_ok("A" HEX48 "123456789abcdef"));
}

static void topics_there_and_back(void **state)
{
    char topic[FLEET_TOPIC_SIZE];
    struct fleet_topic_parts parts;
    (void)state;
    fleet_topic(topic, "cam-1", FLEET_DOWN, "log-request");
    assert_string_equal(topic, "ledge/1/cam-1/d/log-request");
    assert_true(fleet_topic_parse(topic, &parts));
    assert_string_equal(parts.device, "cam-1");
    assert_string_equal(parts.channel, "log-request");
    assert_int_equal(parts.direction, FLEET_DOWN);
    static const char *const bad[] = {"",
                                      "ledge/1/",
                                      "ledge/2/cam-1/u/hello",
                                      "ledge/1/cam-1/x/hello",
                                      "ledge/1/cam-1/u/",
                                      "ledge/1/cam-1/u/a/b",
                                      "ledge/1//u/hello",
                                      "ledge/1/ledge-hub/u/hello",
                                      "ledge/1/cam-1/uhello",
                                      "ledge/1/" A63 "aaa/u/hello",
                                      "ledge/1/cam-1/u/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(fleet_topic_parse(bad[i], &parts));
    }
}

static void tokens_there_and_back(void **state)
{
    struct fleet_token token;
    char text[FLEET_TOKEN_SIZE];
    (void)state;
    assert_int_equal(fleet_token_parse("lt1." HEX48 "." HEX64, &token, NULL), LEDGE_OK);
    assert_string_equal(token.secret, HEX48);
    assert_string_equal(token.ca_sha256, HEX64);
    fleet_token_write(&token, text);
    assert_string_equal(text, "lt1." HEX48 "." HEX64);
    assert_int_equal(fleet_token_parse("lt1." HEX48 HEX64 ".", &token, NULL), LEDGE_ERR_ARG);
    assert_int_equal(fleet_token_parse("lt2." HEX48 "." HEX64, &token, NULL), LEDGE_ERR_ARG);
    assert_int_equal(fleet_token_parse("", &token, NULL), LEDGE_ERR_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(device_names),
        cmocka_unit_test(artifact_names),
        cmocka_unit_test(topics_there_and_back),
        cmocka_unit_test(tokens_there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
