/* SPDX-License-Identifier: Apache-2.0 */
/* oip.c -- fuzz the bodies that ledge-serve takes: request -> tensors -> answer.
 *
 * Byte 0 chooses the headers: bit 0 Inference-Header-Content-Length (bytes 1 and 2, little-endian,
 * say how much is JSON), bit 1 a picture, bit 2 the session has a free dimension 0, bit 6
 * ?classification=3. The rest is the body. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/oip.h"

enum { MAX_BYTES = 1 << 20 };

static void fill(const struct serve_input *input, bool free_rows, uint8_t *memory)
{
    size_t size = ledge_dtype_size(input->dtype);
    struct ledge_tensor tensor = {.data = memory, .dtype = input->dtype, .rank = input->rank};
    int64_t rows = 0, n = 1;
    for (int32_t i = 0; i < input->rank; i++) {
        tensor.dims[i] = i == 0 && free_rows ? 1 : input->dims[i];
        n *= tensor.dims[i];
    }
    if (n > MAX_BYTES / 8) {
        return;
    }
    tensor.bytes = (size_t)n * size;
    if (serve_input_rows(input, &tensor, free_rows, &rows, NULL) != LEDGE_OK) {
        return;
    }
    for (int64_t row = 0; row < rows && row < 4; row++) {
        if (serve_input_fill(input, row, &tensor, NULL) != LEDGE_OK) {
            return;
        }
    }
    struct serve_output outputs[3] = {
        {.name = input->name, .tensor = tensor},
        {.name = "classes", .tensor = tensor, .classes = 3},
        {.name = "binary", .tensor = tensor, .classes = 2, .binary = true},
    };
    struct serve_answer answer = {.model = "m",
                                  .version = "1",
                                  .id = input->name,
                                  .labels = input->name,
                                  .outputs = outputs,
                                  .n_outputs = 3};
    struct ledge_buf out = LEDGE_BUF_INIT(4 * MAX_BYTES);
    size_t json_bytes = 0;
    if (serve_answer_write(&answer, &out, &json_bytes, NULL) == LEDGE_OK) {
        json_t *json = json_loadb(out.data, json_bytes, 0, NULL);
        if (json == NULL) {
            abort(); /* what we write must be JSON, whatever the names hold */
        }
        json_decref(json);
    }
    ledge_buf_done(&out);
}

static volatile uint8_t sink; /* makes the reads happen */

static void read_text(const struct serve_input *input)
{
    for (int64_t i = 0; i < input->elements && i < 4; i++) {
        struct ledge_buf buf = LEDGE_BUF_INIT(MAX_BYTES);
        const uint8_t *bytes = NULL;
        size_t n = 0;
        if (serve_input_bytes(input, i, &buf, &bytes, &n, NULL) == LEDGE_OK) {
            for (size_t k = 0; k < n; k++) {
                sink = bytes[k];
            }
        }
        ledge_buf_done(&buf);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct serve_request request;
    if (size < 3) {
        return 0;
    }
    char length[16];
    snprintf(length, sizeof(length), "%d", data[1] | data[2] << 8);
    struct serve_headers headers = {
        .content_type = (data[0] & 2) != 0 ? "image/png" : "application/json",
        .inference_header_length = (data[0] & 1) != 0 ? length : NULL,
        .classification = (data[0] & 64) != 0 ? "3" : NULL,
    };
    if (serve_request_parse(data + 3, size - 3, &headers, &request, NULL) != LEDGE_OK) {
        return 0;
    }
    uint8_t *memory = malloc(MAX_BYTES);
    for (int32_t i = 0; memory != NULL && i < request.n_inputs; i++) {
        const struct serve_input *input = &request.inputs[i];
        if (request.body == SERVE_BODY_TENSORS && input->text) {
            read_text(input);
        } else if (request.body == SERVE_BODY_TENSORS) {
            fill(input, (data[0] & 4) != 0 && input->rank > 0, memory);
        }
    }
    free(memory);
    serve_request_done(&request);
    return 0;
}
