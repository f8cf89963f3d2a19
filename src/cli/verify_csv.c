/* SPDX-License-Identifier: Apache-2.0 */
/* verify_csv.c -- a TFLite model whose known answer stands beside it as numbers in text:
 * <model>_input<I>_<type>.csv and <model>_golden_<type>.csv, type as numpy names it. Integers must
 * be equal, floats within the tolerance. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/status.h"
#include "cli/verify.h"
#include "ledge/ledge.h"
#include "sys/file.h"

enum { FILE_MAX = 64 << 20, MAX_INPUTS = 16 };

struct net {
    struct ledge_model *model;
    struct ledge_session *session;
    struct ledge_tensor inputs[MAX_INPUTS];
    int32_t n_inputs;
};

static void net_done(struct net *net)
{
    for (int32_t i = 0; i < net->n_inputs; i++) {
        free(net->inputs[i].data);
    }
    ledge_session_close(net->session);
    ledge_model_close(net->model);
}

static const char *numpy_name(enum ledge_dtype dtype)
{
    switch (dtype) {
    case LEDGE_I8:
        return "int8";
    case LEDGE_U8:
        return "uint8";
    case LEDGE_I16:
        return "int16";
    case LEDGE_I32:
        return "int32";
    case LEDGE_I64:
        return "int64";
    case LEDGE_F32:
        return "float32";
    default:
        return "?";
    }
}

static void put_number(void *data, enum ledge_dtype dtype, size_t i, const char *text, char **end)
{
    if (dtype == LEDGE_F32) {
        ((float *)data)[i] = strtof(text, end);
        return;
    }
    long long value = strtoll(text, end, 10);
    switch (ledge_dtype_size(dtype)) {
    case 1:
        ((uint8_t *)data)[i] = (uint8_t)value;
        break;
    case 2:
        ((uint16_t *)data)[i] = (uint16_t)value;
        break;
    case 4:
        ((uint32_t *)data)[i] = (uint32_t)value;
        break;
    default:
        ((uint64_t *)data)[i] = (uint64_t)value;
        break;
    }
}

/* The numbers of a file as exactly `bytes` of this type, OWNED by the caller (free). */
static enum ledge_status read_numbers(const char *path, enum ledge_dtype dtype, size_t bytes,
                                      void **data, struct ledge_error *err)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf text = LEDGE_BUF_INIT(FILE_MAX);
    LEDGE_TRY(sys_file_read(path, &text, err));
    size_t size = ledge_dtype_size(dtype), want = size > 0 ? bytes / size : 0, n = 0;
    void *made = calloc(1, bytes + 8);
    if (made == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "%s: no memory", path);
    }
    for (char *at = text.data; at != NULL && *at != '\0';) {
        char *end = at;
        if (isspace((unsigned char)*at) || *at == ',') {
            at++;
            continue;
        }
        if (n < want) {
            put_number(made, dtype, n, at, &end);
        }
        if (end == at) {
            break;
        }
        n++;
        at = end;
    }
    if (n != want) {
        free(made);
        return ledge_fail(err, LEDGE_ERR_SHAPE, "%s: %zu numbers, not %zu", path, n, want);
    }
    *data = made;
    return LEDGE_OK;
}

static enum ledge_status open_net(struct net *net, const char *model, const char *stem,
                                  struct ledge_error *err)
{
    LEDGE_TRY(ledge_model_open(model, NULL, &net->model, err));
    LEDGE_TRY(ledge_session_open(net->model, NULL, &net->session, err));
    int32_t n = ledge_model_n_inputs(net->model);
    if (n > MAX_INPUTS || ledge_model_n_outputs(net->model) != 1) {
        return ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "%s: %d inputs, or not one output", model,
                          (int)n);
    }
    for (int32_t i = 0; i < n; i++) {
        char path[SYS_PATH];
        struct ledge_tensor *input = &net->inputs[i];
        LEDGE_TRY(ledge_session_input(net->session, i, input));
        LEDGE_TRY(sys_path(path, err, "%s_input%d_%s.csv", stem, (int)i, numpy_name(input->dtype)));
        LEDGE_TRY(read_numbers(path, input->dtype, input->bytes, &input->data, err));
        net->n_inputs++;
    }
    return LEDGE_OK;
}

static struct ledge_view view_of(const struct ledge_tensor *tensor, void *data)
{
    struct ledge_view view = {.data = data, .dtype = tensor->dtype, .rank = tensor->rank};
    memcpy(view.dims, tensor->dims, sizeof view.dims);
    return view;
}

static enum ledge_status compare(struct net *net, const char *stem,
                                 const struct cli_verify_options *options, struct cli_case *result)
{
    struct ledge_tensor made;
    char path[SYS_PATH];
    void *data = NULL;
    LEDGE_TRY(ledge_session_run(net->session, net->inputs, net->n_inputs, &made, 1, &result->why));
    LEDGE_TRY(sys_path(path, &result->why, "%s_golden_%s.csv", stem, numpy_name(made.dtype)));
    LEDGE_TRY(read_numbers(path, made.dtype, made.bytes, &data, &result->why));
    struct ledge_view a = view_of(&made, made.data), b = view_of(&made, data);
    bool real = made.dtype == LEDGE_F32;
    enum ledge_status status = cli_compare(&a, &b, real ? options->rtol : 0,
                                           real ? options->atol : 0, &result->worst, &result->why);
    free(data);
    if (status != LEDGE_OK) {
        result->verdict = CLI_WRONG;
    }
    return status;
}

bool cli_verify_is_csv(const char *model)
{
    static const char *const types[] = {"int8", "uint8", "int16", "int32", "int64", "float32"};
    size_t n = strlen(model);
    char path[SYS_PATH];
    struct ledge_error err;
    if (n < 8 || strcmp(model + n - 7, ".tflite") != 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (sys_path(path, &err, "%.*s_golden_%s.csv", (int)(n - 7), model, types[i]) == LEDGE_OK &&
            sys_file_exists(path)) {
            return true;
        }
    }
    return false;
}

void cli_verify_csv(const char *model, const struct cli_verify_options *options,
                    struct cli_case *result)
{
    struct net net = {.model = NULL};
    char stem[SYS_PATH];
    *result = (struct cli_case){.verdict = CLI_PASS};
    enum ledge_status status =
        sys_path(stem, &result->why, "%.*s", (int)(strlen(model) - 7), model);
    if (status == LEDGE_OK) {
        status = open_net(&net, model, stem, &result->why);
    }
    if (status == LEDGE_OK) {
        status = compare(&net, stem, options, result);
    }
    result->sets = status == LEDGE_OK;
    if (status != LEDGE_OK && result->verdict != CLI_WRONG) {
        result->verdict = status == LEDGE_ERR_UNSUPPORTED ? CLI_UNSUPPORTED : CLI_BROKEN;
    }
    net_done(&net);
}
