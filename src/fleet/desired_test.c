/* SPDX-License-Identifier: Apache-2.0 */
/* desired_test.c -- envelope and document: the example of the protocol page, and a table of
 * documents that must be refused with a line that names the field. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "fleet/desired.h"
#include "fleet/envelope.h"

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define MODEL                                                                                      \
    "{\"name\":\"signs\",\"version\":2,\"sha256\":\"" SHA "\",\"size\":48211,"                     \
    "\"file\":\"signs.onnx\",\"probe\":{\"sha256\":\"" SHA "\",\"size\":812}}"
#define FUNCTION_WITH(more)                                                                        \
    "{\"name\":\"watch\",\"version\":1,\"sha256\":\"" SHA                                          \
    "\",\"size\":8120,\"file\":\"watch.py\"" more "}"
#define DOCUMENT(models, functions, more)                                                          \
    "{\"v\":1,\"device\":\"cam-1\",\"gen\":7,\"models\":[" models "],\"functions\":[" functions    \
    "]" more "}"

static enum ledge_status parse(const char *text, struct fleet_desired *d, struct ledge_error *err)
{
    return fleet_desired_parse(text, strlen(text), d, err);
}

static void the_example_is_read(void **state)
{
    static struct fleet_desired d;
    struct ledge_error err;
    (void)state;
    assert_int_equal(
        parse(DOCUMENT(MODEL,
                       FUNCTION_WITH(",\"mode\":\"pinned\",\"args\":[\"--fps\",\"5\"],"
                                     "\"env\":{\"KEY\":\"value\"},\"config\":{\"threshold\":0.8}"),
                       ",\"issued\":\"2026-01-01T00:00:00Z\",\"unknown\":[1],"
                       "\"policy\":{\"trial_s\":9,\"on_fail\":\"rollback\"}"),
              &d, &err),
        LEDGE_OK);
    assert_string_equal(d.device, "cam-1");
    assert_int_equal(d.gen, 7);
    assert_int_equal(d.trial_s, 9);
    assert_int_equal(d.n_models, 1);
    assert_string_equal(d.models[0].file, "signs.onnx");
    assert_int_equal(d.models[0].blob.size, 48211);
    assert_string_equal(d.models[0].probe.sha256, SHA);
    assert_int_equal(d.n_functions, 1);
    assert_int_equal(json_array_size(d.functions[0].args), 2);
    fleet_desired_done(&d);
    assert_int_equal(parse("{\"v\":1,\"device\":\"a\",\"gen\":1}", &d, &err), LEDGE_OK);
    assert_int_equal(d.n_models + d.n_functions, 0);
    assert_int_equal(d.trial_s, 5);
    fleet_desired_done(&d);
}

static void what_must_be_refused(void **state)
{
    static struct fleet_desired d;
    static const struct {
        const char *text;
        enum ledge_status status;
        const char *words;
    } cases[] = {
        {"", LEDGE_ERR_FORMAT, "desired document"},
        {"[]", LEDGE_ERR_FORMAT, "not a JSON object"},
        {"{\"v\":2,\"device\":\"a\",\"gen\":1}", LEDGE_ERR_UNSUPPORTED, "version 2"},
        {"{\"v\":1,\"v\":1,\"device\":\"a\",\"gen\":1}", LEDGE_ERR_FORMAT, "duplicate"},
        {"{\"v\":1,\"device\":\"../a\",\"gen\":1}", LEDGE_ERR_FORMAT, "device"},
        {"{\"v\":1,\"device\":\"a\",\"gen\":0}", LEDGE_ERR_RANGE, "gen"},
        {"{\"v\":1,\"device\":\"a\",\"gen\":1.0}", LEDGE_ERR_FORMAT, "gen"},
        {"{\"v\":1,\"device\":\"a\",\"gen\":99999999999999999999}", LEDGE_ERR_FORMAT, "big"},
        {"{\"v\":1,\"device\":\"a\",\"gen\":1,\"models\":{}}", LEDGE_ERR_FORMAT, "models"},
        {DOCUMENT("1", "", ""), LEDGE_ERR_FORMAT, "name"},
        {DOCUMENT(MODEL "," MODEL, "", ""), LEDGE_ERR_FORMAT, "stands twice"},
        {DOCUMENT("{\"name\":\"../x\"}", "", ""), LEDGE_ERR_FORMAT, "../x"},
        {DOCUMENT("{\"name\":\"x\",\"version\":1,\"file\":\"a/b\"}", "", ""), LEDGE_ERR_FORMAT,
         "a/b"},
        {DOCUMENT("{\"name\":\"x\",\"version\":1,\"file\":\"b\",\"sha256\":\"00\"}", "", ""),
         LEDGE_ERR_FORMAT, "sha256"},
        {DOCUMENT("{\"name\":\"x\",\"version\":1,\"file\":\"b\",\"sha256\":\"" SHA
                  "\",\"size\":9000000000}",
                  "", ""),
         LEDGE_ERR_RANGE, "size"},
        {DOCUMENT("", FUNCTION_WITH(",\"mode\":\"on-demand\""), ""), LEDGE_ERR_UNSUPPORTED, "mode"},
        {DOCUMENT("", FUNCTION_WITH(",\"args\":[1]"), ""), LEDGE_ERR_FORMAT, "argument 1"},
        {DOCUMENT("", FUNCTION_WITH(",\"args\":[\"a\\u0000b\"]"), ""), LEDGE_ERR_FORMAT, "\\u0000"},
        {DOCUMENT("", FUNCTION_WITH(",\"env\":{\"A=B\":\"1\"}"), ""), LEDGE_ERR_FORMAT, "A=B"},
        {DOCUMENT("", FUNCTION_WITH(",\"env\":{\"LEDGE_DEVICE\":\"x\"}"), ""), LEDGE_ERR_FORMAT,
         "LEDGE_DEVICE"},
        {DOCUMENT("", FUNCTION_WITH(",\"config\":[]"), ""), LEDGE_ERR_FORMAT, "config"},
        {DOCUMENT("", "", ",\"policy\":{\"trial_s\":-1}"), LEDGE_ERR_RANGE, "trial_s"},
        {DOCUMENT("", "", ",\"policy\":{\"on_fail\":\"stay\"}"), LEDGE_ERR_UNSUPPORTED, "on_fail"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ledge_error err = {.text = ""};
        enum ledge_status status = parse(cases[i].text, &d, &err);
        if (status != cases[i].status || strstr(err.text, cases[i].words) == NULL) {
            fail_msg("case %zu: %s \"%s\" for %s", i, ledge_status_name(status), err.text,
                     cases[i].text);
        }
    }
}

static void a_function_key_is_what_needs_a_restart(void **state)
{
    static struct fleet_desired d;
    static const char *const variants[] = {
        DOCUMENT("", FUNCTION_WITH(",\"args\":[\"a\"],\"config\":{\"x\":1,\"y\":2}"), ""),
        DOCUMENT("", FUNCTION_WITH(",\"config\":{\"y\":2,\"x\":1},\"args\":[\"a\"]"), ""),
        DOCUMENT("", FUNCTION_WITH(",\"args\":[\"a\"],\"config\":{\"x\":1,\"y\":3}"), ""),
        DOCUMENT("", FUNCTION_WITH(",\"args\":[\"b\"],\"config\":{\"x\":1,\"y\":2}"), ""),
        DOCUMENT("",
                 FUNCTION_WITH(",\"args\":[\"a\"],\"config\":{\"x\":1,\"y\":2},\"env\":"
                               "{\"A\":\"1\"}"),
                 ""),
    };
    char keys[5][65];
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(parse(variants[i], &d, NULL), LEDGE_OK);
        d.functions[0].version = (int64_t)i + 1; /* the number alone restarts nothing */
        assert_int_equal(fleet_function_key(&d.functions[0], keys[i], NULL), LEDGE_OK);
        fleet_desired_done(&d);
    }
    assert_string_equal(keys[0], keys[1]);
    for (size_t i = 2; i < 5; i++) {
        assert_string_not_equal(keys[0], keys[i]);
    }
}

static void envelope_there_and_back(void **state)
{
    uint8_t key[FLEET_PUBLIC_KEY] = {9};
    uint8_t sig[FLEET_SIGNATURE];
    struct ledge_buf text = LEDGE_BUF_INIT(FLEET_PAYLOAD_MAX);
    struct ledge_buf bytes = LEDGE_BUF_INIT(256);
    struct fleet_envelope envelope;
    char keyid[FLEET_KEYID_SIZE];
    (void)state;
    memset(sig, 0xa5, sizeof sig);
    assert_int_equal(fleet_envelope_write("{\"v\":1}", 7, key, sig, &text, NULL), LEDGE_OK);
    assert_int_equal(fleet_envelope_parse(text.data, text.len, &envelope, NULL), LEDGE_OK);
    assert_int_equal(envelope.payload.len, 7);
    assert_memory_equal(envelope.payload.data, "{\"v\":1}", 7);
    assert_memory_equal(envelope.sig, sig, sizeof sig);
    fleet_keyid(key, keyid);
    assert_string_equal(envelope.keyid, keyid);
    assert_true(fleet_signed_bytes(envelope.payload.data, 7, &bytes));
    assert_string_equal(bytes.data, "ledge-desired-v1\n{\"v\":1}");
    fleet_envelope_done(&envelope);
    for (size_t n = 0; n < text.len; n++) {
        assert_int_not_equal(fleet_envelope_parse(text.data, n, &envelope, NULL), LEDGE_OK);
    }
    ledge_buf_done(&text);
    ledge_buf_done(&bytes);
}

static void envelopes_that_are_none(void **state)
{
    static const char *const bad[] = {
        "{\"keyid\":\"0011223344556677\",\"payload\":\"e30=\",\"sig\":\"AAAA\"}",
        "{\"keyid\":\"0011\",\"payload\":\"e30=\",\"sig\":\"AAAA\"}",
        "{\"keyid\":\"0011223344556677\",\"payload\":\"e30\",\"sig\":\"AAAA\"}",
        "{\"keyid\":\"0011223344556677\",\"payload\":{},\"sig\":\"AAAA\"}",
        "null",
    };
    struct fleet_envelope envelope;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(fleet_envelope_parse(bad[i], strlen(bad[i]), &envelope, NULL),
                         LEDGE_ERR_FORMAT);
    }
}

static void canonical_text_does_not_depend_on_order(void **state)
{
    struct ledge_buf text = LEDGE_BUF_INIT(256);
    json_t *value = json_loads("{\"b\": [1, 2.5, null], \"a\": \"\\u00e9\"}", 0, NULL);
    (void)state;
    assert_int_equal(fleet_canonical(value, &text, NULL), LEDGE_OK);
    assert_string_equal(text.data, "{\"a\":\"\xc3\xa9\",\"b\":[1,2.5,null]}");
    text.max = text.len + 3;
    assert_int_equal(fleet_canonical(value, &text, NULL), LEDGE_ERR_FULL);
    ledge_buf_done(&text);
    json_decref(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_is_read),
        cmocka_unit_test(what_must_be_refused),
        cmocka_unit_test(a_function_key_is_what_needs_a_restart),
        cmocka_unit_test(envelope_there_and_back),
        cmocka_unit_test(envelopes_that_are_none),
        cmocka_unit_test(canonical_text_does_not_depend_on_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
