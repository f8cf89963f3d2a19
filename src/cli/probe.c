/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/probe.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "base/status.h"
#include "ledge/ledge.h"
#include "sys/json.h"

enum { MAX_TENSORS = 32, MAX_ELEMENTS = 4 << 20 };

/* Relative to the greatest output: rungs of one machine family differ by rounding only. */
static const double TOLERANCE = 1e-3;

struct probe {
    struct ledge_model *model;
    struct ledge_session *session;
    struct ledge_tensor inputs[MAX_TENSORS];
    struct ledge_tensor outputs[MAX_TENSORS];
    int32_t n_inputs, n_outputs;
};

static void probe_done(struct probe *probe)
{
    for (int32_t i = 0; i < probe->n_inputs; i++) {
        free(probe->inputs[i].data);
    }
    ledge_session_close(probe->session);
    ledge_model_close(probe->model);
}

/* Bytes 0 .. 255 from a 32-bit linear congruential generator (Numerical Recipes, 1992). */
static uint8_t next_byte(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (uint8_t)(*state >> 24);
}

/* Floats k/256 in [0, 1): short as text and exact when read back. */
static enum ledge_status fill(struct ledge_tensor *tensor, uint32_t *state, struct ledge_error *err)
{
    size_t n = tensor->bytes / ledge_dtype_size(tensor->dtype);
    uint8_t *bytes =
        n <= MAX_ELEMENTS ? calloc(n > 0 ? n : 1, ledge_dtype_size(tensor->dtype)) : NULL;
    if (bytes == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "probe: an input of %zu elements", n);
    }
    tensor->data = bytes;
    for (size_t i = 0; i < n; i++) {
        uint8_t value = next_byte(state);
        switch (tensor->dtype) {
        case LEDGE_F32:
            ((float *)tensor->data)[i] = (float)value / 256.0f;
            break;
        case LEDGE_U8:
        case LEDGE_I8:
            bytes[i] = value;
            break;
        case LEDGE_I32:
            ((int32_t *)tensor->data)[i] = value & 1;
            break;
        case LEDGE_I64:
            ((int64_t *)tensor->data)[i] = value & 1;
            break;
        default:
            return ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "probe: an input of type %s",
                              ledge_dtype_text(tensor->dtype));
        }
    }
    return LEDGE_OK;
}

static enum ledge_status run_once(struct probe *probe, const char *path, struct ledge_error *err)
{
    uint32_t state = 1;
    LEDGE_TRY(ledge_model_open(path, NULL, &probe->model, err));
    LEDGE_TRY(ledge_session_open(probe->model, NULL, &probe->session, err));
    int32_t n_inputs = ledge_model_n_inputs(probe->model);
    probe->n_outputs = ledge_model_n_outputs(probe->model);
    if (n_inputs > MAX_TENSORS || probe->n_outputs > MAX_TENSORS) {
        return ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "probe: %d inputs, %d outputs", n_inputs,
                          probe->n_outputs);
    }
    for (int32_t i = 0; i < n_inputs; i++) {
        LEDGE_TRY(ledge_session_input(probe->session, i, &probe->inputs[i]));
        probe->n_inputs++;
        LEDGE_TRY(fill(&probe->inputs[i], &state, err));
    }
    return ledge_session_run(probe->session, probe->inputs, n_inputs, probe->outputs,
                             probe->n_outputs, err);
}

static json_t *element(const struct ledge_tensor *tensor, size_t i)
{
    switch (tensor->dtype) {
    case LEDGE_F32:
        return json_real((double)((const float *)tensor->data)[i]);
    case LEDGE_U8:
    case LEDGE_BOOL:
        return json_integer(((const uint8_t *)tensor->data)[i]);
    case LEDGE_I8:
        return json_integer(((const int8_t *)tensor->data)[i]);
    case LEDGE_I32:
        return json_integer(((const int32_t *)tensor->data)[i]);
    case LEDGE_I64:
        return json_integer(((const int64_t *)tensor->data)[i]);
    default:
        return NULL;
    }
}

/* NULL when the type cannot be written. */
static json_t *describe(const char *name, const struct ledge_tensor *tensor)
{
    json_t *shape = json_array();
    json_t *data = json_array();
    size_t n = tensor->bytes / ledge_dtype_size(tensor->dtype);
    for (int32_t i = 0; i < tensor->rank; i++) {
        json_array_append_new(shape, json_integer(tensor->dims[i]));
    }
    for (size_t i = 0; i < n; i++) {
        if (json_array_append_new(data, element(tensor, i)) != 0) {
            json_decref(shape);
            json_decref(data);
            return NULL;
        }
    }
    return json_pack("{s:s, s:s, s:o, s:o}", "name", name, "datatype",
                     ledge_dtype_oip(tensor->dtype), "shape", shape, "data", data);
}

static enum ledge_status describe_all(const struct probe *probe, json_t *inputs, json_t *outputs,
                                      struct ledge_error *err)
{
    struct ledge_tensor_info info;
    for (int32_t i = 0; i < probe->n_inputs; i++) {
        LEDGE_TRY(ledge_model_input(probe->model, i, &info));
        json_array_append_new(inputs, describe(info.name, &probe->inputs[i]));
    }
    for (int32_t i = 0; i < probe->n_outputs; i++) {
        LEDGE_TRY(ledge_model_output(probe->model, i, &info));
        if (json_array_append_new(outputs, describe(info.name, &probe->outputs[i])) != 0) {
            return ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "probe: output %s of type %s", info.name,
                              ledge_dtype_text(info.dtype));
        }
    }
    return LEDGE_OK;
}

enum ledge_status cli_probe_make(const char *model_path, struct ledge_buf *out,
                                 struct ledge_error *err)
{
    LEDGE_CLEANUP(probe_done) struct probe probe = {.model = NULL};
    LEDGE_CLEANUP(sys_json_free)
    json_t *file = json_pack("{s:[], s:[], s:f}", "inputs", "outputs", "tolerance", TOLERANCE);
    LEDGE_TRY(run_once(&probe, model_path, err));
    LEDGE_TRY(describe_all(&probe, json_object_get(file, "inputs"),
                           json_object_get(file, "outputs"), err));
    return sys_json_write(file, out);
}
