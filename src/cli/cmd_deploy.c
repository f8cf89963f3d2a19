/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_deploy.c -- `ledge deploy create|list|show|undo|wait`. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/status.h"
#include "base/whole.h"
#include "cli/rest.h"
#include "sys/json.h"
#include "sys/table.h"

enum { WAIT_STEP_MS = 200, WAIT_MOST_S = 366 * 86400 };

/* "signs@2" -> {"name":"signs","version":2}; without @ the hub's newest. NULL when it is malformed.
 */
static json_t *parse_version(const char *text)
{
    const char *at = strrchr(text, '@');
    int64_t version = 0;
    if (at == text || (at != NULL && !ledge_whole_read(at + 1, 1, INT64_MAX, &version))) {
        return NULL;
    }
    json_t *item = json_object();
    size_t n = at != NULL ? (size_t)(at - text) : strlen(text);
    json_object_set_new(item, "name", json_stringn(text, n));
    if (at != NULL) {
        json_object_set_new(item, "version", json_integer(version));
    }
    return item;
}

/* Fill in the newest version of every item that names none. */
static enum ledge_status complete(struct cli_rest *rest, const char *kind, json_t *items,
                                  struct ledge_error *err)
{
    size_t i, j;
    json_t *item, *each;
    json_array_foreach(items, i, item)
    {
        char path[SYS_PATH];
        LEDGE_CLEANUP(sys_json_free) json_t *all = NULL;
        json_int_t newest = 0;
        if (json_object_get(item, "version") != NULL) {
            continue;
        }
        LEDGE_TRY(cli_rest_path(path, err, "/%s/%s", kind, cli_rest_text(item, "name")));
        LEDGE_TRY(cli_rest_call(rest, "GET", path, NULL, &all, err));
        json_array_foreach(json_object_get(all, "versions"), j, each)
        {
            json_int_t version = json_integer_value(json_object_get(each, "version"));
            newest = version > newest ? version : newest;
        }
        json_object_set_new(item, "version", json_integer(newest));
    }
    return LEDGE_OK;
}

static bool all_settled(const json_t *deployment, bool *good)
{
    size_t i;
    json_t *device;
    *good = true;
    json_array_foreach(json_object_get(deployment, "devices"), i, device)
    {
        const char *state = cli_rest_text(device, "state");
        bool confirmed = strcmp(state, "CONFIRMED") == 0;
        bool failed = strcmp(state, "REJECTED") == 0 || strcmp(state, "FAILED") == 0 ||
                      strcmp(state, "ROLLED_BACK") == 0 || strcmp(state, "INCONSISTENT") == 0;
        if (!confirmed && !failed) {
            return false;
        }
        *good = *good && confirmed;
    }
    return true;
}

static int print_deployment(const json_t *deployment, bool json)
{
    static const char *const heads[] = {"DEVICE", ">GEN", "STATE", "REASON"};
    size_t i;
    json_t *device;
    if (json) {
        return cli_print_json(json_deep_copy(deployment));
    }
    printf("deployment %s, %s\n", cli_rest_text(deployment, "id"),
           cli_rest_text(deployment, "created"));
    struct sys_table *table = sys_table_create(heads, CLI_COUNT(heads));
    json_array_foreach(json_object_get(deployment, "devices"), i, device)
    {
        sys_table_rowf(table, "%s\t%lld\t%s\t%s", cli_rest_text(device, "id"),
                       (long long)json_integer_value(json_object_get(device, "gen")),
                       cli_rest_text(device, "state"), cli_rest_text(device, "reason"));
    }
    int failed = sys_table_print(table, stdout);
    sys_table_free(table);
    return failed != 0 ? SYS_EXIT_FAILED : SYS_EXIT_OK;
}

/* Until every device has settled, or seconds are over. */
static int wait_for(struct cli_rest *rest, const char *id, int64_t seconds, bool json)
{
    char path[SYS_PATH];
    struct ledge_error err = {0};
    int64_t end = sys_monotonic_ms() + seconds * 1000;
    if (cli_rest_path(path, &err, "/deployments/%s", id) != LEDGE_OK) {
        return cli_fail(&err);
    }
    for (;;) {
        LEDGE_CLEANUP(sys_json_free) json_t *deployment = NULL;
        bool good = false;
        if (cli_rest_call(rest, "GET", path, NULL, &deployment, &err) != LEDGE_OK) {
            return cli_fail(&err);
        }
        if (isatty(STDERR_FILENO) && !json) {
            fprintf(stderr, "\r%lld of %lld devices ",
                    (long long)json_integer_value(json_object_get(deployment, "done")),
                    (long long)json_integer_value(json_object_get(deployment, "total")));
        }
        if (all_settled(deployment, &good)) {
            int code = print_deployment(deployment, json);
            return good ? code : SYS_EXIT_FAILED;
        }
        if (sys_monotonic_ms() > end) {
            (void)print_deployment(deployment, json);
            return cli_failf(SYS_EXIT_TIMED_OUT, "not every device has settled within %lld s",
                             (long long)seconds);
        }
        (void)poll(NULL, 0, WAIT_STEP_MS);
    }
}

struct create {
    struct cli_rest_options rest;
    struct cli_list devices, models, functions;
    const char *config;
    int64_t trial_s, wait_s;
};

static json_t *versions_of(const struct cli_list *list, const char **bad)
{
    json_t *items = json_array();
    for (size_t i = 0; i < list->n; i++) {
        json_t *item = parse_version(list->items[i]);
        if (item == NULL) {
            *bad = list->items[i];
            break;
        }
        json_array_append_new(items, item);
    }
    return items;
}

static json_t *devices_of(const struct cli_list *list)
{
    if (list->n == 0) {
        return json_string("all");
    }
    json_t *names = json_array();
    for (size_t i = 0; i < list->n; i++) {
        json_array_append_new(names, json_string(list->items[i]));
    }
    return names;
}

static int run_create(const struct create *create)
{
    struct ledge_error err = {0};
    const char *bad = NULL;
    LEDGE_CLEANUP(cli_rest_done) struct cli_rest rest = {.tls = NULL};
    LEDGE_CLEANUP(sys_json_free) json_t *config = NULL;
    LEDGE_CLEANUP(sys_json_free) json_t *made = NULL;
    LEDGE_CLEANUP(sys_json_free)
    json_t *body = json_pack("{s:o, s:o, s:o, s:{s:I}}", "devices", devices_of(&create->devices),
                             "models", versions_of(&create->models, &bad), "functions",
                             versions_of(&create->functions, &bad), "policy", "trial_s",
                             (json_int_t)create->trial_s);
    if (bad != NULL) {
        return cli_failf(SYS_EXIT_USAGE, "%s: expected NAME or NAME@VERSION", bad);
    }
    if (create->config != NULL &&
        sys_json_parse(create->config, strlen(create->config), &config, &err) != LEDGE_OK) {
        return cli_failf(SYS_EXIT_USAGE, "--config: %s", err.text);
    }
    size_t i;
    json_t *function;
    json_array_foreach(json_object_get(body, "functions"), i, function)
    {
        if (config != NULL) {
            json_object_set(function, "config", config);
        }
    }
    if (cli_rest_open(&create->rest, &rest, &err) != LEDGE_OK ||
        complete(&rest, "models", json_object_get(body, "models"), &err) != LEDGE_OK ||
        complete(&rest, "functions", json_object_get(body, "functions"), &err) != LEDGE_OK ||
        cli_rest_call(&rest, "POST", "/deployments", body, &made, &err) != LEDGE_OK) {
        return cli_fail(&err);
    }
    if (create->wait_s > 0) {
        return wait_for(&rest, cli_rest_text(made, "id"), create->wait_s, create->rest.json);
    }
    if (create->rest.json) {
        return cli_print_json(json_incref(made));
    }
    const char *id = cli_rest_text(made, "id");
    printf("deployment %s; follow it with: ledge deploy wait %s\n", id, id);
    return SYS_EXIT_OK;
}

static int deploy_create(int argc, char **argv)
{
    struct create create = {.trial_s = 5};
    const struct cli_option options[] = {
        {"device", 'd', CLI_LIST, &create.devices, "NAME", "a device; repeat (default: all)"},
        {"model", 'm', CLI_LIST, &create.models, "NAME[@V]", "a model (default: newest); repeat"},
        {"function", 'f', CLI_LIST, &create.functions, "NAME[@V]", "a function; repeat"},
        {"config", 0, CLI_TEXT, &create.config, "JSON", "configuration of the functions named"},
        {"trial", 0, CLI_INT, &create.trial_s, "S", "seconds on trial before confirmed (5)"},
        {"wait", 'w', CLI_INT, &create.wait_s, "S", "wait until all have settled, at most S"},
        CLI_REST_OPTIONS(create.rest),
    };
    const struct cli_command command = {
        .usage = "ledge deploy create [options]",
        .summary = "Put models and functions on devices; what is not named stays as it is.",
        .options = options,
        .n_options = CLI_COUNT(options),
        .examples = "  ledge deploy create --model signs\n"
                    "  ledge deploy create -d cam-1 -m signs@2 -f watch --config "
                    "'{\"threshold\":0.8}' --wait 60",
    };
    struct cli_args args;
    int code = cli_parse(&command, argc, argv, &args);
    if (code < 0 && !cli_in_range("--wait", create.wait_s, 0, WAIT_MOST_S)) {
        code = SYS_EXIT_USAGE;
    } else if (code < 0) {
        code = create.models.n + create.functions.n > 0
                   ? run_create(&create)
                   : cli_failf(SYS_EXIT_USAGE, "nothing to deploy: give --model or --function");
    }
    cli_list_done(&create.devices);
    cli_list_done(&create.models);
    cli_list_done(&create.functions);
    return code;
}

static int deploy_list(int argc, char **argv)
{
    struct cli_rest_options rest_options = {.hub = NULL};
    const struct cli_option options[] = {CLI_REST_OPTIONS(rest_options)};
    const struct cli_command command = {
        .usage = "ledge deploy list [options]",
        .summary = "Every deployment, newest first.",
        .options = options,
        .n_options = CLI_COUNT(options),
        .examples = "  ledge deploy list",
    };
    static const char *const heads[] = {">ID", "CREATED", ">DONE", ">TOTAL"};
    struct cli_args args;
    struct ledge_error err = {0};
    size_t i;
    json_t *item;
    LEDGE_CLEANUP(cli_rest_done) struct cli_rest rest = {.tls = NULL};
    LEDGE_CLEANUP(sys_json_free) json_t *items = NULL;
    int code = cli_parse(&command, argc, argv, &args);
    if (code >= 0) {
        return code;
    }
    if (cli_rest_open(&rest_options, &rest, &err) != LEDGE_OK ||
        cli_rest_items(&rest, "/deployments", &items, &err) != LEDGE_OK) {
        return cli_fail(&err);
    }
    if (rest_options.json) {
        return cli_print_json(json_incref(items));
    }
    struct sys_table *table = sys_table_create(heads, CLI_COUNT(heads));
    json_array_foreach(items, i, item)
    {
        sys_table_rowf(table, "%s\t%s\t%lld\t%lld", cli_rest_text(item, "id"),
                       cli_rest_text(item, "created"),
                       (long long)json_integer_value(json_object_get(item, "done")),
                       (long long)json_integer_value(json_object_get(item, "total")));
    }
    int failed = sys_table_print(table, stdout);
    sys_table_free(table);
    return failed != 0 ? SYS_EXIT_FAILED : SYS_EXIT_OK;
}

enum follow { FOLLOW_SHOW, FOLLOW_UNDO, FOLLOW_WAIT };

/* One deployment by id: look, undo, or wait. */
static int one_deployment(int argc, char **argv, enum follow follow, const char *usage,
                          const char *summary, const char *examples)
{
    struct cli_rest_options rest_options = {.hub = NULL};
    int64_t seconds = 120;
    const struct cli_option options[] = {
        {"timeout", 't', CLI_INT, &seconds, "S", "how long to wait (120)"},
        CLI_REST_OPTIONS(rest_options),
    };
    size_t skip = follow == FOLLOW_WAIT ? 0 : 1;
    const struct cli_command command = {.usage = usage,
                                        .summary = summary,
                                        .options = options + skip,
                                        .n_options = CLI_COUNT(options) - skip,
                                        .min_args = 1,
                                        .max_args = 1,
                                        .examples = examples};
    struct cli_args args;
    struct ledge_error err = {0};
    char path[SYS_PATH];
    LEDGE_CLEANUP(cli_rest_done) struct cli_rest rest = {.tls = NULL};
    LEDGE_CLEANUP(sys_json_free) json_t *answer = NULL;
    int code = cli_parse(&command, argc, argv, &args);
    if (code >= 0) {
        return code;
    }
    if (!cli_in_range("--timeout", seconds, 0, WAIT_MOST_S)) {
        return SYS_EXIT_USAGE;
    }
    if (cli_rest_open(&rest_options, &rest, &err) != LEDGE_OK ||
        cli_rest_path(path, &err,
                      follow == FOLLOW_UNDO ? "/deployments/%s/undo" : "/deployments/%s",
                      args.items[0]) != LEDGE_OK) {
        return cli_fail(&err);
    }
    if (follow == FOLLOW_WAIT) {
        return wait_for(&rest, args.items[0], seconds, rest_options.json);
    }
    const char *method = follow == FOLLOW_UNDO ? "POST" : "GET";
    if (cli_rest_call(&rest, method, path, NULL, &answer, &err) != LEDGE_OK) {
        return cli_fail(&err);
    }
    if (follow == FOLLOW_UNDO && !rest_options.json) {
        printf("deployment %s puts back what was there before\n", cli_rest_text(answer, "id"));
        return SYS_EXIT_OK;
    }
    return print_deployment(answer, rest_options.json);
}

static int deploy_show(int argc, char **argv)
{
    return one_deployment(argc, argv, FOLLOW_SHOW, "ledge deploy show ID [options]",
                          "How far each device is.", "  ledge deploy show 3");
}

static int deploy_undo(int argc, char **argv)
{
    return one_deployment(argc, argv, FOLLOW_UNDO, "ledge deploy undo ID [options]",
                          "Put back on each device what it had before.", "  ledge deploy undo 3");
}

static int deploy_wait(int argc, char **argv)
{
    return one_deployment(
        argc, argv, FOLLOW_WAIT, "ledge deploy wait ID [options]",
        "Wait until every device has settled; exit 1 when one failed, 124 when time is up.",
        "  ledge deploy wait 3 --timeout 60");
}

int cli_cmd_deploy(int argc, char **argv)
{
    static const struct cli_verb verbs[] = {
        {NULL, "create", "put models and functions on devices", deploy_create},
        {NULL, "list", "every deployment", deploy_list},
        {NULL, "show", "how far each device is", deploy_show},
        {NULL, "wait", "wait until every device has settled", deploy_wait},
        {NULL, "undo", "put back what was there before", deploy_undo},
    };
    return cli_dispatch("ledge deploy", verbs, CLI_COUNT(verbs), argc, argv);
}
