/* SPDX-License-Identifier: Apache-2.0 */
/* oip_test.c -- bodies in and answers out, and everything a hostile body may hold. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "serve/number.h"
#include "serve/oip.h"

static struct serve_request request;
static struct ledge_error err;

static enum ledge_status parse(const char *text)
{
    struct serve_headers headers = {.content_type = "application/json"};
    return serve_request_parse(text, strlen(text), &headers, &request, &err);
}

static void refuse(const char *text, enum ledge_status status, const char *word)
{
    assert_int_equal(parse(text), status);
    if (strstr(err.text, word) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.text, word);
    }
}

static struct ledge_tensor tensor_of(enum ledge_dtype dtype, void *data, int64_t rows,
                                     int64_t columns)
{
    struct ledge_tensor tensor = {
        .data = data,
        .dtype = dtype,
        .rank = 2,
        .dims = {rows, columns},
        .bytes = (size_t)(rows * columns) * ledge_dtype_size(dtype),
    };
    return tensor;
}

static void reads_json(void **state)
{
    (void)state;
    float values[6];
    struct ledge_tensor tensor = tensor_of(LEDGE_F32, values, 2, 3);
    const char *const bodies[] = {
        "{\"id\":\"a1\",\"inputs\":[{\"name\":\"x\",\"shape\":[2,3],\"datatype\":\"FP32\",\"data\":"
        "[0,1,2.5,-3,4e0,5]}]}",
        "{\"id\":\"a1\",\"inputs\":[{\"name\":\"x\",\"shape\":[2,3],\"datatype\":\"FP32\",\"data\":"
        "[[0,1,2.5],[-3,4,5]]}]}",
    };
    for (int i = 0; i < 2; i++) {
        int64_t rows = 0;
        memset(values, 0, sizeof(values));
        assert_int_equal(parse(bodies[i]), LEDGE_OK);
        assert_string_equal(request.id, "a1");
        assert_int_equal(request.n_inputs, 1);
        assert_int_equal(serve_input_rows(&request.inputs[0], &tensor, false, &rows, &err),
                         LEDGE_OK);
        assert_int_equal(rows, 1);
        assert_int_equal(serve_input_fill(&request.inputs[0], 0, &tensor, &err), LEDGE_OK);
        const float expected[6] = {0, 1, 2.5f, -3, 4, 5};
        assert_memory_equal(values, expected, sizeof(expected));
        serve_request_done(&request);
    }
}

static void reads_rows(void **state)
{
    (void)state;
    int16_t values[3];
    struct ledge_tensor tensor = tensor_of(LEDGE_I16, values, 1, 3);
    const char *const bodies[] = {
        "{\"inputs\":[{\"name\":\"x\",\"shape\":[2,3],\"datatype\":\"INT16\",\"data\":"
        "[1,2,3,4,5,-6]}]}",
        "{\"inputs\":[{\"name\":\"x\",\"shape\":[2,3],\"datatype\":\"INT16\",\"data\":"
        "[[1,2,3],[4,5,-6]]}]}",
    };
    for (int i = 0; i < 2; i++) {
        int64_t rows = 0;
        assert_int_equal(parse(bodies[i]), LEDGE_OK);
        assert_int_equal(serve_input_rows(&request.inputs[0], &tensor, false, &rows, &err),
                         LEDGE_ERR_SHAPE);
        assert_int_equal(serve_input_rows(&request.inputs[0], &tensor, true, &rows, &err),
                         LEDGE_OK);
        assert_int_equal(rows, 2);
        assert_int_equal(serve_input_fill(&request.inputs[0], 1, &tensor, &err), LEDGE_OK);
        assert_int_equal(values[0], 4);
        assert_int_equal(values[2], -6);
        serve_request_done(&request);
    }
}

static void reads_binary(void **state)
{
    (void)state;
    char body[512];
    const float sent[3] = {1.5f, -2, 0.25f};
    const uint8_t text[] = {2, 0, 0, 0, 'h', 'i', 0, 0, 0, 0};
    int n = snprintf(body, sizeof(body),
                     "{\"parameters\":{\"binary_data_output\":true},\"inputs\":["
                     "{\"name\":\"x\",\"shape\":[1,3],\"datatype\":\"FP32\",\"parameters\":"
                     "{\"binary_data_size\":12}},"
                     "{\"name\":\"y\",\"shape\":[2],\"datatype\":\"BYTES\",\"parameters\":"
                     "{\"binary_data_size\":10,\"content_type\":\"image/png\"}}],"
                     "\"outputs\":[{\"name\":\"o\",\"parameters\":{\"classification\":3,"
                     "\"binary_data\":false}},{\"name\":\"p\"}]}");
    char length[16];
    snprintf(length, sizeof(length), "%d", n);
    memcpy(body + n, sent, sizeof(sent));
    memcpy(body + n + 12, text, sizeof(text));
    struct serve_headers headers = {.inference_header_length = length};
    size_t total = (size_t)n + 22;
    assert_int_equal(serve_request_parse(body, total, &headers, &request, &err), LEDGE_OK);
    float got[3];
    struct ledge_tensor tensor = tensor_of(LEDGE_F32, got, 1, 3);
    assert_int_equal(serve_input_fill(&request.inputs[0], 0, &tensor, &err), LEDGE_OK);
    assert_memory_equal(got, sent, sizeof(sent));
    struct ledge_buf buf = LEDGE_BUF_INIT(100);
    const uint8_t *bytes = NULL;
    size_t size = 9;
    assert_int_equal(serve_input_bytes(&request.inputs[1], 0, &buf, &bytes, &size, &err), LEDGE_OK);
    assert_int_equal(size, 2);
    assert_memory_equal(bytes, "hi", 2);
    assert_int_equal(serve_input_bytes(&request.inputs[1], 1, &buf, &bytes, &size, &err), LEDGE_OK);
    assert_int_equal(size, 0);
    assert_int_equal(serve_input_bytes(&request.inputs[1], 2, &buf, &bytes, &size, &err),
                     LEDGE_ERR_RANGE);
    assert_int_equal(request.n_wanted, 2);
    assert_int_equal(request.wanted[0].classes, 3);
    assert_false(request.wanted[0].binary);
    assert_true(request.wanted[1].binary);
    serve_request_done(&request);

    assert_int_equal(serve_request_parse(body, total - 1, &headers, &request, &err),
                     LEDGE_ERR_RANGE);
    assert_int_equal(serve_request_parse(body, total + 1, &headers, &request, &err),
                     LEDGE_ERR_FORMAT);
    const char *const lengths[] = {"-1", "1e2", "99999999999999999999", "", " 4", "0x10"};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        headers.inference_header_length = lengths[i];
        assert_int_equal(serve_request_parse(body, total, &headers, &request, &err),
                         LEDGE_ERR_RANGE);
    }
}

static void reads_whole_bodies(void **state)
{
    (void)state;
    struct serve_headers headers = {.inference_header_length = "0", .classification = "4"};
    assert_int_equal(serve_request_parse("abcd", 4, &headers, &request, &err), LEDGE_OK);
    assert_int_equal(request.body, SERVE_BODY_RAW);
    assert_true(request.binary_output);
    assert_int_equal(request.classes, 4);
    assert_int_equal(request.inputs[0].binary_bytes, 4);
    serve_request_done(&request);
    headers = (struct serve_headers){.content_type = "Image/JPEG"};
    assert_int_equal(serve_request_parse("abcd", 4, &headers, &request, &err), LEDGE_OK);
    assert_int_equal(request.body, SERVE_BODY_PICTURE);
    serve_request_done(&request);
    headers.classification = "1001";
    assert_int_equal(serve_request_parse("abcd", 4, &headers, &request, &err), LEDGE_ERR_RANGE);
}

static void reads_base64(void **state)
{
    (void)state;
    struct ledge_buf buf = LEDGE_BUF_INIT(100);
    const uint8_t *bytes = NULL;
    size_t n = 0;
    assert_int_equal(parse("{\"inputs\":[{\"name\":\"x\",\"shape\":[2],\"datatype\":\"BYTES\","
                           "\"data\":[\"aGk=\",\"*\"]}]}"),
                     LEDGE_OK);
    assert_int_equal(serve_input_bytes(&request.inputs[0], 0, &buf, &bytes, &n, &err), LEDGE_OK);
    assert_int_equal(n, 2);
    assert_memory_equal(bytes, "hi", 2);
    ledge_buf_clear(&buf);
    assert_int_equal(serve_input_bytes(&request.inputs[0], 1, &buf, &bytes, &n, &err),
                     LEDGE_ERR_FORMAT);
    ledge_buf_done(&buf);
    serve_request_done(&request);
}

#define INPUT(rest) "{\"inputs\":[{\"name\":\"x\"," rest "}]}"

static void refuses_what_is_wrong(void **state)
{
    (void)state;
    refuse("", LEDGE_ERR_FORMAT, "JSON");
    refuse("[]", LEDGE_ERR_FORMAT, "object");
    refuse("3", LEDGE_ERR_FORMAT, "object");
    refuse("{\"inputs\":[]}", LEDGE_ERR_FORMAT, "inputs");
    refuse("{\"inputs\":{}}", LEDGE_ERR_FORMAT, "inputs");
    refuse("{\"inputs\":[1]}", LEDGE_ERR_FORMAT, "name");
    refuse("{\"inputs\":[{\"name\":\"\"}]}", LEDGE_ERR_FORMAT, "name");
    refuse("{\"inputs\":[{\"name\":\"a\\u0000b\"}]}", LEDGE_ERR_FORMAT, "JSON");
    refuse(INPUT("\"datatype\":\"FP32\",\"data\":[1]"), LEDGE_ERR_SHAPE, "shape");
    refuse(INPUT("\"shape\":[-1],\"datatype\":\"FP32\",\"data\":[1]"), LEDGE_ERR_SHAPE, "shape[0]");
    refuse(INPUT("\"shape\":[1.5],\"datatype\":\"FP32\",\"data\":[1]"), LEDGE_ERR_SHAPE,
           "shape[0]");
    refuse(INPUT("\"shape\":[4294967296],\"datatype\":\"FP32\",\"data\":[1]"), LEDGE_ERR_SHAPE,
           "shape[0]");
    refuse(INPUT("\"shape\":[2147483647,2147483647,2147483647],\"datatype\":\"FP32\",\"data\":[1]"),
           LEDGE_ERR_SHAPE, "elements");
    refuse(INPUT("\"shape\":[65536,65536],\"datatype\":\"FP32\",\"data\":[1]"), LEDGE_ERR_SHAPE,
           "elements");
    refuse(INPUT("\"shape\":[1,1,1,1,1,1,1,1,1],\"datatype\":\"FP32\",\"data\":[1]"),
           LEDGE_ERR_SHAPE, "at most 8");
    refuse(INPUT("\"shape\":[1],\"datatype\":\"FP31\",\"data\":[1]"), LEDGE_ERR_DTYPE, "FP31");
    refuse(INPUT("\"shape\":[1],\"data\":[1]"), LEDGE_ERR_FORMAT, "datatype");
    refuse(INPUT("\"shape\":[1],\"datatype\":\"FP32\""), LEDGE_ERR_FORMAT, "data");
    refuse(INPUT("\"shape\":[1],\"datatype\":\"FP32\",\"data\":3"), LEDGE_ERR_FORMAT, "list");
    refuse(INPUT("\"shape\":[1],\"datatype\":\"FP32\",\"data\":[NaN]"), LEDGE_ERR_FORMAT, "JSON");
    refuse(INPUT("\"shape\":[1],\"datatype\":\"FP32\",\"data\":[1e999]"), LEDGE_ERR_FORMAT, "JSON");
    refuse(INPUT("\"shape\":[1],\"datatype\":\"FP32\",\"data\":[1],\"parameters\":"
                 "{\"binary_data_size\":4}"),
           LEDGE_ERR_FORMAT, "either");
    refuse(INPUT("\"shape\":[1],\"datatype\":\"FP32\",\"parameters\":{\"binary_data_size\":-4}"),
           LEDGE_ERR_RANGE, "binary_data_size");
    refuse("{\"id\":7,\"inputs\":[]}", LEDGE_ERR_FORMAT, "id");
    refuse("{\"inputs\":[{\"name\":\"x\",\"shape\":[1],\"datatype\":\"FP32\",\"data\":[1]},"
           "{\"name\":\"x\",\"shape\":[1],\"datatype\":\"FP32\",\"data\":[1]}]}",
           LEDGE_ERR_FORMAT, "twice");
    refuse("{\"inputs\":[{\"name\":\"x\",\"shape\":[1],\"datatype\":\"FP32\",\"data\":[1]}],"
           "\"outputs\":[{\"name\":\"y\",\"parameters\":{\"classification\":-1}}]}",
           LEDGE_ERR_RANGE, "classification");
}

/* Deep nesting must end in an error, not in the end of the stack. */
static void refuses_depth(void **state)
{
    (void)state;
    enum { DEPTH = 100000 };
    char *text = malloc(DEPTH + 1);
    assert_non_null(text);
    memset(text, '[', DEPTH);
    text[DEPTH] = '\0';
    refuse(text, LEDGE_ERR_FORMAT, "JSON");
    free(text);
}

static void refuse_value(const char *datatype, enum ledge_dtype dtype, const char *data,
                         enum ledge_status status)
{
    char body[256];
    uint8_t values[16] = {0};
    struct ledge_tensor tensor = tensor_of(dtype, values, 1, 2);
    snprintf(body, sizeof(body), INPUT("\"shape\":[1,2],\"datatype\":\"%s\",\"data\":%s"), datatype,
             data);
    assert_int_equal(parse(body), LEDGE_OK);
    if (serve_input_fill(&request.inputs[0], 0, &tensor, &err) != status) {
        fail_msg("%s %s: not as expected (%s)", datatype, data, err.text);
    }
    serve_request_done(&request);
}

static void checks_values(void **state)
{
    (void)state;
    refuse_value("FP32", LEDGE_F32, "[1]", LEDGE_ERR_SHAPE);
    refuse_value("FP32", LEDGE_F32, "[1,2,3]", LEDGE_ERR_SHAPE);
    refuse_value("FP32", LEDGE_F32, "[[1,2],[3,4]]", LEDGE_ERR_SHAPE);
    refuse_value("FP32", LEDGE_F32, "[[1],[2]]", LEDGE_ERR_SHAPE);
    refuse_value("FP32", LEDGE_F32, "[[[1,2]]]", LEDGE_ERR_SHAPE);
    refuse_value("FP32", LEDGE_F32, "[[1,[2]]]", LEDGE_ERR_RANGE);
    refuse_value("FP32", LEDGE_F32, "[1,\"2\"]", LEDGE_ERR_RANGE);
    refuse_value("FP32", LEDGE_F32, "[1,null]", LEDGE_ERR_RANGE);
    refuse_value("FP32", LEDGE_F32, "[1,1e39]", LEDGE_ERR_RANGE);
    refuse_value("FP32", LEDGE_F32, "[1,3e38]", LEDGE_OK);
    refuse_value("FP16", LEDGE_F16, "[1,65519]", LEDGE_OK);
    refuse_value("FP16", LEDGE_F16, "[1,65520]", LEDGE_ERR_RANGE);
    refuse_value("BF16", LEDGE_BF16, "[1,3.4e38]", LEDGE_ERR_RANGE);
    refuse_value("FP64", LEDGE_F64, "[1,1e300]", LEDGE_OK);
    refuse_value("UINT8", LEDGE_U8, "[0,255]", LEDGE_OK);
    refuse_value("UINT8", LEDGE_U8, "[0,256]", LEDGE_ERR_RANGE);
    refuse_value("UINT8", LEDGE_U8, "[0,-1]", LEDGE_ERR_RANGE);
    refuse_value("INT8", LEDGE_I8, "[-128,127]", LEDGE_OK);
    refuse_value("INT8", LEDGE_I8, "[-129,0]", LEDGE_ERR_RANGE);
    refuse_value("INT8", LEDGE_I8, "[1.5,0]", LEDGE_ERR_RANGE);
    refuse_value("INT8", LEDGE_I8, "[2.0,0]", LEDGE_OK);
    refuse_value("INT32", LEDGE_I32, "[2147483648,0]", LEDGE_ERR_RANGE);
    refuse_value("INT64", LEDGE_I64, "[9223372036854775807,-9223372036854775808]", LEDGE_OK);
    refuse_value("INT64", LEDGE_I64, "[1e19,0]", LEDGE_ERR_RANGE);
    refuse_value("UINT64", LEDGE_U64, "[-1,0]", LEDGE_ERR_RANGE);
    refuse_value("BOOL", LEDGE_BOOL, "[true,false]", LEDGE_OK);
    refuse_value("BOOL", LEDGE_BOOL, "[1,0]", LEDGE_OK);
    refuse_value("BOOL", LEDGE_BOOL, "[2,0]", LEDGE_ERR_RANGE);
    refuse_value("INT32", LEDGE_I32, "[true,0]", LEDGE_ERR_RANGE);
}

/* Every dtype: the printed text, read back, is the same bytes. */
static void numbers_come_back(void **state)
{
    (void)state;
    static const struct {
        enum ledge_dtype dtype;
        double low, high;
    } rows[] = {
        {LEDGE_F32, -3.4e38, 1.1754944e-38},
        {LEDGE_F64, -1.7e308, 1.0 / 3},
        {LEDGE_F16, -65504, 5.9604645e-8},
        {LEDGE_BF16, -3.3e38, 0.333984375},
        {LEDGE_U8, 0, 255},
        {LEDGE_I8, -128, 127},
        {LEDGE_U16, 0, 65535},
        {LEDGE_I16, -32768, 32767},
        {LEDGE_U32, 0, 4294967295.0},
        {LEDGE_I32, -2147483648.0, 2147483647},
        {LEDGE_I64, -0x1p53, 0x1p53},
        {LEDGE_U64, 0, 0x1p53},
        {LEDGE_BOOL, 0, 1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t first[16] = {0}, second[16] = {0};
        const double values[2] = {rows[i].low, rows[i].high};
        for (int k = 0; k < 2; k++) {
            struct ledge_buf text = LEDGE_BUF_INIT(100);
            json_t *value = json_real(values[k]);
            assert_true(serve_number_store(value, rows[i].dtype, first, k));
            json_decref(value);
            serve_number_print(rows[i].dtype, first, k, &text);
            value = json_loads(text.data, JSON_DECODE_ANY, NULL);
            assert_non_null(value);
            assert_true(serve_number_store(value, rows[i].dtype, second, k));
            json_decref(value);
            ledge_buf_done(&text);
        }
        assert_memory_equal(first, second, sizeof(first));
    }
}

/* All binary16 values: to float and back is the identity; the greatest and least by hand. */
static void half_is_exact(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 65536; bits++) {
        float value = serve_f16_to((uint16_t)bits);
        if (!isnan(value)) {
            assert_int_equal(serve_f16_of(value), bits);
        }
    }
    assert_float_equal(serve_f16_to(0x7bff), 65504.0f, 0);
    assert_float_equal(serve_f16_to(0x3555), 0.333251953125f, 0);
    assert_int_equal(serve_f16_of(1.0f + 0x1p-11f), 0x3c00); /* half way, to even */
    assert_int_equal(serve_f16_of(1.0f + 0x1.8p-10f), 0x3c02);
    assert_int_equal(serve_bf16_of(1.0f + 0x1p-8f), 0x3f80);
    assert_int_equal(serve_bf16_of(1.0f + 0x1.8p-7f), 0x3f82);
}

static void writes_json(void **state)
{
    (void)state;
    float values[4] = {0.5f, -1, NAN, INFINITY};
    uint8_t flags[2] = {1, 0};
    struct serve_output outputs[2] = {
        {.name = "o\"1", .tensor = tensor_of(LEDGE_F32, values, 2, 2)},
        {.name = "flags", .tensor = tensor_of(LEDGE_BOOL, flags, 1, 2)},
    };
    struct serve_answer answer = {
        .model = "m", .version = "3", .id = "x\n", .outputs = outputs, .n_outputs = 2};
    struct ledge_buf out = LEDGE_BUF_INIT(10000);
    size_t json_bytes = 0;
    assert_int_equal(serve_answer_write(&answer, &out, &json_bytes, &err), LEDGE_OK);
    assert_int_equal(json_bytes, out.len);
    assert_string_equal(
        out.data,
        "{\"model_name\":\"m\",\"model_version\":\"3\",\"id\":\"x\\u000a\",\"outputs\":["
        "{\"name\":\"o\\\"1\",\"datatype\":\"FP32\",\"shape\":[2,2],\"data\":[0.5,-1,null,null]},"
        "{\"name\":\"flags\",\"datatype\":\"BOOL\",\"shape\":[1,2],\"data\":[true,false]}]}");
    ledge_buf_done(&out);
}

static void writes_binary(void **state)
{
    (void)state;
    float values[2] = {0.5f, -1};
    struct serve_output outputs[2] = {
        {.name = "a", .tensor = tensor_of(LEDGE_F32, values, 1, 2), .binary = true},
        {.name = "b", .tensor = tensor_of(LEDGE_F32, values, 1, 2), .binary = true, .classes = 1},
    };
    struct serve_answer answer = {
        .model = "m", .version = "3", .labels = "cat\r\ndog\n", .outputs = outputs, .n_outputs = 2};
    struct ledge_buf out = LEDGE_BUF_INIT(10000);
    size_t json_bytes = 0;
    assert_int_equal(serve_answer_write(&answer, &out, &json_bytes, &err), LEDGE_OK);
    assert_int_equal(out.len - json_bytes, 8 + 4 + 14);
    assert_memory_equal(out.data + json_bytes, values, 8);
    assert_memory_equal(out.data + json_bytes + 8,
                        "\x0e\0\0\0"
                        "0.500000:0:cat",
                        18);
    assert_non_null(strstr(out.data, "\"datatype\":\"BYTES\",\"shape\":[1,1],\"parameters\":"
                                     "{\"binary_data_size\":18}"));
    ledge_buf_done(&out);
}

static void classifies(void **state)
{
    (void)state;
    int8_t values[12] = {-128, 5, 5, 100, 0, 1, 9, 8, 7, 6, 5, 4};
    struct serve_output output = {.name = "o", .tensor = tensor_of(LEDGE_I8, values, 2, 6)};
    output.tensor.scale = 0.5f;
    output.tensor.zero_point = -10;
    output.classes = 3;
    struct serve_answer answer = {
        .model = "m", .version = "1", .labels = "a\nb\nc\nd", .outputs = &output, .n_outputs = 1};
    struct ledge_buf out = LEDGE_BUF_INIT(10000);
    size_t json_bytes = 0;
    assert_int_equal(serve_answer_write(&answer, &out, &json_bytes, &err), LEDGE_OK);
    assert_non_null(strstr(out.data, "\"shape\":[2,3],\"data\":[\"55.000000:3:d\",\"7.500000:1:b\","
                                     "\"7.500000:2:c\",\"9.500000:0:a\",\"9.000000:1:b\","
                                     "\"8.500000:2:c\"]"));
    ledge_buf_done(&out);
}

/* The ranking against a plain sort, over many sizes. */
static void ranks_like_a_sort(void **state)
{
    (void)state;
    float values[200];
    uint32_t seed = 1;
    for (int32_t n = 1; n <= 200; n += 7) {
        for (int32_t i = 0; i < n; i++) {
            seed = seed * 1664525u + 1013904223u;
            values[i] = (float)(seed >> 25); /* few values: many ties */
        }
        struct serve_output output = {.name = "o", .tensor = tensor_of(LEDGE_F32, values, 1, n)};
        output.classes = n < 10 ? n : 10;
        struct serve_answer answer = {
            .model = "m", .version = "1", .outputs = &output, .n_outputs = 1};
        struct ledge_buf out = LEDGE_BUF_INIT(100000);
        struct ledge_buf want = LEDGE_BUF_INIT(100000);
        size_t json_bytes = 0;
        assert_int_equal(serve_answer_write(&answer, &out, &json_bytes, &err), LEDGE_OK);
        bool used[200] = {false};
        for (int32_t k = 0; k < output.classes; k++) {
            int32_t best = -1;
            for (int32_t i = 0; i < n; i++) {
                if (!used[i] && (best < 0 || values[i] > values[best])) {
                    best = i;
                }
            }
            used[best] = true;
            ledge_buf_printf(&want, "%s\"%f:%d\"", k > 0 ? "," : "", (double)values[best],
                             (int)best);
        }
        assert_non_null(strstr(out.data, want.data));
        ledge_buf_done(&out);
        ledge_buf_done(&want);
    }
}

static void escapes_text(void **state)
{
    (void)state;
    struct ledge_buf out = LEDGE_BUF_INIT(1000);
    serve_json_text(&out, "a\"\\\x01\xff\xc3\xa9\xed\xa0\x80\xf0\x9f\x98\x80", 14);
    assert_string_equal(out.data, "\"a\\\"\\\\\\u0001\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd"
                                  "\xef\xbf\xbd\xf0\x9f\x98\x80\"");
    json_t *value = json_loadb(out.data, out.len, JSON_DECODE_ANY, NULL);
    assert_non_null(value);
    json_decref(value);
    ledge_buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_json),        cmocka_unit_test(reads_rows),
        cmocka_unit_test(reads_binary),      cmocka_unit_test(reads_whole_bodies),
        cmocka_unit_test(reads_base64),      cmocka_unit_test(refuses_what_is_wrong),
        cmocka_unit_test(refuses_depth),     cmocka_unit_test(checks_values),
        cmocka_unit_test(numbers_come_back), cmocka_unit_test(half_is_exact),
        cmocka_unit_test(writes_json),       cmocka_unit_test(writes_binary),
        cmocka_unit_test(classifies),        cmocka_unit_test(ranks_like_a_sort),
        cmocka_unit_test(escapes_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
