/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_classify.c -- `ledge classify`: what does a model see in pictures?
 *
 * Flow: picture -> data/preprocess.h (the model's own metadata, or flags) -> session -> best
 * classes.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/status.h"
#include "cli/cli.h"
#include "data/preprocess.h"
#include "ledge/ledge.h"
#include "sys/file.h"
#include "sys/table.h"

enum { LABELS_MAX = 1 << 20, TOP_MAX = 1000 };

struct command {
    const char *labels;
    const char *mean;
    const char *std;
    const char *fit;
    double crop; /* NaN: not given */
    int64_t top;
    int64_t threads;
    bool raw;
    bool softmax;
    bool json;
};

/* Everything one run of the verb holds. */
struct classifier {
    struct ledge_model *model;
    struct ledge_session *session;
    struct ledge_tensor input;
    struct ledge_tensor *outputs;
    int32_t n_outputs;
    struct data_preprocess preprocess;
    struct ledge_buf label_file;
    const char *labels; /* newline-separated, or NULL */
    double *scores;
    int32_t *order;
    int64_t n; /* classes */
};

int cli_cmd_classify(int argc, char **argv);

static void classifier_done(struct classifier *c)
{
    ledge_session_close(c->session);
    ledge_model_close(c->model);
    ledge_buf_done(&c->label_file);
    free(c->input.data);
    free(c->outputs);
    free(c->scores);
    free(c->order);
}

/* "0.5" or "0.485,0.456,0.406" through the JSON form, which checks it. */
static enum ledge_status override_list(struct data_preprocess *p, const char *key, const char *text,
                                       struct ledge_error *err)
{
    char json[256];
    int n = snprintf(json, sizeof json, "{\"%s\":[%s]}", key, text);
    if (n < 0 || (size_t)n >= sizeof json || strspn(text, "0123456789.,-eE") != strlen(text) ||
        data_preprocess_parse(json, p, err) != LEDGE_OK) {
        return ledge_fail(err, LEDGE_ERR_ARG, "--%s: '%.100s' is not like 0.5 or 0.485,0.456,0.406",
                          key, text);
    }
    return LEDGE_OK;
}

static enum ledge_status override_fit(struct data_preprocess *p, const char *fit,
                                      struct ledge_error *err)
{
    if (strcmp(fit, "stretch") != 0 && strcmp(fit, "crop") != 0) {
        return ledge_fail(err, LEDGE_ERR_ARG, "--fit: stretch or crop, not '%.100s'", fit);
    }
    return data_preprocess_parse(fit[0] == 's' ? "{\"fit\":\"stretch\"}" : "{\"fit\":\"crop\"}", p,
                                 err);
}

static enum ledge_status override_crop(struct data_preprocess *p, double crop,
                                       struct ledge_error *err)
{
    char json[64];
    if (!(crop > 0 && crop <= 1)) {
        return ledge_fail(err, LEDGE_ERR_ARG, "--crop: '%g' is not more than 0, at most 1", crop);
    }
    (void)snprintf(json, sizeof json, "{\"crop\":%.9f}", crop);
    return data_preprocess_parse(json, p, err);
}

static enum ledge_status set_preprocess(const struct command *command, struct classifier *c,
                                        struct ledge_error *err)
{
    struct data_preprocess *p = &c->preprocess;
    LEDGE_TRY(data_preprocess_of_model(c->model, p, err));
    if (command->fit != NULL) {
        LEDGE_TRY(override_fit(p, command->fit, err));
    }
    if (!isnan(command->crop)) {
        LEDGE_TRY(override_crop(p, command->crop, err));
    }
    if (command->mean != NULL) {
        LEDGE_TRY(override_list(p, "mean", command->mean, err));
    }
    if (command->std != NULL) {
        LEDGE_TRY(override_list(p, "std", command->std, err));
    }
    p->raw = p->raw || command->raw;
    return data_preprocess_check(p, &c->input, err);
}

static enum ledge_status set_labels(const struct command *command, struct classifier *c,
                                    struct ledge_error *err)
{
    c->labels = ledge_model_metadata(c->model, DATA_KEY_LABELS);
    if (command->labels != NULL) {
        LEDGE_TRY(sys_file_read(command->labels, &c->label_file, err));
        c->labels = c->label_file.data;
        if (c->labels == NULL || strlen(c->labels) != c->label_file.len) {
            return ledge_fail(err, LEDGE_ERR_FORMAT, "--labels %.200s: no text with a name a line",
                              command->labels);
        }
    }
    return LEDGE_OK;
}

static enum ledge_status set_memory(struct classifier *c, struct ledge_error *err)
{
    c->n_outputs = ledge_model_n_outputs(c->model);
    c->outputs = calloc((size_t)c->n_outputs + 1, sizeof *c->outputs);
    c->input.data = aligned_alloc(64, (c->input.bytes + 63) / 64 * 64);
    if (c->outputs == NULL || c->input.data == NULL || c->n_outputs < 1) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for the tensors");
    }
    struct ledge_tensor output;
    LEDGE_TRY(ledge_session_output(c->session, 0, &output));
    size_t size = ledge_dtype_size(output.dtype);
    c->n = size > 0 ? (int64_t)(output.bytes / size) : 0;
    if (c->n < 1 || c->n > 1 << 20 ||
        (output.dtype != LEDGE_F32 && output.dtype != LEDGE_U8 && output.dtype != LEDGE_I8)) {
        return ledge_fail(err, LEDGE_ERR_SHAPE, "output 0 (%s, %lld elements) is no list of scores",
                          ledge_dtype_text(output.dtype), (long long)c->n);
    }
    c->scores = calloc((size_t)c->n, sizeof *c->scores);
    c->order = calloc((size_t)c->n, sizeof *c->order);
    if (c->scores == NULL || c->order == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for %lld scores", (long long)c->n);
    }
    return LEDGE_OK;
}

static enum ledge_status open_classifier(const struct command *command, const char *path,
                                         struct classifier *c, struct ledge_error *err)
{
    struct ledge_session_options options = {.threads = (int32_t)command->threads, .batch = 1};
    const struct ledge_model_options checked = {.verify = 1};
    LEDGE_TRY(ledge_model_open(path, &checked, &c->model, err));
    if (ledge_model_n_inputs(c->model) != 1) {
        return ledge_fail(err, LEDGE_ERR_SHAPE, "%s has %d inputs, one picture is needed", path,
                          (int)ledge_model_n_inputs(c->model));
    }
    LEDGE_TRY(ledge_session_open(c->model, &options, &c->session, err));
    LEDGE_TRY(ledge_session_input(c->session, 0, &c->input));
    LEDGE_TRY(set_preprocess(command, c, err));
    LEDGE_TRY(set_labels(command, c, err));
    return set_memory(c, err);
}

/* Output 0 as real numbers. */
static void read_scores(struct classifier *c, bool softmax)
{
    const struct ledge_tensor *out = &c->outputs[0];
    double scale = out->scale > 0 ? (double)out->scale : 1;
    double largest = -INFINITY;
    for (int64_t i = 0; i < c->n; i++) {
        if (out->dtype == LEDGE_F32) {
            c->scores[i] = (double)((const float *)out->data)[i];
        } else {
            int32_t q = out->dtype == LEDGE_U8 ? ((const uint8_t *)out->data)[i]
                                               : ((const int8_t *)out->data)[i];
            c->scores[i] = scale * (q - out->zero_point);
        }
        largest = fmax(largest, c->scores[i]);
    }
    double sum = 0;
    for (int64_t i = 0; softmax && i < c->n; i++) {
        c->scores[i] = exp(c->scores[i] - largest);
        sum += c->scores[i];
    }
    for (int64_t i = 0; softmax && i < c->n; i++) {
        c->scores[i] /= sum;
    }
}

/* The first `top` of order are the best classes, best first; ties go to the lower class. */
static void select_best(struct classifier *c, int64_t top)
{
    for (int64_t i = 0; i < c->n; i++) {
        c->order[i] = (int32_t)i;
    }
    for (int64_t k = 0; k < top; k++) {
        int64_t best = k;
        for (int64_t i = k + 1; i < c->n; i++) {
            double gap = c->scores[c->order[i]] - c->scores[c->order[best]];
            if (gap > 0 || (gap == 0 && c->order[i] < c->order[best])) {
                best = i;
            }
        }
        int32_t swap = c->order[k];
        c->order[k] = c->order[best];
        c->order[best] = swap;
    }
}

/* Line number `index` of the labels, cut to fit; "" when there is none. */
static const char *label_of(const struct classifier *c, int32_t index, char text[128])
{
    const char *line = c->labels;
    for (int32_t i = 0; line != NULL && i < index; i++) {
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    size_t n = line != NULL ? strcspn(line, "\r\n") : 0;
    n = n < 127 ? n : 127;
    if (n > 0) {
        memcpy(text, line, n);
    }
    text[n] = '\0';
    return text;
}

static void add_rows(const struct classifier *c, const char *picture, int64_t top,
                     struct sys_table *table)
{
    for (int64_t k = 0; k < top; k++) {
        char rank[24], class[24], score[32], label[128];
        (void)snprintf(rank, sizeof rank, "%lld", (long long)k + 1);
        (void)snprintf(class, sizeof class, "%d", (int)c->order[k]);
        (void)snprintf(score, sizeof score, "%.4f", c->scores[c->order[k]]);
        const char *cells[] = {k == 0 ? picture : "", rank, class, score,
                               label_of(c, c->order[k], label)};
        sys_table_row(table, cells, CLI_COUNT(cells));
    }
}

static json_t *to_json(const struct classifier *c, const char *picture, int64_t top)
{
    json_t *list = json_array();
    for (int64_t k = 0; k < top; k++) {
        char label[128];
        json_t *item =
            json_pack("{s:i, s:f}", "class", (int)c->order[k], "score", c->scores[c->order[k]]);
        if (label_of(c, c->order[k], label)[0] != '\0') {
            (void)json_object_set_new(item, "label", json_string(label));
        }
        (void)json_array_append_new(list, item);
    }
    return json_pack("{s:s, s:o}", "picture", picture, "top", list);
}

static enum ledge_status classify(struct classifier *c, const char *path, bool softmax,
                                  struct ledge_error *err)
{
    LEDGE_CLEANUP(sys_image_done) struct sys_image image = {0};
    LEDGE_TRY(sys_image_load(path, 0, &image, err));
    LEDGE_TRY(data_preprocess_run(&c->preprocess, &image, &c->input, c->input.data, err));
    LEDGE_TRY(ledge_session_run(c->session, &c->input, 1, c->outputs, c->n_outputs, err));
    read_scores(c, softmax);
    return LEDGE_OK;
}

static int run_all(const struct command *command, struct classifier *c, char **pictures, int n)
{
    static const char *const heads[] = {"PICTURE", ">#", ">CLASS", ">SCORE", "LABEL"};
    int64_t top = command->top < c->n ? command->top : c->n;
    struct sys_table *table = sys_table_create(heads, CLI_COUNT(heads));
    json_t *results = json_array();
    struct ledge_error err = {0};
    enum sys_exit all = SYS_EXIT_OK;
    for (int i = 0; i < n; i++) {
        if (classify(c, pictures[i], command->softmax, &err) != LEDGE_OK) {
            all = cli_both(all, (enum sys_exit)cli_fail(&err));
            continue;
        }
        select_best(c, top);
        add_rows(c, pictures[i], top, table);
        (void)json_array_append_new(results, to_json(c, pictures[i], top));
    }
    int code = SYS_EXIT_OK;
    if (json_array_size(results) > 0) {
        code = command->json                         ? cli_print_json(json_incref(results))
               : sys_table_print(table, stdout) == 0 ? SYS_EXIT_OK
                                                     : SYS_EXIT_FAILED;
    }
    json_decref(results);
    sys_table_free(table);
    return (int)cli_both(all, (enum sys_exit)code);
}

int cli_cmd_classify(int argc, char **argv)
{
    struct command command = {.crop = NAN, .top = 5, .threads = 1};
    const struct cli_option options[] = {
        {"top", 0, CLI_INT, &command.top, "N", "best classes to show (5)"},
        {"labels", 0, CLI_TEXT, &command.labels, "FILE",
         "names of classes, one per line (model's)"},
        {"fit", 0, CLI_TEXT, &command.fit, "HOW", "stretch or crop (model's, else stretch)"},
        {"crop", 0, CLI_NUMBER, &command.crop, "PART",
         "part of the picture kept (model's, else 1)"},
        {"mean", 0, CLI_TEXT, &command.mean, "M[,M,M]", "mean of pixel / 255 (model's)"},
        {"std", 0, CLI_TEXT, &command.std, "S[,S,S]", "deviation of pixel / 255 (model's)"},
        {"raw-int8", 0, CLI_FLAG, &command.raw, NULL,
         "give an integer input the pixel bytes as is"},
        {"softmax", 0, CLI_FLAG, &command.softmax, NULL, "turn scores into probabilities"},
        {"threads", 't', CLI_INT, &command.threads, "N", "threads (1)"},
        {"json", 0, CLI_FLAG, &command.json, NULL, "print JSON"},
    };
    const struct cli_command description = {
        .usage = "ledge classify MODEL PICTURE... [options]",
        .summary =
            "Run a picture model and show the best classes. How a picture becomes the input\n"
            "is the model's own metadata (docs/model-metadata.md); flags override it.",
        .options = options,
        .n_options = CLI_COUNT(options),
        .min_args = 2,
        .max_args = -1,
        .examples = "  ledge classify mobilenet.tflite burger.jpg --crop 0.875\n"
                    "  ledge classify person.tflite frame.bmp --raw-int8 --json",
    };
    struct cli_args args;
    int code = cli_parse(&description, argc, argv, &args);
    if (code >= 0) {
        return code;
    }
    if (!cli_in_range("--top", command.top, 1, TOP_MAX) ||
        !cli_in_range("--threads", command.threads, 0, 4096)) {
        return SYS_EXIT_USAGE;
    }
    LEDGE_CLEANUP(classifier_done) struct classifier c = {.label_file = LEDGE_BUF_INIT(LABELS_MAX)};
    struct ledge_error err = {0};
    if (open_classifier(&command, args.items[0], &c, &err) != LEDGE_OK) {
        return cli_fail(&err);
    }
    return run_all(&command, &c, args.items + 1, args.n - 1);
}
