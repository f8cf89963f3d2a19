/* SPDX-License-Identifier: Apache-2.0 */
/* watch.c -- the function of watch.py in C: each frame of a camera to ledge-serve, each result to
 * the agent, doubtful pictures to the outbox. README.md says the protocol that both follow.
 *
 * Frames are taken one after another. A record is repeated with its key until the agent has it on
 * disk, and only then the position moves on: a kill at any point neither loses nor doubles one.
 * Memory: one picture and one answer at a time. */
#include "watch.h"

#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CLASSES = 1000, MAX_MS = 65536 };

volatile sig_atomic_t watch_stop;

static void on_signal(int number)
{
    (void)number;
    watch_stop = 1;
}

void watch_log(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    fflush(stdout);
}

double watch_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void watch_wait(double seconds)
{
    double end = watch_now() + seconds;
    for (double left = seconds; !watch_stop && left > 0; left = end - watch_now()) {
        double step = left < 0.1 ? left : 0.1;
        struct timespec sleep = {(time_t)step, (long)((step - (double)(time_t)step) * 1e9)};
        nanosleep(&sleep, NULL);
    }
}

void watch_back_off(double *delay)
{
    if (*delay == 0) {
        *delay = 0.05;
    }
    watch_wait(*delay * (0.5 + 0.5 * drand48()));
    *delay = *delay * 2 < 2 ? *delay * 2 : 2;
}

/* -- serve --------------------------------------------------------------------------------------
 */

struct ranked {
    char label[128];
    double score;
};

struct watch {
    struct watch_config config;
    struct watch_state state;
    struct watch_source source;
    struct watch_link serve, agent;
    const char *function;
    struct ranked *ranking; /* MAX_CLASSES */
    int n_ranking;
    char version[128];
    double answer_ms;
    uint64_t requests, failed; /* since the start */
    double ms[MAX_MS];         /* since the last report */
    int n_ms;
    double metric_due, sampled_at;
    int streak;
    bool alarmed;
};

static void count(struct watch *watch, bool good, double ms)
{
    watch->requests++;
    if (!good) {
        watch->failed++;
    } else if (watch->n_ms < MAX_MS) {
        watch->ms[watch->n_ms++] = ms;
    }
}

/* Post the picture until there is an answer. False when stopped, or when the picture is refused. */
static bool predict(struct watch *watch, const struct watch_frame *frame, json_t **answer)
{
    char target[256];
    double delay = 0;
    bool told = false;
    snprintf(target, sizeof(target), "/v2/models/%s/infer?classification=%d", watch->config.model,
             MAX_CLASSES);
    while (!watch_stop) {
        struct watch_reply reply = {0};
        double start = watch_now();
        int status = watch_call(&watch->serve, target, "Content-Type", frame->content_type,
                                frame->bytes, frame->n, &reply);
        double ms = (watch_now() - start) * 1e3;
        *answer = status == 200 ? json_loadb(reply.body, reply.n, 0, NULL) : NULL;
        if (*answer != NULL) {
            count(watch, true, ms);
            watch->answer_ms = ms;
            watch_reply_done(&reply);
            return true;
        }
        /* before the first answer serve may still be starting */
        if (watch->version[0] != '\0' || (status != 0 && status != 404 && status != 503)) {
            count(watch, false, 0);
        }
        if (!told) {
            watch_log("no prediction (%d %.200s); trying again", status, watch_reply_text(&reply));
            told = true;
        }
        watch_reply_done(&reply);
        if (status == 400 || status == 413 || status == 415) {
            return false;
        }
        watch_back_off(&delay);
    }
    return false;
}

/* Scores that are no distribution go through softmax. */
static void normalise(struct watch *watch)
{
    double total = 0, powers = 0;
    for (int i = 0; i < watch->n_ranking; i++) {
        total += watch->ranking[i].score;
    }
    bool negative = watch->n_ranking > 0 && watch->ranking[watch->n_ranking - 1].score < 0;
    if (watch->n_ranking == 0 || (!negative && total >= 0.9 && total <= 1.1)) {
        return;
    }
    double greatest = watch->ranking[0].score;
    for (int i = 0; i < watch->n_ranking; i++) {
        watch->ranking[i].score = exp(watch->ranking[i].score - greatest);
        powers += watch->ranking[i].score;
    }
    for (int i = 0; i < watch->n_ranking; i++) {
        watch->ranking[i].score /= powers;
    }
}

/* The items "score:index:label" of the first output, greatest first. */
static void rank(struct watch *watch, const json_t *answer)
{
    const json_t *output = json_array_get(json_object_get(answer, "outputs"), 0);
    const json_t *data = json_object_get(output, "data");
    watch->n_ranking = 0;
    for (size_t i = 0; i < json_array_size(data) && i < MAX_CLASSES; i++) {
        const char *text = json_string_value(json_array_get(data, i));
        const char *index = text != NULL ? strchr(text, ':') : NULL;
        if (index == NULL) {
            continue;
        }
        const char *label = strchr(index + 1, ':');
        struct ranked *ranked = &watch->ranking[watch->n_ranking++];
        ranked->score = strtod(text, NULL);
        snprintf(ranked->label, sizeof(ranked->label), "%s", label != NULL ? label + 1 : index + 1);
    }
    normalise(watch);
}

/* -- agent --------------------------------------------------------------------------------------
 */

/* True once the agent has it on disk (or will never take it: the log says so); false when stopped.
 * meta is given away. */
static bool record(struct watch *watch, const char *kind, const char *importance, json_t *meta,
                   const void *body, size_t n)
{
    char target[128];
    double delay = 0;
    bool told = false, done = false;
    char *text = json_dumps(meta, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(9));
    snprintf(target, sizeof(target), "/v1/records?kind=%s&class=%s", kind, importance);
    while (text != NULL && !done && !watch_stop) {
        struct watch_reply reply = {0};
        int status = watch_call(&watch->agent, target, "X-Ledge-Meta", text, body, n, &reply);
        done = status == 200 || (status >= 400 && status < 500);
        if (status != 200 && !told) {
            watch_log("%s %s not stored (%d %.200s)", kind,
                      json_string_value(json_object_get(meta, "key")), status,
                      watch_reply_text(&reply));
            told = true;
        }
        watch_reply_done(&reply);
        if (!done) {
            watch_back_off(&delay);
        }
    }
    free(text);
    json_decref(meta);
    return done;
}

static void set_key(const struct watch *watch, json_t *meta, char kind)
{
    json_object_set_new(meta, "key",
                        json_sprintf("%s-%09llu-%c", watch->state.run,
                                     (unsigned long long)watch->state.number, kind));
}

static json_t *meta_of(const struct watch *watch, const struct watch_frame *frame)
{
    json_t *top = json_array();
    for (int i = 0; i < watch->n_ranking && i < watch->config.top; i++) {
        json_array_append_new(
            top, json_pack("[s+f]", watch->ranking[i].label, "", watch->ranking[i].score));
    }
    return json_pack("{s:s, s:s, s:s, s:s, s:f, s:o, s:s, s:f, s:b}", "function", watch->function,
                     "model", watch->config.model, "version", watch->version, "label",
                     watch->n_ranking > 0 ? watch->ranking[0].label : "", "score",
                     watch->n_ranking > 0 ? watch->ranking[0].score : 0.0, "top", top, "frame",
                     frame->name, "ms", watch->answer_ms, "simulated", watch->source.simulated);
}

/* -- one frame ----------------------------------------------------------------------------------
 */

static bool alert(struct watch *watch, const json_t *meta)
{
    const struct watch_config *config = &watch->config;
    const char *label = json_string_value(json_object_get(meta, "label"));
    double score = json_real_value(json_object_get(meta, "score"));
    char text[256];
    const char *severity = NULL;
    watch->streak = score < config->threshold ? watch->streak + 1 : 0;
    bool seen = config->alert_label[0] != '\0' && strcmp(label, config->alert_label) == 0 &&
                score >= config->alert_threshold;
    if (seen && !watch->alarmed) {
        snprintf(text, sizeof(text), "%.128s seen with %.2f", label, score);
        severity = "critical";
    } else if (config->alert_streak > 0 && watch->streak == config->alert_streak) {
        snprintf(text, sizeof(text), "%d frames in a row under %.2f", watch->streak,
                 config->threshold);
        severity = "warning";
    }
    watch->alarmed = seen;
    if (severity == NULL) {
        return true;
    }
    json_t *about =
        json_pack("{s:s, s:s, s:s, s:s, s:f, s:O, s:b}", "function", watch->function, "text", text,
                  "severity", severity, "label", label, "score", score, "frame",
                  json_object_get(meta, "frame"), "simulated", watch->source.simulated);
    set_key(watch, about, 'a');
    return record(watch, "alert", "critical", about, NULL, 0);
}

static bool sample(struct watch *watch, const struct watch_frame *frame, const json_t *meta)
{
    double score = json_real_value(json_object_get(meta, "score"));
    bool waited = watch_now() - watch->sampled_at >= watch->config.sample_interval_s;
    if (score >= watch->config.threshold || !waited ||
        watch_state_has(&watch->state, frame->name)) {
        return true;
    }
    json_t *about = json_copy((json_t *)(uintptr_t)meta);
    json_object_set_new(about, "content_type", json_string(frame->content_type));
    json_object_set_new(about, "reason", json_string("low-confidence"));
    set_key(watch, about, 's');
    if (!record(watch, "sample", "bulk", about, frame->bytes, frame->n)) {
        return false;
    }
    watch_state_add(&watch->state, frame->name);
    watch->sampled_at = watch_now();
    return true;
}

/* False when it was stopped half way: the frame will be taken again, with the same keys. */
static bool take(struct watch *watch, const struct watch_frame *frame)
{
    json_t *answer = NULL;
    if (!predict(watch, frame, &answer)) {
        return !watch_stop;
    }
    const char *version = json_string_value(json_object_get(answer, "model_version"));
    if (version != NULL && strcmp(version, watch->version) != 0) {
        snprintf(watch->version, sizeof(watch->version), "%s", version);
        watch_log("model %s version %s answers", watch->config.model, watch->version);
    }
    rank(watch, answer);
    json_decref(answer);
    json_t *meta = meta_of(watch, frame);
    json_t *prediction = json_copy(meta);
    set_key(watch, prediction, 'p');
    bool done = meta != NULL && record(watch, "prediction", "normal", prediction, NULL, 0) &&
                alert(watch, meta) && sample(watch, frame, meta);
    json_decref(meta);
    return done;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double quantile(const struct watch *watch, double q)
{
    int at = (int)ceil(q * watch->n_ms) - 1;
    return watch->n_ms > 0 ? watch->ms[at > 0 ? at : 0] : 0;
}

static void metric(struct watch *watch)
{
    double now = watch_now();
    if (watch->metric_due == 0) {
        watch->metric_due = now + watch->config.metric_s;
    }
    if (now < watch->metric_due) {
        return;
    }
    watch->metric_due = now + watch->config.metric_s;
    qsort(watch->ms, (size_t)watch->n_ms, sizeof(watch->ms[0]), by_value);
    double p50 = quantile(watch, 0.5), p99 = quantile(watch, 0.99), most = quantile(watch, 1);
    watch->n_ms = 0;
    watch_log("requests %llu failed %llu p50_ms %.3f p99_ms %.3f max_ms %.3f",
              (unsigned long long)watch->requests, (unsigned long long)watch->failed, p50, p99,
              most);
    json_t *meta =
        json_pack("{s:s, s:I, s:I, s:f, s:f, s:f}", "function", watch->function, "requests",
                  (json_int_t)watch->requests, "failed", (json_int_t)watch->failed, "p50_ms", p50,
                  "p99_ms", p99, "max_ms", most);
    struct timespec since_1970; /* a metric is never made again, so its key need not come back */
    clock_gettime(CLOCK_REALTIME, &since_1970);
    json_object_set_new(
        meta, "key",
        json_sprintf("%s-%09llu-m%lld", watch->state.run, (unsigned long long)watch->state.number,
                     (long long)since_1970.tv_sec * 1000 + since_1970.tv_nsec / 1000000));
    record(watch, "metric", "normal", meta, NULL, 0);
}

static void run(struct watch *watch)
{
    watch_log("%s %s, model %s, %g frames/s, run %s from number %llu",
              watch->source.simulated ? "simulated camera: pictures of the folder" : "camera",
              watch->config.source, watch->config.model, watch->config.fps, watch->state.run,
              (unsigned long long)watch->state.number);
    while (!watch_stop) {
        struct watch_frame frame = {0};
        if (watch_source_next(&watch->source, &watch->state, &frame) && !watch_stop &&
            take(watch, &frame)) {
            watch_source_advance(&watch->source, &watch->state);
            watch->state.number++;
            watch_state_save(&watch->state);
        }
        free(frame.bytes);
        metric(watch);
    }
    watch_log("stopped at number %llu", (unsigned long long)watch->state.number);
}

int main(int argc, char **argv)
{
    static struct watch watch;
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    srand48((long)getpid());
    watch_config_read(&watch.config, argc, argv);
    watch.function = getenv("LEDGE_FUNCTION") != NULL ? getenv("LEDGE_FUNCTION") : "watch";
    watch.ranking = calloc(MAX_CLASSES, sizeof(watch.ranking[0]));
    watch.sampled_at = -1e9;
    watch_link_init(&watch.serve, getenv("LEDGE_SERVE_SOCKET"));
    watch_link_init(&watch.agent, getenv("LEDGE_AGENT_SOCKET"));
    if (watch.ranking == NULL) {
        watch_log("watch: out of memory");
        return 1;
    }
    watch_state_open(&watch.state, getenv("LEDGE_STATE"));
    watch_source_open(&watch.source, &watch.config);
    run(&watch);
    return 0;
}
