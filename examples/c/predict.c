/* SPDX-License-Identifier: Apache-2.0 */
/* predict.c -- open a model, say what goes in and out, run it once on ones.
 *
 *   predict MODEL        MODEL: .onnx, .tflite or .ledge
 */
#include <ledge/ledge.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TENSORS = 32 };

static void describe(const char *role, const char *name, const struct ledge_tensor *tensor)
{
    printf("%s %s %s [", role, name, ledge_dtype_text(tensor->dtype));
    for (int32_t i = 0; i < tensor->rank; i++) {
        printf("%s%lld", i > 0 ? "x" : "", (long long)tensor->dims[i]);
    }
    printf("]");
}

/* Memory for an input, every element 1 (for f32) or every byte 1. */
static void *ones(const struct ledge_tensor *tensor)
{
    void *data = malloc(tensor->bytes > 0 ? tensor->bytes : 1);
    if (data != NULL && tensor->dtype == LEDGE_F32) {
        for (size_t i = 0; i < tensor->bytes / sizeof(float); i++) {
            ((float *)data)[i] = 1.0f;
        }
    } else if (data != NULL) {
        memset(data, 1, tensor->bytes);
    }
    return data;
}

static enum ledge_status run(struct ledge_model *model, struct ledge_session *session,
                             struct ledge_error *err)
{
    struct ledge_tensor in[MAX_TENSORS], out[MAX_TENSORS];
    struct ledge_tensor_info info;
    int32_t n_in = ledge_model_n_inputs(model), n_out = ledge_model_n_outputs(model);
    if (n_in > MAX_TENSORS || n_out > MAX_TENSORS) {
        *err = (struct ledge_error){LEDGE_ERR_UNSUPPORTED, "more tensors than this example takes"};
        return err->status;
    }
    for (int32_t i = 0; i < n_in; i++) {
        if (ledge_session_input(session, i, &in[i]) == LEDGE_OK &&
            ledge_model_input(model, i, &info) == LEDGE_OK) {
            describe("input", info.name, &in[i]);
            printf("\n");
        }
        in[i].data = ones(&in[i]);
    }
    enum ledge_status status = ledge_session_run(session, in, n_in, out, n_out, err);
    for (int32_t i = 0; status == LEDGE_OK && i < n_out; i++) {
        if (ledge_model_output(model, i, &info) == LEDGE_OK) {
            describe("output", info.name, &out[i]);
        }
        for (size_t k = 0; out[i].dtype == LEDGE_F32 && k < out[i].bytes / 4 && k < 4; k++) {
            printf(" %g", (double)((const float *)out[i].data)[k]);
        }
        printf("\n");
    }
    for (int32_t i = 0; i < n_in; i++) {
        free(in[i].data);
    }
    return status;
}

int main(int argc, char **argv)
{
    struct ledge_model *model = NULL;
    struct ledge_session *session = NULL;
    struct ledge_error err;
    if (argc != 2) {
        fprintf(stderr, "usage: predict MODEL\n");
        return 2;
    }
    enum ledge_status status = ledge_model_open(argv[1], NULL, &model, &err);
    if (status == LEDGE_OK) {
        status = ledge_session_open(model, NULL, &session, &err);
    }
    if (status == LEDGE_OK) {
        status = run(model, session, &err);
    }
    if (status != LEDGE_OK) {
        fprintf(stderr, "predict: %s\n", err.text);
    }
    ledge_session_close(session);
    ledge_model_close(model);
    return status == LEDGE_OK ? 0 : 1;
}
