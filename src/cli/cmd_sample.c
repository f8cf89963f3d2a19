/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_sample.c -- `ledge sample list|get`, `ledge label set|undo`, `ledge logs`: what the devices
 * were unsure about. */
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "cli/rest.h"
#include "sys/json.h"
#include "sys/table.h"

enum { PICTURE_BYTES = 32 << 20 };

static int print_samples(const json_t *items)
{
    static const char *const heads[] = {">ID",    "DEVICE", "MODEL",    "LABEL",
                                        ">SCORE", "STATE",  "ASSIGNED", "TIME"};
    size_t i;
    json_t *item;
    struct sys_table *table = sys_table_create(heads, CLI_COUNT(heads));
    json_array_foreach(items, i, item)
    {
        sys_table_rowf(table, "%s\t%s\t%s %s\t%s\t%.3f\t%s\t%s\t%s", cli_rest_text(item, "id"),
                       cli_rest_text(item, "device"), cli_rest_text(item, "model"),
                       cli_rest_text(item, "version"), cli_rest_text(item, "label"),
                       json_number_value(json_object_get(item, "score")),
                       cli_rest_text(item, "state"), cli_rest_text(item, "assigned"),
                       cli_rest_text(item, "ts"));
    }
    int failed = sys_table_print(table, stdout);
    sys_table_free(table);
    return failed != 0 ? SYS_EXIT_FAILED : SYS_EXIT_OK;
}

static int sample_list(int argc, char **argv)
{
    struct cli_rest_options rest_options = {.hub = NULL};
    const char *state = "unlabelled";
    const struct cli_option options[] = {
        {"state", 's', CLI_TEXT, &state, "STATE", "unlabelled (default) or labelled"},
        CLI_REST_OPTIONS(rest_options),
    };
    const struct cli_command command = {
        .usage = "ledge sample list [options]",
        .summary = "Pictures the devices were unsure about, least confident first.",
        .options = options,
        .n_options = CLI_COUNT(options),
        .examples = "  ledge sample list\n  ledge sample list --state labelled --json",
    };
    struct cli_args args;
    struct ledge_error err = {0};
    char path[SYS_PATH];
    LEDGE_CLEANUP(cli_rest_done) struct cli_rest rest = {.tls = NULL};
    LEDGE_CLEANUP(sys_json_free) json_t *items = NULL;
    int code = cli_parse(&command, argc, argv, &args);
    if (code >= 0) {
        return code;
    }
    if (cli_rest_open(&rest_options, &rest, &err) != LEDGE_OK ||
        cli_rest_path(path, &err, "/samples?state=%s", state) != LEDGE_OK ||
        cli_rest_items(&rest, path, &items, &err) != LEDGE_OK) {
        return cli_fail(&err);
    }
    return rest_options.json ? cli_print_json(json_incref(items)) : print_samples(items);
}

static int sample_get(int argc, char **argv)
{
    struct cli_rest_options rest_options = {.hub = NULL};
    const char *out = NULL;
    const struct cli_option options[] = {
        {"output", 'o', CLI_TEXT, &out, "FILE", "where the picture goes (required)"},
        CLI_REST_OPTIONS(rest_options),
    };
    const struct cli_command command = {
        .usage = "ledge sample get ID -o FILE [options]",
        .summary = "Fetch the picture of a sample.",
        .options = options,
        .n_options = CLI_COUNT(options),
        .min_args = 1,
        .max_args = 1,
        .examples = "  ledge sample get 17 -o 17.jpg",
    };
    struct cli_args args;
    struct ledge_error err = {0};
    char path[SYS_PATH];
    LEDGE_CLEANUP(cli_rest_done) struct cli_rest rest = {.tls = NULL};
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf picture = LEDGE_BUF_INIT(PICTURE_BYTES);
    int code = cli_parse(&command, argc, argv, &args);
    if (code >= 0) {
        return code;
    }
    if (out == NULL) {
        return cli_failf(SYS_EXIT_USAGE, "give the file to write: -o FILE");
    }
    if (cli_rest_open(&rest_options, &rest, &err) != LEDGE_OK ||
        cli_rest_path(path, &err, "/samples/%s/picture", args.items[0]) != LEDGE_OK ||
        cli_rest_download(&rest, path, &picture, &err) != LEDGE_OK ||
        sys_file_write(out, picture.data, picture.len, 0644, &err) != LEDGE_OK) {
        return cli_fail(&err);
    }
    return SYS_EXIT_OK;
}

int cli_cmd_sample(int argc, char **argv)
{
    static const struct cli_verb verbs[] = {
        {NULL, "list", "what the devices were unsure about", sample_list},
        {NULL, "get", "fetch a picture", sample_get},
    };
    return cli_dispatch("ledge sample", verbs, CLI_COUNT(verbs), argc, argv);
}

/* POST or DELETE /samples/ID/label. */
static int change_label(const struct cli_rest_options *rest_options, const char *method,
                        const char *sample, const json_t *body)
{
    struct ledge_error err = {0};
    char path[SYS_PATH];
    LEDGE_CLEANUP(cli_rest_done) struct cli_rest rest = {.tls = NULL};
    if (cli_rest_open(rest_options, &rest, &err) != LEDGE_OK ||
        cli_rest_path(path, &err, "/samples/%s/label", sample) != LEDGE_OK ||
        cli_rest_call(&rest, method, path, body, NULL, &err) != LEDGE_OK) {
        return cli_fail(&err);
    }
    return SYS_EXIT_OK;
}

static int label_set(int argc, char **argv)
{
    struct cli_rest_options rest_options = {.hub = NULL};
    const char *by = getenv("USER");
    const struct cli_option options[] = {
        {"by", 'b', CLI_TEXT, &by, "NAME", "who says so (default: USER)"},
        CLI_REST_OPTIONS(rest_options),
    };
    const struct cli_command command = {
        .usage = "ledge label set ID LABEL [options]",
        .summary = "Say what a sample shows; again replaces.",
        .options = options,
        .n_options = CLI_COUNT(options),
        .min_args = 2,
        .max_args = 2,
        .examples = "  ledge label set 17 3 --by ada",
    };
    struct cli_args args;
    int code = cli_parse(&command, argc, argv, &args);
    if (code >= 0) {
        return code;
    }
    if (by == NULL || *by == '\0') {
        return cli_failf(SYS_EXIT_USAGE, "who says so? give --by NAME, or set USER");
    }
    LEDGE_CLEANUP(sys_json_free)
    json_t *body = json_pack("{s:s, s:s}", "label", args.items[1], "by", by);
    if (body == NULL) {
        return cli_failf(SYS_EXIT_USAGE, "label set: LABEL and --by are UTF-8");
    }
    return change_label(&rest_options, "POST", args.items[0], body);
}

static int label_undo(int argc, char **argv)
{
    struct cli_rest_options rest_options = {.hub = NULL};
    const struct cli_option options[] = {CLI_REST_OPTIONS(rest_options)};
    const struct cli_command command = {
        .usage = "ledge label undo ID [options]",
        .summary = "Take the label of a sample back.",
        .options = options,
        .n_options = CLI_COUNT(options),
        .min_args = 1,
        .max_args = 1,
        .examples = "  ledge label undo 17",
    };
    struct cli_args args;
    int code = cli_parse(&command, argc, argv, &args);
    return code >= 0 ? code : change_label(&rest_options, "DELETE", args.items[0], NULL);
}

int cli_cmd_label(int argc, char **argv)
{
    static const struct cli_verb verbs[] = {
        {NULL, "set", "say what a sample shows", label_set},
        {NULL, "undo", "take a label back", label_undo},
    };
    return cli_dispatch("ledge label", verbs, CLI_COUNT(verbs), argc, argv);
}

int cli_cmd_logs(int argc, char **argv)
{
    struct cli_rest_options rest_options = {.hub = NULL};
    int64_t limit = 200;
    const struct cli_option options[] = {
        {"limit", 'n', CLI_INT, &limit, "N", "last N lines (200)"},
        CLI_REST_OPTIONS(rest_options),
    };
    const struct cli_command command = {
        .usage = "ledge logs DEVICE FUNCTION [options]",
        .summary = "The last lines a function wrote, asked from the device.",
        .options = options,
        .n_options = CLI_COUNT(options),
        .min_args = 2,
        .max_args = 2,
        .examples = "  ledge logs cam-1 watch -n 50",
    };
    struct cli_args args;
    struct ledge_error err = {0};
    char path[SYS_PATH], lines[24];
    size_t i;
    json_t *line;
    LEDGE_CLEANUP(cli_rest_done) struct cli_rest rest = {.tls = NULL};
    LEDGE_CLEANUP(sys_json_free) json_t *answer = NULL;
    int code = cli_parse(&command, argc, argv, &args);
    if (code >= 0) {
        return code;
    }
    (void)snprintf(lines, sizeof lines, "%lld", (long long)limit);
    if (cli_rest_open(&rest_options, &rest, &err) != LEDGE_OK ||
        cli_rest_path(path, &err, "/devices/%s/logs?function=%s&limit=%s", args.items[0],
                      args.items[1], lines) != LEDGE_OK ||
        cli_rest_call(&rest, "GET", path, NULL, &answer, &err) != LEDGE_OK) {
        return cli_fail(&err);
    }
    if (rest_options.json) {
        return cli_print_json(json_incref(answer));
    }
    json_array_foreach(json_object_get(answer, "lines"), i, line)
    {
        cli_printf("%s\n", cli_rest_text(line, "text"));
    }
    return SYS_EXIT_OK;
}
