/* SPDX-License-Identifier: Apache-2.0 */
/* oip_input.c -- values of a request's input -> the session's input tensor. */
#include <string.h>

#include "base/status.h"
#include "serve/number.h"
#include "serve/oip.h"
#include "sys/tls.h"

static enum ledge_status wrong_shape(const struct serve_input *input,
                                     const struct ledge_tensor *tensor, bool free_rows,
                                     struct ledge_error *err)
{
    char want[128] = "";
    size_t at = 0;
    for (int32_t i = 0; i < tensor->rank; i++) {
        struct ledge_error text;
        if (i == 0 && free_rows) {
            ledge_fail(&text, LEDGE_OK, "n");
        } else {
            ledge_fail(&text, LEDGE_OK, "%s%lld", i > 0 ? ", " : "", (long long)tensor->dims[i]);
        }
        size_t n = strlen(text.text);
        if (at + n < sizeof(want)) {
            memcpy(want + at, text.text, n + 1);
            at += n;
        }
    }
    return ledge_fail(err, LEDGE_ERR_SHAPE, "input %s: the model wants shape [%s]", input->name,
                      want);
}

enum ledge_status serve_input_rows(const struct serve_input *input,
                                   const struct ledge_tensor *tensor, bool free_rows, int64_t *rows,
                                   struct ledge_error *err)
{
    if (input->dtype != tensor->dtype) {
        return ledge_fail(err, LEDGE_ERR_DTYPE, "input %s: datatype is %s, the model wants %s",
                          input->name, input->text ? "BYTES" : ledge_dtype_oip(input->dtype),
                          ledge_dtype_oip(tensor->dtype));
    }
    bool fits = input->rank == tensor->rank;
    for (int32_t i = 0; fits && i < tensor->rank; i++) {
        bool row_dim = i == 0 && free_rows;
        fits = row_dim ? input->dims[0] >= 1 && tensor->dims[0] == 1
                       : input->dims[i] == tensor->dims[i];
    }
    if (!fits) {
        return wrong_shape(input, tensor, free_rows, err);
    }
    *rows = free_rows && tensor->rank > 0 ? input->dims[0] : 1;
    return LEDGE_OK;
}

struct fill {
    const struct serve_input *input;
    void *array;
    int64_t at; /* next element of array */
};

static enum ledge_status fill_list(struct fill *fill, const json_t *list, size_t first, size_t n,
                                   struct ledge_error *err)
{
    for (size_t i = first; i < first + n; i++) {
        const json_t *value = json_array_get(list, i);
        if (!serve_number_store(value, fill->input->dtype, fill->array, fill->at)) {
            return ledge_fail(err, LEDGE_ERR_RANGE, "input %s: element %lld is no %s",
                              fill->input->name, (long long)fill->at,
                              ledge_dtype_oip(fill->input->dtype));
        }
        fill->at++;
    }
    return LEDGE_OK;
}

/* Nested lists must have the shape exactly; depth is bounded by the rank. */
static enum ledge_status fill_nested(struct fill *fill, const json_t *list, const int64_t *dims,
                                     int32_t rank, struct ledge_error *err)
{
    if (!json_is_array(list) || (int64_t)json_array_size(list) != dims[0]) {
        return ledge_fail(err, LEDGE_ERR_SHAPE, "input %s: nested \"data\" is not of its shape",
                          fill->input->name);
    }
    if (rank == 1) {
        return fill_list(fill, list, 0, (size_t)dims[0], err);
    }
    for (int64_t i = 0; i < dims[0]; i++) {
        LEDGE_TRY(fill_nested(fill, json_array_get(list, (size_t)i), dims + 1, rank - 1, err));
    }
    return LEDGE_OK;
}

static enum ledge_status fill_json(struct fill *fill, int64_t row, int64_t n,
                                   const struct ledge_tensor *tensor, struct ledge_error *err)
{
    const struct serve_input *input = fill->input;
    const json_t *data = input->data;
    bool nested = json_is_array(json_array_get(data, 0));
    if (!nested) {
        if ((int64_t)json_array_size(data) != input->elements) {
            return ledge_fail(err, LEDGE_ERR_SHAPE,
                              "input %s: \"data\" has %zu elements, the shape makes %lld",
                              input->name, json_array_size(data), (long long)input->elements);
        }
        return fill_list(fill, data, (size_t)(row * n), (size_t)n, err);
    }
    if ((int64_t)json_array_size(data) != input->dims[0] || input->rank < 2) {
        return ledge_fail(err, LEDGE_ERR_SHAPE, "input %s: nested \"data\" is not of its shape",
                          input->name);
    }
    /* A session's row holds one or (without a free dimension) all of the outermost lists. */
    int64_t lists = tensor->dims[0];
    for (int64_t i = row * lists; i < (row + 1) * lists; i++) {
        LEDGE_TRY(fill_nested(fill, json_array_get(data, (size_t)i), input->dims + 1,
                              input->rank - 1, err));
    }
    return LEDGE_OK;
}

enum ledge_status serve_input_fill(const struct serve_input *input, int64_t row,
                                   const struct ledge_tensor *tensor, struct ledge_error *err)
{
    if (input->binary != NULL) {
        memcpy(tensor->data, input->binary + (size_t)row * tensor->bytes, tensor->bytes);
        return LEDGE_OK;
    }
    struct fill fill = {.input = input, .array = tensor->data};
    int64_t n = (int64_t)(tensor->bytes / ledge_dtype_size(tensor->dtype));
    return fill_json(&fill, row, n, tensor, err);
}

static enum ledge_status json_bytes(const struct serve_input *input, int64_t index,
                                    struct ledge_buf *buf, const uint8_t **bytes, size_t *n,
                                    struct ledge_error *err)
{
    const json_t *value = json_array_get(input->data, (size_t)index);
    if ((int64_t)json_array_size(input->data) != input->elements || !json_is_string(value)) {
        return ledge_fail(err, LEDGE_ERR_FORMAT,
                          "input %s: \"data\" must hold one base64 text per element", input->name);
    }
    if (sys_base64_decode(json_string_value(value), json_string_length(value), buf, err) !=
        LEDGE_OK) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "input %s: element %lld is not base64",
                          input->name, (long long)index);
    }
    *bytes = (const uint8_t *)buf->data;
    *n = buf->len;
    return LEDGE_OK;
}

enum ledge_status serve_input_bytes(const struct serve_input *input, int64_t index,
                                    struct ledge_buf *buf, const uint8_t **bytes, size_t *n,
                                    struct ledge_error *err)
{
    if (index < 0 || index >= input->elements) {
        return ledge_fail(err, LEDGE_ERR_RANGE, "input %s: has no element %lld", input->name,
                          (long long)index);
    }
    if (input->data != NULL) {
        return json_bytes(input, index, buf, bytes, n, err);
    }
    const uint8_t *at = input->binary;
    size_t left = input->binary_bytes;
    for (int64_t i = 0; i <= index; i++) {
        uint32_t size = 0;
        if (left >= 4) {
            size = (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
                   (uint32_t)at[3] << 24;
        }
        if (left < 4 || size > left - 4) {
            return ledge_fail(err, LEDGE_ERR_FORMAT,
                              "input %s: element %lld runs past the binary data", input->name,
                              (long long)i);
        }
        *bytes = at + 4;
        *n = size;
        at += 4 + size;
        left -= 4 + size;
    }
    return LEDGE_OK;
}
