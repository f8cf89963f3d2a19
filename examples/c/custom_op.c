/* SPDX-License-Identifier: Apache-2.0 */
/* custom_op.c -- run a model with an operator that libledge does not know: com.example.Scale, which
 * multiplies by its attribute "factor".
 *
 *   custom_op MODEL        a model of one f32 input; prints the first elements of its first output
 */
#include <ledge/ledge.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct scale {
    float factor;
};

/* The output looks like the input. */
static enum ledge_status infer(const struct ledge_custom_call *call)
{
    if (call->n_inputs != 1 || call->inputs[0].dtype != LEDGE_F32) {
        return ledge_custom_fail(call, LEDGE_ERR_DTYPE, "takes one f32 input");
    }
    call->outputs[0].dtype = LEDGE_F32;
    call->outputs[0].rank = call->inputs[0].rank;
    memcpy(call->outputs[0].dims, call->inputs[0].dims, sizeof call->inputs[0].dims);
    return LEDGE_OK;
}

/* Once for each node: attributes are read here, not in every run. */
static enum ledge_status prepare(const struct ledge_custom_call *call, size_t *scratch_bytes)
{
    struct scale *scale = call->state;
    scale->factor = ledge_custom_float(call->node, "factor", 1.0f);
    *scratch_bytes = 0;
    return LEDGE_OK;
}

static enum ledge_status run(const struct ledge_custom_call *call)
{
    const struct scale *scale = call->state;
    const float *x = call->inputs[0].data;
    float *y = call->outputs[0].data;
    for (size_t i = 0; i < call->inputs[0].bytes / sizeof *x; i++) {
        y[i] = scale->factor * x[i];
    }
    return LEDGE_OK;
}

static enum ledge_status predict(struct ledge_session *session, struct ledge_error *err)
{
    struct ledge_tensor in, out;
    enum ledge_status status = ledge_session_input(session, 0, &in);
    float *x = status == LEDGE_OK ? malloc(in.bytes) : NULL;
    for (size_t i = 0; x != NULL && i < in.bytes / sizeof *x; i++) {
        x[i] = (float)i;
    }
    in.data = x;
    status = ledge_session_run(session, &in, 1, &out, 1, err);
    for (size_t i = 0; status == LEDGE_OK && i < out.bytes / sizeof *x && i < 4; i++) {
        printf("%g\n", (double)((const float *)out.data)[i]);
    }
    free(x);
    return status;
}

int main(int argc, char **argv)
{
    const struct ledge_custom_op scale = {.domain = "com.example",
                                          .name = "Scale",
                                          .state_bytes = sizeof(struct scale),
                                          .infer = infer,
                                          .prepare = prepare,
                                          .run = run};
    const struct ledge_model_options options = {.custom_ops = &scale, .n_custom_ops = 1};
    struct ledge_model *model = NULL;
    struct ledge_session *session = NULL;
    struct ledge_error err;
    if (argc != 2) {
        fprintf(stderr, "usage: custom_op MODEL\n");
        return 2;
    }
    enum ledge_status status = ledge_model_open(argv[1], &options, &model, &err);
    if (status == LEDGE_OK) {
        status = ledge_session_open(model, NULL, &session, &err);
    }
    if (status == LEDGE_OK) {
        status = predict(session, &err);
    }
    if (status != LEDGE_OK) {
        fprintf(stderr, "custom_op: %s\n", err.text);
    }
    ledge_session_close(session);
    ledge_model_close(model);
    return status == LEDGE_OK ? 0 : 1;
}
