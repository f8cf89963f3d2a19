/* SPDX-License-Identifier: Apache-2.0 */
/* infer.c -- request -> lane's inputs -> session -> answer, row by row.
 *
 * A session is opened for one row. A request with n rows (free dimension 0) is n runs, whose
 * outputs are put one after another. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/checked.h"
#include "base/status.h"
#include "serve/version.h"
#include "sys/image.h"

enum { MAX_COLLECTED = 256 * 1024 * 1024, MAX_PICTURE_ROWS = 1024 };

struct inference {
    struct serve_version *version;
    struct serve_lane *lane;
    const struct serve_request *request;
    struct serve_times *times;
    struct serve_input whole;                            /* a raw or picture body as an input */
    const struct serve_input *inputs[SERVE_MAX_TENSORS]; /* in the model's order */
    int64_t rows;
    uint8_t *collected[SERVE_MAX_TENSORS]; /* OWNED; outputs of all rows when rows > 1 */
};

/* -- which input of the request is which of the model -------------------------------------------
 */

static enum ledge_status same_rows(struct inference *inference, int32_t index, int64_t rows,
                                   struct ledge_error *err)
{
    if (index > 0 && rows != inference->rows) {
        return ledge_fail(err, LEDGE_ERR_SHAPE, "input %s: has %lld rows, the first input %lld",
                          inference->inputs[index]->name, (long long)rows,
                          (long long)inference->rows);
    }
    inference->rows = rows;
    return LEDGE_OK;
}

static bool is_picture(const struct serve_input *input)
{
    return input->content_type != NULL && strncasecmp(input->content_type, "image/", 6) == 0;
}

static enum ledge_status check_picture(struct inference *inference, int32_t index, int64_t *rows,
                                       struct ledge_error *err)
{
    const struct serve_input *input = inference->inputs[index];
    if (!is_picture(input)) {
        return ledge_fail(err, LEDGE_ERR_DTYPE,
                          "input %s: BYTES need parameters.content_type image/jpeg or image/png",
                          input->name);
    }
    if (index != 0 || !inference->version->takes_picture) {
        return ledge_fail(err, LEDGE_ERR_DTYPE, "input %s: the model takes no picture here",
                          input->name);
    }
    int64_t most = inference->version->free_rows ? MAX_PICTURE_ROWS : 1;
    if (input->elements < 1 || input->elements > most) {
        return ledge_fail(err, LEDGE_ERR_SHAPE,
                          "input %s: %lld pictures, the model takes 1 to %lld", input->name,
                          (long long)input->elements, (long long)most);
    }
    *rows = input->elements;
    return LEDGE_OK;
}

static enum ledge_status match_input(struct inference *inference, int32_t index,
                                     struct ledge_error *err)
{
    const struct serve_version *version = inference->version;
    const struct serve_request *request = inference->request;
    const char *name = version->inputs[index].name;
    inference->inputs[index] = NULL;
    for (int32_t i = 0; i < request->n_inputs; i++) {
        if (strcmp(request->inputs[i].name, name) == 0) {
            inference->inputs[index] = &request->inputs[i];
        }
    }
    if (inference->inputs[index] == NULL) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "input %s: is missing", name);
    }
    int64_t rows = 1;
    if (inference->inputs[index]->text) {
        LEDGE_TRY(check_picture(inference, index, &rows, err));
    } else {
        LEDGE_TRY(serve_input_rows(inference->inputs[index], &inference->lane->inputs[index],
                                   version->free_rows, &rows, err));
    }
    return same_rows(inference, index, rows, err);
}

static enum ledge_status unknown_input(const struct inference *inference, struct ledge_error *err)
{
    const struct serve_version *version = inference->version;
    for (int32_t i = 0; i < inference->request->n_inputs; i++) {
        bool known = false;
        for (int32_t k = 0; k < version->n_inputs; k++) {
            known =
                known || strcmp(inference->request->inputs[i].name, version->inputs[k].name) == 0;
        }
        if (!known) {
            return ledge_fail(err, LEDGE_ERR_FORMAT, "input %s: the model has no such input",
                              inference->request->inputs[i].name);
        }
    }
    return LEDGE_OK;
}

/* A body that is one tensor or one picture, for the model's only input. */
static enum ledge_status match_whole(struct inference *inference, struct ledge_error *err)
{
    const struct serve_version *version = inference->version;
    const struct ledge_tensor *tensor = &inference->lane->inputs[0];
    struct serve_input *whole = &inference->whole;
    *whole = inference->request->inputs[0];
    inference->inputs[0] = whole;
    inference->rows = 1;
    if (version->n_inputs != 1) {
        return ledge_fail(err, LEDGE_ERR_SHAPE, "the model has %d inputs: name them in JSON",
                          (int)version->n_inputs);
    }
    whole->name = version->inputs[0].name;
    if (inference->request->body == SERVE_BODY_PICTURE) {
        whole->elements = 1;
        return check_picture(inference, 0, &inference->rows, err);
    }
    size_t rows = tensor->bytes > 0 ? whole->binary_bytes / tensor->bytes : 0;
    if (rows == 0 || rows * tensor->bytes != whole->binary_bytes ||
        (rows > 1 && !version->free_rows)) {
        return ledge_fail(err, LEDGE_ERR_SHAPE, "input %s: the body has %zu bytes, a row has %zu",
                          whole->name, whole->binary_bytes, tensor->bytes);
    }
    inference->rows = (int64_t)rows;
    return LEDGE_OK;
}

static enum ledge_status match_inputs(struct inference *inference, struct ledge_error *err)
{
    if (inference->request->body != SERVE_BODY_TENSORS) {
        return match_whole(inference, err);
    }
    LEDGE_TRY(unknown_input(inference, err));
    for (int32_t i = 0; i < inference->version->n_inputs; i++) {
        LEDGE_TRY(match_input(inference, i, err));
    }
    return LEDGE_OK;
}

/* -- one row ------------------------------------------------------------------------------------
 */

static enum ledge_status fill_picture(struct inference *inference, const struct serve_input *input,
                                      int64_t row, struct ledge_error *err)
{
    struct ledge_tensor *tensor = &inference->lane->inputs[0];
    struct ledge_buf decoded = LEDGE_BUF_INIT(SYS_IMAGE_MAX_FILE);
    struct sys_image image = {0};
    const uint8_t *bytes = input->binary;
    size_t n = input->binary_bytes;
    enum ledge_status status = LEDGE_OK;
    if (input->text) {
        status = serve_input_bytes(input, row, &decoded, &bytes, &n, err);
    }
    if (status == LEDGE_OK) {
        status = sys_image_decode(bytes, n, inference->version->preprocess.channels, &image, err);
    }
    if (status == LEDGE_OK) {
        status =
            data_preprocess_run(&inference->version->preprocess, &image, tensor, tensor->data, err);
    }
    sys_image_done(&image);
    ledge_buf_done(&decoded);
    return status;
}

static enum ledge_status fill_row(struct inference *inference, int64_t row, struct ledge_error *err)
{
    bool picture = inference->request->body == SERVE_BODY_PICTURE;
    for (int32_t i = 0; i < inference->version->n_inputs; i++) {
        const struct serve_input *input = inference->inputs[i];
        if (picture || input->text) {
            LEDGE_TRY(fill_picture(inference, input, row, err));
        } else {
            LEDGE_TRY(serve_input_fill(input, row, &inference->lane->inputs[i], err));
        }
    }
    return LEDGE_OK;
}

static enum ledge_status collect(struct inference *inference, int64_t row, struct ledge_error *err)
{
    for (int32_t i = 0; inference->rows > 1 && i < inference->version->n_outputs; i++) {
        const struct ledge_tensor *output = &inference->lane->outputs[i];
        size_t bytes = 0;
        if (row == 0) {
            if (!ledge_mul_size(output->bytes, (size_t)inference->rows, &bytes) ||
                bytes > MAX_COLLECTED) {
                return ledge_fail(err, LEDGE_ERR_RANGE, "output %s: %lld rows are too many",
                                  inference->version->outputs[i].name, (long long)inference->rows);
            }
            inference->collected[i] = malloc(bytes > 0 ? bytes : 1);
            if (inference->collected[i] == NULL) {
                return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for %zu bytes of output", bytes);
            }
        }
        memcpy(inference->collected[i] + (size_t)row * output->bytes, output->data, output->bytes);
    }
    return LEDGE_OK;
}

static enum ledge_status run_rows(struct inference *inference, struct ledge_error *err)
{
    struct serve_lane *lane = inference->lane;
    for (int64_t row = 0; row < inference->rows; row++) {
        int64_t start = serve_now_ns();
        LEDGE_TRY(fill_row(inference, row, err));
        int64_t filled = serve_now_ns();
        inference->times->pre_ns += filled - start;
        LEDGE_TRY(ledge_session_run(lane->session, lane->inputs, inference->version->n_inputs,
                                    lane->outputs, inference->version->n_outputs, err));
        inference->times->compute_ns += serve_now_ns() - filled;
        LEDGE_TRY(collect(inference, row, err));
    }
    return LEDGE_OK;
}

/* -- answer -------------------------------------------------------------------------------------
 */

static struct ledge_tensor output_of(const struct inference *inference, int32_t index)
{
    struct ledge_tensor tensor = inference->lane->outputs[index];
    if (inference->rows > 1) {
        tensor.data = inference->collected[index];
        tensor.bytes *= (size_t)inference->rows;
        tensor.dims[0] = inference->rows;
    }
    return tensor;
}

static int32_t find_output(const struct serve_version *version, const char *name)
{
    for (int32_t i = 0; i < version->n_outputs; i++) {
        if (strcmp(version->outputs[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

static enum ledge_status check_wanted(const struct inference *inference, struct ledge_error *err)
{
    for (int32_t i = 0; i < inference->request->n_wanted; i++) {
        const char *name = inference->request->wanted[i].name;
        if (find_output(inference->version, name) < 0) {
            return ledge_fail(err, LEDGE_ERR_FORMAT, "output %s: the model has no such output",
                              name);
        }
    }
    return LEDGE_OK;
}

static enum ledge_status write_answer(const struct inference *inference, struct ledge_buf *out,
                                      size_t *json_bytes, struct ledge_error *err)
{
    const struct serve_version *version = inference->version;
    const struct serve_request *request = inference->request;
    struct serve_output outputs[SERVE_MAX_TENSORS];
    int32_t n = request->n_wanted > 0 ? request->n_wanted : version->n_outputs;
    for (int32_t i = 0; i < n; i++) {
        int32_t index = i;
        outputs[i].binary = request->binary_output;
        outputs[i].classes = request->classes;
        if (request->n_wanted > 0) {
            index = find_output(version, request->wanted[i].name);
            outputs[i].binary = request->wanted[i].binary;
            outputs[i].classes = request->wanted[i].classes;
        }
        outputs[i].name = version->outputs[index].name;
        outputs[i].tensor = output_of(inference, index);
    }
    struct serve_answer answer = {
        .model = version->name,
        .version = version->version,
        .id = request->id,
        .labels = version->labels,
        .outputs = outputs,
        .n_outputs = n,
    };
    return serve_answer_write(&answer, out, json_bytes, err);
}

static enum ledge_status infer(struct inference *inference, struct ledge_buf *out,
                               size_t *json_bytes, struct ledge_error *err)
{
    LEDGE_TRY(match_inputs(inference, err));
    LEDGE_TRY(check_wanted(inference, err));
    LEDGE_TRY(run_rows(inference, err));
    int64_t start = serve_now_ns();
    LEDGE_TRY(write_answer(inference, out, json_bytes, err));
    inference->times->post_ns += serve_now_ns() - start;
    return LEDGE_OK;
}

enum ledge_status serve_version_infer(struct serve_version *version, int32_t lane,
                                      const struct serve_request *request, struct ledge_buf *out,
                                      size_t *json_bytes, struct serve_times *times,
                                      struct ledge_error *err)
{
    struct inference inference = {
        .version = version,
        .lane = &version->lanes[lane],
        .request = request,
        .times = times,
    };
    enum ledge_status status = infer(&inference, out, json_bytes, err);
    for (int32_t i = 0; i < version->n_outputs; i++) {
        free(inference.collected[i]);
    }
    return status;
}
