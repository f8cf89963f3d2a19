/* SPDX-License-Identifier: Apache-2.0 */
/* json_test.c -- what is refused, with which words; canonical form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sys/json.h"

static enum ledge_status parse(const char *text, json_t **value, struct ledge_error *err)
{
    return sys_json_parse(text, strlen(text), value, err);
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", "{", "{\"a\":1,\"a\":2}", "[1,]", "nul", "{\"a\":\"\xff\"}", "1 2", "{\"a\":1e999}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        json_t *value = NULL;
        struct ledge_error err;
        assert_int_equal(parse(bad[i], &value, &err), LEDGE_ERR_FORMAT);
        assert_null(value);
        assert_non_null(strstr(err.text, "line 1"));
    }
    /* a tower of brackets ends in an error, not in the end of the stack */
    static char deep[100000];
    memset(deep, '[', sizeof deep);
    json_t *value = NULL;
    assert_int_equal(sys_json_parse(deep, sizeof deep, &value, NULL), LEDGE_ERR_FORMAT);
}

static void test_fields(void **state)
{
    (void)state;
    json_t *value = NULL;
    struct ledge_error err;
    const char *text = NULL;
    int64_t n = 0;
    assert_int_equal(
        parse("{\"name\":\"cam\",\"n\":7,\"nul\":\"a\\u0000b\",\"x\":1.5}", &value, &err),
        LEDGE_ERR_FORMAT); /* jansson refuses \u0000 unless asked */
    assert_int_equal(parse("{\"name\":\"cam\",\"n\":7,\"x\":1.5}", &value, &err), LEDGE_OK);
    assert_int_equal(sys_json_text(value, "hello", "name", &text, &err), LEDGE_OK);
    assert_string_equal(text, "cam");
    assert_int_equal(sys_json_text(value, "hello", "n", &text, &err), LEDGE_ERR_FORMAT);
    assert_string_equal(err.text, "hello: field 'n' is not text");
    assert_int_equal(sys_json_text(value, "hello", "none", &text, &err), LEDGE_ERR_FORMAT);
    assert_string_equal(err.text, "hello: field 'none' is missing");
    assert_int_equal(sys_json_int(value, "hello", "n", 0, 7, &n, &err), LEDGE_OK);
    assert_int_equal(n, 7);
    assert_int_equal(sys_json_int(value, "hello", "n", 8, 9, &n, &err), LEDGE_ERR_FORMAT);
    assert_string_equal(err.text, "hello: field 'n' is 7, not in 8..9");
    assert_int_equal(sys_json_int(value, "hello", "x", 0, 9, &n, &err), LEDGE_ERR_FORMAT);
    json_decref(value);
    /* not an object at all */
    json_t *list = json_array();
    assert_int_equal(sys_json_text(list, "hello", "name", &text, &err), LEDGE_ERR_FORMAT);
    json_decref(list);
}

static void test_canonical(void **state)
{
    (void)state;
    json_t *value = NULL;
    struct ledge_buf out = LEDGE_BUF_INIT(64);
    assert_int_equal(parse("{ \"b\" : [1, true, null],\n \"a\" : \"\xc3\xa9\" }", &value, NULL),
                     LEDGE_OK);
    assert_int_equal(sys_json_write(value, &out), LEDGE_OK);
    assert_string_equal(out.data, "{\"a\":\"\xc3\xa9\",\"b\":[1,true,null]}");
    struct ledge_buf small = LEDGE_BUF_INIT(5);
    assert_int_equal(sys_json_write(value, &small), LEDGE_ERR_RANGE);
    assert_int_equal(small.len, 0);
    ledge_buf_done(&small);
    ledge_buf_done(&out);
    json_decref(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_canonical),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
