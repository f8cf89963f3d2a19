/* SPDX-License-Identifier: Apache-2.0 */
/* version.c -- open and close one version of a model, and describe it. */
#include "serve/version.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/digest.h"
#include "base/status.h"
#include "sys/file.h"

static atomic_int_fast64_t sessions_open;

int64_t serve_sessions_open(void)
{
    return atomic_load(&sessions_open);
}

int64_t serve_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

bool serve_name_ok(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    return n > 0 && n < SERVE_NAME_BYTES && name[n] == '\0' && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

static void lane_close(struct serve_lane *lane, int32_t n_inputs)
{
    for (int32_t i = 0; i < n_inputs; i++) {
        free(lane->inputs[i].data);
    }
    if (lane->session != NULL) {
        ledge_session_close(lane->session);
        atomic_fetch_sub(&sessions_open, 1);
    }
}

void serve_version_close(struct serve_version *version)
{
    if (version == NULL) {
        return;
    }
    for (int32_t i = 0; i < version->n_lanes; i++) {
        lane_close(&version->lanes[i], version->n_inputs);
    }
    free(version->lanes);
    ledge_model_close(version->model);
    free(version);
}

static enum ledge_status lane_open(const struct serve_version *version, struct serve_lane *lane,
                                   struct ledge_error *err)
{
    LEDGE_TRY(ledge_session_open(version->model, NULL, &lane->session, err));
    atomic_fetch_add(&sessions_open, 1);
    for (int32_t i = 0; i < version->n_inputs; i++) {
        struct ledge_tensor *input = &lane->inputs[i];
        LEDGE_TRY(ledge_session_input(lane->session, i, input));
        size_t bytes = (input->bytes + 63) & ~(size_t)63;
        input->data = aligned_alloc(64, bytes > 0 ? bytes : 64);
        if (input->data == NULL) {
            return ledge_fail(err, LEDGE_ERR_NOMEM, "input %s: no memory for %zu bytes",
                              version->inputs[i].name, input->bytes);
        }
    }
    for (int32_t i = 0; i < version->n_outputs; i++) {
        LEDGE_TRY(ledge_session_output(lane->session, i, &lane->outputs[i]));
    }
    return LEDGE_OK;
}

static enum ledge_status read_tensors(struct serve_version *version, struct ledge_error *err)
{
    int32_t n_inputs = ledge_model_n_inputs(version->model);
    int32_t n_outputs = ledge_model_n_outputs(version->model);
    if (n_inputs > SERVE_MAX_TENSORS || n_outputs > SERVE_MAX_TENSORS) {
        return ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "%d inputs and %d outputs, at most %d",
                          (int)n_inputs, (int)n_outputs, SERVE_MAX_TENSORS);
    }
    version->free_rows = n_inputs > 0;
    for (int32_t i = 0; i < n_inputs; i++) {
        struct ledge_tensor_info *info = &version->inputs[i];
        LEDGE_TRY(ledge_model_input(version->model, i, info));
        version->free_rows = version->free_rows && info->rank > 0 && info->dims[0] < 0;
    }
    for (int32_t i = 0; i < n_outputs; i++) {
        struct ledge_tensor_info *info = &version->outputs[i];
        LEDGE_TRY(ledge_model_output(version->model, i, info));
        version->free_rows = version->free_rows && info->rank > 0 && info->dims[0] < 0;
    }
    version->n_inputs = n_inputs;
    version->n_outputs = n_outputs;
    version->labels = ledge_model_metadata(version->model, DATA_KEY_LABELS);
    return LEDGE_OK;
}

/* A model that no picture fits is no failure: it only takes no pictures. */
static void read_preprocess(struct serve_version *version)
{
    version->takes_picture =
        version->n_inputs >= 1 &&
        data_preprocess_of_model(version->model, &version->preprocess, NULL) == LEDGE_OK &&
        data_preprocess_check(&version->preprocess, &version->lanes[0].inputs[0], NULL) == LEDGE_OK;
}

static enum ledge_status open_file(const struct serve_source *source, struct serve_version *version,
                                   struct ledge_error *err)
{
    LEDGE_TRY(sys_file_sha256(source->path, version->sha256, err));
    if (source->sha256 != NULL && strcmp(source->sha256, version->sha256) != 0) {
        return ledge_fail(err, LEDGE_ERR_CORRUPT, "%s: SHA-256 is %.12s..., expected %.12s...",
                          source->path, version->sha256, source->sha256);
    }
    const struct ledge_model_options options = {.verify = source->sha256 == NULL};
    return ledge_model_open(source->path, &options, &version->model, err);
}

static enum ledge_status open_all(const struct serve_source *source, int32_t n_lanes,
                                  struct serve_version *version, struct ledge_error *err)
{
    LEDGE_TRY(open_file(source, version, err));
    LEDGE_TRY(read_tensors(version, err));
    version->lanes = calloc((size_t)n_lanes, sizeof(version->lanes[0]));
    if (version->lanes == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "out of memory");
    }
    for (int32_t i = 0; i < n_lanes; i++) {
        version->n_lanes = i + 1;
        LEDGE_TRY(lane_open(version, &version->lanes[i], err));
        version->memory_bytes += ledge_session_memory_bytes(version->lanes[i].session);
    }
    read_preprocess(version);
    return LEDGE_OK;
}

enum ledge_status serve_version_open(const struct serve_source *source, int32_t n_lanes,
                                     struct serve_version **out, struct ledge_error *err)
{
    if (!serve_name_ok(source->name) || !serve_name_ok(source->version)) {
        return ledge_fail(err, LEDGE_ERR_ARG,
                          "model \"%.64s\" version \"%.64s\": names are [a-zA-Z0-9._-]{1,64}",
                          source->name, source->version);
    }
    struct serve_version *version = calloc(1, sizeof(*version));
    if (version == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "out of memory");
    }
    memcpy(version->name, source->name, strlen(source->name) + 1);
    memcpy(version->version, source->version, strlen(source->version) + 1);
    enum ledge_status status = open_all(source, n_lanes, version, err);
    if (status == LEDGE_OK && source->probe != NULL) {
        status = serve_version_probe(version, source->probe, err);
    }
    if (status != LEDGE_OK) {
        serve_version_close(version);
        return status;
    }
    *out = version;
    return LEDGE_OK;
}

static void describe_tensors(const struct ledge_tensor_info *infos, int32_t n, const char *key,
                             struct ledge_buf *out)
{
    ledge_buf_printf(out, ",\"%s\":[", key);
    for (int32_t i = 0; i < n; i++) {
        ledge_buf_text(out, i > 0 ? ",{\"name\":" : "{\"name\":");
        serve_json_text(out, infos[i].name, strlen(infos[i].name));
        ledge_buf_printf(out, ",\"datatype\":\"%s\",\"shape\":[", ledge_dtype_oip(infos[i].dtype));
        for (int32_t k = 0; k < infos[i].rank; k++) {
            ledge_buf_printf(out, "%s%lld", k > 0 ? "," : "", (long long)infos[i].dims[k]);
        }
        ledge_buf_text(out, "]");
        if (infos[i].scale != 0) {
            ledge_buf_printf(out, ",\"parameters\":{\"scale\":%.9g,\"zero_point\":%d}",
                             (double)infos[i].scale, (int)infos[i].zero_point);
        }
        ledge_buf_text(out, "}");
    }
    ledge_buf_text(out, "]");
}

void serve_version_describe(const struct serve_version *version, struct ledge_buf *out)
{
    ledge_buf_printf(out, "{\"name\":\"%s\",\"versions\":[\"%s\"],\"platform\":\"ledge\"",
                     version->name, version->version);
    describe_tensors(version->inputs, version->n_inputs, "inputs", out);
    describe_tensors(version->outputs, version->n_outputs, "outputs", out);
    ledge_buf_printf(out, ",\"parameters\":{\"sha256\":\"%s\",\"takes_picture\":%s}}",
                     version->sha256, version->takes_picture ? "true" : "false");
}
