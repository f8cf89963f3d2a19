/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_evaluate.c -- `ledge evaluate`: how good is a model on labelled data, and does it pass its
 * gate? */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/evaluate.h"
#include "cli/split.h"
#include "sys/file.h"

#define REPORT_MAX ((size_t)64 << 20)

struct command {
    struct cli_evaluate_options run;
    struct cli_split split;
    const char *gate;
    const char *champion;
    const char *html;
    const char *answers;
    const char *inputs;
    int64_t threads;
    bool json;
};

int cli_cmd_evaluate(int argc, char **argv);

static void command_done(struct command *c)
{
    cli_list_done(&c->split.classes);
}

static int write_html(const char *path, const struct cli_evaluation *evaluation,
                      const struct cli_gate *gate)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf page = LEDGE_BUF_INIT(REPORT_MAX);
    struct ledge_error err;
    if (cli_evaluate_html(evaluation, gate, &page, &err) != LEDGE_OK ||
        sys_file_write(path, page.data, page.len, 0644, &err) != LEDGE_OK) {
        return cli_fail(&err);
    }
    return SYS_EXIT_OK;
}

static int write_answers(const char *path, const struct cli_answers *answers)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf lines = LEDGE_BUF_INIT(REPORT_MAX);
    struct ledge_error err;
    if (cli_answers_csv(answers, &lines, &err) != LEDGE_OK ||
        sys_file_write(path, lines.data, lines.len, 0644, &err) != LEDGE_OK) {
        return cli_fail(&err);
    }
    return SYS_EXIT_OK;
}

static int report(const struct command *c, const struct cli_evaluation *evaluation)
{
    LEDGE_CLEANUP(cli_gate_done) struct cli_gate made = {0};
    const struct cli_gate *gate = c->gate != NULL ? &made : NULL;
    struct ledge_error err;
    if (gate != NULL && cli_gate_make(c->gate, evaluation, &made, &err) != LEDGE_OK) {
        return cli_fail(&err);
    }
    int code = SYS_EXIT_OK;
    if (c->json) {
        code = cli_print_json(cli_evaluate_json(evaluation, gate));
    } else if (cli_evaluate_text(evaluation, gate, &err) != LEDGE_OK) {
        code = cli_fail(&err);
    }
    if (code == SYS_EXIT_OK && c->html != NULL) {
        code = write_html(c->html, evaluation, gate);
    }
    if (code == SYS_EXIT_OK && c->answers != NULL) {
        code = write_answers(c->answers, evaluation->answers);
    }
    for (size_t i = 0; code == SYS_EXIT_OK && gate != NULL && i < gate->n; i++) {
        const struct cli_gate_row *row = &gate->rows[i];
        char text[CLI_GATE_TEXT];
        if (!row->passed) {
            char value[CLI_VALUE_TEXT];
            char missing[CLI_VALUE_TEXT];
            fprintf(stderr, "ledge: gate failed: %s, measured %s, by %s\n",
                    cli_gate_text(row, text), cli_value_text(row->value, value),
                    cli_value_text(row->missing, missing));
        }
    }
    return code == SYS_EXIT_OK && gate != NULL && !gate->passed ? SYS_EXIT_GATE : code;
}

static int evaluate(struct command *c, const char *model)
{
    LEDGE_CLEANUP(cli_answers_done) struct cli_answers answers = {0};
    LEDGE_CLEANUP(cli_answers_done) struct cli_answers champion = {0};
    LEDGE_CLEANUP(cli_evaluation_done) struct cli_evaluation evaluation = {0};
    struct ledge_error err;
    struct cli_evaluate_options of_champion = c->run;
    of_champion.inputs = NULL;
    if (c->gate != NULL && !sys_file_exists(c->gate)) { /* said now, not after all samples */
        return cli_failf(SYS_EXIT_NOT_FOUND, "--gate %s: no such file", c->gate);
    }
    if (cli_answers_make(model, &c->run, &answers, &err) != LEDGE_OK ||
        (c->champion != NULL &&
         cli_answers_make(c->champion, &of_champion, &champion, &err) != LEDGE_OK) ||
        cli_evaluation_make(model, &answers, c->champion, c->champion != NULL ? &champion : NULL,
                            &evaluation, &err) != LEDGE_OK) {
        return cli_fail(&err);
    }
    return report(c, &evaluation);
}

int cli_cmd_evaluate(int argc, char **argv)
{
    LEDGE_CLEANUP(command_done)
    struct command c = {.split = CLI_SPLIT_DEFAULT("val"), .threads = 1};
    const struct cli_option options[] = {
        CLI_SPLIT_OPTIONS(c.split),
        {"gate", 'g', CLI_TEXT, &c.gate, "GATE.yaml", "bounds to hold; exit code 3 when one fails"},
        {"champion", 'c', CLI_TEXT, &c.champion, "MODEL", "compare on the same samples"},
        {"html", 0, CLI_TEXT, &c.html, "FILE", "write the report as a web page, too"},
        {"answers", 0, CLI_TEXT, &c.answers, "FILE", "write each sample's answer as CSV"},
        {"inputs", 0, CLI_TEXT, &c.inputs, "FILE", "write the input tensors as NPY"},
        {"json", 0, CLI_FLAG, &c.json, NULL, "print the report as JSON"},
        {"threads", 't', CLI_INT, &c.threads, "N", "threads of a run (default 1)"},
    };
    const struct cli_command command = {
        .usage = "ledge evaluate MODEL --data D [options]",
        .summary = "Measure a classifier on labelled data: accuracy by class, confusion, "
                   "calibration, ROC,\n"
                   "latency, size and memory; hold them against a gate and another model.",
        .options = options,
        .n_options = CLI_COUNT(options),
        .min_args = 1,
        .max_args = 1,
        .examples =
            "  ledge evaluate signs.onnx --data images/\n"
            "  ledge evaluate small.onnx --data images/ --champion signs.onnx --gate gate.yaml\n"
            "  ledge evaluate signs.onnx --data t10k-images-idx3-ubyte.gz --split all --json",
    };
    struct cli_args args;
    struct ledge_error err;
    int code = cli_parse(&command, argc, argv, &args);
    if (code >= 0) {
        return code;
    }
    struct data_set_spec spec;
    if (cli_split_spec(&c.split, &spec, &err) != LEDGE_OK) {
        return cli_failf(SYS_EXIT_USAGE, "%s", err.text);
    }
    if (!cli_in_range("--threads", c.threads, 1, 256)) {
        return SYS_EXIT_USAGE;
    }
    c.run = (struct cli_evaluate_options){.spec = spec,
                                          .preprocess = c.split.preprocess,
                                          .threads = (int32_t)c.threads,
                                          .inputs = c.inputs};
    return evaluate(&c, args.items[0]);
}
