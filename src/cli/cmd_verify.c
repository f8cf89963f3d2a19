/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_verify.c -- `ledge verify`: walk folders of models with known answers, count what is right.
 */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/status.h"
#include "cli/cli.h"
#include "cli/ops_library.h"
#include "cli/verify.h"
#include "sys/file.h"

enum { MAX_DEPTH = 16 };

struct walk {
    struct cli_verify_options options;
    bool verbose;
    size_t count[4];
    size_t given;  /* passed with inputs given as constants */
    size_t random; /* passed by shape and type */
    json_t *cases; /* NULL without --json */
};

int cli_cmd_verify(int argc, char **argv);

static const char *const verdicts[] = {"pass", "unsupported", "wrong", "broken"};

typedef void (*verify_fn)(const char *path, const struct cli_verify_options *options,
                          struct cli_case *result);

static void check(struct walk *w, const char *folder, verify_fn verify)
{
    struct cli_case result;
    verify(folder, &w->options, &result);
    w->count[result.verdict]++;
    w->random += result.verdict == CLI_PASS && result.random;
    w->given += result.verdict == CLI_PASS && result.given;
    const char *why = result.verdict == CLI_PASS ? "" : result.why.text;
    if (w->cases != NULL) {
        json_t *worst = isfinite(result.worst) ? json_real(result.worst) : json_null();
        json_array_append_new(
            w->cases, json_pack("{s:s, s:s, s:i, s:o, s:b, s:s}", "path", folder, "verdict",
                                verdicts[result.verdict], "sets", (int)result.sets, "max_abs_error",
                                worst, "inputs_as_constants", (int)result.given, "why", why));
    } else if (w->verbose || result.verdict == CLI_WRONG || result.verdict == CLI_BROKEN) {
        printf("%-11s  %s  %s%.3g%s%s\n", verdicts[result.verdict], folder, "max |a-b| ",
               result.worst, why[0] != '\0' ? "  " : "", why);
    }
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void visit(struct walk *w, const char *folder, int depth)
{
    char path[SYS_PATH];
    struct ledge_error err;
    struct stat info;
    if (depth > MAX_DEPTH || sys_path(path, &err, "%s/model.onnx", folder) != LEDGE_OK) {
        return;
    }
    if (stat(path, &info) == 0 && S_ISREG(info.st_mode)) {
        check(w, folder, cli_verify_case);
        return;
    }
    struct dirent **entries = NULL;
    int n = scandir(folder, &entries, visible, by_name);
    for (int i = 0; i < n; i++) {
        if (sys_path(path, &err, "%s/%s", folder, entries[i]->d_name) == LEDGE_OK &&
            lstat(path, &info) == 0) {
            if (S_ISDIR(info.st_mode)) {
                visit(w, path, depth + 1);
            } else if (S_ISREG(info.st_mode) && cli_verify_is_csv(path)) {
                check(w, path, cli_verify_csv);
            }
        }
        free(entries[i]);
    }
    free(entries);
}

/* first: the folder that is named when nothing was found. */
static int report(const struct walk *w, const char *first)
{
    size_t total = w->count[0] + w->count[1] + w->count[2] + w->count[3];
    bool failed = w->count[CLI_WRONG] + w->count[CLI_BROKEN] > 0;
    if (total == 0) {
        json_decref(w->cases);
        return cli_failf(
            SYS_EXIT_NOT_FOUND,
            "no model with a known answer in %s; `ledge verify --help` says what one is", first);
    }
    if (w->cases != NULL) {
        json_t *root = json_pack(
            "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "cases", (json_int_t)total, "pass",
            (json_int_t)w->count[CLI_PASS], "unsupported", (json_int_t)w->count[CLI_UNSUPPORTED],
            "wrong", (json_int_t)w->count[CLI_WRONG], "broken", (json_int_t)w->count[CLI_BROKEN],
            "pass_with_inputs_as_constants", (json_int_t)w->given, "pass_by_shape",
            (json_int_t)w->random, "results", w->cases);
        int code = cli_print_json(root);
        return code != SYS_EXIT_OK ? code : failed ? SYS_EXIT_FAILED : SYS_EXIT_OK;
    }
    printf("%zu cases: %zu pass (%zu of them with shape inputs given as constants, %zu random ones "
           "by shape), %zu unsupported, "
           "%zu wrong, %zu broken\n",
           total, w->count[CLI_PASS], w->given, w->random, w->count[CLI_UNSUPPORTED],
           w->count[CLI_WRONG], w->count[CLI_BROKEN]);
    return failed ? SYS_EXIT_FAILED : SYS_EXIT_OK;
}

int cli_cmd_verify(int argc, char **argv)
{
    struct walk w = {.options = {.rtol = 1e-3, .atol = 1e-7}};
    bool json = false;
    struct cli_list libraries = {.n = 0};
    const struct cli_option options[] = {
        {"rtol", 0, CLI_NUMBER, &w.options.rtol, "X", "relative tolerance (1e-3)"},
        {"atol", 0, CLI_NUMBER, &w.options.atol, "X", "absolute tolerance (1e-7)"},
        {"raw", 0, CLI_FLAG, &w.options.raw, NULL, "run the graph of the file, without passes"},
        {"consistent", 0, CLI_FLAG, &w.options.consistent, NULL,
         "with float answers that are the same bytes on every processor"},
        {"bf16", 0, CLI_FLAG, &w.options.bf16, NULL, "with weights held as bf16"},
        CLI_OPS_OPTION(&libraries),
        {"verbose", 'v', CLI_FLAG, &w.verbose, NULL, "a line for every case, also what is right"},
        {"json", 0, CLI_FLAG, &json, NULL, "everything as JSON"},
    };
    const struct cli_command command = {
        .usage = "ledge verify FOLDER... [options]",
        .summary =
            "Run models with known answers and compare. A case is a folder with model.onnx and\n"
            "test_data_set_N/input_I.pb, output_I.pb, or io.npz; or a NAME.tflite beside\n"
            "NAME_inputI_TYPE.csv and NAME_golden_TYPE.csv. Folders are walked. A data.json\n"
            "beside the model may set rtol and atol; atol is at least 2^-26 of the largest element "
            "of an\n"
            "f32 answer. Random numbers are judged by type and shape. Exit code 1 when an answer "
            "is wrong.",
        .options = options,
        .n_options = CLI_COUNT(options),
        .min_args = 1,
        .max_args = -1,
        .examples = "  ledge verify models/mnist_8\n"
                    "  ledge verify onnx/backend/test/data/node --json",
    };
    struct cli_args args;
    int code = cli_parse(&command, argc, argv, &args);
    if (code < 0 && (w.options.rtol < 0 || w.options.atol < 0)) {
        code = cli_failf(SYS_EXIT_USAGE, "--%s: a tolerance is not negative",
                         w.options.rtol < 0 ? "rtol" : "atol");
    }
    code = code < 0 ? cli_ops_load(&libraries) : code;
    if (code >= 0) {
        return code;
    }
    w.cases = json ? json_array() : NULL;
    for (int i = 0; i < args.n; i++) {
        visit(&w, args.items[i], 0);
    }
    return report(&w, args.items[0]);
}
