/* SPDX-License-Identifier: Apache-2.0 */
/* steps.c -- run a model step by step on raw bytes, for a comparison with another engine.
 *
 * Usage: steps MODEL STEPS < inputs > outputs
 * Each step reads the bytes of all inputs in order and writes those of all outputs. The session is
 * reset before the first step; what the model keeps goes from step to step.
 */
#include <stdio.h>
#include <stdlib.h>

#include "ledge/ledge.h"

enum { MAX_TENSORS = 16 };

struct walk {
    struct ledge_model *model;
    struct ledge_session *session;
    struct ledge_tensor inputs[MAX_TENSORS];
    struct ledge_tensor outputs[MAX_TENSORS];
    int32_t n_in, n_out;
};

static enum ledge_status set_up(struct walk *w, const char *path, struct ledge_error *err)
{
    enum ledge_status status = ledge_model_open(path, NULL, &w->model, err);
    if (status != LEDGE_OK) {
        return status;
    }
    status = ledge_session_open(w->model, NULL, &w->session, err);
    w->n_in = ledge_model_n_inputs(w->model);
    w->n_out = ledge_model_n_outputs(w->model);
    for (int32_t i = 0; status == LEDGE_OK && i < w->n_in && i < MAX_TENSORS; i++) {
        status = ledge_session_input(w->session, i, &w->inputs[i]);
        w->inputs[i].data = malloc(w->inputs[i].bytes + 1);
        if (w->inputs[i].data == NULL) {
            abort();
        }
    }
    return status;
}

static enum ledge_status step(struct walk *w, struct ledge_error *err)
{
    for (int32_t i = 0; i < w->n_in; i++) {
        if (fread(w->inputs[i].data, 1, w->inputs[i].bytes, stdin) != w->inputs[i].bytes) {
            return LEDGE_ERR_IO;
        }
    }
    enum ledge_status status =
        ledge_session_run(w->session, w->inputs, w->n_in, w->outputs, w->n_out, err);
    for (int32_t i = 0; status == LEDGE_OK && i < w->n_out; i++) {
        if (fwrite(w->outputs[i].data, 1, w->outputs[i].bytes, stdout) != w->outputs[i].bytes) {
            return LEDGE_ERR_IO;
        }
    }
    return status;
}

int main(int argc, char **argv)
{
    struct walk w = {.model = NULL};
    struct ledge_error err = {.status = LEDGE_OK};
    if (argc != 3) {
        return 2;
    }
    enum ledge_status status = set_up(&w, argv[1], &err);
    if (status == LEDGE_OK && (w.n_in > MAX_TENSORS || w.n_out > MAX_TENSORS)) {
        status = LEDGE_ERR_RANGE;
    }
    if (status == LEDGE_OK) {
        ledge_session_reset(w.session);
    }
    for (long i = strtol(argv[2], NULL, 10); i > 0 && status == LEDGE_OK; i--) {
        status = step(&w, &err);
    }
    if (status != LEDGE_OK) {
        (void)fprintf(stderr, "steps: %s: status %d: %s\n", argv[1], (int)status, err.text);
    }
    for (int32_t i = 0; i < w.n_in && i < MAX_TENSORS; i++) {
        free(w.inputs[i].data);
    }
    ledge_session_close(w.session);
    ledge_model_close(w.model);
    return status == LEDGE_OK ? 0 : 1;
}
