/* SPDX-License-Identifier: Apache-2.0 */
/* report.c -- /metrics (Prometheus text format 0.0.4) and /v2/models/{m}/stats. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "serve/internal.h"
#include "sys/file.h"

enum { MAX_REPORT = 16 * 1024 * 1024, LABELS = 256 };

static const char *const stage_names[SERVE_STAGES] = {"queue", "pre", "compute", "post"};

static void head(struct ledge_buf *out, const char *name, const char *type, const char *help)
{
    ledge_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Call fn for every counted version of every model. */
static void each_counted(const struct serve_server *server, struct ledge_buf *out,
                         void (*fn)(const struct serve_slot *slot,
                                    const struct serve_counts *counts, const char *labels,
                                    struct ledge_buf *out))
{
    for (int32_t i = 0; i < server->slots.n; i++) {
        const struct serve_slot *slot = server->slots.slots[i];
        for (int32_t k = 0; k < slot->n_counted; k++) {
            char labels[LABELS];
            snprintf(labels, sizeof(labels), "model=\"%s\",version=\"%s\"", slot->name,
                     slot->counted[k]->version);
            fn(slot, slot->counted[k], labels, out);
        }
    }
}

static void print_requests(const struct serve_slot *slot, const struct serve_counts *counts,
                           const char *labels, struct ledge_buf *out)
{
    (void)slot;
    for (int32_t i = 0; i < SERVE_MAX_CODES && counts->codes[i].status != 0; i++) {
        ledge_buf_printf(out, "ledge_infer_requests_total{%s,code=\"%d\"} %" PRIu64 "\n", labels,
                         (int)counts->codes[i].status, counts->codes[i].n);
    }
}

static void print_duration(const struct serve_slot *slot, const struct serve_counts *counts,
                           const char *labels, struct ledge_buf *out)
{
    (void)slot;
    serve_histogram_print(&counts->duration, "ledge_infer_duration_seconds", labels, out);
}

static void print_stages(const struct serve_slot *slot, const struct serve_counts *counts,
                         const char *labels, struct ledge_buf *out)
{
    (void)slot;
    for (int32_t i = 0; i < SERVE_STAGES; i++) {
        char with_stage[LABELS + 32];
        snprintf(with_stage, sizeof(with_stage), "%s,stage=\"%s\"", labels, stage_names[i]);
        serve_histogram_print(&counts->stages[i], "ledge_infer_stage_seconds", with_stage, out);
    }
}

static void print_models(const struct serve_server *server, struct ledge_buf *out)
{
    head(out, "ledge_model_info", "gauge", "The version that answers, and its digest.");
    for (int32_t i = 0; i < server->slots.n; i++) {
        const struct serve_version *version = server->slots.slots[i]->current;
        if (version != NULL) {
            ledge_buf_printf(out, "ledge_model_info{model=\"%s\",version=\"%s\",sha256=\"%s\"} 1\n",
                             version->name, version->version, version->sha256);
        }
    }
    head(out, "ledge_model_memory_bytes", "gauge", "Memory of the model's open sessions.");
    for (int32_t i = 0; i < server->slots.n; i++) {
        const struct serve_version *version = server->slots.slots[i]->current;
        if (version != NULL) {
            ledge_buf_printf(out, "ledge_model_memory_bytes{model=\"%s\"} %zu\n", version->name,
                             version->memory_bytes);
        }
    }
    head(out, "ledge_model_swap_seconds", "histogram",
         "How long no request could be taken because of a flip.");
    for (int32_t i = 0; i < server->slots.n; i++) {
        char labels[LABELS];
        snprintf(labels, sizeof(labels), "model=\"%s\"", server->slots.slots[i]->name);
        serve_histogram_print(&server->slots.slots[i]->swap, "ledge_model_swap_seconds", labels,
                              out);
    }
    head(out, "ledge_model_loads_total", "counter", "Loads by result.");
    for (int32_t i = 0; i < server->slots.n; i++) {
        const struct serve_slot *slot = server->slots.slots[i];
        ledge_buf_printf(out,
                         "ledge_model_loads_total{model=\"%s\",result=\"ok\"} %" PRIu64 "\n"
                         "ledge_model_loads_total{model=\"%s\",result=\"failed\"} %" PRIu64 "\n",
                         slot->name, slot->loads, slot->name, slot->failed_loads);
    }
}

static void print_pending(const struct serve_server *server, struct ledge_buf *out)
{
    head(out, "ledge_infer_pending", "gauge", "Requests that wait or run.");
    for (int32_t i = 0; i < server->slots.n; i++) {
        ledge_buf_printf(out, "ledge_infer_pending{model=\"%s\"} %d\n",
                         server->slots.slots[i]->name, (int)server->slots.slots[i]->pending);
    }
}

/* Resident bytes: the second field of /proc/self/statm, in pages (proc(5)). */
static long long resident_bytes(void)
{
    unsigned long long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL) {
        return 0;
    }
    if (fscanf(file, "%llu %llu", &size, &resident) != 2) {
        resident = 0;
    }
    fclose(file);
    return (long long)resident * sysconf(_SC_PAGESIZE);
}

static void print_process(const struct serve_server *server, struct ledge_buf *out)
{
    head(out, "ledge_sessions_open", "gauge", "Engine sessions that are open.");
    ledge_buf_printf(out, "ledge_sessions_open %" PRId64 "\n", serve_sessions_open());
    head(out, "process_resident_memory_bytes", "gauge", "Resident memory of the process.");
    ledge_buf_printf(out, "process_resident_memory_bytes %lld\n", resident_bytes());
    head(out, "process_start_time_seconds", "gauge", "When the process started, since 1970.");
    ledge_buf_printf(out, "process_start_time_seconds %.3f\n", (double)server->started_ms / 1e3);
}

void serve_handle_metrics(struct serve_server *server, struct sys_http_request *request,
                          const struct serve_route_names *names)
{
    struct ledge_buf out = LEDGE_BUF_INIT(MAX_REPORT);
    (void)names;
    head(&out, "ledge_infer_requests_total", "counter", "Inference answers by HTTP status.");
    each_counted(server, &out, print_requests);
    head(&out, "ledge_infer_duration_seconds", "histogram",
         "From the whole request received to the answer given to the socket.");
    each_counted(server, &out, print_duration);
    head(&out, "ledge_infer_stage_seconds", "histogram",
         "Parts of it: waiting, parsing and preprocessing, the model, writing the answer.");
    each_counted(server, &out, print_stages);
    print_pending(server, &out);
    print_models(server, &out);
    print_process(server, &out);
    if (out.failed) {
        serve_reply_error(request, 500, "the report is too large");
    } else {
        sys_http_reply(request, 200, "text/plain; version=0.0.4; charset=utf-8", out.data, out.len);
    }
    ledge_buf_done(&out);
}

/* -- stats --------------------------------------------------------------------------------------
 */

static double ms_of(const struct serve_histogram *histogram, double quantile)
{
    return (double)serve_histogram_quantile(histogram, quantile) * 1e-6;
}

static void print_quantiles(const char *key, const struct serve_histogram *histogram,
                            struct ledge_buf *out)
{
    ledge_buf_printf(
        out, ",\"%s\":{\"count\":%" PRIu64 ",\"p50_ms\":%.6f,\"p99_ms\":%.6f,\"max_ms\":%.6f}", key,
        histogram->count, ms_of(histogram, 0.5), ms_of(histogram, 0.99),
        (double)histogram->max_ns * 1e-6);
}

static void print_count_ns(const char *key, uint64_t count, double seconds, struct ledge_buf *out)
{
    ledge_buf_printf(out, "\"%s\":{\"count\":%" PRIu64 ",\"ns\":%.0f}", key, count, seconds * 1e9);
}

static uint64_t answers(const struct serve_counts *counts, bool good)
{
    uint64_t n = 0;
    for (int32_t i = 0; i < SERVE_MAX_CODES; i++) {
        n += (counts->codes[i].status == 200) == good ? counts->codes[i].n : 0;
    }
    return n;
}

/* The object of the statistics extension, as existing clients read it. */
static void print_model_stats(const struct serve_slot *slot, const struct serve_counts *counts,
                              struct ledge_buf *out)
{
    static const char *const keys[SERVE_STAGES] = {"queue", "compute_input", "compute_infer",
                                                   "compute_output"};
    uint64_t good = answers(counts, true);
    ledge_buf_printf(out,
                     "{\"name\":\"%s\",\"version\":\"%s\",\"last_inference\":%" PRId64
                     ",\"inference_count\":%" PRIu64 ",\"execution_count\":%" PRIu64
                     ",\"inference_stats\":{",
                     slot->name, counts->version, counts->last_ms, good, good);
    print_count_ns("success", good, counts->duration.sum_s - counts->failed_s, out);
    ledge_buf_text(out, ",");
    print_count_ns("fail", answers(counts, false), counts->failed_s, out);
    for (int32_t i = 0; i < SERVE_STAGES; i++) {
        ledge_buf_text(out, ",");
        print_count_ns(keys[i], counts->stages[i].count, counts->stages[i].sum_s, out);
    }
    ledge_buf_text(out, "},\"batch_stats\":[]");
    print_quantiles("duration", &counts->duration, out);
    ledge_buf_text(out, "}");
}

void serve_handle_stats(struct serve_server *server, struct sys_http_request *request,
                        const struct serve_route_names *names)
{
    struct serve_slot *slot = serve_slots_find(&server->slots, names->model);
    struct ledge_buf out = LEDGE_BUF_INIT(MAX_REPORT);
    if (slot == NULL) {
        serve_reply_error(request, 404, "model \"%.64s\" is not loaded", names->model);
        return;
    }
    ledge_buf_printf(&out,
                     "{\"name\":\"%s\",\"version\":\"%s\",\"requests\":%" PRIu64
                     ",\"failed\":%" PRIu64 ",\"pending\":%d,\"loads\":%" PRIu64
                     ",\"failed_loads\":%" PRIu64 ",\"load_ms\":%.3f",
                     slot->name, slot->current != NULL ? slot->current->version : "",
                     serve_slot_answers(slot, true) + serve_slot_answers(slot, false),
                     serve_slot_answers(slot, false), (int)slot->pending, slot->loads,
                     slot->failed_loads, slot->load_ms);
    print_quantiles("swap", &slot->swap, &out);
    print_quantiles("during_load", &slot->during, &out);
    ledge_buf_text(&out, ",\"model_stats\":[");
    bool first = true;
    for (int32_t i = 0; i < slot->n_counted; i++) {
        if (names->version == NULL || strcmp(names->version, slot->counted[i]->version) == 0) {
            ledge_buf_text(&out, first ? "" : ",");
            print_model_stats(slot, slot->counted[i], &out);
            first = false;
        }
    }
    ledge_buf_text(&out, "]}");
    serve_reply_json(request, 200, &out);
}
