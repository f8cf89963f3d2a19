/* SPDX-License-Identifier: Apache-2.0 */
/* evaluate_run.c -- run a model over a labelled set and keep what it said. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/status.h"
#include "cli/evaluate.h"
#include "cli/split.h"
#include "ledge/ledge.h"
#include "sys/file.h"

enum { WARM_UP = 5, ALIGN = 64 };

struct machine {
    struct ledge_model *model;
    struct ledge_session *session;
    struct data_set *set;
    struct ledge_tensor input, output;
    void *item;
    FILE *inputs;      /* NPY, or NULL */
    int32_t *class_of; /* of data class -> class of answers */
};

static void machine_done(struct machine *m)
{
    if (m->inputs != NULL) {
        (void)fclose(m->inputs);
    }
    free(m->class_of);
    free(m->item);
    data_set_close(m->set);
    ledge_session_close(m->session);
    ledge_model_close(m->model);
}

static enum ledge_status no_memory(struct ledge_error *err)
{
    return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for the answers");
}

static enum ledge_status open_data(struct machine *m, const struct cli_evaluate_options *options,
                                   struct ledge_error *err)
{
    struct data_preprocess preprocess;
    struct data_set_spec spec = options->spec;
    if (m->input.rank >= 3) {
        LEDGE_TRY(data_preprocess_of_model(m->model, &preprocess, err));
        if (options->preprocess != NULL) {
            LEDGE_TRY(cli_split_preprocess(options->preprocess, &preprocess, err));
        }
        spec.preprocess = &preprocess;
    }
    LEDGE_TRY(data_set_open(&spec, &m->set, err));
    int64_t dims[3];
    int32_t rank = data_set_dims(m->set, dims);
    size_t elements = ledge_dtype_size(m->input.dtype);
    for (int32_t i = 0; i < rank; i++) {
        elements *= (size_t)dims[i];
    }
    if (elements != m->input.bytes) {
        return ledge_fail(err, LEDGE_ERR_SHAPE,
                          "a sample of %s has %zu bytes, the model's input has %zu", spec.path,
                          elements, m->input.bytes);
    }
    return LEDGE_OK;
}

static enum ledge_status open_model(struct machine *m, const char *path,
                                    const struct cli_evaluate_options *options,
                                    struct ledge_error *err)
{
    const struct ledge_session_options session = {.threads = options->threads, .batch = 1};
    const struct ledge_model_options checked = {.verify = 1};
    LEDGE_TRY(ledge_model_open(path, &checked, &m->model, err));
    if (ledge_model_n_inputs(m->model) != 1) {
        return ledge_fail(err, LEDGE_ERR_SHAPE, "%s: a classifier has one input, this has %d", path,
                          (int)ledge_model_n_inputs(m->model));
    }
    LEDGE_TRY(ledge_session_open(m->model, &session, &m->session, err));
    if (ledge_session_input(m->session, 0, &m->input) != LEDGE_OK ||
        ledge_session_output(m->session, 0, &m->output) != LEDGE_OK) {
        return ledge_fail(err, LEDGE_ERR_SHAPE, "%s: no input or no output", path);
    }
    if (m->output.dtype != LEDGE_F32 && m->output.dtype != LEDGE_U8 &&
        m->output.dtype != LEDGE_I8) {
        return ledge_fail(err, LEDGE_ERR_DTYPE, "%s: scores of type %s", path,
                          ledge_dtype_text(m->output.dtype));
    }
    m->item = aligned_alloc(ALIGN, (m->input.bytes + ALIGN - 1) / ALIGN * ALIGN);
    return m->item != NULL ? LEDGE_OK : no_memory(err);
}

/* -- classes -- */

static bool add_class(struct cli_answers *answers, const char *name, size_t n)
{
    char **grown = realloc(answers->classes, ((size_t)answers->k + 1) * sizeof *grown);
    if (grown == NULL) {
        return false;
    }
    answers->classes = grown;
    grown[answers->k] = strndup(name, n);
    return grown[answers->k++] != NULL;
}

static int32_t find_class(const struct cli_answers *answers, const char *name)
{
    for (int32_t i = 0; i < answers->k; i++) {
        if (strcmp(answers->classes[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

/* The model's own labels; without any, output i answers class i of the data. */
static bool add_model_classes(const struct machine *m, struct cli_answers *answers)
{
    const char *labels = ledge_model_metadata(m->model, DATA_KEY_LABELS);
    char number[16];
    while (answers->k < answers->outputs) {
        size_t n = labels != NULL ? strcspn(labels, "\r\n") : 0;
        const char *name = labels;
        if (n == 0) {
            bool of_data = labels == NULL && answers->k < data_set_n_classes(m->set);
            (void)snprintf(number, sizeof number, "#%d", (int)answers->k);
            name = of_data ? data_set_class(m->set, answers->k) : number;
            n = strlen(name);
        }
        if (!add_class(answers, name, n)) {
            return false;
        }
        if (labels != NULL) {
            labels += strcspn(labels, "\n");
            labels += *labels == '\n' ? 1 : 0;
        }
    }
    return true;
}

static enum ledge_status match_classes(struct machine *m, struct cli_answers *answers,
                                       struct ledge_error *err)
{
    int32_t n = data_set_n_classes(m->set);
    m->class_of = calloc((size_t)n + 1, sizeof *m->class_of);
    if (m->class_of == NULL || !add_model_classes(m, answers)) {
        return no_memory(err);
    }
    int32_t known = 0;
    for (int32_t i = 0; i < n; i++) {
        int32_t at = find_class(answers, data_set_class(m->set, i));
        known += at >= 0 ? 1 : 0;
        if (at < 0 &&
            !add_class(answers, data_set_class(m->set, i), strlen(data_set_class(m->set, i)))) {
            return no_memory(err);
        }
        m->class_of[i] = at >= 0 ? at : answers->k - 1;
    }
    if (known == 0) {
        return ledge_fail(err, LEDGE_ERR_ARG,
                          "the model's labels (%.40s, ...) and the data's classes (%.40s, ...) "
                          "have none in common",
                          answers->classes[0], data_set_class(m->set, 0));
    }
    return LEDGE_OK;
}

/* -- inputs as NPY: header of 128 bytes (format 1.0), then the samples -- */

static enum ledge_status open_inputs(struct machine *m, const char *path, size_t n,
                                     struct ledge_error *err)
{
    enum { MAGIC = 10, HEADER = 128 };
    const char *descr = m->input.dtype == LEDGE_F32  ? "<f4"
                        : m->input.dtype == LEDGE_U8 ? "|u1"
                                                     : "|i1";
    char header[HEADER + 1] = "\x93NUMPY\x01\x00\x76\x00"; /* 0x76 = 118 bytes follow */
    int used = MAGIC + snprintf(header + MAGIC, HEADER - MAGIC,
                                "{'descr': '%s', 'fortran_order': False, 'shape': (%zu", descr, n);
    for (int32_t i = 1; i < m->input.rank && used < HEADER - 24; i++) {
        used +=
            snprintf(header + used, (size_t)(HEADER - used), ", %lld", (long long)m->input.dims[i]);
    }
    used += snprintf(header + used, (size_t)(HEADER - used), ",), }");
    memset(header + used, ' ', (size_t)(HEADER - used));
    header[HEADER - 1] = '\n';
    m->inputs = fopen(path, "wbe");
    if (m->inputs == NULL || fwrite(header, HEADER, 1, m->inputs) != 1) {
        return ledge_fail(err, errno == ENOENT ? LEDGE_ERR_NOT_FOUND : LEDGE_ERR_IO,
                          "cannot write %s: %s", path, strerror(errno));
    }
    return LEDGE_OK;
}

static enum ledge_status close_inputs(struct machine *m, const char *path, struct ledge_error *err)
{
    FILE *file = m->inputs;
    if (file != NULL && fflush(file) != 0) {
        return ledge_fail(err, LEDGE_ERR_IO, "cannot write %s: %s", path, strerror(errno));
    }
    m->inputs = NULL;
    return file == NULL || fclose(file) == 0
               ? LEDGE_OK
               : ledge_fail(err, LEDGE_ERR_IO, "cannot write %s", path);
}

/* What a run that failed has written is no array. */
static void drop_inputs(struct machine *m, const char *path)
{
    struct stat info;
    bool file = m->inputs != NULL && fstat(fileno(m->inputs), &info) == 0 && S_ISREG(info.st_mode);
    if (file) {
        (void)unlink(path);
    }
}

/* -- run -- */

static void copy_scores(const struct ledge_tensor *output, int32_t k, float *scores)
{
    float scale = output->scale > 0 ? output->scale : 1.0f;
    for (int32_t i = 0; i < k; i++) {
        if (output->dtype == LEDGE_F32) {
            scores[i] = ((const float *)output->data)[i];
        } else {
            int32_t q = output->dtype == LEDGE_U8 ? ((const uint8_t *)output->data)[i]
                                                  : ((const int8_t *)output->data)[i];
            scores[i] = scale * (float)(q - output->zero_point);
        }
    }
}

static double now_seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static enum ledge_status run_sample(struct machine *m, int64_t i, struct cli_answers *answers,
                                    struct ledge_error *err)
{
    LEDGE_TRY(data_set_read(m->set, i, &m->input, m->item, err));
    if (m->inputs != NULL && fwrite(m->item, m->input.bytes, 1, m->inputs) != 1) {
        return ledge_fail(err, LEDGE_ERR_IO, "cannot write the inputs: %s", strerror(errno));
    }
    struct ledge_tensor input = m->input;
    struct ledge_tensor output;
    input.data = m->item;
    for (int k = 0; k < (i == 0 ? WARM_UP : 0); k++) {
        LEDGE_TRY(ledge_session_run(m->session, &input, 1, &output, 1, err));
    }
    double start = now_seconds();
    LEDGE_TRY(ledge_session_run(m->session, &input, 1, &output, 1, err));
    answers->seconds[i] = now_seconds() - start;
    copy_scores(&output, answers->outputs, answers->scores + (size_t)i * (size_t)answers->outputs);
    answers->truth[i] = m->class_of[data_set_label(m->set, i)];
    answers->keys[i] = strdup(data_set_key(m->set, i));
    return answers->keys[i] != NULL ? LEDGE_OK : no_memory(err);
}

static bool answers_alloc(struct cli_answers *answers)
{
    size_t n = answers->n;
    answers->keys = calloc(n, sizeof *answers->keys);
    answers->truth = calloc(n, sizeof *answers->truth);
    answers->predicted = calloc(n, sizeof *answers->predicted);
    answers->confidence = calloc(n, sizeof *answers->confidence);
    answers->right = calloc(n, sizeof *answers->right);
    answers->scores = calloc(n, (size_t)answers->outputs * sizeof *answers->scores);
    answers->seconds = calloc(n, sizeof *answers->seconds);
    return answers->keys != NULL && answers->truth != NULL && answers->predicted != NULL &&
           answers->confidence != NULL && answers->right != NULL && answers->scores != NULL &&
           answers->seconds != NULL;
}

void cli_answers_done(struct cli_answers *answers)
{
    for (int32_t i = 0; i < answers->k; i++) {
        free(answers->classes[i]);
    }
    free(answers->classes);
    for (size_t i = 0; i < answers->n && answers->keys != NULL; i++) {
        free(answers->keys[i]);
    }
    free(answers->keys);
    free(answers->truth);
    free(answers->predicted);
    free(answers->confidence);
    free(answers->right);
    free(answers->scores);
    free(answers->seconds);
    *answers = (struct cli_answers){0};
}

/* The first of the greatest scores answers, decided on the model's own scores. */
static void decide(struct cli_answers *answers)
{
    size_t width = (size_t)answers->outputs;
    for (size_t i = 0; i < answers->n; i++) {
        const float *row = answers->scores + i * width;
        size_t best = 0;
        for (size_t c = 1; c < width; c++) {
            best = row[c] > row[best] ? c : best;
        }
        answers->predicted[i] = (int32_t)best;
        answers->right[i] = answers->predicted[i] == answers->truth[i];
    }
    cli_scores_to_probabilities(answers->scores, answers->n, answers->outputs);
    for (size_t i = 0; i < answers->n; i++) {
        answers->confidence[i] = answers->scores[i * width + (size_t)answers->predicted[i]];
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure_sizes(const struct machine *m, const char *path, struct cli_answers *answers)
{
    struct stat info;
    struct rusage usage;
    if (stat(path, &info) == 0) {
        answers->file_bytes = (uint64_t)info.st_size;
    }
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        answers->peak_bytes = (uint64_t)usage.ru_maxrss * 1024;
    }
    answers->arena_bytes = ledge_session_arena_bytes(m->session);
    answers->memory_bytes = ledge_session_memory_bytes(m->session);
}

static enum ledge_status answer_all(struct machine *m, const char *path,
                                    const struct cli_evaluate_options *options,
                                    struct cli_answers *answers, struct ledge_error *err)
{
    LEDGE_TRY(open_model(m, path, options, err));
    LEDGE_TRY(open_data(m, options, err));
    answers->n = (size_t)data_set_count(m->set);
    answers->outputs = (int32_t)(m->output.bytes / ledge_dtype_size(m->output.dtype));
    LEDGE_TRY(match_classes(m, answers, err));
    if (!answers_alloc(answers)) {
        return no_memory(err);
    }
    if (options->inputs != NULL) {
        LEDGE_TRY(open_inputs(m, options->inputs, answers->n, err));
    }
    for (size_t i = 0; i < answers->n; i++) {
        LEDGE_TRY(run_sample(m, (int64_t)i, answers, err));
    }
    LEDGE_TRY(close_inputs(m, options->inputs, err));
    decide(answers);
    qsort(answers->seconds, answers->n, sizeof *answers->seconds, by_value);
    measure_sizes(m, path, answers);
    data_set_digest(m->set, answers->data_digest);
    return sys_file_sha256(path, answers->model_sha256, err);
}

enum ledge_status cli_answers_make(const char *model, const struct cli_evaluate_options *options,
                                   struct cli_answers *answers, struct ledge_error *err)
{
    LEDGE_CLEANUP(machine_done) struct machine m = {0};
    struct cli_answers made = {0};
    enum ledge_status status = answer_all(&m, model, options, &made, err);
    if (status != LEDGE_OK) {
        drop_inputs(&m, options->inputs);
        cli_answers_done(&made);
        return status;
    }
    *answers = made;
    return LEDGE_OK;
}
