/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_model.c -- `ledge model push|list|show`: versions in the hub's registry. Functions are pushed
 * the same way. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/status.h"
#include "cli/probe.h"
#include "cli/rest.h"
#include "sys/json.h"
#include "sys/table.h"

enum {
    FILE_BYTES = 256 << 20, /* what a hub takes (HUB_MAX_BLOB) */
    REPORT_BYTES = 4 << 20,
    PROBE_BYTES = 64 << 20,
};

struct push {
    struct cli_rest_options rest;
    const char *gate_report;
    const char *note;
    bool function;
    bool no_probe;
};

/* The report of `ledge evaluate --json`: metrics, class names (what the console offers as labels)
 * and gate go with the model. */
static enum ledge_status add_report(json_t *meta, const char *path, struct ledge_error *err)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf text = LEDGE_BUF_INIT(REPORT_BYTES);
    LEDGE_CLEANUP(sys_json_free) json_t *report = NULL;
    LEDGE_TRY(sys_file_read(path, &text, err));
    if (sys_json_parse(text.data, text.len, &report, err) != LEDGE_OK) {
        return ledge_fail_at(err, path);
    }
    static const char *const numbers[] = {"top1", "ece", "samples", "latency_p50_ms", "size_bytes"};
    LEDGE_CLEANUP(sys_json_free) json_t *metrics = json_object();
    const json_t *from = json_object_get(report, "metrics");
    for (size_t i = 0; i < CLI_COUNT(numbers); i++) {
        json_t *value = json_object_get(from != NULL ? from : report, numbers[i]);
        if (json_is_number(value)) {
            json_object_set(metrics, numbers[i], value);
        }
    }
    if (json_is_array(json_object_get(report, "labels"))) {
        json_object_set(metrics, "labels", json_object_get(report, "labels"));
    }
    json_object_set(meta, "metrics", metrics);
    if (json_object_get(report, "gate") != NULL) {
        json_object_set(meta, "gate", json_object_get(report, "gate"));
    }
    return LEDGE_OK;
}

static enum ledge_status add_probe(struct cli_rest *rest, json_t *meta, const char *path,
                                   struct ledge_error *err)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf probe = LEDGE_BUF_INIT(PROBE_BYTES);
    LEDGE_CLEANUP(sys_json_free) json_t *blob = NULL;
    LEDGE_TRY(cli_probe_make(path, &probe, err));
    LEDGE_TRY(cli_rest_upload(rest, "/blobs", probe.data, probe.len, NULL, &blob, err));
    json_object_set(meta, "probe", json_object_get(blob, "sha256"));
    return LEDGE_OK;
}

static enum ledge_status push_file(const struct push *push, const char *name, const char *path,
                                   json_t **answer, struct ledge_error *err)
{
    char route[SYS_PATH];
    LEDGE_CLEANUP(cli_rest_done) struct cli_rest rest = {.tls = NULL};
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf file = LEDGE_BUF_INIT(FILE_BYTES);
    const char *slash = strrchr(path, '/');
    LEDGE_CLEANUP(sys_json_free)
    json_t *meta = json_pack("{s:s, s:s}", "file", slash != NULL ? slash + 1 : path, "note",
                             push->note != NULL ? push->note : "");
    LEDGE_TRY(cli_rest_open(&push->rest, &rest, err));
    LEDGE_TRY(sys_file_read(path, &file, err));
    if (push->gate_report != NULL) {
        LEDGE_TRY(add_report(meta, push->gate_report, err));
    }
    if (!push->function && !push->no_probe) {
        LEDGE_TRY(add_probe(&rest, meta, path, err));
    }
    LEDGE_TRY(cli_rest_path(route, err, "/%s/%s/versions", push->function ? "functions" : "models",
                            name));
    return cli_rest_upload(&rest, route, file.data, file.len, meta, answer, err);
}

static int model_push(int argc, char **argv)
{
    struct push push = {.note = NULL};
    const struct cli_option options[] = {
        {"gate-report", 'g', CLI_TEXT, &push.gate_report, "FILE", "output of evaluate --json"},
        {"note", 'n', CLI_TEXT, &push.note, "TEXT", "a line for people"},
        {"function", 'f', CLI_FLAG, &push.function, NULL, "FILE is a function's executable"},
        {"no-probe", 0, CLI_FLAG, &push.no_probe, NULL, "do not make golden inputs"},
        CLI_REST_OPTIONS(push.rest),
    };
    const struct cli_command command = {
        .usage = "ledge model push NAME FILE [options]",
        .summary =
            "Store FILE as the next version of NAME; the same bytes again are the same version.\n"
            "Golden inputs are made on the way: a device runs them before the version takes over.",
        .options = options,
        .n_options = CLI_COUNT(options),
        .min_args = 2,
        .max_args = 2,
        .examples = "  ledge model push signs signs-int8.onnx --gate-report report.json\n"
                    "  ledge model push watch watch.py --function",
    };
    struct cli_args args;
    struct ledge_error err = {0};
    LEDGE_CLEANUP(sys_json_free) json_t *answer = NULL;
    int code = cli_parse(&command, argc, argv, &args);
    if (code >= 0) {
        return code;
    }
    if (push_file(&push, args.items[0], args.items[1], &answer, &err) != LEDGE_OK) {
        return cli_fail(&err);
    }
    if (push.rest.json) {
        return cli_print_json(json_incref(answer));
    }
    json_int_t version = json_integer_value(json_object_get(answer, "version"));
    printf("%s version %lld, sha256 %.16s…\n", cli_rest_text(answer, "name"), (long long)version,
           cli_rest_text(answer, "sha256"));
    fprintf(stderr, "deploy it with: ledge deploy create --%s %s@%lld\n",
            push.function ? "function" : "model", args.items[0], (long long)version);
    return SYS_EXIT_OK;
}

static void add_rows(struct sys_table *table, const json_t *model)
{
    size_t i;
    json_t *version;
    json_array_foreach(json_object_get(model, "versions"), i, version)
    {
        char bytes[CLI_TEXT_BYTES], top1[CLI_TEXT_BYTES] = "";
        const json_t *accuracy = json_object_get(json_object_get(version, "metrics"), "top1");
        const json_t *gate = json_object_get(version, "gate");
        const json_t *passed = json_object_get(gate, "passed");
        if (json_is_number(accuracy)) {
            (void)snprintf(top1, sizeof top1, "%.2f%%", 100 * json_number_value(accuracy));
        }
        sys_table_rowf(table, "%s\t%lld\t%s\t%s\t%s\t%lld\t%s\t%s", cli_rest_text(model, "name"),
                       (long long)json_integer_value(json_object_get(version, "version")),
                       cli_text_bytes(json_number_value(json_object_get(version, "size")), bytes),
                       top1, passed == NULL ? "" : (json_is_true(passed) ? "passed" : "failed"),
                       (long long)json_integer_value(json_object_get(version, "deployed")),
                       cli_rest_text(version, "created"), cli_rest_text(version, "note"));
    }
}

static int print_models(const json_t *items, bool json)
{
    static const char *const heads[] = {"MODEL", ">VERSION", ">SIZE",   ">TOP-1",
                                        "GATE",  ">DEVICES", "CREATED", "NOTE"};
    size_t i;
    json_t *model;
    if (json) {
        return cli_print_json(json_deep_copy(items));
    }
    struct sys_table *table = sys_table_create(heads, CLI_COUNT(heads));
    json_array_foreach(items, i, model)
    {
        add_rows(table, model);
    }
    int failed = sys_table_print(table, stdout);
    sys_table_free(table);
    return failed != 0 ? SYS_EXIT_FAILED : SYS_EXIT_OK;
}

static int model_list(int argc, char **argv)
{
    struct cli_rest_options rest_options = {.hub = NULL};
    bool functions = false;
    const struct cli_option options[] = {
        {"functions", 'f', CLI_FLAG, &functions, NULL, "list functions instead"},
        CLI_REST_OPTIONS(rest_options),
    };
    const struct cli_command command = {
        .usage = "ledge model list [options]",
        .summary = "Every version of every model, with its gate and where it runs.",
        .options = options,
        .n_options = CLI_COUNT(options),
        .examples = "  ledge model list\n  ledge model list --functions",
    };
    struct cli_args args;
    struct ledge_error err = {0};
    LEDGE_CLEANUP(cli_rest_done) struct cli_rest rest = {.tls = NULL};
    LEDGE_CLEANUP(sys_json_free) json_t *items = NULL;
    int code = cli_parse(&command, argc, argv, &args);
    if (code >= 0) {
        return code;
    }
    if (cli_rest_open(&rest_options, &rest, &err) != LEDGE_OK ||
        cli_rest_items(&rest, functions ? "/functions" : "/models", &items, &err) != LEDGE_OK) {
        return cli_fail(&err);
    }
    return print_models(items, rest_options.json);
}

static int model_show(int argc, char **argv)
{
    struct cli_rest_options rest_options = {.hub = NULL};
    const struct cli_option options[] = {CLI_REST_OPTIONS(rest_options)};
    const struct cli_command command = {
        .usage = "ledge model show NAME [options]",
        .summary = "One model with all its versions, metrics and gate reports, as JSON.",
        .options = options,
        .n_options = CLI_COUNT(options),
        .min_args = 1,
        .max_args = 1,
        .examples = "  ledge model show signs",
    };
    struct cli_args args;
    struct ledge_error err = {0};
    char path[SYS_PATH];
    LEDGE_CLEANUP(cli_rest_done) struct cli_rest rest = {.tls = NULL};
    LEDGE_CLEANUP(sys_json_free) json_t *answer = NULL;
    int code = cli_parse(&command, argc, argv, &args);
    if (code >= 0) {
        return code;
    }
    if (cli_rest_open(&rest_options, &rest, &err) != LEDGE_OK ||
        cli_rest_path(path, &err, "/models/%s", args.items[0]) != LEDGE_OK ||
        cli_rest_call(&rest, "GET", path, NULL, &answer, &err) != LEDGE_OK) {
        return cli_fail(&err);
    }
    return cli_print_json(json_incref(answer));
}

int cli_cmd_model(int argc, char **argv)
{
    static const struct cli_verb verbs[] = {
        {NULL, "push", "store a file as the next version", model_push},
        {NULL, "list", "every version of every model", model_list},
        {NULL, "show", "one model, as JSON", model_show},
    };
    return cli_dispatch("ledge model", verbs, CLI_COUNT(verbs), argc, argv);
}
