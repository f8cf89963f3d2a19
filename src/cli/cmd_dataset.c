/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_dataset.c -- `ledge dataset list|freeze|pull`: labelled samples as immutable versions. */
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/status.h"
#include "cli/rest.h"
#include "cli/untar.h"
#include "sys/json.h"
#include "sys/table.h"

enum { ARCHIVE_BYTES = 1 << 30 };

static void add_rows(struct sys_table *table, const json_t *set)
{
    size_t i;
    json_t *version;
    json_array_foreach(json_object_get(set, "versions"), i, version)
    {
        sys_table_rowf(table, "%s\t%lld\t%lld\t%zu\t%.16s\t%s", cli_rest_text(set, "name"),
                       (long long)json_integer_value(json_object_get(version, "version")),
                       (long long)json_integer_value(json_object_get(version, "samples")),
                       json_object_size(json_object_get(version, "classes")),
                       cli_rest_text(version, "sha256"), cli_rest_text(version, "created"));
    }
}

static int dataset_list(int argc, char **argv)
{
    static const char *const heads[] = {"DATASET",  ">VERSION", ">SAMPLES",
                                        ">CLASSES", "SHA256",   "CREATED"};
    struct cli_rest_options rest_options = {.hub = NULL};
    const struct cli_option options[] = {CLI_REST_OPTIONS(rest_options)};
    const struct cli_command command = {
        .usage = "ledge dataset list [options]",
        .summary = "Every version of every data set.",
        .options = options,
        .n_options = CLI_COUNT(options),
        .examples = "  ledge dataset list",
    };
    struct cli_args args;
    struct ledge_error err = {0};
    size_t i;
    json_t *set;
    LEDGE_CLEANUP(cli_rest_done) struct cli_rest rest = {.tls = NULL};
    LEDGE_CLEANUP(sys_json_free) json_t *items = NULL;
    int code = cli_parse(&command, argc, argv, &args);
    if (code >= 0) {
        return code;
    }
    if (cli_rest_open(&rest_options, &rest, &err) != LEDGE_OK ||
        cli_rest_items(&rest, "/datasets", &items, &err) != LEDGE_OK) {
        return cli_fail(&err);
    }
    if (rest_options.json) {
        return cli_print_json(json_incref(items));
    }
    struct sys_table *table = sys_table_create(heads, CLI_COUNT(heads));
    json_array_foreach(items, i, set)
    {
        add_rows(table, set);
    }
    int failed = sys_table_print(table, stdout);
    sys_table_free(table);
    return failed != 0 ? SYS_EXIT_FAILED : SYS_EXIT_OK;
}

static int dataset_freeze(int argc, char **argv)
{
    struct cli_rest_options rest_options = {.hub = NULL};
    const struct cli_option options[] = {CLI_REST_OPTIONS(rest_options)};
    const struct cli_command command = {
        .usage = "ledge dataset freeze NAME [options]",
        .summary = "Make the labelled samples the next version of NAME; it never changes again.",
        .options = options,
        .n_options = CLI_COUNT(options),
        .min_args = 1,
        .max_args = 1,
        .examples = "  ledge dataset freeze signs",
    };
    struct cli_args args;
    struct ledge_error err = {0};
    char path[SYS_PATH];
    LEDGE_CLEANUP(cli_rest_done) struct cli_rest rest = {.tls = NULL};
    LEDGE_CLEANUP(sys_json_free) json_t *answer = NULL;
    LEDGE_CLEANUP(sys_json_free) json_t *body = json_pack("{s:s}", "from", "labels");
    int code = cli_parse(&command, argc, argv, &args);
    if (code >= 0) {
        return code;
    }
    if (cli_rest_open(&rest_options, &rest, &err) != LEDGE_OK ||
        cli_rest_path(path, &err, "/datasets/%s/versions", args.items[0]) != LEDGE_OK ||
        cli_rest_call(&rest, "POST", path, body, &answer, &err) != LEDGE_OK) {
        return cli_fail(&err);
    }
    if (rest_options.json) {
        return cli_print_json(json_incref(answer));
    }
    json_int_t version = json_integer_value(json_object_get(answer, "version"));
    printf("%s version %lld: %lld samples\n", args.items[0], (long long)version,
           (long long)json_integer_value(json_object_get(answer, "samples")));
    fprintf(stderr, "fetch it with: ledge dataset pull %s %lld FOLDER\n", args.items[0],
            (long long)version);
    return SYS_EXIT_OK;
}

static enum ledge_status pull(struct cli_rest *rest, char **items, int *files,
                              struct ledge_error *err)
{
    char path[SYS_PATH];
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf archive = LEDGE_BUF_INIT(ARCHIVE_BYTES);
    LEDGE_TRY(cli_rest_path(path, err, "/datasets/%s/versions/%s/archive", items[0], items[1]));
    LEDGE_TRY(cli_rest_download(rest, path, &archive, err));
    return cli_untar(archive.data, archive.len, items[2], files, err);
}

static int dataset_pull(int argc, char **argv)
{
    struct cli_rest_options rest_options = {.hub = NULL};
    const struct cli_option options[] = {CLI_REST_OPTIONS(rest_options)};
    const struct cli_command command = {
        .usage = "ledge dataset pull NAME VERSION FOLDER [options]",
        .summary =
            "Fetch a version as a folder with one folder a class, as `ledge train` reads it.",
        .options = options,
        .n_options = CLI_COUNT(options),
        .min_args = 3,
        .max_args = 3,
        .examples = "  ledge dataset pull signs 1 data/signs-1",
    };
    struct cli_args args;
    struct ledge_error err = {0};
    int files = 0;
    LEDGE_CLEANUP(cli_rest_done) struct cli_rest rest = {.tls = NULL};
    int code = cli_parse(&command, argc, argv, &args);
    if (code >= 0) {
        return code;
    }
    if (cli_rest_open(&rest_options, &rest, &err) != LEDGE_OK ||
        pull(&rest, args.items, &files, &err) != LEDGE_OK) {
        return cli_fail(&err);
    }
    if (rest_options.json) {
        return cli_print_json(json_pack("{s:s, s:i}", "folder", args.items[2], "files", files));
    }
    printf("%d pictures in %s\n", files, args.items[2]);
    return SYS_EXIT_OK;
}

int cli_cmd_dataset(int argc, char **argv)
{
    static const struct cli_verb verbs[] = {
        {NULL, "list", "every version of every data set", dataset_list},
        {NULL, "freeze", "make labelled samples a version", dataset_freeze},
        {NULL, "pull", "fetch a version as class folders", dataset_pull},
    };
    return cli_dispatch("ledge dataset", verbs, CLI_COUNT(verbs), argc, argv);
}
