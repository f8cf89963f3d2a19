/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_train.c -- ledge train RECIPE.yaml: progress on the terminal, SIGTERM and SIGINT checkpoint
 * and leave. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "engine/port/port.h"
#include "train/loop/trainer.h"

int cli_cmd_train(int argc, char **argv);

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

struct screen {
    bool terminal, quiet;
    double shown; /* part of the epoch that was last drawn */
};

static void show_seconds(double seconds, char text[16])
{
    long s = seconds > 0 ? (long)(seconds + 0.5) : 0;
    (void)snprintf(text, 16, s >= 3600 ? "%ldh%02ldm" : "%ldm%02lds", s >= 3600 ? s / 3600 : s / 60,
                   s >= 3600 ? s / 60 % 60 : s % 60);
}

static void show(void *user, const struct train_report *r)
{
    struct screen *screen = user;
    double part = (double)r->step / (double)r->steps;
    char left[16];
    if (screen->quiet || (!r->epoch_done && (!screen->terminal || part < screen->shown + 0.02))) {
        return;
    }
    screen->shown = r->epoch_done ? 0 : part;
    show_seconds(r->seconds_left, left);
    printf("%sepoch %*lld/%lld", screen->terminal ? "\r\033[K" : "", r->epochs >= 10 ? 2 : 1,
           (long long)r->epoch, (long long)r->epochs);
    if (!r->epoch_done) {
        printf(" %3.0f%%", 100 * part);
    }
    printf("  loss %.4f  accuracy %5.2f%%", r->loss, 100 * r->accuracy);
    if (r->val_accuracy >= 0) {
        printf("  val loss %.4f  accuracy %5.2f%%%s", r->val_loss, 100 * r->val_accuracy,
               r->best ? " *" : "  ");
    }
    printf("  %.0f samples/s  left %s%s", r->samples_per_second, left, r->epoch_done ? "\n" : "");
    (void)fflush(stdout);
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
}

static int print_help_table(void)
{
    struct ledge_buf text = LEDGE_BUF_INIT(1 << 16);
    bool good = train_recipe_help(&text);
    printf("%s", good ? text.data : "");
    ledge_buf_done(&text);
    return good ? SYS_EXIT_OK : SYS_EXIT_FAILED;
}

static int print_json(const struct train_result *r)
{
    return cli_print_json(
        json_pack("{ss sI sI sI si sI sI sI sf sf sf sf ss}", "model", r->model, "train_samples",
                  (json_int_t)r->train_samples, "val_samples", (json_int_t)r->val_samples,
                  "test_samples", (json_int_t)r->test_samples, "classes", r->n_classes,
                  "parameters", (json_int_t)r->parameters, "epochs", (json_int_t)r->epochs,
                  "best_epoch", (json_int_t)r->best_epoch, "accuracy", r->accuracy, "test_accuracy",
                  r->test_accuracy, "seconds", r->seconds, "samples_per_second",
                  r->samples_per_second, "data_sha256", r->data_sha256));
}

static void print_result(const struct train_result *r)
{
    char parameters[CLI_TEXT_BYTES];
    printf("%lld training samples of %d classes, %s parameters, %.1f s, %.0f samples/s\n",
           (long long)r->train_samples, r->n_classes,
           cli_text_count((double)r->parameters, parameters), r->seconds, r->samples_per_second);
    if (r->accuracy >= 0) {
        printf("validation accuracy %.2f%% of %lld (epoch %lld)\n", 100 * r->accuracy,
               (long long)r->val_samples, (long long)r->best_epoch);
    }
    if (r->test_accuracy >= 0) {
        printf("test accuracy %.2f%% of %lld\n", 100 * r->test_accuracy,
               (long long)r->test_samples);
    }
    printf("%s\n", r->model);
}

static int train(const char *path, const struct cli_list *sets, struct train_options *options,
                 bool json)
{
    struct train_recipe recipe;
    struct train_result result;
    struct ledge_error err;
    char folder[256];
    if (train_recipe_load(path, sets->items, sets->n, &recipe, &err) != LEDGE_OK) {
        return cli_fail(&err);
    }
    if (options->out == NULL) {
        (void)snprintf(folder, sizeof folder, "out/%s", recipe.name);
        options->out = folder;
    }
    catch_signals();
    enum ledge_status status = train_run(&recipe, options, &result, &err);
    train_recipe_done(&recipe);
    if (status != LEDGE_OK) {
        return cli_fail(&err);
    }
    if (json) {
        return print_json(&result);
    }
    print_result(&result);
    return SYS_EXIT_OK;
}

int cli_cmd_train(int argc, char **argv)
{
    int64_t threads = ledge_port_cpus();
    bool json = false;
    bool keys = false;
    struct cli_list sets = {0};
    struct screen screen = {.terminal = isatty(STDOUT_FILENO) != 0};
    struct train_options options = {.stop = &stop, .report = show, .user = &screen};
    const struct cli_option table[] = {
        {"out", 'o', CLI_TEXT, &options.out, "DIR", "folder for the model (default out/<name>)"},
        {"resume", 0, CLI_FLAG, &options.resume, NULL, "go on from the folder's checkpoint"},
        {"set", 0, CLI_LIST, &sets, "KEY=VALUE", "another value for a key of the recipe"},
        {"threads", 't', CLI_INT, &threads, "N", "threads (default: the CPUs of this process)"},
        {"quiet", 'q', CLI_FLAG, &screen.quiet, NULL, "no progress"},
        {"json", 0, CLI_FLAG, &json, NULL, "the result as JSON; no progress"},
        {"keys", 0, CLI_FLAG, &keys, NULL, "print every key of a recipe as a table"},
    };
    const struct cli_command command = {
        .usage = "ledge train RECIPE.yaml [options]",
        .summary = "Train a classifier. Writes model.onnx, metrics.jsonl and checkpoint.bin.",
        .options = table,
        .n_options = CLI_COUNT(table),
        .min_args = 0,
        .max_args = 1,
        .examples = "  ledge train examples/recipes/sign-senior.yaml --set data.path=pictures/\n"
                    "  ledge train recipe.yaml --out runs/a --resume",
    };
    struct cli_args args;
    int code = cli_parse(&command, argc, argv, &args);
    if (code < 0 && keys) {
        code = print_help_table();
    } else if (code < 0 && args.n != 1) {
        code =
            cli_failf(SYS_EXIT_USAGE,
                      "RECIPE.yaml is missing; `ledge train --keys` lists what may stand in one");
    } else if (code < 0 && !cli_in_range("--threads", threads, 1, 256)) {
        code = SYS_EXIT_USAGE;
    } else if (code < 0) {
        options.threads = (int32_t)threads;
        screen.quiet = screen.quiet || json;
        code = train(args.items[0], &sets, &options, json);
    }
    cli_list_done(&sets);
    return code;
}
