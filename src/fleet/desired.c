/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/desired.h"

#include <string.h>

#include "base/digest.h"
#include "base/status.h"
#include "fleet/envelope.h"
#include "fleet/fields.h"

static enum ledge_status parse_blob(const json_t *object, const char *what, int64_t max,
                                    struct fleet_blob *blob, struct ledge_error *err)
{
    LEDGE_TRY(fleet_field_digest(object, what, "sha256", blob->sha256, err));
    return fleet_field_int(object, what, "size", 0, max, &blob->size, err);
}

static enum ledge_status parse_model(const json_t *object, struct fleet_model *model,
                                     struct ledge_error *err)
{
    LEDGE_TRY(fleet_field_name(object, "model", "name", model->name, err));
    LEDGE_TRY(fleet_field_int(object, "model", "version", 1, INT32_MAX, &model->version, err));
    LEDGE_TRY(fleet_field_name(object, "model", "file", model->file, err));
    LEDGE_TRY(parse_blob(object, "model", FLEET_MODEL_MAX_BYTES, &model->blob, err));
    const json_t *probe = json_object_get(object, "probe");
    return probe == NULL || json_is_null(probe)
               ? LEDGE_OK
               : parse_blob(probe, "probe", FLEET_PROBE_MAX_BYTES, &model->probe, err);
}

static enum ledge_status check_args(const json_t *args, struct ledge_error *err)
{
    if (args == NULL) {
        return LEDGE_OK;
    }
    if (!json_is_array(args) || json_array_size(args) > FLEET_ARGS_MAX) {
        return ledge_fail(err, LEDGE_ERR_FORMAT,
                          "function: \"args\" is no list of at most %d texts", FLEET_ARGS_MAX);
    }
    for (size_t i = 0; i < json_array_size(args); i++) {
        if (!json_is_string(json_array_get(args, i))) {
            return ledge_fail(err, LEDGE_ERR_FORMAT, "function: argument %zu is no text", i + 1);
        }
    }
    return LEDGE_OK;
}

/* [A-Za-z_][A-Za-z0-9_]*; names that start with LEDGE_ are the agent's own. */
static bool variable_ok(const char *name)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    return name[0] != '\0' && (name[0] < '0' || name[0] > '9') &&
           strspn(name, letters) == strlen(name) && strlen(name) < FLEET_NAME_SIZE &&
           strncmp(name, "LEDGE_", 6) != 0;
}

static enum ledge_status check_env(json_t *env, struct ledge_error *err)
{
    const char *name;
    json_t *value;
    if (env == NULL) {
        return LEDGE_OK;
    }
    if (!json_is_object(env) || json_object_size(env) > FLEET_ENV_MAX) {
        return ledge_fail(err, LEDGE_ERR_FORMAT,
                          "function: \"env\" is no object of at most %d texts", FLEET_ENV_MAX);
    }
    json_object_foreach(env, name, value)
    {
        if (!variable_ok(name) || !json_is_string(value)) {
            return ledge_fail(err, LEDGE_ERR_FORMAT, "function: \"env\": %.64s is refused", name);
        }
    }
    return LEDGE_OK;
}

static enum ledge_status parse_function(const json_t *object, struct fleet_function *function,
                                        struct ledge_error *err)
{
    const char *mode = "pinned";
    LEDGE_TRY(fleet_field_name(object, "function", "name", function->name, err));
    LEDGE_TRY(
        fleet_field_int(object, "function", "version", 1, INT32_MAX, &function->version, err));
    LEDGE_TRY(fleet_field_name(object, "function", "file", function->file, err));
    LEDGE_TRY(parse_blob(object, "function", FLEET_FUNCTION_MAX_BYTES, &function->blob, err));
    if (json_object_get(object, "mode") != NULL) {
        LEDGE_TRY(fleet_field_text(object, "function", "mode", &mode, err));
    }
    if (strcmp(mode, "pinned") != 0) {
        return ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "function %s: mode %.32s", function->name,
                          mode);
    }
    LEDGE_TRY(check_args(json_object_get(object, "args"), err));
    LEDGE_TRY(check_env(json_object_get(object, "env"), err));
    const json_t *config = json_object_get(object, "config");
    if (config != NULL && !json_is_object(config)) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "function %s: \"config\" is no object",
                          function->name);
    }
    function->args = json_object_get(object, "args");
    function->env = json_object_get(object, "env");
    function->config = config;
    return LEDGE_OK;
}

/* The list under key, at most max long; absent is an empty one. */
static enum ledge_status get_list(const json_t *root, const char *key, size_t max,
                                  const json_t **list, struct ledge_error *err)
{
    const json_t *found = json_object_get(root, key);
    if (found != NULL && !json_is_array(found)) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "desired document: \"%s\" is no list", key);
    }
    if (json_array_size(found) > max) {
        return ledge_fail(err, LEDGE_ERR_RANGE, "desired document: %zu %s, the limit is %zu",
                          json_array_size(found), key, max);
    }
    *list = found;
    return LEDGE_OK;
}

static enum ledge_status parse_models(const json_t *root, struct fleet_desired *d,
                                      struct ledge_error *err)
{
    const json_t *list;
    LEDGE_TRY(get_list(root, "models", FLEET_MODELS_MAX, &list, err));
    for (d->n_models = 0; d->n_models < json_array_size(list); d->n_models++) {
        struct fleet_model *model = &d->models[d->n_models];
        LEDGE_TRY(parse_model(json_array_get(list, d->n_models), model, err));
        for (size_t i = 0; i < d->n_models; i++) {
            if (strcmp(d->models[i].name, model->name) == 0) {
                return ledge_fail(err, LEDGE_ERR_FORMAT, "desired document: model %s stands twice",
                                  model->name);
            }
        }
    }
    return LEDGE_OK;
}

static enum ledge_status parse_functions(const json_t *root, struct fleet_desired *d,
                                         struct ledge_error *err)
{
    const json_t *list;
    LEDGE_TRY(get_list(root, "functions", FLEET_FUNCTIONS_MAX, &list, err));
    for (d->n_functions = 0; d->n_functions < json_array_size(list); d->n_functions++) {
        struct fleet_function *function = &d->functions[d->n_functions];
        LEDGE_TRY(parse_function(json_array_get(list, d->n_functions), function, err));
        for (size_t i = 0; i < d->n_functions; i++) {
            if (strcmp(d->functions[i].name, function->name) == 0) {
                return ledge_fail(err, LEDGE_ERR_FORMAT,
                                  "desired document: function %s stands twice", function->name);
            }
        }
    }
    return LEDGE_OK;
}

static enum ledge_status parse_policy(const json_t *root, struct fleet_desired *d,
                                      struct ledge_error *err)
{
    const json_t *policy = json_object_get(root, "policy");
    const char *on_fail = "rollback";
    int64_t trial = 5;
    if (policy != NULL && json_object_get(policy, "trial_s") != NULL) {
        LEDGE_TRY(fleet_field_int(policy, "policy", "trial_s", 0, FLEET_TRIAL_MAX_S, &trial, err));
    }
    if (policy != NULL && json_object_get(policy, "on_fail") != NULL) {
        LEDGE_TRY(fleet_field_text(policy, "policy", "on_fail", &on_fail, err));
    }
    if (strcmp(on_fail, "rollback") != 0) {
        return ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "policy: on_fail %.32s", on_fail);
    }
    d->trial_s = (int32_t)trial;
    return LEDGE_OK;
}

static enum ledge_status parse_document(const json_t *root, struct fleet_desired *d,
                                        struct ledge_error *err)
{
    const char *device;
    int64_t v;
    LEDGE_TRY(fleet_field_int(root, "desired document", "v", 0, INT32_MAX, &v, err));
    if (v != 1) {
        return ledge_fail(err, LEDGE_ERR_UNSUPPORTED,
                          "desired document: version %d, this agent "
                          "knows 1",
                          (int)v);
    }
    LEDGE_TRY(fleet_field_text(root, "desired document", "device", &device, err));
    if (!fleet_device_name_ok(device)) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "desired document: \"device\" is no device name");
    }
    memcpy(d->device, device, strlen(device) + 1);
    LEDGE_TRY(fleet_field_int(root, "desired document", "gen", 1, INT64_MAX / 2, &d->gen, err));
    LEDGE_TRY(parse_models(root, d, err));
    LEDGE_TRY(parse_functions(root, d, err));
    return parse_policy(root, d, err);
}

enum ledge_status fleet_desired_parse(const void *text, size_t n, struct fleet_desired *desired,
                                      struct ledge_error *err)
{
    struct fleet_desired read = {.gen = 0};
    LEDGE_TRY(fleet_fields_parse(text, n, FLEET_DOCUMENT_MAX, "desired document", &read.root, err));
    enum ledge_status status = parse_document(read.root, &read, err);
    if (status != LEDGE_OK) {
        json_decref(read.root);
        return status;
    }
    *desired = read;
    return LEDGE_OK;
}

void fleet_desired_done(struct fleet_desired *desired)
{
    json_decref(desired->root);
    *desired = (struct fleet_desired){.gen = 0};
}

static bool add_canonical(struct ledge_buf *text, const json_t *value)
{
    return (value == NULL ? ledge_buf_text(text, "null")
                          : fleet_canonical(value, text, NULL) == LEDGE_OK) &&
           ledge_buf_text(text, "\n");
}

enum ledge_status fleet_function_key(const struct fleet_function *function, char key[65],
                                     struct ledge_error *err)
{
    struct ledge_buf text = LEDGE_BUF_INIT(2 * FLEET_DOCUMENT_MAX);
    uint8_t digest[LEDGE_SHA256_BYTES];
    bool good = ledge_buf_printf(&text, "%s\n%s\n", function->blob.sha256, function->file) &&
                add_canonical(&text, function->args) && add_canonical(&text, function->env) &&
                add_canonical(&text, function->config);
    if (good) {
        ledge_sha256(text.data, text.len, digest);
        ledge_hex(digest, sizeof digest, key);
    }
    ledge_buf_done(&text);
    return good ? LEDGE_OK
                : ledge_fail(err, LEDGE_ERR_NOMEM, "function %s: out of memory", function->name);
}
