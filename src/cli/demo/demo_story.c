/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/demo/demo_story.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/status.h"
#include "cli/demo/demo_data.h"
#include "cli/demo/demo_fleet.h"
#include "cli/demo/demo_hub.h"
#include "cli/demo/demo_learn.h"
#include "sys/json.h"
#include "sys/table.h"

enum { CHAPTERS = 9 };

struct story {
    const struct demo_options *options;
    struct demo_run run;
    struct demo_data data;
    struct demo_split split;
    struct demo_hub hub;
    struct demo_learned junior, senior;
    struct demo_swap swap;
    struct demo_ledger ledger;
    int labelled;
    int chapter;
    int64_t began, chapter_began;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    interrupted = number;
}

static void begin(struct story *story, const char *title)
{
    story->chapter_began = sys_monotonic_ms();
    fprintf(stderr, "[%d/%d] %s\n", ++story->chapter, CHAPTERS, title);
}

static void end(struct story *story, const char *format, ...) LEDGE_PRINTF(2, 3);

static void end(struct story *story, const char *format, ...)
{
    va_list args;
    fprintf(stderr, "      ");
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "  (%.1f s)\n", (double)(sys_monotonic_ms() - story->chapter_began) / 1000.0);
}

static enum ledge_status chapter_data(struct story *story, struct ledge_error *err)
{
    begin(story, "pictures");
    LEDGE_TRY(demo_data_find(story->options->data, story->run.work, &story->data, err));
    LEDGE_TRY(demo_data_lay_out(&story->data, story->run.work, &story->split, err));
    end(story, "%zu pictures, %d classes: %s", story->data.n, story->data.n_labels,
        story->data.origin);
    end(story, "%d for junior (3 classes), %d on three simulated cameras, %d held out for testing",
        story->split.junior_train, story->split.camera, story->split.test);
    return LEDGE_OK;
}

static enum ledge_status chapter_junior(struct story *story, struct ledge_error *err)
{
    begin(story, "junior: train on three classes, compress to int8, gate");
    const struct demo_lesson lesson = {.name = "junior",
                                       .recipe = "recipes/sign-junior.yaml",
                                       .data = "junior",
                                       .test = "test-junior",
                                       .threads = (int)story->options->threads};
    LEDGE_TRY(demo_learn(&story->run, &lesson, &story->junior, err));
    end(story, "accuracy %.1f%% float, %.1f%% int8 on %d held-out pictures of its three classes",
        100 * story->junior.f32_top1, 100 * story->junior.int8_top1, story->split.junior_test);
    return LEDGE_OK;
}

static enum ledge_status chapter_fleet(struct story *story, struct ledge_error *err)
{
    begin(story, "hub, broker and three devices");
    LEDGE_TRY(demo_hub_start(&story->run, &story->hub, err));
    LEDGE_TRY(demo_fleet_enrol(&story->run, &story->hub, err));
    end(story, "hub at %s, three devices enrolled and online", story->hub.url);
    return LEDGE_OK;
}

static enum ledge_status chapter_deploy(struct story *story, struct ledge_error *err)
{
    begin(story, "deploy junior and the function that watches");
    LEDGE_TRY(demo_push(&story->run, &story->junior, err));
    LEDGE_TRY(demo_fleet_watch(&story->run, &story->hub, (int)story->options->fps, err));
    end(story, "generation confirmed on three devices");
    return LEDGE_OK;
}

static enum ledge_status chapter_watch(struct story *story, struct ledge_error *err)
{
    begin(story, "the devices watch; what they are unsure about comes to the hub");
    int samples = 0;
    LEDGE_TRY(demo_fleet_collect(&story->run, &story->hub, story->split.camera, &samples, err));
    end(story, "%d of %d camera pictures came to the hub", samples, story->split.camera);
    return LEDGE_OK;
}

/* Stands for the person: reveals the true label of each sample by the digest of its picture. */
static enum ledge_status chapter_label(struct story *story, struct ledge_error *err)
{
    size_t i;
    json_t *sample;
    LEDGE_CLEANUP(sys_json_free) json_t *samples = NULL;
    begin(story, "automatic labeller: reveals true labels in place of a person");
    LEDGE_TRY(cli_rest_items(&story->hub.rest, "/samples?state=unlabelled", &samples, err));
    json_array_foreach(samples, i, sample)
    {
        char path[SYS_PATH];
        const char *label = demo_data_label(&story->data, cli_rest_text(sample, "sha256"));
        if (label == NULL) {
            return ledge_fail(err, LEDGE_ERR_CORRUPT, "sample %.16s is none of the demo's pictures",
                              cli_rest_text(sample, "sha256"));
        }
        LEDGE_CLEANUP(sys_json_free)
        json_t *body = json_pack("{s:s, s:s}", "label", label, "by", "automatic labeller (demo)");
        LEDGE_TRY(cli_rest_path(path, err, "/samples/%s/label", cli_rest_text(sample, "id")));
        LEDGE_TRY(cli_rest_call(&story->hub.rest, "POST", path, body, NULL, err));
    }
    story->labelled = (int)json_array_size(samples);
    end(story, "%d samples labelled", story->labelled);
    return LEDGE_OK;
}

static enum ledge_status chapter_senior(struct story *story, struct ledge_error *err)
{
    begin(story, "senior: freeze the labels, train on all classes, compress, gate");
    LEDGE_TRY(demo_fleet_dataset(&story->run, &story->hub, "senior", err));
    const struct demo_lesson lesson = {.name = "senior",
                                       .recipe = "recipes/sign-senior.yaml",
                                       .data = "senior",
                                       .test = "test",
                                       .gate = "gates/demo.yaml",
                                       .threads = (int)story->options->threads};
    LEDGE_TRY(demo_learn(&story->run, &lesson, &story->senior, err));
    LEDGE_TRY(demo_evaluate(&story->run, "junior", "test", &story->junior.all_top1, err));
    end(story,
        "accuracy %.1f%% float, %.1f%% int8 on all %d held-out pictures; junior there: %.1f%%",
        100 * story->senior.f32_top1, 100 * story->senior.int8_top1, story->split.test,
        100 * story->junior.all_top1);
    return LEDGE_OK;
}

static enum ledge_status chapter_swap(struct story *story, struct ledge_error *err)
{
    begin(story, "deploy senior: swapped live under the running functions");
    LEDGE_TRY(demo_push(&story->run, &story->senior, err));
    LEDGE_TRY(demo_fleet_swap(&story->run, &story->hub, &story->swap, err));
    end(story, "%lld requests during the swap, %lld failed; longest pause of a swap %.2f ms",
        (long long)story->swap.requests, (long long)story->swap.failed, story->swap.pause_max_ms);
    return LEDGE_OK;
}

static enum ledge_status chapter_ledger(struct story *story, struct ledge_error *err)
{
    begin(story, "count: what the functions were told is stored against what the hub has");
    LEDGE_TRY(demo_fleet_ledger(&story->run, &story->hub, &story->ledger, err));
    end(story, "%lld records stored, %lld lost, %lld duplicated", (long long)story->ledger.stored,
        (long long)story->ledger.lost, (long long)story->ledger.duplicated);
    return LEDGE_OK;
}

static json_t *closing(const struct story *story, double seconds)
{
    const struct demo_swap *swap = &story->swap;
    json_t *values = json_object();
    json_object_set_new(values, "data", json_string(story->data.origin));
    json_object_set_new(values, "simulated_data", json_boolean(story->data.simulated));
    json_object_set_new(values, "junior_top1_own_classes", json_real(story->junior.int8_top1));
    json_object_set_new(values, "junior_top1_all_classes", json_real(story->junior.all_top1));
    json_object_set_new(values, "senior_top1_f32", json_real(story->senior.f32_top1));
    json_object_set_new(values, "senior_top1_int8", json_real(story->senior.int8_top1));
    json_object_set_new(values, "int8_drop_points",
                        json_real(100 * (story->senior.f32_top1 - story->senior.int8_top1)));
    json_object_set_new(values, "swap_requests", json_integer(swap->requests));
    json_object_set_new(values, "swap_failed", json_integer(swap->failed));
    json_object_set_new(values, "swap_pause_p99_ms", json_real(swap->pause_p99_ms));
    json_object_set_new(values, "swap_pause_max_ms", json_real(swap->pause_max_ms));
    json_object_set_new(values, "samples_labelled", json_integer(story->labelled));
    json_object_set_new(values, "records_stored", json_integer(story->ledger.stored));
    json_object_set_new(values, "records_lost", json_integer(story->ledger.lost));
    json_object_set_new(values, "records_duplicated", json_integer(story->ledger.duplicated));
    json_object_set_new(values, "seconds", json_real(seconds));
    return values;
}

static void print_table(const struct story *story, double seconds)
{
    static const char *const heads[] = {"what", ">figure"};
    struct sys_table *table = sys_table_create(heads, 2);
    const struct demo_swap *swap = &story->swap;
    sys_table_rowf(table, "pictures%s\t%zu", story->data.simulated ? " (SIMULATED)" : "",
                   story->data.n);
    sys_table_rowf(table, "junior int8, its own 3 classes\t%.1f%%", 100 * story->junior.int8_top1);
    sys_table_rowf(table, "junior int8, all %d classes\t%.1f%%", story->data.n_labels,
                   100 * story->junior.all_top1);
    sys_table_rowf(table, "senior float, all %d classes\t%.1f%%", story->data.n_labels,
                   100 * story->senior.f32_top1);
    sys_table_rowf(table, "senior int8, all %d classes\t%.1f%%", story->data.n_labels,
                   100 * story->senior.int8_top1);
    sys_table_rowf(table, "int8 drop, points\t%.1f",
                   100 * (story->senior.f32_top1 - story->senior.int8_top1));
    sys_table_rowf(table, "requests served during the swap\t%lld", (long long)swap->requests);
    sys_table_rowf(table, "requests failed during the swap\t%lld", (long long)swap->failed);
    sys_table_rowf(table, "swap pause p99, ms (%d requests around the flip)\t%.2f", swap->measured,
                   swap->pause_p99_ms);
    sys_table_rowf(table, "longest flip reported by a device, ms\t%.2f", swap->pause_max_ms);
    sys_table_rowf(table, "samples labelled (automatic labeller)\t%d", story->labelled);
    sys_table_rowf(table, "records stored\t%lld", (long long)story->ledger.stored);
    sys_table_rowf(table, "records lost\t%lld", (long long)story->ledger.lost);
    sys_table_rowf(table, "records duplicated\t%lld", (long long)story->ledger.duplicated);
    sys_table_rowf(table, "seconds in all\t%.0f", seconds);
    (void)sys_table_print(table, stdout);
    sys_table_free(table);
}

/* The story is told well only when nothing was lost and senior knows more. */
static int verdict(const struct story *story)
{
    const struct demo_ledger *ledger = &story->ledger;
    if (story->swap.failed != 0 || ledger->lost != 0 || ledger->duplicated != 0) {
        return cli_failf(SYS_EXIT_FAILED, "requests failed or records were lost or duplicated");
    }
    if (story->senior.int8_top1 <= story->junior.all_top1) {
        return cli_failf(SYS_EXIT_FAILED, "senior is no better than junior");
    }
    return SYS_EXIT_OK;
}

static int close_story(const struct story *story)
{
    double seconds = (double)(sys_monotonic_ms() - story->began) / 1000.0;
    if (story->options->json) {
        int code = cli_print_json(closing(story, seconds));
        return code != SYS_EXIT_OK ? code : verdict(story);
    }
    print_table(story, seconds);
    return verdict(story);
}

static enum ledge_status tell(struct story *story, struct ledge_error *err)
{
    static enum ledge_status (*const chapters[CHAPTERS])(struct story *, struct ledge_error *) = {
        chapter_data,  chapter_junior, chapter_fleet, chapter_deploy, chapter_watch,
        chapter_label, chapter_senior, chapter_swap,  chapter_ledger,
    };
    for (int i = 0; i < CHAPTERS; i++) {
        LEDGE_TRY(chapters[i](story, err));
        if (interrupted != 0) {
            return ledge_fail(err, LEDGE_ERR_CANCELLED, "interrupted");
        }
    }
    return LEDGE_OK;
}

static void keep_up(struct story *story)
{
    fprintf(stderr,
            "\nThe fleet stays up. Console: %s\n  token: %s\n  CA:    %s\n  files: %s\n"
            "Ctrl-C stops it.\n",
            story->hub.url, story->hub.token, story->hub.ca, story->run.work);
    while (interrupted == 0 && demo_daemons_alive(&story->run)) {
        (void)poll(NULL, 0, 200);
    }
}

static int generate_only(const char *folder)
{
    struct demo_data data = {.n = 0};
    struct ledge_error err = {0};
    enum ledge_status status = demo_data_generate(folder, &data, &err);
    if (status == LEDGE_OK) {
        printf("%zu pictures, %s\n", data.n, data.origin);
    }
    demo_data_done(&data);
    return status == LEDGE_OK ? SYS_EXIT_OK : cli_fail(&err);
}

int demo_tell(const struct demo_options *options)
{
    struct story story = {.options = options, .began = sys_monotonic_ms()};
    struct ledge_error err = {0};
    const struct sigaction action = {.sa_handler = on_signal};
    if (options->generate != NULL) {
        return generate_only(options->generate);
    }
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    if (demo_run_init(&story.run, options->work, &err) != LEDGE_OK) {
        return cli_fail(&err);
    }
    enum ledge_status status = tell(&story, &err);
    int code = status == LEDGE_OK ? close_story(&story) : cli_fail(&err);
    if (status == LEDGE_OK && options->keep) {
        keep_up(&story);
    }
    demo_stop_all(&story.run);
    demo_hub_done(&story.hub);
    demo_data_done(&story.data);
    if (code == SYS_EXIT_OK && options->work == NULL && !options->keep) {
        (void)!sys_tree_remove(story.run.work, NULL);
    } else {
        fprintf(stderr, "everything is in %s\n", story.run.work);
    }
    return code;
}
