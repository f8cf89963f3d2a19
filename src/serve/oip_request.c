/* SPDX-License-Identifier: Apache-2.0 */
/* oip_request.c -- body -> struct serve_request: names, shapes, datatypes and where the data lies.
 * Values are read later, straight into the session's input (oip_input.c). */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/checked.h"
#include "base/status.h"
#include "serve/oip.h"
#include "sys/json.h"

enum { NAME_MAX_BYTES = 256, ID_MAX_BYTES = 1024 };

enum ledge_dtype serve_dtype_of(const char *text)
{
#define DTYPE_MATCH(name, value, bytes, short_text, oip)                                           \
    if (strcmp(text, oip) == 0) {                                                                  \
        return LEDGE_##name;                                                                       \
    }
    LEDGE_DTYPE_LIST(DTYPE_MATCH)
#undef DTYPE_MATCH
    return LEDGE_DTYPE_NONE;
}

static enum ledge_status read_name(const json_t *object, const char *what, int32_t index,
                                   const char **name, struct ledge_error *err)
{
    const json_t *value = json_object_get(object, "name");
    size_t n = json_string_length(value);
    if (!json_is_string(value) || n == 0 || n > NAME_MAX_BYTES ||
        memchr(json_string_value(value), 0, n) != NULL) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "%s %d: \"name\" must be a text of 1 to %d bytes",
                          what, (int)index, NAME_MAX_BYTES);
    }
    *name = json_string_value(value);
    return LEDGE_OK;
}

static enum ledge_status read_shape(const json_t *shape, struct serve_input *input,
                                    struct ledge_error *err)
{
    size_t rank = json_array_size(shape);
    if (!json_is_array(shape) || rank > LEDGE_MAX_RANK) {
        return ledge_fail(err, LEDGE_ERR_SHAPE,
                          "input %s: \"shape\" must be a list of at most %d sizes", input->name,
                          LEDGE_MAX_RANK);
    }
    int64_t elements = 1;
    for (size_t i = 0; i < rank; i++) {
        const json_t *dim = json_array_get(shape, i);
        int64_t size = json_integer_value(dim);
        if (!json_is_integer(dim) || size < 0 || size > INT32_MAX) {
            return ledge_fail(err, LEDGE_ERR_SHAPE,
                              "input %s: shape[%zu] must be a whole number of 0 to %d", input->name,
                              i, INT32_MAX);
        }
        if (!ledge_mul_i64(elements, size, &elements) || elements > INT32_MAX) {
            return ledge_fail(err, LEDGE_ERR_SHAPE, "input %s: shape has too many elements",
                              input->name);
        }
        input->dims[i] = size;
    }
    input->rank = (int32_t)rank;
    input->elements = elements;
    return LEDGE_OK;
}

static enum ledge_status read_datatype(const json_t *object, struct serve_input *input,
                                       struct ledge_error *err)
{
    const char *text = json_string_value(json_object_get(object, "datatype"));
    if (text == NULL) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "input %s: \"datatype\" is missing", input->name);
    }
    input->text = strcmp(text, "BYTES") == 0;
    input->dtype = serve_dtype_of(text);
    if (!input->text && input->dtype == LEDGE_DTYPE_NONE) {
        return ledge_fail(err, LEDGE_ERR_DTYPE, "input %s: unknown datatype \"%.32s\"", input->name,
                          text);
    }
    return LEDGE_OK;
}

/* Binary data of inputs stand one after another behind the JSON, in the order of the inputs. */
static enum ledge_status take_binary(const json_t *size_value, const uint8_t **binary, size_t *left,
                                     struct serve_input *input, struct ledge_error *err)
{
    json_int_t size = json_integer_value(size_value);
    if (!json_is_integer(size_value) || size < 0 || (uint64_t)size > *left) {
        return ledge_fail(err, LEDGE_ERR_RANGE,
                          "input %s: binary_data_size is greater than the data in the body",
                          input->name);
    }
    size_t expected = (size_t)input->elements * ledge_dtype_size(input->dtype);
    if (!input->text && (size_t)size != expected) {
        return ledge_fail(err, LEDGE_ERR_SHAPE,
                          "input %s: binary_data_size is %lld, shape and datatype make %zu",
                          input->name, (long long)size, expected);
    }
    input->binary = *binary;
    input->binary_bytes = (size_t)size;
    *binary += size;
    *left -= (size_t)size;
    return LEDGE_OK;
}

static enum ledge_status read_data(const json_t *object, const uint8_t **binary, size_t *left,
                                   struct serve_input *input, struct ledge_error *err)
{
    const json_t *parameters = json_object_get(object, "parameters");
    const json_t *size = json_object_get(parameters, "binary_data_size");
    input->content_type = json_string_value(json_object_get(parameters, "content_type"));
    input->data = json_object_get(object, "data");
    if ((size != NULL) == (input->data != NULL)) {
        return ledge_fail(err, LEDGE_ERR_FORMAT,
                          "input %s: give either \"data\" or parameters.binary_data_size",
                          input->name);
    }
    if (size != NULL) {
        return take_binary(size, binary, left, input, err);
    }
    if (!json_is_array(input->data)) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "input %s: \"data\" must be a list", input->name);
    }
    return LEDGE_OK;
}

static enum ledge_status read_inputs(json_t *json, const uint8_t *binary, size_t left,
                                     struct serve_request *request, struct ledge_error *err)
{
    const json_t *inputs = json_object_get(json, "inputs");
    size_t n = json_array_size(inputs);
    if (n == 0 || n > SERVE_MAX_TENSORS) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "\"inputs\" must be a list of 1 to %d tensors",
                          SERVE_MAX_TENSORS);
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *object = json_array_get(inputs, i);
        struct serve_input *input = &request->inputs[i];
        LEDGE_TRY(read_name(object, "input", (int32_t)i, &input->name, err));
        for (size_t j = 0; j < i; j++) {
            if (strcmp(request->inputs[j].name, input->name) == 0) {
                return ledge_fail(err, LEDGE_ERR_FORMAT, "input %s: given twice", input->name);
            }
        }
        LEDGE_TRY(read_shape(json_object_get(object, "shape"), input, err));
        LEDGE_TRY(read_datatype(object, input, err));
        LEDGE_TRY(read_data(object, &binary, &left, input, err));
    }
    if (left != 0) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "%zu bytes follow the last binary input", left);
    }
    request->n_inputs = (int32_t)n;
    return LEDGE_OK;
}

static enum ledge_status read_wanted(const json_t *outputs, struct serve_request *request,
                                     struct ledge_error *err)
{
    size_t n = json_array_size(outputs);
    if ((outputs != NULL && !json_is_array(outputs)) || n > SERVE_MAX_TENSORS) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "\"outputs\" must be a list of at most %d tensors",
                          SERVE_MAX_TENSORS);
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *object = json_array_get(outputs, i);
        const json_t *parameters = json_object_get(object, "parameters");
        const json_t *classes = json_object_get(parameters, "classification");
        const json_t *binary = json_object_get(parameters, "binary_data");
        struct serve_wanted *wanted = &request->wanted[i];
        LEDGE_TRY(read_name(object, "output", (int32_t)i, &wanted->name, err));
        json_int_t k = json_integer_value(classes);
        if (classes != NULL && (!json_is_integer(classes) || k < 0 || k > SERVE_MAX_CLASSES)) {
            return ledge_fail(err, LEDGE_ERR_RANGE,
                              "output %s: classification must be a whole number of 0 to %d",
                              wanted->name, SERVE_MAX_CLASSES);
        }
        if (binary != NULL && !json_is_boolean(binary)) {
            return ledge_fail(err, LEDGE_ERR_FORMAT, "output %s: binary_data must be true or false",
                              wanted->name);
        }
        wanted->classes = (int32_t)k;
        wanted->binary = binary != NULL ? json_is_true(binary) : request->binary_output;
    }
    request->n_wanted = (int32_t)n;
    return LEDGE_OK;
}

static enum ledge_status read_top(json_t *json, struct serve_request *request,
                                  struct ledge_error *err)
{
    if (!json_is_object(json)) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "the request must be a JSON object");
    }
    const json_t *id = json_object_get(json, "id");
    size_t n = json_string_length(id);
    if (id != NULL &&
        (!json_is_string(id) || n > ID_MAX_BYTES || memchr(json_string_value(id), 0, n) != NULL)) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "\"id\" must be a text of at most %d bytes",
                          ID_MAX_BYTES);
    }
    const json_t *parameters = json_object_get(json, "parameters");
    const json_t *binary = json_object_get(parameters, "binary_data_output");
    if (binary != NULL && !json_is_boolean(binary)) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "binary_data_output must be true or false");
    }
    request->id = json_string_value(id);
    request->binary_output = json_is_true(binary);
    return LEDGE_OK;
}

enum ledge_status serve_request_read(json_t *json, const void *binary, size_t n,
                                     struct serve_request *request, struct ledge_error *err)
{
    *request = (struct serve_request){.body = SERVE_BODY_TENSORS};
    LEDGE_TRY(read_top(json, request, err));
    LEDGE_TRY(read_inputs(json, binary, n, request, err));
    LEDGE_TRY(read_wanted(json_object_get(json, "outputs"), request, err));
    request->json = json_incref(json);
    return LEDGE_OK;
}

/* A whole decimal number of 0 to max, nothing around it. */
static bool read_decimal(const char *text, uint64_t max, uint64_t *value)
{
    uint64_t number = 0;
    if (*text == 0) {
        return false;
    }
    for (; *text != 0; text++) {
        if (*text < '0' || *text > '9') {
            return false;
        }
        uint64_t digit = (uint64_t)(*text - '0');
        if (number > (max - digit) / 10) {
            return false;
        }
        number = number * 10 + digit;
    }
    *value = number;
    return true;
}

static enum ledge_status whole_body(const void *body, size_t n, enum serve_body kind,
                                    const struct serve_headers *headers,
                                    struct serve_request *request, struct ledge_error *err)
{
    uint64_t classes = 0;
    if (headers->classification != NULL &&
        !read_decimal(headers->classification, SERVE_MAX_CLASSES, &classes)) {
        return ledge_fail(err, LEDGE_ERR_RANGE, "classification must be a whole number of 0 to %d",
                          SERVE_MAX_CLASSES);
    }
    *request = (struct serve_request){.body = kind, .n_inputs = 1};
    request->binary_output = kind == SERVE_BODY_RAW;
    request->classes = (int32_t)classes;
    request->inputs[0].name = "body";
    request->inputs[0].binary = body;
    request->inputs[0].binary_bytes = n;
    request->inputs[0].content_type = headers->content_type;
    return LEDGE_OK;
}

enum ledge_status serve_request_parse(const void *body, size_t n,
                                      const struct serve_headers *headers,
                                      struct serve_request *request, struct ledge_error *err)
{
    if (headers->content_type != NULL && strncasecmp(headers->content_type, "image/", 6) == 0) {
        return whole_body(body, n, SERVE_BODY_PICTURE, headers, request, err);
    }
    uint64_t json_bytes = n;
    if (headers->inference_header_length != NULL &&
        !read_decimal(headers->inference_header_length, n, &json_bytes)) {
        return ledge_fail(err, LEDGE_ERR_RANGE,
                          "Inference-Header-Content-Length must be a number of 0 to the body's %zu",
                          n);
    }
    if (headers->inference_header_length != NULL && json_bytes == 0) {
        return whole_body(body, n, SERVE_BODY_RAW, headers, request, err);
    }
    json_t *json = NULL;
    LEDGE_TRY(sys_json_parse(body, (size_t)json_bytes, &json, err));
    const uint8_t *binary = (const uint8_t *)body + json_bytes;
    enum ledge_status status =
        serve_request_read(json, binary, n - (size_t)json_bytes, request, err);
    json_decref(json);
    return status;
}

void serve_request_done(struct serve_request *request)
{
    json_decref(request->json);
    request->json = NULL;
}
