/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_gc.c -- `ledge gc`: blobs of the hub that nothing refers to. */
#include <stdio.h>

#include "base/cleanup.h"
#include "cli/rest.h"
#include "sys/json.h"
#include "sys/table.h"

static const char *bytes_of(const json_t *answer, const char *key, char text[CLI_TEXT_BYTES])
{
    const json_t *part = json_object_get(answer, key);
    return cli_text_bytes((double)json_integer_value(json_object_get(part, "bytes")), text);
}

static long long count_of(const json_t *answer, const char *key)
{
    return (long long)json_integer_value(json_object_get(json_object_get(answer, key), "n"));
}

static int print_answer(const json_t *answer)
{
    static const char *const heads[] = {"BLOB", ">SIZE", "LAST PUSHED", "WHY"};
    char text[3][CLI_TEXT_BYTES];
    const json_t *items = json_object_get(answer, "items");
    bool dry = json_is_true(json_object_get(answer, "dry_run"));
    long long all = count_of(answer, "blobs") + count_of(answer, "files");
    long long shown = (long long)json_array_size(items);
    long long failed = (long long)json_integer_value(json_object_get(answer, "failed"));
    size_t i;
    json_t *item;
    struct sys_table *table = sys_table_create(heads, CLI_COUNT(heads));
    if (table == NULL) {
        return cli_failf(SYS_EXIT_FAILED, "no memory");
    }
    json_array_foreach(items, i, item)
    {
        sys_table_rowf(
            table, "%.20s\t%s\t%.19s\t%s", cli_rest_text(item, "sha256"),
            cli_text_bytes((double)json_integer_value(json_object_get(item, "size")), text[0]),
            cli_rest_text(item, "created"), cli_rest_text(item, "why"));
    }
    int bad = shown > 0 ? sys_table_print(table, stdout) : 0;
    sys_table_free(table);
    if (shown < all) {
        printf("... and %lld more\n", all - shown);
    }
    printf("%s %lld blobs, %s, and %lld stray files, %s; %lld blobs, %s, stay\n",
           dry ? "would remove" : "removed", count_of(answer, "blobs"),
           bytes_of(answer, "blobs", text[0]), count_of(answer, "files"),
           bytes_of(answer, "files", text[1]), count_of(answer, "kept"),
           bytes_of(answer, "kept", text[2]));
    if (failed > 0) {
        return cli_failf(SYS_EXIT_FAILED, "%lld files could not be removed; the hub's log says why",
                         failed);
    }
    return bad != 0 ? SYS_EXIT_FAILED : SYS_EXIT_OK;
}

int cli_cmd_gc(int argc, char **argv)
{
    struct cli_rest_options rest_options = {.hub = NULL};
    bool dry = false;
    int64_t grace_s = 86400;
    const struct cli_option options[] = {
        {"dry-run", 'n', CLI_FLAG, &dry, NULL, "only say what would be removed"},
        {"grace", 0, CLI_INT, &grace_s, "SECONDS",
         "keep what was pushed within this time (86400; at least 600)"},
        CLI_REST_OPTIONS(rest_options)};
    const struct cli_command command = {
        .usage = "ledge gc [options]",
        .summary =
            "Remove blobs from the hub's store that no version, sample, data set, deployment or "
            "device\nrefers to, and files that a crash left. What a device may still fetch, or an "
            "undo may bring\nback, stays. Each removal stands in the hub's journal.",
        .options = options,
        .n_options = CLI_COUNT(options),
        .examples = "  ledge gc --dry-run\n  ledge gc\n  ledge gc --grace 604800 --json",
    };
    struct cli_args args;
    struct ledge_error err = {0};
    LEDGE_CLEANUP(cli_rest_done) struct cli_rest rest = {.tls = NULL};
    LEDGE_CLEANUP(sys_json_free) json_t *answer = NULL;
    int code = cli_parse(&command, argc, argv, &args);
    if (code >= 0) {
        return code;
    }
    LEDGE_CLEANUP(sys_json_free)
    json_t *body = json_pack("{s:b,s:I}", "dry_run", (int)dry, "grace_s", (json_int_t)grace_s);
    if (cli_rest_open(&rest_options, &rest, &err) != LEDGE_OK ||
        cli_rest_call(&rest, "POST", "/gc", body, &answer, &err) != LEDGE_OK) {
        return cli_fail(&err);
    }
    return rest_options.json ? cli_print_json(json_incref(answer)) : print_answer(answer);
}
